"""Where a search stops, and what prices are fitted from, one step at a time."""

from types import SimpleNamespace

import numpy as np
import pytest
from scipy.sparse import csr_array

from skpopsteer._pool import Pool
from skpopsteer.metrics import get_scorer, make_recommender_scorer
from skpopsteer.steering import _strength_search
from skpopsteer.steering._slot_prices import (
    Exposure,
    _clear,
    _log_slopes,
    fit_prices,
    make_market,
)
from skpopsteer.steering._strength_search import Curve, Goal, find_strength, make_search


class Known(Curve):
    """A curve of two functions, which notes what it was asked."""

    class model:
        strength = 1.0

    def __init__(self, objective, constraint, strengths=()):
        self.functions, self.points = (objective, constraint), {}
        for strength in strengths:
            self.measure(strength)

    def measure(self, strength):
        self.points[strength] = tuple(float(f(strength)) for f in self.functions)
        return self.points[strength]


# The search


def test_neighbours_of_the_best_are_halved_and_no_others(monkeypatch):
    monkeypatch.setattr(_strength_search, "_ROUNDS", 1)
    curve = Known(lambda s: -abs(s - 1), lambda s: 1.0, [0.0, 1.0, 2.0, 4.0])
    _strength_search._look_around(curve, -9.0)
    assert curve.strengths() == [0.0, 0.5, 1.0, 1.5, 2.0, 4.0]
    first = Known(lambda s: -s, lambda s: 1.0, [0.0, 1.0, 4.0])
    _strength_search._look_around(first, -9.0)
    assert first.strengths() == [0.0, 0.5, 1.0, 4.0]


@pytest.mark.parametrize(
    ("objective", "expected"),
    [
        ({0.0: 0.0, 1.0: 0.0}, 1.0),
        ({0.0: 1.0, 1.0: 0.996}, 1.0),
        ({0.0: 1.0, 1.0: 0.99}, 0.0),
        ({0.0: -1.0, 1.0: -1.004}, 1.0),
        ({0.0: -1.0, 1.0: -1.01}, 0.0),
        ({0.0: np.nan, 1.0: -9.0}, 1.0),
    ],
)
def test_a_trifle_is_given_for_a_constraint_that_is_just_met(objective, expected):
    # At 0 the floor of 2 is met by far, at 1 it is met and no more.
    curve = Known(objective.get, {0.0: 3.0, 1.0: 2.001}.get, [0.0, 1.0])
    assert curve.best(2.0) == expected


def test_what_falls_short_is_not_just_met():
    curve = Known({0.0: 1.0, 1.0: 1.0}.get, {0.0: 3.0, 1.0: 1.999}.get, [0.0, 1.0])
    assert curve.best(2.0) == 0.0
    negative = Known({0.0: 1.0, 1.0: 1.0}.get, {0.0: 0.5, 1.0: -0.5}.get, [0.0, 1.0])
    assert negative.best(-0.5) == 1.0


def test_halving_stops_within_the_tolerance():
    curve = Known(lambda s: -s, lambda s: s)
    _strength_search._bisect(curve, 0.3, 0.0, 1.0, 1 / 64)
    # Until one is less than 1/64 above 0.3.
    assert curve.strengths() == [0.0, 0.25, 0.3125, 0.375, 0.5, 1.0]
    turned = Known(lambda s: s, lambda s: -s)
    _strength_search._bisect(turned, -0.3, 0.0, 1.0, 1 / 16)
    assert turned.strengths() == [0.0, 0.25, 0.5]


def test_only_where_the_constraint_comes_to_be_met_is_anything_halved(monkeypatch):
    halved = []
    monkeypatch.setattr(
        _strength_search, "_bisect", lambda _, floor, *ends: halved.append(ends)
    )
    curve = Known(lambda s: -s, lambda s: 1 - abs(s - 2.5))
    find_strength(curve, 0.0, [0.0, 1.0, 2.0, 3.0, 4.0, 5.0], 0.1)
    assert halved == [(1.0, 2.0, 0.1), (3.0, 4.0, 0.1)]


