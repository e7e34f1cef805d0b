import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skpopsteer.metrics import (
    average_popularity,
    average_tail_items,
    coverage,
    entropy,
    gini,
    novelty,
    tail_coverage,
    tail_share,
)

# Counts of items 0..4: 3, 1, 1, 0, 2. The last user gets nothing.
LISTS = np.array([[0, 1, 4], [0, 4, -1], [2, 0, -1], [-1, -1, -1]])
POPULARITY = np.array([8, 4, 2, 0, 1])
GROUPS = np.array([1, 0, 0, -1, -1])

OF_CATALOGUE = [
    lambda lists, k=None: gini(lists, 5, k=k),
    lambda lists, k=None: coverage(lists, 5, k=k),
    lambda lists, k=None: entropy(lists, 5, k=k),
    lambda lists, k=None: tail_coverage(lists, GROUPS, k=k),
]
PER_USER = [
    lambda lists, **kw: average_popularity(lists, POPULARITY, **kw),
    lambda lists, **kw: novelty(lists, POPULARITY, 16, **kw),
    lambda lists, **kw: tail_share(lists, GROUPS, **kw),
    lambda lists, **kw: average_tail_items(lists, GROUPS, **kw),
]


def test_gini_by_hand():
    # Ascending 0, 1, 1, 2, 3: 2 (2 + 3 + 8 + 15) / (5 * 7) - 6 / 5.
    assert_allclose(gini(LISTS, 5), 2 * 28 / 35 - 6 / 5, rtol=1e-14)


@pytest.mark.parametrize("n_items", [1, 2, 7, 1000])
def test_gini_golden_values(n_items):
    everything = np.arange(n_items)[np.newaxis]
    assert gini(np.repeat(everything, 3, axis=0), n_items) == 0
    one_item = np.zeros((50, 1), dtype=int)
    assert_allclose(gini(one_item, n_items), 1 - 1 / n_items, rtol=1e-14)


def test_gini_is_the_mean_difference_of_pairs():
    rng = np.random.default_rng(0)
    lists = rng.permuted(np.tile(np.arange(12), (30, 1)), axis=1)[:, :4]
    counts = np.bincount(lists.ravel(), minlength=15)
    difference = np.abs(counts[:, np.newaxis] - counts).mean()
    assert_allclose(gini(lists, 15), difference / (2 * counts.mean()), rtol=1e-13)


def test_gini_grows_with_inequality():
    even, uneven = [[0, 1], [2, 3]], [[0, 1], [0, 2]]
    assert gini(even, 4) < gini(uneven, 4)


def test_coverage_by_hand():
    assert coverage(LISTS, 5) == 0.8
    assert coverage(LISTS, 5, k=1) == 0.4


def test_entropy_by_hand():
    shares = np.array([3, 1, 1, 2]) / 7
    assert_allclose(entropy(LISTS, 5), -(shares * np.log(shares)).sum(), rtol=1e-14)


def test_entropy_range():
    assert_allclose(entropy([[0, 1], [2, 3]], 4), np.log(4), rtol=1e-14)
    assert entropy([[2], [2]], 4) == 0


def test_recbole_entropy_is_ours_per_distinct_item():
    # The figure RecBole's code gives for these lists: H / 3 with shares 1/2, 1/4, 1/4.
    lists = [[0, 1], [0, 2]]
    recbole = (0.5 * np.log(2) + 2 * 0.25 * np.log(4)) / 3
    assert_allclose(entropy(lists, 4) / 3, recbole, rtol=1e-14)


def test_elliot_gini_is_one_minus_ours_rescaled():
    # Elliot: 1 - sum((2 j - n - 1) p_j) / (n - 1) over ascending shares.
    shares = np.array([0, 1, 1, 2, 3]) / 7
    elliot = 1 - ((2 * np.arange(1, 6) - 6) * shares).sum() / 4
    assert_allclose(1 - gini(LISTS, 5) * 5 / 4, elliot, rtol=1e-14)


