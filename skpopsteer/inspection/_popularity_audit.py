"""Where a host keeps popularity, and what turning each place can reach."""

from dataclasses import replace
from numbers import Integral, Real

import numpy as np
from sklearn.base import BaseEstimator, MetaEstimatorMixin, clone
from sklearn.frozen import FrozenEstimator
from sklearn.utils import Bunch, check_random_state, estimator_html_repr
from sklearn.utils.validation import check_is_fitted

from skpopsteer._compat import (
    EstimatorMixin,
    HasMethods,
    Interval,
    StrOptions,
    _fit_context,
)
from skpopsteer._validation import (
    check_interactions,
    check_per_item,
    check_popularity,
    check_user_ids,
)
from skpopsteer.inspection import _plotting
from skpopsteer.inspection._audit_channels import (
    DIRECTION,
    NEURONS,
    geometric_coordinates,
    neuron_coordinate,
    read_channels,
    regress_popularity,
)
from skpopsteer.inspection._audit_drawing import draw
from skpopsteer.inspection._audit_inputs import (
    choose_rows,
    fit_steered,
    held_out_of,
)
from skpopsteer.inspection._audit_reach import (
    N_YARDSTICKS,
    Judge,
    Lever,
    fit_levers,
    search_lever,
)
from skpopsteer.inspection._audit_text import as_html, as_text
from skpopsteer.inspection._audit_words import recommend, write_notes
from skpopsteer.inspection._compare_levels import check_levels
from skpopsteer.popularity import PopularityGroups, item_popularity
from skpopsteer.rerankers import PopularityPenaltyReranker

__all__ = ["PopularityAudit"]


