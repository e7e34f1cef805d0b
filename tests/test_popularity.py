import dataclasses
import pickle
from fractions import Fraction

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy.sparse import coo_array, csr_array
from sklearn.base import clone
from sklearn.decomposition import TruncatedSVD

from skpopsteer.adapters import as_recommender
from skpopsteer.popularity import PopularityGroups, item_popularity
from skpopsteer.steering import SteeredRecommender

# Shares of the interactions: .4, .2, .15, .1, .05, .04, .03, .03.
POPULARITY = [40, 20, 15, 10, 5, 4, 3, 3]


# item_popularity


def test_popularity_counts_users_whatever_the_values(container):
    X = container(np.array([[5.0, 0, 0.1], [2, 0, 0], [1, 0, 0]]))
    counts = item_popularity(X)
    assert_array_equal(counts, [3, 0, 1])
    assert counts.dtype == np.int64


def test_popularity_of_dense_rows():
    assert_array_equal(item_popularity([[5, 0, 1], [2, 0, 0]]), [2, 0, 1])


def test_popularity_of_other_sparse_formats():
    assert_array_equal(item_popularity(coo_array([[0, 3], [1, 1]])), [1, 2])


def test_stored_zeros_and_duplicates_do_not_count(container):
    X = container((np.array([1.0, 2, 0]), np.array([1, 1, 0]), np.array([0, 3])))
    X = type(X)((X.data, X.indices, X.indptr), shape=(1, 2))
    before = X.data.copy(), X.indices.copy()
    assert_array_equal(item_popularity(X), [0, 1])
    assert_array_equal(X.data, before[0])
    assert_array_equal(X.indices, before[1])


def test_popularity_without_interactions():
    assert_array_equal(item_popularity(csr_array((3, 4))), [0, 0, 0, 0])


# PopularityGroups


@pytest.mark.parametrize(
    ("groups", "labels"),
    [
        (PopularityGroups(), [1, 1, -1, -1, -1, -1, -1, -1]),
        (PopularityGroups("count", 0.25, 0.25), [1, 1, 0, 0, 0, 0, -1, -1]),
        (PopularityGroups(head=0.5), [1, 1, 1, 1, -1, -1, -1, -1]),
        (PopularityGroups(tail=0.5), [1, 1, 0, 0, -1, -1, -1, -1]),
        # The first item alone holds 40 %: still there must be a head.
        (PopularityGroups("mass"), [1, 0, 0, 0, -1, -1, -1, -1]),
        (PopularityGroups("mass", 0.6, 0.03), [1, 1, 0, 0, 0, 0, 0, -1]),
        (PopularityGroups("mass", 0.59, 0.06), [1, 0, 0, 0, 0, 0, -1, -1]),
        (PopularityGroups("mass", 0.99, 0.99), [1, 1, 1, 1, 1, 1, 1, -1]),
        (PopularityGroups("head_mass"), [1, 1, 1, 1, -1, -1, -1, -1]),
        (PopularityGroups("head_mass", 0.4), [1, -1, -1, -1, -1, -1, -1, -1]),
        (PopularityGroups("head_mass", 0.41), [1, 1, -1, -1, -1, -1, -1, -1]),
        (PopularityGroups("head_mass", 0.999), [1, 1, 1, 1, 1, 1, 1, -1]),
    ],
)
def test_labels_by_hand(groups, labels):
    found = groups.label(POPULARITY)
    assert_array_equal(found, labels)
    assert found.dtype == np.int8


@pytest.mark.parametrize("convention", ["count", "mass", "head_mass"])
def test_labels_go_with_the_items(convention):
    order = np.random.default_rng(0).permutation(7)
    popularity = np.array(POPULARITY[:7])
    groups = PopularityGroups(convention, 0.3)
    expected = groups.label(popularity)[order]
    assert_array_equal(groups.label(popularity[order]), expected)
    assert len(set(expected)) > 1


def test_equal_popularity_is_split_by_position():
    assert_array_equal(
        PopularityGroups("count", 0.25, 0.25).label([3] * 8), [1, 1, 0, 0, 0, 0, -1, -1]
    )
    labels = PopularityGroups("mass", 0.5, 0.25).label([1, 9, 1, 1, 9, 1, 9, 9])
    assert_array_equal(labels, [-1, 1, -1, -1, 1, -1, 0, 0])
    assert_array_equal(
        PopularityGroups("head_mass", 0.5).label([2, 2, 2, 2]), [1, 1, -1, -1]
    )


@pytest.mark.parametrize("convention", ["count", "mass", "head_mass"])
@pytest.mark.parametrize(
    ("popularity", "labels"),
    [([9, 1], [1, -1]), ([1, 9], [-1, 1]), ([4, 4], [1, -1]), ([0, 0], [1, -1])],
)
def test_two_items_are_head_and_tail(convention, popularity, labels):
    assert_array_equal(PopularityGroups(convention).label(popularity), labels)


@pytest.mark.parametrize("convention", ["count", "mass", "head_mass"])
@pytest.mark.parametrize("popularity", [[0] * 5, [7] * 5, [100, 0, 0, 0, 0]])
def test_head_and_tail_are_never_empty(convention, popularity):
    labels = PopularityGroups(convention).label(popularity)
    assert (labels == 1).any()
    assert (labels == -1).any()


@pytest.mark.parametrize("n_items", range(2, 60))
def test_shares_of_a_whole_leave_no_item_between(n_items):
    labels = PopularityGroups("count", 0.3, 0.7).label(np.arange(n_items))
    assert not (labels == 0).any()


