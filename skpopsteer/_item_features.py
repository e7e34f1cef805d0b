"""Read features of items, in any of the forms a caller may hold, into one matrix."""

from collections import Counter
from collections.abc import Mapping

import numpy as np
from scipy.sparse import csc_array, csr_array, issparse

__all__ = ["check_item_features"]


def check_item_features(item_features, n_items):
    """Validate features of items and return them as a canonical CSR array.

    Parameters
    ----------
    item_features : sparse, array-like, data frame, dict or tuple
        A matrix (n_items, n_features), a vector (n_items,) for one feature, a pandas or
        polars data frame, a dict of names to vectors, or a tuple ``(features, names)``
        of one of these and its names. Finite, not negative; 0 means the item does not
        have the feature. Rows are the items by position.
    n_items : int
        Required number of items.

    Returns
    -------
    features : csr_array of shape (n_items, n_features), dtype float64
        Sorted indices, no duplicates, no stored zeros. It may share memory with the
        input, which is left as it is.
    names : ndarray of shape (n_features,), dtype object
        Strings; the number of the column where there are no names.

    Raises
    ------
    ValueError
        For values that are no numbers, negative or not finite, a wrong number of items
        or names, and names that occur twice.

    Examples
    --------
    >>> from skpopsteer._item_features import check_item_features
    >>> features, names = check_item_features({"noir": [1, 0], "war": [0, 2]}, 2)
    >>> features.toarray()
    array([[1., 0.],
           [0., 2.]])
    >>> names
    array(['noir', 'war'], dtype=object)
    """
    given = None
    if _is_pair(item_features):
        item_features, given = item_features
    matrix, names = _read(item_features)
    if given is not None:
        names = [str(name) for name in given]
    elif names is None:
        names = [str(column) for column in range(matrix.shape[1])]
    _check_shape(matrix.shape, n_items)
    _check_names(names, matrix.shape[1])
    features = _as_csr(matrix)
    _check_values(features, names)
    return _canonical(features), np.array(names, dtype=object)


def _is_pair(features):
    is_pair = isinstance(features, tuple) and len(features) == 2
    return is_pair and not np.isscalar(features[0])


def _read(features):
    """Return a matrix, sparse or dense, and names where the caller's form has some."""
    if isinstance(features, Mapping):
        return _join(features.items()), [str(name) for name in features]
    if hasattr(features, "columns") and hasattr(features, "dtypes"):
        if hasattr(features, "iloc"):
            columns = features.items()
        else:
            columns = ((name, features[name]) for name in features.columns)
        return _join(columns), [str(name) for name in features.columns]
    matrix = features if issparse(features) else _as_numbers(features)
    if matrix.ndim not in (1, 2):
        raise ValueError(
            "`item_features` must be a matrix, items in rows and features in columns; "
            f"got {type(features).__name__} of shape {matrix.shape}. Pass a matrix, a "
            "data frame, or a tuple (matrix, names)."
        )
    _check_kind(matrix.dtype)
    if matrix.ndim == 2:
        return matrix, None
    # A series has a name; that of polars may be empty.
    name = getattr(features, "name", None)
    return matrix.reshape(-1, 1), [name] if name and isinstance(name, str) else None


def _join(columns):
    """Join named vectors; no more than one of them is dense at a time."""
    parts, length = [], None
    for name, values in columns:
        rows, entries, shape = _take_nonzero(values, f" in {str(name)!r}")
        length = shape if length is None else length
        if len(shape) != 1 or shape != length:
            raise ValueError(
                "`item_features` must hold vectors of one length, a value per item; "
                f"got shape {shape} for {str(name)!r}. Pass 0 where it is not so."
            )
        parts.append((rows, entries))
    if not parts:
        return csc_array((0, 0))
    indptr = np.concatenate([[0], np.cumsum([len(rows) for rows, _ in parts])])
    rows, entries = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    return csc_array((entries, rows, indptr), shape=(*length, len(parts)))


def _take_nonzero(values, where):
    """Return positions and values of what is not 0, and the shape."""
    array = getattr(values, "array", None)
    # A sparse column of pandas; others fill their gaps with NaN, or anything.
    if hasattr(array, "sp_values") and array.fill_value == 0:
        _check_kind(array.sp_values.dtype, where)
        return array.nonzero()[0], array.sp_values.astype(np.float64), array.shape
    vector = _as_numbers(values, where)
    _check_kind(vector.dtype, where)
    (rows,) = np.nonzero(vector.ravel())
    return rows, vector.ravel()[rows].astype(np.float64), vector.shape


def _as_numbers(values, where=""):
    if hasattr(values, "iloc"):
        _check_kind(values.dtype, where)
        # Nullable columns become float, with NaN for what is missing.
        return values.to_numpy(dtype=np.float64, na_value=np.nan)
    try:
        return np.asarray(values)
    except ValueError:
        raise ValueError(
            f"`item_features` must hold one value per item and feature{where}; got "
            f"lists of unequal lengths. Pass a matrix, or a dict of names to vectors."
        ) from None


def _check_kind(dtype, where=""):
    # Data types of pandas have a kind too, "O" for strings and categories.
    if dtype.kind not in "biuf":
        raise ValueError(
            f"`item_features` must hold numbers; got dtype {dtype}{where}. Encode "
            "categories as one column of 0 and 1 each."
        )


def _check_shape(shape, n_items):
    if shape[1] == 0:
        raise ValueError(
            "`item_features` must hold at least one feature; got none. Load a set with "
            "tags, or pass a column of 0 and 1."
        )
    if shape[0] != n_items:
        raise ValueError(
            f"`item_features` must have one row per item ({n_items}); got {shape[0]}. "
            "Rows go by the position of the items, which are the columns of `X`."
        )


def _check_names(names, n_features):
    if len(names) != n_features:
        raise ValueError(
            f"`item_features` must have one name per feature ({n_features}); got "
            f"{len(names)}. Pass (features, names)."
        )
    name, count = Counter(names).most_common(1)[0]
    if count > 1:
        raise ValueError(
            f"`item_features` must have different names; got {name!r} {count} times. "
            "Rename those columns, or add them up."
        )


def _as_csr(matrix):
    """Convert to CSR of float64; copied only where the form or the type differs."""
    if not issparse(matrix) and matrix.dtype == np.float16:
        # scipy knows no half precision.
        matrix = matrix.astype(np.float64)
    table = matrix.tocsr() if issparse(matrix) else csr_array(matrix)
    # A new object on the same buffers: scipy caches what it once knew of their order.
    return csr_array(
        (table.data.astype(np.float64, copy=False), table.indices, table.indptr),
        shape=table.shape,
        copy=False,
    )


def _check_values(features, names):
    strange = ~np.isfinite(features.data) | (features.data < 0)
    if strange.any():
        first = np.flatnonzero(strange)[0]
        raise ValueError(
            "`item_features` must hold finite numbers >= 0; got "
            f"{features.data[first]:g} in {names[features.indices[first]]!r}. Use 0 "
            "where an item does not have the feature."
        )


def _canonical(features):
    if features.has_canonical_format and features.data.all():
        return features
    owned = features.copy()
    owned.sum_duplicates()
    owned.eliminate_zeros()
    return owned
