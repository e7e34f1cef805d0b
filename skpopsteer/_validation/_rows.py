"""Interactions, users in rows, and whose rows they are."""

import numpy as np
from scipy.sparse import csr_array, issparse
from sklearn.utils.validation import validate_data

from skpopsteer._validation._arrays import as_array, as_csr_array, canonical_csr

__all__ = ["as_interactions", "check_interactions", "check_user_ids"]


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
        # What is beyond float64 is infinite in it, and refused below.
        with np.errstate(over="ignore"):
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
