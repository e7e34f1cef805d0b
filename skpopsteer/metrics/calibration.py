"""Whether lists are as popular as the users' own histories.

Every item of a history counts once, whatever value is stored for it. Users without a
history or with an empty list are left out.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import rel_entr

from skpopsteer._validation import as_array, check_popularity
from skpopsteer.metrics._lists import (
    FloatArray,
    IntArray,
    check_groups,
    check_interactions,
    check_lists,
    check_range,
    divide,
    mean_of_defined,
    mean_per_list,
)


def popularity_lift(
    X: Any,
    recommendations: ArrayLike,
    item_popularity: ArrayLike,
    *,
    k: int | None = None,
    per_user: bool = False,
) -> float | FloatArray:
    r"""How much more popular the lists are than the profiles.

    Parameters
    ----------
    X : sparse array or matrix of shape (n_users, n_items)
        Interactions, the users' profiles; any positive value counts as one.
    recommendations : array-like of int, shape (n_users, n_recommendations)
        Item positions, best first; -1 pads short lists.
    item_popularity : array-like of shape (n_items,)
        Interactions per item, finite and not negative.
    k : int, default=None
        Look at the first `k` columns; None means all.
    per_user : bool, default=False
        Return the lift of every user instead of that of all together.

    Returns
    -------
    float or ndarray of shape (n_users,)
        At least -1, without unit; higher = more popular: 0 where lists are as popular
        as profiles, 1 where they are twice as popular. Users with an empty profile or
        list are left out and NaN per user.

    Notes
    -----
    With :math:`\bar{\theta}(S)` the mean popularity of the items in :math:`S`,
    profiles :math:`X_u` and the filled slots :math:`L_u`,

    .. math::
        \mathrm{PL} = \frac{\sum_u \bar{\theta}(L_u)}{\sum_u \bar{\theta}(X_u)} - 1 ,
        \qquad
        \mathrm{PL}_u = \frac{\bar{\theta}(L_u)}{\bar{\theta}(X_u)} - 1 .

    This is the measure of [1]_ for one group of users; :math:`\Delta\mathrm{GAP}` of
    [2]_ is the same. It is a ratio of means, not the mean of the users' ratios. For a
    group of users, pass their rows only. RecBole, Elliot and LensKit have none.

    References
    ----------
    .. [1] H. Abdollahpouri, M. Mansoury, R. Burke and B. Mobasher, "The Connection
       Between Popularity Bias, Calibration, and Fairness in Recommendation", RecSys
       2020, doi:10.1145/3383313.3418487.
    .. [2] H. Abdollahpouri, M. Mansoury, R. Burke and B. Mobasher, "The Unfairness of
       Popularity Bias in Recommendation", RMSE workshop at RecSys 2019,
       arXiv:1907.13286.

    Examples
    --------
    A profile of popularity (2 + 4) / 2 gets a list of popularity (8 + 4) / 2.

    >>> from scipy.sparse import csr_array
    >>> from skpopsteer.metrics import popularity_lift
    >>> popularity_lift(csr_array([[0, 1, 1]]), [[0, 1]], item_popularity=[8, 4, 2])
    1.0
    """
    popularity = check_popularity("item_popularity", item_popularity)
    lists = check_lists(recommendations, k)
    check_range(lists, len(popularity), "the length of `item_popularity`")
    profile = check_interactions("X", X, len(lists), len(popularity))
    totals = np.bincount(profile.users, popularity[profile.items], minlength=len(lists))
    of_profile = divide(totals, profile.per_user())
    of_list = mean_per_list(lists, popularity)
    if per_user:
        return divide(of_list, of_profile) - 1
    both = ~(np.isnan(of_list) | np.isnan(of_profile))
    return float(divide(of_list[both].sum(), of_profile[both].sum())) - 1


def _group_shares(users: IntArray, item_groups: IntArray, n_users: int) -> FloatArray:
    """Share of tail, mid and head in what every user has; NaN if he has nothing."""
    cells = np.bincount(users * 3 + item_groups + 1, minlength=3 * n_users)
    counts = cells.reshape(n_users, 3)
    return divide(counts, counts.sum(axis=1, keepdims=True))


def user_popularity_deviation(
    X: Any,
    recommendations: ArrayLike,
    item_groups: ArrayLike,
    *,
    k: int | None = None,
    per_user: bool = False,
    user_groups: ArrayLike | None = None,
) -> float | FloatArray:
    r"""How far the popularity groups of a list are from those of the profile (UPD).

    Parameters
    ----------
    X, recommendations : see :func:`popularity_lift`
        As there.
    item_groups : array-like of int, shape (n_items,)
        1 for head, 0 for mid and -1 for tail items.
    k : see :func:`popularity_lift`
        As there.
    per_user : bool, default=False
        Return one value per user instead of their mean.
    user_groups : array-like of shape (n_users,), default=None
        Labels of the users' groups. With it the value is the mean over the groups of
        their means, so that small groups weigh as much as large ones; without effect
        where `per_user` is true.

    Returns
    -------
    float or ndarray of shape (n_users,)
        In [0, 1], in bits; higher = further from the users' own taste: 0 where list and
        profile have equal shares of tail, mid and head, 1 where they have no group in
        common. Users with an empty profile or list are left out and NaN per user.

    Notes
    -----
    With :math:`p` and :math:`q` the shares of tail, mid and head in profile and list,
    UPD is the Jensen-Shannon divergence to the base 2,

    .. math::
        \mathrm{UPD}_u = \tfrac{1}{2} \sum_g p_g \log_2 \frac{p_g}{m_g}
                       + \tfrac{1}{2} \sum_g q_g \log_2 \frac{q_g}{m_g} ,
        \qquad m = \tfrac{1}{2} (p + q) .

    Natural logarithms give :math:`\ln 2 = 0.693` times as much. In [1]_ the value of a
    system is the mean over *groups* of users, given by `user_groups`; the default here
    is the mean over users. RecBole, Elliot and LensKit have none.

    References
    ----------
    .. [1] H. Abdollahpouri, M. Mansoury, R. Burke, B. Mobasher and E. Malthouse,
       "User-centered Evaluation of Popularity Bias in Recommender Systems", UMAP 2021,
       doi:10.1145/3450613.3456821.
    .. [2] J. Lin, "Divergence measures based on the Shannon entropy", IEEE Transactions
       on Information Theory 37(1), 1991, doi:10.1109/18.61115.

    Examples
    --------
    The first list is like its profile, half head and half tail; the second user knows
    only the tail and gets only the head.

    >>> from scipy.sparse import csr_array
    >>> from skpopsteer.metrics import user_popularity_deviation
    >>> X = csr_array([[1, 0, 1, 0], [0, 0, 1, 1]])
    >>> user_popularity_deviation(X, [[1, 3], [0, 1]], [1, 1, -1, -1], per_user=True)
    array([0., 1.])
    """
    lists = check_lists(recommendations, k)
    groups = check_groups(item_groups)
    check_range(lists, len(groups), "the length of `item_groups`")
    profile = check_interactions("X", X, len(lists), len(groups))
    n_users = len(lists)
    wanted = _group_shares(profile.users, groups[profile.items], n_users)
    users, slots = np.nonzero(lists >= 0)
    given = _group_shares(users, groups[lists[users, slots]], n_users)
    middle = (wanted + given) / 2
    divergence = rel_entr(wanted, middle) + rel_entr(given, middle)
    deviation = divergence.sum(axis=1) / (2 * np.log(2))
    if per_user:
        return deviation
    if user_groups is None:
        return mean_of_defined(deviation)
    return _mean_over_groups(deviation, user_groups)


def _mean_over_groups(values: FloatArray, user_groups: ArrayLike) -> float:
    """Average the means of the groups that have a defined value."""
    labels = as_array("user_groups", user_groups)
    if labels.shape != values.shape:
        raise ValueError(
            "`user_groups` must be 1-D with one label per list of `recommendations` "
            f"({len(values)}); got shape {labels.shape}. Label every user."
        )
    defined = ~np.isnan(values)
    _, group = np.unique(labels[defined], return_inverse=True)
    means = divide(np.bincount(group, values[defined]), np.bincount(group))
    return mean_of_defined(means)
