"""Turn every model until its lists hold the same share of tail items."""

import numpy as np

from skpopsteer.metrics import tail_share

__all__ = ["KEPT", "Knob", "overlaps"]

#: Doublings of a model's own strength that are tried.
_DOUBLINGS = range(-4, 7)
#: Share of the host's items that lists keep where nobody names a target.
KEPT = 0.5
#: Halvings of an interval: until a target is met, and where roughly will do.
_HALVINGS, _ROUGHLY = 20, 6


class Knob:
    """Tail share of a fitted model's lists at any strength.

    Parameters
    ----------
    model : fitted recommender with a strength
    X : csr_array of shape (n_users, n_items)
    own : ndarray of shape (n_users, k)
        Lists of the host.
    item_groups : ndarray of shape (n_items,)
    user_ids : array-like of shape (n_users,) or None

    Attributes
    ----------
    points : dict of float to tuple of float
        Tail share, and share of the host's items that are kept, by strength.
    """

    def __init__(self, model, X, own, item_groups, user_ids):
        self.lists = model._lister(X, own.shape[1], user_ids)
        self.unit = abs(model.strength) or 1.0
        self.own, self.item_groups = own, item_groups
        self.points = {}

    def measure(self, strength):
        """Return the tail share and the share of the host's items at a strength."""
        if strength not in self.points:
            lists = self.lists(strength)
            share = tail_share(lists, self.item_groups)
            self.points[strength] = share, np.nanmean(overlaps(self.own, lists))
        return self.points[strength]

    def reach(self):
        """Return the largest tail share while half of the host's items are kept."""
        inside = 0.0
        self.measure(inside)
        for strength in self._strengths():
            if self.measure(strength)[1] < KEPT:
                self._close_in(inside, strength, lambda point: point[1] >= KEPT)
                break
            inside = strength
        kept = [share for share, kept in self.points.values() if kept >= KEPT]
        return max(kept, default=-np.inf)

    def find(self, target, near):
        """Return the least strength whose lists reach a tail share, or None.

        Parameters
        ----------
        target : float
        near : float
            How far above it they may be.
        """
        outside = 0.0
        for strength in self._strengths():
            if self.measure(strength)[0] >= target:
                return self._close_in(
                    strength,
                    outside,
                    lambda point: point[0] >= target,
                    lambda point: point[0] <= target + near,
                )
            outside = strength
        return None

    def _close_in(self, good, bad, is_good, is_enough=None):
        """Halve the way from a good strength to a bad one; return the last good one."""
        for _ in range(_HALVINGS if is_enough else _ROUGHLY):
            if is_enough and is_enough(self.measure(good)):
                break
            middle = (good + bad) / 2
            if is_good(self.measure(middle)):
                good = middle
            else:
                bad = middle
        return good

    def _strengths(self):
        return sorted({*self.points, *(self.unit * 2.0**n for n in _DOUBLINGS)})


def overlaps(own, lists):
    """Return the share of the items of every list that another one holds; NaN if empty.

    Parameters
    ----------
    own, lists : ndarray of shape (n_users, k)
        Padded with -1.

    Returns
    -------
    ndarray of shape (n_users,)
    """
    both = (own[:, :, None] == lists[:, None, :]) & (own[:, :, None] >= 0)
    n_own = (own >= 0).sum(axis=1)
    shares = np.full(len(own), np.nan)
    return np.divide(both.sum(axis=(1, 2)), n_own, out=shares, where=n_own > 0)
