"""Niche, diverse and blockbuster users."""

import numpy as np
import pytest
from scipy.sparse import csr_array

from skpopsteer.metrics import taste_groups

GROUPS = [1, 1, -1, -1]
# Shares of the head: 0, 1/3, 1/2, 2/3, 1.
X = np.array([[0, 0, 1, 1], [1, 0, 1, 1], [1, 0, 1, 0], [1, 1, 1, 0], [1, 1, 0, 0]])
ORDERED = ["niche", "diverse", "diverse", "diverse", "blockbuster"]


def test_the_lowest_and_the_highest_fifth_are_the_extremes():
    assert taste_groups(X, GROUPS).tolist() == ORDERED


@pytest.mark.parametrize(
    ("share", "expected"),
    [(0.01, [1, 3, 1]), (0.3, [2, 1, 2]), (0.4, [2, 1, 2]), (0.5, [2, 1, 2])],
)
def test_the_share_sets_the_sizes(share, expected):
    labels = taste_groups(X, GROUPS, share=share).tolist()
    sizes = [labels.count(name) for name in ("niche", "diverse", "blockbuster")]
    assert sizes == expected


def test_every_container_gives_the_same(container):
    matrix = container(csr_array(X))
    matrix.data.flags.writeable = False
    assert taste_groups(matrix, GROUPS).tolist() == ORDERED


def test_weights_and_stored_zeros_do_not_matter():
    weighted = csr_array(X * np.arange(5, 0, -1)[:, np.newaxis] * 0.1)
    weighted.indices.flags.writeable = False
    weighted = csr_array(
        (
            np.append(weighted.data, 0.0),
            np.append(weighted.indices, 3),
            np.append(weighted.indptr[:-1], weighted.indptr[-1] + 1),
        ),
        shape=weighted.shape,
    )
    assert weighted.nnz == X.sum() + 1
    assert taste_groups(weighted, GROUPS).tolist() == ORDERED


def test_users_of_equal_share_are_never_parted():
    # Half of the users know only the tail: all are niche, though 20 % are asked for.
    histories = np.vstack([np.tile([0, 0, 1, 0], (5, 1)), X])
    labels = taste_groups(histories, GROUPS)
    assert labels[:6].tolist() == ["niche"] * 6
    assert labels[-2:].tolist() == ["blockbuster"] * 2


def test_fractions_that_are_equal_tie_whatever_the_length():
    # 1/3, 2/6 and 3/9 of the history are head.
    X = np.zeros((3, 9), dtype=int)
    groups = np.repeat([1, -1], [3, 6])
    X[0, [0, 3, 4]] = 1
    X[1, [0, 1, 3, 4, 5, 6]] = 1
    X[2] = 1
    assert taste_groups(X, groups).tolist() == ["diverse"] * 3


def test_the_order_of_the_rows_does_not_matter():
    rng = np.random.default_rng(0)
    histories = csr_array(rng.random((60, 4)) < 0.5)
    order = rng.permutation(60)
    labels = taste_groups(histories, GROUPS)
    assert set(labels) == {"niche", "diverse", "blockbuster", "no history"}
    np.testing.assert_array_equal(taste_groups(histories[order], GROUPS), labels[order])


def test_an_empty_history_is_no_taste():
    histories = np.vstack([np.zeros((4, 4), dtype=int), X])
    assert taste_groups(histories, GROUPS).tolist() == ["no history"] * 4 + ORDERED
    assert taste_groups(np.zeros((2, 4)), GROUPS).tolist() == ["no history"] * 2
    assert taste_groups(csr_array((0, 4)), GROUPS).shape == (0,)


def test_mid_items_count_for_the_length_only():
    assert taste_groups(X, [1, 1, 0, 0]).tolist() == ORDERED
    assert set(taste_groups(X, [-1, -1, 0, 0])) == {"diverse"}


@pytest.mark.parametrize("share", [0, 0.51, -0.1, "0.2", None, np.nan])
def test_a_bad_share_is_refused(share):
    with pytest.raises(
        ValueError, match=r"^`share` must be a number in \(0, 0.5\]; go"
    ):
        taste_groups(X, GROUPS, share=share)


@pytest.mark.parametrize(
    ("groups", "error", "message"),
    [
        (GROUPS[:3], ValueError, r"must hold one group per item \(4\); got 3. Popul"),
        ([2, 0, 0, 0], ValueError, "must be a 1-D array .* got 2. Relabel"),
        (np.ones(4), TypeError, "must be a 1-D array .* got dtype float64"),
    ],
)
def test_bad_item_groups_are_refused(groups, error, message):
    with pytest.raises(error, match=f"^`item_groups` {message}"):
        taste_groups(X, groups)


def test_negative_interactions_are_refused():
    with pytest.raises(ValueError, match=r"^`X` must hold interactions >= 0; got -1"):
        taste_groups(-X, GROUPS)
