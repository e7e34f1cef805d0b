"""Users of popular and of unpopular taste, for whatever compares the two."""

import numpy as np

from skpopsteer.popularity import synthetic_profiles

__all__ = ["encode_twins", "extreme_users"]

#: Twins of a group at least and at most: means and deviations have settled long before.
_FEWEST, _MOST = 2_048, 20_480
#: Share of users in each group of real profiles (PopSteer's LightGCN variant).
_REAL_SHARE = 0.1


def encode_twins(host, X, item_groups, random_state):
    """Encode synthetic profiles, a twin of every user in either group.

    Parameters
    ----------
    host : fitted adapter
    X : csr_array of shape (n_users, n_items)
    item_groups : ndarray of shape (n_items,)
    random_state : int or RandomState instance

    Returns
    -------
    embeddings : ndarray of shape (n, d)
    side : ndarray of shape (n,), dtype int8
        1 popular, -1 unpopular.
    """
    if not host.folds_in:
        raise ValueError(
            "`profiles` must be 'real' for a host that only looks users up; got "
            "'synthetic'. Synthetic users have no trained vectors."
        )
    as_sequences = hasattr(host, "encode_sequences")
    profiles, side = synthetic_profiles(
        X,
        item_groups,
        n_profiles=int(np.clip(X.shape[0], _FEWEST, _MOST)),
        # The versions draw alike; only v2 cuts histories, which a host does by itself.
        version="v1",
        as_sequences=as_sequences,
        random_state=random_state,
    )
    encode = host.encode_sequences if as_sequences else host.encode_users
    return encode(profiles), side


def extreme_users(X, popularity):
    """Return the users with the most and the least popular histories.

    Parameters
    ----------
    X : csr_array of shape (n_users, n_items)
    popularity : ndarray of shape (n_items,)

    Returns
    -------
    users : ndarray of shape (n,)
        A tenth of those with a history, by the mean popularity of its items, and
        another tenth.
    side : ndarray of shape (n,), dtype int8
        1 for those of popular, -1 for those of unpopular histories.
    """
    lengths = np.diff(X.indptr)
    users = np.flatnonzero(lengths)
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
    size = max(1, round(_REAL_SHARE * len(users)))
    side = np.repeat(np.array([1, -1], dtype=np.int8), size)
    return np.concatenate([order[:size], order[-size:]]), side
