"""The one-line penalty that neuron steering has to beat."""

from numbers import Integral, Real

import numpy as np
from sklearn.base import BaseEstimator, MetaEstimatorMixin

from skpopsteer._compat import HasMethods, Interval, _fit_context
from skpopsteer._post_hoc import PostHocMixin
from skpopsteer._validation import check_interactions
from skpopsteer.adapters._base import decode_into, encode_rows
from skpopsteer.adapters._export import ExportMixin, bake


class PopularityPenaltyReranker(
    ExportMixin, PostHocMixin, MetaEstimatorMixin, BaseEstimator
):
    r"""Subtract the logarithm of an item's popularity from its scores.

    Parameters
    ----------
    recommender : estimator
        The host, as for :class:`~skpopsteer.steering.SteeredRecommender`.
    strength : float, default=0.1
        Weight λ, in units of the host's scores per unit of log popularity. Positive
        lowers popularity; 0 gives the host's lists.
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

    _parameter_constraints: dict = {  # noqa: RUF012
        "recommender": [HasMethods(["fit", "encode_users", "decode"])],
        "strength": [Interval(Real, None, None, closed="neither")],
        "keep_top": [Interval(Integral, 0, None, closed="left")],
        "n_recommendations": [Interval(Integral, 1, None, closed="left")],
    }

    def __init__(self, recommender, *, strength=0.1, keep_top=0, n_recommendations=10):
        self.recommender = recommender
        self.strength = strength
        self.keep_top = keep_top
        self.n_recommendations = n_recommendations

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y=None, *, item_popularity=None):
        """Count popularity, and fit the host if it is not frozen.

        Parameters
        ----------
        X : array-like or sparse of shape (n_users, n_items)
            Interactions the recommender sees.
        y : object, default=None
            Not used.
        item_popularity : array-like of shape (n_items,) or (1, n_items), default=None
            Interactions per item, counted elsewhere; None counts those of `X`.

        Returns
        -------
        self : object
            Fitted estimator.
        """
        X = check_interactions(self, X, reset=True)
        self._count_popularity(X, item_popularity)
        self.recommender_ = self._fit_host(X)
        return self

    def _encode(self, X, user_ids):
        return self.recommender_.encode_users(X, user_ids)

    def _encode_span(self, X, user_ids, per_row):
        return encode_rows(self.recommender_, X, user_ids)

    def _turn(self, strength):
        strength = self.strength if strength is None else strength
        log_popularity = np.log(np.maximum(self.item_popularity_, 1.0))
        return (strength * log_popularity).astype(np.float32)

    def _score_into(self, out, encoded, X, turned):
        decode_into(self.recommender_, out, encoded)
        out -= turned

    def _host_score_into(self, out, encoded):
        decode_into(self.recommender_, out, encoded)

    def _baked(self, encoded, turned):
        U, V, bias = bake(self.recommender_, encoded)
        return U, V, -turned if bias is None else bias - turned
