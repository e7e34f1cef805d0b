import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array
from scipy.spatial.distance import jensenshannon

from skpopsteer.metrics import popularity_lift, user_popularity_deviation

POPULARITY = np.array([8.0, 4, 2, 1])
GROUPS = np.array([1, 0, -1, -1])
# User 2 has no profile, user 3 no list.
X = csr_array([[5, 0, 1, 0], [0, 0, 2, 1], [0, 0, 0, 0], [1, 0, 0, 0]])
LISTS = np.array([[0, 1], [1, -1], [0, 2], [-1, -1]])


def test_popularity_lift_by_hand():
    # Lists 6 and 4, profiles 5 and 1.5; weights of X play no part.
    values = popularity_lift(X, LISTS, POPULARITY, per_user=True)
    assert_allclose(values, [6 / 5 - 1, 4 / 1.5 - 1, np.nan, np.nan])
    assert_allclose(popularity_lift(X, LISTS, POPULARITY), 10 / 6.5 - 1)
    assert_allclose(popularity_lift(X, LISTS, POPULARITY, k=1), 12 / 6.5 - 1)


def test_popularity_lift_of_the_profile_itself_is_zero():
    lists = [[0, 2], [2, 3], [-1, -1], [0, -1]]
    assert popularity_lift(X, lists, POPULARITY) == 0
    assert_array_equal(
        popularity_lift(X, lists, POPULARITY, per_user=True), [0, 0, np.nan, 0]
    )


def test_popularity_lift_without_anybody_is_nan():
    assert np.isnan(popularity_lift(csr_array((4, 4)), LISTS, POPULARITY))
    assert np.isnan(popularity_lift(X, np.full((4, 1), -1), POPULARITY))
    unpopular = popularity_lift(X, LISTS, np.zeros(4), per_user=True)
    assert np.isnan(unpopular).all()


def test_deviation_by_hand():
    values = user_popularity_deviation(X, LISTS, GROUPS, per_user=True)
    # Shares (tail, mid, head) of user 0: (1/2, 0, 1/2) and (0, 1/2, 1/2): half of the
    # mass is not shared, half a bit. User 1: tail only, then mid only.
    assert_allclose(values, [0.5, 1, np.nan, np.nan])
    assert_allclose(user_popularity_deviation(X, LISTS, GROUPS), 0.75)


def test_deviation_is_the_squared_distance_of_scipy():
    rng = np.random.default_rng(5)
    groups = rng.integers(-1, 2, size=20)
    X = csr_array(rng.random((15, 20)) < 0.4)
    lists = np.argsort(rng.random((15, 20)), axis=1)[:, :6]
    expected = [
        jensenshannon(
            np.bincount(groups[X[[user]].indices] + 1, minlength=3),
            np.bincount(groups[lists[user]] + 1, minlength=3),
            base=2,
        )
        ** 2
        for user in range(15)
    ]
    values = user_popularity_deviation(X, lists, groups, per_user=True)
    assert_allclose(values, expected, atol=1e-12)


def test_deviation_over_groups_weighs_groups_alike():
    X = csr_array(np.tile([1, 0, 0, 0], (3, 1)))
    lists = [[1], [1], [0]]
    assert_allclose(user_popularity_deviation(X, lists, GROUPS), 2 / 3)
    for labels in ([0, 0, 9], ["niche", "niche", "blockbuster"]):
        value = user_popularity_deviation(X, lists, GROUPS, user_groups=labels)
        assert_allclose(value, 1 / 2)


def test_deviation_leaves_out_groups_without_anybody():
    value = user_popularity_deviation(X, LISTS, GROUPS, user_groups=[0, 0, 1, 2])
    assert_allclose(value, 0.75)
    nobody = np.full((4, 2), -1)
    assert np.isnan(user_popularity_deviation(X, nobody, GROUPS))
    assert np.isnan(user_popularity_deviation(X, nobody, GROUPS, user_groups=[0] * 4))


def test_deviation_refuses_labels_of_other_users():
    message = r"^`user_groups` must be 1-D with one label per list .* \(4\); got .*3"
    with pytest.raises(ValueError, match=message):
        user_popularity_deviation(X, LISTS, GROUPS, user_groups=[0, 1, 2])


def test_only_filled_slots_count():
    padded = np.hstack([LISTS, np.full((4, 3), -1)])
    for metric, of_items in [
        (popularity_lift, POPULARITY),
        (user_popularity_deviation, GROUPS),
    ]:
        assert metric(X, padded, of_items) == metric(X, LISTS, of_items)
