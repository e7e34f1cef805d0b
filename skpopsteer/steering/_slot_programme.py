"""The best list of a user under prices, exactly, and lists of all users in turn.

Compiled by numba when they are first called. Candidates stand in rows, best probability
first: `items` (n_users, m), padded with -1, and `gains` (n_users, m), what a candidate
adds at a discount of 1. The best list then takes candidates in their order, so that it
is a dynamic programme over candidates and slots, of O(m k) steps.
"""

import math

import numpy as np

from skpopsteer._compiled import compiled

__all__ = ["exposure_step", "pass_over", "price_lists", "value_of"]


@compiled
def exposure_step(n, floor, unit):
    """Return the growth of an item's exposure value with one slot more.

    Parameters
    ----------
    n : float
        Slots it holds.
    floor : int
        Slots up to which every one is worth what the first is.
    unit : float
        What one slot counts for.

    Notes
    -----
    With ``x = max(n - floor + 1, 0)`` it is ``log((1 + unit (x + 1)) / (1 + unit x)) /
    unit``: the value is concave, and ``log(1 + n)`` where `floor` and `unit` are 1.
    """
    x = max(n - floor + 1.0, 0.0)
    return math.log((1.0 + unit * (x + 1.0)) / (1.0 + unit * x)) / unit


@compiled
def _memory(m, k):
    """Return memory for :func:`_best_list`, of lists of k out of m candidates."""
    taken = np.empty((m, k + 1), dtype=np.bool_)
    return np.empty(k + 1), np.empty(k), np.empty(m, dtype=np.int64), taken


@compiled
def _best_list(items, gains, prices, discounts, n_kept, memory, chosen):
    """Write the places of the best list of one user; return how many there are.

    The first `n_kept` of `chosen` are places that stay. A candidate is not tried where
    as many others as there are free slots come before it at no lower prices: in any
    list that holds it and not all of those, one of them would do at least as well.
    """
    best, highest, tried, taken = memory
    k = len(discounts)
    n_free = k - n_kept
    best[n_kept] = 0.0
    for slot in range(n_kept + 1, k + 1):
        best[slot] = -np.inf
    highest[:n_free] = -np.inf
    n_tried = 0
    for j in range(len(items)):
        if items[j] < 0 or not n_free:
            break
        price, gain = prices[items[j]], gains[j]
        if price <= highest[n_free - 1]:
            continue
        kept = False
        for slot in range(n_kept):
            kept = kept or chosen[slot] == j
        if kept:
            continue
        _insert(highest[:n_free], price)
        tried[n_tried] = j
        # From the last slot, so that a candidate is taken once.
        for slot in range(k, n_kept, -1):
            value = best[slot - 1] + discounts[slot - 1] * gain + price
            taken[n_tried, slot] = value > best[slot]
            if value > best[slot]:
                best[slot] = value
        n_tried += 1
    length = k
    while length > n_kept and best[length] == -np.inf:
        length -= 1
    slot = length
    for number in range(n_tried - 1, -1, -1):
        if slot > n_kept and taken[number, slot]:
            slot -= 1
            chosen[slot] = tried[number]
    return length


@compiled
def _insert(values, value):
    """Insert into a descending list; the last one drops out."""
    place = len(values) - 1
    while place > 0 and values[place - 1] < value:
        values[place] = values[place - 1]
        place -= 1
    values[place] = value


@compiled
def price_lists(items, gains, prices, discounts, kept, places):
    """Write the best list of every user at given prices.

    Parameters
    ----------
    items : int32 array of shape (n_users, m)
    gains : float32 array of shape (n_users, m)
    prices : float64 array of shape (n_items,)
    discounts : float64 array of shape (k,)
        Descending.
    kept : int64 array of shape (n_users, n_kept)
        Places whose items hold the first slots.
    places : int64 array of shape (n_users, k)
        Written: places in the row of candidates, -1 where there are none left.
    """
    memory = _memory(items.shape[1], len(discounts))
    for u in range(len(items)):
        n_first = _keep(items[u], kept[u], places[u])
        length = _best_list(
            items[u], gains[u], prices, discounts, n_first, memory, places[u]
        )
        places[u, length:] = -1


@compiled
def _keep(items, kept, places):
    n_first = 0
    for slot in range(len(kept)):
        if kept[slot] >= 0 and items[kept[slot]] >= 0:
            places[n_first] = kept[slot]
            n_first += 1
    return n_first


@compiled
def pass_over(
    order, items, gains, discounts, kept, places, counts, prices, tail, scale, floor,
    unit,
):  # fmt: skip
    """Choose the list of every user anew, given the lists of all others.

    Parameters
    ----------
    order : int64 array of shape (n_users,)
        Users, in the order they are visited.
    items, gains, discounts, kept, places : see :func:`price_lists`
        `places` holds the lists so far, -1 for none.
    counts : float64 array of shape (n_items,)
        Slots that every item holds. Changed.
    prices : float64 array of shape (n_items,)
        Memory.
    tail : float64 array of shape (n_items,)
        What a slot of an item is worth however many it holds.
    scale : float
        What exposure value is multiplied by.
    floor, unit : see :func:`exposure_step`
    """
    k = len(discounts)
    memory = _memory(items.shape[1], k)
    for i in range(len(prices)):
        prices[i] = scale * exposure_step(counts[i], floor, unit) + tail[i]
    for u in order:
        for slot in range(k):
            if places[u, slot] >= 0:
                i = items[u, places[u, slot]]
                counts[i] -= 1.0
                prices[i] = scale * exposure_step(counts[i], floor, unit) + tail[i]
        n_first = _keep(items[u], kept[u], places[u])
        length = _best_list(
            items[u], gains[u], prices, discounts, n_first, memory, places[u]
        )
        places[u, length:] = -1
        for slot in range(length):
            i = items[u, places[u, slot]]
            counts[i] += 1.0
            prices[i] = scale * exposure_step(counts[i], floor, unit) + tail[i]


@compiled
def _steps(n, floor, unit):
    """Return the growth of value with each of n slots."""
    steps = np.empty(n)
    for held in range(n):
        steps[held] = exposure_step(float(held), floor, unit)
    return steps


def value_of(items, gains, discounts, places, counts, tail, scale, floor, unit):
    """Return the objective that :func:`pass_over` never lowers.

    Parameters
    ----------
    items, gains, discounts, places, counts, tail, scale, floor, unit
        As there.

    Returns
    -------
    float
    """
    taken = np.maximum(places, 0)
    held = places >= 0
    relevance = np.take_along_axis(gains, taken, axis=1) * discounts
    listed = np.take_along_axis(items, taken, axis=1)[held]
    # The value of n slots is the sum of its steps.
    steps = _steps(int(counts.max(initial=0)), floor, unit)
    exposure = np.concatenate([[0.0], np.cumsum(steps)])[counts.astype(np.int64)]
    return relevance[held].sum() + scale * exposure.sum() + tail[listed].sum()
