"""What is said of items: popularity, values per item, lists and their length."""

import numpy as np
from scipy.sparse import csr_array, issparse

from skpopsteer._validation._arrays import as_array, canonical_csr

__all__ = [
    "check_item_lists",
    "check_list_length",
    "check_per_item",
    "check_popularity",
]

#: Lists may be this long in any catalogue.
_LONGEST = 2**16
#: Popularity that can be summed and divided without leaving the range of floats.
_LEAST, _MOST = 1e-100, 1e100


def check_item_lists(name, lists, shape):
    """Turn lists of items into a mask.

    Parameters
    ----------
    name : str
        What to call them in a message.
    lists : array-like of shape (n,), sparse (n_users, n_items) or list of lists
        Item positions for everybody, a mask, or one list per row; -1 is padding.
    shape : tuple of int
        Shape (n_users, n_items) of the interactions.

    Returns
    -------
    csr_array of shape (n_users, n_items) or ndarray of shape (n_items,), dtype bool
        The second where all users share one list.
    """
    n_users, n_items = shape
    lists = _as_lists(name, lists, shape)
    if issparse(lists):
        if lists.shape != shape:
            raise ValueError(
                f"`{name}` must have the shape of `X`, {shape}; got {lists.shape}. "
                "Pass one row per user, or item positions for everybody."
            )
        return canonical_csr(lists.tocsr())
    per_user = len(lists) > 0 and np.ndim(lists[0]) == 1
    if not per_user:
        mask = np.zeros(n_items, dtype=bool)
        mask[_check_items(name, lists, n_items)] = True
        return mask
    if len(lists) != n_users:
        raise ValueError(
            f"`{name}` must hold one list per row of `X` ({n_users}); got "
            f"{len(lists)}. Pass one flat list to use it for everybody."
        )
    rows = [_check_items(name, row, n_items) for row in lists]
    indptr = np.concatenate([[0], np.cumsum([len(row) for row in rows])])
    ones = np.ones(indptr[-1], dtype=np.float32)
    return canonical_csr(csr_array((ones, np.concatenate(rows), indptr), shape=shape))


def check_list_length(n_recommendations, default, n_items=0):
    """Return the length of the lists, which has to be a positive integer.

    Parameters
    ----------
    n_recommendations : int or None
    default : int
        Taken for None.
    n_items : int, default=0
        Size of the catalogue. Longer lists are padded, but no longer than memory lasts.
    """
    k = default if n_recommendations is None else n_recommendations
    if isinstance(k, bool) or not isinstance(k, int | np.integer) or k < 1:
        raise ValueError(
            f"`n_recommendations` must be an integer >= 1; got {k!r}. "
            "It is the length of every list."
        )
    longest = max(n_items, _LONGEST)
    if k > longest:
        raise ValueError(
            f"`n_recommendations` must be at most {longest}; got {k}. "
            "A list holds an item once: longer lists are padding."
        )
    return int(k)


def check_per_item(name, values, n_items):
    """Validate one value per item, given flat or as a single row.

    A search of scikit-learn cuts what has as many entries as there are users to the
    users of a fold, items or not; a single row it hands on whole.

    Parameters
    ----------
    name : str
        What to call them in a message.
    values : array-like of shape (n_items,) or (1, n_items)
    n_items : int

    Returns
    -------
    ndarray of shape (n_items,)
    """
    values = as_array(name, values)
    if values.shape not in ((n_items,), (1, n_items)):
        raise ValueError(
            f"`{name}` must hold one value per item ({n_items}); got shape "
            f"{values.shape}. In a search pass it as one row, {name}[None, :]."
        )
    return values.ravel()


def check_popularity(name, popularity):
    """Validate interactions per item and return them as float64.

    Parameters
    ----------
    name : str
        What to call them in a message.
    popularity : array-like of shape (n_items,)
        Finite, not negative.

    Returns
    -------
    ndarray of shape (n_items,), dtype float64
    """
    popularity = as_array(name, popularity)
    what = f"`{name}` must be a 1-D array of numbers, one per item"
    if popularity.dtype.kind not in "iuf":
        raise TypeError(
            f"{what}; got dtype {popularity.dtype}. Pass item_popularity(X)."
        )
    if popularity.ndim != 1 or not len(popularity):
        raise ValueError(
            f"{what}; got shape {popularity.shape}. Pass item_popularity(X)."
        )
    strange = popularity[~np.isfinite(popularity) | (popularity < 0)]
    if len(strange):
        raise ValueError(
            f"`{name}` must hold finite numbers >= 0; got {strange[0]:g}. "
            "Use 0 for items without interactions."
        )
    popularity = popularity.astype(np.float64, copy=False)
    strange = popularity[(popularity > _MOST) | (popularity < _LEAST)]
    if strange.any():
        raise ValueError(
            f"`{name}` must hold 0, or numbers from {_LEAST:g} to {_MOST:g}; got "
            f"{strange[strange > 0][0]:g}. Count interactions per item."
        )
    return popularity


def _as_lists(name, lists, shape):
    """Refuse what has no length or order, and dense masks, which look like lists."""
    if issparse(lists) or isinstance(lists, list | tuple):
        return lists
    table = as_array(name, lists)
    if table.ndim not in (1, 2):
        raise TypeError(
            f"`{name}` must be item positions, a list of lists or a sparse mask; got "
            f"{type(lists).__name__}. Turn a set into a list."
        )
    if table.shape == shape and shape[1] > 2 and np.isin(table, (0, 1)).all():
        raise ValueError(
            f"`{name}` must be item positions or a sparse mask; got a dense mask of "
            "the shape of `X`. Pass scipy.sparse.csr_array(mask)."
        )
    return table


def _check_items(name, items, n_items):
    """Return item positions without padding, so that earlier lists can be passed on."""
    try:
        items = np.asarray(items)
    except ValueError:
        raise ValueError(
            f"`{name}` must be one flat list, or one list per row; got a mix of both. "
            "Pass item positions for everybody, or a list of lists."
        ) from None
    if items.ndim != 1:
        raise ValueError(
            f"`{name}` must be one flat list, or one list per row; got one of shape "
            f"{items.shape} within. Pass item positions for everybody, or a list of "
            "lists."
        )
    if items.size and not np.issubdtype(items.dtype, np.integer):
        raise ValueError(
            f"`{name}` must hold integer item positions; got dtype {items.dtype}. "
            "Map your ids to positions first."
        )
    items = items[items != -1]
    # Looked at before they are converted: the highest of uint64 would become a -1.
    wrong = items[(items < 0) | (items >= n_items)]
    if len(wrong):
        raise ValueError(
            f"`{name}` must hold item positions 0 to {n_items - 1}; got {wrong[0]}. "
            "Map your ids to positions first."
        )
    return items.astype(np.int64)
