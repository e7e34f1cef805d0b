"""The head's share of a list after its share of the history."""

import numpy as np

from skpopsteer.rerankers._by_group import greedy_lists
from skpopsteer.rerankers._list_rule import ListRule, relevance


class ProfilePopularityReranker(ListRule):
    r"""Give the head the share of a list that it has of the user's history (DUoR).

    Parameters
    ----------
    recommender : estimator
        The host: any recommender.
    strength : float, default=1.0
        Weight of the difference of shares, in units of relevance, which runs from 0 to
        1 in a pool. 0 gives the host's lists; a great one follows the shares alone, as
        published.
    user_strength : {"profile"}, callable or None, default=None
        Multiplies the strength per user, as for
        :class:`~skpopsteer.steering.SteeredRecommender`; negative factors count as 0.
    groups : PopularityGroups, default=None
        Which items are the head; all others are one group. None takes
        ``PopularityGroups()``; [2]_ has ``PopularityGroups("head_mass")``.
    pool_size : int, default=500
        Choose among the host's best items of every row, so many. The knob of the
        published form, where it is tuned from 50 to 1,000.
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
    CalibratedPopularityReranker : The same with three groups and a divergence.

    Notes
    -----
    The next item of a list :math:`S` is the one with the highest

    .. math:: r_{ui} - s \, \left| \mathrm{head}(S \cup \{i\}) - \mathrm{head}(X_u)
        \right| ,

    where head is the share of head items, every item of the history :math:`X_u`
    counting once, and :math:`r_{ui}` the host's score, brought to [0, 1] in the pool.
    Lists stand in the order in which they were filled. Popularity falls for users whose
    lists are more popular than their history, which is most of them. Scores that
    ``recommend`` returns are the host's.

    The published code [2]_ differs in three points: it follows the shares alone; it
    counts the padding of short sequences as unpopular items of the history, which makes
    niche users of all who have a short one; and it sorts what was chosen by the host's
    scores again, so that places are not those that were weighed.

    One item a group is compared per place: O(pool_size + k) a row.

    References
    ----------
    .. [1] M. Gulsoy, E. Yalcin, Y. Tacli and A. Bilge, "DUoR: Dynamic User-oriented
       re-Ranking calibration strategy for popularity bias treatment of recommendation
       algorithms", International Journal of Human-Computer Studies 203, 2025,
       doi:10.1016/j.ijhcs.2025.103578.
    .. [2] P. Ahmadov and M. Mansoury, "From Insight to Intervention: Interpretable
       Neuron Steering for Controlling Popularity Bias in Recommender Systems", WWW
       2026, arXiv:2601.15122, whose form of it this is, without the ageing of a
       history's items.

    Examples
    --------
    >>> from sklearn.decomposition import TruncatedSVD
    >>> from skpopsteer.adapters import as_recommender
    >>> from skpopsteer.datasets import make_interactions
    >>> from skpopsteer.metrics import user_popularity_deviation
    >>> from skpopsteer.rerankers import ProfilePopularityReranker
    >>> X = make_interactions(200, 100, random_state=0).X
    >>> host = as_recommender(TruncatedSVD(8, random_state=0).fit(X))
    >>> model = ProfilePopularityReranker(host, strength=10).fit(X)
    >>> before, after = (
    ...     user_popularity_deviation(X, lists, model.item_groups_)
    ...     for lists in (host.predict(X), model.predict(X))
    ... )
    >>> after < before / 4
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
        scores = relevance(pool)
        wanted = self._profiles(pool.X)[:, 2:]
        labels = self._pool_groups(pool)
        in_head = np.where(labels < 0, -1, labels == 2)

        def gain(places, counts):
            own = np.take_along_axis(scores, np.maximum(places, 0), axis=1)
            head = counts[:, 1:] + np.array([0, 1])
            share = head / (counts.sum(axis=1, keepdims=True) + 1)
            return own - strength * np.abs(share - wanted)

        return greedy_lists(in_head, 2, k, gain)
