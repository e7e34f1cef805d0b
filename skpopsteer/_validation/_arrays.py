"""Numbers, tables and sparse matrices as callers hold them."""

from math import isfinite
from numbers import Real

import numpy as np
from scipy.sparse import csr_array, issparse

__all__ = [
    "as_array",
    "as_csr_array",
    "canonical_csr",
    "check_embeddings",
    "is_finite_number",
]


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
    """Convert a matrix of numbers to CSR, which knows no half precision.

    Extended precision, which no compiled loop of ours knows, becomes float64.
    """
    matrix = matrix.tocsr() if issparse(matrix) else matrix
    if matrix.dtype == np.float16:
        matrix = matrix.astype(np.float32)
    elif matrix.dtype.kind == "f" and matrix.dtype.itemsize > 8:
        with np.errstate(over="ignore"):
            matrix = matrix.astype(np.float64)
    return matrix if issparse(matrix) else csr_array(matrix)


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


def is_finite_number(value):
    """Tell whether a value is a number, and within the range of floats."""
    try:
        return isinstance(value, Real) and isfinite(value)
    except OverflowError:
        return False
