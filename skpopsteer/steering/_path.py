"""The whole curve of a knob in one call."""

import numpy as np
from sklearn.utils import Bunch

from skpopsteer._validation import as_array
from skpopsteer.metrics import get_scorer

#: Accuracy, and the three views of exposure that studies report.
_SCORING = ("ndcg", "neg_gini", "coverage", "tail_share")


def steering_path(model, X, y, strengths, *, scoring=_SCORING, user_ids=None):
    """Score a fitted model at many strengths, without fitting anything again.

    Parameters
    ----------
    model : fitted recommender with a strength
        A :class:`~skpopsteer.steering.SteeredRecommender` or a reranker.
    X : array-like or sparse of shape (n_users, n_items)
        Interactions the recommender sees.
    y : sparse of shape (n_users, n_items), array-like of shape (n_users,) or HeldOut
        Held-out interactions.
    strengths : array-like of shape (n_strengths,)
        Used as in ``recommend(strength=...)``.
    scoring : list of str, default=("ndcg", "neg_gini", "coverage", "tail_share")
        Names for :func:`~skpopsteer.metrics.get_scorer`.
    user_ids : array-like of shape (n_users,), default=None
        Positions of trained users; None folds every row in.

    Returns
    -------
    path : :class:`~sklearn.utils.Bunch`
        With these attributes.

        strengths : ndarray of shape (n_strengths,)
            As given.
        scores : dict of str to ndarray of shape (n_strengths,)
            Higher is better, under every name of `scoring`.

    Raises
    ------
    TypeError
        For a model without a strength.

    Notes
    -----
    The host encodes the rows once, and so does the autoencoder, block by block; each
    strength costs the change of the activations, the scores and the lists.

    Examples
    --------
    >>> from sklearn.decomposition import TruncatedSVD
    >>> from skpopsteer.adapters import as_recommender
    >>> from skpopsteer.datasets import make_interactions
    >>> from skpopsteer.model_selection import hide_interactions
    >>> from skpopsteer.rerankers import PopularityPenaltyReranker
    >>> from skpopsteer.steering import steering_path
    >>> X, y = hide_interactions(
    ...     make_interactions(200, 100, random_state=0).X, random_state=0
    ... )
    >>> host = as_recommender(TruncatedSVD(8, random_state=0).fit(X))
    >>> model = PopularityPenaltyReranker(host).fit(X)
    >>> path = steering_path(model, X, y, [0, 0.05, 0.1])
    >>> path.scores["tail_share"].shape
    (3,)
    """
    if not hasattr(model, "_path"):
        raise TypeError(
            "`model` must be a fitted recommender with a strength; got "
            f"{type(model).__name__}. Wrap a host in SteeredRecommender and fit it."
        )
    scorer = get_scorer(scoring)
    strengths = as_array("strengths", strengths)
    if strengths.dtype.kind not in "biuf":
        raise TypeError(
            f"`strengths` must be numbers; got dtype {strengths.dtype}. "
            "Pass a list such as [0, 0.5, 1]."
        )
    strengths = strengths.astype(np.float64).ravel()
    rows = [
        scorer.score_lists(model, X, y, lists)
        for lists in model._path(
            X, strengths.tolist(), scorer.length(model), user_ids=user_ids
        )
    ]
    scores = {name: np.array([row[name] for row in rows]) for name in scorer.metrics}
    return Bunch(strengths=strengths, scores=scores)
