"""Take the length of an item's embedding out of its scores."""

import numpy as np

from skpopsteer.rerankers._score_rule import (
    ScoreRule,
    log_sizes,
    name_of,
    powers,
    scores_by_products,
)


class NormTemperingReranker(ScoreRule):
    r"""Divide the scores of an item by a power of the length of its embedding.

    Parameters
    ----------
    recommender : estimator
        The host, as for :class:`~skpopsteer.steering.SteeredRecommender`. It has to
        score by inner products with item embeddings.
    strength : float, default=0.5
        The exponent β, without a unit; 1 is what was published. Positive lowers
        popularity where popular items are long, as in matrix factorisation with
        squared loss; 0 gives the host's lists.
    user_strength : {"profile"}, callable or None, default=None
        Multiplies the strength per user, as for
        :class:`~skpopsteer.steering.SteeredRecommender`.
    pool_size : int, default=None
        Choose among the host's best items of every row, so many; None is the whole
        catalogue.
    keep_top : int, default=0
        The host's first items of every list that stay where they are.
    n_recommendations : int, default=10
        Length of the lists.

    Attributes
    ----------
    recommender_ : estimator
        The fitted host.
    item_norms_ : ndarray of shape (n_items,), dtype float64
        Length of the embedding of every item.
    item_popularity_ : ndarray of shape (n_items,)
        Interactions per item, counted in ``fit`` or given to it.
    n_users_ : int
        Rows of ``fit``, which the popularity was counted over; as many as the most
        popular item asks for, if it was given.
    n_features_in_ : int
        Number of items.

    See Also
    --------
    SpreadTemperingReranker : The same with the spread of an item's scores.

    Notes
    -----
    .. math:: s'_{ui} = s_{ui} / \lVert v_i \rVert^\beta

    An item bias is part of the score, and divided with it. An embedding of length 0
    counts like the shortest other. A host whose longest items are not its most popular
    (a sequence model trained with softmax often has it the other way round) is better
    served by :class:`SpreadTemperingReranker`. Any exponent gives finite scores: where
    a power would be too large or too small for them, all scores of a row are multiplied
    by one number, which ranks nothing anew; where powers would differ by a factor of
    exp(120), so that lengths decide alone, the exponent stops. The cost over the host's
    is one product per score.

    References
    ----------
    .. [1] D. Kim, J. Park and D. Kim, "Test-Time Embedding Normalization for Popularity
       Bias Mitigation", CIKM 2023, arXiv:2308.11288: β = 1.

    Examples
    --------
    >>> from sklearn.decomposition import TruncatedSVD
    >>> from skpopsteer.adapters import as_recommender
    >>> from skpopsteer.datasets import make_interactions
    >>> from skpopsteer.rerankers import NormTemperingReranker
    >>> X = make_interactions(200, 100, random_state=0).X
    >>> host = as_recommender(TruncatedSVD(8, random_state=0).fit(X))
    >>> model = NormTemperingReranker(host, strength=0.5).fit(X)
    >>> before = model.item_popularity_[model.recommend(X, strength=0)].mean()
    >>> bool(model.item_popularity_[model.predict(X)].mean() < before)
    True
    """

    def __init__(
        self,
        recommender,
        *,
        strength=0.5,
        user_strength=None,
        pool_size=None,
        keep_top=0,
        n_recommendations=10,
    ):
        self.recommender = recommender
        self.strength = strength
        self.user_strength = user_strength
        self.pool_size = pool_size
        self.keep_top = keep_top
        self.n_recommendations = n_recommendations

    def _describe_items(self):
        if not scores_by_products(self.recommender_):
            raise ValueError(
                "`recommender` must score by inner products with item embeddings, to "
                f"have lengths; got {name_of(self.recommender_)}. Use "
                "SpreadTemperingReranker."
            )
        V = self.recommender_.item_embeddings_
        self.item_norms_ = np.sqrt(np.einsum("ij,ij->i", V, V, dtype=np.float64))
        self._log_norms = log_sizes(self.item_norms_)

    def _rescore(self, scores, items, t):
        scores *= powers(self._log_norms, items, t)
