"""Hiding interactions: nothing is lost, shares are right, the latest go first."""

import numpy as np
import pytest
from scipy.sparse import csr_array

from skpopsteer.model_selection import (
    HeldOut,
    hide_interactions,
    interaction_folds,
)


@pytest.fixture
def X():
    rng = np.random.default_rng(0)
    return csr_array(rng.integers(0, 3, size=(40, 30)).astype(float))


def test_seen_and_hidden_are_disjoint_and_complete(X):
    seen, y = hide_interactions(X, random_state=0)
    assert not seen.multiply(y).nnz
    assert np.array_equal((seen.toarray() > 0) | (y.toarray() > 0), X.toarray() > 0)
    assert np.array_equal(seen.toarray(), np.where(y.toarray() > 0, 0, X.toarray()))
    assert set(y.data) == {1.0}


def test_every_row_hides_its_share_rounded_down(X):
    _, y = hide_interactions(X, test_size=0.3, random_state=0)
    lengths = (X.toarray() > 0).sum(axis=1)
    assert np.array_equal(np.diff(y.indptr), np.floor(0.3 * lengths + 1e-9))


def test_the_latest_are_hidden_when_times_are_given(X):
    times = X.copy()
    times.data = np.random.default_rng(1).permutation(X.nnz) + 1.0
    seen, y = hide_interactions(X, times=times, test_size=0.4)
    dense = times.toarray()
    for row in range(X.shape[0]):
        hidden, kept = y.toarray()[row] > 0, seen.toarray()[row] > 0
        if hidden.any():
            assert dense[row][hidden].min() > dense[row][kept].max()


def test_a_row_keeps_at_least_one_item():
    seen, y = hide_interactions(csr_array([[1.0, 0], [1, 1]]), test_size=0.99)
    assert np.diff(seen.indptr).tolist() == [1, 1]
    assert np.diff(y.indptr).tolist() == [0, 1]


def test_the_same_seed_hides_the_same_and_another_does_not(X):
    first, again = (hide_interactions(X, random_state=0)[1] for _ in range(2))
    other = hide_interactions(X, random_state=1)[1]
    assert (first != again).nnz == 0
    assert (first != other).nnz > 0


def test_the_callers_matrix_is_unchanged(X, container):
    matrix = container(X)
    before = matrix.toarray()
    hide_interactions(matrix, random_state=0)
    assert np.array_equal(matrix.toarray(), before)


@pytest.mark.parametrize("test_size", [0, 0.0, 1.0, -0.1, -1, 20.0, True])
def test_a_share_outside_its_range_is_refused(X, test_size):
    with pytest.raises(ValueError, match=r"`test_size` must be a share in \(0, 1\)"):
        hide_interactions(X, test_size=test_size)


def test_times_of_other_interactions_are_refused(X):
    times = X.copy()
    times.data[0] = 0
    with pytest.raises(ValueError, match="`times` must hold one time > 0"):
        hide_interactions(X, times=times)


def test_folds_hide_every_interaction_once(X):
    X_folds, y_folds, cv = interaction_folds(X, 4, random_state=0)
    assert X_folds.shape == y_folds.shape == (160, 30)
    hidden = sum(y_folds[copy].toarray() for copy, _ in cv)
    assert np.array_equal(hidden, (X.toarray() > 0).astype(float))
    for fit_rows, test_rows in cv:
        assert np.array_equal(fit_rows, test_rows)
        seen, y = X_folds[fit_rows].toarray(), y_folds[test_rows].toarray()
        assert np.array_equal(seen, np.where(y > 0, 0, X.toarray()))


def test_folds_are_of_even_size_for_short_rows_too():
    X = csr_array(np.tile([1.0, 1, 0, 0], (400, 1)))
    _, y_folds, cv = interaction_folds(X, 5, random_state=0)
    sizes = [y_folds[copy].nnz for copy, _ in cv]
    assert min(sizes) > 0.7 * max(sizes)


def test_folds_in_time_see_the_past_only(X):
    times = X.copy()
    times.data = np.random.default_rng(1).permutation(X.nnz) + 1.0
    X_folds, y_folds, cv = interaction_folds(X, 3, times=times)
    dense = times.toarray()
    for fold, (copy, _) in enumerate(cv):
        seen, y = X_folds[copy].toarray() > 0, y_folds[copy].toarray() > 0
        for row in np.flatnonzero(y.any(axis=1)):
            assert dense[row][seen[row]].max() < dense[row][y[row]].min()
        if fold:
            earlier = X_folds[cv[fold - 1][0]].toarray() > 0
            assert (seen >= earlier).all()


def test_a_row_of_one_interaction_hides_nothing():
    X = csr_array([[1.0, 0, 0], [1, 1, 1]])
    for times in (None, X):
        X_folds, y_folds, _ = interaction_folds(X, 2, times=times, random_state=0)
        assert not y_folds[[0, 2]].nnz
        assert X_folds[[0, 2]].nnz == 2


@pytest.mark.parametrize("n_splits", [1, 0, 2.5, "3"])
def test_fewer_than_two_folds_are_refused(X, n_splits):
    with pytest.raises(ValueError, match="`n_splits` must be an integer >= 2"):
        interaction_folds(X, n_splits)


@pytest.mark.parametrize("kind", ["sparse", "positions"])
def test_held_out_is_sliced_like_an_array(X, kind):
    y = X if kind == "sparse" else np.arange(40)
    held_out = HeldOut(y)
    assert len(held_out) == 40
    assert held_out.shape == y.shape
    mask = np.arange(40) % 2 == 0
    for rows in [slice(3, 9), np.array([5, 1]), mask, ([2, 4], ...)]:
        plain = rows[0] if isinstance(rows, tuple) else rows
        part, expected = held_out[rows].y, y[plain]
        if kind == "sparse":
            part, expected = part.toarray(), expected.toarray()
        assert np.array_equal(part, expected)
    assert len(held_out[7]) == 1
    assert len(HeldOut(held_out)) == 40


def test_a_dense_matrix_is_not_held_out():
    with pytest.raises(ValueError, match="`y` must be sparse"):
        HeldOut(np.ones((3, 3)))


def test_a_number_of_interactions_is_hidden_of_every_row(X):
    lengths = np.diff(X.indptr)
    for n_hidden in (1, 3):
        X_seen, y = hide_interactions(X, test_size=n_hidden, random_state=0)
        # A row keeps one item at least.
        expected = np.clip(lengths - 1, 0, n_hidden)
        np.testing.assert_array_equal(np.diff(y.indptr), expected)
        assert X_seen.nnz + y.nnz == X.nnz


def test_the_last_one_out_is_the_latest(X):
    times = X.copy()
    times.data = np.random.default_rng(0).permutation(X.nnz) + 1.0
    _, y = hide_interactions(X, test_size=1, times=times)
    for row in range(X.shape[0]):
        if y[[row]].nnz:
            (item,) = y[[row]].indices
            assert times[row, item] == times[[row]].data.max()
