"""What of every user a metric needs, so that thousands of draws read no list twice.

Most metrics are a function of totals over the users: a mean needs the sum of values and
their number, the Gini coefficient how often every item is recommended. The totals of a
draw are then one product of weights (how often each user was drawn) and rows.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from scipy.sparse import csr_array
from scipy.special import entr

from skpopsteer.metrics import calibration, exposure, fairness, tail
from skpopsteer.metrics._arguments import parameters
from skpopsteer.metrics._lists import (
    BoolArray,
    FloatArray,
    IntArray,
    check_held_out,
    check_interactions,
    check_lists,
    divide,
)

__all__ = ["Summary", "summarise"]


class Summary(NamedTuple):
    """Rows of the users, and the metric of their totals."""

    rows: FloatArray | csr_array  # (n_users, n_columns)
    finish: Callable[[FloatArray], FloatArray]  # (n_draws, n_columns) -> (n_draws,)
    counted: BoolArray  # (n_users,), false for those a metric leaves out
    is_mean: bool = False  # then the first column holds the users' values

    def of_all(self) -> float:
        """Measure all users, each once."""
        totals = np.asarray(self.rows.sum(axis=0), dtype=np.float64)
        return float(self.finish(totals.reshape(1, -1))[0])


def summarise(
    function: Callable[..., Any], arguments: dict[str, Any]
) -> Summary | None:
    """Summarise a metric by rows of the users, or return None where it cannot be."""
    value = function(**arguments)
    for known, make in _BY_TOTALS:
        if function is known:
            return make(arguments)
    if "per_user" not in parameters(function):
        return None
    values = np.asarray(function(**arguments, per_user=True), dtype=np.float64)
    if values.shape != (len(arguments["recommendations"]),):
        return None
    summary = _mean(values)
    # A ratio of means has values per user too, but is not their mean.
    return summary if np.isclose(summary.of_all(), value, equal_nan=True) else None


def _ratio(totals: FloatArray) -> FloatArray:
    return divide(totals[:, 0], totals[:, 1])


def _lift(totals: FloatArray) -> FloatArray:
    return _ratio(totals) - 1


def _mean(values: FloatArray) -> Summary:
    counted = ~np.isnan(values)
    rows = np.column_stack([np.where(counted, values, 0.0), counted])
    return Summary(rows, _ratio, counted, is_mean=True)


def _popularity_lift(arguments: dict[str, Any]) -> Summary:
    lists, popularity = arguments["recommendations"], arguments["item_popularity"]
    of_list = exposure.average_popularity(
        lists, popularity, k=arguments["k"], per_user=True
    )
    profile = check_interactions("X", arguments["X"], len(lists))
    weights = np.asarray(popularity, dtype=np.float64)[profile.items]
    totals = np.bincount(profile.users, weights, minlength=len(lists))
    rows = np.column_stack([of_list, divide(totals, profile.per_user())])
    counted = ~np.isnan(rows).any(axis=1)
    rows = np.where(counted[:, np.newaxis], rows, 0.0)
    return Summary(rows, _lift, counted)


def _slots(arguments: dict[str, Any]) -> tuple[IntArray, csr_array]:
    """Find the items that are recommended, and mark who gets which."""
    lists = check_lists(arguments["recommendations"], arguments["k"])
    users, columns = np.nonzero(lists >= 0)
    items, place = np.unique(lists[users, columns], return_inverse=True)
    rows = csr_array(
        (np.ones(len(users)), (users, place)), shape=(len(lists), len(items))
    )
    return items, rows


def _of_counts(
    finish: Callable[..., FloatArray],
) -> Callable[[dict[str, Any]], Summary]:
    def make(arguments: dict[str, Any]) -> Summary:
        items, rows = _slots(arguments)
        everybody = np.ones(rows.shape[0], dtype=bool)
        # A partial and not a lambda, so that tables pickle.
        of_totals = partial(finish, items=items, arguments=arguments)
        return Summary(rows, of_totals, everybody)

    return make


def _gini(counts: FloatArray, items: IntArray, arguments: dict[str, Any]) -> FloatArray:
    n_items = arguments["n_items"]
    # Items nobody gets come first in the ascending order and add nothing.
    ranks = np.arange(n_items - len(items) + 1, n_items + 1)
    balance = np.sort(counts, axis=1) @ (2.0 * ranks - n_items - 1)
    return divide(balance, n_items * counts.sum(axis=1))


def _coverage(
    counts: FloatArray, items: IntArray, arguments: dict[str, Any]
) -> FloatArray:
    return np.count_nonzero(counts, axis=1) / arguments["n_items"]


def _entropy(
    counts: FloatArray, items: IntArray, arguments: dict[str, Any]
) -> FloatArray:
    totals = counts.sum(axis=1)
    shares = divide(counts, totals[:, np.newaxis])
    return np.where(totals > 0, entr(shares).sum(axis=1), np.nan)


def _tail_coverage(
    counts: FloatArray, items: IntArray, arguments: dict[str, Any]
) -> FloatArray:
    in_tail = np.asarray(arguments["item_groups"]) == -1
    return np.count_nonzero(counts[:, in_tail[items]], axis=1) / in_tail.sum()


def _per_user_and_group(users: IntArray, groups: IntArray, n_users: int) -> IntArray:
    cells = np.bincount(users * 3 + groups + 1, minlength=3 * n_users)
    return cells.reshape(n_users, 3)


def _poprsp(arguments: dict[str, Any]) -> Summary:
    lists = check_lists(arguments["recommendations"], arguments["k"])
    groups = np.asarray(arguments["item_groups"])
    seen = check_interactions("X", arguments["X"], len(lists))
    users, columns = np.nonzero((lists >= 0) & ~seen.contain(lists))
    chosen = _per_user_and_group(users, groups[lists[users, columns]], len(lists))
    known = _per_user_and_group(seen.users, groups[seen.items], len(lists))
    return _spread(chosen, np.bincount(groups + 1, minlength=3) - known)


def _popreo(arguments: dict[str, Any]) -> Summary:
    lists = check_lists(arguments["recommendations"], arguments["k"])
    groups = np.asarray(arguments["item_groups"])
    held_out = check_held_out(arguments["y"], lists, len(groups))
    held_out = held_out.without(check_interactions("X", arguments["X"], len(lists)))
    users, columns = np.nonzero(held_out.contain(lists))
    found = _per_user_and_group(users, groups[lists[users, columns]], len(lists))
    wanted = _per_user_and_group(held_out.users, groups[held_out.items], len(lists))
    return _spread(found, wanted)


def _spread(n_chosen: IntArray, n_opportunities: IntArray) -> Summary:
    rows = np.hstack([n_chosen, n_opportunities]).astype(np.float64)
    counted = n_opportunities.sum(axis=1) > 0
    return Summary(rows, _relative_spread, counted)


def _relative_spread(totals: FloatArray) -> FloatArray:
    possible = totals[:, 3:] > 0
    n_groups = possible.sum(axis=1)
    probability = np.where(possible, divide(totals[:, :3], totals[:, 3:]), 0.0)
    mean = divide(probability.sum(axis=1), n_groups)
    squares = np.square(probability - mean[:, np.newaxis]).sum(axis=1, where=possible)
    spread = divide(np.sqrt(divide(squares, n_groups)), mean)
    return np.where(n_groups < 2, np.nan, spread)


_BY_TOTALS: tuple[tuple[Callable[..., Any], Callable[..., Summary]], ...] = (
    (calibration.popularity_lift, _popularity_lift),
    (exposure.gini, _of_counts(_gini)),
    (exposure.coverage, _of_counts(_coverage)),
    (exposure.entropy, _of_counts(_entropy)),
    (tail.tail_coverage, _of_counts(_tail_coverage)),
    (fairness.poprsp, _poprsp),
    (fairness.popreo, _popreo),
)
