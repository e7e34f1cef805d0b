"""How much of the long tail is recommended.

Only filled slots count: a -1 is in no numerator and in no denominator. Which items are
the tail is the caller's choice, and studies differ in it: report it with the numbers.
"""

import numpy as np
from numpy.typing import ArrayLike

from skpopsteer.metrics._lists import (
    BoolArray,
    FloatArray,
    IntArray,
    check_count,
    check_groups,
    check_lists,
    check_range,
    mean_of_defined,
    mean_per_list,
)


def _lists_and_tail(
    recommendations: ArrayLike, item_groups: ArrayLike, k: int | None
) -> tuple[IntArray, BoolArray]:
    lists = check_lists(recommendations, k)
    in_tail = check_groups(item_groups, need_tail=True) == -1
    check_range(lists, len(in_tail), "the length of `item_groups`")
    return lists, in_tail


def tail_coverage(
    recommendations: ArrayLike,
    item_groups: ArrayLike,
    *,
    k: int | None = None,
    min_exposures: int = 1,
) -> float:
    r"""Share of the tail items that are recommended to somebody.

    Parameters
    ----------
    recommendations : array-like of int, shape (n_users, n_recommendations)
        Item positions, best first; -1 pads short lists.
    item_groups : array-like of int, shape (n_items,)
        1 for head, 0 for mid and -1 for tail items.
    k : int, default=None
        Look at the first `k` columns; None means all.
    min_exposures : int, default=1
        Lists an item must stand in to count. One list is cheap: a steering may show
        every item of the tail once and none of them often.

    Returns
    -------
    float
        In [0, 1]; higher = more of the tail is used.

    Notes
    -----
    With :math:`c_i` how often item :math:`i` is recommended, :math:`T` the tail and
    :math:`m` the exposures asked for,

    .. math:: \frac{|\{i \in T : c_i \ge m\}|}{|T|} .

    PopSteer's deep long-tail coverage [1]_; its long-tail coverage takes for the tail
    all items but the head, ``np.where(item_groups == 1, 1, -1)``.

    References
    ----------
    .. [1] P. Ahmadov and M. Mansoury, "Opening the Black Box: Interpretable Remedies
       for Popularity Bias in Recommender Systems", RecSys 2025, arXiv:2508.17297.

    Examples
    --------
    Of the tail items 2 and 3 only item 3 is recommended.

    >>> from skpopsteer.metrics import tail_coverage
    >>> tail_coverage([[0, 3], [1, 3]], item_groups=[1, 0, -1, -1])
    0.5

    And in both lists.

    >>> tail_coverage([[0, 3], [1, 3]], item_groups=[1, 0, -1, -1], min_exposures=2)
    0.5
    """
    advice = "It is the number of lists an item must stand in."
    min_exposures = check_count("min_exposures", min_exposures, advice)
    lists, in_tail = _lists_and_tail(recommendations, item_groups, k)
    counts = np.bincount(lists[lists >= 0], minlength=len(in_tail))
    return float((counts[in_tail] >= min_exposures).mean())


def tail_share(
    recommendations: ArrayLike,
    item_groups: ArrayLike,
    *,
    k: int | None = None,
    per_user: bool = False,
) -> float | FloatArray:
    r"""Average share of tail items in a list (APLT).

    Parameters
    ----------
    recommendations, item_groups, k : see :func:`tail_coverage`
        As there.
    per_user : bool, default=False
        Return one value per user instead of their mean.

    Returns
    -------
    float or ndarray of shape (n_users,)
        In [0, 1]; higher = more tail items. Empty lists are left out of the mean and
        NaN per user.

    Notes
    -----
    .. math:: \mathrm{APLT}_u = \frac{|\{i \in L_u : i \in T\}|}{|L_u|}

    over the filled slots :math:`L_u`, with the tail :math:`T`. Elliot calls it
    ``APLT``, RecBole ``tailpercentage``; RecBole's tail is, unless told otherwise, the
    least popular tenth of the items, Elliot's all items beyond the head that makes 80 %
    of the interactions.

    References
    ----------
    .. [1] H. Abdollahpouri, R. Burke and B. Mobasher, "Managing Popularity Bias in
       Recommender Systems with Personalized Re-ranking", FLAIRS 2019,
       arXiv:1901.07555.

    Examples
    --------
    One tail item in two slots, and one in one.

    >>> from skpopsteer.metrics import tail_share
    >>> tail_share([[0, 3], [2, -1]], item_groups=[1, 0, -1, -1])
    0.75
    """
    lists, in_tail = _lists_and_tail(recommendations, item_groups, k)
    shares = mean_per_list(lists, in_tail)
    return shares if per_user else mean_of_defined(shares)


def average_tail_items(
    recommendations: ArrayLike,
    item_groups: ArrayLike,
    *,
    k: int | None = None,
    per_user: bool = False,
) -> float | FloatArray:
    r"""Average number of tail items in a list (ACLT).

    Parameters
    ----------
    recommendations, item_groups, k, per_user : see :func:`tail_share`
        As there.

    Returns
    -------
    float or ndarray of shape (n_users,)
        In ``[0, k]``, in items per list; higher = more tail items. Empty lists are left
        out of the mean and NaN per user.

    Notes
    -----
    .. math:: \mathrm{ACLT}_u = |\{i \in L_u : i \in T\}|

    over the filled slots :math:`L_u`, with the tail :math:`T`. Elliot calls it
    ``ACLT``. Unlike :func:`tail_share` it grows with the length of the lists.

    References
    ----------
    .. [1] H. Abdollahpouri, R. Burke and B. Mobasher, "Managing Popularity Bias in
       Recommender Systems with Personalized Re-ranking", FLAIRS 2019,
       arXiv:1901.07555.

    Examples
    --------
    One tail item in the first list, two in the second.

    >>> from skpopsteer.metrics import average_tail_items
    >>> average_tail_items([[0, 3], [2, 3]], item_groups=[1, 0, -1, -1])
    1.5
    """
    lists, in_tail = _lists_and_tail(recommendations, item_groups, k)
    filled = lists >= 0
    counts = np.where(filled.any(axis=1), (in_tail[lists] & filled).sum(axis=1), np.nan)
    return counts if per_user else mean_of_defined(counts)
