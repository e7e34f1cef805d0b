"""The lists of a steered model at its own strength, beside those of its host."""

import copy
from dataclasses import dataclass

import numpy as np

from skpopsteer import metrics
from skpopsteer.inspection._compare_measures import USER_GROUPS, user_thirds
from skpopsteer.inspection._equal_gain import overlaps

__all__ = ["HOST", "REBUILT", "STEERED", "GroupCost", "ListFigures", "measure_lists"]

#: Names of the rows: the host, its embeddings by way of the autoencoder, the model.
HOST, REBUILT, STEERED = "host", "rebuilt, nothing turned", "steered"


@dataclass(frozen=True)
class ListFigures:
    """What the lists of one recommender are like.

    Parameters
    ----------
    name : str
    same_as_host : float
        Share of the items of the host's lists that are in them.
    ndcg, recall : float or None
        None without held-out items.
    gini, coverage, tail_coverage, tail_share : float
    average_popularity : float
        Interactions per item.
    """

    name: str
    same_as_host: float
    ndcg: float | None
    recall: float | None
    gini: float
    coverage: float
    tail_coverage: float
    tail_share: float
    average_popularity: float


@dataclass(frozen=True)
class GroupCost:
    """What a third of the users pays.

    Parameters
    ----------
    group : str
        By the mean popularity of histories ("niche", "mixed", "popular"), or by their
        lengths ("light", "medium", "heavy").
    n_users : int
        With held-out items.
    host_ndcg, ndcg : float or None
        Of the host's lists and of the steered ones; None where nobody has any.
    """

    group: str
    n_users: int
    host_ndcg: float | None
    ndcg: float | None


def measure_lists(model, X, y, user_ids, popularity, labels):
    """Measure the lists of a model as it is set, of its host, and of the autoencoder.

    Parameters
    ----------
    model : fitted SteeredRecommender
    X : csr_array of shape (n_users, n_items)
    y : held-out interactions, or None
    user_ids : ndarray of shape (n_users,) or None
    popularity : ndarray of shape (n_items,)
    labels : ndarray of shape (n_items,)
        Popularity groups.

    Returns
    -------
    figures : list of ListFigures
        Of :data:`HOST`, :data:`REBUILT` and :data:`STEERED`.
    costs : list of GroupCost
        Empty without held-out items.
    """
    k = model.n_recommendations
    rebuilt = copy.copy(model)
    rebuilt.set_params(reconstruction="replace", keep_top=0, user_strength=None)
    own = model.recommender_.recommend(X, k, user_ids=user_ids)
    steered = model.recommend(X, user_ids=user_ids)
    lists = {
        HOST: own,
        REBUILT: rebuilt.recommend(X, strength=0.0, user_ids=user_ids),
        STEERED: steered,
    }
    figures = [
        _measure(name, ids, own, y, popularity, labels) for name, ids in lists.items()
    ]
    if y is None:
        return figures, []
    return figures, _costs(own, steered, y, user_thirds(X, popularity))


def _measure(name, ids, own, y, popularity, labels):
    n_items = len(popularity)
    return ListFigures(
        name=name,
        same_as_host=float(np.nanmean(overlaps(own, ids))),
        ndcg=None if y is None else float(metrics.ndcg(y, ids)),
        recall=None if y is None else float(metrics.recall(y, ids)),
        gini=float(metrics.gini(ids, n_items)),
        coverage=float(metrics.coverage(ids, n_items)),
        tail_coverage=float(metrics.tail_coverage(ids, labels)),
        tail_share=float(metrics.tail_share(ids, labels)),
        average_popularity=float(metrics.average_popularity(ids, popularity)),
    )


def _costs(own, steered, y, groups):
    before, after = (metrics.ndcg(y, ids, per_user=True) for ids in (own, steered))
    costs = []
    for name, users in zip(USER_GROUPS, groups, strict=True):
        judged = users & ~np.isnan(before)
        means = [float(x[judged].mean()) if judged.any() else None
                 for x in (before, after)]  # fmt: skip
        costs.append(GroupCost(name, int(judged.sum()), *means))
    return costs
