"""Take the host's item bias out of its scores."""

from skpopsteer.rerankers._score_rule import ScoreRule, name_of


class ItemBiasReranker(ScoreRule):
    r"""Subtract a share of the host's item bias from its scores.

    Parameters
    ----------
    recommender : estimator
        The host, as for :class:`~skpopsteer.steering.SteeredRecommender`. It has to
        have an item bias.
    strength : float, default=1.0
        The share β of the bias, without a unit: 1 removes it, 0 gives the host's lists.
        Positive lowers popularity where popular items have the higher bias.
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
    item_popularity_ : ndarray of shape (n_items,)
        Interactions per item, counted in ``fit`` or given to it.
    n_users_ : int
        Rows of ``fit``, which the popularity was counted over; as many as the most
        popular item asks for, if it was given.
    n_features_in_ : int
        Number of items.

    See Also
    --------
    PopularityPenaltyReranker : The same with what was counted.
    SpreadTemperingReranker : With ``center=True`` it removes the mean score, which
        every host has.

    Notes
    -----
    .. math:: s'_{ui} = s_{ui} - \beta b_i

    The bias is the popularity that a model writes down as such; what is left of it in
    the embeddings stays. The cost over the host's is one subtraction per score.

    References
    ----------
    .. [1] Y. Koren, R. Bell and C. Volinsky, "Matrix Factorization Techniques for
       Recommender Systems", Computer 42(8), 2009, doi:10.1109/MC.2009.263: what an item
       bias is.

    Examples
    --------
    >>> import numpy as np
    >>> from skpopsteer.adapters import as_recommender
    >>> from skpopsteer.rerankers import ItemBiasReranker
    >>> U, V, bias = np.eye(2), np.array([[0.1, 0], [0, 0.1], [0, 0]]), [0, 0, 1]
    >>> host = as_recommender((U, V, bias))
    >>> model = ItemBiasReranker(host).fit([[1, 0, 1], [0, 1, 1]])
    >>> host.recommend(np.zeros((2, 3)), user_ids=[0, 1])[:, 0]
    array([2, 2])
    >>> model.recommend(np.zeros((2, 3)), user_ids=[0, 1])[:, 0]
    array([0, 1])
    """

    def __init__(
        self,
        recommender,
        *,
        strength=1.0,
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
        if getattr(self.recommender_, "item_bias_", None) is None:
            raise ValueError(
                "`recommender` must have an item bias; got "
                f"{name_of(self.recommender_)} without one. Use "
                "SpreadTemperingReranker(center=True) or PopularityPenaltyReranker."
            )

    def _rescore(self, scores, items, t):
        scores -= t * self.recommender_.item_bias_[items]
