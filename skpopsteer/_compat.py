"""The one door to scikit-learn's private names and to optional packages.

Everything imported here has kept its signature over scikit-learn 1.6 to 1.9; should a
release move one of these names, this file is the only one to change.
"""

import importlib
import warnings
from types import ModuleType

import sklearn
from sklearn.base import _fit_context
from sklearn.utils._param_validation import (
    HasMethods,
    Interval,
    InvalidParameterError,
    StrOptions,
    validate_params,
)
from sklearn.utils.metaestimators import _BaseComposition, available_if

from skpopsteer._version import __version__

__all__ = [
    "EstimatorMixin",
    "HasMethods",
    "Interval",
    "InvalidParameterError",
    "StrOptions",
    "_BaseComposition",
    "_fit_context",
    "available_if",
    "import_frame_library",
    "import_optional",
    "validate_params",
]


class EstimatorMixin:
    """Mixin of every estimator: its page in the docs, and the versions that made it."""

    _doc_link_module = "skpopsteer"
    _doc_link_template = (
        "https://skpopsteer.readthedocs.io/en/stable/api/"
        "{estimator_module}.{estimator_name}.html"
    )

    def __getstate__(self):
        return {**super().__getstate__(), "_made_by": _versions()}

    def __setstate__(self, state):
        state = dict(state)
        made_by, here = state.pop("_made_by", {}), _versions()
        if made_by != here:
            was = ", ".join(f"{name} {version}" for name, version in made_by.items())
            now = ", ".join(f"{name} {version}" for name, version in here.items())
            warnings.warn(
                f"`{type(self).__name__}` must be loaded by the versions that saved it "
                f"({was or 'unknown'}); got {now}. Check its lists, or fit anew.",
                stacklevel=2,
            )
        super().__setstate__(state)


def _versions():
    return {"skpopsteer": __version__, "scikit-learn": sklearn.__version__}


def import_optional(module_name: str, extra: str) -> ModuleType:
    """Import an optional package, or say which extra brings it.

    Parameters
    ----------
    module_name : str
        Name of the module to import, such as ``"matplotlib.pyplot"``.
    extra : str
        The extra of skpopsteer that installs it.

    Returns
    -------
    ModuleType
        The imported module.

    Raises
    ------
    ImportError
        When the package is not installed.

    Examples
    --------
    >>> from skpopsteer._compat import import_optional
    >>> import_optional("no_such_package", "plot")
    Traceback (most recent call last):
        ...
    ImportError: `no_such_package` must be installed for this; it was not found. \
Install it with: pip install "skpopsteer[plot]".
    """
    try:
        return importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        package = module_name.partition(".")[0]
        # A dependency of the package that is missing is another fault: let it speak.
        if error.name is None or error.name.partition(".")[0] != package:
            raise
        raise ImportError(
            f"`{package}` must be installed for this; it was not found. "
            f'Install it with: pip install "skpopsteer[{extra}]".'
        ) from error


def import_frame_library(backend: str) -> ModuleType:
    """Import the library of data frames the caller names.

    Parameters
    ----------
    backend : {"pandas", "polars"}
        Its name.

    Returns
    -------
    ModuleType
        The imported module.

    Raises
    ------
    ValueError
        For another name.
    ImportError
        When the library is not installed.
    """
    if not isinstance(backend, str) or backend not in ("pandas", "polars"):
        raise ValueError(
            f"`backend` must be 'pandas' or 'polars'; got {backend!r}. "
            "Convert the frame for another library."
        )
    try:
        return importlib.import_module(backend)
    except ModuleNotFoundError as error:
        raise ImportError(
            f"`backend` must be a library that is installed; got {backend!r}. "
            f"Install it with: pip install {backend}."
        ) from error
