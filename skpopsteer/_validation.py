"""Checks of what the caller hands over: interactions, held-out items, user ids.

Every message is one line: the argument in backticks, what it must be, what came, what
to do. Nothing here changes the caller's arrays.
"""

from math import isfinite
from numbers import Real

import numpy as np
from scipy.sparse import csr_array, issparse
from sklearn.utils.validation import validate_data

from skpopsteer._item_features import check_item_features

__all__ = [
    "as_array",
    "as_csr_array",
    "as_interactions",
    "canonical_csr",
    "check_embeddings",
    "check_interactions",
    "check_item_features",
    "check_item_lists",
    "check_per_item",
    "check_popularity",
    "check_user_ids",
    "is_finite_number",
]


#: Lists may be this long in any catalogue.
_LONGEST = 2**16
#: Popularity that can be summed and divided without leaving the range of floats.
_LEAST, _MOST = 1e-100, 1e100


def as_array(name, values):
    """Turn what a caller holds into an array; rows of unequal length are none.

    Parameters
    ----------
    name : str
        What to call it in a message.
    values : array-like

    Returns
    -------
    ndarray
    """
    try:
        return np.asarray(values)
    except ValueError:
        raise ValueError(
            f"`{name}` must be an array; got rows of unequal length, or of unequal "
            "depth. Pass a numpy array."
        ) from None


def as_csr_array(matrix):
    """Convert a matrix of numbers to CSR, which knows no half precision."""
    if issparse(matrix):
        return matrix.tocsr()
    return csr_array(matrix.astype(np.float32) if matrix.dtype == "e" else matrix)


def is_finite_number(value):
    """Tell whether a value is a number, and within the range of floats."""
    try:
        return isinstance(value, Real) and isfinite(value)
    except OverflowError:
        return False


def canonical_csr(X):
    """Return a CSR array with sorted indices, no duplicates and no stored zeros.

    Parameters
    ----------
    X : CSR array or matrix of shape (n_rows, n_columns)
        Left as it is; the data are copied only where something must change.

    Returns
    -------
    csr_array of shape (n_rows, n_columns)
        Duplicates are summed.
    """
    shared = csr_array((X.data, X.indices, X.indptr), shape=X.shape, copy=False)
    # scipy caches "is sorted" flags; on views of the caller's buffers it must look.
    clean = shared.has_canonical_format and (X.data != 0).all()
    if clean:
        return shared
    owned = shared.copy()
    owned.sum_duplicates()
    owned.eliminate_zeros()
    return owned


def as_interactions(name, X):
    """Validate a matrix of interactions outside of an estimator.

    Parameters
    ----------
    name : str
        What to call it in a message.
    X : array-like or sparse of shape (n_users, n_items)
        Interactions, finite and not negative.

    Returns
    -------
    csr_array of shape (n_users, n_items)
        Canonical, as :func:`canonical_csr` makes it.
    """
    X = X if issparse(X) else as_array(name, X)
    if X.ndim != 2 or X.dtype.kind not in "biuf":
        raise ValueError(
            f"`{name}` must be a matrix of numbers, users in rows and items in "
            f"columns; got shape {X.shape} and dtype {X.dtype}. "
            "Pass a scipy.sparse.csr_array."
        )
    X = as_csr_array(X)
    _require_finite_and_non_negative(name, X)
    return canonical_csr(X)


def check_interactions(estimator, X, *, reset, n_items=None):
    """Validate an interaction matrix and return it as a canonical CSR array.

    Parameters
    ----------
    estimator : estimator
        Gets ``n_features_in_`` and ``feature_names_in_`` when `reset` is true, and is
        held to them otherwise.
    X : array-like or sparse of shape (n_users, n_items)
        Interactions, finite and not negative. Zero means no interaction.
    reset : bool
        True in ``fit``.
    n_items : int, default=None
        Required number of items, for hosts that know their catalogue before ``fit``.

    Returns
    -------
    csr_array of shape (n_users, n_items)
        float32 or float64, sorted indices, no duplicates, no stored zeros.

    Raises
    ------
    ValueError
        For negative or non-finite values, an empty matrix, or a wrong number of items.
    """
    if getattr(getattr(X, "dtype", None), "kind", "f") in "mM":
        # scikit-learn would count the days since 1970.
        raise TypeError(
            f"`X` must hold numbers; got dtype {X.dtype}. Pass times as "
            "X.astype(np.int64)."
        )
    try:
        X = validate_data(
            estimator,
            X,
            reset=reset,
            accept_sparse="csr",
            dtype=[np.float64, np.float32],
            ensure_all_finite=False,
        )
    except ValueError as error:
        if "is expecting" not in str(error):
            raise
        raise ValueError(
            f"`X` must have one column per item of the catalogue; got {error} "
            "Use the item positions of the training matrix."
        ) from None
    if n_items is not None and X.shape[1] != n_items:
        raise ValueError(
            f"`X` must have one column per item of the host ({n_items}); got "
            f"{X.shape[1]}. Use the item positions of the training matrix."
        )
    _require_finite_and_non_negative("X", X)
    return canonical_csr(X if issparse(X) else csr_array(X))


