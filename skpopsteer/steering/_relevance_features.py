"""What a calibrator knows of a user and an item in the host's list."""

from dataclasses import dataclass, replace

import numpy as np

from skpopsteer.adapters._score_moments import score_moments

__all__ = ["COLUMNS", "N_FEATURES", "PoolFeatures", "learn_features"]

#: Columns of the features, by what they are made of: the host's list and the length of
#: the history alone, which keep the host's order; what is usual for the item too; or
#: taste and squares too. Only the last has squares: a parabola turns, and kept in order
#: it is flat from there, so that the tenth item of a list seems as relevant as the last
#: of the pool.
COLUMNS = {
    "host": (0, 1, 2, 11),
    "item": (0, 1, 2, 11, 3, 16),
    "all": tuple(range(16)),
}
N_FEATURES = 17
#: Rank and spread of the logarithm that ranks are measured from, about those of ranks
#: up to a few hundred.
_LOG_RANK, _LOG_RANK_SPREAD = 3.0, 1.5
#: The scores that scores are standardised by: the rest is nobody's list.
_TOP = 100


@dataclass(frozen=True)
class PoolFeatures:
    """Features of the items in a pool, standardised as in ``fit``.

    Attributes
    ----------
    popularity : ndarray of shape (n_items,), dtype float32
        Standardised logarithm of 1 + popularity.
    spread : ndarray of shape (n_items,), dtype float32
        Standardised logarithm of the deviation of the item's score over users.
    usual : tuple of ndarray of shape (n_items,), dtype float32
        Mean and deviation of the item's score over users.
    log_popularity : ndarray of shape (n_items,), dtype float64
    length, taste : tuple of float
        Mean and deviation over users of the logarithm of the length of a history, and
        of the mean log popularity in it.
    """

    popularity: np.ndarray
    spread: np.ndarray
    usual: tuple
    log_popularity: np.ndarray
    length: tuple
    taste: tuple

    def of(self, pool):
        """Return the features of a pool.

        Parameters
        ----------
        pool : Pool of n_rows times m items

        Returns
        -------
        ndarray of shape (n_rows, m, N_FEATURES), dtype float32
            0 where the pool is padded.
        """
        items = np.maximum(pool.items, 0)
        rank = np.arange(1, items.shape[1] + 1)
        r = ((np.log(rank) - _LOG_RANK) / _LOG_RANK_SPREAD).astype(np.float32)
        z = _standardize_rows(pool.scores)
        p, s = self.popularity[items], self.spread[items]
        n, t = (column[:, None] for column in self._of_rows(pool.X))
        mean, deviation = (values[items] for values in self.usual)
        w = _standardize_rows((pool.scores - mean) / deviation)
        one = np.ones_like(z)
        columns = [
            r * one, z, n * one, p, s, t * one, r * p, z * p, z * s, t * p, n * p,
            n * r, s * t, z * z, p * p, r * r * one, w,
        ]  # fmt: skip
        features = np.stack(columns, axis=-1)
        features[pool.items < 0] = 0.0
        return features

    def with_new_items(self, n_new):
        """Return features for a catalogue that has grown: unused, of common spread."""
        least = self.popularity.min()
        return replace(
            self,
            popularity=np.pad(self.popularity, (0, n_new), constant_values=least),
            spread=np.pad(self.spread, (0, n_new)),
            usual=tuple(
                np.pad(values, (0, n_new), constant_values=values.mean())
                for values in self.usual
            ),
            log_popularity=np.pad(self.log_popularity, (0, n_new)),
        )

    def _of_rows(self, X):
        found = _length_and_taste(X, self.log_popularity)
        return [
            # Nothing is known of an empty history: the mean.
            np.nan_to_num((column - mean) / scale).astype(np.float32)
            for column, (mean, scale) in zip(
                found, (self.length, self.taste), strict=True
            )
        ]


def learn_features(host, X, user_ids, popularity):
    """Learn how features are standardised.

    Parameters
    ----------
    host : fitted recommender
    X : csr_array of shape (n_users, n_items)
    user_ids : ndarray of shape (n_users,) or None
    popularity : ndarray of shape (n_items,)

    Returns
    -------
    PoolFeatures
    """
    log_popularity = np.log1p(popularity)
    mean, deviation = np.zeros(X.shape[1]), np.ones(X.shape[1])
    if hasattr(host, "decision_function"):
        mean, found = score_moments(host, X, user_ids)
        # An item whose score never varies is as far out as the least that does.
        least = found[found > 0].min(initial=np.inf)
        if np.isfinite(least):
            deviation = np.maximum(found, least)
    rows = _length_and_taste(X, log_popularity)
    return PoolFeatures(
        _standardize(log_popularity),
        _standardize(np.log(deviation)),
        (mean.astype(np.float32), deviation.astype(np.float32)),
        log_popularity,
        *(_mean_and_scale(column[np.isfinite(column)]) for column in rows),
    )


def _length_and_taste(X, log_popularity):
    """Return the log length of histories and their mean log popularity, or NaN."""
    lengths = np.diff(X.indptr).astype(np.float64)
    rows = np.repeat(np.arange(len(lengths)), np.diff(X.indptr))
    sums = np.bincount(rows, log_popularity[X.indices], minlength=len(lengths))
    lengths[lengths == 0] = np.nan
    return np.log(lengths), sums / lengths


def _mean_and_scale(values):
    mean, scale = (values.mean(), values.std()) if len(values) else (0.0, 1.0)
    return float(mean), float(scale) or 1.0


def _standardize(values):
    mean, scale = _mean_and_scale(values)
    return ((values - mean) / scale).astype(np.float32)


def _standardize_rows(scores):
    """Standardise scores by the first hundred of each row; padding becomes 0."""
    finite = np.isfinite(scores)
    scores = np.where(finite, scores, 0.0)
    top, held = scores[:, :_TOP].astype(np.float64), finite[:, :_TOP]
    n_held = np.maximum(held.sum(axis=1, keepdims=True), 1)
    mean = top.sum(axis=1, keepdims=True) / n_held
    variance = (np.where(held, top - mean, 0.0) ** 2).sum(axis=1, keepdims=True)
    scale = np.sqrt(variance / n_held)
    z = (scores - mean) / np.where(scale > 0, scale, 1.0)
    return np.where(finite, z, 0.0).astype(np.float32)