class PopularityAudit(EstimatorMixin, MetaEstimatorMixin, BaseEstimator):
    r"""Find where a trained recommender keeps popularity, and what steering there does.

    ``fit`` takes the scores of a host apart into channels, one number per item each:
    the item bias, the length of item vectors, their coordinate along the mean user, and
    what selected neurons add. It measures how far every channel goes with popularity,
    how much of the scores it makes, and how much tail its lever brings at what cost.
    Printing it gives the tables and the advice. It recommends nothing itself, and the
    host is never changed.

    Parameters
    ----------
    recommender : estimator
        The host, as for :class:`~skpopsteer.steering.SteeredRecommender`.
    steered : SteeredRecommender, "drop" or None, default=None
        Whose neurons are a channel. A fitted one around the same host is taken as it
        is, another is fitted around the host; None fits ``SteeredRecommender(host)``,
        which takes most of the time, and "drop" leaves neurons out.
    groups : PopularityGroups, default=None
        What counts as tail; None is ``PopularityGroups()``.
    levels : float or array-like of float, default=(0.99, 0.97, 0.95, 0.9, 0.8)
        Shares to be kept of the host's NDCG, or of its lists where there are no
        held-out items.
    pool_size : int, default=None
        The rerankers choose among the host's best items of every row, so many; None is
        the whole catalogue, as it always is for neurons and for the mean user.
    max_users : int, default=2000
        Measure on a sample of so many users at the most, of those with held-out items
        where these are given; None takes all of them. Neurons are learned from all.
    n_recommendations : int, default=10
        Length of the lists.
    random_state : int, RandomState instance or None, default=None
        Seed of the sample, and of the default neurons.

    Attributes
    ----------
    channels_ : list of Channel
        With `name`, `coordinate` of shape (n_items,), `pearson` and `spearman`
        correlation with log popularity, `variance_share`, `variance_share_personal` and
        `tail_share_without`. The last is ``"mean score"``, a yardstick: all that users
        share.
    reach_ : list of Reach
        One per lever and level, and one at any cost, whose `level` is None; with
        `lever`, `channel` (None for a yardstick), `strength`, `tail_share` and `kept`.
    curves_ : dict of str to :class:`~sklearn.utils.Bunch`
        All that was measured of a lever: `strengths`, ascending, `tail_share` and
        `kept`, ndarrays of one shape, and its `channel`.
    levers_ : dict of str to estimator
        The fitted levers by the name of their class; set a strength and use one.
    r2_ : dict of str to float
        How well a ridge regression on the ``"vectors"`` of items tells their log
        popularity, items left out one by one; and on ``"vectors and bias"``. Empty for
        a host with a non-linear decoder.
    recommendation_ : str
        Where popularity lives, what to turn, and what it costs.
    tail_share_ : float
        Of the host's lists.
    accuracy_ : float or None
        Their NDCG; None without held-out items.
    kept_name_ : str
        What `levels` are shares of.
    levels_ : tuple of float
        The highest first.
    notes_ : list of str
        What was measured, and what could not be.
    user_rows_ : ndarray of shape (n_measured,), dtype int64
        Rows of `X` that were measured.
    recommender_ : estimator
        The fitted host, frozen.
    item_popularity_ : ndarray of shape (n_items,)
        Interactions per item, counted in ``fit`` or given to it.
    item_groups_ : ndarray of shape (n_items,), dtype int8
        +1 head, 0 mid, -1 tail.
    n_features_in_ : int
        Number of items.

    See Also
    --------
    compare : Methods side by side, with settings chosen on other users.
    skpopsteer.steering.SlotPricingRecommender : Prices slots; no channel.

    Notes
    -----
    Scores are :math:`s_{ui} = u^\top v_i + b_i` with mean :math:`m_i` over users. Of
    a coordinate c, over items and users,

    .. math::

        \text{one slope: } \frac{\operatorname{Cov}(m, c)^2}
        {\operatorname{Var}(c)\, W}, \qquad
        \text{own slopes: } \frac{\operatorname{Cov}(m, c)^2 + a^\top C a}
        {\operatorname{Var}(c)\, W}, \qquad
        W = \operatorname{Var}(m) + \overline{v^\top C v} - \bar v^\top C \bar v,

    with the covariance C of users and :math:`a = \operatorname{Cov}(v, c)`. W is the
    variance of scores within a user: how high all scores of a user are ranks nothing,
    and counts as nothing. Shares of channels overlap, and do not add up. The coordinate
    of neurons is what one unit of strength takes out of an item's score, mean over
    users, as measured: neurons that stay silent move nothing.

    The lever of the bias is :class:`~skpopsteer.rerankers.ItemBiasReranker`, of the
    length :class:`~skpopsteer.rerankers.NormTemperingReranker`, of the mean user
    :class:`~skpopsteer.steering.GradientPopularityAdjuster`, which is given that
    direction and leaves a bias alone. Without its channel a list is what the lever
    makes at strength 1. Yardsticks are
    :class:`~skpopsteer.rerankers.PopularityPenaltyReranker` and
    :class:`~skpopsteer.rerankers.SpreadTemperingReranker`. Strengths are chosen on the
    users that are measured: figures flatter all levers alike, a little.

    Some 35 strengths a lever are tried, each at the cost of scores and lists; channels
    cost O(n_users d² + n_items d²). Of a host with a non-linear decoder scores are made
    block by block, and the bias, the length and the mean user are left out.

    References
    ----------
    .. [1] W. Ren et al., "Mitigating Popularity Bias in Recommendation with Unbalanced
       Interactions: A Gradient Perspective", ICDM 2022,
       doi:10.1109/ICDM54844.2022.00054: the mean user as the direction of popularity.
    .. [2] D. Kim, J. Park and D. Kim, "Test-Time Embedding Normalization for Popularity
       Bias Mitigation", CIKM 2023, arXiv:2308.11288: the length of item vectors.

    Examples
    --------
    >>> from sklearn.decomposition import TruncatedSVD
    >>> from skpopsteer.adapters import as_recommender
    >>> from skpopsteer.datasets import make_interactions
    >>> from skpopsteer.inspection import PopularityAudit
    >>> from skpopsteer.model_selection import hide_interactions
    >>> X, y = hide_interactions(
    ...     make_interactions(200, 100, random_state=0).X, random_state=0
    ... )
    >>> host = as_recommender(TruncatedSVD(8, random_state=0).fit(X))
    >>> audit = PopularityAudit(host, steered="drop", random_state=0).fit(X, y)
    >>> [channel.name for channel in audit.channels_]
    ['item length', 'mean-user direction', 'mean score']
    >>> audit.recommendation_.partition(" (")[0]
    'Popularity lives in the direction of the mean user'
    """

    _parameter_constraints: dict = {  # noqa: RUF012
        "recommender": [HasMethods(["fit"])],
        "steered": [HasMethods(["fit"]), StrOptions({"drop"}), None],
        "groups": [HasMethods(["label"]), None],
        "levels": ["array-like", Real],
        "pool_size": [Interval(Integral, 1, None, closed="left"), None],
        "max_users": [Interval(Integral, 1, None, closed="left"), None],
        "n_recommendations": [Interval(Integral, 1, None, closed="left")],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        recommender,
        *,
        steered=None,
        groups=None,
        levels=(0.99, 0.97, 0.95, 0.9, 0.8),
        pool_size=None,
        max_users=2000,
        n_recommendations=10,
        random_state=None,
    ):
        self.recommender = recommender
        self.steered = steered
        self.groups = groups
        self.levels = levels
        self.pool_size = pool_size
        self.max_users = max_users
        self.n_recommendations = n_recommendations
        self.random_state = random_state

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y=None, *, user_ids=None, item_popularity=None):
        """Take the scores of the host apart, and turn every lever.

        Parameters
        ----------
        X : array-like or sparse of shape (n_users, n_items)
            Interactions the recommender sees.
        y : sparse of shape (n_users, n_items), array-like of shape (n_users,) or \
HeldOut, default=None
            Held-out interactions. With them the cost of a lever is the NDCG it loses;
            without, the items of the host's lists that it replaces.
        user_ids : array-like of shape (n_users,), default=None
            Positions of the rows among the host's trained users, whose trained vectors
            are then used. None folds every row in.
        item_popularity : array-like of shape (n_items,) or (1, n_items), default=None
            Interactions per item, counted elsewhere; None counts those of `X`.

        Returns
        -------
        self : object
            Fitted audit.

        Raises
        ------
        TypeError
            For what is no host, and for a `steered` that is no SteeredRecommender.
        ValueError
            For items that are equally popular, for held-out items of which the host
            finds none, and for a fitted `steered` around another host.
        """
        self._check_host()
        self.levels_ = check_levels(self.levels)
        X = check_interactions(self, X, reset=True)
        if user_ids is not None:
            user_ids = check_user_ids(user_ids, X.shape[0])
        log_popularity = self._count(X, item_popularity)
        groups = PopularityGroups() if self.groups is None else self.groups
        self.item_groups_ = groups.label(self.item_popularity_)
        rng = check_random_state(self.random_state)
        self.user_rows_ = rows = choose_rows(X, y, self.max_users, rng)
        host = clone(self.recommender).fit(X, None)
        frozen = isinstance(host, FrozenEstimator)
        self.recommender_ = host = host if frozen else FrozenEstimator(host)
        judge = self._make_judge(X, y, user_ids, rows)
        self._measure(judge, fit_steered(self, X, user_ids, rng), log_popularity)
        self.notes_ = write_notes(self, X.shape[0], user_ids, groups)
        self.recommendation_ = recommend(self)
        return self

    def plot(self, ax=None):
        """Draw the channels, and the tail share of every lever against what it keeps.

        Parameters
        ----------
        ax : array-like of Axes of shape (2,), default=None
            Where to draw; None makes a figure.

        Returns
        -------
        ndarray of Axes of shape (2,)
        """
        check_is_fitted(self)
        return draw(self, ax)

    def to_frame(self, backend="pandas"):
        """Return the channels as a data frame.

        Parameters
        ----------
        backend : {"pandas", "polars"}, default="pandas"
            Library of the frame.

        Returns
        -------
        DataFrame
            One row per channel; the mean score is the last.
        """
        names = (
            "pearson", "spearman", "variance_share", "variance_share_personal",
            "tail_share_without",
        )  # fmt: skip
        return self._frame(backend, "channels_", {"channel": "name"}, names)

    def reach_to_frame(self, backend="pandas"):
        """Return what levers reach as a data frame.

        Parameters
        ----------
        backend : {"pandas", "polars"}, default="pandas"
            Library of the frame.

        Returns
        -------
        DataFrame
            One row per lever and level; a missing level is any cost, and a missing
            channel a yardstick.
        """
        names = ("level", "strength", "tail_share", "kept")
        known = {"lever": "lever", "channel": "channel"}
        return self._frame(backend, "reach_", known, names)

    def __str__(self):
        return as_text(self) if hasattr(self, "recommendation_") else repr(self)

    def _repr_html_(self):
        if hasattr(self, "recommendation_"):
            return as_html(self)
        return estimator_html_repr(self)

    def _repr_mimebundle_(self, **kwargs):
        # Notebooks ask for this first, of every estimator.
        return {"text/plain": str(self), "text/html": self._repr_html_()}

    def _frame(self, backend, attribute, words, numbers):
        check_is_fitted(self)
        records = getattr(self, attribute)
        columns = {
            column: [getattr(one, name) for one in records]
            for column, name in words.items()
        }
        for name in numbers:
            values = [getattr(one, name) for one in records]
            columns[name] = np.array([np.nan if v is None else v for v in values])
        return _plotting.frame(backend, columns)

    def _measure(self, judge, steered, log_popularity):
        """Fit the levers, read the channels, and turn every lever."""
        host, users = self.recommender_, (judge.X, judge.user_ids)
        levers = fit_levers(
            host, *users, self.item_popularity_, pool_size=self.pool_size,
            n_recommendations=self.n_recommendations,
        )  # fmt: skip
        if steered is not None:
            # Behind the other channels, before the yardsticks.
            levers.insert(len(levers) - N_YARDSTICKS, Lever(NEURONS, steered))
        coordinates = _coordinates(host, users, levers)
        channels, within = read_channels(host, *users, coordinates, log_popularity)
        for lever in levers:
            if isinstance(lever.model, PopularityPenaltyReranker) and within > 0:
                lever.unit = float(np.sqrt(within) / log_popularity.std())
        self.reach_ = [
            reach for one in levers for reach in search_lever(one, judge, self.levels_)
        ]
        self.levers_ = {lever.name: lever.model for lever in levers}
        self.curves_ = {lever.name: _curve(lever) for lever in levers}
        self.channels_ = [_with_removal(one, levers) for one in channels]
        self.r2_ = {}
        if not host.has_nonlinear_decode:
            self.r2_ = regress_popularity(host, log_popularity)

    def _check_host(self):
        if not hasattr(self.recommender, "encode_users"):
            raise TypeError(
                "`recommender` must be a host with encode_users and decode; got "
                f"{type(self.recommender).__name__}. Wrap a trained model: "
                "PopularityAudit(as_recommender(model))."
            )

    def _count(self, X, given):
        """Set the popularity and return its logarithm."""
        popularity = item_popularity(X)
        if given is not None:
            given = check_per_item("item_popularity", given, X.shape[1])
            popularity = check_popularity("item_popularity", given)
        log_popularity = np.log(np.maximum(popularity, 1.0))
        if not np.ptp(log_popularity) > 0:
            raise ValueError(
                "`item_popularity` must differ between items; got "
                f"{popularity[0]:g} for all {len(popularity)}. There is no popularity "
                "to look for."
            )
        self.item_popularity_ = popularity
        return log_popularity

    def _make_judge(self, X, y, user_ids, rows):
        ids = None if user_ids is None else user_ids[rows]
        own = self.recommender_.recommend(X[rows], self.n_recommendations, user_ids=ids)
        judge = Judge(X[rows], ids, held_out_of(y, rows), own, self.item_groups_)
        if judge.accuracy == 0:
            raise ValueError(
                "`y` must hold items that the host finds, for cost is a share of its "
                f"NDCG; got NDCG 0 for {len(rows)} users. Pass more users, or ask for "
                "longer lists."
            )
        self.tail_share_, self.accuracy_ = judge.tail_share, judge.accuracy
        k = self.n_recommendations
        self.kept_name_ = f"NDCG@{k}" if y is not None else "the host's lists"
        return judge


def _coordinates(host, users, levers):
    """Return the coordinates of all channels but the mean score."""
    models = {lever.channel: lever.model for lever in levers}
    found = {}
    if not host.has_nonlinear_decode:
        adjuster = models.get(DIRECTION)
        direction = None if adjuster is None else adjuster.popularity_direction_
        found = geometric_coordinates(host, direction)
    if NEURONS in models:
        found[NEURONS] = neuron_coordinate(models[NEURONS], *users)
    return found


def _curve(lever):
    strengths = sorted(lever.points)
    tail, kept = np.array([lever.points[strength] for strength in strengths]).T
    return Bunch(
        strengths=np.array(strengths), tail_share=tail, kept=kept, channel=lever.channel
    )


def _with_removal(channel, levers):
    """Add what lists are without a channel."""
    for lever in levers:
        if lever.channel == channel.name and channel.name != NEURONS:
            return replace(channel, tail_share_without=lever.points[1.0][0])
    return channel
