"""Accuracy of recommendation lists against held-out interactions.

All metrics here are binary: an item was held out or it was not. Users without held-out
items are left out. A slot of -1 keeps its rank and is never a hit.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from skpopsteer.metrics._lists import (
    BoolArray,
    FloatArray,
    IntArray,
    check_held_out,
    check_lists,
    divide,
    mean_of_defined,
)


def _hits(
    y: Any, recommendations: ArrayLike, k: int | None
) -> tuple[BoolArray, IntArray]:
    """Mark the hits and count the held-out items of every user."""
    lists = check_lists(recommendations, k)
    held_out = check_held_out(y, lists)
    return held_out.contain(lists), held_out.per_user()


def _result(
    values: ArrayLike, n_held_out: IntArray, per_user: bool
) -> float | FloatArray:
    scores = np.where(n_held_out > 0, values, np.nan)
    return scores if per_user else mean_of_defined(scores)


def ndcg(
    y: Any, recommendations: ArrayLike, *, k: int | None = None, per_user: bool = False
) -> float | FloatArray:
    r"""Normalised discounted cumulative gain: hits count more at the top.

    Parameters
    ----------
    y : sparse array or matrix of shape (n_users, n_items), or 1-D array of int
        Held-out interactions; any positive value counts as one. A 1-D array holds one
        held-out item position per user, -1 for none. An object with an attribute ``y``
        stands for that attribute.
    recommendations : array-like of int, shape (n_users, n_recommendations)
        Item positions, best first; -1 pads short lists.
    k : int, default=None
        Judge the first `k` columns; None means all.
    per_user : bool, default=False
        Return one value per user instead of their mean.

    Returns
    -------
    float or ndarray of shape (n_users,)
        In [0, 1]; higher = more accurate. Users without held-out items are left out of
        the mean and NaN per user; without any other user the mean is NaN.

    Notes
    -----
    With :math:`h_{ur} = 1` where the item at rank :math:`r` was held out, else 0, and
    :math:`n_u` held-out items,

    .. math::
        \mathrm{NDCG}_u = \frac{\sum_{r=1}^{k} h_{ur} / \log_2(r + 1)}
                               {\sum_{r=1}^{\min(k, n_u)} 1 / \log_2(r + 1)} .

    The same as RecBole's ``ndcg``, Elliot's ``nDCGRendle2020`` and ``ndcg_at_k`` of
    implicit. LensKit's ``NDCG`` weighs rank 2 like rank 1, as [1]_ did, unless given
    ``LogRankWeight(offset=1)``; RecTools' ``NDCG`` divides by the sum up to `k` even
    when fewer items were held out.

    References
    ----------
    .. [1] K. Järvelin and J. Kekäläinen, "Cumulated gain-based evaluation of IR
       techniques", ACM TOIS 20(4), 2002, doi:10.1145/582415.582418.

    Examples
    --------
    The first user's one item is at rank 1, the second's at rank 3: 1 / log2(4) = 0.5.

    >>> from skpopsteer.metrics import ndcg
    >>> lists = [[4, 2, 0], [1, 3, 2]]
    >>> ndcg([4, 2], lists)
    0.75
    >>> ndcg([4, 2], lists, k=2, per_user=True)
    array([1., 0.])
    """
    hits, n_held_out = _hits(y, recommendations, k)
    discounts = 1 / np.log2(np.arange(2, hits.shape[1] + 2))
    ideal = np.concatenate([[0.0], np.cumsum(discounts)])
    best = ideal[np.minimum(n_held_out, hits.shape[1])]
    return _result(divide(hits @ discounts, best), n_held_out, per_user)


def recall(
    y: Any, recommendations: ArrayLike, *, k: int | None = None, per_user: bool = False
) -> float | FloatArray:
    r"""Share of the held-out items that are recommended.

    Parameters
    ----------
    y, recommendations, k, per_user : see :func:`ndcg`
        As there.

    Returns
    -------
    float or ndarray of shape (n_users,)
        In [0, 1]; higher = more accurate. NaN as in :func:`ndcg`.

    Notes
    -----
    .. math::
        \mathrm{Recall}_u = \frac{1}{n_u} \sum_{r=1}^{k} h_{ur}

    with the symbols of :func:`ndcg`; a user with more than `k` held-out items cannot
    reach 1. RecBole's ``recall``, Elliot's ``Recall``, RecTools' ``Recall`` and
    RecPack's ``RecallK`` are the same. LensKit's ``Recall(n=k)``, RecPack's
    ``CalibratedRecallK`` and the code of Mult-VAE [2]_ divide by
    :math:`\min(k, n_u)` instead; implicit does so too, summing over users before it
    divides, under the name ``precision_at_k``.

    References
    ----------
    .. [1] J. L. Herlocker, J. A. Konstan, L. G. Terveen and J. T. Riedl, "Evaluating
       collaborative filtering recommender systems", ACM TOIS 22(1), 2004,
       doi:10.1145/963770.963772.
    .. [2] D. Liang, R. G. Krishnan, M. D. Hoffman and T. Jebara, "Variational
       Autoencoders for Collaborative Filtering", WWW 2018, arXiv:1802.05814.

    Examples
    --------
    One of the two held-out items (0 and 3) is in the list.

    >>> from scipy.sparse import csr_array
    >>> from skpopsteer.metrics import recall
    >>> recall(csr_array([[1, 0, 0, 1]]), [[1, 3]])
    0.5
    """
    hits, n_held_out = _hits(y, recommendations, k)
    return _result(divide(hits.sum(axis=1), n_held_out), n_held_out, per_user)


def precision(
    y: Any, recommendations: ArrayLike, *, k: int | None = None, per_user: bool = False
) -> float | FloatArray:
    r"""Share of the slots asked for that hold a held-out item.

    Parameters
    ----------
    y, recommendations, k, per_user : see :func:`ndcg`
        As there.

    Returns
    -------
    float or ndarray of shape (n_users,)
        In [0, 1]; higher = more accurate. NaN as in :func:`ndcg`.

    Notes
    -----
    .. math:: \mathrm{Precision}_u = \frac{1}{k} \sum_{r=1}^{k} h_{ur}

    with the symbols of :func:`ndcg`. The divisor is `k`, the number of columns asked
    for, also where a list is padded: a short list is no more precise for it. RecBole's
    ``precision`` is the same; LensKit's ``Precision`` divides by the length of the
    list.

    References
    ----------
    .. [1] J. L. Herlocker, J. A. Konstan, L. G. Terveen and J. T. Riedl, "Evaluating
       collaborative filtering recommender systems", ACM TOIS 22(1), 2004,
       doi:10.1145/963770.963772.

    Examples
    --------
    One hit in four slots, one of which is padding.

    >>> from skpopsteer.metrics import precision
    >>> precision([3], [[1, 3, 0, -1]])
    0.25
    """
    hits, n_held_out = _hits(y, recommendations, k)
    return _result(hits.mean(axis=1), n_held_out, per_user)


def hit_rate(
    y: Any, recommendations: ArrayLike, *, k: int | None = None, per_user: bool = False
) -> float | FloatArray:
    r"""Share of the users whose list holds at least one held-out item.

    Parameters
    ----------
    y, recommendations, k, per_user : see :func:`ndcg`
        As there.

    Returns
    -------
    float or ndarray of shape (n_users,)
        In [0, 1], and 0 or 1 per user; higher = more accurate. NaN as in :func:`ndcg`.

    Notes
    -----
    .. math:: \mathrm{Hit}_u = \max_{r \le k} h_{ur}

    with the symbols of :func:`ndcg`. RecBole calls it ``hit``, Elliot ``HR``, LensKit
    ``Hit``.

    References
    ----------
    .. [1] M. Deshpande and G. Karypis, "Item-based top-N recommendation algorithms",
       ACM TOIS 22(1), 2004, doi:10.1145/963770.963776.

    Examples
    --------
    The third user has no held-out item and is left out: one of two is hit.

    >>> from skpopsteer.metrics import hit_rate
    >>> hit_rate([3, 4, -1], [[1, 3], [2, 0], [1, 2]])
    0.5
    """
    hits, n_held_out = _hits(y, recommendations, k)
    return _result(hits.any(axis=1), n_held_out, per_user)


def mrr(
    y: Any, recommendations: ArrayLike, *, k: int | None = None, per_user: bool = False
) -> float | FloatArray:
    r"""Mean reciprocal rank of the first hit.

    Parameters
    ----------
    y, recommendations, k, per_user : see :func:`ndcg`
        As there.

    Returns
    -------
    float or ndarray of shape (n_users,)
        In [0, 1]; higher = more accurate; 0 without a hit. NaN as in :func:`ndcg`.

    Notes
    -----
    .. math:: \mathrm{RR}_u = \max_{r \le k} \frac{h_{ur}}{r}

    with the symbols of :func:`ndcg`. RecBole's ``mrr``, Elliot's ``MRR`` and LensKit's
    ``RecipRank`` are the same; [1]_ says average reciprocal hit rank.

    References
    ----------
    .. [1] M. Deshpande and G. Karypis, "Item-based top-N recommendation algorithms",
       ACM TOIS 22(1), 2004, doi:10.1145/963770.963776.

    Examples
    --------
    First hits at rank 2 and rank 1.

    >>> from skpopsteer.metrics import mrr
    >>> mrr([3, 2], [[1, 3], [2, 0]])
    0.75
    """
    hits, n_held_out = _hits(y, recommendations, k)
    reciprocal = (hits / np.arange(1, hits.shape[1] + 1)).max(axis=1)
    return _result(reciprocal, n_held_out, per_user)


def mean_average_precision(
    y: Any, recommendations: ArrayLike, *, k: int | None = None, per_user: bool = False
) -> float | FloatArray:
    r"""Mean over users of the precision at the ranks of their hits.

    Parameters
    ----------
    y, recommendations, k, per_user : see :func:`ndcg`
        As there.

    Returns
    -------
    float or ndarray of shape (n_users,)
        In [0, 1]; higher = more accurate. NaN as in :func:`ndcg`.

    Notes
    -----
    .. math::
        \mathrm{AP}_u = \frac{1}{\min(k, n_u)} \sum_{r=1}^{k} h_{ur}
                        \frac{1}{r} \sum_{s=1}^{r} h_{us}

    with the symbols of :func:`ndcg`, so that a list of nothing but hits scores 1. The
    same as RecBole's ``map`` and ``mean_average_precision_at_k`` of implicit; LensKit's
    ``AveragePrecision`` differs for lists shorter than `k`, whose length it takes for
    `k`. The classical form [1]_ divides by :math:`n_u`, as RecTools' ``MAP`` does.

    References
    ----------
    .. [1] C. Buckley and E. M. Voorhees, "Evaluating evaluation measure stability",
       SIGIR 2000, doi:10.1145/345508.345543.

    Examples
    --------
    Hits at ranks 1 and 4, with precision 1 and 2 / 4; three items were held out.

    >>> from scipy.sparse import csr_array
    >>> from skpopsteer.metrics import mean_average_precision
    >>> y = csr_array([[1, 0, 0, 1, 1, 0]])
    >>> mean_average_precision(y, [[0, 1, 2, 3]])
    0.5
    """
    hits, n_held_out = _hits(y, recommendations, k)
    precisions = hits.cumsum(axis=1) / np.arange(1, hits.shape[1] + 1)
    total = (precisions * hits).sum(axis=1)
    best = np.minimum(n_held_out, hits.shape[1])
    return _result(divide(total, best), n_held_out, per_user)
