"""Personal calibration targets: who gets how much of the tail's exposure."""

from numbers import Real

import numpy as np
from scipy.optimize import brentq

from skpopsteer._compat import Interval
from skpopsteer.rerankers._allocate import AllocateMixin
from skpopsteer.rerankers._by_group import GroupQueues, best_group
from skpopsteer.rerankers._list_rule import LIST_RULE_CONSTRAINTS, ListRule
from skpopsteer.topk import merge_lists

#: A target that is met exactly must not hang on the rounding of a sum.
_MARGIN = 1e-9


class PersonalTargetReranker(AllocateMixin, ListRule):
    r"""Share the exposure of the tail among users after their histories (PCT).

    The tail is to get a share of all exposure. Users who like the tail more get more of
    it: each has a target of his own, and lists follow the targets.

    Parameters
    ----------
    recommender : estimator
        The host: any recommender.
    strength : float, default=0.5
        How far targets lie between the exposure the tail has in the host's list of a
        user, at 0, and the personal target, at 1 and more. 0 gives the host's lists, 1
        the published method.
    target_tail_share : float, default=0.5
        Share of the exposure that the tail is to get over all users, in (0, 1).
    relevance_weight : float, default=0.5
        Weight λ of the host's rank against the target, in (0, 1], at places that no
        item can take without passing its target.
    user_strength : {"profile"}, callable or None, default=None
        Multiplies the strength per user, as for
        :class:`~skpopsteer.steering.SteeredRecommender`; negative factors count as 0.
    groups : PopularityGroups, default=None
        Which items are the tail; all others are one group. None takes
        ``PopularityGroups()``.
    pool_size : int, default=500
        Choose among the host's best items of every row, so many.
    keep_top : int, default=0
        The host's first items of every list that stay where they are.
    n_recommendations : int, default=10
        Length of the lists.

    Attributes
    ----------
    recommender_ : estimator
        The fitted host.
    target_shift_ : float
        What is added to the tail's share of a history to make the target, which is then
        cut to [0, 1].
    item_popularity_ : ndarray of shape (n_items,)
        Interactions per item, counted in ``fit`` or given to it.
    item_groups_ : ndarray of shape (n_items,), dtype int8
        +1 head, 0 mid, -1 tail.
    mean_profile_ : ndarray of shape (3,)
        Average shares of tail, mid and head in the histories of ``fit``, which stand in
        for those of a user without a history.
    n_users_ : int
        Rows of ``fit``, which the popularity was counted over; as many as the most
        popular item asks for, if it was given.
    n_features_in_ : int
        Number of items.

    See Also
    --------
    CalibratedPopularityReranker : Targets that are the histories themselves.

    Notes
    -----
    **Targets.** With :math:`p_u` the shares of tail and rest in a history,
    :math:`\hat q` the system's target and :math:`g` the unit vector along
    :math:`\bar p - \hat q`, [1]_ solves

    .. math:: \min_\gamma \sum_u \gamma_u \quad \text{subject to} \quad
        \sum_u \gamma_u g = \sum_u (p_u - \hat q) , \quad 0 \le \gamma_u \le l_u ,

    where :math:`l_u` keeps :math:`\hat q_u = p_u - \gamma_u g` within [0, 1]. The right
    side is a multiple of :math:`g`, so that the constraint fixes
    :math:`\sum_u \gamma_u`: *every* feasible point is optimal, and what a solver
    returns is a matter of its path. Here it is the feasible point with the least
    :math:`\sum_u \gamma_u^2`, :math:`\gamma_u = \min(\tau, l_u)`: everybody's share of
    the tail moves by the same amount, as far as he can go. The threshold is found over
    the users of ``fit`` and serves for new rows, so that a list of ``recommend`` does
    not depend on who else is asked for; published code solves for a batch of users
    after the other. ``allocate`` finds it over its own rows.

    **Lists.** A place :math:`t` has the exposure :math:`1 / \log_2(t + 1)`. Place after
    place takes the host's best item that passes no target; places that none can take
    are then filled with the highest

    .. math:: \frac{\lambda}{\mathrm{rank}(i)} - (1 - \lambda) \tfrac12
        \left\| e(L \cup \{i\}) - \hat e_u \right\|^2 ,

    :math:`e` being the exposure of tail and rest so far and :math:`\hat e_u` the
    target, and the rank being that of the host. Scores that ``recommend`` returns are
    the host's.

    One item a group is compared per place: O(pool_size + k) a row.

    References
    ----------
    .. [1] C. Wang, Y. Liu, Y. Yu, W. Ma, M. Zhang, Y. Liu, H. Zeng, J. Feng and C.
       Deng, "Two-sided Calibration for Quality-aware Responsible Recommendation",
       RecSys 2023, doi:10.1145/3604915.3608799.

    Examples
    --------
    >>> from sklearn.decomposition import TruncatedSVD
    >>> from skpopsteer.adapters import as_recommender
    >>> from skpopsteer.datasets import make_interactions
    >>> from skpopsteer.metrics import tail_share
    >>> from skpopsteer.rerankers import PersonalTargetReranker
    >>> X = make_interactions(200, 100, random_state=0).X
    >>> host = as_recommender(TruncatedSVD(8, random_state=0).fit(X))
    >>> model = PersonalTargetReranker(host, target_tail_share=0.8, strength=1).fit(X)
    >>> before = tail_share(host.predict(X), model.item_groups_)
    >>> bool(tail_share(model.predict(X), model.item_groups_) > before)
    True
    """

    _parameter_constraints: dict = {  # noqa: RUF012
        **LIST_RULE_CONSTRAINTS,
        "target_tail_share": [Interval(Real, 0, 1, closed="neither")],
        "relevance_weight": [Interval(Real, 0, 1, closed="right")],
    }

    def __init__(
        self,
        recommender,
        *,
        strength=0.5,
        target_tail_share=0.5,
        relevance_weight=0.5,
        user_strength=None,
        groups=None,
        pool_size=500,
        keep_top=0,
        n_recommendations=10,
    ):
        self.recommender = recommender
        self.strength = strength
        self.target_tail_share = target_tail_share
        self.relevance_weight = relevance_weight
        self.user_strength = user_strength
        self.groups = groups
        self.pool_size = pool_size
        self.keep_top = keep_top
        self.n_recommendations = n_recommendations

    def _learn(self, X, user_ids):
        shares = self._profiles(X)[:, 0]
        self.target_shift_ = target_shift(shares, self.target_tail_share)

    def _list(self, pool, strength, k):
        return self._towards(self.target_shift_, pool, strength, k)

    def _list_jointly(self, pool, strength, k):
        shares = self._profiles(pool.X)[:, 0]
        shift = target_shift(shares, self.target_tail_share)
        places = self._towards(shift, pool, strength, k)
        if not self.keep_top:
            return places
        return merge_lists(_own_places(pool)[:, :k], places, self.keep_top)

    def _towards(self, shift, pool, strength, k):
        """Make lists after targets that a shift of the histories gives."""
        labels = np.minimum(self._pool_groups(pool), 1)
        weights = 1 / np.log2(np.arange(2, k + 2))
        own = np.stack([labels[:, :k] == 0, labels[:, :k] == 1], axis=2)
        # Added up place by place, as lists are, so that a target can be met exactly.
        exposure = np.cumsum(own * weights[:, None], axis=1)[:, -1]
        tail = np.clip(self._profiles(pool.X)[:, :1] + shift, 0, 1)
        personal = np.hstack([tail, 1 - tail]) * exposure.sum(axis=1, keepdims=True)
        blend = np.minimum(strength, 1)
        targets = (1 - blend) * exposure + blend * personal
        return _fill(labels, targets, weights, self.relevance_weight)


