import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array
from scipy.stats import entropy

from skpopsteer.neurons import monosemanticity

LN2 = np.log(2)


@pytest.fixture
def weights():
    rng = np.random.default_rng(0)
    F = rng.gamma(0.5, size=(7, 11)) * (rng.random((7, 11)) < 0.4)
    F[3], F[:, 5] = 0, 0
    return F


def test_by_numbers():
    # Half and half, all on one, and all on another neuron.
    F = np.array([[1.0, 1, 0], [2, 0, 0], [0, 0, 4]])
    # The mean is 3/8, 1/8, 4/8.
    of_mean = 3 / 8 * np.log(8 / 3) + 1 / 8 * np.log(8) + 4 / 8 * LN2
    measures = monosemanticity(F)
    assert_allclose(measures.entropy, [LN2, 0, 0], atol=1e-12)
    expected = [(of_mean - LN2) / of_mean, 1, 1]
    assert_allclose(measures.entropy_decrease, expected)
    from_mean = [(np.log(4 / 3) + np.log(4)) / 2, np.log(8 / 3), LN2]
    assert_allclose(measures.divergence_from_mean, from_mean)
    # Where a row has nothing, what the mean has there costs ln(1 / epsilon).
    eps = np.log(1e-9)
    of_mean_by_hand = [
        -of_mean - 4 / 8 * eps + LN2,
        -of_mean - (3 / 8 * LN2 + 5 / 8 * eps) + LN2,
        -of_mean - (4 / 8 * np.log(4) + 4 / 8 * eps) + np.log(4),
    ]
    assert_allclose(measures.divergence_of_mean, of_mean_by_hand, rtol=1e-7)


def test_neurons_are_measured_by_their_concepts(weights):
    for name, values in monosemanticity(weights, of="neurons").items():
        assert_array_equal(values, monosemanticity(weights.T)[name])
        assert values.shape == (11,)


@pytest.mark.parametrize("make", [np.asarray, csr_array])
@pytest.mark.parametrize("epsilon", [1e-9, 1e-3])
def test_all_are_scipys_entropies(weights, make, epsilon):
    measures = monosemanticity(make(weights), epsilon=epsilon)
    mean = weights.sum(axis=0)
    for t in (0, 1, 2, 4, 5, 6):
        own = entropy(weights[t])
        assert_allclose(measures.entropy[t], own, rtol=1e-10, atol=1e-12)
        decrease = (entropy(mean) - own) / entropy(mean)
        assert_allclose(measures.entropy_decrease[t], decrease, rtol=1e-10)
        assert_allclose(
            measures.divergence_from_mean[t], entropy(weights[t], mean), rtol=1e-10
        )
        assert_allclose(
            measures.divergence_of_mean[t],
            entropy(mean, weights[t] + epsilon),
            rtol=1e-8,
        )


def test_what_has_no_weight_has_no_measure(weights):
    for values in monosemanticity(weights).values():
        assert_array_equal(np.isnan(values), np.arange(7) == 3)
    for values in monosemanticity(np.zeros((2, 3))).values():
        assert np.isnan(values).all()


def test_on_a_single_neuron_there_is_nothing_to_lose():
    measures = monosemanticity([[3.0, 0], [5, 0]])
    assert_array_equal(measures.entropy, [0, 0])
    assert_array_equal(measures.entropy_decrease, [0, 0])
    assert_allclose(measures.divergence_from_mean, [0, 0], atol=1e-12)


def test_the_published_ceiling():
    # One concept apart from all others: nearly all of the mean lies elsewhere.
    F = np.eye(1000)
    divergence = monosemanticity(F).divergence_of_mean
    assert_allclose(divergence, 0.999 * -np.log(1e-9) - np.log(1000), rtol=1e-3)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    arrays(
        np.float64,
        st.tuples(st.integers(1, 6), st.integers(1, 6)),
        elements=st.one_of(st.just(0.0), st.floats(1e-3, 1e3)),
    ),
    st.randoms(),
)
def test_measures_stay_in_their_bounds(F, random):
    measures = monosemanticity(F)
    known = F.any(axis=1)
    assert (measures.entropy[known] >= -1e-9).all()
    assert (measures.entropy[known] <= np.log(F.shape[1]) + 1e-9).all()
    assert (measures.entropy_decrease[known] <= 1 + 1e-9).all()
    assert (measures.divergence_from_mean[known] >= -1e-9).all()
    assert (measures.divergence_of_mean[known] >= -1e-9).all()
    assert (measures.divergence_of_mean[known] <= -np.log(1e-9) + 20).all()
    order = random.sample(range(F.shape[1]), F.shape[1])
    for name, values in monosemanticity(F[:, order]).items():
        assert_allclose(values, measures[name], rtol=1e-7, atol=1e-9)


def test_the_input_is_left_alone(weights):
    F = csr_array(weights)
    before = F.copy()
    monosemanticity(F)
    monosemanticity(F, of="neurons")
    assert_array_equal(F.data, before.data)
    assert_array_equal(F.indices, before.indices)


@pytest.mark.parametrize(
    ("F", "params", "message"),
    [
        ([[1.0]], {"of": "tags"}, "`of` must be 'concepts' or 'neurons'; got 'tags'"),
        ([[1.0]], {"epsilon": 0}, "`epsilon` must be a positive number; got 0"),
        ([[1.0]], {"epsilon": np.nan}, "`epsilon` must be a positive number; got nan"),
        ([[-1.0]], {}, "`F` must hold finite numbers >= 0"),
        ([1.0], {}, "`F` must be a matrix of numbers"),
    ],
)
def test_bad_input_gets_one_line(F, params, message):
    with pytest.raises(ValueError, match=message):
        monosemanticity(F, **params)
