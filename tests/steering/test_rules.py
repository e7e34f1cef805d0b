"""Each rule against its formula, and what all of them leave alone."""

import numpy as np
import pytest

from skpopsteer.steering._rules import (
    RULES,
    Codes,
    clamp,
    interpolate,
    scale,
    shift,
)


def _keep_two(pre):
    kept = np.argsort(-pre, axis=1)[:, :2]
    active = np.zeros_like(pre)
    values = np.take_along_axis(pre, kept, axis=1)
    np.put_along_axis(active, kept, np.maximum(values, 0), axis=1)
    return active


@pytest.fixture
def codes():
    pre = np.array([[3.0, 2.0, 1.0, -1.0], [0.5, -0.5, 4.0, 1.0]])
    return Codes(pre, _keep_two(pre), _keep_two)


SCALES = np.array([1.0, 0.5, 2.0, 1.0])
PEAKS = np.array([4.0, 4.0, 4.0, 4.0])


def test_shift_moves_before_the_selection_so_that_another_neuron_enters(codes):
    push = np.array([[-2.0, 0.0, 1.0, 0.0]])
    steered = shift(codes, push, SCALES, PEAKS)
    # 3 - 2 = 1 falls out of the top two, 1 + 1 * 2 = 3 comes in.
    assert steered.tolist() == [[0, 2, 3, 0], [0, 0, 6, 1]]


def test_scale_multiplies_and_silent_neurons_stay_silent(codes):
    push = np.array([[np.log(2), 5.0, -np.log(4), 5.0]])
    steered = scale(codes, push, SCALES, PEAKS)
    np.testing.assert_allclose(
        steered, [[6, 2 * np.exp(5), 0, 0], [0, 0, 1, np.exp(5)]]
    )


def test_scale_stays_finite_at_any_strength(codes):
    active = codes.active.astype(np.float32)
    steered = scale(codes._replace(active=active), np.full((1, 4), 1e4), SCALES, PEAKS)
    assert np.isfinite(steered).all()
    assert (steered[active > 0] > 1e8).all()
    # A score with both sides turned has two such factors, and sums of their products.
    assert np.isfinite(1e6 * np.float32(steered.max()) ** 2)


def test_clamp_caps_what_is_pushed_down_and_holds_up_what_is_pushed_up(codes):
    push = np.array([[-0.5, 0.75, -2.0, 0.0]])
    steered = clamp(codes, push, SCALES, PEAKS)
    # Caps: 4 * (1 - .5) = 2 and 0; floor: 4 * .75 = 3, for firing neurons only.
    assert steered.tolist() == [[2, 3, 0, 0], [0, 0, 0, 1]]


def test_clamp_holds_at_the_peak_at_most(codes):
    steered = clamp(codes, np.full((1, 4), 9.0), SCALES, PEAKS)
    assert steered.tolist() == [[4, 4, 0, 0], [0, 0, 4, 4]]


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_no_push_changes_nothing(codes, rule):
    steered = rule(codes, np.zeros((1, 4)), SCALES, PEAKS)
    assert np.array_equal(steered, codes.active)


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_a_push_per_row_is_the_push_of_that_row(codes, rule):
    push = np.array([[-1.0, 0.5, 0.2, 0.0], [0.3, 0.0, -0.8, -1.0]])
    together = rule(codes, push, SCALES, PEAKS)
    for row in range(2):
        alone = Codes(codes.pre[[row]], codes.active[[row]], _keep_two)
        np.testing.assert_allclose(
            rule(alone, push[[row]], SCALES, PEAKS)[0], together[row]
        )


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_the_codes_given_are_unchanged(codes, rule):
    before = codes.pre.copy(), codes.active.copy()
    rule(codes, np.full((1, 4), -1.0), SCALES, PEAKS)
    assert np.array_equal(codes.pre, before[0])
    assert np.array_equal(codes.active, before[1])


def test_interpolate_moves_a_share_of_the_mass_and_keeps_all_of_it(codes):
    push = np.array([[0.0, 0.0, 0.2, 0.2]])
    steered = interpolate(codes, push, SCALES, PEAKS)
    # .6 of the code, and .2 of the mass, 5 a row, on both of two neurons.
    np.testing.assert_allclose(steered, [[1.8, 1.2, 1, 1], [0, 0, 3.4, 1.6]])


def test_interpolate_gives_what_is_taken_down_to_the_rest_in_proportion(codes):
    push = np.array([[-0.5, 0.0, 0.0, 0.0]])
    steered = interpolate(codes, push, SCALES, PEAKS)
    # 3 halves to 1.5, and 1.5 and 2 grow until they are 5 again.
    np.testing.assert_allclose(
        steered, [[1.5 * 5 / 3.5, 2 * 5 / 3.5, 0, 0], [0, 0, 4, 1]]
    )


def test_interpolate_in_both_directions_at_once_keeps_the_mass(codes):
    rng = np.random.default_rng(0)
    for _ in range(20):
        push = rng.uniform(-0.9, 0.4, (1, 4))
        steered = interpolate(codes, push, SCALES, PEAKS)
        assert (steered >= 0).all()
        np.testing.assert_allclose(steered.sum(axis=1), 5)


def test_interpolate_ends_with_the_knob_alone(codes):
    for strength in (1.0, 7.0):
        push = np.array([[0.0, strength, 0.0, 0.0]])
        steered = interpolate(codes, push, SCALES, PEAKS)
        assert steered.tolist() == [[0, 5, 0, 0], [0, 5, 0, 0]]


def test_interpolate_of_an_empty_code_is_empty(codes):
    silent = codes._replace(active=np.zeros((1, 4)))
    for push in ([[0.5, 0, 0, 0]], [[-0.5, 0, 0, 0]]):
        assert not interpolate(silent, np.array(push), SCALES, PEAKS).any()


def test_interpolate_of_a_row_with_nothing_left_loses_its_mass(codes):
    push = np.array([[-1.0, -1.0, 0.0, 0.0]])
    steered = interpolate(codes, push, SCALES, PEAKS)
    assert steered.tolist() == [[0, 0, 0, 0], [0, 0, 4, 1]]
