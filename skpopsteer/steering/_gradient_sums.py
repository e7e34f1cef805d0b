"""Sum the gradients of a host, or its users, over all rows of interactions."""

from dataclasses import dataclass
from functools import partial

import numpy as np
from scipy.sparse import csr_array

from skpopsteer._spans import over_spans
from skpopsteer.adapters._base import encode_rows
from skpopsteer.steering._gradient_directions import (
    LOSSES,
    SAMPLED_LOSSES,
    sum_by_score,
    sum_items,
    sum_users,
)

__all__ = ["Settings", "loss_of", "sum_centroids", "sum_host", "unit"]

#: What the models of implicit are trained with.
_LOSS_BY_MODEL = {
    "AlternatingLeastSquares": "als",
    "BayesianPersonalizedRanking": "bpr",
    "LogisticMatrixFactorization": "bce",
}
#: A sum of vectors that is shorter than this share of their lengths is rounding.
_ROUNDING = 1e-5


@dataclass(frozen=True)
class Settings:
    """What users weigh in the direction of popularity.

    Attributes
    ----------
    loss : str or None
        None for users alone.
    by_activity : bool
        Without a loss: count users once per interaction.
    normalize : bool
    n_samples : int or None
    alpha : float or None
        As in :class:`~skpopsteer.steering.GradientPopularityAdjuster`.
    seed : int
    """

    loss: str | None
    by_activity: bool
    normalize: bool
    n_samples: int | None
    alpha: float | None
    seed: int


def sum_host(host, settings, X, user_ids):
    """Sum the users of a host and, if there is a loss, its items.

    Parameters
    ----------
    host : fitted adapter
    settings : Settings
    X : csr_array of shape (n_users, n_items)
    user_ids : ndarray of shape (n_users,) or None

    Returns
    -------
    popularity : tuple of (ndarray, float)
        The sum, and how long it could be; likewise below.
    conformity : tuple of (ndarray, float) or None
        None without a loss.
    """
    rows = np.arange(X.shape[0])
    parts = over_spans(_sum_span, (host, settings), X, user_ids, rows)
    total, length, items = (sum(column) for column in zip(*parts, strict=True))
    if settings.loss is None:
        return (total, length), None
    conformity = sum_items(host.item_embeddings_, items, host.item_bias_)
    return (total, length), conformity


def sum_centroids(host, popularity):
    """Return the mean item weighted by popularity, less the plain mean.

    Parameters
    ----------
    host : fitted adapter
    popularity : ndarray of shape (n_items,)

    Returns
    -------
    tuple of (ndarray, float)
        As of :func:`sum_items`.
    """
    share = popularity / max(popularity.sum(), 1.0) - 1.0 / len(popularity)
    return sum_items(host.item_embeddings_, share, host.item_bias_)


def unit(total, length):
    """Bring a sum to length 1; None where its parts have cancelled out."""
    norm = np.linalg.norm(total)
    return total / norm if norm > _ROUNDING * length else None


def loss_of(host):
    """Return what a host was trained with."""
    loss = _LOSS_BY_MODEL.get(type(_implicit_model(host)).__name__)
    if loss is None:
        name = type(getattr(host, "estimator", host)).__name__
        raise ValueError(
            "`loss` must be 'bpr', 'bce' or 'als' for a host that does not tell what "
            f"it was trained with; got None with {name}. Name the nearest, or set "
            "direction='mean_user'."
        )
    return loss


def _sum_span(context, X, user_ids, rows):
    """Encode a span; return the sum of its users, its length, and item weights."""
    host, settings = context
    U = encode_rows(host, X, user_ids)
    V, bias, items = host.item_embeddings_, host.item_bias_, 0.0
    if settings.loss is not None:
        if settings.loss == "als":
            X = _confidences(host, settings.alpha, X)
        weights, items = sum_by_score(_by_score(settings, rows), U, V, X, bias)
    elif settings.by_activity:
        weights = np.diff(X.indptr).astype(np.float64)
    else:
        weights = np.ones(len(U))
    total, length = sum_users(
        U, weights, normalize=settings.normalize, with_bias=bias is not None
    )
    return total, length, items


def _by_score(settings, rows):
    """Return the derivative of the loss by the scores, for a span."""
    if settings.n_samples is None or settings.loss not in SAMPLED_LOSSES:
        return LOSSES[settings.loss]
    # A stream of its own for every span, whichever worker does it.
    first = int(rows[0]) if len(rows) else 0
    rng = np.random.default_rng((settings.seed, first))
    return partial(SAMPLED_LOSSES[settings.loss], n_samples=settings.n_samples, rng=rng)


def _confidences(host, alpha, X):
    """Return X with the confidences of ALS for values."""
    own = getattr(_implicit_model(host), "alpha", None)
    # implicit takes values for confidences as they are; the paper adds them to 1.
    values = (alpha or own or 1.0) * X.data.astype(np.float64) + (own is None)
    return csr_array((values, X.indices, X.indptr), shape=X.shape)


def _implicit_model(host):
    model = getattr(host, "model_", None)
    return model if type(model).__module__.partition(".")[0] == "implicit" else None
