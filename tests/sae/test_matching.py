"""Directions of two dictionaries are paired one to one."""

import itertools

import numpy as np
import pytest

from skpopsteer.sae import _matching
from skpopsteer.sae._matching import match_directions, stability


@pytest.fixture
def directions():
    return np.random.default_rng(0).normal(size=(40, 8)).astype(np.float32)


def test_a_permutation_is_undone(directions, monkeypatch):
    # In several blocks, the last of them short.
    monkeypatch.setattr(_matching, "BLOCK_ROWS", 7)
    shuffled = np.random.default_rng(1).permutation(40)
    new = 3 * directions[shuffled]
    order, cosines = match_directions(new, directions)
    np.testing.assert_array_equal(new[order], 3 * directions)
    np.testing.assert_allclose(cosines, 1, atol=1e-12)


def test_noise_does_not_hide_the_permutation(directions):
    rng = np.random.default_rng(1)
    shuffled = rng.permutation(40)
    new = directions[shuffled] + 0.2 * rng.normal(size=directions.shape)
    order, cosines = match_directions(new, directions)
    np.testing.assert_array_equal(shuffled[order], np.arange(40))
    pairs = [_cosine(a, b) for a, b in zip(new[order], directions, strict=True)]
    np.testing.assert_allclose(cosines, pairs, atol=1e-12)
    assert cosines.shape == (40,)


def test_the_sum_of_cosines_is_the_largest_of_all_permutations():
    rng = np.random.default_rng(0)
    for _ in range(5):
        new, old = rng.normal(size=(2, 5, 3))
        _, cosines = match_directions(new, old)
        best = max(
            sum(_cosine(new[i], row) for i, row in zip(order, old, strict=True))
            for order in itertools.permutations(range(5))
        )
        assert cosines.sum() == pytest.approx(best, abs=1e-12)


def test_greedy_choice_would_be_worse():
    # Each of both is nearest to the first; only one can have it.
    old = np.array([[1.0, 0.0], [0.0, 1.0]])
    new = np.array([[1.0, 0.1], [1.0, 0.5]])
    order, cosines = match_directions(new, old)
    assert order.tolist() == [0, 1]
    assert cosines[1] == pytest.approx(0.5 / np.sqrt(1.25))


def test_opposites_and_zeros_are_not_alike():
    _, cosines = match_directions(np.array([[-1.0, 0.0]]), np.array([[1.0, 0.0]]))
    assert cosines.tolist() == [-1.0]
    _, cosines = match_directions(np.zeros((1, 2)), np.array([[1.0, 0.0]]))
    assert cosines.tolist() == [0.0]


def test_the_arguments_are_left_as_they_are(directions):
    before = directions.copy()
    match_directions(directions, directions[::-1])
    assert np.array_equal(directions, before)


@pytest.mark.parametrize("shape", [(3, 8), (40, 7), (320,)])
def test_other_shapes_are_refused(directions, shape):
    with pytest.raises(ValueError, match=r"^`new` must have the shape of `old`, \(40,"):
        match_directions(np.ones(shape), directions)


def test_stability_is_the_mean_cosine_over_the_other_runs():
    axes = np.eye(6)
    # The second run has all directions of the first, the third lacks one.
    runs = [axes[:5], axes[4::-1], axes[[5, 1, 3, 2, 4]]]
    np.testing.assert_allclose(stability(runs, 0), [0.5, 1, 1, 1, 1], atol=1e-12)
    # Asked about another run, the directions come in its order.
    np.testing.assert_allclose(stability(runs, 1), [1, 1, 1, 1, 0.5], atol=1e-12)
    np.testing.assert_allclose(stability(runs, 2), [0, 1, 1, 1, 1], atol=1e-12)


def test_one_run_says_nothing_about_stability(directions):
    assert stability([directions], 0) is None


def _cosine(a, b):
    a, b = a.astype(float), b.astype(float)
    return a @ b / np.sqrt((a @ a) * (b @ b))
