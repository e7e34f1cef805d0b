"""Multiply scores by what grows as popularity falls."""

import numpy as np

from skpopsteer._compat import StrOptions
from skpopsteer.rerankers._score_rule import (
    SCORE_RULE_CONSTRAINTS,
    ScoreRule,
    powers,
)


class InversePopularityReranker(ScoreRule):
    r"""Multiply the scores of an item by a factor that falls with its popularity.

    Parameters
    ----------
    recommender : estimator
        The host, as for :class:`~skpopsteer.steering.SteeredRecommender`; with
        `pool_size`, any recommender.
    strength : float, default=0.1
        The α of the formulas below, without a unit. Positive lowers popularity; 0 gives
        the host's lists.
    form : {"boost", "division", "power"}, default="boost"
        ``"boost"`` multiplies by ``1 + strength * (1 - share)``, the share being the
        popularity of the item over that of the most popular one; ``"division"`` divides
        by ``1 + strength * share``; ``"power"`` divides by the popularity to the power
        of `strength`.
    from_lowest : bool, default=True
        Measure scores from the lowest of their row. False multiplies them as they are,
        which is the published form: it pushes rare items *down* where scores are
        negative.
    user_strength : {"profile"}, callable or None, default=None
        Multiplies the strength per user, as for
        :class:`~skpopsteer.steering.SteeredRecommender`.
    pool_size : int, default=None
        Choose among the host's best items of every row, so many (250 as published, with
        ``form="boost"``); None is the whole catalogue.
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
    PopularityPenaltyReranker : Subtracts instead.

    Notes
    -----
    With a factor :math:`g_i(\alpha)` and the lowest score :math:`l_u` of the row,

    .. math::

        s'_{ui} = l_u + (s_{ui} - l_u)\, g_i(\alpha), \qquad
        g_i^{boost} = 1 + \alpha (1 - pop_i / pop_{max}), \quad
        g_i^{division} = \frac{1}{1 + \alpha\, pop_i / pop_{max}}, \quad
        g_i^{power} = \max(pop_i, 1)^{-\alpha},

    and :math:`s'_{ui} = s_{ui} g_i(\alpha)` with ``from_lowest=False``. Negative
    strengths raise popularity by the inverse, :math:`g_i(-\alpha) = 1 / g_i(\alpha)`,
    so that no factor is ever negative.

    The row is the whole catalogue, or the pool with `pool_size`: a score then depends
    on the others of its row, so that ``from_lowest=True`` cannot be exported as
    vectors. The cost over the host's is a few passes over the scores.

    References
    ----------
    .. [1] P. Ahmadov and M. Mansoury, arXiv:2508.17297 (division) and arXiv:2601.15122
       (boost), whose code has both as baselines called IPR.

    Examples
    --------
    >>> from sklearn.decomposition import TruncatedSVD
    >>> from skpopsteer.adapters import as_recommender
    >>> from skpopsteer.datasets import make_interactions
    >>> from skpopsteer.rerankers import InversePopularityReranker
    >>> X = make_interactions(200, 100, random_state=0).X
    >>> host = as_recommender(TruncatedSVD(8, random_state=0).fit(X))
    >>> model = InversePopularityReranker(host, form="power", strength=0.2).fit(X)
    >>> before = model.item_popularity_[model.recommend(X, strength=0)].mean()
    >>> bool(model.item_popularity_[model.predict(X)].mean() < before)
    True
    """

    _parameter_constraints: dict = {  # noqa: RUF012
        **SCORE_RULE_CONSTRAINTS,
        "form": [StrOptions({"boost", "division", "power"})],
        "from_lowest": ["boolean"],
    }

    _exported_with: dict = {  # noqa: RUF012
        **ScoreRule._exported_with,
        "from_lowest": False,
    }

    def __init__(
        self,
        recommender,
        *,
        strength=0.1,
        form="boost",
        from_lowest=True,
        user_strength=None,
        pool_size=None,
        keep_top=0,
        n_recommendations=10,
    ):
        self.recommender = recommender
        self.strength = strength
        self.form = form
        self.from_lowest = from_lowest
        self.user_strength = user_strength
        self.pool_size = pool_size
        self.keep_top = keep_top
        self.n_recommendations = n_recommendations

    def _rescore(self, scores, items, t):
        gain = self._gain(items, t)
        if not self.from_lowest:
            scores *= gain
            return
        finite = np.isfinite(scores)
        lowest = np.where(finite, scores, np.inf).min(axis=1, keepdims=True)
        # l + (s - l) g, written so that a gain of 1 leaves a score as it is.
        change = np.where(finite, scores - lowest, 0.0)
        change *= gain - 1
        scores += change

    def _gain(self, items, t):
        """Return what multiplies the scores, one of each item or row and item."""
        popularity = self.item_popularity_
        if self.form == "power":
            logs = np.log(np.maximum(popularity, 1.0)).astype(np.float32)
            return powers(logs, items, t)
        share = (popularity / (popularity.max() or 1.0)).astype(np.float32)
        if self.form == "boost":
            share = 1 - share
        size = 1 + np.abs(t) * share[items]
        rises = (np.asarray(t) > 0) == (self.form == "boost")
        return np.where(rises, size, 1 / size)
