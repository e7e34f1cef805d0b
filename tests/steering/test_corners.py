"""Rules and derivatives where few rows lead: precision, bounds, and what is kept."""

import numpy as np
import pytest
from scipy.special import expit

from skpopsteer.steering._gradient_directions import _duels
from skpopsteer.steering._rules import RULES, Codes, clamp, interpolate


def codes_of(active, dtype=np.float64, correction=None):
    active = np.asarray(active, dtype=dtype)
    return Codes(active, active, lambda pre: np.maximum(pre, 0), correction)


ONES = np.ones(3)


# Codes


def test_some_rows_keep_their_correction():
    correction = np.arange(12.0).reshape(4, 3)
    codes = codes_of(np.ones((4, 3)), correction=correction)
    codes = codes._replace(active=correction + 1)
    part = codes.of(slice(1, 3))
    np.testing.assert_array_equal(part.active, correction[1:3] + 1)
    np.testing.assert_array_equal(part.correction, correction[1:3])
    np.testing.assert_array_equal(part.reactivate(part.pre), 1 + correction[1:3])
    assert codes._replace(correction=None).of(slice(1, 3)).correction is None


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_codes_of_float32_stay_so(rule):
    codes = codes_of([[2, 0.5, 0]], np.float32)
    push = np.array([[-0.5, 0.25, 0.25]], dtype=np.float32)
    ones = ONES.astype(np.float32)
    assert rule(codes, push, ones, ones).dtype == np.float32


# Rules


def test_clamp_holds_small_activations_too():
    push = np.array([[0.75, -0.75, 0.75]])
    steered = clamp(codes_of([[0.5, 0.5, 0]]), push, ONES, ONES)
    np.testing.assert_allclose(steered, [[0.75, 0.25, 0]])


def test_interpolate_raises_a_neuron_that_fires_by_its_share_alone():
    # .8 of 3 and of 2, and .2 of the mass of 5 for the first.
    steered = interpolate(codes_of([[3, 2, 0]]), np.array([[0.2, 0, 0]]), ONES, ONES)
    np.testing.assert_allclose(steered, [[3.4, 1.6, 0]])


def test_interpolate_takes_one_down_and_another_up():
    # 3 halves to 1.5, what is left grows to 5 again, and .2 of that goes to the last.
    push = np.array([[-0.5, 0, 0.2]])
    steered = interpolate(codes_of([[3, 2, 0]]), push, ONES, ONES)
    left = 0.8 * 5 / 3.5
    np.testing.assert_allclose(steered, [[1.5 * left, 2 * left, 1]])


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("add", [[1, 2.5, 0.75]]),
        ("multiply", [[0, 2.5, 0]]),
        ("hold", [[0, 1.0, 3.0]]),
    ],
)
def test_rules_of_one_line_are_their_formulas(rule, expected):
    push, scales = np.array([[-2.0, 0.25, 0.75]]), np.array([0.5, 2.0, 1.0])
    steered = RULES[rule](codes_of([[2, 2, 0]]), push, scales, np.array([9.0, 4, 4]))
    np.testing.assert_allclose(steered, expected)


# Derivatives


def test_sums_over_many_items_are_of_float64():
    rng = np.random.default_rng(0)
    own = rng.normal(size=20_000).astype(np.float32)
    others = rng.normal(size=3).astype(np.float32)
    lost, won = _duels(own, others)
    odds = expit(others - own[:, None])
    assert odds.dtype == np.float32
    exact = odds.astype(np.float64)
    np.testing.assert_allclose(won, exact.sum(axis=0) / 3, rtol=1e-12)
    np.testing.assert_allclose(lost, exact.mean(axis=1), rtol=1e-12)
