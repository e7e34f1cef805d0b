"""Lists that weigh relevance against a price of every item's next slot."""

import copy
from dataclasses import replace
from numbers import Integral, Real

import numpy as np
from sklearn.base import BaseEstimator, MetaEstimatorMixin, clone
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from skpopsteer._compat import HasMethods, Interval, _fit_context
from skpopsteer._pool import PoolMixin, join_pools
from skpopsteer._spans import spans
from skpopsteer._validation import (
    check_interactions,
    check_item_lists,
    check_list_length,
    check_per_item,
    check_popularity,
)
from skpopsteer.metrics import ndcg
from skpopsteer.steering._fitting import label_items
from skpopsteer.steering._relevance_calibrator import RelevanceCalibrator
from skpopsteer.steering._relevance_rows import held_out_rows
from skpopsteer.steering._slot_prices import Exposure, fit_prices, make_market

#: Strengths that prices are found for; those between are interpolated.
_STRENGTHS = np.geomspace(1e-4, 0.1, 13)
#: More exposures than any item ever has.
_MOST_EXPOSURES = 2**53
#: Users that prices are found on, at most.
_PRICED_USERS = 10_000


class SlotPricingRecommender(PoolMixin, MetaEstimatorMixin, BaseEstimator):
    r"""Recommend the lists that are worth most, relevance and exposure together.

    Every item has a price, which is what one more slot for it is worth to the
    catalogue, and falls with the slots it holds already. The list of a user is the one
    of highest relevance and prices together, found exactly. Relevance comes from a
    :class:`RelevanceCalibrator`, so that both are in one unit.

    ``predict`` and ``recommend`` use a table of prices found in ``fit``: the list of a
    user depends on nobody else who is asked. :meth:`allocate` chooses the lists of many
    users jointly, which is stronger.

    Parameters
    ----------
    recommender : estimator
        The host, or any recommender; a fitted ``SteeredRecommender`` in a
        ``FrozenEstimator``.
    calibrator : RelevanceCalibrator, default=None
        Its own recommender and pool are replaced by those given here. None is
        ``RelevanceCalibrator(recommender)``, seeded by `random_state`.
    strength : float, default=None
        What exposure is worth, λ below; 0 gives the lists of the calibrator. None
        chooses the largest that keeps to `within`.
    within : float, default=0.05
        Share of the host's NDCG that may be lost, where `strength` is None.
    margin : float, default=1.0
        Standard errors that the NDCG of the users of ``fit`` must keep above what
        `within` allows. Few held-out interactions make a wide error.
    tail_weight : float, default=0.0
        Share τ of the value of exposure that is given to slots of tail items, however
        many they are; the rest is shared out evenly, first slots first.
    min_exposures : int, default=1
        Slots up to which each is worth to an item what its first is: depth, where 1 is
        coverage.
    groups : PopularityGroups, default=None
        What counts as tail; None is ``PopularityGroups()``.
    pool_size : int, default=500
        The host's best items of every row, from which lists are chosen. They bound what
        can be covered.
    n_passes : int, default=3
        Visits to every user in a joint allocation.
    keep_top : int, default=0
        The host's first items of every list that stay where they are.
    n_recommendations : int, default=10
        Length of the lists.
    random_state : int, RandomState instance or None, default=None
        Seed of the calibrator, of the order of users, and of the users that prices are
        found on, which are at most 10,000.

    Attributes
    ----------
    recommender_ : estimator
        The fitted host.
    calibrator_ : RelevanceCalibrator
        Fitted on the held-out interactions.
    strength_ : float
        `strength`, or what was chosen.
    kept_ndcg_ : float
        Share of the host's NDCG that the lists of the users of ``fit`` keep at
        `strength_`, by probabilities cross-fitted for them; NaN without any hits.
    prices_ : ndarray of shape (n_items,)
        Worth of a slot at `strength_`, in units of NDCG of one user.
    item_popularity_ : ndarray of shape (n_items,)
        Interactions per item, counted in ``fit`` or given to it.
    item_groups_ : ndarray of shape (n_items,), dtype int8
        +1 head, 0 mid, -1 tail.
    n_users_ : int
        Rows of ``fit``.
    n_features_in_ : int
        Number of items.

    See Also
    --------
    RelevanceCalibrator : Where relevance comes from.
    SteeredRecommender : Steering by neurons, which can be the host of this.
    TunedSteeringCV : Choose the strength on other users than those of ``fit``.

    Notes
    -----
    With probabilities p, discounts :math:`d_k = 1 / \log_2(k + 1)`, K slots, the
    number :math:`n_i` of slots that item i holds and the tail T, the objective is

    .. math::

        F = \sum_u w_u \sum_k d_k\, p_{u, L_u(k)} + \lambda \sum_i \big[
            (1 - \tau) K \log(1 + n_i) + \tau\, 1[i \in T]\, n_i \big].

    :math:`w_u` is one over the NDCG's ideal gain at the number of held-out items that
    the user's history makes one expect. The list of a user, given all others, is a
    dynamic programme over its candidates and slots, O(pool_size K), since the items of
    a best list stand in the order of their probability. Users are visited in random
    order, and F never falls. Compiled by numba at the first call.

    `min_exposures` m replaces :math:`\log(1 + n)` by a value that grows by log 2 up
    to m slots, and from there as before. Where other than the `n_users_` users are
    allocated, a slot counts as ``n_users_ / n_rows`` slots, so that a strength means
    the same for a sample of the users.

    The prices of the table start from the slopes of F at the joint lists and are moved
    until the lists they give agree with them, at 13 strengths between 1e-4 and .1;
    those between are interpolated. That takes most of ``fit``: some 400 times the lists
    of at most 10,000 users, O(pool_size K) each.

    The idea of prices for exposure is that of online allocation [1]_, the concave value
    that of welfare functions over items [2]_. That the programme is exact, and the
    calibration, are this package's.

    References
    ----------
    .. [1] C. Xu et al., "P-MMF: Provider Max-min Fairness Re-ranking in Recommender
       System", WWW 2023, doi:10.1145/3543507.3583296.
    .. [2] V. Do, S. Corbett-Davies, J. Atif and N. Usunier, "Two-sided fairness in
       rankings via Lorenz dominance", NeurIPS 2021, arXiv:2110.15781.

    Examples
    --------
    >>> from sklearn.decomposition import TruncatedSVD
    >>> from skpopsteer.adapters import as_recommender
    >>> from skpopsteer.datasets import make_interactions
    >>> from skpopsteer.metrics import gini
    >>> from skpopsteer.model_selection import hide_interactions
    >>> from skpopsteer.steering import SlotPricingRecommender
    >>> X, y = hide_interactions(
    ...     make_interactions(300, 100, random_state=0).X, random_state=0
    ... )
    >>> host = as_recommender(TruncatedSVD(8, random_state=0).fit(X))
    >>> model = SlotPricingRecommender(host, pool_size=50, random_state=0).fit(X, y)
    >>> before, after = host.recommend(X), model.predict(X)
    >>> gini(after, 100) < gini(before, 100)
    True
    """

    _parameter_constraints: dict = {  # noqa: RUF012
        "recommender": [HasMethods(["fit", "recommend"])],
        "calibrator": [HasMethods(["fit", "predict_relevance"]), None],
        "strength": [Interval(Real, 0, None, closed="left"), None],
        "within": [Interval(Real, 0, 1, closed="left")],
        "margin": [Interval(Real, 0, None, closed="left")],
        "tail_weight": [Interval(Real, 0, 1, closed="both")],
        "min_exposures": [Interval(Integral, 1, None, closed="left")],
        "groups": [HasMethods(["label"]), None],
        "pool_size": [Interval(Integral, 1, None, closed="left")],
        "n_passes": [Interval(Integral, 1, None, closed="left")],
        "keep_top": [Interval(Integral, 0, None, closed="left")],
        "n_recommendations": [Interval(Integral, 1, None, closed="left")],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        recommender,
        *,
        calibrator=None,
        strength=None,
        within=0.05,
        margin=1.0,
        tail_weight=0.0,
        min_exposures=1,
        groups=None,
        pool_size=500,
        n_passes=3,
        keep_top=0,
        n_recommendations=10,
        random_state=None,
    ):
        self.recommender = recommender
        self.calibrator = calibrator
        self.strength = strength
        self.within = within
        self.margin = margin
        self.tail_weight = tail_weight
        self.min_exposures = min_exposures
        self.groups = groups
        self.pool_size = pool_size
        self.n_passes = n_passes
        self.keep_top = keep_top
        self.n_recommendations = n_recommendations
        self.random_state = random_state

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y, *, user_ids=None, item_popularity=None, item_groups=None):
        """Calibrate the host on held-out interactions, and find the prices.

        Parameters
        ----------
        X : array-like or sparse of shape (n_users, n_items)
            Interactions the host sees; without those of `y`.
        y : sparse of shape (n_users, n_items), HeldOut or array-like of shape \
(n_users,)
            Held-out interactions, which the host was not trained on.
        user_ids : array-like of shape (n_users,), default=None
            Positions of the rows among the host's trained users; None folds them in.
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
        self._count_popularity(X, item_popularity)
        self.item_groups_ = label_items(self, item_groups)
        seed = check_random_state(self.random_state).randint(np.iinfo(np.int32).max)
        self.calibrator_ = self._new_calibrator(seed)
        pools, relevance = self.calibrator_._fit_pools(X, y, user_ids)
        self.recommender_ = self.calibrator_.recommender_
        self._seed = seed
        pool = join_pools(pools, X)
        k = check_list_length(None, self.n_recommendations, X.shape[1])
        market = self._market(pool, np.concatenate(relevance), k)
        self._log_prices = self._find_prices(market)
        self._choose_strength(market, pool, held_out_rows(y, X.shape))
        return self

    def allocate(
        self,
        X,
        n_recommendations=None,
        *,
        exclude_seen=True,
        candidates=None,
        exclude=None,
        strength=None,
        user_ids=None,
        exposures=None,
    ):
        """Choose the lists of these users jointly.

        Parameters
        ----------
        X, n_recommendations, exclude_seen, candidates, exclude, strength, user_ids : \
