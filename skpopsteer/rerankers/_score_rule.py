"""What rerankers that change scores item by item have in common."""

from dataclasses import dataclass
from numbers import Integral, Real

import numpy as np
from sklearn.base import BaseEstimator, MetaEstimatorMixin
from sklearn.utils.validation import check_is_fitted

from skpopsteer._compat import HasMethods, Interval, StrOptions, _fit_context
from skpopsteer._pool import PoolMixin
from skpopsteer._post_hoc import within_float32
from skpopsteer._user_strength import niche_taste, user_factors
from skpopsteer._validation import check_interactions, check_user_ids
from skpopsteer.adapters._base import decode_into, encode_rows
from skpopsteer.adapters._export import ExportMixin, bake
from skpopsteer.topk import finite_top_k

__all__ = [
    "SCORE_RULE_CONSTRAINTS",
    "ScoreRule",
    "log_sizes",
    "name_of",
    "of_rows",
    "powers",
    "scores_by_products",
]

SCORE_RULE_CONSTRAINTS: dict = {
    "recommender": [HasMethods(["fit", "recommend"])],
    "strength": [Interval(Real, None, None, closed="neither")],
    "user_strength": [StrOptions({"profile"}), callable, None],
    "pool_size": [Interval(Integral, 1, None, closed="left"), None],
    "keep_top": [Interval(Integral, 0, None, closed="left")],
    "n_recommendations": [Interval(Integral, 1, None, closed="left")],
}
#: Powers stay between exp(-80) and exp(40), 1e-35 and 2e17: their products with scores
#: are finite then, and not 0.
_LOWEST, _HIGHEST = -80.0, 40.0
#: Sizes below this share of the largest are rounding errors of float32.
_NOTHING = 1e-6


@dataclass(frozen=True)
class _Rows:
    """Embeddings of some rows, and what multiplies the strength for each."""

    embeddings: np.ndarray
    factors: np.ndarray | None

    def __getitem__(self, rows):
        factors = None if self.factors is None else self.factors[rows]
        return _Rows(self.embeddings[rows], factors)


class ScoreRule(ExportMixin, PoolMixin, MetaEstimatorMixin, BaseEstimator):
    """Base of rerankers that replace a score by a function of it and of its item.

    A subclass gives ``_rescore(scores, items, t)``, which changes scores of shape
    (n_rows, m) in place: `items` picks their items out of an array of one entry per
    item, and `t` is the strength, a number or one of each row. At t = 0 every score
    has to stay what it is, to the last bit.

    Two more may be given. ``_learn(X, user_ids)`` learns from users in ``fit``, after
    the host is there and popularity is counted. ``_describe_items()`` works out what
    the rule knows of every item of the host, in ``fit`` and for another host.
    """

    _parameter_constraints = SCORE_RULE_CONSTRAINTS
    # Where metadata is routed, the positions of users go wherever users go.
    __metadata_request__fit = {"user_ids": True}  # noqa: RUF012

    #: What parameters have to be for vectors to tell of the rule.
    _exported_with: dict = {"pool_size": None, "user_strength": None}  # noqa: RUF012

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y=None, *, user_ids=None, item_popularity=None):
        """Count popularity, and fit the host if it is not frozen.

        Parameters
        ----------
        X : array-like or sparse of shape (n_users, n_items)
            Interactions the recommender sees.
        y : object, default=None
            Not used.
        user_ids : array-like of shape (n_users,), default=None
            Positions of the rows among the host's trained users, for rules that learn
            from the scores of users. None folds every row in.
        item_popularity : array-like of shape (n_items,) or (1, n_items), default=None
            Interactions per item, counted elsewhere; None counts those of `X`.

        Returns
        -------
        self : object
            Fitted estimator.
        """
        X = check_interactions(self, X, reset=True)
        if user_ids is not None:
            user_ids = check_user_ids(user_ids, X.shape[0])
        self._count_popularity(X, item_popularity)
        self._mean_taste = 0.0
        if self.user_strength == "profile" and X.nnz:
            self._mean_taste = float(np.nanmean(niche_taste(X, self.item_popularity_)))
        self.recommender_ = self._fit_host(X)
        if self.pool_size is None and not hasattr(self.recommender_, "decode"):
            raise ValueError(
                "`pool_size` must be a number for a recommender without embeddings; "
                f"got None with {name_of(self.recommender_)}. Set pool_size=500."
            )
        self._learn(X, user_ids)
        self._describe_items()
        return self

    def decision_function(self, X, user_ids=None):
        """Score every item for every row, seen items included.

        Parameters
        ----------
        X : array-like or sparse of shape (n_users, n_items)
            Interactions.
        user_ids : array-like of shape (n_users,), default=None
            Positions of trained users; None folds every row in.

        Returns
        -------
        ndarray of shape (n_users, n_items), dtype float32
            Of the whole catalogue, whatever `pool_size` is. This is the one method that
            holds all scores at once.
        """
        check_is_fitted(self)
        if hasattr(self.recommender_, "decode"):
            return super().decision_function(X, user_ids)
        X, user_ids = self._check_rows(X, user_ids)
        scores = self.recommender_.decision_function(X, user_ids=user_ids)
        scores = np.array(scores, dtype=np.float32)
        factors = self._per_row(X)
        with within_float32():
            self._rescore(scores, slice(None), of_rows(self._turn(None), factors))
        return scores

    def _learn(self, X, user_ids):
        """Learn from users what the rule needs."""

    def _describe_items(self):
        """Work out what the rule needs to know of every item."""

    def _take_new_items(self, n_new):
        super()._take_new_items(n_new)
        self._describe_items()

    def _per_row(self, X):
        return user_factors(
            self.user_strength, X, self.item_popularity_, self._mean_taste
        )

    def _encode(self, X, user_ids):
        U = self.recommender_.encode_users(X, user_ids)
        return _Rows(U, self._per_row(X))

    def _encode_span(self, X, user_ids, per_row):
        return _Rows(encode_rows(self.recommender_, X, user_ids), per_row)

    def _turn(self, strength):
        return float(self.strength if strength is None else strength)

    def _score_into(self, out, encoded, X, turned):
        decode_into(self.recommender_, out, encoded.embeddings)
        with within_float32():
            self._rescore(out, slice(None), of_rows(turned, encoded.factors))

    def _host_score_into(self, out, encoded):
        decode_into(self.recommender_, out, encoded.embeddings)

    def _choose(self, pool, turned, k):
        # Whatever the host fills up with; no rule makes more of -inf.
        scores = np.where(pool.items < 0, np.float32(-np.inf), pool.scores)
        with within_float32():
            self._rescore(scores, pool.items, of_rows(turned, pool.factors))
        return _best_places(pool.items, scores, k), scores

    def _check_exportable(self):
        for name, value in self._exported_with.items():
            if getattr(self, name) != value:
                raise ValueError(
                    f"`{name}` must be {value} to export vectors; got "
                    f"{getattr(self, name)!r}. Inner products cannot tell of it: set "
                    f"it to {value}, or serve with recommend."
                )
        super()._check_exportable()

    def _baked(self, encoded, turned):
        U, V, bias = bake(self.recommender_, encoded.embeddings)
        # What a rule makes of the scores 0 and 1 tells all of a linear one.
        offset, gain = np.zeros((1, len(V))), np.ones((1, len(V)))
        with within_float32():
            for scores in (offset, gain):
                self._rescore(scores, slice(None), turned)
            gain -= offset
            bias = offset[0] if bias is None else gain[0] * bias + offset[0]
            return U, gain[0][:, None] * V, bias.astype(np.float32)


