"""Every metric in every cell of user group and item group, as it is and on draws."""

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.sparse import issparse

from skpopsteer.metrics._arguments import call_arguments, parameters
from skpopsteer.metrics._bootstrap import ResampledMetric, draw_weights
from skpopsteer.metrics._lists import BoolArray, FloatArray, IntArray, divide

__all__ = ["GroupCells", "percentile_interval"]


class GroupCells:
    """Metrics by group of users and items; index 0 of both axes stands for all.

    Parameters
    ----------
    metrics : dict of str to tuple
        Function and length of the lists, None for all columns.
    known : dict
        What the functions may ask for by name; one row per user in `X`, `y` and
        `recommendations`, CSR where sparse.
    user_groups : list of str
        Names of the users' groups.
    user_group : ndarray of shape (n_users,)
        Number of every user's group, from 0, none of them empty.
    item_masks : dict of str to ndarray of shape (n_items,), dtype bool
        The groups of items.
    """

    def __init__(
        self,
        metrics: dict[str, tuple[Callable[..., Any], int | None]],
        known: dict[str, Any],
        user_groups: list[str],
        user_group: IntArray,
        item_masks: dict[str, BoolArray],
    ):
        self.metrics, self.known, self.user_group = metrics, known, user_group
        self.user_groups = ["all", *user_groups]
        self.item_groups = ["all", *item_masks]
        self.members = [
            np.flatnonzero(user_group == g) for g in range(len(user_groups))
        ]
        contexts = [known, *(_in_catalogue(known, m) for m in item_masks.values())]
        self.shape = (len(metrics), len(self.user_groups), len(self.item_groups))
        #: (metric, item group) -> a metric in a catalogue, where it means something.
        self.calls: dict[tuple[int, int], ResampledMetric] = {}
        for i, (function, k) in enumerate(metrics.values()):
            for j, context in enumerate(contexts):
                if j == 0 or "item_groups" not in parameters(function):
                    arguments = call_arguments(function, context, k)
                    self.calls[i, j] = ResampledMetric(function, arguments)
        once = np.ones((1, len(user_group)))
        self.values: FloatArray = self._on([once], 1)[..., 0]
        self.n_users = self._count()
        self._drawn: tuple[tuple[int, int], FloatArray] | None = None

    @property
    def group_sizes(self) -> dict[str, int]:
        """Users of every group, whether they count for a metric or not."""
        sizes = [len(self.user_group), *map(len, self.members)]
        return dict(zip(self.user_groups, sizes, strict=True))

    def draws(self, n_boot: int, seed: int) -> FloatArray:
        """Measure every cell on draws of the users with replacement."""
        if self._drawn is None or self._drawn[0] != (n_boot, seed):
            weights = draw_weights(len(self.user_group), n_boot, seed)
            self._drawn = (n_boot, seed), self._on(weights, n_boot)
        return self._drawn[1]

    def centred(self, draws: FloatArray, values: FloatArray) -> FloatArray:
        """Shift the draws of all but means, so that they have the value as their mean.

        A draw holds 63 % of the users, hence fewer distinct items: what counts those is
        biased in every draw by the same amount. A mean is not.
        """
        centred = draws.copy()
        for (i, j), call in self.calls.items():
            if call.summary is None or not call.summary.is_mean:
                known = ~np.isnan(draws[i, :, j])
                totals = draws[i, :, j].sum(axis=1, where=known)
                shift = values[i, :, j] - divide(totals, known.sum(axis=1))
                centred[i, :, j] += shift[:, np.newaxis]
        return centred

    def _count(self) -> IntArray:
        counts = np.zeros(self.shape, dtype=np.int64)
        for (i, j), call in self.calls.items():
            per_group = [call.counted[rows].sum() for rows in self.members]
            counts[i, :, j] = [sum(per_group), *per_group]
        return counts

    def per_user(self, metric: int, user_group: int, item_group: int) -> Any:
        """Return the users' values, NaN for those left out; None if it is no mean."""
        call = self.calls.get((metric, item_group))
        if call is None or call.summary is None or not call.summary.is_mean:
            return None
        values = np.where(call.counted, call.summary.rows[:, 0], np.nan)
        return values[self.members[user_group - 1]] if user_group else values

    def _on(self, blocks: Any, n_draws: int) -> FloatArray:
        out = np.full((*self.shape, n_draws), np.nan)
        start = 0
        for weights in blocks:
            stop = start + len(weights)
            chunks = [weights[:, rows] for rows in self.members]
            for (i, j), call in self.calls.items():
                out[i, :, j, start:stop] = self._measure(call, chunks)
            start = stop
        return out

    def _measure(
        self, call: ResampledMetric, chunks: list[FloatArray]
    ) -> list[FloatArray]:
        """Measure all users, then every group, on draws given as weights."""
        groups = list(zip(chunks, self.members, strict=True))
        totals = [call.totals(*group) for group in groups]
        # Every user is in one group, so that totals add up.
        of_all = None if call.summary is None else np.sum(totals, axis=0)
        everybody = np.hstack(chunks), np.concatenate(self.members)
        values = [call.measure(*everybody, of_all)]
        for group, total in zip(groups, totals, strict=True):
            values.append(call.measure(*group, total))
        return values


def _in_catalogue(known: dict[str, Any], mask: BoolArray) -> dict[str, Any]:
    """Keep the items of one group only: other slots are empty, as if never filled."""
    items = np.flatnonzero(mask)
    # The last place answers for -1, which stays what it is.
    position = np.full(len(mask) + 1, -1)
    position[items] = np.arange(len(items))
    within = {
        "X": known["X"][:, items],
        "recommendations": position[known["recommendations"]],
        "n_items": len(items),
        "item_popularity": known["item_popularity"][items],
    }
    if "y" in known:
        y = known["y"]
        within["y"] = y[:, items] if issparse(y) else position[y]
    return known | within


def percentile_interval(
    draws: FloatArray, values: FloatArray, confidence: float
) -> tuple[FloatArray, FloatArray]:
    """Cut draws at both ends.

    Parameters
    ----------
    draws : ndarray of shape (..., n_boot)
        NaN where a draw holds nobody who counts.
    values : ndarray of shape (...)
        The metric of the users as they are.
    confidence : float
        Share of the draws within the interval.

    Returns
    -------
    low, high : ndarray of shape (...)
        NaN where there is no value or no draw.
    """
    low, high = np.full((2, *values.shape), np.nan)
    ends = [(1 - confidence) / 2, (1 + confidence) / 2]
    for cell in np.ndindex(values.shape):
        known = ~np.isnan(draws[cell])
        if known.any() and not np.isnan(values[cell]):
            low[cell], high[cell] = np.quantile(draws[cell][known], ends)
    return low, high
