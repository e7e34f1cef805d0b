"""Public docstrings have numpydoc's form; doctests check that their examples run."""

import importlib
import inspect
import pkgutil

import pytest
from numpydoc.validate import validate

import skpopsteer

#: Matters of taste, or of methods whose class says it already.
IGNORED = {
    "ES01",  # no extended summary
    "EX01",  # no example: asked of classes and functions below, not of methods
    "GL01",  # text starts on the line of the quotes
    "GL08",  # private parents without docstring
    "PR06",  # "integer" style aliases
    "RT02",  # "self : object", as scikit-learn names what fit returns
    "RT03",  # return value described by its type where the summary says it
    "RT05",
    "SA01",  # no See Also
    "SA04",
    "SS05",  # infinitive form
    "SS06",  # summary on several lines
    "YD01",
}


def _public_modules():
    for module in pkgutil.walk_packages(skpopsteer.__path__, "skpopsteer."):
        if not any(part.startswith("_") for part in module.name.split(".")):
            yield importlib.import_module(module.name)


def _public_objects():
    for module in _public_modules():
        for name in getattr(module, "__all__", []):
            value = getattr(module, name)
            if inspect.isclass(value) or inspect.isfunction(value):
                yield f"{module.__name__}.{name}"
                if inspect.isclass(value):
                    for method, member in inspect.getmembers(value, inspect.isfunction):
                        ours = member.__module__.startswith("skpopsteer")
                        if ours and not method.startswith("_"):
                            yield f"{module.__name__}.{name}.{method}"


OBJECTS = sorted(set(_public_objects()))


@pytest.mark.parametrize("name", OBJECTS)
def test_docstring_has_numpydocs_form(name):
    errors = [e for e in validate(name)["errors"] if e[0] not in IGNORED]
    assert not errors


@pytest.mark.parametrize("name", [n for n in OBJECTS if n.split(".")[-2][0].islower()])
def test_classes_and_functions_have_an_example(name):
    module, _, attribute = name.rpartition(".")
    value = getattr(importlib.import_module(module), attribute)
    # Mixins and results are seen through the examples of those that use them.
    if attribute.endswith("Mixin") or attribute == "Comparison":
        pytest.skip("its users have the example")
    assert ">>>" in value.__doc__
