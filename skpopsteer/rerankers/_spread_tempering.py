"""Take the spread of an item's scores over users out of them."""

import numpy as np

from skpopsteer.adapters._score_moments import (
    moments_of_products,
    moments_of_rows,
    moments_of_scores,
)
from skpopsteer.rerankers._score_rule import (
    SCORE_RULE_CONSTRAINTS,
    ScoreRule,
    log_sizes,
    name_of,
    powers,
    scores_by_products,
)


class SpreadTemperingReranker(ScoreRule):
    r"""Divide the scores of an item by a power of their deviation over users.

    Parameters
    ----------
    recommender : estimator
        The host, as for :class:`~skpopsteer.steering.SteeredRecommender`; with
        `pool_size`, any recommender with ``decision_function``.
    strength : float, default=0.5
        The exponent β, without a unit. Positive lowers popularity where the scores of
        popular items vary most; 0 gives the host's lists.
    center : bool, default=False
        Subtract β times an item's mean score first: at β = 1 the scores of every item
        are standardised.
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
    score_means_ : ndarray of shape (n_items,), dtype float64
        Mean of the host's scores of every item, over the users of ``fit``.
    score_deviations_ : ndarray of shape (n_items,), dtype float64
        Their standard deviation.
    item_popularity_ : ndarray of shape (n_items,)
        Interactions per item, counted in ``fit`` or given to it.
    n_users_ : int
        Rows of ``fit``, which the popularity was counted over; as many as the most
        popular item asks for, if it was given.
    n_features_in_ : int
        Number of items.

    See Also
    --------
    NormTemperingReranker : The same with the length of the embedding.

    Notes
    -----
    With mean :math:`m_i` and deviation :math:`\sigma_i` of the scores of item i,

    .. math::

        s'_{ui} = s_{ui} / \sigma_i^\beta, \qquad
        s'_{ui} = (s_{ui} - \beta m_i) / \sigma_i^\beta \quad \text{with center}.

    An item whose score never varies counts like the one that varies least. Any exponent
    gives finite scores, as for :class:`NormTemperingReranker`.

    For inner products both statistics follow from the mean and the covariance of the
    users' embeddings: O(n_users d² + n_items d²). Of any other host ``fit`` scores all
    items for all users, holding a block of them; such a model takes no new items in
    :meth:`with_host`. Recommending costs one product per score over the host's, and a
    subtraction with `center`.

    References
    ----------
    .. [1] D. Kim, J. Park and D. Kim, "Test-Time Embedding Normalization for Popularity
       Bias Mitigation", CIKM 2023, arXiv:2308.11288, divides by the length of the
       embedding, which the deviation measures in the directions that users differ in.

    Examples
    --------
    >>> from sklearn.decomposition import TruncatedSVD
    >>> from skpopsteer.adapters import as_recommender
    >>> from skpopsteer.datasets import make_interactions
    >>> from skpopsteer.rerankers import SpreadTemperingReranker
    >>> X = make_interactions(200, 100, random_state=0).X
    >>> host = as_recommender(TruncatedSVD(8, random_state=0).fit(X))
    >>> model = SpreadTemperingReranker(host, strength=0.5).fit(X)
    >>> before = model.item_popularity_[model.recommend(X, strength=0)].mean()
    >>> bool(model.item_popularity_[model.predict(X)].mean() < before)
    True
    """

    _parameter_constraints: dict = {  # noqa: RUF012
        **SCORE_RULE_CONSTRAINTS,
        "center": ["boolean"],
    }

    def __init__(
        self,
        recommender,
        *,
        strength=0.5,
        center=False,
        user_strength=None,
        pool_size=None,
        keep_top=0,
        n_recommendations=10,
    ):
        self.recommender = recommender
        self.strength = strength
        self.center = center
        self.user_strength = user_strength
        self.pool_size = pool_size
        self.keep_top = keep_top
        self.n_recommendations = n_recommendations

    def _learn(self, X, user_ids):
        host = self.recommender_
        self._user_moments = None
        if scores_by_products(host):
            self._user_moments = moments_of_rows(host.encode_users(X, user_ids))
            return
        if not hasattr(host, "decision_function"):
            raise TypeError(
                "`recommender` must have decision_function, whose scores are compared "
                f"over users; got {name_of(host)}. Use "
                "PopularityPenaltyReranker."
            )
        self.score_means_, self.score_deviations_ = moments_of_scores(host, X, user_ids)

    def _describe_items(self):
        host = self.recommender_
        if self._user_moments is not None and scores_by_products(host):
            self.score_means_, self.score_deviations_ = moments_of_products(
                *self._user_moments, host.item_embeddings_, host.item_bias_
            )
        elif self._user_moments is not None or self.n_features_in_ != len(
            self.score_means_
        ):
            raise ValueError(
                "`recommender` must score by inner products, as in `fit`, where the "
                f"scores of new items follow from them; got {name_of(host)}. Fit again."
            )
        self._log_deviations = log_sizes(self.score_deviations_)

    def _rescore(self, scores, items, t):
        if self.center:
            scores -= t * self.score_means_.astype(np.float32)[items]
        scores *= powers(self._log_deviations, items, t)
