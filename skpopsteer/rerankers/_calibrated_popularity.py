"""Calibrated popularity: lists as popular as the history."""

import numpy as np
from scipy.special import rel_entr

from skpopsteer.rerankers._by_group import greedy_lists
from skpopsteer.rerankers._list_rule import ListRule, relevance


class CalibratedPopularityReranker(ListRule):
    r"""Bring the popularity of every list close to that of the user's history.

    Parameters
    ----------
    recommender : estimator
        The host: any recommender.
    strength : float, default=1.0
        Weight of the divergence, in units of relevance, which runs from 0 to 1 in a
        pool, per bit. The publication's λ is ``strength / (1 + strength)``. 0 gives the
        host's lists.
    user_strength : {"profile"}, callable or None, default=None
        Multiplies the strength per user, as for
        :class:`~skpopsteer.steering.SteeredRecommender`; negative factors count as 0.
    groups : PopularityGroups, default=None
        Head, mid and tail; None takes ``PopularityGroups()``, which has no mid; [1]_
        has ``PopularityGroups("mass")``.
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
    skpopsteer.metrics.user_popularity_deviation : The divergence, as a measure.
    ProfilePopularityReranker : The same with two groups and their difference.

    Notes
    -----
    A list :math:`L` is filled greedily, as in [2]_, for the highest

    .. math:: \sum_{i \in L} r_{ui} - s \, \mathrm{JS}(P_u, Q_L) ,

    where :math:`P_u` and :math:`Q_L` are the shares of tail, mid and head in the
    history, every item counting once, and in the list, JS their Jensen-Shannon
    divergence in bits and :math:`r_{ui}` the host's score, brought to [0, 1] in the
    pool. This is the objective of [1]_ divided by :math:`1 - \lambda`; with natural
    logarithms it takes 1.44 times the weight. Popularity falls for users whose lists
    are more popular than their history, which is most of them. Scores that
    ``recommend`` returns are the host's.

    One item a group is compared per place: O(pool_size + k) a row.

    References
    ----------
    .. [1] H. Abdollahpouri, M. Mansoury, R. Burke, B. Mobasher and E. Malthouse,
       "User-centered Evaluation of Popularity Bias in Recommender Systems", UMAP 2021,
       doi:10.1145/3450613.3456821.
    .. [2] H. Steck, "Calibrated Recommendations", RecSys 2018,
       doi:10.1145/3240323.3240372.

    Examples
    --------
    >>> from sklearn.decomposition import TruncatedSVD
    >>> from skpopsteer.adapters import as_recommender
    >>> from skpopsteer.datasets import make_interactions
    >>> from skpopsteer.metrics import user_popularity_deviation
    >>> from skpopsteer.rerankers import CalibratedPopularityReranker
    >>> X = make_interactions(200, 100, random_state=0).X
    >>> host = as_recommender(TruncatedSVD(8, random_state=0).fit(X))
    >>> model = CalibratedPopularityReranker(host, strength=2.0).fit(X)
    >>> before, after = (
    ...     user_popularity_deviation(X, lists, model.item_groups_)
    ...     for lists in (host.predict(X), model.predict(X))
    ... )
    >>> after < before
    True
    """

    def __init__(
        self,
        recommender,
        *,
        strength=1.0,
        user_strength=None,
        groups=None,
        pool_size=500,
        keep_top=0,
        n_recommendations=10,
    ):
        self.recommender = recommender
        self.strength = strength
        self.user_strength = user_strength
        self.groups = groups
        self.pool_size = pool_size
        self.keep_top = keep_top
        self.n_recommendations = n_recommendations

    def _list(self, pool, strength, k):
        scores, profiles = relevance(pool), self._profiles(pool.X)

        def gain(places, counts):
            own = np.take_along_axis(scores, np.maximum(places, 0), axis=1)
            return own - strength * _divergence_with_each(profiles, counts)

        return greedy_lists(self._pool_groups(pool), 3, k, gain)


def _divergence_with_each(profiles, counts):
    """Jensen-Shannon divergence if an item of each group is added to a list."""
    longer = counts[:, None, :] + np.eye(counts.shape[1])
    shares = longer / longer.sum(axis=2, keepdims=True)
    wanted = profiles[:, None, :]
    middle = (wanted + shares) / 2
    divergence = rel_entr(wanted, middle) + rel_entr(shares, middle)
    return divergence.sum(axis=2) / (2 * np.log(2))
