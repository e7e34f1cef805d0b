import time

import numpy as np
import pytest
from scipy.sparse import csr_array

from skpopsteer.datasets import make_interactions


@pytest.fixture(scope="module")
def data():
    return make_interactions(random_state=0)


def gini(counts):
    counts = np.sort(counts)
    weights = 2 * np.arange(1, len(counts) + 1) - len(counts) - 1
    return weights @ counts / (len(counts) * counts.sum())


def test_everything_planted_is_returned_in_its_shape(data):
    assert set(data) == {
        "X",
        "item_popularity",
        "item_appeal",
        "item_concepts",
        "user_concepts",
        "user_popularity_taste",
    }
    assert data.X.shape == (1000, 500)
    assert data.item_popularity.shape == data.item_appeal.shape == (500,)
    assert data.item_concepts.shape == (500, 8)
    assert data.user_concepts.shape == (1000, 8)
    assert data.user_popularity_taste.shape == (1000,)


def test_interactions_are_canonical_and_binary(data):
    X = data.X
    assert type(X) is csr_array
    assert X.dtype == np.float64
    assert X.indices.dtype == X.indptr.dtype == np.int32
    assert csr_array((X.data, X.indices, X.indptr), X.shape).has_canonical_format
    assert (X.data == 1).all()


def test_popularity_counts_the_columns(data):
    np.testing.assert_array_equal(data.item_popularity, data.X.toarray().sum(axis=0))
    assert data.item_popularity.dtype == np.int64


@pytest.mark.parametrize("seed", range(5))
def test_the_tail_is_as_long_as_in_real_sets(seed):
    popularity = make_interactions(random_state=seed).item_popularity
    assert 0.5 < gini(popularity) < 0.7
    head = np.sort(popularity)[::-1][:100].sum()
    assert 0.5 < head / popularity.sum() < 0.75


@pytest.mark.parametrize("seed", range(5))
def test_appeal_orders_popularity(seed):
    data = make_interactions(random_state=seed)
    assert np.corrcoef(data.item_appeal, np.log1p(data.item_popularity))[0, 1] > 0.6


@pytest.mark.parametrize("seed", range(5))
def test_users_with_a_taste_for_popularity_hold_popular_items(seed):
    data = make_interactions(random_state=seed)
    held = data.X @ data.item_popularity / data.X.sum(axis=1)
    assert np.corrcoef(held, data.user_popularity_taste)[0, 1] > 0.6
    order = np.argsort(data.user_popularity_taste)
    assert held[order[-200:]].mean() > 1.5 * held[order[:200]].mean()


@pytest.mark.parametrize("seed", range(5))
def test_items_of_a_users_concepts_are_over_represented(seed):
    data = make_interactions(random_state=seed)
    preferred = (data.user_concepts > 0) @ data.item_concepts.T > 0
    expected = preferred.mean(axis=1)
    observed = data.X.multiply(preferred).sum(axis=1) / data.X.sum(axis=1)
    assert observed.mean() > 2 * expected.mean()
    assert (observed > expected).mean() > 0.95


def test_knobs_at_zero_take_their_effect_away():
    data = make_interactions(
        popularity_exponent=0, popularity_strength=0, concept_strength=0, random_state=0
    )
    assert gini(data.item_popularity) < 0.15
    assert (data.user_popularity_taste == 1).all()
    preferred = (data.user_concepts > 0) @ data.item_concepts.T > 0
    lift = data.X.multiply(preferred).sum() / data.X.nnz / preferred.mean()
    assert lift == pytest.approx(1, abs=0.05)


def test_concepts_are_few_and_preferences_sum_to_one(data):
    assert set(np.unique(data.item_concepts)) == {0.0, 1.0}
    assert set(data.item_concepts.sum(axis=1)) == {1.0, 2.0}
    assert set((data.user_concepts > 0).sum(axis=1)) == {1, 2, 3}
    np.testing.assert_allclose(data.user_concepts.sum(axis=1), 1)


