"""What is wrong with an argument is said in one line, and odd metrics are measured."""

import numpy as np
import pytest
from scipy.sparse import csr_array

from skpopsteer import metrics
from skpopsteer.metrics import RankingFrame, get_scorer, make_recommender_scorer
from skpopsteer.metrics._bootstrap import ResampledMetric

LISTS = np.array([[0, 1], [2, 1], [1, 0]])


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: metrics.gini(np.array([[2**31]]), 4),
            ValueError,
            r"`recommendations` must be a 2-D array .*got 2147483648, beyond 2\*\*31",
        ),
        (
            lambda: metrics.recall(np.array([-(2**31), 0, 0]), LISTS),
            ValueError,
            r"`y` must be .*got -2147483648, beyond 2\*\*31",
        ),
        (
            lambda: metrics.gini(LISTS, 2),
            ValueError,
            "`recommendations` must hold item positions below 2, `n_items`; got 2",
        ),
        (
            lambda: metrics.gini(LISTS, 2**31),
            ValueError,
            r"`n_items` must be below 2\*\*31; got 2147483648",
        ),
        (
            lambda: metrics.popularity_lift(
                csr_array(np.ones((3, 3), dtype=complex)), LISTS, np.ones(3)
            ),
            TypeError,
            "`X` must hold numbers; got dtype complex128",
        ),
        (
            lambda: RankingFrame("recall", np.eye(3), [2, 0, 2], LISTS, n_boot=2**31),
            ValueError,
            r"`n_boot` must be below 2\*\*31; got 2147483648",
        ),
        (
            lambda: make_recommender_scorer("ndcg"),
            TypeError,
            "`function` must be a metric, a callable; got 'ndcg'",
        ),
        (
            lambda: get_scorer("tail_share", groups=[1, 0, -1]),
            TypeError,
            r"`groups` must be PopularityGroups or None; got \[1, 0, -1\]",
        ),
    ],
)
def test_what_is_wrong_is_said(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_positions_up_to_the_limit_are_taken():
    y = np.array([2**31 - 1, 0, 1])
    np.testing.assert_array_equal(metrics.recall(y, LISTS, per_user=True), [0, 0, 1])


def test_a_scorer_uses_the_popularity_and_groups_it_is_given(host, split):
    X, y = split
    popularity, groups = np.arange(100.0), np.where(np.arange(100) < 30, -1, 1)
    lists = host.recommend(X, 10)
    arp = get_scorer("neg_average_popularity@10")
    found = arp(host, X, y, item_popularity=popularity)
    assert found == -metrics.average_popularity(lists, popularity)
    share = get_scorer("tail_share@10")(host, X, y, item_groups=groups)
    assert share == metrics.tail_share(lists, groups)


@pytest.mark.parametrize(("most", "n_users"), [(150.0, 200), (1234.5, 1235)])
def test_given_popularity_was_counted_over_enough_users(host, split, most, n_users):
    X, y = split
    popularity = np.linspace(1, most, 100)
    found = get_scorer("novelty@10")(host, X, y, item_popularity=popularity)
    expected = metrics.novelty(host.recommend(X, 10), popularity, n_users)
    assert found == expected


def test_values_that_are_not_one_a_user_are_no_mean_of_users():
    # A share of all slots: the same number for everybody, so it is asked per draw.
    def first_item(recommendations, per_user=False):
        share = float((recommendations == 0).mean())
        return np.array([share]) if per_user else share

    metric = ResampledMetric(first_item, {"recommendations": LISTS})
    assert metric.summary is None
    weights = np.array([[2.0, 0, 0], [0, 0, 0], [0, 1, 2]])
    values = metric.measure(weights, np.arange(3), None)
    np.testing.assert_allclose(values, [1 / 2, np.nan, 1 / 3])


def test_tables_of_other_held_out_items_cannot_be_compared():
    X, y = np.eye(3), csr_array(np.eye(3, k=1))
    sparse = RankingFrame("recall", X, y, LISTS[:, 1:])
    positions = RankingFrame("recall", X, [1, 2, -1], LISTS[:, 1:])
    with pytest.raises(ValueError, match="`other` must have the same `y`"):
        sparse.compare(positions)
