"""Maximal marginal relevance: good items unlike those before them."""

import numpy as np

from skpopsteer._compat import StrOptions
from skpopsteer.rerankers._list_rule import (
    LIST_RULE_CONSTRAINTS,
    ListRule,
    relevance,
)


class MMRReranker(ListRule):
    r"""Fill lists with items unlike those they hold (maximal marginal relevance).

    Parameters
    ----------
    recommender : estimator
        The host: any recommender; with ``similarity="embedding"`` one that has
        `item_embeddings_`.
    strength : float, default=1.0
        Weight of the similarity, in units of relevance, which runs from 0 to 1 in a
        pool. The publication's λ is ``1 / (1 + strength)``. 0 gives the host's lists.
    similarity : {"popularity", "embedding"}, default="popularity"
        What makes two items alike: as many interactions, on a scale of logarithms, or
        the cosine of their embeddings.
    user_strength : {"profile"}, callable or None, default=None
        Multiplies the strength per user, as for
        :class:`~skpopsteer.steering.SteeredRecommender`; negative factors count as 0.
    groups : PopularityGroups, default=None
        What `item_groups_` are made by; the rule itself needs none.
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
    XQuADReranker : Diversity over two categories, with the user's taste.

    Notes
    -----
    The next item of a list :math:`S` is the one with the highest

    .. math:: r_{ui} - s \max_{j \in S} \mathrm{sim}(i, j) ,

    the host's first item being the first of every list; :math:`r_{ui}` is the host's
    score, brought to [0, 1] in the pool. This is [1]_ divided by λ. The publication
    leaves the similarity to its user. In popularity it is

    .. math:: \mathrm{sim}(i, j) = 1 - \frac{|l_i - l_j|}{\max l - \min l} , \qquad
        l_i = \log \max(pop_i, 1) ,

    so that a list whose first item is popular goes on along the whole range of
    popularity. The cosine is the usual form for diverse lists: it spreads them over
    subjects, and lowers popularity as far as popular items are alike. Scores that
    ``recommend`` returns are the host's.

    O(k · pool_size) comparisons a row, of d products each for embeddings; compiled by
    numba at the first call.

    References
    ----------
    .. [1] J. Carbonell and J. Goldstein, "The Use of MMR, Diversity-Based Reranking for
       Reordering Documents and Producing Summaries", SIGIR 1998,
       doi:10.1145/290941.291025.

    Examples
    --------
    >>> from sklearn.decomposition import TruncatedSVD
    >>> from skpopsteer.adapters import as_recommender
    >>> from skpopsteer.datasets import make_interactions
    >>> from skpopsteer.rerankers import MMRReranker
    >>> X = make_interactions(200, 100, random_state=0).X
    >>> host = as_recommender(TruncatedSVD(8, random_state=0).fit(X))
    >>> model = MMRReranker(host, strength=1.0).fit(X)
    >>> before = model.item_popularity_[host.predict(X)].mean()
    >>> bool(model.item_popularity_[model.predict(X)].mean() < before)
    True
    """

    _parameter_constraints: dict = {  # noqa: RUF012
        **LIST_RULE_CONSTRAINTS,
        "similarity": [StrOptions({"popularity", "embedding"})],
    }

    def __init__(
        self,
        recommender,
        *,
        strength=1.0,
        similarity="popularity",
        user_strength=None,
        groups=None,
        pool_size=500,
        keep_top=0,
        n_recommendations=10,
    ):
        self.recommender = recommender
        self.strength = strength
        self.similarity = similarity
        self.user_strength = user_strength
        self.groups = groups
        self.pool_size = pool_size
        self.keep_top = keep_top
        self.n_recommendations = n_recommendations

    def _learn(self, X, user_ids):
        if self.similarity == "embedding":
            self._unit_embeddings()

    def _list(self, pool, strength, k):
        # Not at the top: importing numba takes as long as all the rest.
        from skpopsteer.rerankers import _marginal_lists as marginal

        scores, strength = relevance(pool), strength[:, 0].astype(np.float64)
        lists = np.empty((len(scores), k), dtype=np.int64)
        if self.similarity == "popularity":
            levels = self._levels()[pool.items]
            marginal.fill_by_level(scores, levels, strength, lists)
        else:
            table = self._unit_embeddings()
            marginal.fill_by_embedding(scores, pool.items, table, strength, lists)
        return lists

    def _levels(self):
        """Log popularity of every item, from 0 for the least to 1 for the most."""
        levels = np.log(np.maximum(self.item_popularity_, 1.0))
        levels -= levels.min()
        return levels / max(levels.max(), np.finfo(np.float64).tiny)

    def _unit_embeddings(self):
        table = getattr(self.recommender_, "item_embeddings_", None)
        if table is None:
            raise ValueError(
                "`similarity` must be 'popularity' for a recommender without "
                f"embeddings; got 'embedding' with {type(self.recommender_).__name__}. "
                "Set similarity='popularity'."
            )
        table = np.asarray(table, dtype=np.float32)
        with np.errstate(over="ignore"):
            norms = np.linalg.norm(table, axis=1, keepdims=True)
        if not np.isfinite(norms).all():
            # Their squares are beyond float32, they themselves are not.
            norms = np.linalg.norm(table.astype(np.float64), axis=1, keepdims=True)
            norms = norms.astype(np.float32)
        return table / np.where(norms > 0, norms, 1.0)
