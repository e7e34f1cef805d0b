"""Numbers and names that callers hand to displays and tables."""

from collections.abc import Mapping
from numbers import Integral

import numpy as np

from skpopsteer._validation import as_array
from skpopsteer.popularity import PopularityGroups

__all__ = ["check_column", "check_groups", "check_mapping", "check_number"]


def check_number(name, value):
    """Refuse what is no number of things to show; 0 shows none."""
    if not isinstance(value, Integral) or isinstance(value, bool) or value < 0:
        raise ValueError(
            f"`{name}` must be an integer >= 0; got {value!r}. It is the number of "
            "things that are shown."
        )
    # No more are there, and a slice takes nothing beyond.
    return int(min(value, np.iinfo(np.int64).max))


def check_groups(groups):
    """Return what counts as head and tail, the usual for None."""
    if groups is None:
        return PopularityGroups()
    if not hasattr(groups, "label") or isinstance(groups, type):
        raise TypeError(
            f"`groups` must be PopularityGroups or None; got {type(groups).__name__}. "
            "Write PopularityGroups('mass')."
        )
    return groups


def check_mapping(name, value, what):
    """Return a dict whose names are strings, and that is not empty."""
    if not isinstance(value, Mapping) or not value:
        raise ValueError(
            f"`{name}` must be a dict of names to {what}, not empty; got "
            f"{type(value).__name__}. Name at least one."
        )
    return {str(key): one for key, one in value.items()}


def check_column(name, values, length=None, *, of=""):
    """Return a 1-D array of numbers, a copy.

    Parameters
    ----------
    name : str
        What to call it in a message.
    values : array-like of shape (n,)
        NaN is for the caller to judge, and so is an empty one.
    length : int, default=None
        Required number of them.
    of : str, default=""
        Whose they are, such as ``" of 'host'"``.

    Returns
    -------
    ndarray of shape (n,)
    """
    column = np.array(as_array(name, values))
    fits = column.ndim == 1 and length in (None, len(column))
    if not fits or column.dtype.kind not in "fiu" or np.isinf(column).any():
        wanted = "numbers" if length is None else f"{length} numbers"
        raise ValueError(
            f"`{name}` must be a 1-D array of {wanted}, none infinite; got shape "
            f"{column.shape} and dtype {column.dtype}{of}. Pass a numpy array."
        )
    return column
