"""Lists of maximal marginal relevance, item by item.

Compiled by numba when they are first called. Candidates stand in rows, best item first:
`scores` (n_users, m), -inf where padded, which are changed; `lists` (n_users, k) is
written: places in the row, -1 where there are none left.
"""

import numpy as np

from skpopsteer._compiled import compiled

__all__ = ["fill_by_embedding", "fill_by_level"]


@compiled
def _take_best(scores, strength, nearest, step, places):
    """Take the item with the best marginal relevance; return its place, -1 for none."""
    best, most = -1, -np.inf
    for j in range(len(scores)):
        if scores[j] == -np.inf:
            continue
        # Nothing is like an empty list, and what all items have alike does not count.
        value = scores[j] if step == 0 else scores[j] - strength * nearest[j]
        if value > most:
            best, most = j, value
    places[step] = best
    if best >= 0:
        scores[best] = -np.inf
    return best


@compiled
def fill_by_level(scores, levels, strength, lists):
    """Choose lists of items that differ in one number.

    Parameters
    ----------
    scores : float64 array of shape (n_users, m)
    levels : float64 array of shape (n_users, m)
        From 0 to 1; two items are as like as 1 less their distance.
    strength : float64 array of shape (n_users,)
    lists : int64 array of shape (n_users, k)
    """
    nearest = np.empty(scores.shape[1])
    for u in range(len(scores)):
        nearest[:] = -np.inf
        for step in range(lists.shape[1]):
            place = _take_best(scores[u], strength[u], nearest, step, lists[u])
            if place >= 0:
                for j in range(len(nearest)):
                    like = 1.0 - abs(levels[u, j] - levels[u, place])
                    nearest[j] = max(nearest[j], like)


@compiled
def fill_by_embedding(scores, items, table, strength, lists):
    """Choose lists of items whose embeddings differ.

    Parameters
    ----------
    scores : float64 array of shape (n_users, m)
    items : int array of shape (n_users, m)
    table : float32 array of shape (n_items, d)
        Rows of length 1.
    strength : float64 array of shape (n_users,)
    lists : int64 array of shape (n_users, k)
    """
    nearest = np.empty(scores.shape[1])
    own = np.empty((scores.shape[1], table.shape[1]), dtype=table.dtype)
    for u in range(len(scores)):
        nearest[:] = -np.inf
        for j in range(len(own)):
            own[j] = table[max(items[u, j], 0)]
        for step in range(lists.shape[1]):
            place = _take_best(scores[u], strength[u], nearest, step, lists[u])
            if place >= 0:
                likeness = np.dot(own, own[place])
                for j in range(len(nearest)):
                    nearest[j] = max(nearest[j], likeness[j])
