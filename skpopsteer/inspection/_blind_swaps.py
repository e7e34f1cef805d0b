"""Lists whose items were exchanged without a look at what they are."""

import numpy as np

__all__ = ["BlindSwaps"]

#: Draws of lists, whose measures are averaged.
_DRAWS = 10
#: Rounds of drawing again what a user has seen or has twice.
_ROUNDS = 200


class BlindSwaps:
    """Exchange items of lists for random ones that the user has not seen.

    Parameters
    ----------
    X : csr_array of shape (n_users, n_items)
        What users have seen.
    own : ndarray of shape (n_users, k)
        Lists before.
    in_tail : ndarray of shape (n_items,), dtype bool
    seed : int

    Notes
    -----
    Every unseen item of a group is equally likely. Where a user has so few of them that
    none is found in 200 rounds, the old item stays.
    """

    def __init__(self, X, own, in_tail, seed):
        self.own, self.in_tail = own, in_tail
        self.rng = np.random.default_rng(seed)
        self.filled = own >= 0
        self.tail = in_tail[own] & self.filled
        self.pools = [np.flatnonzero(in_tail == group) for group in (False, True)]
        n_users, self.n_items = X.shape
        seen = np.repeat(np.arange(n_users), np.diff(X.indptr)) * self.n_items
        users, slots = np.nonzero(self.filled)
        listed = users * self.n_items + own[users, slots]
        # Pairs of user and item, as one sorted key each.
        self.forbidden = np.unique(np.concatenate([seen + X.indices, listed]))

    def like(self, lists):
        """Exchange as many items of every list as a recommender has, group by group.

        Parameters
        ----------
        lists : ndarray of shape (n_users, k)
            What it made of the lists before.

        Returns
        -------
        list of ndarray of shape (n_users, k)
        """
        gone = ~_in_rows(self.own, lists) & self.filled
        new = ~_in_rows(lists, self.own) & (lists >= 0)
        tail_out, rest_out = (
            (gone & group).sum(axis=1) for group in (self.tail, ~self.tail)
        )
        tail_in = (new & self.in_tail[lists]).sum(axis=1)
        return [self._exchange(tail_out, rest_out, tail_in) for _ in range(_DRAWS)]

    def fewest(self, tail_share):
        """Exchange other items for tail items, anywhere, until these have their share.

        Parameters
        ----------
        tail_share : float

        Returns
        -------
        list of ndarray of shape (n_users, k)
        """
        missing = round(tail_share * self.filled.sum()) - self.tail.sum()
        rest = np.flatnonzero(self.filled & ~self.tail)
        swapped = []
        for _ in range(_DRAWS):
            chosen = self.rng.choice(rest, size=max(missing, 0), replace=False)
            out = np.bincount(chosen // self.own.shape[1], minlength=len(self.own))
            swapped.append(self._exchange(np.zeros_like(out), out, out))
        return swapped

    def _exchange(self, tail_out, rest_out, tail_in):
        """Exchange some tail items and some others of every list.

        Parameters
        ----------
        tail_out, rest_out : ndarray of shape (n_users,)
            How many of each leave; as many items enter.
        tail_in : ndarray of shape (n_users,)
            How many of those are of the tail.
        """
        out = self._choose(self.tail, tail_out)
        out |= self._choose(self.filled & ~self.tail, rest_out)
        users, slots = np.nonzero(out)
        groups = self._choose(out, tail_in)[users, slots]
        swapped = self.own.copy()
        swapped[users, slots] = self._draw(users, groups, self.own[users, slots])
        return swapped

    def _choose(self, mask, n_chosen):
        """Choose some of the marked slots of every row at random."""
        order = np.argsort(np.where(mask, self.rng.random(mask.shape), np.inf), axis=1)
        first = np.arange(mask.shape[1]) < n_chosen[:, None]
        chosen = np.zeros_like(mask)
        np.put_along_axis(chosen, order, first, axis=1)
        return chosen & mask

    def _draw(self, users, groups, old):
        """Draw an unseen item for every user, of the tail where the group says so."""
        items = np.full(len(users), -1, dtype=np.int64)
        missing = np.arange(len(users))
        for _ in range(_ROUNDS):
            for group, pool in enumerate(self.pools):
                mine = missing[groups[missing] == group]
                if len(pool):
                    items[mine] = self.rng.choice(pool, len(mine))
            keys = users * self.n_items + items
            missing = np.flatnonzero((items < 0) | self._refused(keys))
            if not len(missing):
                break
        return np.where(np.isin(np.arange(len(users)), missing), old, items)

    def _refused(self, keys):
        """Mark pairs that are forbidden, or stand further ahead already."""
        repeated = np.ones(len(keys), dtype=bool)
        repeated[np.unique(keys, return_index=True)[1]] = False
        place = np.searchsorted(self.forbidden, keys)
        found = self.forbidden[np.minimum(place, len(self.forbidden) - 1)] == keys
        return repeated | found


def _in_rows(lists, others):
    """Mark the items of every list that another list of the same user holds."""
    return (lists[:, :, None] == others[:, None, :]).any(axis=2)
