"""Methods of a comparison against each other, on the same draws of users."""

from typing import NamedTuple

import numpy as np
from scipy.stats import false_discovery_control

from skpopsteer.inspection._compare_measures import SIGNS
from skpopsteer.inspection._specificity_table import interval
from skpopsteer.metrics._lists import divide

__all__ = ["Difference", "differences", "intervals", "marks", "rounded"]

#: Sums of the same numbers in another order differ by less.
_NOISE = 1e-12


class Difference(NamedTuple):
    """Difference of two methods, with its paired interval and test."""

    value: float
    low: float
    high: float
    p_value: float
    p_adjusted: float


def intervals(draws, values):
    """Find the ends of intervals of 95 %.

    Parameters
    ----------
    draws : ndarray of shape (n_boot, ...)
    values : ndarray of shape (...)

    Returns
    -------
    ndarray of shape (2, ...)
        NaN without draws.
    """
    ends = interval(draws.reshape(len(draws), values.size), values.ravel())
    return ends.reshape(2, *values.shape)


def rounded(gaps):
    """Set to zero what is no difference but for the order of a sum.

    Parameters
    ----------
    gaps : ndarray

    Returns
    -------
    ndarray
        A copy.
    """
    return np.where(np.abs(gaps) < _NOISE, 0.0, gaps)


def differences(table, first, second, columns):
    """Subtract a method from another, at all levels.

    Parameters
    ----------
    table : LevelComparison
    first, second : int
        Positions of names.
    columns : list of str

    Returns
    -------
    list of dict of str to Difference
        One per level.
    """
    rows = [table.rows(column)[:, [first, second]] for column in columns]
    mine, theirs = np.moveaxis(np.stack(rows, axis=-1), 1, 0)
    places = [table.columns.index(column) for column in columns]
    value, draws = _gap(table, mine, theirs, places)
    low, high = rounded(intervals(draws, value))
    p_values = adjusted = _two_sided(draws, value)
    if not np.isnan(p_values).any():
        adjusted = false_discovery_control(p_values, axis=None).reshape(value.shape)
    numbers = np.stack([value, low, high, p_values, adjusted], axis=-1).tolist()
    return [
        {column: Difference(*five) for column, five in zip(columns, row, strict=True)}
        for row in numbers
    ]


def marks(table):
    """Tell who surely differs from the best of the others.

    Parameters
    ----------
    table : LevelComparison

    Returns
    -------
    ndarray of shape (n_levels, n_names, n_measures), dtype int64
        1 for better, -1 for worse, 0 where the interval holds 0.
    """
    found = np.zeros(table.chosen.shape, dtype=np.int64)
    places = [table.columns.index(measure) for measure in table.measures]
    scores = SIGNS * table.values[table.chosen, places]
    for level, name, measure in np.ndindex(found.shape):
        # By name among equals, so that the order of the methods does not matter.
        rivals = [n for n in range(len(table.names)) if n != name]
        best = max(rivals, key=lambda n: (scores[level, n, measure], table.names[n]))
        mine, theirs = table.chosen[level, [name, best], measure]
        value, draws = _gap(table, [mine], [theirs], [places[measure]])
        low, high = rounded(intervals(draws, value))
        if low > 0 or high < 0:
            found[level, name, measure] = SIGNS[measure] * np.sign(value[0])
    return found


def _gap(table, first, second, places):
    """Subtract rows of lists from others, and so on every draw."""
    values, draws = table.values, table.draws
    value = values[first, places] - values[second, places]
    drawn = draws[:, first, places] - draws[:, second, places]
    return rounded(value), rounded(drawn)


def _two_sided(draws, value):
    """Invert the interval: the level at which it would just hold 0."""
    known = ~np.isnan(draws)
    n_draws = known.sum(axis=0)
    mean = divide(np.where(known, draws, 0.0).sum(axis=0), n_draws)
    centred = rounded(draws - mean + value)
    beyond = np.minimum((centred <= 0).sum(axis=0), (centred >= 0).sum(axis=0))
    p_values = np.minimum(2 * (1 + beyond) / (n_draws + 1), 1.0)
    return np.where(n_draws > 0, p_values, np.nan)
