"""How recommendations spread over the catalogue and how popular they are.

Only filled slots count: a -1 is in no numerator and in no denominator.
"""

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import entr

from skpopsteer._validation import check_popularity
from skpopsteer.metrics._lists import (
    FloatArray,
    IntArray,
    check_count,
    check_lists,
    check_range,
    mean_of_defined,
    mean_per_list,
)


def _exposures(recommendations: ArrayLike, n_items: int, k: int | None) -> IntArray:
    """Count how often every item is recommended."""
    lists = check_lists(recommendations, k)
    advice = "Pass the size of the catalogue."
    n_items = check_count("n_items", n_items, advice)
    if n_items >= 2**31:
        raise ValueError(f"`n_items` must be below 2**31; got {n_items}. {advice}")
    check_range(lists, n_items, "`n_items`")
    return np.bincount(lists[lists >= 0], minlength=n_items)


def gini(recommendations: ArrayLike, n_items: int, *, k: int | None = None) -> float:
    r"""Gini coefficient of how often the items are recommended.

    Parameters
    ----------
    recommendations : array-like of int, shape (n_users, n_recommendations)
        Item positions, best first; -1 pads short lists.
    n_items : int
        Size of the catalogue; items never recommended count too.
    k : int, default=None
        Look at the first `k` columns; None means all.

    Returns
    -------
    float
        In ``[0, 1 - 1 / n_items]``; higher = more unequal: 0 where all items are
        recommended equally often, ``1 - 1 / n_items`` where a single one is. NaN if
        nothing is recommended.

    Notes
    -----
    With the counts in ascending order, :math:`c_{(1)} \le \dots \le c_{(n)}`,

    .. math::
        G = \frac{2 \sum_{r=1}^{n} r \, c_{(r)}}{n \sum_{r=1}^{n} c_{(r)}}
            - \frac{n + 1}{n} .

    LensKit's ``ListGini`` and PopSteer's Gini [2]_ are the same, and RecBole's
    ``giniindex`` [1]_ too but for a padding item that its :math:`n` counts. Elliot's
    ``Gini`` is :math:`1 - G \, n / (n - 1)`: there higher = more equal.

    References
    ----------
    .. [1] W. Sun, S. Khenissi, O. Nasraoui and P. Shafto, "Debiasing the
       Human-Recommender System Feedback Loop in Collaborative Filtering", WWW 2019
       Companion, doi:10.1145/3308560.3317303.
    .. [2] P. Ahmadov and M. Mansoury, "Opening the Black Box: Interpretable Remedies
       for Popularity Bias in Recommender Systems", RecSys 2025, arXiv:2508.17297.

    Examples
    --------
    Counts 0, 1, 1, 2 in ascending order: 2 * (2 + 3 + 8) / (4 * 4) - 5 / 4.

    >>> from skpopsteer.metrics import gini
    >>> gini([[0, 1], [0, 2]], n_items=4)
    0.375
    """
    counts = np.sort(_exposures(recommendations, n_items, k)).astype(np.float64)
    total = counts.sum()
    if total == 0:
        return float("nan")
    n_counts = len(counts)
    # 2r - n - 1 puts both fractions over one denominator: equal counts give exactly 0.
    balance = 2 * np.arange(1, n_counts + 1) - n_counts - 1
    return float(balance @ counts / (n_counts * total))


def coverage(
    recommendations: ArrayLike, n_items: int, *, k: int | None = None
) -> float:
    r"""Share of the catalogue that is recommended to somebody.

    Parameters
    ----------
    recommendations, n_items, k : see :func:`gini`
        As there.

    Returns
    -------
    float
        In [0, 1]; higher = more of the catalogue is used; 0 if nothing is recommended.

    Notes
    -----
    .. math:: \mathrm{coverage} = \frac{|\{i : c_i > 0\}|}{n}

    RecTools' ``CatalogCoverage`` given ``normalize=True`` is the same [1]_, and
    RecBole's ``itemcoverage`` too but for a padding item that its :math:`n` counts.
    Elliot's ``ItemCoverage`` is the numerator alone.

    References
    ----------
    .. [1] M. Ge, C. Delgado-Battenfeld and D. Jannach, "Beyond accuracy: evaluating
       recommender systems by coverage and serendipity", RecSys 2010,
       doi:10.1145/1864708.1864761.

    Examples
    --------
    Items 0, 1 and 2 out of four.

    >>> from skpopsteer.metrics import coverage
    >>> coverage([[0, 1], [0, 2]], n_items=4)
    0.75
    """
    counts = _exposures(recommendations, n_items, k)
    return float(np.count_nonzero(counts) / len(counts))


def entropy(recommendations: ArrayLike, n_items: int, *, k: int | None = None) -> float:
    r"""Shannon entropy of the recommended items, in nats.

    Parameters
    ----------
    recommendations, n_items, k : see :func:`gini`
        As there.

    Returns
    -------
    float
        In ``[0, log(n_items)]``; higher = spread more evenly over more items; 0 where a
        single item is recommended. NaN if nothing is.

    Notes
    -----
    With :math:`p_i` the share of the filled slots that hold item :math:`i`,

    .. math:: H = -\sum_i p_i \ln p_i .

    RecBole's ``shannonentropy`` is :math:`H` divided by the number of distinct
    recommended items, which its own formula does not show. Elliot's ``SEntropy`` is
    :math:`H / \ln 2`, in bits, where all lists are equally long.

    References
    ----------
    .. [1] C. E. Shannon, "A mathematical theory of communication", Bell System
       Technical Journal 27(3), 1948, doi:10.1002/j.1538-7305.1948.tb01338.x.

    Examples
    --------
    Two items, equally often: ln 2.

    >>> from skpopsteer.metrics import entropy
    >>> round(entropy([[0, 1], [1, 0]], n_items=4), 6)
    0.693147
    """
    counts = _exposures(recommendations, n_items, k)
    total = counts.sum()
    return float(entr(counts / total).sum()) if total else float("nan")


