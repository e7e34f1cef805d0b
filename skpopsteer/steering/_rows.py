"""The rows a side is fitted on: real users, parts of histories, grouped profiles."""

import numpy as np
from scipy.sparse import csr_array

from skpopsteer.popularity import synthetic_profiles

__all__ = ["encode_profiles", "encode_training_rows", "sub_histories"]

#: Fewer embeddings than this train a dictionary badly; sub-histories make up for it.
MIN_TRAINING_ROWS = 8_192
#: Twins a group at the most: means and deviations have settled long before.
MAX_PROFILES = 20_480
#: Share of users in each group of real profiles (PopSteer's LightGCN variant).
_REAL_SHARE = 0.1


def encode_training_rows(host, X, rows, rng):
    """Return embeddings for training a probe: the real rows, and more if they are few.

    Parameters
    ----------
    host : fitted adapter
    X : csr_array of shape (n_users, n_items)
    rows : ndarray of shape (n_users, d)
        Embeddings of the rows of X.
    rng : numpy.random.Generator

    Returns
    -------
    ndarray of shape (max(n_users, 8192), d), dtype float32
    """
    missing = MIN_TRAINING_ROWS - len(rows)
    if missing <= 0 or not host.folds_in:
        return rows
    ordered = hasattr(host, "encode_sequences")
    return np.vstack([rows, host.encode_users(sub_histories(X, missing, ordered, rng))])


def sub_histories(X, n_rows, ordered, rng):
    """Cut real rows down to parts of them.

    Parameters
    ----------
    X : csr_array of shape (n_users, n_items)
    n_rows : int
        Rows wanted; non-empty rows of X are used in turn.
    ordered : bool
        Keep the earliest items, as an order-aware host has seen them, or else random
        ones.
    rng : numpy.random.Generator

    Returns
    -------
    csr_array of shape (n_rows, n_items)
        Every row holds a share between a quarter and all of its source's items, one at
        least.
    """
    sources = np.resize(np.flatnonzero(np.diff(X.indptr)), n_rows)
    parts = X[sources]
    lengths = np.diff(parts.indptr)
    row = np.repeat(np.arange(n_rows), lengths)
    order = np.lexsort((parts.data if ordered else rng.random(parts.nnz), row))
    rank = np.empty(parts.nnz, dtype=np.int64)
    rank[order] = np.arange(parts.nnz) - np.repeat(parts.indptr[:-1], lengths)
    kept_lengths = np.ceil(rng.uniform(0.25, 1.0, n_rows) * lengths).astype(np.int64)
    kept = rank < kept_lengths[row]
    indptr = np.concatenate([[0], np.cumsum(kept_lengths)])
    return csr_array((parts.data[kept], parts.indices[kept], indptr), shape=parts.shape)


def encode_profiles(host, X, rows, popularity, groups, kind, rng):
    """Return embeddings of head-only and tail-only profiles, and the group of each.

    Parameters
    ----------
    host : fitted adapter
    X : csr_array of shape (n_users, n_items)
    rows : ndarray of shape (n_users, d)
        Embeddings of the rows of X.
    popularity, groups : ndarray of shape (n_items,)
        Interactions and group per item.
    kind : {"synthetic", "real"}
        Twins made of one group only, or the tenth of the users whose histories are most
        popular on average and the tenth whose histories are least.
    rng : numpy.random.Generator

    Returns
    -------
    embeddings : ndarray of shape (n, d)
    profile_groups : ndarray of shape (n,), dtype int8
        +1 popular, -1 unpopular.
    """
    if kind == "real":
        return _real_groups(X, rows, popularity)
    if not host.folds_in:
        raise ValueError(
            "`profiles` must be 'real' for a host that only looks users up; got "
            "'synthetic'. Synthetic users have no trained vectors."
        )
    as_sequences = hasattr(host, "encode_sequences")
    profiles, profile_groups = synthetic_profiles(
        X,
        groups,
        n_profiles=int(np.clip(X.shape[0], 2_048, MAX_PROFILES)),
        # The versions draw alike; only v2 cuts histories, which a host does by itself.
        version="v1",
        as_sequences=as_sequences,
        random_state=int(rng.integers(np.iinfo(np.int32).max)),
    )
    encode = host.encode_sequences if as_sequences else host.encode_users
    return encode(profiles), profile_groups


def _real_groups(X, rows, popularity):
    lengths = np.diff(X.indptr)
    users = np.flatnonzero(lengths)
    size = max(1, round(_REAL_SHARE * len(users)))
    if len(users) < 2:
        raise ValueError(
            "`X` must hold at least 2 users with interactions for profiles='real'; got "
            f"{len(users)} (n_samples = {X.shape[0]}). Use profiles='synthetic'."
        )
    sums = np.bincount(
        np.repeat(np.arange(len(lengths)), lengths),
        weights=popularity[X.indices],
        minlength=len(lengths),
    )
    order = users[np.argsort(-sums[users] / lengths[users], kind="stable")]
    chosen = np.concatenate([order[:size], order[-size:]])
    return rows[chosen], np.repeat(np.array([1, -1], dtype=np.int8), size)
