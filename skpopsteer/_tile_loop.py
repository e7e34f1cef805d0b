"""The loop over a tile of scores, compiled when it is first called."""

import numpy as np

from skpopsteer._compiled import compiled

__all__ = ["insert_best"]

#: Scores that are compared at once. A loop of fixed length becomes a few vector
#: instructions, nine times as fast as one whose length is not known.
_CHUNK = 64


@compiled
def _holds(indices, start, stop, item):
    """Whether ascending indices hold an item between two places."""
    end = stop
    while start < stop:
        middle = (start + stop) // 2
        if indices[middle] < item:
            start = middle + 1
        else:
            stop = middle
    return start < end and indices[start] == item


@compiled
def _insert(values, items, value, item):
    """Insert into a descending list, behind what is equal; the last one drops out."""
    place = len(values) - 1
    while place > 0 and values[place - 1] < value:
        values[place], items[place] = values[place - 1], items[place - 1]
        place -= 1
    values[place], items[place] = value, item


@compiled
def insert_best(tile, first, offsets, factors, indptr, indices, values, items):
    """Insert into the list of every row what a tile has of better scores.

    Parameters
    ----------
    tile : ndarray of shape (n_rows, n_columns), dtype float32
        Scores of consecutive items, all of which come behind those seen before.
    first : int
        Item of the first column.
    offsets, factors : ndarray of shape (n_columns,), (n_rows,), dtype float32
        Their products are added to the scores: here that costs next to nothing.
    indptr, indices : ndarray of int
        Items that each row must not list, ascending.
    values, items : ndarray of shape (n_rows, k)
        The best so far, descending, equal scores by position; -inf and -1 where there
        is none. Written to.

    Returns
    -------
    bool
        False for a score that is NaN, and may be listed: it takes the first place, and
        no more is looked at.
    """
    n_rows, n_columns = tile.shape
    last = values.shape[1] - 1
    for row in range(n_rows):
        factor = factors[row]
        for start in range(0, n_columns, _CHUNK):
            stop = min(start + _CHUNK, n_columns)
            border = values[row, last]
            if stop - start == _CHUNK:
                chunk, added = tile[row, start:stop], offsets[start:stop]
                n_better = np.int32(0)
                for j in range(_CHUNK):
                    score = chunk[j] + factor * added[j]
                    # NaN is not less than anything.
                    n_better = np.int32(n_better + np.int32(not (score <= border)))
                if n_better == 0:
                    continue
            for j in range(start, stop):
                score = tile[row, j] + factor * offsets[j]
                if score <= border:
                    continue
                if _holds(indices, indptr[row], indptr[row + 1], first + j):
                    continue
                if np.isnan(score):
                    values[row, 0] = score
                    return False
                _insert(values[row], items[row], score, first + j)
                border = values[row, last]
    return True