def test_a_goal_is_scored_by_both_on_the_longer_lists():
    def first(recommendations, n_items):
        return float(recommendations[0, 0]) / n_items

    def columns(recommendations, y):
        return float(recommendations.shape[1])

    goal = Goal(
        make_recommender_scorer(first, k=2), make_recommender_scorer(columns, k=3)
    )
    model = SimpleNamespace(n_recommendations=1)
    assert goal.length(model) == 3
    X, y = csr_array(np.eye(2, 4)), np.array([3, -1])
    lists = np.array([[2, 1, 3], [0, 1, 2]])
    assert goal.scores(model, X, y, lists) == (0.5, 3.0)


def test_strengths_of_a_search_are_sorted_floats():
    search = make_search("ndcg@10", "tail_share@5", 0.3, None, [2, 1, 2], 1e-3)
    assert search.strengths == [1.0, 2.0]
    assert {type(strength) for strength in search.strengths} == {float}
    assert search.goal.length(SimpleNamespace(n_recommendations=3)) == 10


@pytest.mark.parametrize(
    ("target", "within", "which"), [(None, None, "neither"), (0.3, 0.1, "both")]
)
def test_one_of_two_goals_is_named(target, within, which):
    with pytest.raises(ValueError, match=f"one of them; got {which}. target=0.3 is"):
        make_search("ndcg", "tail_share", target, within, None, 1e-3)


@pytest.mark.parametrize("target", [1.5, -0.1])
def test_a_target_nothing_can_reach_is_refused(target):
    with pytest.raises(ValueError, match=r"`target` must lie in \[0, 1\], where tail_"):
        make_search("ndcg", get_scorer("tail_share"), target, None, None, 1e-3)


# Prices


def market_of(seed=0, m=8, n_users=30, n_items=12, k=3):
    rng = np.random.default_rng(seed)
    items = np.array([rng.permutation(n_items)[:m] for _ in range(n_users)])
    scores = -np.sort(-rng.random((n_users, m)))
    pool = Pool(items, scores, None)
    return make_market(pool, rng.random((n_users, m)), np.ones(n_users), 0, k)


def exposure_of(strength, floor=2, unit=0.5):
    return Exposure(strength, 0.0, np.zeros(12), floor, 3, unit)


@pytest.mark.parametrize(("floor", "unit"), [(1, 1.0), (3, 0.5)])
def test_a_price_is_the_logarithm_of_the_slope_of_exposure(floor, unit):
    counts = np.arange(8.0)
    x = np.maximum(counts - floor + 1, 0)
    np.testing.assert_allclose(
        _log_slopes(counts, exposure_of(1, floor, unit)), np.log(1 / (1 + unit * x))
    )


def test_every_exposure_goes_on_from_the_lists_of_the_last():
    market, exposures = market_of(), [exposure_of(s) for s in (0.01, 0.1, 1.0)]
    found = fit_prices(market, exposures, np.random.default_rng(3), 1)
    rng, places, expected = np.random.default_rng(3), market.no_lists(), []
    for exposure in exposures:
        places, counts = market.allocate(exposure, rng, 1, places=places)
        expected.append(_clear(market, exposure, _log_slopes(counts, exposure)))
    np.testing.assert_array_equal(found, expected)
    assert found.shape == (3, 12)


def test_where_prices_change_no_list_they_stay():
    # As many candidates as slots: whatever is paid, the lists hold the same items.
    market, start = market_of(m=3), np.linspace(-2.0, -1.0, 12)
    found = _clear(market, exposure_of(1e-9), start)
    np.testing.assert_array_equal(found, start)


def test_prices_are_those_of_the_best_lists_that_were_seen():
    market, exposure = market_of(n_users=200), exposure_of(0.2)
    places, counts = market.allocate(exposure, np.random.default_rng(0), 4)

    def value_at(log_price):
        lists = market.at_prices(exposure.scale * np.exp(log_price))
        return market.value(lists, market.count(lists, exposure.tail), exposure)

    start = np.linspace(-9.0, -4.0, 12)
    found = _clear(market, exposure, start)
    joint = market.value(places, counts, exposure)
    assert value_at(start) < value_at(found) <= joint + 1e-9
    # Slopes are near -3 at 50 slots an item: from below, every price has to rise.
    assert (found > start).all()
