"""FA*IR: enough tail items in every beginning of a list."""

from numbers import Real

import numpy as np

from skpopsteer._compat import Interval, StrOptions
from skpopsteer.rerankers._by_group import greedy_lists
from skpopsteer.rerankers._list_rule import LIST_RULE_CONSTRAINTS, ListRule
from skpopsteer.rerankers._minimum_table import minimum_table


class FairTopKReranker(ListRule):
    r"""Keep enough tail items in every beginning of a list (FA*IR).

    Parameters
    ----------
    recommender : estimator
        The host: any recommender.
    strength : float, default=0.5
        The least share of tail items, `p` of the publication, which every beginning of
        a list is tested for. 0 gives the host's lists, 1 and more nothing but tail
        items.
    significance : float, default=0.1
        Level α of the test, in (0, 1): lists that are drawn at random with the share
        `strength` fail it so often. The higher, the more tail items.
    adjustment : {"exact", "sidak"} or None, default="exact"
        How the level of the tests of all beginnings together is kept. ``"exact"``
        finds the level of a single test that does it, as [1]_; ``"sidak"`` takes
        ``1 - (1 - significance) ** (1 / n_recommendations)``, as PopSteer's comparison
        does, which keeps far below it; None tests each at `significance`.
    user_strength : {"profile"}, callable or None, default=None
        Multiplies the strength per user, as for
        :class:`~skpopsteer.steering.SteeredRecommender`; negative factors count as 0,
        and products are rounded to 1/100.
    groups : PopularityGroups, default=None
        Which items are the tail; None takes ``PopularityGroups()``.
    pool_size : int, default=500
        Choose among the host's best items of every row, so many.
    keep_top : int, default=0
        The host's first items of every list that stay where they are; the rest is
        filled from the list that passes the test.
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
    TailQuotaReranker : A quota for the end of a list.

    Notes
    -----
    The first :math:`t` items must hold at least :math:`m(t)` of the tail, the smallest
    number with

    .. math:: F(m(t); t, p) > \alpha_c ,

    :math:`F` being the distribution function of the binomial distribution. A list takes
    the host's next item, or the next of the tail where it would fall short. The
    adjusted :math:`\alpha_c` is the one at which a list of random draws fails in some
    beginning with a probability closest to :math:`\alpha`. There are finitely many
    tables; the candidates are the values of :math:`F`, so that no step size enters, and
    the probability is computed by a recursion over the places, the last included.
    Scores that ``recommend`` returns are the host's.

    One item a group is compared per place, and the table costs
    :math:`O(k^2 \log k)`.

    References
    ----------
    .. [1] M. Zehlike, F. Bonchi, C. Castillo, S. Hajian, M. Megahed and R. Baeza-Yates,
       "FA*IR: A Fair Top-k Ranking Algorithm", CIKM 2017, doi:10.1145/3132847.3132938.
    .. [2] M. Zehlike, T. Sühr and C. Castillo, "A Note on the Significance Adjustment
       for FA*IR with Two Protected Groups", 2020, arXiv:2012.12795.

    Examples
    --------
    >>> from sklearn.decomposition import TruncatedSVD
    >>> from skpopsteer.adapters import as_recommender
    >>> from skpopsteer.datasets import make_interactions
    >>> from skpopsteer.rerankers import FairTopKReranker
    >>> X = make_interactions(200, 100, random_state=0).X
    >>> host = as_recommender(TruncatedSVD(8, random_state=0).fit(X))
    >>> model = FairTopKReranker(host, strength=0.8).fit(X)
    >>> in_tail = model.item_groups_[model.predict(X)] == -1
    >>> int(in_tail.sum(axis=1).min())
    6
    """

    _parameter_constraints: dict = {  # noqa: RUF012
        **LIST_RULE_CONSTRAINTS,
        "significance": [Interval(Real, 0, 1, closed="neither")],
        "adjustment": [StrOptions({"exact", "sidak"}), None],
    }

    def __init__(
        self,
        recommender,
        *,
        strength=0.5,
        significance=0.1,
        adjustment="exact",
        user_strength=None,
        groups=None,
        pool_size=500,
        keep_top=0,
        n_recommendations=10,
    ):
        self.recommender = recommender
        self.strength = strength
        self.significance = significance
        self.adjustment = adjustment
        self.user_strength = user_strength
        self.groups = groups
        self.pool_size = pool_size
        self.keep_top = keep_top
        self.n_recommendations = n_recommendations

    def _list(self, pool, strength, k):
        needed = self._needed(pool, np.minimum(strength[:, 0], 1.0), k)
        rows = np.arange(len(needed))

        def gain(places, counts):
            short = counts[:, 0] < needed[rows, counts.sum(axis=1)]
            # The host's order, but for tail items that are due.
            return np.stack([np.where(short, 1, -places[:, 0]), -places[:, 1]], axis=1)

        labels = np.minimum(self._pool_groups(pool), 1)
        return greedy_lists(labels, 2, k, gain)

    def _needed(self, pool, shares, k):
        """Return m(1), ..., m(k) of every row."""
        if pool.factors is not None:
            shares = np.round(shares, 2)
        distinct, which = np.unique(shares, return_inverse=True)
        tables = [
            minimum_table(k, share, self.significance, self.adjustment)
            for share in distinct
        ]
        return np.array(tables)[which]
