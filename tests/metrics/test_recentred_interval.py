"""The middle of the draws, shifted to the estimate: against numbers worked by hand."""

import numpy as np
import pytest

from skpopsteer.metrics import recall
from skpopsteer.metrics._bootstrap import bootstrap_metric, recentred_interval


def test_the_middle_of_the_draws_is_shifted_to_the_estimate():
    draws = np.arange(101.0)
    # Their mean is 50, a quarter of them lies below 25 and above 75.
    np.testing.assert_allclose(recentred_interval(draws, 10.0, 0.5), [-15, 35])


def test_it_holds_95_percent_of_the_draws_unless_told_otherwise():
    np.testing.assert_allclose(recentred_interval(np.arange(101.0), 50), [2.5, 97.5])


def test_draws_without_a_score_do_not_count():
    draws = np.concatenate([np.arange(11.0), [np.nan, np.nan]])
    np.testing.assert_allclose(recentred_interval(draws, 0.0, 0.8), [-4, 4])


def test_every_score_has_an_interval_of_its_own():
    steps = np.arange(101.0)
    draws = np.column_stack([steps, 3 * steps, np.where(steps < 11, steps, np.nan)])
    low, high = recentred_interval(draws, np.array([1.0, 0.0, 7.0]), 0.9)
    np.testing.assert_allclose(low, [-44, -135, 2.5])
    np.testing.assert_allclose(high, [46, 135, 11.5])


def test_lists_are_draws_and_stay_as_they_are():
    draws = [[1, 5], [3, 5]]
    np.testing.assert_allclose(recentred_interval(draws, [0, 9], 0.5)[0], [-0.5, 9])
    assert draws == [[1, 5], [3, 5]]


@pytest.mark.parametrize("shape", [(0, 2), (3, 2)])
def test_a_score_that_no_draw_has_leaves_no_interval(shape):
    interval = recentred_interval(np.full(shape, np.nan), np.array([1.0, 2.0]))
    assert interval.shape == (2, 2)
    assert np.isnan(interval).all()


def test_no_draws_are_none():
    arguments = {"y": np.array([1, 0]), "recommendations": np.array([[1], [1]])}
    arguments["k"] = None
    assert bootstrap_metric(recall, arguments, n_boot=0, seed=0).shape == (0,)
    assert bootstrap_metric(recall, arguments, n_boot=7, seed=0).shape == (7,)
