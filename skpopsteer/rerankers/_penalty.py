"""The one-line penalty that neuron steering has to beat."""

import numpy as np

from skpopsteer.rerankers._score_rule import ScoreRule


class PopularityPenaltyReranker(ScoreRule):
    r"""Subtract the logarithm of an item's popularity from its scores.

    Parameters
    ----------
    recommender : estimator
        The host, as for :class:`~skpopsteer.steering.SteeredRecommender`; with
        `pool_size`, any recommender.
    strength : float, default=0.1
        Weight λ, in units of the host's scores per unit of log popularity. Positive
        lowers popularity; 0 gives the host's lists.
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
    skpopsteer.steering.SteeredRecommender : Steering by neurons.

    Notes
    -----
    .. math:: s'_{ui} = s_{ui} - \lambda \log \max(pop_i, 1)

    An item nobody has used counts like one used once: its logarithm would otherwise put
    it on top of every list. The cost over the host's is one subtraction per score.

    References
    ----------
    .. [1] Y. Zhang et al., "Causal Intervention for Leveraging Popularity Bias in
       Recommendation", SIGIR 2021, doi:10.1145/3404835.3462875, treats popularity as a
       factor of the score, whose logarithm this subtracts.

    Examples
    --------
    >>> from sklearn.decomposition import TruncatedSVD
    >>> from skpopsteer.adapters import as_recommender
    >>> from skpopsteer.datasets import make_interactions
    >>> from skpopsteer.rerankers import PopularityPenaltyReranker
    >>> X = make_interactions(200, 100, random_state=0).X
    >>> host = as_recommender(TruncatedSVD(8, random_state=0).fit(X))
    >>> model = PopularityPenaltyReranker(host, strength=0.2).fit(X)
    >>> before = model.item_popularity_[model.recommend(X, strength=0)].mean()
    >>> bool(model.item_popularity_[model.predict(X)].mean() < before)
    True
    """

    def __init__(
        self,
        recommender,
        *,
        strength=0.1,
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

    def _rescore(self, scores, items, t):
        log_popularity = np.log(np.maximum(self.item_popularity_, 1.0))
        scores -= t * log_popularity.astype(np.float32)[items]