def _require_finite_and_non_negative(name, X):
    values = X.data if issparse(X) else X
    if values.size == 0:
        return
    n_bad = int(np.count_nonzero(~np.isfinite(values)))
    if n_bad:
        raise ValueError(
            f"`{name}` must hold finite interactions; got {n_bad} NaN or inf "
            "(infinity). Drop those entries or replace them by 0."
        )
    lowest = values.min()
    if lowest < 0:
        # The second half is scikit-learn's wording, which its own checks look for.
        raise ValueError(
            f"`{name}` must hold interactions >= 0; got {lowest:g} (Negative values in "
            "data passed to X). Remove those entries: 0 means no interaction."
        )


def check_user_ids(user_ids, n_rows, n_users=None):
    """Validate the positions of trained users that go with the rows of ``X``.

    Parameters
    ----------
    user_ids : array-like of shape (n_rows,)
        Positions ``0 .. n_users - 1`` of the host's trained users.
    n_rows : int
        Rows of ``X``.
    n_users : int, default=None
        Number of users the host has vectors for; None leaves the range unchecked.

    Returns
    -------
    ndarray of shape (n_rows,), dtype int64
    """
    ids = as_array("user_ids", user_ids)
    if ids.ndim != 1 or not np.issubdtype(ids.dtype, np.integer):
        raise ValueError(
            "`user_ids` must be a 1-D array of integer user positions; got an array of "
            f"shape {ids.shape} and dtype {ids.dtype}. Map your ids to positions first."
        )
    if len(ids) != n_rows:
        raise ValueError(
            f"`user_ids` must name one user per row of `X` ({n_rows}); got {len(ids)}. "
            "Pass the rows and their ids in the same order."
        )
    if n_users is not None and len(ids):
        unknown = ids[(ids < 0) | (ids >= n_users)]
        if len(unknown):
            raise ValueError(
                f"`user_ids` must be positions of trained users, 0 to {n_users - 1}; "
                f"got unknown {unknown[:3].tolist()}. Leave `user_ids` out for new "
                "users: their rows are folded in."
            )
    return ids.astype(np.int64, copy=False)


def check_embeddings(name, embeddings, *, n_columns=None):
    """Validate a table of embeddings and return it as float32.

    Parameters
    ----------
    name : str
        What to call it in a message.
    embeddings : array-like of shape (n_rows, d)
        Copied only where the dtype is not float32 already.
    n_columns : int, default=None
        Required width.

    Returns
    -------
    ndarray of shape (n_rows, d), dtype float32
    """
    table = as_array(name, embeddings)
    if table.ndim != 2 or table.dtype.kind not in "fiu" or 0 in table.shape:
        raise ValueError(
            f"`{name}` must be a 2-D table of numbers, one row each; got shape "
            f"{table.shape} and dtype {table.dtype}. Pass an array (n_rows, d)."
        )
    with np.errstate(over="ignore"):
        table = table.astype(np.float32, copy=False)
    if not np.isfinite(table).all():
        raise ValueError(
            f"`{name}` must hold finite numbers, in float32; got NaN or "
            "infinity. Check the training of the host: it may have diverged."
        )
    if n_columns is not None and table.shape[1] != n_columns:
        raise ValueError(
            f"`{name}` must have {n_columns} columns, as the item embeddings have; got "
            f"{table.shape[1]}. Pass tables of one and the same model."
        )
    return table


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
