"""Exact top-k over blocks of scores, with a rule for ties and for short lists."""

import math
from numbers import Integral

import numpy as np
from numpy.lib.stride_tricks import as_strided
from scipy.sparse import issparse

__all__ = [
    "finite_top_k",
    "forbid",
    "highest",
    "merge_lists",
    "only",
    "row_blocks",
    "top_k",
]

#: Scores held at once. 2**20 float32 are 4 MiB, most of which stay in the cache while
#: lists are made of them.
BLOCK_SCORES = 2**20
#: Rows of a block at least: a product of few rows waits for the items to be read.
BLOCK_ROWS = 32
#: Items at the head of a list that are compared one by one: for so few no sort pays.
_SHORT_HEAD = 32


def row_blocks(n_rows: int, n_columns: int):
    """Cut rows into slices of about one size, whose scores fit the budget.

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
    >>> list(row_blocks(70, 2**20))
    [slice(0, 24, None), slice(24, 48, None), slice(48, 70, None)]
    """
    for name, count in (("n_rows", n_rows), ("n_columns", n_columns)):
        _check_count(name, count)
    most = max(BLOCK_ROWS, BLOCK_SCORES // max(1, n_columns))
    n_blocks = max(1, math.ceil(n_rows / most))
    step = max(1, math.ceil(n_rows / n_blocks))
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

    Raises
    ------
    ValueError
        For scores that are NaN.

    Notes
    -----
    O(n_items + k log k) a row: see `highest`, then a sort of what it found.

    Examples
    --------
    >>> import numpy as np
    >>> from skpopsteer.topk import top_k
    >>> ids, values = top_k(np.array([[1.0, 3.0, 3.0, -np.inf]]), 5)
    >>> ids
    array([[ 1,  2,  0, -1, -1]])
    """
    _check_scores(scores)
    _check_count("k", k)
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
    _require_numbers(values)
    ids[values == -np.inf] = -1
    return ids, values


def finite_top_k(scores, k: int):
    """Return what :func:`top_k` does, of scores that are finite in the lists.

    Parameters
    ----------
    scores, k : see :func:`top_k`
        As there.

    Returns
    -------
    ids, values : ndarray of shape (n_rows, k)
        As there.

    Raises
    ------
    ValueError
        For a score that is NaN, or infinite at the head of a list.

    Examples
    --------
    >>> import numpy as np
    >>> from skpopsteer.topk import finite_top_k
    >>> finite_top_k(np.array([[1.0, np.inf]]), 1)
    Traceback (most recent call last):
        ...
    ValueError: `recommender` must give scores that are finite; got an infinite one. \
Check the training of the host, and how far it is turned.
    """
    ids, values = top_k(scores, k)
    require_finite(values)
    return ids, values


def require_finite(values):
    """Refuse scores of lists that are NaN or infinite; -inf is that of no item."""
    _require_numbers(values)
    if values.max(initial=-np.inf) == np.inf:
        raise ValueError(
            "`recommender` must give scores that are finite; got an infinite one. "
            "Check the training of the host, and how far it is turned."
        )


def _check_count(name, count):
    if isinstance(count, bool) or not isinstance(count, Integral):
        raise TypeError(
            f"`{name}` must be an integer >= 0; got {count!r}. Pass a whole number."
        )
    if not 0 <= count < 2**31:
        raise ValueError(
            f"`{name}` must be an integer >= 0 and below 2**31; got {count}. "
            "Pass a whole number."
        )


def _check_scores(scores):
    if not isinstance(scores, np.ndarray) or scores.dtype.kind != "f":
        raise TypeError(
            "`scores` must be an array of floats, for -inf stands for an item that "
            f"must not be listed; got {getattr(scores, 'dtype', type(scores).__name__)}"
            ". Convert it by astype(np.float32)."
        )
    if scores.ndim != 2:
        raise ValueError(
            "`scores` must be 2-D, a row of scores of all items each; got shape "
            f"{scores.shape}. Pass scores[None] for a single row."
        )


def _require_numbers(scores):
    # The maximum of anything with NaN is NaN: one pass, and no mask.
    if np.isnan(scores.max(initial=-np.inf)):
        raise ValueError(
            "`recommender` must give scores that are numbers; got NaN. "
            "Check the training of the host: it may have diverged."
        )


def _partition(scores, kept):
    """Positions of the `kept` highest scores of a row, ascending, ties to the lower."""
    n_items = scores.shape[1]
    if kept == n_items:
        return np.broadcast_to(np.arange(n_items), scores.shape)
    chosen, tied = highest(scores, kept)
    for row in tied:
        # Groups with NaN are among the tied.
        _require_numbers(scores[row])
        border = np.partition(scores[row], n_items - kept)[n_items - kept]
        above = np.flatnonzero(scores[row] > border)
        level = np.flatnonzero(scores[row] == border)[: kept - len(above)]
        chosen[row] = np.concatenate([above, level])
    chosen.sort(axis=1)
    return chosen


def highest(scores, k):
    """Find the k highest scores of every row where no tie leaves a choice.

    Parameters
    ----------
    scores : ndarray of shape (n_rows, n_columns)
        Left as it is.
    k : int
        Less than n_columns.

    Returns
    -------
    chosen : ndarray of shape (n_rows, k), dtype int64
        Columns, in no order; of no meaning in tied rows.
    tied : ndarray of int
        Rows where the k-th highest score occurs again, or is NaN.

    Notes
    -----
    The k highest lie in the k groups of columns with the highest maxima. Those are the
    groups that reach the k-th highest maximum, which a partition of the maxima finds:
    one pass over the scores, instead of a partition of them all.

    Examples
    --------
    >>> import numpy as np
    >>> from skpopsteer.topk import highest
    >>> chosen, tied = highest(np.array([[3.0, 1.0, 2.0], [1.0, 1.0, 0.0]]), 1)
    >>> chosen[0], tied
    (array([0]), array([1]))
    """
    _check_scores(scores)
    _check_count("k", k)
    n_rows, n_columns = scores.shape
    if not 1 <= k < n_columns:
        raise ValueError(
            f"`k` must be at least 1 and less than the number of columns ({n_columns})"
            f"; got {k}. top_k takes any length."
        )
    if not n_rows:
        return np.empty((0, k), dtype=np.int64), np.empty(0, dtype=np.int64)
    # About as many maxima to partition as there are scores in the groups chosen.
    size = 2 ** int(np.log2(max(1, np.sqrt(n_columns / (2 * k)))))
    if size < 4:
        return _reach_kth(scores, k)
    # Group j is the columns j, j + n_groups, ...: their maximum is one pass in order.
    n_groups = n_columns // size
    by_row, by_column = scores.strides
    slabs = as_strided(
        scores, (n_rows, size, n_groups), (by_row, by_column * n_groups, by_column),
        writeable=False,
    )  # fmt: skip
    maxima = slabs.max(axis=1)
    # What is over when the columns are dealt out goes to the first groups.
    n_over = n_columns - size * n_groups
    over = scores[:, n_columns - n_over :]
    np.maximum(maxima[:, :n_over], over, out=maxima[:, :n_over])
    groups, tied = _reach_kth(maxima, k)
    members = groups[:, :, None] + n_groups * np.arange(size + (n_over > 0))
    members = members.reshape(n_rows, -1)
    values = scores.take(
        np.minimum(members, n_columns - 1) + n_columns * np.arange(n_rows)[:, None]
    )
    values[members >= n_columns] = -np.inf
    best, tied_too = _reach_kth(values, k)
    return np.take_along_axis(members, best, axis=1), np.union1d(tied, tied_too)


def _reach_kth(scores, k):
    """Return the columns that reach the k-th highest score, and rows with more."""
    n_rows, n_columns = scores.shape
    top = np.partition(scores, n_columns - k, axis=1)[:, n_columns - k :]
    reached = scores >= top[:, :1]
    counts = np.count_nonzero(reached, axis=1)
    # NaN stands at the end, and a tie may make up for it in the count.
    tied = np.flatnonzero((counts != k) | np.isnan(top.max(axis=1)))
    if len(tied):
        # Anything of the right shape: these rows are done again.
        reached[tied] = np.arange(n_columns) < k
    return np.flatnonzero(reached).reshape(n_rows, k) % n_columns, tied


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
    for name, lists in (("first", first), ("second", second)):
        _check_lists(name, lists, first.shape[0] if getattr(first, "ndim", 0) else 0)
    _check_count("n_first", n_first)
    k = first.shape[1]
    if not first.size:
        return first.copy()
    n_first = min(n_first, k)
    head = first[:, :n_first]
    merged = np.hstack([head, np.where(_held_by(head, second), -1, second)])
    kept = merged >= 0
    # Where each kept item goes once the gaps before it are closed.
    place = np.cumsum(kept, axis=1) - 1
    kept &= place < k
    lists = np.full(first.shape, -1, dtype=merged.dtype)
    lists[np.nonzero(kept)[0], place[kept]] = merged[kept]
    return lists


def _held_by(heads, lists):
    """Tell which items of lists are in the heads of their rows."""
    if heads.shape[1] > _SHORT_HEAD:
        # One key per (row, item), so that a single look-up serves all rows.
        n_ids = max(heads.max(), lists.max(), 0) + 2
        rows = np.arange(len(heads))[:, None] * n_ids
        return np.isin(rows + lists, rows + heads)
    held = np.zeros(lists.shape, dtype=bool)
    for column in heads.T:
        held |= lists == column[:, None]
    return held


def _check_lists(name, lists, n_rows):
    if not isinstance(lists, np.ndarray) or lists.dtype.kind != "i":
        raise TypeError(
            f"`{name}` must be an array of integer item positions; got "
            f"{getattr(lists, 'dtype', type(lists).__name__)}. Pass lists of top_k."
        )
    if lists.ndim != 2 or len(lists) != n_rows:
        raise ValueError(
            f"`{name}` must be 2-D and have a list for each row of the other; got "
            f"shape {lists.shape}. Pass lists of top_k."
        )


def forbid(scores, mask, rows=None):
    """Set the scores of the masked items to -inf, in place.

    Parameters
    ----------
    scores : ndarray of shape (n_rows, n_items)
        Changed.
    mask : csr_array of shape (n, n_items) or ndarray of shape (n_items,)
        Items to leave out, a row each or of all rows.
    rows : slice, default=None
        Which rows of a sparse mask the scores are of; None means all.

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
    _check_scores(scores)
    scores[_positions(scores, mask, rows)] = -np.inf


def only(scores, mask, rows=None):
    """Return scores that are -inf but for the masked items.

    Parameters
    ----------
    scores : ndarray of shape (n_rows, n_items)
        Left as they are.
    mask : csr_array of shape (n, n_items) or ndarray of shape (n_items,)
        Items to keep, a row each or of all rows.
    rows : slice, default=None
        Which rows of a sparse mask the scores are of; None means all.

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
    _check_scores(scores)
    allowed = np.full_like(scores, -np.inf)
    positions = _positions(scores, mask, rows)
    allowed[positions] = scores[positions]
    return allowed


def _positions(scores, mask, rows):
    n_rows, n_items = scores.shape
    if not issparse(mask):
        if getattr(mask, "shape", None) != (n_items,):
            raise ValueError(
                f"`mask` must hold one value per item ({n_items}), or be a CSR array "
                f"with a row each; got {getattr(mask, 'shape', type(mask).__name__)}. "
                "Pass an array of bool."
            )
        return slice(None), np.flatnonzero(mask)
    # Not mask[rows]: that would cost more than all the rest.
    start, stop, _ = (slice(None) if rows is None else rows).indices(mask.shape[0])
    if mask.format != "csr" or mask.shape[1] != n_items or stop - start != n_rows:
        raise ValueError(
            f"`mask` must be a CSR array with a row for each of {n_rows} rows and "
            f"{n_items} columns; got {mask.format} of shape {mask.shape} at "
            f"{start}:{stop}. Convert it by csr_array(mask), and check `rows`."
        )
    indptr = mask.indptr[start : stop + 1]
    held = mask.indices[indptr[0] : indptr[-1]]
    return np.repeat(np.arange(stop - start), np.diff(indptr)), held
