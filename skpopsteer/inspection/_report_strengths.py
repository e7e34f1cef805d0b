"""Strengths of a method that cover all levels of accuracy, for a fair comparison."""

import numpy as np

from skpopsteer import metrics

__all__ = ["find_strengths"]

#: Doublings of the first strength, down and up, at the most.
_DOWN, _UP = 16, 12
#: Strengths that are spread evenly over the accuracy kept, and how far below the lowest
#: level they go: what is kept differs between the halves of the users.
_RUNGS, _BELOW = 16, 0.05
#: Bisections that look for the end.
_STEPS = 5
#: What is kept where next to nothing is lost.
_NOTHING_LOST = 0.995


def find_strengths(model, X, y, user_ids, lowest, first):
    """Find strengths from nothing lost to less than the lowest level kept.

    Parameters
    ----------
    model : fitted recommender with a strength
    X : csr_array of shape (n_users, n_items)
    y : held-out interactions
    user_ids : ndarray of shape (n_users,) or None
    lowest : float
        Share of the host's NDCG that has to be covered.
    first : float
        Where to begin; its sign is that of all. Not 0.

    Returns
    -------
    list of float
        From the one that is turned least; at most 16 and those the search has tried.

    Notes
    -----
    The strength is doubled, or halved, until it is about what keeps `lowest` minus a
    margin, and halved from there until next to nothing is lost.
    """
    k = model.n_recommendations
    own = float(metrics.ndcg(y, model.recommender_.recommend(X, k, user_ids=user_ids)))
    lists_at = model._lister(X, k, user_ids)
    floor, tried = lowest - _BELOW, {}

    def kept(strength):
        if strength not in tried:
            tried[strength] = float(metrics.ndcg(y, lists_at(strength))) / own
        return tried[strength]

    last = _end(kept, first, floor)
    _halve(kept, min(first, last, key=abs), _NOTHING_LOST)
    sizes = np.array(sorted(tried, key=abs))
    # Of a curve that goes up and down, the most that is lost so far.
    lost = 1 - np.minimum.accumulate([tried[size] for size in sizes.tolist()])
    targets = np.linspace(0, 1 - floor, _RUNGS + 1)[1:]
    sizes, lost = np.append(0.0, sizes), np.append(0.0, np.maximum(lost, 0.0))
    between = np.interp(targets, *_ascending(lost, sizes))
    found = {*tried, *between.tolist()} - {0.0}
    return sorted((s for s in found if abs(s) <= abs(last)), key=abs)


def _end(kept, first, floor):
    """Return about the least strength that keeps less than the floor."""
    if kept(first) < floor:
        outside = 2 * _halve(kept, first / 2, floor)
        inside = outside / 2
    else:
        inside, outside = first, 2 * first
        for _ in range(_UP):
            if kept(outside) < floor:
                break
            inside, outside = outside, 2 * outside
        else:
            # Nothing is lost, however far it is turned.
            return inside
    for _ in range(_STEPS):
        middle = (inside + outside) / 2
        if kept(middle) < floor:
            outside = middle
        else:
            inside = middle
    return outside


def _halve(kept, strength, level):
    """Halve a strength until a level is kept, and return it."""
    for _ in range(_DOWN):
        if kept(strength) >= level:
            break
        strength /= 2
    return strength


def _ascending(lost, sizes):
    """Keep what loses more than all before it, for interpolation."""
    more = np.append(True, lost[1:] > np.maximum.accumulate(lost)[:-1])
    return lost[more], sizes[more]
