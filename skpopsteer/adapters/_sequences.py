"""Rows of times into the padded sequences that order-aware hosts read."""

from numbers import Integral

import numpy as np

from skpopsteer._validation import as_array, as_interactions

__all__ = ["check_sequences", "rows_to_sequences"]


def rows_to_sequences(X, max_length=50):
    """Order the items of every row by its values and keep the last ones.

    Parameters
    ----------
    X : CSR array or matrix of shape (n_users, n_items)
        Values are times, all > 0 (0 means no interaction). Equal times keep the order
        of the item positions.
    max_length : int, default=50
        Length of the sequences.

    Returns
    -------
    ndarray of shape (n_users, max_length), dtype int64
        Item positions, oldest first, padded with -1 at the end.

    Notes
    -----
    A matrix holds an item once per row: repeats need ``encode_sequences``. Times are
    compared as float64; timestamps in seconds tie in float32. O(nnz log nnz).

    Examples
    --------
    >>> from scipy.sparse import csr_array
    >>> from skpopsteer.adapters import rows_to_sequences
    >>> rows_to_sequences(csr_array([[0, 30, 10, 20]]), max_length=2)
    array([[3, 1]])
    """
    whole = isinstance(max_length, Integral) and not isinstance(max_length, bool)
    if not whole or not 1 <= max_length < 2**31:
        raise ValueError(
            f"`max_length` must be an integer >= 1; got {max_length!r}. "
            "It is the length of the sequences."
        )
    X = as_interactions("X", X)
    lengths = np.diff(X.indptr)
    rows = np.repeat(np.arange(X.shape[0]), lengths)
    order = np.lexsort((X.data, rows))
    # Steps from the end of the row: 0 is the latest item.
    from_end = np.repeat(X.indptr[1:], lengths) - 1 - np.arange(len(rows))
    kept = from_end < max_length
    sequences = np.full((X.shape[0], max_length), -1, dtype=np.int64)
    column = np.minimum(lengths, max_length)[rows] - 1 - from_end
    sequences[rows[kept], column[kept]] = X.indices[order][kept]
    return sequences


def check_sequences(sequences, n_items, max_length):
    """Validate padded sequences and keep the last `max_length` items of each.

    Parameters
    ----------
    sequences : array-like of shape (n_users, length)
        Item positions, oldest first, padded with -1 at either end.
    n_items : int
        Positions must lie below.
    max_length : int
        Length of the result.

    Returns
    -------
    ndarray of shape (n_users, max_length), dtype int64
        Padded with -1 at the end.
    """
    sequences = as_array("sequences", sequences)
    if sequences.ndim != 2 or not np.issubdtype(sequences.dtype, np.integer):
        raise ValueError(
            "`sequences` must be a 2-D array of integer item positions; got shape "
            f"{sequences.shape} and dtype {sequences.dtype}. Pad short ones with -1."
        )
    if sequences.size and (sequences.min() < -1 or sequences.max() >= n_items):
        wrong = sequences[(sequences < -1) | (sequences >= n_items)][0]
        raise ValueError(
            f"`sequences` must hold item positions 0 to {n_items - 1}, or -1 for "
            f"padding; got {wrong}. Map your ids to positions first."
        )
    held = sequences >= 0
    # Right-align first, so that the last items survive the cut; then close up left.
    aligned = np.take_along_axis(
        sequences, np.argsort(held, axis=1, kind="stable"), axis=1
    )
    recent = np.full((len(sequences), max_length), -1, dtype=np.int64)
    width = min(max_length, sequences.shape[1])
    if width:
        recent[:, :width] = aligned[:, -width:]
    order = np.argsort(recent < 0, axis=1, kind="stable")
    return np.take_along_axis(recent, order, axis=1)
