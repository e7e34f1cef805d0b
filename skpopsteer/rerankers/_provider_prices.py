"""Prices of exposure that keep the worst-off provider up: the online part of P-MMF.

Compiled by numba when it is first called. Candidates stand in rows, best item first:
`scores` (n_users, m), -inf where padded, and `owners` (n_users, m), their providers.
"""

import numpy as np

from skpopsteer._compiled import compiled

__all__ = ["bound_subsidies", "serve"]

#: What a provider that has used up its places costs on top: more than any relevance.
_CLOSED = 1e4


@compiled
def bound_subsidies(prices, shares):
    """Move prices to the nearest ones at which subsidies do not pass their bound.

    Parameters
    ----------
    prices : float64 array of shape (n_providers,)
        Of one place each; negative ones are subsidies. Changed, so that
        ``-np.minimum(shares * prices, 0).sum() <= 1`` with the least sum of
        ``(shares * change) ** 2``.
    shares : float64 array of shape (n_providers,)
        Places that belong to a provider, as a share of all; positive.

    Notes
    -----
    The bound says the same as one for every set of providers. What is not negative
    stays; the rest is projected to a simplex: subsidies fall by one amount, those below
    it to zero. As they do, the amount for the others grows, until none of them is below
    it, which takes a few passes.
    """
    total, n_given = 0.0, 0
    for p in range(len(prices)):
        if prices[p] < 0:
            total -= prices[p] * shares[p]
            n_given += 1
    if total <= 1.0:
        return
    amount, n_left = (total - 1.0) / n_given, 0
    while n_left != n_given:
        n_left, n_given, total = n_given, 0, 0.0
        for p in range(len(prices)):
            subsidy = -prices[p] * shares[p]
            if subsidy > amount:
                total += subsidy
                n_given += 1
        amount = (total - 1.0) / n_given
    for p in range(len(prices)):
        if prices[p] < 0:
            subsidy = max(-prices[p] * shares[p] - amount, 0.0)
            prices[p] = -subsidy / shares[p]


@compiled
def _fill(scores, owners, strength, prices, closed, n_kept, places):
    """Write the places of a user's list: the first `n_kept`, then the best net ones."""
    k, length = len(places), 0
    net = np.empty(k)
    for j in range(len(scores)):
        if scores[j] == -np.inf:
            continue
        if j < n_kept:
            places[length] = j
            net[length] = np.inf
            length += 1
            continue
        value = scores[j] - strength * prices[owners[j]]
        if closed[owners[j]]:
            value -= _CLOSED
        if length == k and value <= net[k - 1]:
            continue
        # Equal ones stay in the order of the pool.
        slot = length if length < k else k - 1
        while slot > 0 and net[slot - 1] < value:
            net[slot], places[slot] = net[slot - 1], places[slot - 1]
            slot -= 1
        net[slot], places[slot] = value, j
        length = min(length + 1, k)
    places[length:] = -1


@compiled
def serve(
    order, batch_size, scores, owners, strength, shares, step, momentum, capped, n_kept,
    prices, gradient, lists,
):  # fmt: skip
    """Serve all users once, the prices following what their lists hold.

    Parameters
    ----------
    order : int64 array of shape (n_users,)
    batch_size : int
        Users who are served at the same prices.
    scores : float32 array of shape (n_users, m)
    owners : int64 array of shape (n_users, m)
    strength : float64 array of shape (n_users,)
    shares : float64 array of shape (n_providers,)
        Places that belong to a provider, as a share of all.
    step : float64 array of shape (n_providers,)
        Of the prices, per unit of the gradient.
    momentum : float
    capped : bool
        Whether a provider may not have more places than belong to it. It pays for them
        then, and comes last once they are used up; without caps there are only
        subsidies.
    n_kept : int
        The first places of a pool that stay at the top, at most k.
    prices, gradient : float64 arrays of shape (n_providers,)
        Changed.
    lists : int64 array of shape (n_users, k)
        Written: places in the pool, -1 where there are none left.

    Returns
    -------
    float64 array of shape (n_providers,)
        Prices summed over users, as they were when these were served.
    """
    n_users, k = lists.shape
    n_providers = len(shares)
    left = n_users * k * shares
    paid, counts = np.zeros(n_providers), np.zeros(n_providers)
    closed = np.zeros(n_providers, dtype=np.bool_)
    for start in range(0, n_users, batch_size):
        rows = order[start : start + batch_size]
        paid += len(rows) * prices
        counts[:] = 0.0
        for u in rows:
            _fill(scores[u], owners[u], strength[u], prices, closed, n_kept, lists[u])
            for place in lists[u]:
                if place >= 0:
                    counts[owners[u, place]] += 1.0
        for p in range(n_providers):
            fresh = shares[p]
            if capped:
                left[p] -= counts[p]
                closed[p] = left[p] <= 0
                fresh = max(left[p], 0.0) / (n_users * k)
            fresh -= counts[p] / (len(rows) * k)
            gradient[p] = momentum * gradient[p] + (1.0 - momentum) * fresh
            # As far as these users would have gone one by one.
            prices[p] -= len(rows) * step[p] * gradient[p]
            if not capped:
                prices[p] = min(prices[p], 0.0)
        bound_subsidies(prices, shares)
    return paid
