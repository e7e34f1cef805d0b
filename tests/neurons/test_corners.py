"""Ties, precision and what stands at the end of a table, against numbers by hand."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array

from skpopsteer.neurons import (
    PopularityNeuronSelector,
    cohens_d,
    cohens_d_from_stats,
    monosemanticity,
)
from skpopsteer.neurons._concept_scores import score_with


def selector_of(scores, *, silent=(), **params):
    """Fit a selector to scores that are given, with some neurons that never fire."""
    scores = np.asarray(scores, dtype=np.float64)
    Z = np.ones((4, len(scores)))
    Z[:, list(silent)] = 0
    selector = PopularityNeuronSelector(lambda Z, y: scores, **params)
    return selector.fit(Z, [1, 1, -1, -1])


# Selection


def test_of_equal_scores_the_first_neurons_are_taken():
    largest = np.arange(300) % 3 == 0
    scores = np.where(largest, -1.0, 0.5)
    selector = selector_of(scores, n_neurons_to_select=120)
    expected = np.append(np.flatnonzero(largest), np.flatnonzero(~largest)[:20])
    assert_array_equal(np.flatnonzero(selector.get_support()), np.sort(expected))


@pytest.mark.parametrize("n", [1, 2, 3])
def test_neurons_that_are_left_out_take_no_place(n):
    scores = [0.5, -0.45, 0.4, -0.3, 0.2, 0.05]
    selector = selector_of(
        scores, silent=[0, 1], drop_silent=True, threshold=0.1, n_neurons_to_select=n
    )
    assert np.flatnonzero(selector.get_support()).tolist() == [2, 3, 4][:n]


def test_a_neuron_at_the_threshold_passes():
    assert selector_of([0.5, 0.25], threshold=0.25).get_support().all()


def test_joint_weights_of_equal_scores_are_their_signs():
    selector = selector_of([0.3, -0.3, 0.3], weighting="joint")
    assert_array_equal(selector.steering_weights_, [1, -1, 1])


def test_scores_and_p_values_become_float64_without_nan():
    found = score_with(
        lambda Z, y: (np.array([2, 3]), [1, 0]),
        np.ones((2, 2)),
        csr_array([[1], [0]]),
        0,
    )
    for values, expected in zip(found, ([2, 3], [1, 0]), strict=True):
        assert values.dtype == np.float64
        assert_array_equal(values, expected)


def test_a_score_that_is_no_number_is_none_and_certain_of_nothing():
    scores = np.array([np.nan, 0.5, 0.25])
    p_values = np.array([0.0, np.nan, 0.01])
    selector = PopularityNeuronSelector(lambda Z, y: (scores, p_values))
    selector.fit(np.ones((4, 3)), [1, 1, -1, -1])
    assert_array_equal(selector.scores_, [0, 0.5, 0.25])
    assert_array_equal(selector.p_values_, [1, 1, 0.01])
    assert_array_equal(selector.get_support(), [False, True, True])


# Precision


def in_score_space(profiles, target, name="score_correlation"):
    selector = PopularityNeuronSelector(name)
    Z = np.ones((1, len(profiles)))
    return selector.fit(Z, item_profiles=profiles, item_target=target)


def test_a_target_of_float32_is_the_numbers_it_holds():
    rng = np.random.default_rng(0)
    profiles = rng.normal(size=(5, 300))
    target = (4_000 + rng.normal(size=300)).astype(np.float32)
    found = in_score_space(profiles, target).scores_
    assert_array_equal(
        found, in_score_space(profiles, target.astype(np.float64)).scores_
    )


def test_profiles_of_float32_far_from_zero_are_the_numbers_they_hold():
    rng = np.random.default_rng(1)
    profiles = (4_000 + rng.normal(size=(5, 300))).astype(np.float32)
    target = rng.normal(size=300)
    expected = [np.corrcoef(p, target)[0, 1] for p in profiles.astype(np.float64)]
    assert_allclose(in_score_space(profiles, target).scores_, expected, atol=1e-10)


def test_small_deviations_count():
    # Far below 1, where a test for more than nothing might have had another number.
    d = cohens_d_from_stats([2e-3], [1e-3], [1e-3], [1e-3])
    assert_allclose(d, [1])


def test_a_single_row_leaves_a_p_value_for_every_neuron():
    _, p_values = cohens_d(np.array([[3.0, 1], [1, 2], [2, 5]]), [1, -1, -1])
    assert p_values.dtype == np.float64
    assert p_values.tolist() == [1, 1]


# Monosemanticity


def by_definition(F, epsilon):
    """One concept at a time, as the formulas of the docstring have it."""
    mean = F.sum(axis=0) / F.sum()
    of_mean = -sum(m * np.log(m) for m in mean if m)
    found = {name: [] for name in ("entropy", "decrease", "from_mean", "of_mean")}
    for row in F:
        if not row.any():
            for values in found.values():
                values.append(np.nan)
            continue
        shares = row / row.sum()
        entropy = -sum(s * np.log(s) for s in shares if s)
        smooth = (row + epsilon) / (row + epsilon).sum()
        found["entropy"].append(entropy)
        found["decrease"].append((of_mean - entropy) / of_mean)
        found["from_mean"].append(
            sum(s * np.log(s / m) for s, m in zip(shares, mean, strict=True) if s)
        )
        found["of_mean"].append(
            sum(m * np.log(m / s) for s, m in zip(smooth, mean, strict=True) if m)
        )
    return found


@pytest.mark.parametrize("epsilon", [1e-9, 0.25])
@pytest.mark.parametrize("of", ["concepts", "neurons"])
def test_monosemanticity_is_its_definition(of, epsilon):
    # The last concept has no neuron, and the last neuron no concept.
    F = np.array([[3.0, 1, 0, 0], [0, 2, 2, 0], [5, 0, 0, 0], [0, 0, 0, 0]])
    found = monosemanticity(F, of=of, epsilon=epsilon)
    expected = by_definition(F if of == "concepts" else F.T, epsilon)
    assert_allclose(found.entropy, expected["entropy"], atol=1e-12)
    assert_allclose(found.entropy_decrease, expected["decrease"], atol=1e-12)
    assert_allclose(found.divergence_from_mean, expected["from_mean"], atol=1e-12)
    assert_allclose(found.divergence_of_mean, expected["of_mean"], rtol=1e-11)


def test_where_all_lies_on_one_neuron_nothing_can_decrease():
    found = monosemanticity(np.array([[2.0, 0], [1, 0]]))
    assert_array_equal(found.entropy, [0, 0])
    assert_array_equal(found.entropy_decrease, [0, 0])


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ((["a", "b"], {}), "`F` must"),
        ((np.eye(2), {"of": "tags"}), "`of` must be 'concepts' or 'neurons'; got 'ta"),
        ((np.eye(2), {"of": 3}), "`of` must be 'concepts' or 'neurons'; got 3"),
        ((np.eye(2), {"epsilon": 0}), "`epsilon` must be a positive number; got 0"),
        ((np.eye(2), {"epsilon": np.inf}), "`epsilon` must be a positive number"),
    ],
)
def test_what_cannot_be_measured_is_said(args, message):
    F, params = args
    with pytest.raises(ValueError, match=message):
        monosemanticity(F, **params)


def test_moments_of_unequal_length_are_named():
    with pytest.raises(ValueError, match="`mean_tail`"):
        cohens_d_from_stats([1.0], [1.0], [[1.0], [1.0, 2.0]], [1.0])
