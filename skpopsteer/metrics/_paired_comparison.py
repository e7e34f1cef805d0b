"""Two recommenders on the same users: paired differences by group, and their tests."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import issparse
from scipy.stats import false_discovery_control, wilcoxon

from skpopsteer.metrics._group_cells import GroupCells, percentile_interval
from skpopsteer.metrics._group_tables import (
    grid_html,
    grid_text,
    interval_lines,
    long_frame,
)
from skpopsteer.metrics._lists import FloatArray, IntArray

__all__ = ["PairedComparison", "compare_cells"]

_TESTS = (
    "p: paired bootstrap of the difference; w: Wilcoxon signed ranks of the users; "
)
_ADJUSTED = {
    "bh": "both adjusted over the cells by Benjamini and Hochberg.",
    "by": "both adjusted over the cells by Benjamini and Yekutieli.",
    None: "neither adjusted for the number of cells.",
}


@dataclass(frozen=True, eq=False)
class PairedComparison:
    r"""Table of :meth:`RankingFrame.compare`: prints, shows as HTML, becomes a frame.

    Parameters
    ----------
    metrics : list of str
        Names along the first axis of all arrays.
    user_groups : list of str
        Along the second, ``"all"`` first.
    item_groups : list of str
        Along the third, ``"all"`` first.
    group_sizes : dict of str to int
        Users of every group.
    first : ndarray of shape (n_metrics, n_user_groups, n_item_groups)
        Values of the table that compares.
    second : ndarray of the same shape
        Values of the table it is compared with.
    n_users : ndarray of the same shape, dtype int64
        Users that count in both.
    difference : ndarray of the same shape
        Second minus first.
    low : ndarray of the same shape
        Lower end of the paired interval of the difference.
    high : ndarray of the same shape
        Upper end.
    p_bootstrap : ndarray of the same shape
        Two-sided, as below, before any adjustment; NaN where there is none.
    p_bootstrap_adjusted : ndarray of the same shape
        Adjusted over all cells.
    p_wilcoxon : ndarray of the same shape
        Two-sided, as below, before any adjustment; NaN where there is none.
    p_wilcoxon_adjusted : ndarray of the same shape
        Adjusted over all cells.
    notes : list of str
        What stands under the table.

    Notes
    -----
    The two p-values answer two questions. *Bootstrap*, for every metric: is the
    difference of the metrics 0? With :math:`B` draws :math:`d_b` of the difference,
    shifted as in :class:`RankingFrame`,

    .. math::
        p = \min\left(1, 2 \, \frac{1 + \min(\#\{d_b \le 0\}, \#\{d_b \ge 0\})}
                                   {B + 1}\right) ,

    never below :math:`2 / (B + 1)`: more draws for smaller ones. *Wilcoxon*, where the
    metric is a mean over the same users for both: do as many users gain as lose, and as
    much, by the ranks of their differences? Users without a difference are left out,
    and p is 1 if that is all. The sign of a mean and of the ranks may differ.

    References
    ----------
    .. [1] B. Efron and R. J. Tibshirani, "An Introduction to the Bootstrap", 1993,
       doi:10.1201/9780429246593.
    .. [2] F. Wilcoxon, "Individual comparisons by ranking methods", Biometrics Bulletin
       1(6), 1945, doi:10.2307/3001968.
    .. [3] Y. Benjamini and Y. Hochberg, "Controlling the false discovery rate", Journal
       of the Royal Statistical Society B 57(1), 1995,
       doi:10.1111/j.2517-6161.1995.tb02031.x.

    Examples
    --------
    Ten users all lose their hit, whom the first recommender had found.

    >>> import numpy as np
    >>> from skpopsteer.metrics import RankingFrame
    >>> X, y = np.eye(10, 4), np.array([3, 3, 3, 2, 3, 3, 3, 3, 3, 3])
    >>> first = RankingFrame("recall", X, y, y[:, np.newaxis], random_state=0)
    >>> lists = np.where(y == 3, 2, 3)[:, np.newaxis]
    >>> change = first.compare(RankingFrame("recall", X, y, lists))
    >>> change.difference[0, 0, 0].item(), change.p_wilcoxon[0, 0, 0].item() < 0.01
    (-1.0, True)
    """

    metrics: list[str]
    user_groups: list[str]
    item_groups: list[str]
    group_sizes: dict[str, int]
    first: FloatArray
    second: FloatArray
    n_users: IntArray
    difference: FloatArray
    low: FloatArray
    high: FloatArray
    p_bootstrap: FloatArray
    p_bootstrap_adjusted: FloatArray
    p_wilcoxon: FloatArray
    p_wilcoxon_adjusted: FloatArray
    notes: list[str]

    def to_frame(self, backend="pandas"):
        """Return one row per cell.

        Parameters
        ----------
        backend : {"pandas", "polars"}, default="pandas"
            Library of the frame.

        Returns
        -------
        DataFrame
            Columns ``metric, user_group, item_group, n_users, first, second,
            difference, low, high`` and the four p-values.
        """
        names = (
            "n_users", "first", "second", "difference", "low", "high", "p_bootstrap",
            "p_bootstrap_adjusted", "p_wilcoxon", "p_wilcoxon_adjusted",
        )  # fmt: skip
        columns = {name: getattr(self, name) for name in names}
        axes = self.metrics, self.user_groups, self.item_groups
        return long_frame(axes, columns, backend)

    def __str__(self):
        return grid_text(*self._table())

    def _repr_html_(self):
        return grid_html(*self._table())

    def _table(self):
        cells = [
            interval_lines(
                self.difference[i],
                self.low[i],
                self.high[i],
                lambda row, column, i=i: [self._p_values(i, row, column)],
            )
            for i in range(len(self.metrics))
        ]
        users = list(self.group_sizes.items())
        return self.metrics, users, self.item_groups, cells, self.notes

    def _p_values(self, *cell):
        values = self.p_bootstrap_adjusted[cell], self.p_wilcoxon_adjusted[cell]
        # "p .012 w<.001": three digits, no zero before the point, to fit four columns.
        return " ".join(
            letter + ("<.001" if p < 0.001 else f" {p:.3f}".replace(" 0.", " ."))
            for letter, p in zip("pw", values, strict=True)
            if not np.isnan(p)
        )


def compare_cells(
    first: GroupCells,
    second: GroupCells,
    *,
    n_boot: int,
    seed: int,
    confidence: float,
    adjust: str | None,
    notes: list[str],
) -> PairedComparison:
    """Compare two tables, which must be of the same users and questions."""
    known = adjust is None or isinstance(adjust, str)
    if not known or adjust not in _ADJUSTED:
        raise ValueError(
            f"`adjust` must be 'bh', 'by' or None; got {adjust!r}. "
            "See scipy.stats.false_discovery_control."
        )
    _check_same(first, second)
    difference = second.values - first.values
    draws = second.draws(n_boot, seed) - first.draws(n_boot, seed)
    draws = first.centred(draws, difference)
    low, high = percentile_interval(draws, difference, confidence)
    p_bootstrap, p_wilcoxon = _two_sided(draws), _signed_ranks(first, second)
    return PairedComparison(
        metrics=list(first.metrics),
        user_groups=first.user_groups,
        item_groups=first.item_groups,
        group_sizes=first.group_sizes,
        first=first.values,
        second=second.values,
        n_users=np.minimum(first.n_users, second.n_users),
        difference=difference,
        low=low,
        high=high,
        p_bootstrap=p_bootstrap,
        p_bootstrap_adjusted=_adjust(p_bootstrap, adjust),
        p_wilcoxon=p_wilcoxon,
        p_wilcoxon_adjusted=_adjust(p_wilcoxon, adjust),
        notes=["Cells: second minus first.", *notes, _TESTS + _ADJUSTED[adjust]],
    )


def _check_same(first: GroupCells, second: GroupCells) -> None:
    same = {"metrics": first.metrics == second.metrics}
    for name in ("X", "y", "item_popularity", "n_users", "item_groups"):
        label = "n_train_users" if name == "n_users" else name
        same[label] = _equal(first.known.get(name), second.known.get(name))
    same["user_groups"] = first.user_groups == second.user_groups and _equal(
        first.user_group, second.user_group
    )
    others = [f"`{name}`" for name, equal in same.items() if not equal]
    if others:
        raise ValueError(
            f"`other` must have the same {others[0]} as this table; got another. "
            "Make both with the same arguments, but for the lists."
        )


def _equal(mine: Any, theirs: Any) -> bool:
    if issparse(mine) and issparse(theirs):
        return mine.shape == theirs.shape and (mine != theirs).nnz == 0
    if issparse(mine) or issparse(theirs):
        return False
    return bool(np.array_equal(mine, theirs))


def _two_sided(draws: FloatArray) -> FloatArray:
    """Invert the percentile interval: the level at which it would just hold 0."""
    n_draws = (~np.isnan(draws)).sum(axis=-1)
    below, above = (draws <= 0).sum(axis=-1), (draws >= 0).sum(axis=-1)
    p_values = 2 * (1 + np.minimum(below, above)) / (n_draws + 1)
    return np.where(n_draws > 0, np.minimum(p_values, 1.0), np.nan)


def _signed_ranks(first: GroupCells, second: GroupCells) -> FloatArray:
    p_values = np.full(first.values.shape, np.nan)
    for cell in np.ndindex(p_values.shape):
        mine, theirs = first.per_user(*cell), second.per_user(*cell)
        if mine is None or theirs is None:
            continue
        difference = theirs - mine
        counted = ~np.isnan(difference)
        # A mean over other users is no pair; and without users there is no test.
        if (np.isnan(mine) == np.isnan(theirs)).all() and counted.any():
            changed = difference[counted & (difference != 0)]
            p_values[cell] = wilcoxon(changed).pvalue if len(changed) else 1.0
    return p_values


def _adjust(p_values: FloatArray, method: str | None) -> FloatArray:
    adjusted = p_values.copy()
    known = ~np.isnan(p_values)
    if method is not None and known.any():
        adjusted[known] = false_discovery_control(p_values[known], method=method)
    return adjusted