def target_shift(shares, target):
    """Find what to add to shares, cut to [0, 1] then, for a mean of `target`.

    Parameters
    ----------
    shares : ndarray of shape (n_users,)
        Within [0, 1].
    target : float
        In (0, 1).

    Returns
    -------
    float
    """
    return brentq(lambda t: np.clip(shares + t, 0, 1).mean() - target, -1, 1)


def _own_places(pool):
    return np.where(pool.items < 0, -1, np.arange(pool.items.shape[1]))


def _fill(labels, targets, weights, relevance_weight):
    """Fill lists with two groups whose exposure is to follow targets (n_rows, 2)."""
    k = len(weights)
    rows = np.arange(len(labels))
    queues = GroupQueues(labels, 2, k)
    exposure = np.zeros_like(targets)
    lists = np.full((len(labels), k), -1, dtype=np.int64)
    for step, weight in enumerate(weights):
        places = queues.first()
        safe = exposure + weight <= targets + _MARGIN
        group = best_group(np.where(safe, -places, -np.inf), places)
        lists[:, step] = queues.take(group)
        exposure[rows, group] += np.where(group >= 0, weight, 0.0)
    for step, weight in enumerate(weights):
        places = queues.first()
        missed = (exposure - targets)[:, None, :] + weight * np.eye(2)
        score = relevance_weight / (np.maximum(places, 0) + 1) - (
            1 - relevance_weight
        ) * 0.5 * (missed**2).sum(axis=2)
        group = best_group(score, places)
        group[lists[:, step] >= 0] = -1
        lists[:, step] = np.maximum(lists[:, step], queues.take(group))
        exposure[rows, group] += np.where(group >= 0, weight, 0.0)
    # A pool that has run out leaves gaps, which belong at the end.
    order = np.argsort(lists < 0, axis=1, kind="stable")
    return np.take_along_axis(lists, order, axis=1)
