"""xQuAD: cover the head and the tail as far as a user likes them."""

import numpy as np

from skpopsteer._compat import StrOptions
from skpopsteer.rerankers._by_group import greedy_lists
from skpopsteer.rerankers._list_rule import (
    LIST_RULE_CONSTRAINTS,
    ListRule,
    relevance,
)


class XQuADReranker(ListRule):
    r"""Cover head and tail in a list as far as the user likes them (xQuAD).

    Parameters
    ----------
    recommender : estimator
        The host: any recommender.
    strength : float, default=1.0
        Weight of the coverage, in units of relevance, which runs from 0 to 1 in a
        pool. The publication's λ is ``strength / (1 + strength)``. 0 gives the host's
        lists.
    coverage : {"smooth", "share", "binary"}, default="smooth"
        How far a category is covered by a list; see Notes.
    user_strength : {"profile"}, callable or None, default=None
        Multiplies the strength per user, as for
        :class:`~skpopsteer.steering.SteeredRecommender`; negative factors count as 0.
    groups : PopularityGroups, default=None
        Which items are the tail; all others are the head. None takes
        ``PopularityGroups()``; [1]_ has ``PopularityGroups("head_mass")``.
    pool_size : int, default=500
        Choose among the host's best items of every row, so many; 100 as published.
    keep_top : int, default=0
        The host's first items of every list that stay where they are.
    n_recommendations : int, default=10
        Length of the lists.

    Attributes
    ----------
    recommender_ : estimator
        The fitted host.
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
    CalibratedPopularityReranker : Make lists as popular as the history.

    Notes
    -----
    The next item of a list :math:`S` is the one with the highest

    .. math:: r_{ui} + s \, P(c_i \mid u) \prod_{j \in S} (1 - P(j \mid c_i, S)) ,

    where :math:`c_i` is its category, head or tail, :math:`P(c \mid u)` the share of
    the category in the user's history, every item counting once, and :math:`r_{ui}`
    the host's score, brought to [0, 1] in the pool. This is Equation 4 of [1]_ divided
    by :math:`1 - \lambda`. :math:`P(j \mid c, S)` is 1 for an item of the category and
    0 for another (``"binary"``: the first item of a category covers it), or the share
    of the category in the list (``"smooth"``). Implementations often take one factor
    for the product over the list, one minus the share, which lasts longer
    (``"share"``). Popularity falls for users whose lists hold less of the tail than
    they like, which is most of them. Scores that ``recommend`` returns are the host's.

    One item a category is compared per place: O(pool_size + k) a row.

    References
    ----------
    .. [1] H. Abdollahpouri, R. Burke and B. Mobasher, "Managing Popularity Bias in
       Recommender Systems with Personalized Re-ranking", FLAIRS 2019,
       arXiv:1901.07555.
    .. [2] R. Santos, C. Macdonald and I. Ounis, "Exploiting Query Reformulations for
       Web Search Result Diversification", WWW 2010, doi:10.1145/1772690.1772780.

    Examples
    --------
    >>> from sklearn.decomposition import TruncatedSVD
    >>> from skpopsteer.adapters import as_recommender
    >>> from skpopsteer.datasets import make_interactions
    >>> from skpopsteer.metrics import user_popularity_deviation
    >>> from skpopsteer.rerankers import XQuADReranker
    >>> X = make_interactions(200, 100, random_state=0).X
    >>> host = as_recommender(TruncatedSVD(8, random_state=0).fit(X))
    >>> model = XQuADReranker(host, strength=1.0).fit(X)
    >>> before, after = (
    ...     user_popularity_deviation(X, lists, model.item_groups_)
    ...     for lists in (host.predict(X), model.predict(X))
    ... )
    >>> after < before
    True
    """

    _parameter_constraints: dict = {  # noqa: RUF012
        **LIST_RULE_CONSTRAINTS,
        "coverage": [StrOptions({"smooth", "share", "binary"})],
    }

    def __init__(
        self,
        recommender,
        *,
        strength=1.0,
        coverage="smooth",
        user_strength=None,
        groups=None,
        pool_size=500,
        keep_top=0,
        n_recommendations=10,
    ):
        self.recommender = recommender
        self.strength = strength
        self.coverage = coverage
        self.user_strength = user_strength
        self.groups = groups
        self.pool_size = pool_size
        self.keep_top = keep_top
        self.n_recommendations = n_recommendations

    def _list(self, pool, strength, k):
        labels = self._pool_groups(pool)
        scores = relevance(pool)
        likes_tail = self._profiles(pool.X)[:, :1]
        likes = np.hstack([likes_tail, 1 - likes_tail])

        def gain(places, counts):
            own = np.take_along_axis(scores, np.maximum(places, 0), axis=1)
            return own + strength * likes * self._uncovered(counts)

        # Tail 0; mid and head are one category, and padding stays -1.
        return greedy_lists(np.minimum(labels, 1), 2, k, gain)

    def _uncovered(self, counts):
        if self.coverage == "binary":
            return counts == 0
        length = counts.sum(axis=1, keepdims=True)
        missing = 1 - counts / np.maximum(length, 1)
        return missing if self.coverage == "share" else missing**length
