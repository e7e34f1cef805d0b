"""What rerankers that choose whole lists have in common."""

from numbers import Integral, Real

import numpy as np
from sklearn.base import BaseEstimator, MetaEstimatorMixin

from skpopsteer._compat import HasMethods, Interval, StrOptions, _fit_context
from skpopsteer._pool import PoolMixin
from skpopsteer._user_strength import niche_taste, user_factors
from skpopsteer._validation import (
    check_interactions,
    check_per_item,
    check_user_ids,
)
from skpopsteer.popularity import PopularityGroups

__all__ = ["LIST_RULE_CONSTRAINTS", "ListRule", "relevance"]

LIST_RULE_CONSTRAINTS: dict = {
    "recommender": [HasMethods(["fit", "recommend"])],
    "strength": [Interval(Real, 0, None, closed="left")],
    "user_strength": [StrOptions({"profile"}), callable, None],
    "groups": [HasMethods(["label"]), None],
    "pool_size": [Interval(Integral, 1, None, closed="left")],
    "keep_top": [Interval(Integral, 0, None, closed="left")],
    "n_recommendations": [Interval(Integral, 1, None, closed="left")],
}


class ListRule(PoolMixin, MetaEstimatorMixin, BaseEstimator):
    """Base of rerankers that choose a list as a whole from a host's best items.

    A subclass gives ``_list(pool, strength, k)``: the lists as positions in the pool,
    of shape (n_rows, k), padded with -1; `strength` has shape (n_rows, 1) and is not
    negative. It may learn in ``_learn(X, user_ids)``, after the host is there, and
    popularity and groups are known.
    """

    _parameter_constraints = LIST_RULE_CONSTRAINTS
    # Where metadata is routed, the positions of users go wherever users go.
    __metadata_request__fit = {"user_ids": True}  # noqa: RUF012

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y=None, *, user_ids=None, item_popularity=None, item_groups=None):
        """Count popularity, group the items, and fit the host if it is not frozen.

        Parameters
        ----------
        X : array-like or sparse of shape (n_users, n_items)
            Interactions the recommender sees.
        y : object, default=None
            Not used.
        user_ids : array-like of shape (n_users,), default=None
            Positions of the rows among the host's trained users, for rules that learn
            from the lists of users. None folds every row in.
        item_popularity : array-like of shape (n_items,) or (1, n_items), default=None
            Interactions per item, counted elsewhere; None counts those of `X`.
        item_groups : array-like of shape (n_items,) or (1, n_items), default=None
            +1 head, 0 mid, -1 tail, instead of what `groups` makes of the popularity.

        Returns
        -------
        self : object
            Fitted estimator.
        """
        X = check_interactions(self, X, reset=True)
        if user_ids is not None:
            user_ids = check_user_ids(user_ids, X.shape[0])
        self._count_popularity(X, item_popularity)
        self.item_groups_ = self._label_items(item_groups)
        self.mean_profile_ = self._average_profile(X)
        self._mean_taste = 0.0
        if self.user_strength == "profile" and X.nnz:
            self._mean_taste = float(np.nanmean(niche_taste(X, self.item_popularity_)))
        self.recommender_ = self._fit_host(X)
        self._learn(X, user_ids)
        return self

    @property
    def decision_function(self):
        """Not available: items have no score of their own."""
        raise AttributeError(
            "`decision_function` must belong to a rule that scores items one by one; "
            f"{type(self).__name__} chooses lists as a whole. Call recommend."
        )

    def _learn(self, X, user_ids):
        """Learn what the rule knows of the items or of the users."""

    def _check_strength(self, strength):
        super()._check_strength(strength)
        if strength is not None and strength < 0:
            raise ValueError(
                f"`strength` must be >= 0 for {type(self).__name__}; got {strength!r}. "
                "0 gives the lists of the host."
            )

    def _turn(self, strength):
        return self.strength if strength is None else float(strength)

    def _per_row(self, X):
        return user_factors(
            self.user_strength, X, self.item_popularity_, self._mean_taste
        )

    def _strengths(self, pool, turned):
        """Return the strength of every row, of shape (n_rows, 1)."""
        strengths = np.full((len(pool.items), 1), turned, dtype=np.float64)
        if pool.factors is not None:
            strengths *= np.maximum(pool.factors, 0)[:, None]
        return strengths

    def _choose(self, pool, turned, k):
        if turned == 0:
            # Exactly the host's, whatever a rule may do to equal scores.
            places = np.where(pool.items < 0, -1, np.arange(pool.items.shape[1]))
            return places[:, :k], pool.scores
        return self._list(pool, self._strengths(pool, turned), k), pool.scores

    def _label_items(self, item_groups):
        popularity = self.item_popularity_
        if item_groups is None:
            return (self.groups or PopularityGroups()).label(popularity)
        labels = check_per_item("item_groups", item_groups, len(popularity))
        known = np.isin(labels, (-1, 0, 1))
        if not known.all():
            raise ValueError(
                "`item_groups` must hold 1 (head), 0 (mid) and -1 (tail); got "
                f"{labels[~known][0]!r}. PopularityGroups().label(item_popularity) "
                "makes it."
            )
        return labels.astype(np.int8)

    def _take_new_items(self, n_new):
        super()._take_new_items(n_new)
        self.item_groups_ = np.pad(self.item_groups_, (0, n_new), constant_values=-1)

    def _average_profile(self, X):
        shares = _group_shares(X, self.item_groups_)
        held = ~np.isnan(shares[:, 0])
        if held.any():
            return shares[held].mean(axis=0)
        # Nobody has a history: what a random one would hold.
        return np.bincount(self.item_groups_ + 1, minlength=3) / X.shape[1]

    def _profiles(self, X):
        """Shares of tail, mid and head in histories, (n_rows, 3); average of none."""
        shares = _group_shares(X, self.item_groups_)
        return np.where(np.isnan(shares), self.mean_profile_, shares)

    def _pool_groups(self, pool):
        """Return the groups in a pool: 0 tail, 1 mid, 2 head, -1 padding."""
        return np.where(pool.items < 0, -1, self.item_groups_[pool.items] + 1)


def _group_shares(X, item_groups):
    """Share of tail, mid and head in every row; every item counts once; NaN if none."""
    lengths = np.diff(X.indptr)
    rows = np.repeat(np.arange(len(lengths)), lengths)
    cells = np.bincount(
        3 * rows + item_groups[X.indices] + 1, minlength=3 * len(lengths)
    )
    shares = np.full((len(lengths), 3), np.nan)
    held = lengths > 0
    shares[held] = cells.reshape(-1, 3)[held] / lengths[held, None]
    return shares


def relevance(pool):
    """Map the host's scores of a pool to [0, 1], row by row.

    Parameters
    ----------
    pool : Pool
        Best items first.

    Returns
    -------
    ndarray of shape (n_rows, m), dtype float64
        1 for the best item and 0 for the last of the pool, linear between; 1 for all
        where they are equal; -inf where padded.
    """
    padding = pool.items < 0
    scores = np.where(padding, np.inf, pool.scores).astype(np.float64)
    lowest = scores.min(axis=1, keepdims=True)
    lowest = np.where(np.isinf(lowest), 0.0, lowest)
    spread = scores[:, :1] - lowest
    varied = np.isfinite(spread) & (spread > 0)
    part = (scores - lowest) / np.where(varied, spread, 1.0)
    return np.where(padding, -np.inf, np.where(varied, part, 1.0))
