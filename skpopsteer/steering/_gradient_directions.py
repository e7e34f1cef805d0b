"""Gradients of training losses by the scores, in closed form, and what they sum to.

Every loss here is a function of the scores ``x_ui`` alone. What multiplies the users in
the gradient of an item, and the items in the gradient of a user, is its derivative by
the scores: one function a loss gives that for a block of users.
"""

from itertools import pairwise

import numpy as np
from scipy.sparse import coo_array, csr_array
from scipy.special import expit

from skpopsteer.topk import BLOCK_SCORES, row_blocks

__all__ = [
    "LOSSES",
    "SAMPLED_LOSSES",
    "als_by_score",
    "bce_by_score",
    "bce_by_score_sampled",
    "bpr_by_score",
    "bpr_by_score_sampled",
    "draw_unseen",
    "pair_scores",
    "sum_by_score",
    "sum_items",
    "sum_users",
    "take_out",
]


def bpr_by_score(U, V, X, bias=None):
    """Differentiate Bayesian personalised ranking by the scores, exactly.

    Parameters
    ----------
    U : ndarray of shape (n_users, d)
        A block of users: n_users x n_items numbers are held at once.
    V : ndarray of shape (n_items, d)
    X : csr_array of shape (n_users, n_items)
        What each of them holds; values do not count.
    bias : ndarray of shape (n_items,), default=None

    Returns
    -------
    positive : csr_array of shape (n_users, n_items)
        Derivative by the scores of held items, as positives; not above 0.
    negative : ndarray of shape (n_users, n_items)
        Derivative by the scores of the others, as negatives; not below 0.

    Notes
    -----
    The loss is ``-log σ(x_ui - x_uj)``, summed over held items i and averaged over the
    items j that are not held: what an epoch with one uniform negative per positive is
    on average. O(n_users · n_items · d + Σ_u |I_u| · |J_u|).
    """
    lost, won = np.zeros(X.nnz), np.zeros(X.shape)
    scores = _all_scores(U, V, bias)
    for row, (start, stop) in enumerate(pairwise(X.indptr)):
        held = X.indices[start:stop]
        free = np.ones(X.shape[1], dtype=bool)
        free[held] = False
        if len(held) and free.any():
            lost[start:stop], won[row, free] = _duels(
                scores[row, held], scores[row, free]
            )
    return _of_held(X, -lost), won


def bpr_by_score_sampled(U, V, X, bias=None, *, n_samples, rng):
    """Estimate what :func:`bpr_by_score` gives from sampled negatives.

    Parameters
    ----------
    U, V, X, bias : see :func:`bpr_by_score`
    n_samples : int
        Negatives per positive, uniform among the items a user does not hold.
    rng : numpy.random.Generator

    Returns
    -------
    positive, negative : csr_array of shape (n_users, n_items)
        Their expectations are the exact ones. O(nnz · n_samples · d).
    """
    rows, drawn, weight = _negatives(X, n_samples, rng)
    own = pair_scores(U, V, bias, rows, X.indices)
    others = _drawn_scores(U, V, bias, rows, drawn)
    odds = expit(others - own[:, None]) * weight[:, None]
    positive = _of_held(X, -odds.mean(axis=1, dtype=np.float64))
    return positive, _of_drawn(X, rows, drawn, odds / n_samples)


def bce_by_score(U, V, X, bias=None):
    """Differentiate binary cross-entropy by the scores, exactly.

    Parameters
    ----------
    U, V, X, bias : see :func:`bpr_by_score`

    Returns
    -------
    positive : csr_array of shape (n_users, n_items)
    negative : ndarray of shape (n_users, n_items)

    Notes
    -----
    The loss is ``-log σ(x_ui)`` of held items and ``-log σ(-x_uj)`` of as many others,
    in expectation over uniform negatives. O(n_users · n_items · d).
    """
    scores = _all_scores(U, V, bias)
    lengths = np.diff(X.indptr)
    rows = np.repeat(np.arange(len(lengths)), lengths)
    positive = _of_held(X, -expit(-scores[rows, X.indices]))
    negative = expit(scores) * (lengths / np.maximum(X.shape[1] - lengths, 1))[:, None]
    negative[rows, X.indices] = 0.0
    return positive, negative


