"""The last places of every list for the tail."""

import numpy as np

from skpopsteer.rerankers._list_rule import ListRule


class TailQuotaReranker(ListRule):
    r"""Give the last places of every list to tail items, in the host's order.

    Parameters
    ----------
    recommender : estimator
        The host: any recommender.
    strength : float, default=0.3
        Share of the places, rounded to whole places, half up. 0 gives the host's lists,
        1 and more nothing but tail items.
    user_strength : {"profile"}, callable or None, default=None
        Multiplies the strength per user, as for
        :class:`~skpopsteer.steering.SteeredRecommender`; negative factors count as 0.
    groups : PopularityGroups, default=None
        Which items are the tail; None takes ``PopularityGroups()``.
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
        Average shares of tail, mid and head in the histories of ``fit``.
    n_users_ : int
        Rows of ``fit``, which the popularity was counted over; as many as the most
        popular item asks for, if it was given.
    n_features_in_ : int
        Number of items.

    See Also
    --------
    FairTopKReranker : A quota for every beginning of a list.

    Notes
    -----
    With :math:`q` places for the tail a list of :math:`k` holds the host's first
    :math:`k - q` items, tail items among them or not, and then the :math:`q` best tail
    items that follow. Where the pool has too few, the host's next items fill up. Scores
    that ``recommend`` returns are the host's. One stable sort of the pool a row.

    A rule of practice, which no paper is known to introduce.

    Examples
    --------
    >>> from sklearn.decomposition import TruncatedSVD
    >>> from skpopsteer.adapters import as_recommender
    >>> from skpopsteer.datasets import make_interactions
    >>> from skpopsteer.metrics import tail_share
    >>> from skpopsteer.rerankers import TailQuotaReranker
    >>> X = make_interactions(200, 100, random_state=0).X
    >>> host = as_recommender(TruncatedSVD(8, random_state=0).fit(X))
    >>> model = TailQuotaReranker(host, strength=0.6).fit(X)
    >>> bool(tail_share(model.predict(X), model.item_groups_) >= 0.6)
    True
    """

    def __init__(
        self,
        recommender,
        *,
        strength=0.3,
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
        n_tail = np.floor(np.minimum(strength, 1) * k + 0.5)
        labels = self._pool_groups(pool)
        own = np.arange(labels.shape[1]) < k - n_tail
        # The host's first and the tail, then who is left, each in the host's order.
        last = ~own & (labels != 0)
        places = np.argsort(last, axis=1, kind="stable")[:, :k]
        filled = np.take_along_axis(labels, places, axis=1) >= 0
        return np.where(filled, places, -1)
