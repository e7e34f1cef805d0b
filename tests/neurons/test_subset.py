"""Neurons named by hand: weights as given, mistakes refused."""

import numpy as np
import pytest
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from skpopsteer.neurons import NeuronSubset

Z = np.arange(12.0).reshape(3, 4)


def test_a_list_weighs_all_alike():
    selector = NeuronSubset([3, 1]).fit(Z)
    assert selector.steering_weights_.tolist() == [0, 1, 0, 1]
    assert selector.get_support(indices=True).tolist() == [1, 3]
    assert selector.transform(Z).tolist() == Z[:, [1, 3]].tolist()


@pytest.mark.parametrize(
    "neurons", [np.array([2, 0]), [np.int64(2), np.int32(0)], {2: 1, 0: 1.0}], ids=str
)
def test_other_ways_to_name_them(neurons):
    assert NeuronSubset(neurons).fit(Z).steering_weights_.tolist() == [1, 0, 1, 0]


def test_a_dict_has_weights_of_any_sign():
    selector = NeuronSubset({0: -0.5, 2: 2}).fit(Z)
    assert selector.steering_weights_.tolist() == [-0.5, 0, 2, 0]
    assert selector.get_support(indices=True).tolist() == [0, 2]


def test_only_the_number_of_columns_is_read():
    expected = NeuronSubset([1]).fit(Z).steering_weights_
    for rows in (csr_array(Z), np.zeros((1, 4)), -Z):
        again = NeuronSubset([1]).fit(rows).steering_weights_
        assert np.array_equal(again, expected)


def test_the_callers_neurons_are_kept_as_they_are():
    neurons = {1: 0.5}
    selector = NeuronSubset(neurons)
    selector.fit(Z)
    assert selector.neurons is neurons
    assert neurons == {1: 0.5}
    assert clone(selector).neurons == neurons


def test_a_second_fit_forgets_the_first():
    selector = NeuronSubset([3]).fit(Z)
    selector.set_params(neurons=[0]).fit(Z[:, :2])
    assert selector.steering_weights_.tolist() == [1, 0]


@pytest.mark.parametrize(
    "neurons",
    [
        [4],
        [-1],
        [0.0],
        ["0"],
        {0: np.inf},
        {0: "1"},
        {1.5: 1.0},
        [None],
        [True],
        [[1, 2]],
    ],
    ids=str,
)
def test_neurons_that_are_not_there_are_refused(neurons):
    message = "`neurons` must be positions 0 to 3, with finite weights; got"
    with pytest.raises(ValueError, match=message) as caught:
        NeuronSubset(neurons).fit(Z)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("neurons", [3, "3", None])
def test_something_else_than_neurons_is_refused(neurons):
    with pytest.raises(ValueError, match="The 'neurons' parameter of NeuronSubset"):
        NeuronSubset(neurons).fit(Z)


def test_it_must_be_fitted():
    with pytest.raises(NotFittedError):
        NeuronSubset([1]).get_support()