def bce_by_score_sampled(U, V, X, bias=None, *, n_samples, rng):
    """Estimate what :func:`bce_by_score` gives from sampled negatives.

    Parameters
    ----------
    U, V, X, bias, n_samples, rng : see :func:`bpr_by_score_sampled`

    Returns
    -------
    positive, negative : csr_array of shape (n_users, n_items)
        The first is exact. O(nnz · n_samples · d).
    """
    rows, drawn, weight = _negatives(X, n_samples, rng)
    own = pair_scores(U, V, bias, rows, X.indices)
    odds = expit(_drawn_scores(U, V, bias, rows, drawn)) * weight[:, None]
    return _of_held(X, -expit(-own)), _of_drawn(X, rows, drawn, odds / n_samples)


def als_by_score(U, V, X, bias=None):
    """Differentiate the weighted squared loss of ALS by the scores of held items.

    Parameters
    ----------
    U, V, bias : see :func:`bpr_by_score`
    X : csr_array of shape (n_users, n_items)
        Confidences ``c_ui`` of held items.

    Returns
    -------
    positive : csr_array of shape (n_users, n_items)
        ``-2 c_ui (1 - x_ui)``.
    negative : None
        It is left out: at the optimum the sum of both is ``-2 λ y_i``, the embedding
        itself, which is no direction of its own. O(nnz · d).
    """
    rows = np.repeat(np.arange(X.shape[0]), np.diff(X.indptr))
    scores = pair_scores(U, V, bias, rows, X.indices)
    return _of_held(X, -2.0 * X.data * (1.0 - scores)), None


#: One function a loss; least squares need no negatives, so that there is none to draw.
LOSSES = {"bpr": bpr_by_score, "bce": bce_by_score, "als": als_by_score}
SAMPLED_LOSSES = {"bpr": bpr_by_score_sampled, "bce": bce_by_score_sampled}


def sum_by_score(by_score, U, V, X, bias=None):
    """Sum the derivatives of a loss by the scores over users and over items.

    Parameters
    ----------
    by_score : callable
        A function of this module, with what it needs besides bound.
    U, V, X, bias : see :func:`bpr_by_score`
        Any number of users: they are done in blocks.

    Returns
    -------
    users : ndarray of shape (n_users,)
        What every user weighs in the sum of the positive gradients of all items, with a
        minus.
    items : ndarray of shape (n_items,)
        What every item weighs in the sum of the gradients of all users, with a minus.
    """
    users, items = np.zeros(X.shape[0]), np.zeros(X.shape[1])
    for rows in row_blocks(*X.shape):
        positive, negative = by_score(U[rows], V, X[rows], bias)
        users[rows] = -np.asarray(positive.sum(axis=1)).ravel()
        for part in (positive, negative):
            if part is not None:
                items -= np.asarray(part.sum(axis=0)).ravel()
    return users, items


def sum_users(U, weights, *, normalize=True, with_bias=False):
    """Sum users, each times its weight.

    Parameters
    ----------
    U : ndarray of shape (n_users, d)
    weights : ndarray of shape (n_users,)
    normalize : bool, default=True
        Bring users to length 1 first; one of length 0 stays.
    with_bias : bool, default=False
        Append the 1 that an item bias meets at every user.

    Returns
    -------
    total : ndarray of shape (d,) or (d + 1,)
    length : float
        The most that `total` could be long, if all users pointed alike.
    """
    U = U.astype(np.float64)
    if with_bias:
        U = np.hstack([U, np.ones((len(U), 1))])
    norms = np.linalg.norm(U, axis=1)
    if normalize:
        weights = weights / np.where(norms > 0, norms, 1.0)
    return weights @ U, float(np.abs(weights) @ norms)


def sum_items(V, weights, bias=None):
    """Sum items, each times its weight.

    Parameters
    ----------
    V : ndarray of shape (n_items, d)
        Read in blocks, and never copied whole.
    weights : ndarray of shape (n_items,)
    bias : ndarray of shape (n_items,), default=None

    Returns
    -------
    total : ndarray of shape (d,) or (d + 1,)
    length : float
        The most that `total` could be long, if all items pointed alike.
    """
    total, length = np.zeros(V.shape[1] + (bias is not None)), 0.0
    for rows in row_blocks(*V.shape):
        block = V[rows].astype(np.float64)
        if bias is not None:
            block = np.hstack([block, bias[rows, None]])
        total += weights[rows] @ block
        length += float(np.abs(weights[rows]) @ np.linalg.norm(block, axis=1))
    return total, length


