"""What a calibrator is trained on: items of pools, and whether they were hits."""

from contextlib import suppress

import numpy as np
from scipy.sparse import csr_array, issparse

from skpopsteer._pool import draw_pool
from skpopsteer._spans import spans
from skpopsteer._validation import as_array, as_interactions

__all__ = ["draw_pools", "held_out_rows", "hits_of", "sample_rows"]

#: Added to the rank in the weight of a row: without weights the bottom of the pool,
#: where most of it lies, decides the fit.
_RANK_OFFSET = 10.0


def held_out_rows(y, shape):
    """Return held-out interactions as rows of 0 and 1.

    Parameters
    ----------
    y : sparse of shape (n_users, n_items), HeldOut or array-like of shape (n_users,)
    shape : tuple of int
        Of X.

    Returns
    -------
    csr_array of shape (n_users, n_items)
    """
    y = getattr(y, "y", y)
    if issparse(y) and y.shape == shape:
        y = as_interactions("y", y)
        # Of the caller's own y the data alone are replaced.
        ones = np.ones(y.nnz, dtype=np.float32)
        return csr_array((ones, y.indices, y.indptr), shape=shape)
    what = f"held-out interactions of the shape of `X` {shape}, or an item per row"
    if y is None:
        raise ValueError(
            f"`y` must hold {what}; the estimator requires y to be passed, but the "
            "target y is None. hide_interactions(X) makes X_seen and y."
        )
    items = y if issparse(y) else as_array("y", y)
    if items.dtype.kind == "O":
        with suppress(TypeError, ValueError):
            items = items.astype(np.float64)
    if issparse(y) or items.shape != shape[:1] or items.dtype.kind not in "biuf":
        raise ValueError(
            f"`y` must hold {what}; got shape {items.shape} and dtype {items.dtype}. "
            "hide_interactions(X) makes X_seen and y."
        )
    # Whole numbers only: labels of another kind are nobody's held-out items.
    known = (items >= 0) & (items < shape[1]) & (items == np.floor(items))
    rows = np.flatnonzero(known)
    return csr_array(
        (np.ones(len(rows), np.float32), (rows, items[rows].astype(np.int64))), shape
    )


def draw_pools(host, X, user_ids, pool_size):
    """Return the pools of all rows, span by span.

    Parameters
    ----------
    host : fitted recommender
    X : csr_array of shape (n_users, n_items)
    user_ids : ndarray of shape (n_users,) or None
    pool_size : int

    Returns
    -------
    list of Pool
    """
    return [
        draw_pool(
            host, X[span], None if user_ids is None else user_ids[span], pool_size
        )
        for span in spans(X.shape[0])
    ]


def hits_of(pool, y):
    """Tell which items of a pool were held out.

    Parameters
    ----------
    pool : Pool of n_rows times m items
    y : csr_array of shape (n_rows, n_items)

    Returns
    -------
    ndarray of shape (n_rows, m), dtype bool
    """
    # One column more, which padding points to.
    held = np.zeros((y.shape[0], y.shape[1] + 1), dtype=bool)
    held[np.repeat(np.arange(y.shape[0]), np.diff(y.indptr)), y.indices] = True
    return np.take_along_axis(held, pool.items, axis=1)


def sample_rows(pools, hits, features, n_negatives, rng):
    """Return all hits and some of the other items of pools.

    Parameters
    ----------
    pools : list of Pool
    hits : list of ndarray of shape (n_rows, m)
    features : PoolFeatures
    n_negatives : float
        Items that were no hits, a hit.
    rng : numpy Generator

    Returns
    -------
    F : ndarray of shape (n, n_features), dtype float32
    hit : ndarray of shape (n,), dtype bool
    weight : ndarray of shape (n,)
    user : ndarray of shape (n,)
        Row of every item, over all pools.
    rate : float
        Share of the items without a hit that were drawn.
    """
    n_hits = sum(int(h.sum()) for h in hits)
    n_others = sum(int((p.items >= 0).sum()) for p in pools) - n_hits
    rate = min(1.0, n_negatives * max(n_hits, 1) / max(n_others, 1))
    # Its logarithm is asked for.
    rate = max(rate, np.finfo(np.float64).tiny)
    parts, start = [], 0
    for pool, hit in zip(pools, hits, strict=True):
        drawn = hit | ((rng.random(hit.shape) < rate) & (pool.items >= 0))
        rows, ranks = np.nonzero(drawn)
        parts.append((features.of(pool)[drawn], hit[drawn], ranks, rows + start))
        start += len(hit)
    F, hit, ranks, user = (np.concatenate(part) for part in zip(*parts, strict=True))
    return F, hit, 1.0 / (ranks + 1 + _RANK_OFFSET), user, rate
