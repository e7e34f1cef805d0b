"""The search itself, on curves whose answer is known."""

import numpy as np
import pytest

from skpopsteer.steering._strength_search import Curve, find_strength


class Known(Curve):
    """A curve of two functions; the model is only asked for its own strength."""

    class model:
        strength = 1.0

    def __init__(self, objective, constraint):
        self.functions, self.points = (objective, constraint), {}

    def measure(self, strength):
        self.points[strength] = tuple(float(f(strength)) for f in self.functions)
        return self.points[strength]


def test_the_floor_is_met_from_above_and_closely():
    curve = Known(lambda s: -s, lambda s: np.tanh(s / 3))
    strength, reached = find_strength(curve, 0.37, None, 1e-3)
    assert reached
    assert 0.37 <= np.tanh(strength / 3) <= 0.371


def test_an_optimum_inside_the_allowed_range_is_found():
    curve = Known(lambda s: -((s - 3.3) ** 2), lambda s: -s)
    strength, reached = find_strength(curve, -100.0, None, 1e-3)
    assert reached
    assert strength == pytest.approx(3.3, abs=0.3)


def test_a_constraint_that_rises_and_falls_is_met_on_both_sides():
    # Met between 1.5 and 2.5 only; the objective prefers the far side of it.
    curve = Known(lambda s: s, lambda s: 1 - abs(s - 2))
    strength, _ = find_strength(curve, 0.5, None, 1e-4)
    assert strength == pytest.approx(2.5, abs=1e-3)
    curve = Known(lambda s: -s, lambda s: 1 - abs(s - 2))
    strength, _ = find_strength(curve, 0.5, None, 1e-4)
    assert strength == pytest.approx(1.5, abs=1e-3)


def test_out_of_reach_the_nearest_is_taken():
    curve = Known(lambda s: -s, lambda s: -abs(s - 2.2))
    strength, reached = find_strength(curve, 0.5, None, 1e-4)
    assert not reached
    assert strength == pytest.approx(2.2, abs=0.15)


def test_the_search_stays_between_given_strengths():
    curve = Known(lambda s: -s, lambda s: s)
    strength, reached = find_strength(curve, 5.0, [0.0, 2.0], 1e-3)
    assert (strength, reached) == (2.0, False)
    assert max(curve.points) == 2.0
    strength, reached = find_strength(curve, 1.2345, [0.0, 2.0], 1e-3)
    assert reached
    assert strength == pytest.approx(1.2345, abs=1e-3)


def test_far_strengths_are_tried_only_when_near_ones_do_not_do():
    near = Known(lambda s: -s, lambda s: s)
    find_strength(near, 10.0, None, 1e-3)
    assert max(near.points) == 64
    far = Known(lambda s: -s, lambda s: s)
    assert find_strength(far, 1000.0, None, 1e-3)[1]
    assert max(far.points) > 1000


def test_of_equals_the_knob_is_turned_least():
    curve = Known(lambda s: 1.0, lambda s: 1.0)
    assert find_strength(curve, 0.5, None, 1e-3) == (0.0, True)


def test_what_has_no_value_is_never_chosen():
    curve = Known(lambda s: np.nan if s > 1 else -s, lambda s: np.nan if s == 0 else s)
    strength, reached = find_strength(curve, 0.25, None, 1e-3)
    assert reached
    assert strength == pytest.approx(0.25, abs=1e-3)
