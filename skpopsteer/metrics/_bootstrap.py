"""How much a metric of these users would differ on other users like them."""

from collections.abc import Callable, Iterator
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import issparse
from sklearn.utils import check_random_state

from skpopsteer.metrics._arguments import ONE_ROW_A_USER
from skpopsteer.metrics._lists import FloatArray, IntArray
from skpopsteer.metrics._summaries import Summary, summarise

__all__ = [
    "ResampledMetric",
    "bootstrap_metric",
    "check_n_boot",
    "draw_weights",
    "recentred_interval",
]

#: Weights held at a time: 32 MB.
_BLOCK = 2**22


class ResampledMetric:
    """A metric that can be measured on any users, each as often as a weight says.

    Parameters
    ----------
    function : callable
        A metric.
    arguments : dict
        What it is called with; one row per user in `X`, `y` and `recommendations`.
    """

    def __init__(self, function: Callable[..., Any], arguments: dict[str, Any]):
        self.function = function
        self.arguments = arguments | {
            name: _sliceable(arguments[name])
            for name in ONE_ROW_A_USER
            if name in arguments
        }
        self.summary: Summary | None = summarise(function, self.arguments)
        n_users = len(arguments["recommendations"])
        self.counted = (
            np.ones(n_users, dtype=bool)
            if self.summary is None
            else self.summary.counted
        )

    def totals(self, weights: FloatArray, users: IntArray) -> Any:
        """Sum up what the metric needs of some users; None if it has to read lists."""
        if self.summary is None:
            return None
        rows = self.summary.rows[users]
        return (rows.T @ weights.T).T if issparse(rows) else weights @ rows

    def measure(self, weights: FloatArray, users: IntArray, totals: Any) -> FloatArray:
        """Measure draws of some users.

        Parameters
        ----------
        weights : ndarray of shape (n_draws, n_chosen)
            How often each of the users is drawn.
        users : ndarray of shape (n_chosen,)
            Their rows.
        totals : ndarray of shape (n_draws, n_columns) or None
            Of :meth:`totals`.

        Returns
        -------
        ndarray of shape (n_draws,)
            NaN for a draw of nobody: their lists cover nothing, which is no coverage.
        """
        if self.summary is not None:
            values = self.summary.finish(totals)
            return np.where(weights.any(axis=1), values, np.nan)
        values = np.full(len(weights), np.nan)
        for draw, row in enumerate(weights):
            drawn = np.repeat(users, row.astype(np.int64))
            if len(drawn):
                cut = {n: self.arguments[n][drawn] for n in self._cut()}
                values[draw] = self.function(**self.arguments | cut)
        return values

    def _cut(self) -> list[str]:
        return [name for name in ONE_ROW_A_USER if name in self.arguments]


def bootstrap_metric(
    function: Callable[..., Any], arguments: dict[str, Any], *, n_boot: int, seed: int
) -> FloatArray:
    """Draw users with replacement, and measure each draw.

    Parameters
    ----------
    function : callable
        A metric.
    arguments : dict
        What it is called with; one row per user in `X`, `y` and `recommendations`.
    n_boot : int
        Number of draws.
    seed : int
        The same seed draws the same users, whatever the metric.

    Returns
    -------
    ndarray of shape (n_boot,)

    Notes
    -----
    The same users drawn for two recommenders make the difference of their metrics a
    paired one. What this package measures costs one product of weights and rows; other
    functions are called once a draw.

    References
    ----------
    .. [1] B. Efron and R. J. Tibshirani, "An Introduction to the Bootstrap", 1993,
       doi:10.1201/9780429246593.
    """
    metric = ResampledMetric(function, arguments)
    users = np.arange(len(arguments["recommendations"]))
    values = [
        metric.measure(weights, users, metric.totals(weights, users))
        for weights in draw_weights(len(users), n_boot, seed)
    ]
    return np.concatenate(values) if values else np.empty(0)


def check_n_boot(n_boot: Any) -> int:
    """Validate a number of draws."""
    if not isinstance(n_boot, Integral) or isinstance(n_boot, bool) or n_boot < 0:
        raise ValueError(
            f"`n_boot` must be an integer >= 0; got {n_boot!r}. Use 0 for no intervals."
        )
    if int(n_boot) >= 2**31:
        raise ValueError(
            f"`n_boot` must be below 2**31; got {n_boot}. A thousand draws are usual."
        )
    return int(n_boot)


def draw_weights(n_users: int, n_boot: int, seed: int) -> Iterator[FloatArray]:
    """Yield how often every user is drawn, in blocks of shape (n_draws, n_users)."""
    rng = check_random_state(seed)
    block = max(1, _BLOCK // max(n_users, 1))
    for start in range(0, n_boot, block):
        drawn = (
            np.bincount(rng.randint(n_users, size=n_users), minlength=n_users)
            for _ in range(min(block, n_boot - start))
        )
        yield np.stack(list(drawn)).astype(np.float64)


def recentred_interval(
    draws: ArrayLike, estimate: ArrayLike, confidence: float = 0.95
) -> FloatArray:
    """Interval of a bootstrap around the estimate itself.

    Parameters
    ----------
    draws : ndarray of shape (n_boot, ...)
        Scores of the draws; NaN where a draw had no score.
    estimate : float or ndarray of the shape of one draw
        Score of all users.
    confidence : float, default=0.95
        Share of the draws within the interval.

    Returns
    -------
    ndarray of shape (2, ...)
        Low and high end of the middle of the draws, shifted so that their mean is the
        estimate.

    Notes
    -----
    A draw with replacement holds 63 % of the users. That alone lowers coverage and
    raises Gini, so that plain percentiles may lie wholly beside the estimate.
    """
    draws = np.asarray(draws, dtype=np.float64)
    counted = ~np.isnan(draws)
    n_counted = counted.sum(axis=0)
    if np.any(n_counted == 0):
        return np.full((2, *draws.shape[1:]), np.nan)
    shift = estimate - np.where(counted, draws, 0.0).sum(axis=0) / n_counted
    outside = (1 - confidence) / 2
    return np.nanquantile(draws, [outside, 1 - outside], axis=0) + shift


def _sliceable(value: Any) -> Any:
    value = getattr(value, "y", value)
    return value.tocsr() if issparse(value) else np.asarray(value)
