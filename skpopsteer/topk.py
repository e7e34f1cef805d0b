"""Exact top-k over blocks of scores, with a rule for ties and for short lists."""

import numpy as np
from scipy.sparse import issparse

__all__ = ["forbid", "merge_lists", "only", "row_blocks", "rows_of", "top_k"]

#: Scores held at once. 2**22 float32 are 16 MiB: larger blocks are no faster.
BLOCK_SCORES = 2**22


def row_blocks(n_rows: int, n_columns: int):
    """Cut rows into slices whose scores fit the budget.

    Parameters
    ----------
    n_rows, n_columns : int
        Shape of the whole score matrix, which is never made.

    Yields
    ------
    slice
        Consecutive rows, in order.

    Examples
    --------
    >>> from skpopsteer.topk import row_blocks
    >>> list(row_blocks(5, 2**21))
    [slice(0, 2, None), slice(2, 4, None), slice(4, 5, None)]
    """
    step = max(1, BLOCK_SCORES // max(1, n_columns))
    for start in range(0, n_rows, step):
        yield slice(start, min(start + step, n_rows))


def top_k(scores, k: int):
    """Return the k highest scores of every row and where they stand.

    Parameters
    ----------
    scores : ndarray of shape (n_rows, n_items)
        An item that must not be listed has the score -inf. Left as it is.
    k : int
        Length of the lists; may be more than there are items.

    Returns
    -------
    ids : ndarray of shape (n_rows, k), dtype int64
        Item positions by descending score; equal scores go to the lower position. Rows
        with fewer than k finite scores are padded with -1.
    values : ndarray of shape (n_rows, k)
        Their scores, -inf where padded.

    Notes
    -----
    O(n_items + k log k) a row: a partition, then a sort of what it kept.

    Examples
    --------
    >>> import numpy as np
    >>> from skpopsteer.topk import top_k
    >>> ids, values = top_k(np.array([[1.0, 3.0, 3.0, -np.inf]]), 5)
    >>> ids
    array([[ 1,  2,  0, -1, -1]])
    """
    n_rows, n_items = scores.shape
    kept = min(k, n_items)
    ids = np.full((n_rows, k), -1, dtype=np.int64)
    values = np.full((n_rows, k), -np.inf, dtype=scores.dtype)
    if not kept or not n_rows:
        return ids, values
    chosen = _partition(scores, kept)
    top = np.take_along_axis(scores, chosen, axis=1)
    # Ascending ids first: the stable sort by score then leaves ties to the lower one.
    order = np.argsort(-top, axis=1, kind="stable")
    ids[:, :kept] = np.take_along_axis(chosen, order, axis=1)
    values[:, :kept] = np.take_along_axis(top, order, axis=1)
    ids[values == -np.inf] = -1
    return ids, values


def _partition(scores, kept):
    """Positions of the `kept` highest scores of a row, ascending, ties to the lower."""
    n_items = scores.shape[1]
    if kept == n_items:
        return np.broadcast_to(np.arange(n_items), scores.shape)
    chosen = np.argpartition(scores, n_items - kept, axis=1)[:, n_items - kept :]
    chosen.sort(axis=1)
    worst = np.take_along_axis(scores, chosen, axis=1).min(axis=1, keepdims=True)
    # argpartition breaks a tie at the border anyhow; only such rows are done again.
    tied = np.flatnonzero((scores >= worst).sum(axis=1) > kept)
    for row in tied:
        above = np.flatnonzero(scores[row] > worst[row])
        level = np.flatnonzero(scores[row] == worst[row])[: kept - len(above)]
        chosen[row] = np.sort(np.concatenate([above, level]))
    return chosen


def merge_lists(first, second, n_first: int):
    """Keep the beginning of one list and fill up from another, without repeats.

    Parameters
    ----------
    first, second : ndarray of shape (n_rows, k), dtype int64
        Lists of item positions padded with -1. `second` must hold k items wherever
        there are as many, so that a full list remains after repeats are dropped.
    n_first : int
        How many items of `first` stay where they are.

    Returns
    -------
    ndarray of shape (n_rows, k), dtype int64
        -1 only where both lists have run out.

    Examples
    --------
    >>> import numpy as np
    >>> from skpopsteer.topk import merge_lists
    >>> merge_lists(np.array([[4, 5, 6]]), np.array([[7, 4, 8]]), 1)
    array([[4, 7, 8]])
    """
    k = first.shape[1]
    n_first = min(n_first, k)
    head = first[:, :n_first]
    # One key per (row, item), so that a single look-up serves all rows.
    rows = np.arange(len(first))[:, None] * (max(first.max(), second.max(), 0) + 2)
    repeated = np.isin(rows + second, rows + head)
    merged = np.hstack([head, np.where(repeated, -1, second)])
    # A stable sort on "is padding" closes the gaps and keeps the order of the rest.
    order = np.argsort(merged == -1, axis=1, kind="stable")
    return np.take_along_axis(merged, order, axis=1)[:, :k]


def rows_of(mask, rows):
    """Cut a mask of items to a block of rows.

    Parameters
    ----------
    mask : csr_array of shape (n_rows, n_items) or ndarray of shape (n_items,)
        One row each, or one mask that all rows share.
    rows : slice
        The block.

    Returns
    -------
    csr_array or ndarray
        A shared mask as it is.

    Examples
    --------
    >>> import numpy as np
    >>> from skpopsteer.topk import rows_of
    >>> rows_of(np.array([True, False]), slice(0, 5))
    array([ True, False])
    """
    return mask[rows] if issparse(mask) else mask


def forbid(scores, mask):
    """Set the scores of the masked items to -inf, in place.

    Parameters
    ----------
    scores : ndarray of shape (n_rows, n_items)
        Changed.
    mask : csr_array of shape (n_rows, n_items) or ndarray of shape (n_items,)
        Items to leave out.

    Examples
    --------
    >>> import numpy as np
    >>> from skpopsteer.topk import forbid
    >>> scores = np.ones((2, 2))
    >>> forbid(scores, np.array([True, False]))
    >>> scores
    array([[-inf,   1.],
           [-inf,   1.]])
    """
    scores[_positions(mask)] = -np.inf


def only(scores, mask):
    """Return scores that are -inf but for the masked items.

    Parameters
    ----------
    scores : ndarray of shape (n_rows, n_items)
        Left as they are.
    mask : csr_array of shape (n_rows, n_items) or ndarray of shape (n_items,)
        Items to keep.

    Returns
    -------
    ndarray of shape (n_rows, n_items)
        A new array.

    Examples
    --------
    >>> import numpy as np
    >>> from skpopsteer.topk import only
    >>> only(np.ones((1, 2)), np.array([True, False]))
    array([[  1., -inf]])
    """
    allowed = np.full_like(scores, -np.inf)
    positions = _positions(mask)
    allowed[positions] = scores[positions]
    return allowed


def _positions(mask):
    if not issparse(mask):
        return slice(None), np.flatnonzero(mask)
    return np.repeat(np.arange(mask.shape[0]), np.diff(mask.indptr)), mask.indices