def average_popularity(
    recommendations: ArrayLike,
    item_popularity: ArrayLike,
    *,
    k: int | None = None,
    per_user: bool = False,
) -> float | FloatArray:
    r"""Average recommendation popularity (ARP), in interactions per item.

    Parameters
    ----------
    recommendations : array-like of int, shape (n_users, n_recommendations)
        Item positions, best first; -1 pads short lists.
    item_popularity : array-like of shape (n_items,)
        Interactions per item, finite and not negative.
    k : int, default=None
        Look at the first `k` columns; None means all.
    per_user : bool, default=False
        Return one value per user instead of their mean.

    Returns
    -------
    float or ndarray of shape (n_users,)
        Between the lowest and the highest popularity, in interactions per item; higher
        = more popular. Empty lists are left out of the mean and NaN per user.

    Notes
    -----
    .. math:: \mathrm{ARP}_u = \frac{1}{|L_u|} \sum_{i \in L_u} \mathrm{pop}_i

    over the filled slots :math:`L_u`. RecBole calls it ``averagepopularity``, Elliot
    ``ARP``, RecTools ``AvgRecPopularity``; LensKit's ``MeanPopRank`` is the same mean
    of a quantile of the popularity rank. Lists weigh alike, however long; a mean over
    slots, as PopSteer's, is the same where no list is padded.

    References
    ----------
    .. [1] H. Yin, B. Cui, J. Li, J. Yao and C. Chen, "Challenging the Long Tail
       Recommendation", PVLDB 5(9), 2012, arXiv:1205.6700.
    .. [2] H. Abdollahpouri, R. Burke and B. Mobasher, "Managing Popularity Bias in
       Recommender Systems with Personalized Re-ranking", FLAIRS 2019,
       arXiv:1901.07555.

    Examples
    --------
    Two lists of mean popularity (8 + 4) / 2 and 2.

    >>> from skpopsteer.metrics import average_popularity
    >>> average_popularity([[0, 1], [2, -1]], [8, 4, 2], per_user=True)
    array([6., 2.])
    >>> average_popularity([[0, 1], [2, -1]], [8, 4, 2])
    4.0
    """
    popularity = check_popularity("item_popularity", item_popularity)
    lists = check_lists(recommendations, k)
    check_range(lists, len(popularity), "the length of `item_popularity`")
    values = mean_per_list(lists, popularity)
    return values if per_user else mean_of_defined(values)


def novelty(
    recommendations: ArrayLike,
    item_popularity: ArrayLike,
    n_users: int,
    *,
    k: int | None = None,
    per_user: bool = False,
) -> float | FloatArray:
    r"""Mean self-information of the recommended items, in bits.

    Parameters
    ----------
    recommendations, item_popularity : see :func:`average_popularity`
        As there.
    n_users : int
        Number of users whose interactions `item_popularity` counts; not less than the
        highest popularity.
    k, per_user : see :func:`average_popularity`
        As there.

    Returns
    -------
    float or ndarray of shape (n_users,)
        In ``[0, log2(n_users)]``, in bits; higher = rarer items. Empty lists are left
        out of the mean and NaN per user.

    Notes
    -----
    .. math::
        \mathrm{novelty}_u = -\frac{1}{|L_u|} \sum_{i \in L_u}
            \log_2 \frac{\max(\mathrm{pop}_i, 1)}{n_\mathrm{users}}

    over the filled slots :math:`L_u`: how surprising it is that a random user knows the
    item. An item nobody knows would be infinitely novel; it counts as known to one
    user, as in RecTools' ``MeanInvUserFreq``, which is the same. Elliot's ``EFD`` also
    discounts by rank and relevance.

    References
    ----------
    .. [1] T. Zhou et al., "Solving the apparent diversity-accuracy dilemma of
       recommender systems", PNAS 107(10), 2010, arXiv:0808.2670.
    .. [2] S. Vargas and P. Castells, "Rank and relevance in novelty and diversity
       metrics for recommender systems", RecSys 2011, doi:10.1145/2043932.2043955.

    Examples
    --------
    Items known to all and to a quarter of eight users: 0 and 2 bits.

    >>> from skpopsteer.metrics import novelty
    >>> novelty([[0, 1]], [8, 2], n_users=8)
    1.0
    """
    popularity = check_popularity("item_popularity", item_popularity)
    advice = "Pass the number of users behind `item_popularity`."
    n_users = check_count("n_users", n_users, advice)
    highest = popularity.max(initial=0)
    if highest > n_users:
        raise ValueError(
            "`n_users` must be at least the highest `item_popularity` "
            f"({highest:g}); got {n_users}. {advice}"
        )
    surprise = np.log2(n_users / np.maximum(popularity, 1))
    return average_popularity(recommendations, surprise, k=k, per_user=per_user)
