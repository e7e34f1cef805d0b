"""Look up the concept a caller names among the features of the rows."""

from collections.abc import Iterable
from difflib import get_close_matches
from numbers import Integral

import numpy as np
from scipy.sparse import csr_array, hstack

__all__ = ["check_concept_names", "find_columns", "merge_columns"]


def check_concept_names(argument, names, n_concepts):
    """Return one string per concept.

    Parameters
    ----------
    argument : str
        What the caller calls the names.
    names : array-like of shape (n_concepts,) or None
        None gives the numbers of the columns.
    n_concepts : int

    Returns
    -------
    list of str
    """
    if names is None:
        return [str(column) for column in range(n_concepts)]
    if not isinstance(names, Iterable) or getattr(names, "ndim", 1) != 1:
        raise TypeError(
            f"`{argument}` must be a list of names; got {names!r}. "
            "Pass the names of the columns."
        )
    names = [str(name) for name in names]
    if len(names) != n_concepts:
        raise ValueError(
            f"`{argument}` must hold one name per concept ({n_concepts}); got "
            f"{len(names)}. Pass the names of the columns."
        )
    return names


def find_columns(concept, names):
    """Return the columns of a concept.

    Parameters
    ----------
    concept : str, int, list of them or None
        Names or numbers of columns; None is the only column.
    names : list of str
        Of all columns.

    Returns
    -------
    list of int
        Ascending, each once.
    """
    if concept is None:
        if len(names) > 1:
            raise ValueError(
                f"`concept` must name one of the {len(names)} concepts; got None. For "
                f"example {names[0]!r}, or the number of its column."
            )
        return [0]
    wanted = concept if isinstance(concept, list | tuple) else [concept]
    if not wanted:
        raise ValueError(
            "`concept` must hold at least one name; got an empty list. For example "
            f"[{names[0]!r}]."
        )
    return sorted({_find_column(one, names) for one in wanted})


def _find_column(concept, names):
    if isinstance(concept, Integral) and not isinstance(concept, bool):
        if not 0 <= concept < len(names):
            raise ValueError(
                f"`concept` must be a name or a column from 0 to {len(names) - 1}; got "
                f"{concept}. Names stand for themselves, whatever the order of columns."
            )
        return int(concept)
    if isinstance(concept, str) and concept in names:
        return names.index(concept)
    raise ValueError(
        f"`concept` must be the name of a concept; got {concept!r}. "
        f"{_suggest(str(concept), names)}"
    )


def _suggest(name, names):
    by_lower = {other.lower(): other for other in reversed(names)}
    close = get_close_matches(name.lower(), by_lower, n=3, cutoff=0.5)
    if not close:
        close = [lower for lower in by_lower if name.lower() in lower][:3]
    if close:
        return f"Nearest are {', '.join(repr(by_lower[one]) for one in close)}."
    shown = ", ".join(repr(other) for other in names[:3])
    return f"There are {len(names)} of them: {shown}{', ...' if names[3:] else ''}."


def merge_columns(T, columns):
    """Put the sum of some columns in their place, as the last one.

    Parameters
    ----------
    T : csr_array of shape (n_rows, n_concepts)
    columns : list of int

    Returns
    -------
    merged : csr_array of shape (n_rows, n_concepts - len(columns) + 1)
        `T` itself for a single column.
    column : int
        Which column of it.
    """
    if len(columns) == 1:
        return T, columns[0]
    others = np.setdiff1d(np.arange(T.shape[1]), columns)
    together = csr_array(T[:, columns].sum(axis=1)[:, None])
    return csr_array(hstack([T[:, others], together])), len(others)