def longest_prefix(counts, share):
    """Count items, from the first, that hold at most a share of the whole, exactly."""
    limit, held = Fraction(share) * sum(counts), 0
    for n_items, count in enumerate(counts):
        held += count
        if held > limit:
            return n_items
    return len(counts)


@pytest.mark.parametrize("seed", range(20))
def test_mass_groups_are_the_longest_prefixes(seed):
    counts = np.random.default_rng(seed).zipf(1.5, size=40).clip(max=60)
    labels = PopularityGroups("mass").label(counts)
    ascending = sorted(counts.tolist())
    assert (labels == 1).sum() == max(1, longest_prefix(ascending[::-1], "0.2"))
    assert (labels == -1).sum() == max(1, longest_prefix(ascending, "0.2"))
    assert counts[labels == 1].min() >= counts[labels == 0].max()
    assert counts[labels == 0].min() >= counts[labels == -1].max()


@pytest.mark.parametrize("seed", range(20))
def test_head_mass_is_the_smallest_set(seed):
    counts = np.random.default_rng(seed).zipf(1.5, size=40).clip(max=60)
    head = counts[PopularityGroups("head_mass").label(counts) == 1]
    assert 5 * head.sum() >= 4 * counts.sum()
    assert 5 * (head.sum() - head.min()) < 4 * counts.sum()


def test_a_share_reached_exactly_is_kept():
    # .29 * 100 is 28.999999999999996 and .55 * 100 is 55.00000000000001.
    counts = [15, 14, 13, 12, 12, 12, 11, 11]
    labels = PopularityGroups("mass", head=0.29).label(counts)
    assert (labels == 1).sum() == 2
    labels = PopularityGroups("head_mass", head=0.55).label([30, 25, 25, 20])
    assert (labels == 1).sum() == 2


def test_tail_means_nothing_for_head_mass():
    labels = PopularityGroups("head_mass", 0.5, 0.1).label(POPULARITY)
    assert_array_equal(labels, PopularityGroups("head_mass", 0.5).label(POPULARITY))


@pytest.mark.parametrize(
    ("groups", "text"),
    [
        (
            PopularityGroups(),
            "head: the 20 % of items with most interactions; "
            "tail: the 80 % with fewest",
        ),
        (
            PopularityGroups("count", 0.125, 0.1),
            "head: the 12.5 % of items with most interactions; "
            "tail: the 10 % with fewest",
        ),
        (
            PopularityGroups(head=0.3),
            "head: the 30 % of items with most interactions; "
            "tail: the 70 % with fewest",
        ),
        (
            PopularityGroups("mass", tail=0.1),
            "head: the most popular items holding at most 20 % of interactions; "
            "tail: the least popular items holding at most 10 %",
        ),
        (
            PopularityGroups("head_mass"),
            "head: the fewest items holding 80 % of interactions; "
            "tail: all other items",
        ),
    ],
)
def test_groups_describe_themselves(groups, text):
    assert str(groups) == text


@pytest.mark.parametrize("share", [0, 1, -0.1, 20, float("nan")])
@pytest.mark.parametrize("name", ["head", "tail"])
def test_shares_must_be_shares(name, share):
    message = rf"`{name}` must be a share in \(0, 1\); got {share}. Write 20 % as 0.2"
    with pytest.raises(ValueError, match=message):
        PopularityGroups("mass", **{name: share})


def test_the_convention_must_be_known():
    message = "`convention` must be 'count', 'mass' or 'head_mass'; got 'pareto'"
    with pytest.raises(ValueError, match=message):
        PopularityGroups("pareto")


def test_shares_of_items_must_not_overlap():
    message = r"`head` and `tail` must not overlap; got shares \(0.6, 0.5\)"
    with pytest.raises(ValueError, match=message):
        PopularityGroups("count", 0.6, 0.5)


@pytest.mark.parametrize(
    ("popularity", "message"),
    [
        ([3], r"`popularity` must cover at least 2 items.*got 1 item"),
        ([[3, 1]], r"`popularity` must be a 1-D array.*got shape \(1, 2\)"),
        ([3, -1], "`popularity` must hold finite numbers >= 0; got -1"),
        ([3, float("nan")], "`popularity` must hold finite numbers >= 0; got nan"),
        ([3, float("inf")], "`popularity` must hold finite numbers >= 0; got inf"),
    ],
)
def test_labels_need_counts_of_two_items(popularity, message):
    with pytest.raises(ValueError, match=message):
        PopularityGroups().label(popularity)


def test_equal_settings_are_equal_and_hash_alike():
    first, second = PopularityGroups("mass", 0.1), PopularityGroups("mass", head=0.1)
    assert first == second
    assert hash(first) == hash(second)
    assert {first: "found"}[second] == "found"
    assert first != PopularityGroups("mass", 0.2)
    assert first != PopularityGroups("count", 0.1)


def test_settings_cannot_change():
    with pytest.raises(dataclasses.FrozenInstanceError):
        PopularityGroups().head = 0.1


def test_groups_survive_clone_and_pickle():
    groups = PopularityGroups("mass", 0.1, 0.3)
    assert clone(groups, safe=False) == groups
    assert pickle.loads(pickle.dumps(groups)) == groups


def test_an_estimator_that_holds_groups_can_be_cloned(interactions):
    host = as_recommender(TruncatedSVD(4, random_state=0).fit(interactions))
    groups = PopularityGroups("head_mass", 0.5)
    assert clone(SteeredRecommender(host, rule="shift", groups=groups)).groups == groups


@pytest.mark.parametrize("X", [["a"], [["a", "b"]], [1, 2], [[[1]]]])
def test_what_is_no_matrix_of_numbers_is_refused(X):
    with pytest.raises(ValueError, match="`X` must be a matrix of numbers, users in"):
        item_popularity(X)
