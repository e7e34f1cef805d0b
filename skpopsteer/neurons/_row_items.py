"""Rows of interactions into sparse activations and the item that stands for each."""

import numpy as np
from scipy.sparse import csr_array, issparse, vstack

from skpopsteer._validation import as_interactions, canonical_csr
from skpopsteer.metrics._lists import check_held_out

__all__ = [
    "as_activations",
    "encode_activations",
    "items_of_rows",
    "read_host",
    "times_of_rows",
]

#: Rows encoded at once: their activations are dense for a moment.
_BLOCK_ROWS = 1_024


def read_host(recommender, probe):
    """Return the host and the probe, of a steered recommender its own ones.

    Parameters
    ----------
    recommender : fitted host or fitted SteeredRecommender
    probe : fitted probe or None

    Returns
    -------
    host, probe : object
    """
    host = getattr(recommender, "recommender_", recommender)
    if not hasattr(host, "encode_users"):
        raise TypeError(
            "`recommender` must be a fitted host with encode_users, or a fitted "
            f"SteeredRecommender; got {type(recommender).__name__}. Wrap a trained "
            "model: as_recommender(model)."
        )
    if probe is None and getattr(recommender, "side_", None) != "item":
        probe = getattr(recommender, "probe_", None)
    if probe is None:
        raise ValueError(
            "`probe` must be fitted on the embeddings of the host's users; got None. "
            "Pass one, or a SteeredRecommender that steers users: rule='shift', say."
        )
    return host, probe


def encode_activations(host, probe, X, user_ids):
    """Encode rows block by block and keep what fires.

    Parameters
    ----------
    host : fitted host
        With ``encode_users``.
    probe : fitted probe
        With ``transform``.
    X : csr_array of shape (n_rows, n_items)
    user_ids : ndarray of shape (n_rows,) or None

    Returns
    -------
    csr_array of shape (n_rows, n_neurons)
        Positive activations.
    """
    blocks = [
        as_activations(probe.transform(host.encode_users(X[rows], ids)))
        for rows, ids in _blocks(X.shape[0], user_ids)
    ]
    return vstack(blocks, format="csr")


def as_activations(Z):
    """Return activations as a CSR array that stores the positive ones only."""
    Z = csr_array(Z) if issparse(Z) else csr_array(np.asarray(Z))
    # A comparison of scipy puts a matrix in order, and so the caller's memory.
    Z = canonical_csr(Z)
    if (Z.data > 0).all():
        return Z
    return csr_array((Z.multiply(Z > 0)).tocsr())


def times_of_rows(host, X, times):
    """Return when the rows met their items, or None where nothing tells.

    Parameters
    ----------
    host : object or None
        An order-aware host, which has ``encode_sequences``, reads times in `X`.
    X : csr_array of shape (n_rows, n_items)
    times : sparse of shape (n_rows, n_items) or None
        The caller's; they come before those in `X`.

    Returns
    -------
    csr_array of shape (n_rows, n_items) or None
    """
    if times is None:
        return X if hasattr(host, "encode_sequences") else None
    times = as_interactions("times", times)
    same = times.shape == X.shape and np.array_equal(times.indptr, X.indptr)
    if not same or not np.array_equal(times.indices, X.indices):
        raise ValueError(
            "`times` must hold one time > 0 for every interaction of `X`; got "
            f"{times.nnz} for {X.nnz}. Build both from the same events."
        )
    return times


def items_of_rows(which_item, host, X, *, y, times, user_ids, seed):
    """Say which item stands for each row.

    Parameters
    ----------
    which_item : {"last_input", "top1_recommended", "target"}
    host : fitted host
    X : csr_array of shape (n_rows, n_items)
    y : held-out interactions, or None
    times : csr_array of shape (n_rows, n_items) or None
        From :func:`times_of_rows`.
    user_ids : ndarray of shape (n_rows,) or None
    seed : int
        For rows with several targets.

    Returns
    -------
    ndarray of shape (n_rows,), dtype int64
        -1 for a row without one.
    """
    if which_item == "last_input":
        return _last_items(times)
    if which_item == "target":
        return _one_target_each(X, y, np.random.default_rng(seed))
    return np.concatenate(
        [
            host.recommend(X[rows], 1, user_ids=ids)[:, 0]
            for rows, ids in _blocks(X.shape[0], user_ids)
        ]
    )


def _blocks(n_rows, user_ids):
    for start in range(0, n_rows, _BLOCK_ROWS):
        rows = slice(start, start + _BLOCK_ROWS)
        yield rows, None if user_ids is None else user_ids[rows]


def _last_items(times):
    if times is None:
        raise ValueError(
            "`times` must be given for which_item='last_input' with a host that reads "
            "no times; got None. Pass the times of the interactions, or choose "
            "which_item='top1_recommended'."
        )
    n_rows = times.shape[0]
    rows = np.repeat(np.arange(n_rows), np.diff(times.indptr))
    # Of equal times the higher position is the later one, as in rows_to_sequences.
    order = np.lexsort((times.indices, times.data, rows))
    return _last_of_each_row(rows[order], times.indices[order], n_rows)


def _one_target_each(X, y, rng):
    if y is None:
        raise ValueError(
            "`y` must be given for which_item='target'; got None. "
            "hide_interactions(X) makes X_seen and y."
        )
    n_rows, n_items = X.shape
    pairs = check_held_out(y, np.empty((n_rows, 0), dtype=np.int64), n_items)
    order = np.lexsort((rng.random(len(pairs.keys)), pairs.users))
    return _last_of_each_row(pairs.users[order], pairs.items[order], n_rows)


def _last_of_each_row(rows, items, n_rows):
    """Take the last of each row's items; -1 where there is none."""
    last = np.full(n_rows, -1, dtype=np.int64)
    ends = np.flatnonzero(np.append(rows[1:] != rows[:-1], len(rows) > 0))
    last[rows[ends]] = items[ends]
    return last
