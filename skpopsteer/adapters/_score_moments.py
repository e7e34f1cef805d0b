"""How the scores of an item vary over users."""

import numpy as np

from skpopsteer._spans import spans
from skpopsteer.topk import row_blocks

__all__ = [
    "moments_of_products",
    "moments_of_rows",
    "moments_of_scores",
    "score_moments",
]


def score_moments(host, X, user_ids=None):
    """Return the mean and the standard deviation of every item's score over users.

    Parameters
    ----------
    host : fitted recommender
    X : csr_array of shape (n_users, n_items)
        Rows that stand for the users.
    user_ids : ndarray of shape (n_users,), default=None
        Positions of trained users; None folds every row in.

    Returns
    -------
    means, deviations : ndarray of shape (n_items,), dtype float64

    Notes
    -----
    For inner products both follow from the mean and the covariance of the embeddings,
    O(n_users d² + n_items d²); else the scores of all users are made, block by block.
    """
    if getattr(host, "has_nonlinear_decode", True):
        return moments_of_scores(host, X, user_ids)
    moments = moments_of_rows(host.encode_users(X, user_ids))
    return moments_of_products(*moments, host.item_embeddings_, host.item_bias_)


def moments_of_rows(U):
    """Return the mean (d,) and the covariance (d, d) of embeddings, in float64."""
    mean = U.mean(axis=0, dtype=np.float64)
    covariance = np.zeros((len(mean), len(mean)))
    for span in spans(len(U)):
        centred = U[span] - mean
        covariance += centred.T @ centred
    return mean, covariance / len(U)


def moments_of_products(mean, covariance, V, bias):
    """Return the mean and the deviation of every item's scores, in closed form.

    Parameters
    ----------
    mean, covariance : ndarray of shape (d,), (d, d)
        Of the embeddings of the users.
    V : ndarray of shape (n_items, d)
    bias : ndarray of shape (n_items,) or None

    Returns
    -------
    means, deviations : ndarray of shape (n_items,)
    """
    means, variances = np.empty(len(V)), np.empty(len(V))
    for rows in row_blocks(*V.shape):
        block = V[rows].astype(np.float64)
        means[rows] = block @ mean
        variances[rows] = np.einsum("ij,ij->i", block @ covariance, block)
    if bias is not None:
        means += bias
    return means, np.sqrt(np.maximum(variances, 0.0))


def moments_of_scores(host, X, user_ids):
    """Return the same of any recommender, whose scores are made a block at a time."""
    # Moments of blocks are joined by the distance of their means (Chan et al., 1983):
    # squares of the scores themselves would leave no digits of a large mean.
    n_seen, means, squares = 0, 0.0, 0.0
    for rows in row_blocks(*X.shape):
        ids = None if user_ids is None else user_ids[rows]
        scores = host.decision_function(X[rows], user_ids=ids)
        n_rows = len(scores)
        block_means = scores.mean(axis=0, dtype=np.float64)
        block_squares = np.square(scores - block_means).sum(axis=0)
        distances = block_means - means
        n_all = n_seen + n_rows
        squares = squares + block_squares + distances**2 * (n_seen * n_rows / n_all)
        means = means + distances * (n_rows / n_all)
        n_seen = n_all
    return means, np.sqrt(squares / n_seen)
