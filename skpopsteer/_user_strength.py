"""How far a knob is turned for each user."""

import numpy as np

__all__ = ["niche_taste", "user_factors"]


def niche_taste(X, popularity):
    """Measure how far a history stays below the most popular item.

    Parameters
    ----------
    X : csr_array of shape (n_users, n_items)
        Interactions.
    popularity : ndarray of shape (n_items,)
        Interactions per item; items without any count as having one.

    Returns
    -------
    ndarray of shape (n_users,)
        ``max(log pop) - mean(log pop of the history)``, not negative; NaN for an empty
        history.
    """
    log_popularity = np.log(np.maximum(popularity, 1.0))
    lengths = np.diff(X.indptr)
    sums = np.bincount(
        np.repeat(np.arange(len(lengths)), lengths),
        weights=log_popularity[X.indices],
        minlength=len(lengths),
    )
    taste = np.full(len(lengths), np.nan)
    held = lengths > 0
    taste[held] = np.maximum(log_popularity.max() - sums[held] / lengths[held], 0.0)
    return taste


def user_factors(user_strength, X, popularity, mean_taste):
    """Return what multiplies the strength for every row, or None where nothing does.

    Parameters
    ----------
    user_strength : {"profile"}, callable or None
        As in :class:`~skpopsteer.steering.SteeredRecommender`.
    X : csr_array of shape (n_users, n_items)
    popularity : ndarray of shape (n_items,)
    mean_taste : float
        Mean of :func:`niche_taste` over the training rows, so that factors average 1.

    Returns
    -------
    ndarray of shape (n_users,), dtype float32, or None
    """
    if user_strength is None:
        return None
    if callable(user_strength):
        factors = np.asarray(user_strength(X), dtype=np.float32)
        if factors.shape != (X.shape[0],) or not np.isfinite(factors).all():
            raise ValueError(
                "`user_strength` must return one finite number per row of `X` "
                f"({X.shape[0]}); got shape {factors.shape}. 1 is the plain strength."
            )
        return factors
    taste = niche_taste(X, popularity)
    factors = taste / mean_taste if mean_taste > 0 else np.ones_like(taste)
    # Nothing is known of an empty history: the plain strength.
    return np.nan_to_num(factors, nan=1.0).astype(np.float32)
