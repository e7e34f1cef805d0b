"""Users by how much of their own history is popular."""

from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skpopsteer._validation import as_interactions
from skpopsteer.metrics._lists import FloatArray, check_groups, divide

__all__ = ["NO_HISTORY", "TASTES", "taste_groups"]

#: In the order of their taste; what a table shows follows it.
TASTES = ("niche", "diverse", "blockbuster")
NO_HISTORY = "no history"


def taste_groups(
    X: Any, item_groups: ArrayLike, *, share: float = 0.2
) -> NDArray[np.str_]:
    r"""Tell niche, diverse and blockbuster users apart by the head in their histories.

    Parameters
    ----------
    X : array-like or sparse of shape (n_users, n_items)
        Interactions, the users' histories; any positive value counts as one.
    item_groups : array-like of int, shape (n_items,)
        1 for head, 0 for mid and -1 for tail items; only the head matters here.
    share : float, default=0.2
        Share in (0, 0.5] of the users with a history that are niche, and that are
        blockbuster; more where users tie with the last of them.

    Returns
    -------
    ndarray of shape (n_users,), dtype str
        ``"niche"``, ``"diverse"``, ``"blockbuster"``, or ``"no history"`` for an empty
        row. Words and not numbers, so that tables and frames explain themselves.

    Notes
    -----
    With :math:`h_u = |\{i \in X_u : i \in H\}| / |X_u|` the share of head items
    :math:`H` in a history, :math:`n` users with a history and
    :math:`m = \max(1, \mathrm{round}(\mathrm{share} \cdot n))`, a user is niche if
    :math:`h_u \le h_{(m)}`, the :math:`m`-th lowest share, blockbuster if
    :math:`h_u \ge h_{(n - m + 1)}`, the :math:`m`-th highest, and diverse if neither or
    both. So users of equal share are never parted, and the order of the rows does not
    matter; [1]_ cuts the sorted users at 20 % and 80 %, wherever that falls among
    equals. O(nnz + n_users log n_users).

    References
    ----------
    .. [1] H. Abdollahpouri, M. Mansoury, R. Burke and B. Mobasher, "The Unfairness of
       Popularity Bias in Recommendation", RMSE workshop at RecSys 2019,
       arXiv:1907.13286.

    Examples
    --------
    Item 0 is the head: shares 1, 1/2, 0, and a user without history.

    >>> from skpopsteer.metrics import taste_groups
    >>> X = [[1, 0, 0], [1, 1, 0], [0, 1, 1], [0, 0, 0]]
    >>> taste_groups(X, item_groups=[1, -1, -1]).tolist()
    ['blockbuster', 'diverse', 'niche', 'no history']
    """
    if not isinstance(share, Real) or not 0 < share <= 0.5:
        raise ValueError(
            f"`share` must be a number in (0, 0.5]; got {share!r}. Write 20 % as 0.2."
        )
    X = as_interactions("X", X)
    groups = check_groups(item_groups)
    if len(groups) != X.shape[1]:
        raise ValueError(
            f"`item_groups` must hold one group per item ({X.shape[1]}); got "
            f"{len(groups)}. PopularityGroups().label(popularity) makes it."
        )
    return _cut((groups == 1).astype(np.float64), X, float(share))


def _cut(in_head: FloatArray, X: Any, share: float) -> NDArray[np.str_]:
    lengths = np.diff(X.indptr)
    users = np.repeat(np.arange(len(lengths)), lengths)
    in_history = np.bincount(users, in_head[X.indices], minlength=len(lengths))
    # Equal fractions are equal floats: division rounds correctly, so ties are ties.
    head_share = divide(in_history, lengths)
    labels = np.full(len(lengths), TASTES[1], dtype=f"<U{len(TASTES[2])}")
    labels[lengths == 0] = NO_HISTORY
    ordered = np.sort(head_share[lengths > 0])
    if not len(ordered):
        return labels
    n_each = max(1, round(share * len(ordered)))
    # NaN, of users without history, is neither.
    niche, blockbuster = (
        head_share <= ordered[n_each - 1],
        head_share >= ordered[-n_each],
    )
    labels[niche & ~blockbuster] = TASTES[0]
    labels[blockbuster & ~niche] = TASTES[2]
    return labels
