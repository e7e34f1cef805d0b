"""Probabilities of relevance from the scores of a host."""

import warnings
from numbers import Integral, Real

import numpy as np
from scipy.special import expit, logit
from sklearn.base import BaseEstimator, MetaEstimatorMixin, clone
from sklearn.linear_model import LogisticRegression
from sklearn.utils import Bunch, check_random_state

from skpopsteer._compat import HasMethods, Interval, StrOptions, _fit_context
from skpopsteer._pool import draw_pool
from skpopsteer._spans import over_spans
from skpopsteer._validation import check_interactions, check_user_ids
from skpopsteer.base import RecommenderMixin
from skpopsteer.metrics import ndcg
from skpopsteer.popularity import item_popularity
from skpopsteer.steering._relevance_features import COLUMNS, learn_features
from skpopsteer.steering._relevance_rows import (
    draw_pools,
    held_out_rows,
    hits_of,
    sample_rows,
)
from skpopsteer.topk import finite_top_k

#: What log-odds fall by from a rank to the next at least, in float32 enough to tell.
_TRIFLE = 1e-5
#: Bins of the reliability curve.
_BINS = 10
#: Users with held-out items below whom `fit` warns.
_FEW_USERS = 100


class RelevanceCalibrator(RecommenderMixin, MetaEstimatorMixin, BaseEstimator):
    r"""Turn the scores of a host into probabilities of relevance.

    A logistic regression on held-out interactions tells how likely an item of the
    host's list is to be one, from its rank, its score, its popularity and the user's
    history. Lists by that probability are often more accurate than the host's own, and
    what steers them can weigh exposure against accuracy in one unit.

    Parameters
    ----------
    recommender : estimator
        The host, or any recommender.
    estimator : classifier, default=None
        Anything with `predict_proba` (or `decision_function`) that takes
        `sample_weight`; None is ``LogisticRegression(solver="newton-cholesky")``.
    features : {"auto", "all", "host", "item"}, default="auto"
        ``"host"`` reads the rank, the score and the length of the history, and keeps
        the host's order; ``"item"`` the popularity of the item, and the score among all
        scores of the item, too, which tells items of the tail apart; ``"all"`` taste
        too, which corrects a host that was trained without care and costs a good one
        some accuracy; ``"auto"`` takes of ``"all"`` and ``"host"`` what gives users it
        has not seen the more accurate lists.
    pool_size : int, default=500
        Items of the host's list that get a probability; all others get none.
    n_negatives : float, default=6
        Items that were no hits in the training, a hit.
    cv : int, default=5
        Groups of users that are calibrated by the others.
    output : {"probability", "logit"}, default="probability"
        What is shown as scores.
    n_recommendations : int, default=10
        Length of the lists.
    random_state : int, RandomState instance or None, default=None
        Seed of the groups of users and of the sample.

    Attributes
    ----------
    recommender_ : estimator
        The fitted host.
    features_ : {"all", "host", "item"}
        What is read.
    estimators_ : list of classifier
        One a group of users, trained on the others. Rows of ``recommend`` get the mean
        of their log-odds.
    brier_score_ : float
        Mean squared error of the probabilities of users that a classifier had not
        seen, over their pools; lower is better.
    brier_reference_ : float
        The same of one probability for all items.
    reliability_ : :class:`~sklearn.utils.Bunch`
        With `predicted` and `observed` of shape (n_bins,), mean probability and share
        of hits of items by ascending probability, and `count`; every bin holds an equal
        share of the expected hits. From unseen users, too.
    n_hits_ : int
        Held-out interactions in the pools.
    held_out_ratio_ : float
        Held-out interactions an interaction of `X`.
    item_popularity_ : ndarray of shape (n_items,)
        Interactions per item of ``fit``.
    n_features_in_ : int
        Number of items.

    See Also
    --------
    skpopsteer.steering.SlotPricingRecommender : What these probabilities are made for.

    Notes
    -----
    With r the rank of an item in the host's list, z its score standardised by the first
    hundred of the row, p the log popularity and s the log deviation of the item's
    score over users, n the log length of the history and t the mean log popularity in
    it, the log-odds are linear in r, z, n, p, s, t, rp, zp, zs, tp, np, nr, st, z², p²
    and r²; with ``features="host"`` in r, z, n and nr; with ``"item"`` in those, p and
    w, the score less the item's mean score, over its deviation, standardised by row as
    z is. Items that were no hits are a sample, whose rate is added to the log-odds;
    every item weighs 1 / (rank + 10).

    ``fit`` holds the pools, O(n_users * pool_size), and a sample of their features.
    Where `y` has no hit in any pool, the host's order is kept and a warning says so.
    Another says when fewer than 100 users have held-out items: probabilities, and the
    accuracy a slot pricing says it keeps, are no more than guesses then. Two hundred
    are enough.

    Any reranker with a `pool_size`, and a slot pricing, takes a fitted calibrator in a
    ``FrozenEstimator`` for a host.

    References
    ----------
    .. [1] J. Platt, "Probabilistic Outputs for Support Vector Machines", 1999.
    .. [2] G. King and L. Zeng, "Logistic Regression in Rare Events Data", Political
       Analysis 9, 2001, doi:10.1093/oxfordjournals.pan.a004868, the correction for
       sampling.

    Examples
    --------
    >>> from sklearn.decomposition import TruncatedSVD
    >>> from skpopsteer.adapters import as_recommender
    >>> from skpopsteer.datasets import make_interactions
    >>> from skpopsteer.model_selection import hide_interactions
    >>> from skpopsteer.steering import RelevanceCalibrator
    >>> X, y = hide_interactions(
    ...     make_interactions(300, 100, random_state=0).X, random_state=0
    ... )
    >>> host = as_recommender(TruncatedSVD(8, random_state=0).fit(X))
    >>> model = RelevanceCalibrator(host, pool_size=50, random_state=0).fit(X, y)
    >>> bool(model.brier_score_ < model.brier_reference_)
    True
    """

    _parameter_constraints: dict = {  # noqa: RUF012
        "recommender": [HasMethods(["fit", "recommend"])],
        "estimator": [HasMethods(["fit"]), None],
        "features": [StrOptions({"auto", *COLUMNS})],
        "pool_size": [Interval(Integral, 1, None, closed="left")],
        "n_negatives": [Interval(Real, 0, None, closed="neither")],
        "cv": [Interval(Integral, 2, None, closed="left")],
        "output": [StrOptions({"probability", "logit"})],
        "n_recommendations": [Interval(Integral, 1, None, closed="left")],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        recommender,
        *,
        estimator=None,
        features="auto",
        pool_size=500,
        n_negatives=6,
        cv=5,
        output="probability",
        n_recommendations=10,
        random_state=None,
    ):
        self.recommender = recommender
        self.estimator = estimator
        self.features = features
        self.pool_size = pool_size
        self.n_negatives = n_negatives
        self.cv = cv
        self.output = output
        self.n_recommendations = n_recommendations
        self.random_state = random_state

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y, *, user_ids=None):
        """Learn from held-out interactions how relevant the items of a list are.

        Parameters
        ----------
        X : array-like or sparse of shape (n_users, n_items)
            Interactions the host sees; without those of `y`.
        y : sparse of shape (n_users, n_items), HeldOut or array-like of shape \
(n_users,)
            Held-out interactions, which the host was not trained on.
        user_ids : array-like of shape (n_users,), default=None
            Positions of the rows among the host's trained users; None folds them in.

        Returns
        -------
        self : object
            Fitted estimator.
        """
        self._fit_pools(X, y, user_ids)
        return self

    def _fit_pools(self, X, y, user_ids):
        """Fit; return the pools of the rows, and their cross-fitted probabilities."""
        X = check_interactions(self, X, reset=True)
        y = held_out_rows(y, X.shape)
        if user_ids is not None:
            user_ids = check_user_ids(user_ids, X.shape[0])
        self.item_popularity_ = item_popularity(X)
        self.held_out_ratio_ = y.nnz / max(X.nnz, 1)
        self.recommender_ = clone(self.recommender).fit(X, None)
        pools = draw_pools(self.recommender_, X, user_ids, self.pool_size)
        self._features = learn_features(
            self.recommender_, X, user_ids, self.item_popularity_
        )
        hits, start = [], 0
        for pool in pools:
            hits.append(hits_of(pool, y[start : start + len(pool.items)]))
            start += len(pool.items)
        folds = self._fit_classifiers(pools, hits, X.shape[0])
        n_judged = int(np.count_nonzero(np.diff(y.indptr)))
        if n_judged < _FEW_USERS and any(self._fits.values()):
            warnings.warn(
                "`y` must have hits to learn from, held-out items of "
                f"{_FEW_USERS} users at least; got those of {n_judged}. Probabilities, "
                "and what is kept at their prices, are guesses: fit on more users.",
                stacklevel=4,
            )
        tried = {
            name: self._all_cross_fitted(name, pools, folds) for name in self._fits
        }
        self.features_ = max(
            tried, key=lambda name: self._accuracy(pools, tried[name], y)
        )
        self.estimators_ = self._fits.pop(self.features_)
        del self._fits
        self._judge(pools, hits, tried[self.features_])
        return pools, tried[self.features_]

    def _fit_classifiers(self, pools, hits, n_users):
        """Fit a classifier a group of users; return the group of every row, by pool."""
        seed = check_random_state(self.random_state).randint(np.iinfo(np.int32).max)
        rng = np.random.default_rng(seed)
        self.n_hits_ = sum(int(hit.sum()) for hit in hits)
        fold = rng.permutation(n_users) % min(self.cv, max(n_users, 1))
        F, hit, weight, user, rate = sample_rows(
            pools, hits, self._features, self.n_negatives, rng
        )
        self._log_rate = float(np.log(rate))
        others = [fold[user] != group for group in np.unique(fold)]
        names = ["all", "host"] if self.features == "auto" else [self.features]
        if all(len(np.unique(hit[rows])) == 2 for rows in others):
            self._fits = {
                name: [
                    self._new_classifier().fit(
                        F[rows][:, COLUMNS[name]], hit[rows], sample_weight=weight[rows]
                    )
                    for rows in others
                ]
                for name in names
            }
        else:
            self._fits = {names[-1]: []}
            # Where there is nothing to recommend there is nothing to warn of.
            if any((pool.items >= 0).any() for pool in pools):
                warnings.warn(
                    "`y` must have hits among the host's best `pool_size` items; got "
                    f"{self.n_hits_}, in too few groups of users. Its order is kept.",
                    stacklevel=4,
                )
        ends = np.cumsum([len(pool.items) for pool in pools])
        return np.split(fold, ends[:-1])

    def _all_cross_fitted(self, name, pools, folds):
        """Return probabilities of all pools by classifiers that have not seen them."""
        self.features_, self.estimators_ = name, self._fits[name]
        return [
            expit(self._cross_fitted(pool, fold)) * (pool.items >= 0)
            for pool, fold in zip(pools, folds, strict=True)
        ]

    def _accuracy(self, pools, probabilities, y):
        """Return the NDCG of lists by probability."""
        lists = []
        for pool, p in zip(pools, probabilities, strict=True):
            order = np.argsort(-p, axis=1, kind="stable")[:, : self.n_recommendations]
            lists.append(np.take_along_axis(pool.items, order, axis=1))
        return ndcg(y, np.concatenate(lists)) if y.nnz else 0.0

    def _new_classifier(self):
        if self.estimator is None:
            # Many rows, few columns: a handful of Newton steps.
            return LogisticRegression(solver="newton-cholesky")
        return clone(self.estimator)

    def _log_odds(self, F, estimator):
        if hasattr(estimator, "decision_function"):
            return estimator.decision_function(F) + self._log_rate
        share = estimator.predict_proba(F)[:, 1]
        return logit(np.clip(share, 1e-7, 1 - 1e-7)) + self._log_rate

    def _read(self, pool):
        """Return the features that are read, a row an item."""
        F = self._features.of(pool)[..., COLUMNS[self.features_]]
        return F.reshape(-1, F.shape[-1])

    def _cross_fitted(self, pool, fold):
        """Return the log-odds of rows, each by the classifier that has not seen it."""
        if not self.estimators_:
            return self._mean_log_odds(pool)
        odds = np.empty(pool.items.shape)
        for group, estimator in enumerate(self.estimators_):
            rows = np.flatnonzero(fold == group)
            if len(rows):
                found = self._log_odds(self._read(pool[rows]), estimator)
                odds[rows] = found.reshape(len(rows), -1)
        return self._in_order(odds)

    def _mean_log_odds(self, pool):
        """Return the log-odds (n_rows, m) of the items of a pool."""
        if not self.estimators_:
            # Only the order is known: that of the host, under any common rate.
            return np.broadcast_to(
                -np.log1p(np.arange(pool.items.shape[1], dtype=np.float64)) - 2.0,
                pool.items.shape,
            )
        flat = self._read(pool)
        total = sum(self._log_odds(flat, one) for one in self.estimators_)
        return self._in_order((total / len(self.estimators_)).reshape(pool.items.shape))

    def _in_order(self, odds):
        """Let nothing be likelier than what the host puts before it, if it rules."""
        if self.features_ != "host":
            return odds
        # A trifle less from rank to rank: equal probabilities would leave no order.
        falling = np.minimum.accumulate(odds, axis=1)
        return falling - _TRIFLE * np.arange(odds.shape[1])

    def _relevance(self, pool):
        """Return probabilities (n_rows, m) of the items of a pool, 0 where padded."""
        return expit(self._mean_log_odds(pool)) * (pool.items >= 0)

    def _judge(self, pools, hits, probabilities):
        held = [pool.items >= 0 for pool in pools]
        p, hit = (
            np.concatenate([part[kept] for part, kept in zip(parts, held, strict=True)])
            for parts in (probabilities, hits)
        )
        rate = hit.mean() if len(hit) else 0.0
        self.brier_score_ = float(np.mean((p - hit) ** 2)) if len(p) else 0.0
        self.brier_reference_ = float(rate * (1 - rate))
        self.reliability_ = _reliability(p, hit)

    def _span_lists(self, X, user_ids, per_row, turned, k, exclude_seen, masks):
        n = max(self.pool_size, k)
        pool = draw_pool(self.recommender_, X, user_ids, n, exclude_seen, masks)
        scores = self._mean_log_odds(pool)
        if self.output == "probability":
            scores = expit(scores)
        scores = np.where(pool.items < 0, -np.inf, scores)
        places, values = finite_top_k(scores, k)
        ids = np.take_along_axis(pool.items, np.maximum(places, 0), axis=1)
        return np.where(places < 0, -1, ids), values.astype(np.float32)

    def predict_relevance(self, X, user_ids=None):
        """Return the pools of rows and the probability of every item in them.

        Parameters
        ----------
        X : array-like or sparse of shape (n_users, n_items)
            Interactions.
        user_ids : array-like of shape (n_users,), default=None
            Positions of trained users; None folds every row in.

        Returns
        -------
        items : ndarray of shape (n_users, pool_size), dtype int64
            In the host's order, padded with -1.
        probabilities : ndarray of shape (n_users, pool_size), dtype float32
            0 where padded.
        """
        X, user_ids = self._check_rows(X, user_ids)
        parts = over_spans(_probabilities_of_span, self, X, user_ids)
        return tuple(np.concatenate(part) for part in zip(*parts, strict=True))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        return tags

    @property
    def decision_function(self):
        """Not available: items outside the pool have no probability."""
        raise AttributeError(
            "`decision_function` must not be asked of a calibrator, which knows the "
            "items of a pool only. Use predict_relevance."
        )


def _probabilities_of_span(model, X, user_ids):
    pool = draw_pool(model.recommender_, X, user_ids, model.pool_size)
    return pool.items, model._relevance(pool).astype(np.float32)


def _reliability(p, hit):
    """Compare probabilities with shares of hits, in bins of equal expected hits."""
    order = np.argsort(p, kind="stable")
    p, hit = p[order], hit[order]
    edges = np.searchsorted(
        np.cumsum(p), np.linspace(0, p.sum(), _BINS + 1)[1:-1], side="right"
    )
    bins = [part for part in np.split(np.arange(len(p)), edges) if len(part)]
    return Bunch(
        predicted=np.array([p[part].mean() for part in bins]),
        observed=np.array([hit[part].mean() for part in bins]),
        count=np.array([len(part) for part in bins]),
    )
