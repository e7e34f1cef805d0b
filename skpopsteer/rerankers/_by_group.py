"""Greedy choice of lists where only the group of an item counts, and its rank.

Of the items of a group the host's best comes first whatever the rule. So a place is
filled by comparing one item a group instead of the whole pool.
"""

import numpy as np

__all__ = ["GroupQueues", "best_group", "greedy_lists"]


class GroupQueues:
    """The items of every group of a pool, waiting in the host's order.

    Parameters
    ----------
    labels : ndarray of shape (n_rows, m)
        Groups, from 0 to `n_groups` - 1; -1 for what must not be chosen.
    n_groups : int
    k : int
        How many items are going to be taken at most.
    """

    def __init__(self, labels, n_groups, k):
        n_rows = len(labels)
        self._rows = np.arange(n_rows)
        self._waiting = np.full((n_rows, n_groups, k + 1), -1, dtype=np.int64)
        for group in range(n_groups):
            members = labels == group
            rank = np.cumsum(members, axis=1)
            rows, places = np.nonzero(members & (rank <= k))
            self._waiting[rows, group, rank[rows, places] - 1] = places
        self._served = np.zeros((n_rows, n_groups), dtype=np.int64)

    def first(self):
        """Place in the pool of the first of every group (n_rows, n_groups), or -1."""
        return np.take_along_axis(self._waiting, self._served[:, :, None], axis=2)[
            :, :, 0
        ]

    def take(self, group):
        """Take the first of one group a row; return its place. Group -1 takes none."""
        taken = np.flatnonzero(group >= 0)
        group = group[taken]
        places = np.full(len(self._rows), -1, dtype=np.int64)
        served = self._served[taken, group]
        places[taken] = self._waiting[taken, group, served]
        self._served[taken, group] += 1
        return places


def best_group(scores, places):
    """Find the group whose first item scores highest.

    Parameters
    ----------
    scores : ndarray of shape (n_rows, n_groups)
        -inf for a group that must not be chosen.
    places : ndarray of shape (n_rows, n_groups)
        Where these items stand in the pool, or -1.

    Returns
    -------
    ndarray of shape (n_rows,)
        Equal scores go to the host's better item; -1 where no group can be chosen.
    """
    scores = np.where(places < 0, -np.inf, scores)
    best = scores.max(axis=1, keepdims=True)
    last = np.iinfo(np.int64).max
    group = np.where(scores == best, places, last).argmin(axis=1)
    return np.where(best[:, 0] == -np.inf, -1, group)


def greedy_lists(labels, n_groups, k, gain):
    """Fill the places of lists one after the other.

    Parameters
    ----------
    labels, n_groups, k : see :class:`GroupQueues`
        As there.
    gain : callable
        ``gain(places, counts)``, the scores of the first items of all groups, of shape
        (n_rows, n_groups): `places` where they stand in the pool (-1 for none, whose
        score is not read) and `counts`, how many of each group are in the list.

    Returns
    -------
    ndarray of shape (n_rows, k), dtype int64
        Places in the pool, -1 where it has run out.
    """
    queues = GroupQueues(labels, n_groups, k)
    rows = np.arange(len(labels))
    counts = np.zeros((len(labels), n_groups), dtype=np.int64)
    lists = np.empty((len(labels), k), dtype=np.int64)
    for step in range(k):
        places = queues.first()
        group = best_group(gain(places, counts), places)
        lists[:, step] = queues.take(group)
        counts[rows, group] += group >= 0
    return lists
