"""Defaults as the docstrings tell them."""

import ast
import inspect
import re

HEADING = re.compile(r"\n\n(?:Returns|Yields|Attributes|Raises|See Also|Notes)\n---")
DEFAULT = re.compile(r"^(\w+(?:, \w+)*) : .*?default=(.+)$", re.M)


def estimators_of(package):
    """Public estimators of a package, by name."""
    return {
        name: value
        for name in package.__all__
        if inspect.isclass(value := getattr(package, name))
        and hasattr(value, "get_params")
    }


def documented_defaults(documented):
    """Parse ``name : type, default=value`` of a section of parameters."""
    text = inspect.cleandoc(documented.__doc__)
    section = HEADING.split(text.partition("\nParameters\n----------\n")[2])[0]
    found = {}
    # What is said of a parameter is indented.
    for names, value in DEFAULT.findall(section):
        found |= dict.fromkeys(names.split(", "), value)
    return found


def as_documented(value, text):
    """Whether a default is the one that is told."""
    try:
        return type(value) is type(told := ast.literal_eval(text)) and value == told
    except ValueError:
        return getattr(value, "__name__", None) == text


def differing_defaults(estimator):
    """Names of parameters whose value in a new estimator is not the documented one."""
    given = {
        name: None
        for name, parameter in inspect.signature(estimator).parameters.items()
        if parameter.default is inspect.Parameter.empty
    }
    params = estimator(**given).get_params(deep=False)
    told = documented_defaults(estimator)
    assert params.keys() - given.keys() == told.keys()
    return [name for name in told if not as_documented(params[name], told[name])]