see :meth:`recommend`
            As there.
        exposures : array-like of shape (n_items,), default=None
            Slots that items hold already, from lists handed out before these. One slot
            then counts for one.

        Returns
        -------
        ndarray of shape (n_users, n_recommendations), dtype int64
            Item positions, best first, padded with -1.

        Notes
        -----
        Holds the pools of all rows, O(n_users * pool_size).
        """
        self._check_strength(strength)
        X, user_ids, k = self._check_lists(X, user_ids, n_recommendations)
        masks = [
            None if mask is None else check_item_lists(name, mask, X.shape)
            for name, mask in (("exclude", exclude), ("candidates", candidates))
        ]
        pool = self._draw(X, user_ids, None, k, exclude_seen, masks)
        relevance = [
            self.calibrator_._relevance(pool[span]) for span in spans(X.shape[0])
        ]
        market = self._market(pool, np.concatenate(relevance), k)
        exposure = self._exposure(self._own(strength), X.shape[0])
        counts = np.zeros(X.shape[1])
        if exposures is not None:
            exposures = check_per_item("exposures", exposures, X.shape[1])
            counts += check_popularity("exposures", exposures)
            exposure = replace(exposure, unit=1.0)
        rng = np.random.default_rng(self._seed)
        places, _ = market.allocate(exposure, rng, self.n_passes, counts=counts)
        return market.of(places)

    @property
    def decision_function(self):
        """Not available: lists are chosen whole."""
        raise AttributeError(
            "`decision_function` must belong to what scores items one by one; "
            f"{type(self).__name__} chooses lists as a whole. Call recommend."
        )

    @property
    def prices_(self):
        """Worth of a slot of every item at `strength_`."""
        check_is_fitted(self)
        return self._turn(None)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        return tags

    def _new_calibrator(self, seed):
        calibrator = self.calibrator
        if calibrator is None:
            calibrator = RelevanceCalibrator(self.recommender, random_state=seed)
        return clone(calibrator).set_params(
            recommender=self.recommender, pool_size=self.pool_size
        )

    def _market(self, pool, relevance, k):
        """Return the candidates of some rows, and what a hit is worth for each."""
        discounts = 1.0 / np.log2(np.arange(2.0, k + 2.0))
        expected = self.calibrator_.held_out_ratio_ * np.diff(pool.X.indptr)
        n_hits = np.clip(np.round(expected), 1, k).astype(np.int64)
        weights = 1.0 / np.cumsum(discounts)[n_hits - 1]
        return make_market(pool, relevance, weights, self.keep_top, k)

    def _find_prices(self, market):
        """Return logarithms of prices (n_strengths, n_items) for a table."""
        rng = np.random.default_rng(self._seed)
        market = market.sample(_PRICED_USERS, rng)
        exposures = [self._exposure(one, len(market.items)) for one in _STRENGTHS]
        return fit_prices(market, exposures, rng, self.n_passes)

    def _exposure(self, strength, n_rows):
        tail = (self.item_groups_ == -1).astype(np.float64)
        return Exposure(
            strength, self.tail_weight, tail, min(self.min_exposures, _MOST_EXPOSURES),
            self.n_recommendations, unit=self.n_users_ / max(n_rows, 1),
        )  # fmt: skip

    def _choose_strength(self, market, pool, y):
        """Set `strength_` and `kept_ndcg_` by the lists at the prices."""
        k = self.n_recommendations
        own = ndcg(y, pool.items[:, :k], per_user=True)
        self.strength_, self.kept_ndcg_ = 0.0, np.nan
        if not np.nansum(own):
            # Nothing to judge by.
            self.strength_ = self.strength or 0.0
            return
        for strength in (
            (0.0, *_STRENGTHS) if self.strength is None else [self.strength]
        ):
            lists = market.of(market.at_prices(self._turn(strength)))
            kept = ndcg(y, lists, per_user=True)
            spare = kept - (1.0 - self.within) * own
            spare = spare[np.isfinite(spare)]
            error = self.margin * spare.std() / np.sqrt(len(spare))
            if strength and self.strength is None and spare.mean() < error:
                break
            self.strength_ = float(strength)
            self.kept_ndcg_ = float(np.nansum(kept) / np.nansum(own))

    def _own(self, strength):
        if strength is not None:
            return float(strength)
        return self.strength_ if self.strength is None else float(self.strength)

    def _check_strength(self, strength):
        super()._check_strength(strength)
        if strength is not None and strength < 0:
            raise ValueError(
                f"`strength` must be >= 0; got {strength}. 0 gives the lists of the "
                "calibrator; nothing here makes lists more popular."
            )

    def _turn(self, strength):
        """Return the prices (n_items,) at a strength."""
        strength = self._own(strength)
        if not strength:
            return np.zeros(self.n_features_in_)
        exposure = self._exposure(strength, self.n_users_)
        # Beyond the table the prices of its end.
        place = np.interp(
            np.log(strength), np.log(_STRENGTHS), np.arange(len(_STRENGTHS))
        )
        low = min(int(place), len(_STRENGTHS) - 2)
        share = place - low
        log_price = (1 - share) * self._log_prices[low] + share * self._log_prices[
            low + 1
        ]
        return exposure.scale * np.exp(log_price) + exposure.of_tail

    def _choose(self, pool, turned, k):
        relevance = self.calibrator_._relevance(pool)
        market = self._market(pool, relevance, k)
        places = market.at_prices(turned)
        order = np.take_along_axis(market.order, np.maximum(places, 0), axis=1)
        return np.where(places < 0, -1, order), relevance

    def _take_new_items(self, n_new):
        super()._take_new_items(n_new)
        # Nobody has chosen them yet: a first slot, and tail.
        self.item_groups_ = np.pad(self.item_groups_, (0, n_new), constant_values=-1)
        self._log_prices = np.pad(self._log_prices, ((0, 0), (0, n_new)))
        self.calibrator_ = copy.copy(self.calibrator_)
        self.calibrator_.recommender_ = self.recommender_
        self.calibrator_._features = self.calibrator_._features.with_new_items(n_new)
