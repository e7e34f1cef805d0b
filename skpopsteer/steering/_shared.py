"""What the candidates of a search share: rows are encoded once for all of them."""

import numpy as np
from sklearn.utils.validation import check_memory

from skpopsteer.steering._rows import encode_profiles, encode_training_rows

__all__ = ["encode_fit_rows", "encode_users"]


def encode_users(memory, host, X, user_ids):
    """Encode rows, looking into the memory first.

    Parameters
    ----------
    memory : str, joblib.Memory or None
    host : fitted adapter
    X : csr_array of shape (n_users, n_items)
    user_ids : array-like of shape (n_users,) or None

    Returns
    -------
    ndarray of shape (n_users, d), dtype float32
    """
    encode, key = _cached(memory, _encode_users, host)
    return encode(host, key, X, user_ids)


def encode_fit_rows(memory, host, X, user_ids, **settings):
    """Encode every row that the user side is fitted on, looking into the memory first.

    Parameters
    ----------
    memory : str, joblib.Memory or None
    host : fitted adapter
    X : csr_array of shape (n_users, n_items)
    user_ids : array-like of shape (n_users,) or None
    **settings : dict
        `popularity`, `groups`, `kind` and `seed`, as :func:`encode_profiles` reads
        them; a `kind` of None makes no profiles.

    Returns
    -------
    rows : ndarray of shape (n_users, d)
        Real users.
    training : ndarray of shape (n, d)
        What the probe trains on.
    profiles : tuple of (ndarray of shape (m, d), ndarray of shape (m,)) or None
        Embeddings, and groups: +1 popular, -1 unpopular.
    """
    encode, key = _cached(memory, _encode_fit_rows, host)
    return encode(host, key, X, user_ids, **settings)


def _cached(memory, function, host):
    """Return the function, cached where the host can be told from others, and its key.

    The host is left out of what joblib hashes: hashes of implicit and torch models are
    not stable. The key stands in for it.
    """
    key = None
    if memory is not None and hasattr(host, "_content_key"):
        key = host._content_key()
    if key is None:
        return function, None
    return check_memory(memory).cache(function, ignore=["host"]), key


def _encode_users(host, key, X, user_ids):
    return host.encode_users(X, user_ids)


def _encode_fit_rows(host, key, X, user_ids, popularity, groups, kind, seed):
    rng = np.random.default_rng(seed)
    rows = host.encode_users(X, user_ids)
    profiles = None
    if kind is not None:
        profiles = encode_profiles(host, X, rows, popularity, groups, kind, rng)
    return rows, encode_training_rows(host, X, rows, rng), profiles
