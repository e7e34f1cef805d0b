"""Small cases for rules that choose lists, and what their plain references share."""

import numpy as np
from scipy.sparse import csr_array

from skpopsteer.adapters import as_recommender

N_USERS, N_ITEMS = 30, 24
IDS = np.arange(N_USERS)


def random_case(seed, *, ties=False):
    """Return interactions, and a host whose scores of trained users are random.

    The first users have no history, one item, and all items but three.
    """
    rng = np.random.default_rng(seed)
    chance = np.linspace(0.6, 0.02, N_ITEMS)
    X = (rng.random((N_USERS, N_ITEMS)) < chance).astype(np.float64)
    X[0] = 0
    X[1] = np.arange(N_ITEMS) == 5
    X[2] = np.arange(N_ITEMS) >= 3
    scores = rng.normal(size=(N_USERS, N_ITEMS)) - 0.1 * np.arange(N_ITEMS)
    if ties:
        scores = np.round(scores)
    return csr_array(X), host_of(scores)


def host_of(scores):
    """Make a host that gives its trained users these scores, to the last bit.

    The items have traits that no user looks at, so that they are not all unlike.
    """
    n_users, n_items = np.shape(scores)
    U, V = np.zeros((n_users, 40)), np.zeros((n_items, 40))
    U[:, :n_items] = scores
    V[:, :n_items] = np.eye(n_items)
    V[:, 30:] = np.random.default_rng(0).normal(size=(n_items, 10))
    return as_recommender((U.astype(np.float32), V.astype(np.float32)))


def pools_of(host, X, size, ids=IDS):
    """Return one list of (item, score) a user, the host's best first."""
    items, scores = host.recommend(X, size, user_ids=ids, return_scores=True)
    return [
        [
            (int(item), float(score))
            for item, score in zip(*row, strict=True)
            if item >= 0
        ]
        for row in zip(items, scores, strict=True)
    ]


def plain_relevance(pool):
    """Bring the scores of a pool to [0, 1]."""
    scores = [score for _, score in pool]
    if not scores or max(scores) == min(scores):
        return [1.0] * len(scores)
    low, high = min(scores), max(scores)
    return [(score - low) / (high - low) for score in scores]


def plain_shares(X, groups, of):
    """Share of the items in groups `of` in every history; their average for none."""
    rows = X.toarray() > 0
    held = [
        np.isin(groups[row], of).sum() / row.sum() if row.any() else None
        for row in rows
    ]
    mean = np.mean([share for share in held if share is not None])
    return [mean if share is None else share for share in held]


def plain_greedy(pool, k, gain):
    """Fill a list: ``gain(chosen, place)`` of places in the pool; first on ties."""
    chosen = []
    for _ in range(min(k, len(pool))):
        left = [place for place in range(len(pool)) if place not in chosen]
        values = [gain(chosen, place) for place in left]
        # Rounding must not decide between equal ones.
        best = max(values)
        chosen.append(next(p for p, v in zip(left, values, strict=True) if v >= best))
    return chosen


def padded(pool, places, k):
    """Return the items at some places of a pool, padded with -1."""
    items = [pool[place][0] for place in places]
    return items + [-1] * (k - len(items))