def test_average_popularity_by_hand():
    values = average_popularity(LISTS, POPULARITY, per_user=True)
    assert_allclose(values, [13 / 3, 4.5, 5, np.nan], rtol=1e-14)
    assert_allclose(average_popularity(LISTS, POPULARITY), (13 / 3 + 9.5) / 3)


def test_novelty_by_hand():
    # Bits of 16 users: 1, 2, 3, 4 (nobody counts as one user) and 4.
    values = novelty(LISTS, POPULARITY, 16, per_user=True)
    assert_allclose(values, [7 / 3, 5 / 2, 2, np.nan], rtol=1e-14)
    assert novelty([[3]], POPULARITY, 16) == 4
    assert novelty([[0]], [16], 16) == 0


def test_tail_by_hand():
    assert tail_coverage(LISTS, GROUPS) == 0.5
    shares = tail_share(LISTS, GROUPS, per_user=True)
    assert_allclose(shares, [1 / 3, 1 / 2, 0, np.nan])
    assert_allclose(tail_share(LISTS, GROUPS), 5 / 18)
    counts = average_tail_items(LISTS, GROUPS, per_user=True)
    assert_array_equal(counts, [1, 1, 0, np.nan])
    assert_allclose(average_tail_items(LISTS, GROUPS), 2 / 3)


def test_tail_items_count_from_so_many_exposures_on():
    # Of the tail items 0 and 4, with 3 and 2 exposures, and 3 with none.
    groups = np.array([-1, 1, 1, -1, -1])
    depths = [tail_coverage(LISTS, groups, min_exposures=m) for m in (1, 2, 3, 4)]
    assert_allclose(depths, [2 / 3, 2 / 3, 1 / 3, 0])
    assert tail_coverage(LISTS, groups, k=1, min_exposures=2) == 1 / 3


@pytest.mark.parametrize(
    ("given", "error"),
    [(0, ValueError), (-1, ValueError), (1.5, TypeError), (True, TypeError)],
)
def test_exposures_are_counted_in_whole_lists(given, error):
    with pytest.raises(error, match=r"^`min_exposures` must be a positive integer;"):
        tail_coverage(LISTS, GROUPS, min_exposures=given)


def test_mid_items_are_no_tail_items():
    assert tail_share([[1, 2]], GROUPS) == 0
    assert tail_coverage([[1, 2]], GROUPS) == 0


@pytest.mark.parametrize("metric", OF_CATALOGUE + PER_USER)
def test_padding_changes_nothing(metric):
    rng = np.random.default_rng(1)
    lists = np.argsort(rng.random((20, 5)), axis=1)[:, :3]
    padding = np.full((20, 4), -1)
    value = metric(lists)
    assert metric(np.hstack([lists, padding])) == value
    assert metric(np.vstack([lists, np.full((6, 3), -1)])) == value
    assert metric(np.hstack([lists, padding]), k=5) == value


@pytest.mark.parametrize("metric", OF_CATALOGUE + PER_USER)
def test_k_cuts_the_lists(metric):
    assert metric(LISTS, k=2) == metric(LISTS[:, :2])
    assert isinstance(metric(LISTS, k=2), float)


@pytest.mark.parametrize("metric", PER_USER)
def test_the_value_is_the_mean_over_users_with_a_list(metric):
    values = metric(LISTS, per_user=True)
    assert values.dtype == np.float64
    assert_array_equal(np.isnan(values), [False, False, False, True])
    assert_allclose(metric(LISTS), np.nanmean(values), rtol=1e-14)


@pytest.mark.parametrize("lists", [[[-1, -1]], np.empty((0, 2), dtype=int)])
def test_nothing_recommended(lists):
    assert np.isnan(gini(lists, 5))
    assert np.isnan(entropy(lists, 5))
    assert coverage(lists, 5) == 0
    assert tail_coverage(lists, GROUPS) == 0
    for metric in PER_USER:
        assert np.isnan(metric(lists))