def scores_by_products(host):
    """Whether the scores of a recommender are inner products with item embeddings."""
    return not getattr(host, "has_nonlinear_decode", True)


def log_sizes(sizes):
    """Return logarithms for :func:`powers`, finite whatever the sizes.

    Parameters
    ----------
    sizes : ndarray of shape (n_items,)
        Not negative. Those that are 0, up to rounding, count like the smallest other.

    Returns
    -------
    ndarray of shape (n_items,), dtype float32
    """
    some = sizes > _NOTHING * sizes.max()
    least = sizes[some].min() if some.any() else 1.0
    return np.log(np.where(some, sizes, least)).astype(np.float32)


def powers(logs, items, t):
    """Return sizes to the power of -t, for given logarithms of all sizes.

    Any strength gives powers between exp(-80) and exp(40). Where one would be beyond,
    all of a row are multiplied by the same number, which ranks nothing anew; where they
    would differ by more than exp(120), t goes no further.

    Parameters
    ----------
    logs : ndarray of shape (n_items,), dtype float32
    items : slice or ndarray of int of shape (n_rows, m)
        Which items.
    t : float or ndarray of shape (n_rows, 1)

    Returns
    -------
    ndarray, dtype float32
        One of each item, or of each row and item.
    """
    low, high = float(logs.min()), float(logs.max())
    farthest = (_HIGHEST - _LOWEST) / max(high - low, 1e-30)
    # As a Python number, a single strength leaves float32 what it is.
    t = np.clip(t, -farthest, farthest)
    t = t if np.ndim(t) else float(t)
    ends = -t * low, -t * high
    above = np.maximum(np.maximum(*ends) - _HIGHEST, 0)
    below = np.minimum(np.minimum(*ends) - _LOWEST, 0)
    return np.exp(-t * logs[items] - np.float32(above + below))


def _best_places(items, scores, k):
    """Return the places of the k best; of equal scores the lower item comes first.

    A pool is ordered by the host's scores: the lower place is not the lower item.
    """
    places, values = finite_top_k(scores, k + 1)
    tied = (values[:, 1:] == values[:, :-1]) & np.isfinite(values[:, 1:])
    rows = np.flatnonzero(tied.any(axis=1))
    if len(rows):
        order = np.argsort(items[rows], axis=1)
        found, _ = finite_top_k(np.take_along_axis(scores[rows], order, axis=1), k + 1)
        again = np.take_along_axis(order, np.maximum(found, 0), axis=1)
        places[rows] = np.where(found < 0, -1, again)
    return places[:, :k]


def of_rows(strength, factors):
    """Return the strength of every row, a column, or one number for all of them."""
    return strength if factors is None else strength * factors[:, None]


def name_of(host):
    """Name a recommender by what its freezer holds."""
    return type(getattr(host, "estimator", host)).__name__
