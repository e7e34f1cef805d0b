"""What is wrong with an argument is said in one line."""

import numpy as np
import pytest

from skpopsteer.neurons import (
    NeuronInterpreter,
    NeuronSubset,
    cohens_d,
    cohens_d_from_stats,
    map_concepts,
)
from skpopsteer.neurons._concept_scores import prepare_scores

Z, Y = np.array([[1.0, 2], [3, 4], [5, 7]]), [1, 1, -1]
ONE = [1.0]


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: cohens_d(Z, [[1], [1], [-1]]),
            ValueError,
            r"`y` must be 1-D, a group a row; got shape \(3, 1\)",
        ),
        (
            lambda: cohens_d(Z[:, 0], Y),
            ValueError,
            r"`Z` must be a matrix of numbers, .*got shape \(3,\)",
        ),
        (
            lambda: cohens_d(Z.astype(str), Y),
            ValueError,
            "`Z` must be a matrix of numbers, .*dtype <U",
        ),
        (
            lambda: cohens_d(Z, [1, -1]),
            ValueError,
            r"`y` must hold one group per row of `Z` \(3\); got shape \(2,\)",
        ),
        (
            lambda: cohens_d(np.where(Z == 7, np.nan, Z), Y),
            ValueError,
            "`Z` must hold finite numbers, their squares too; got NaN",
        ),
        (
            lambda: cohens_d(np.where(Z == 2, 1e200, Z), Y),
            ValueError,
            "`Z` must hold finite numbers, their squares too",
        ),
        (
            lambda: cohens_d_from_stats(ONE, ONE, ONE, ONE, 0),
            ValueError,
            "`n_head` must be a positive number of rows, or None; got 0",
        ),
        (
            lambda: cohens_d_from_stats(ONE, ONE, ONE, ONE, 3, np.nan),
            ValueError,
            "`n_tail` must be a positive number of rows, or None; got nan",
        ),
        (
            lambda: cohens_d_from_stats(["a"], ONE, ONE, ONE),
            ValueError,
            "`mean_head` must hold finite numbers, below 1e150; got dtype <U1",
        ),
        (
            lambda: cohens_d_from_stats(ONE, ONE, [1e150], ONE),
            ValueError,
            "`mean_tail` must hold finite numbers, below 1e150; got others",
        ),
        (
            lambda: cohens_d_from_stats(ONE, ONE, ONE, [-0.5]),
            ValueError,
            "`std_tail` must hold deviations >= 0; got -0.5",
        ),
        (
            lambda: cohens_d_from_stats(ONE, [1.0, 2.0], ONE, ONE),
            ValueError,
            r"`std_head` must have the shape of `mean_head`, \(1,\); got \(2,\)",
        ),
        (
            lambda: prepare_scores(
                "point_biserial", np.diag([1e200, 1]), np.eye(2), rows="users"
            ),
            ValueError,
            "`Z` must hold numbers whose squares are finite",
        ),
        (
            lambda: map_concepts(np.eye(3), np.eye(3), names=7),
            TypeError,
            "`names` must be a list of names; got 7",
        ),
        (
            lambda: NeuronSubset(np.ones((2, 2))).fit(Z),
            ValueError,
            r"`neurons` must be a list, an array .*got shape \(2, 2\)",
        ),
        (
            lambda: NeuronInterpreter().fit_activations(Z, np.array([0, 1, 2**31])),
            ValueError,
            r"`items` must be item positions below 2\*\*31; got 2147483648",
        ),
    ],
)
def test_what_is_wrong_is_said(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_a_deviation_of_zero_and_the_largest_numbers_are_taken():
    np.testing.assert_allclose(
        cohens_d_from_stats([9e149], [0.0], [0.0], [2.0]), [9e149 / np.sqrt(2)]
    )
