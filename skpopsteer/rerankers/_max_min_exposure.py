"""P-MMF: keep up the exposure of the provider that has least."""

from numbers import Integral, Real

import numpy as np
from sklearn.utils import check_random_state

from skpopsteer._compat import Interval, StrOptions
from skpopsteer._pool import Pool
from skpopsteer._spans import spans
from skpopsteer._validation import check_list_length
from skpopsteer.rerankers._allocate import AllocateMixin, draw_pools
from skpopsteer.rerankers._list_rule import (
    LIST_RULE_CONSTRAINTS,
    ListRule,
    relevance,
)
from skpopsteer.topk import top_k


class MaxMinExposureReranker(AllocateMixin, ListRule):
    r"""Price exposure so that the provider with least of it gets most (P-MMF).

    Parameters
    ----------
    recommender : estimator
        The host: any recommender.
    strength : float, default=0.3
        Weight λ of the worst-off provider's exposure against relevance, which runs from
        0 to 1 in a pool. 0 gives the host's lists. Prices are learned in ``fit`` at the
        estimator's own strength; another one in ``recommend`` scales them.
    providers : {"items", "groups"}, default="items"
        Who is to be exposed: every item for itself, or head, mid and tail.
    n_epochs : int, default=3
        Rounds over the users.
    batch_size : int, default=1
        Users who are served at the same prices: 1 as published; more are faster, above
        all where there are many items.
    learning_rate : float, default=1e-3
        Step of the prices, at most 1e6; see Notes.
    momentum : float, default=0.9
        Share of the previous gradient in the next, in [0, 1).
    capped : bool, default=False
        Whether a provider comes last in ``allocate`` once it has used up the places
        that belong to it, as published; see Notes.
    user_strength : {"profile"}, callable or None, default=None
        Multiplies the strength per user, as for
        :class:`~skpopsteer.steering.SteeredRecommender`; negative factors count as 0.
    groups : PopularityGroups, default=None
        Head, mid and tail; None takes ``PopularityGroups()``, which has no mid.
    pool_size : int, default=500
        Choose among the host's best items of every row, so many.
    keep_top : int, default=0
        The host's first items of every list that stay where they are.
    n_recommendations : int, default=10
        Length of the lists.
    random_state : int, RandomState instance or None, default=None
        Seed of the order in which users come.

    Attributes
    ----------
    recommender_ : estimator
        The fitted host.
    item_prices_ : ndarray of shape (n_items,)
        What a place of an item costs, per unit of `strength`: 0, or less for items that
        are exposed too little. Average over the last round.
    item_popularity_ : ndarray of shape (n_items,)
        Interactions per item, counted in ``fit`` or given to it.
    item_groups_ : ndarray of shape (n_items,), dtype int8
        +1 head, 0 mid, -1 tail.
    mean_profile_ : ndarray of shape (3,)
        Average shares of tail, mid and head in the histories of ``fit``.
    n_users_ : int
        Rows of ``fit``, which the popularity was counted over; as many as the most
        popular item asks for, if it was given.
    n_features_in_ : int
        Number of items.

    See Also
    --------
    PopularityPenaltyReranker : Prices that are the logarithm of popularity.

    Notes
    -----
    With :math:`N_p` places for provider :math:`p` over :math:`T` users, the objective
    is

    .. math:: \sum_u \sum_{i \in L_u} r_{ui} + \lambda T \min_p
        \frac{N_p}{T k \rho_p} , \qquad
        \rho_p = \Bigl(1 + \frac{1}{P}\Bigr) \frac{n_p}{n} ,

    :math:`n_p` of :math:`n` items being those of one of the :math:`P` providers and
    :math:`r_{ui}` the host's score, brought to [0, 1] in the pool; [1]_ takes a
    sigmoid. Items that are in no pool, and providers without others, are left out: they
    would be the worst-off for ever. Users come in a random order. Each gets the
    :math:`k` items with the highest :math:`r_{ui} - \lambda \mu_{p(i)}`, and then

    .. math::
        g \leftarrow \beta g + (1 - \beta) \Bigl( \rho - \frac{N_u}{k} \Bigr) , \qquad
        \mu \leftarrow \Pi \Bigl( \mu - \eta \bar\rho \, \frac{g}{\rho^2} \Bigr) ,

    :math:`N_u` being the places that the list gave to the providers and :math:`\beta`
    the momentum. :math:`\Pi` projects on subsidies of a bounded sum, :math:`\mu \le 0`
    and :math:`-\sum_p \rho_p \mu_p \le 1`: the strength is what there is to give away.

    In [1]_ a provider has no more than :math:`T k \rho_p` places, and comes last when
    they are used up (``capped=True``). Then prices may be positive, and what is left of
    the places stands for :math:`\rho` in :math:`g`. Caps hold whatever λ is: with the
    items for providers no item gets more than its equal part, however little the
    strength, and accuracy falls at once. Hence they are off, and never part of what
    ``recommend`` does. The projection is that of [1]_, a bound for every set of
    providers, in closed form, by one sort, where the published code calls a convex
    solver for every user. Its step :math:`\eta' / \sqrt T` is
    :math:`\lambda \eta \bar\rho` here, so that one value of :math:`\eta` suits few
    providers and many.

    ``recommend`` knows the prices and nothing of other rows. ``allocate`` starts anew
    and returns the lists of the last round. Lists stand in the order of score less
    price; the published code sorts what was chosen by the host's scores again, and so
    puts items that were taken for their price at the end. Scores that ``recommend``
    returns are the host's.

    ``fit`` and ``allocate`` cost one pass over a pool per user and round, and a few
    over the providers per batch, compiled by numba at the first call; 24 bytes times
    `pool_size` a user are held.

    References
    ----------
    .. [1] C. Xu, S. Chen, J. Xu, W. Shen, X. Zhang, G. Wang and Z. Dong, "P-MMF:
       Provider Max-min Fairness Re-ranking in Recommender System", WWW 2023,
       doi:10.1145/3543507.3583296.

    Examples
    --------
    >>> from sklearn.decomposition import TruncatedSVD
    >>> from skpopsteer.adapters import as_recommender
    >>> from skpopsteer.datasets import make_interactions
    >>> from skpopsteer.metrics import gini
    >>> from skpopsteer.rerankers import MaxMinExposureReranker
    >>> X = make_interactions(200, 100, random_state=0).X
    >>> host = as_recommender(TruncatedSVD(8, random_state=0).fit(X))
    >>> model = MaxMinExposureReranker(host, strength=0.2, random_state=0).fit(X)
    >>> before, alone, together = (
    ...     gini(lists, n_items=100)
    ...     for lists in (host.predict(X), model.predict(X), model.allocate(X))
    ... )
    >>> together < alone < before
    True
    """

    _parameter_constraints: dict = {  # noqa: RUF012
        **LIST_RULE_CONSTRAINTS,
        "providers": [StrOptions({"items", "groups"})],
        "n_epochs": [Interval(Integral, 1, None, closed="left")],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        # Beyond, what is left of a bound on subsidies is their rounding.
        "learning_rate": [Interval(Real, 0, 1e6, closed="right")],
        "momentum": [Interval(Real, 0, 1, closed="left")],
        "capped": ["boolean"],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        recommender,
        *,
        strength=0.3,
        providers="items",
        n_epochs=3,
        batch_size=1,
        learning_rate=1e-3,
        momentum=0.9,
        capped=False,
        user_strength=None,
        groups=None,
        pool_size=500,
        keep_top=0,
        n_recommendations=10,
        random_state=None,
    ):
        self.recommender = recommender
        self.strength = strength
        self.providers = providers
        self.n_epochs = n_epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.momentum = momentum
        self.capped = capped
        self.user_strength = user_strength
        self.groups = groups
        self.pool_size = pool_size
        self.keep_top = keep_top
        self.n_recommendations = n_recommendations
        self.random_state = random_state

    def _learn(self, X, user_ids):
        k = check_list_length(None, self.n_recommendations, X.shape[1])
        pool = draw_pools(self, X, user_ids, k)
        # Nobody counts places for lists that are asked for one by one.
        strengths = self._strengths(pool, self.strength)
        self.item_prices_, _ = self._trade(pool, strengths, k, capped=False)

    def _list(self, pool, strength, k):
        costs = strength * self.item_prices_[pool.items]
        return top_k(relevance(pool) - costs, k)[0]

    def _list_jointly(self, pool, strength, k):
        return self._trade(pool, strength, k, capped=self.capped)[1]

    def _take_new_items(self, n_new):
        super()._take_new_items(n_new)
        lowest = self.item_prices_.min()
        self.item_prices_ = np.pad(
            self.item_prices_, (0, n_new), constant_values=lowest
        )

    def _providers_of(self, pool):
        """Return the provider of every item, -1 for none, and the providers' shares."""
        if self.providers == "groups":
            owners = self.item_groups_ + 1
        else:
            owners = np.arange(len(self.item_groups_))
        # Who is in no pool has nothing to sell.
        offered = np.unique(owners[np.unique(pool.items[pool.items >= 0])])
        n_items = np.bincount(owners)[offered]
        shares = (1 + 1 / max(len(offered), 1)) * n_items / max(n_items.sum(), 1)
        position = np.full(owners.max() + 1, -1)
        position[offered] = np.arange(len(offered))
        return position[owners], shares

    def _trade(self, pool, strength, k, capped):
        """Serve all users round after round; return item prices and the last lists."""
        owners, shares = self._providers_of(pool)
        n_rows = len(pool.items)
        lists = np.full((n_rows, k), -1, dtype=np.int64)
        if not len(shares):
            return np.zeros(len(owners)), lists
        # Not at the top: importing numba takes as long as all the rest.
        from skpopsteer.rerankers._provider_prices import serve

        scores = _relevance_by_span(pool)
        step = self.learning_rate * shares.mean() / shares**2
        prices, gradient = np.zeros((2, len(shares)))
        rng = check_random_state(self.random_state)
        for _ in range(self.n_epochs):
            paid = serve(
                rng.permutation(n_rows), self.batch_size, scores, owners[pool.items],
                strength[:, 0].astype(np.float64), shares, step, self.momentum, capped,
                min(self.keep_top, k), prices, gradient, lists,
            )  # fmt: skip
        prices = paid / n_rows
        # What nobody was offered is as badly off as can be.
        return np.append(prices, prices.min())[owners], lists


def _relevance_by_span(pool):
    """Relevance of all rows in float32, without float64 of all rows at once."""
    scores = np.empty(pool.scores.shape, dtype=np.float32)
    for span in spans(len(scores)):
        scores[span] = relevance(Pool(pool.items[span], pool.scores[span], None))
    return scores
