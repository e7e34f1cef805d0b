import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array, random_array
from sklearn.metrics import ndcg_score

from skpopsteer.metrics import (
    hit_rate,
    mean_average_precision,
    mrr,
    ndcg,
    precision,
    recall,
)

METRICS = [hit_rate, mean_average_precision, mrr, ndcg, precision, recall]
LOG3, LOG5 = np.log2(3), np.log2(5)

# Hits: user 0 at ranks 2 and 4 of 3 held out; user 1 none of 1; user 2 holds nothing
# out; user 3 at rank 1 of a list cut short.
LISTS = np.array([[5, 0, 6, 2], [0, 1, 2, 3], [4, 5, 6, 0], [3, -1, -1, -1]])
HELD_OUT = csr_array(
    [
        [1, 1, 1, 0, 0, 0, 0],
        [0, 0, 0, 0, 0, 0, 1],
        [0, 0, 0, 0, 0, 0, 0],
        [0, 0, 0, 1, 1, 0, 0],
    ]
)


@pytest.fixture
def random_case():
    rng = np.random.default_rng(0)
    scores = rng.random((60, 25))
    y = random_array((60, 25), density=0.15, random_state=rng, format="csr")
    return scores, np.argsort(-scores, axis=1), y


@pytest.mark.parametrize(
    ("metric", "expected"),
    [
        (
            ndcg,
            [
                (1 / LOG3 + 1 / LOG5) / (1 + 1 / LOG3 + 1 / 2),
                0,
                1 / (1 + 1 / LOG3),
            ],
        ),
        (recall, [2 / 3, 0, 1 / 2]),
        (precision, [1 / 2, 0, 1 / 4]),
        (hit_rate, [1, 0, 1]),
        (mrr, [1 / 2, 0, 1]),
        (mean_average_precision, [(1 / 2 + 2 / 4) / 3, 0, 1 / 2]),
    ],
)
def test_values_by_hand(metric, expected):
    values = metric(HELD_OUT, LISTS, per_user=True)
    assert values.dtype == np.float64
    assert_allclose(values[[0, 1, 3]], expected, rtol=1e-14)
    assert np.isnan(values[2])
    assert_allclose(metric(HELD_OUT, LISTS), np.mean(expected), rtol=1e-14)
    assert isinstance(metric(HELD_OUT, LISTS), float)


@pytest.mark.parametrize(
    ("metric", "expected"),
    [
        (ndcg, [(1 / LOG3) / (1 + 1 / LOG3), 0, 1 / (1 + 1 / LOG3)]),
        (recall, [1 / 3, 0, 1 / 2]),
        (precision, [1 / 2, 0, 1 / 2]),
        (hit_rate, [1, 0, 1]),
        (mrr, [1 / 2, 0, 1]),
        (mean_average_precision, [1 / 4, 0, 1 / 2]),
    ],
)
def test_values_at_two(metric, expected):
    values = metric(HELD_OUT, LISTS, k=2, per_user=True)
    assert_allclose(values[[0, 1, 3]], expected, rtol=1e-14)
    assert_array_equal(values, metric(HELD_OUT, LISTS[:, :2], per_user=True))


@pytest.mark.parametrize("metric", METRICS)
def test_leave_one_out_is_the_matrix_of_one_item_a_user(metric):
    y = np.array([2, -1, 0, 6])
    users = np.flatnonzero(y >= 0)
    matrix = csr_array((np.ones(3), (users, y[users])), shape=(4, 7))
    expected = metric(matrix, LISTS, per_user=True)
    assert_array_equal(metric(y, LISTS, per_user=True), expected)
    assert np.isnan(expected[1])


def test_leave_one_out_ndcg_is_the_discount_of_the_rank():
    values = ndcg([6, 0, 5, 1], LISTS, per_user=True)
    assert_allclose(values, [1 / 2, 1, 1 / LOG3, 0])


@pytest.mark.parametrize("k", [1, 5, 25])
def test_ndcg_is_that_of_scikit_learn(random_case, k):
    scores, lists, y = random_case
    some = np.diff(y.indptr) > 0
    relevant = (y.toarray() > 0).astype(int)[some]
    expected = ndcg_score(relevant, scores[some], k=k)
    assert_allclose(ndcg(y, lists, k=k), expected, rtol=1e-12)


@pytest.mark.parametrize("metric", METRICS)
def test_perfect_lists_score_one(metric):
    y = csr_array([[0, 1, 1, 0], [1, 0, 0, 1]])
    assert metric(y, [[2, 1], [0, 3]]) == 1


@pytest.mark.parametrize("metric", METRICS)
def test_values_lie_in_the_unit_interval(metric, random_case):
    _, lists, y = random_case
    for k in (1, 3, 25):
        values = metric(y, lists, k=k, per_user=True)
        values = values[~np.isnan(values)]
        assert (values >= 0).all()
        assert (values <= 1).all()


@pytest.mark.parametrize("metric", METRICS)
def test_nobody_to_judge_gives_nan(metric):
    assert np.isnan(metric(csr_array((2, 4)), [[0, 1], [2, 3]]))
    assert np.isnan(metric([-1, -1], [[0, 1], [2, 3]]))
    assert np.isnan(metric(csr_array((0, 4)), np.empty((0, 3), dtype=int)))


@pytest.mark.parametrize("metric", METRICS)
def test_an_empty_list_of_a_user_with_held_out_items_scores_zero(metric):
    values = metric([2, 1], [[-1, -1], [1, 0]], per_user=True)
    assert values[0] == 0
    assert values[1] > 0


def test_a_padded_slot_is_not_the_last_item_of_the_user_before():
    y = csr_array([[0, 0, 1], [1, 0, 0]])
    assert_array_equal(hit_rate(y, [[0, 1], [-1, -1]], per_user=True), [0, 0])


def test_a_hit_belongs_to_one_user():
    # Item 2 is held out for user 0 only, item 0 for user 1 only.
    y = csr_array([[0, 0, 1], [1, 0, 0]])
    assert_array_equal(hit_rate(y, [[0, 1], [2, 1]], per_user=True), [0, 0])
    assert_array_equal(hit_rate(y, [[2, 1], [0, 1]], per_user=True), [1, 1])
