import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array
from scipy.stats import ttest_ind

from skpopsteer.neurons import _effect_size, cohens_d, cohens_d_from_stats


@pytest.fixture
def grouped():
    """Activations with ignored rows in between, and groups of 30 and 50 rows."""
    rng = np.random.default_rng(0)
    y = rng.permutation(np.repeat([1, -1, 0], [30, 50, 20]))
    Z = rng.normal(size=(100, 6)) * [1, 2, 3, 1, 1, 1]
    Z += np.outer(y == 1, [0.0, 1, -2, 0.5, 3, -0.1])
    Z[y == 0] += 100
    return Z, y


def pooled_by_hand(Z, y):
    head, tail = Z[y == 1].astype(np.float64), Z[y == -1].astype(np.float64)
    n_head, n_tail = len(head), len(tail)
    variance = n_head * head.var(axis=0) + n_tail * tail.var(axis=0)
    return (head.mean(axis=0) - tail.mean(axis=0)) / np.sqrt(
        variance / (n_head + n_tail)
    )


def test_scores_are_the_formula(grouped):
    scores, _ = cohens_d(*grouped)
    assert_allclose(scores, pooled_by_hand(*grouped), rtol=1e-12)
    assert scores.dtype == np.float64


def test_p_values_are_those_of_welch(grouped):
    Z, y = grouped
    _, p_values = cohens_d(Z, y)
    expected = ttest_ind(Z[y == 1], Z[y == -1], equal_var=False).pvalue
    assert_allclose(p_values, expected, rtol=1e-10)
    assert p_values.dtype == np.float64


def test_scores_are_positive_for_the_neurons_of_the_head():
    scores, _ = cohens_d([[1.0, 0], [3, 2], [0, 1], [2, 3]], [1, 1, -1, -1])
    assert_allclose(scores, [1, -1])


def test_ignored_rows_do_not_count(grouped):
    Z, y = grouped
    for with_all, without in zip(
        cohens_d(Z, y), cohens_d(Z[y != 0], y[y != 0]), strict=True
    ):
        assert_allclose(with_all, without, rtol=1e-12)


def test_exchanged_groups_change_the_sign_only(grouped):
    Z, y = grouped
    scores, p_values = cohens_d(Z, y)
    exchanged, same = cohens_d(Z, -y)
    assert_allclose(exchanged, -scores, rtol=1e-12)
    assert_allclose(same, p_values, rtol=1e-10)


def test_scores_do_not_depend_on_the_unit(grouped):
    Z, y = grouped
    assert_allclose(cohens_d(7 * Z - 3, y)[0], cohens_d(Z, y)[0], rtol=1e-10)


def test_sparse_gives_what_dense_gives(container, grouped):
    Z, y = np.maximum(grouped[0], 0), grouped[1]
    for sparse, dense in zip(cohens_d(container(Z), y), cohens_d(Z, y), strict=True):
        assert_allclose(sparse, dense, rtol=1e-12)


def test_blocks_change_nothing(grouped, monkeypatch):
    whole = cohens_d(*grouped)
    monkeypatch.setattr(_effect_size, "_BLOCK_ENTRIES", 7 * 6)
    for block, expected in zip(cohens_d(*grouped), whole, strict=True):
        assert_allclose(block, expected, rtol=1e-12)


def test_a_large_offset_in_float32_costs_no_accuracy():
    rng = np.random.default_rng(1)
    y = np.repeat([1, -1], 2_000)
    Z = (4_000 + rng.normal(size=(4_000, 3)) + 0.3 * (y == 1)[:, None]).astype(
        np.float32
    )
    assert_allclose(cohens_d(Z, y)[0], pooled_by_hand(Z, y), rtol=1e-9)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_neurons_that_do_not_vary_have_no_effect(dtype):
    # 0.1 has no exact binary form: sums of it round.
    Z = np.full((37, 4), [0.0, 2.0, 0.1, 1e3 + 0.1], dtype=dtype)
    y = np.repeat([1, -1], [13, 24])
    scores, p_values = cohens_d(Z, y)
    assert_array_equal(scores, [0, 0, 0, 0])
    assert_array_equal(p_values, [1, 1, 1, 1])


def test_neurons_that_vary_between_the_groups_only_have_no_effect():
    Z = np.array([[5.0, 1], [5, 2], [-1, 1], [-1, 4]])
    scores, p_values = cohens_d(Z, [1, 1, -1, -1])
    assert scores[0] == 0
    assert p_values[0] == 1
    assert scores[1] < 0


def test_one_group_without_variance_is_enough_for_a_score():
    Z = np.array([[2.0], [2], [0], [2]])
    scores, _ = cohens_d(Z, [1, 1, -1, -1])
    assert_allclose(scores, [1 / np.sqrt(0.5)])


def test_a_single_row_leaves_no_test():
    scores, p_values = cohens_d(np.array([[3.0], [1], [2]]), [1, -1, -1])
    # Variances 0 and 1/4, weighed 1 : 2.
    assert_allclose(scores, [1.5 / np.sqrt(1 / 6)])
    assert_array_equal(p_values, [1])


@pytest.mark.parametrize("y", [[1, 1, 0], [-1, -1, 0], [0, 0, 0]])
def test_both_groups_need_rows(y):
    message = r"`y` must mark rows of the head group with 1 .* Both groups need one"
    with pytest.raises(ValueError, match=message):
        cohens_d(np.ones((3, 2)), y)


@pytest.mark.parametrize("y", [[1, -1], [1, -1, 1, -1]])
def test_y_must_hold_one_group_per_row(y):
    with pytest.raises(ValueError, match="`y` must"):
        cohens_d(np.ones((3, 2)), y)


def test_moments_of_equal_weight_by_default():
    d = cohens_d_from_stats([3.0], [1.0], [1.0], [3.0])
    assert_allclose(d, [2 / np.sqrt(5)])
    assert_array_equal(cohens_d_from_stats([3.0], [1.0], [1.0], [3.0], 20, 20), d)
    assert_array_equal(cohens_d_from_stats([3.0], [1.0], [1.0], [3.0], 20), d)


def test_moments_weighed_by_group_sizes():
    d = cohens_d_from_stats([3.0], [1.0], [1.0], [3.0], 30, 10)
    assert_allclose(d, [2 / np.sqrt((30 * 1 + 10 * 9) / 40)])


def test_moments_of_the_rows_give_the_scores_of_the_rows(grouped):
    Z, y = grouped
    head, tail = Z[y == 1], Z[y == -1]
    d = cohens_d_from_stats(
        head.mean(axis=0), head.std(axis=0), tail.mean(axis=0), tail.std(axis=0), 30, 50
    )
    assert_allclose(d, cohens_d(Z, y)[0], rtol=1e-12)


def test_moments_without_variance_give_no_effect():
    assert_array_equal(cohens_d_from_stats([3, 1], [0, 0], [1, 1], [0, 0]), [0, 0])


def test_rows_are_left_as_they_are(grouped):
    Z, y = grouped
    sparse, before = csr_array(Z), Z.copy()
    cohens_d(sparse, y)
    cohens_d(Z, y)
    assert_array_equal(Z, before)
    assert_array_equal(sparse.toarray(), before)
