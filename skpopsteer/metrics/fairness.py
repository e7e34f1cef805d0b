"""Whether the popularity groups of items get the same chance to be recommended."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from skpopsteer.metrics._lists import (
    IntArray,
    check_groups,
    check_held_out,
    check_interactions,
    check_lists,
    check_range,
    divide,
)


def _check(
    recommendations: ArrayLike, item_groups: ArrayLike, k: int | None
) -> tuple[IntArray, IntArray]:
    lists = check_lists(recommendations, k)
    groups = check_groups(item_groups)
    present = np.unique(groups)
    if len(present) < 2:
        raise ValueError(
            "`item_groups` must hold at least two of the groups -1, 0 and 1; got "
            f"{present.tolist()}. There is nothing to compare within one group."
        )
    check_range(lists, len(groups), "the length of `item_groups`")
    return lists, groups


def _per_group(groups: IntArray) -> IntArray:
    return np.bincount(groups + 1, minlength=3)


def _relative_spread(n_chosen: IntArray, n_opportunities: IntArray) -> float:
    """Divide the standard deviation over groups of a probability by its mean."""
    possible = n_opportunities > 0
    if possible.sum() < 2:
        return float("nan")
    probability = n_chosen[possible] / n_opportunities[possible]
    return float(divide(probability.std(), probability.mean()))


def poprsp(
    recommendations: ArrayLike,
    item_groups: ArrayLike,
    *,
    X: Any = None,
    k: int | None = None,
) -> float:
    r"""Popularity-based ranking statistical parity (RSP): equal exposure of groups.

    Parameters
    ----------
    recommendations : array-like of int, shape (n_users, n_recommendations)
        Item positions, best first; -1 pads short lists.
    item_groups : array-like of int, shape (n_items,)
        1 for head, 0 for mid and -1 for tail items; at least two groups.
    X : sparse array or matrix of shape (n_users, n_items), default=None
        What the users have seen already: no opportunity to recommend, and a slot that
        holds such an item does not count.
    k : int, default=None
        Look at the first `k` columns; None means all.

    Returns
    -------
    float
        In ``[0, sqrt(n_groups - 1)]``; higher = more unequal; 0 where an item is as
        likely to be recommended in every group. NaN if nothing is recommended.

    Notes
    -----
    With :math:`G` the groups that hold items,

    .. math::
        \mathrm{RSP} = \frac{\mathrm{std}_{g \in G} \, P(R@k \mid g)}
                            {\mathrm{mean}_{g \in G} \, P(R@k \mid g)}, \qquad
        P(R@k \mid g) = \frac{\sum_u |\{i \in L_u : i \in g\}|}
                             {\sum_u |\{i \in g : i \notin X_u\}|} ,

    where std is that of the population. Elliot calls it ``PopRSP`` and knows two
    groups, which ``np.where(item_groups == 1, 1, -1)`` makes of three. The measure says
    nothing of direction: a preference for the tail is as unequal as one for the head.

    References
    ----------
    .. [1] Z. Zhu, J. Wang and J. Caverlee, "Measuring and Mitigating Item
       Under-Recommendation Bias in Personalized Ranking Systems", SIGIR 2020,
       doi:10.1145/3397271.3401177.

    Examples
    --------
    Three of four chances to recommend a head item are taken, one of four for the tail:
    the standard deviation of 3/4 and 1/4 is 1/4, their mean 1/2.

    >>> from skpopsteer.metrics import poprsp
    >>> poprsp([[0, 1], [0, 3]], item_groups=[1, 1, -1, -1])
    0.5
    """
    lists, groups = _check(recommendations, item_groups, k)
    chosen = lists >= 0
    n_opportunities = len(lists) * _per_group(groups)
    if X is not None:
        seen = check_interactions("X", X, len(lists), len(groups))
        # Counted, they would let a probability pass 1.
        chosen &= ~seen.contain(lists)
        n_opportunities = n_opportunities - _per_group(groups[seen.items])
    return _relative_spread(_per_group(groups[lists[chosen]]), n_opportunities)


def popreo(
    y: Any,
    recommendations: ArrayLike,
    item_groups: ArrayLike,
    *,
    X: Any = None,
    k: int | None = None,
) -> float:
    r"""Popularity-based ranking equal opportunity (REO): equal recall of groups.

    Parameters
    ----------
    y : sparse array or matrix of shape (n_users, n_items), or 1-D array of int
        Held-out interactions; any positive value counts as one. A 1-D array holds one
        held-out item position per user, -1 for none. An object with an attribute ``y``
        stands for that attribute.
    recommendations, item_groups : see :func:`poprsp`
        As there.
    X : sparse array or matrix of shape (n_users, n_items), default=None
        What the users have seen already: held-out items among them are neither
        opportunities nor hits.
    k : see :func:`poprsp`
        As there.

    Returns
    -------
    float
        In ``[0, sqrt(n_groups - 1)]``; higher = more unequal; 0 where a held-out item
        is as likely to be found in every group. NaN without any hit, and where fewer
        than two groups hold held-out items.

    Notes
    -----
    With :math:`G` the groups that hold held-out items,

    .. math::
        \mathrm{REO} = \frac{\mathrm{std}_{g \in G} \, P(R@k \mid g, y = 1)}
                            {\mathrm{mean}_{g \in G} \, P(R@k \mid g, y = 1)}, \qquad
        P(R@k \mid g, y = 1) =
            \frac{\sum_u |\{i \in L_u : i \in g, i \in y_u \setminus X_u\}|}
                 {\sum_u |\{i \in g : i \in y_u \setminus X_u\}|} ,

    where std is that of the population. Elliot calls it ``PopREO`` and knows two
    groups, which ``np.where(item_groups == 1, 1, -1)`` makes of three.

    References
    ----------
    .. [1] Z. Zhu, J. Wang and J. Caverlee, "Measuring and Mitigating Item
       Under-Recommendation Bias in Personalized Ranking Systems", SIGIR 2020,
       doi:10.1145/3397271.3401177.

    Examples
    --------
    Both held-out head items are found, one of two tail items is: the standard deviation
    of 1 and 1/2 is 1/4, their mean 3/4.

    >>> from scipy.sparse import csr_array
    >>> from skpopsteer.metrics import popreo
    >>> y = csr_array([[1, 0, 1, 0], [0, 1, 0, 1]])
    >>> round(popreo(y, [[0, 2], [1, 2]], item_groups=[1, 1, -1, -1]), 6)
    0.333333
    """
    lists, groups = _check(recommendations, item_groups, k)
    held_out = check_held_out(y, lists, len(groups))
    if X is not None:
        held_out = held_out.without(check_interactions("X", X, len(lists), len(groups)))
    found = groups[lists[held_out.contain(lists)]]
    return _relative_spread(_per_group(found), _per_group(groups[held_out.items]))
