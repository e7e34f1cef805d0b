"""Hiding interactions: nothing is lost, shares are right, the latest go first."""

import numpy as np
import pytest
from scipy.sparse import csr_array

from skpopsteer.model_selection import hide_interactions


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


@pytest.mark.parametrize("test_size", [0, 1, -0.1, 20])
def test_a_share_outside_its_range_is_refused(X, test_size):
    with pytest.raises(ValueError, match=r"`test_size` must be a share in \(0, 1\)"):
        hide_interactions(X, test_size=test_size)


def test_times_of_other_interactions_are_refused(X):
    times = X.copy()
    times.data[0] = 0
    with pytest.raises(ValueError, match="`times` must hold one time > 0"):
        hide_interactions(X, times=times)
