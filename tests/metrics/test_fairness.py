import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.sparse import csr_array, random_array

from skpopsteer.metrics import popreo, poprsp

GROUPS = np.array([1, 1, 0, -1, -1, -1])
SEEN = csr_array([[1, 0, 0, 1, 0, 0], [0, 1, 0, 0, 0, 0]])
LISTS = np.array([[1, 2], [0, 4]])


@pytest.fixture
def random_case():
    rng = np.random.default_rng(3)
    X = random_array((40, 30), density=0.2, random_state=rng, format="csr")
    y = random_array((40, 30), density=0.3, random_state=rng, format="csr")
    lists = np.argsort(rng.random((40, 30)), axis=1)[:, :8]
    lists[rng.random(40) < 0.3, 5:] = -1
    return X, y, lists, rng.integers(-1, 2, size=30)


def spread(probabilities):
    return np.std(probabilities) / np.mean(probabilities)


def reference(lists, groups, opportunities):
    """Follow the formula user by user and group by group."""
    probabilities = []
    for group in np.unique(groups):
        members = set(np.flatnonzero(groups == group).tolist())
        chosen = sum(
            len(set(row) & members & possible)
            for row, possible in zip(lists.tolist(), opportunities, strict=True)
        )
        total = sum(len(members & possible) for possible in opportunities)
        probabilities.append(chosen / total)
    return spread(probabilities)


def rows_of(matrix):
    return [set(np.flatnonzero(row).tolist()) for row in matrix.toarray()]


def test_poprsp_by_hand():
    # Slots by head, mid, tail: 2, 1, 1 of 4, 2, 6 pairs.
    assert_allclose(poprsp(LISTS, GROUPS), spread([2 / 4, 1 / 2, 1 / 6]))
    # X takes two pairs from the head and one from the tail.
    assert_allclose(poprsp(LISTS, GROUPS, X=SEEN), spread([2 / 2, 1 / 2, 1 / 5]))
    assert_allclose(poprsp(LISTS, GROUPS, X=SEEN, k=1), spread([2 / 2, 0, 0]))


def test_popreo_by_hand():
    y = csr_array([[0, 1, 1, 0, 1, 0], [1, 0, 0, 0, 1, 1]])
    # Hits by head, mid, tail: 2 of 2, 1 of 1, 1 of 3.
    assert_allclose(popreo(y, LISTS, GROUPS), spread([1, 1, 1 / 3]))
    assert_allclose(popreo(y, LISTS, GROUPS, k=1), spread([1, 0, 0]))


def test_popreo_seen_items_are_no_opportunities():
    y = csr_array([[1, 1, 1, 1, 1, 0], [1, 1, 0, 0, 1, 1]])
    # Without X the head has 2 hits of 4; with it 2 of 2, and the tail 1 of 3.
    assert_allclose(popreo(y, LISTS, GROUPS), spread([2 / 4, 1, 1 / 4]))
    assert_allclose(popreo(y, LISTS, GROUPS, X=SEEN), spread([2 / 2, 1, 1 / 3]))


def test_popreo_leave_one_out():
    # Head item found, tail item not: 1 and 0.
    assert popreo([1, 5], LISTS, GROUPS) == 1


def test_equal_chances_give_zero():
    lists = np.array([[0, 2], [1, 3]])
    assert poprsp(lists, [1, 1, -1, -1]) == 0
    y = csr_array(np.ones((2, 4)))
    assert popreo(y, lists, [1, 1, -1, -1]) == 0


@pytest.mark.parametrize("groups", [[1, 1, -1], [1, 0, -1]])
def test_upper_end_of_the_range(groups):
    n_groups = len(set(groups))
    expected = np.sqrt(n_groups - 1)
    assert_allclose(poprsp([[0], [0]], groups), expected)
    y = csr_array(np.ones((2, 3)))
    assert_allclose(popreo(y, [[0], [0]], groups), expected)


def test_formulas_on_random_data(random_case):
    X, y, lists, groups = random_case
    seen, held_out = rows_of(X), rows_of(y)
    unseen = [set(range(30)) - row for row in seen]
    everything = [set(range(30))] * 40
    assert_allclose(poprsp(lists, groups), reference(lists, groups, everything))
    assert_allclose(poprsp(lists, groups, X=X), reference(lists, groups, unseen))
    assert_allclose(popreo(y, lists, groups), reference(lists, groups, held_out))
    left = [held - row for held, row in zip(held_out, seen, strict=True)]
    assert_allclose(popreo(y, lists, groups, X=X), reference(lists, groups, left))


def test_groups_without_an_opportunity_are_left_out():
    # Nothing of the mid group is held out.
    y = csr_array([[0, 1, 0, 0, 1, 0], [1, 0, 0, 0, 1, 0]])
    assert_allclose(popreo(y, LISTS, GROUPS), spread([2 / 2, 1 / 2]))


def test_undefined_values_are_nan():
    nothing = np.full((2, 2), -1)
    assert np.isnan(poprsp(nothing, GROUPS))
    assert np.isnan(popreo([5, 5], LISTS, GROUPS))
    # One group with held-out items: nothing to compare.
    assert np.isnan(popreo([1, 0], LISTS, GROUPS))
    assert np.isnan(popreo(csr_array((2, 6)), LISTS, GROUPS))


@pytest.mark.parametrize(
    "call",
    [
        lambda groups: poprsp(LISTS, groups),
        lambda groups: popreo([1, 0], LISTS, groups),
    ],
)
def test_one_group_is_refused(call):
    with pytest.raises(ValueError, match=r"^`item_groups` must hold at least two .* 0"):
        call(np.zeros(6, dtype=int))
