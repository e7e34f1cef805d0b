"""Prices of exposure that keep the worst-off provider up: the online part of P-MMF."""

from dataclasses import dataclass

import numpy as np

__all__ = ["ProviderMarket", "nearest_prices"]

#: What a provider that has used up its places costs on top: more than any relevance.
_CLOSED = 1e4


def nearest_prices(prices, shares):
    """Find the nearest prices at which subsidies do not pass their bound.

    Parameters
    ----------
    prices : ndarray of shape (n_providers,)
        Of one place each; negative ones are subsidies.
    shares : ndarray of shape (n_providers,)
        Places that belong to a provider, as a share of all; positive.

    Returns
    -------
    ndarray of shape (n_providers,)
        Where ``-np.minimum(shares * prices, 0).sum() <= 1``, with the least sum of
        ``(shares * change) ** 2``.

    Notes
    -----
    The bound says the same as one for every set of providers. What is not negative
    stays; the rest is projected to a simplex, which takes one sort.

    Examples
    --------
    >>> import numpy as np
    >>> from skpopsteer.rerankers._provider_prices import nearest_prices
    >>> nearest_prices(np.array([1.0, -4.0, -2.0]), np.array([0.5, 0.5, 0.5]))
    array([ 1., -2., -0.])
    """
    subsidies = np.maximum(prices * -shares, 0.0)
    if subsidies.sum() <= 1:
        return prices
    descending = np.sort(subsidies)[::-1]
    over = np.cumsum(descending)
    over -= 1
    n_kept = np.count_nonzero(descending * np.arange(1, len(over) + 1) > over)
    subsidies -= over[n_kept - 1] / n_kept
    np.maximum(subsidies, 0.0, out=subsidies)
    subsidies /= -shares
    return np.where(prices < 0, subsidies, prices)


@dataclass
class ProviderMarket:
    """Prices that follow the exposure of providers, users coming one after the other.

    Attributes
    ----------
    shares : ndarray of shape (n_providers,)
        Places that belong to a provider, as a share of all.
    learning_rate, momentum : float
    capped : bool
        Whether a provider may not have more places than belong to it. It pays for them
        then, and comes last once they are used up; without caps there are only
        subsidies.
    prices : ndarray of shape (n_providers,)
    """

    shares: np.ndarray
    learning_rate: float
    momentum: float
    capped: bool

    def __post_init__(self):
        """Start with nothing to pay."""
        self.prices = np.zeros(len(self.shares))
        self._gradient = np.zeros(len(self.shares))
        self._step = self.learning_rate * self.shares.mean() / self.shares**2

    def open(self, n_places):
        """Hand out the places of a round of users."""
        self._n_places = n_places
        self._left = n_places * self.shares

    def cost(self, owners, strength):
        """Return what items of some providers cost users of some strengths."""
        cost = strength * self.prices[owners]
        if self.capped and self._left.min() <= 0:
            cost += np.where(self._left <= 0, _CLOSED, 0.0)[owners]
        return cost

    def sell(self, counts, n_users, k):
        """Take note of the places some users gave to every provider."""
        fresh = self.shares
        if self.capped:
            self._left -= counts
            fresh = np.maximum(self._left, 0) / self._n_places
        fresh = fresh - counts / (n_users * k)
        fresh *= 1 - self.momentum
        self._gradient *= self.momentum
        self._gradient += fresh
        # As far as these users would have gone one by one.
        moved = self.prices - n_users * self._step * self._gradient
        if not self.capped:
            np.minimum(moved, 0.0, out=moved)
        self.prices = nearest_prices(moved, self.shares)