def test_lengths_follow_the_parameters():
    data = make_interactions(
        2000, 1000, mean_interactions=30, min_interactions=10, random_state=0
    )
    lengths = np.diff(data.X.indptr)
    assert lengths.min() >= 10
    assert lengths.mean() == pytest.approx(30, rel=0.05)


def test_no_user_is_empty_or_holds_more_than_half():
    for n_items in (2, 3, 10, 40):
        lengths = np.diff(make_interactions(50, n_items, random_state=0).X.indptr)
        assert lengths.min() >= 1
        assert lengths.max() <= max(n_items // 2, 1)


def test_users_may_be_empty_on_demand():
    data = make_interactions(
        200, 50, mean_interactions=1, min_interactions=0, random_state=0
    )
    assert np.diff(data.X.indptr).min() == 0
    assert data.X.shape == (200, 50)


def test_one_user_and_one_concept_are_enough():
    data = make_interactions(1, 2, n_concepts=1, random_state=0)
    assert data.X.nnz == 1
    np.testing.assert_array_equal(data.item_concepts, [[1], [1]])


def test_a_draw_depends_on_the_random_state_alone():
    first = make_interactions(60, 40, random_state=3)
    np.random.seed(0)  # noqa: NPY002
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    second = make_interactions(60, 40, random_state=np.random.RandomState(3))
    np.testing.assert_array_equal(before, np.random.get_state()[1])  # noqa: NPY002
    for name in first:
        left, right = (
            x[name].toarray() if name == "X" else x[name] for x in (first, second)
        )
        np.testing.assert_array_equal(left, right)
    other = make_interactions(60, 40, random_state=4)
    assert (first.X != other.X).nnz
    assert make_interactions(60, 40).X.shape == (60, 40)


def test_blocks_do_not_change_the_draw(monkeypatch):
    whole = make_interactions(60, 40, random_state=0)
    monkeypatch.setattr("skpopsteer.datasets.synthetic._BLOCK_ENTRIES", 7 * 40)
    blocked = make_interactions(60, 40, random_state=0)
    np.testing.assert_array_equal(whole.X.toarray(), blocked.X.toarray())


def test_values_may_be_single_precision():
    data = make_interactions(60, 40, dtype=np.float32, random_state=0)
    assert data.X.dtype == np.float32


def test_a_default_draw_is_fast():
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        make_interactions(random_state=0)
        seconds.append(time.perf_counter() - start)
    assert min(seconds) < 0.3


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"n_users": 0}, r"`n_users` must be an integer of at least 1; got 0\. Pass"),
        ({"n_users": True}, r"`n_users` must be an integer .*; got True\."),
        ({"n_items": 1}, r"`n_items` must be an integer of at least 2; got 1\."),
        ({"n_items": 2.0}, r"`n_items` must be an integer .*; got 2\.0\."),
        ({"n_concepts": 0}, r"`n_concepts` must be .* at least 1; got 0\."),
        ({"min_interactions": -1}, r"`min_interactions` must be .* 0; got -1\."),
        ({"mean_interactions": 4}, r"`mean_interactions` must be .* 5; got 4\."),
        ({"mean_interactions": np.inf}, r"`mean_interactions` must be .*; got inf\."),
        ({"popularity_exponent": -1}, r"`popularity_exponent` must be .*; got -1\."),
        ({"popularity_strength": np.nan}, r"`popularity_strength` .*; got nan\."),
        ({"concept_strength": "4"}, r"`concept_strength` must be .*; got '4'\."),
        ({"dtype": np.int64}, r"`dtype` must be np\.float64 or np\.float32; got "),
        ({"dtype": "no"}, r"`dtype` must be np\.float64 or np\.float32; got 'no'"),
    ],
)
def test_bad_parameters_are_named_in_one_line(parameters, message):
    with pytest.raises(ValueError, match=message) as caught:
        make_interactions(**parameters)
    assert "\n" not in str(caught.value)