def take_out(users, ones, direction, share):
    """Take a share of a direction out of users; `ones` is what meets an item bias.

    Parameters
    ----------
    users : ndarray of shape (n_users, d)
        Left as they are.
    ones : float or ndarray of shape (n_users,)
    direction : ndarray of shape (d,) or (d + 1,)
    share : float

    Returns
    -------
    users, ones
        As given where nothing is taken out of them.
    along : ndarray of shape (n_users,) or float
        What was taken out, along the direction.
    """
    if not share:
        return users, ones, 0.0
    d = users.shape[1]
    direction = direction.astype(users.dtype)
    along = users @ direction[:d]
    if len(direction) > d:
        along += ones * direction[d]
    along *= users.dtype.type(share)
    if len(direction) > d:
        ones = ones - along * direction[d]
    return users - along[:, None] * direction[:d], ones, along


def draw_unseen(X, n_samples, rng):
    """Draw items that users do not hold, uniformly, so many for every one they hold.

    Parameters
    ----------
    X : csr_array of shape (n_users, n_items)
        With sorted indices.
    n_samples : int
    rng : numpy.random.Generator

    Returns
    -------
    ndarray of shape (nnz, n_samples), dtype int64
        Row by row of `X`. Of users that hold everything, without meaning.
    """
    n_items, lengths = X.shape[1], np.diff(X.indptr)
    rows = np.repeat(np.arange(X.shape[0]), lengths)
    starts = X.indptr[rows]
    n_free = np.maximum(n_items - lengths, 1)[rows]
    places = rng.integers(0, n_free[:, None], size=(X.nnz, n_samples))
    # Free items before each held one; one key per row lets a single search do them all.
    before = X.indices - (np.arange(X.nnz) - starts)
    keys = rows * (n_items + 1)
    passed = np.searchsorted(keys + before, keys[:, None] + places, side="right")
    return np.minimum(places + passed - starts[:, None], n_items - 1)


def pair_scores(U, V, bias, rows, columns):
    """Score some pairs of users and items.

    Parameters
    ----------
    U, V, bias : see :func:`bpr_by_score`
    rows, columns : ndarray of shape (n_pairs,)

    Returns
    -------
    ndarray of shape (n_pairs,)
    """
    scores = np.empty(len(rows), dtype=np.result_type(U, V))
    step = max(1, BLOCK_SCORES // U.shape[1])
    for start in range(0, len(rows), step):
        part = slice(start, start + step)
        scores[part] = np.einsum("ij,ij->i", U[rows[part]], V[columns[part]])
    return scores if bias is None else scores + bias[columns]


def _all_scores(U, V, bias):
    scores = U @ V.T
    if bias is not None:
        scores += bias
    return scores


def _duels(own, others):
    """Return the mean odds that others beat each of `own`, and the reverse, summed."""
    lost, won = np.empty(len(own)), np.zeros(len(others))
    step = max(1, BLOCK_SCORES // len(others))
    for start in range(0, len(own), step):
        part = slice(start, start + step)
        odds = expit(others - own[part, None])
        lost[part] = odds.mean(axis=1, dtype=np.float64)
        won += odds.sum(axis=0, dtype=np.float64)
    return lost, won / len(others)


def _negatives(X, n_samples, rng):
    """Return the user of every positive, its negatives, and 0 where there are none."""
    lengths = np.diff(X.indptr)
    rows = np.repeat(np.arange(X.shape[0]), lengths)
    drawn = draw_unseen(X, n_samples, rng)
    return rows, drawn, (lengths < X.shape[1])[rows].astype(np.float64)


def _drawn_scores(U, V, bias, rows, drawn):
    flat = pair_scores(U, V, bias, np.repeat(rows, drawn.shape[1]), drawn.ravel())
    return flat.reshape(drawn.shape)


def _of_held(X, values):
    return csr_array((values, X.indices, X.indptr), shape=X.shape)


def _of_drawn(X, rows, drawn, values):
    places = np.repeat(rows, drawn.shape[1]), drawn.ravel()
    return coo_array((values.ravel(), places), shape=X.shape).tocsr()
