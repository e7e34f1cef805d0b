"""The rows a side is fitted on: real users, parts of histories, grouped profiles."""

import numpy as np
from scipy.sparse import csr_array

from skpopsteer._profiles import encode_twins, extreme_users

__all__ = ["encode_profiles", "encode_training_rows", "sub_histories"]

#: Fewer embeddings than this train a dictionary badly; sub-histories make up for it.
MIN_TRAINING_ROWS = 8_192


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
        users, side = extreme_users(X, popularity)
        return rows[users], side
    return encode_twins(host, X, groups, int(rng.integers(np.iinfo(np.int32).max)))
