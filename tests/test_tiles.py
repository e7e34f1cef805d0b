"""Lists from tiles of scores are those of whole rows."""

import joblib
import numpy as np
import pytest
from scipy.sparse import csr_array
from sklearn.base import clone

from skpopsteer import (
    ArrayRecommender,
    GradientPopularityAdjuster,
    PopularityNeuronSelector,
    SparseAutoencoderProbe,
    SteeredRecommender,
    _tiles,
    as_recommender,
)
from skpopsteer._tiles import BestItems, item_tiles, tiles_pay
from skpopsteer.topk import forbid, top_k

SHAPE = 60, 150


def make_scores(kind):
    rng = np.random.default_rng(0)
    scores = {
        "distinct": rng.normal(size=SHAPE),
        "ascending": np.arange(np.prod(SHAPE)).reshape(SHAPE),
        "ties": rng.integers(0, 4, SHAPE),
        "all equal": np.zeros(SHAPE),
        "negative": rng.normal(size=SHAPE) - 1e6,
        "nothing allowed": np.full(SHAPE, -np.inf),
        "signed zeros": rng.choice([0.0, -0.0], SHAPE),
    }[kind]
    return scores.astype(np.float32)


def lists_of(scores, k, masks, width):
    best = BestItems(len(scores), k, masks)
    for start in range(0, scores.shape[1], width):
        items = slice(start, min(start + width, scores.shape[1]))
        best.add(scores[:, items].copy(), items)
    return best.lists()


def masks(rng, density=0.3):
    own = csr_array(rng.random(SHAPE) < density)
    other = csr_array(rng.random(SHAPE) < density)
    return [own.astype(np.float64), other, rng.random(SHAPE[1]) < density]


@pytest.mark.parametrize("width", [1, 63, 64, 65, 128, 150])
@pytest.mark.parametrize("k", [1, 10, 64])
@pytest.mark.parametrize(
    "kind",
    [
        "distinct", "ascending", "ties", "all equal", "negative", "nothing allowed",
        "signed zeros",
    ],
)  # fmt: skip
def test_the_best_of_tiles_are_the_best_of_rows(kind, k, width):
    scores = make_scores(kind)
    for n_masks in range(4):
        forbidden = masks(np.random.default_rng(1))[:n_masks]
        allowed = scores.copy()
        for mask in forbidden:
            forbid(allowed, mask)
        ids, values = lists_of(scores, k, forbidden, width)
        expected, expected_values = top_k(allowed, k)
        np.testing.assert_array_equal(ids, expected)
        np.testing.assert_array_equal(values, expected_values)
        assert (ids.dtype, values.dtype) == (np.int64, np.float32)


def test_rows_that_are_short_of_items_are_padded():
    forbidden = [masks(np.random.default_rng(1), density=0.97)[0]]
    ids, values = lists_of(make_scores("distinct"), 10, forbidden, 64)
    np.testing.assert_array_equal(ids == -1, values == -np.inf)
    n_left = SHAPE[1] - np.diff(forbidden[0].indptr)
    np.testing.assert_array_equal((ids >= 0).sum(axis=1), np.minimum(n_left, 10))


def test_what_is_stored_as_zero_or_in_any_order_is_left_out():
    rng = np.random.default_rng(2)
    scores = make_scores("distinct")
    indices = np.concatenate([rng.permutation(150)[:40] for _ in range(60)])
    arrays = np.zeros(len(indices)), indices, np.arange(0, 60 * 40 + 1, 40)
    mask = csr_array(arrays, shape=SHAPE)
    kept = mask.indices.copy()
    for forbidden in ([mask], [mask, mask]):
        ids, _ = lists_of(scores, 10, forbidden, 64)
        for row, held in zip(ids, kept.reshape(60, 40), strict=True):
            assert not set(row) & set(held)
    np.testing.assert_array_equal(mask.indices, kept)


@pytest.mark.parametrize("k", [1, 10])
@pytest.mark.parametrize("place", [0, 70, 149])
@pytest.mark.parametrize("width", [1, 64, 150])
def test_scores_that_are_no_numbers_are_refused(place, width, k):
    scores = make_scores("distinct")
    scores[3, place] = np.nan
    with pytest.raises(ValueError, match="must give scores that are numbers; got NaN"):
        lists_of(scores, k, [], width)
    scores[3, place] = np.inf
    with pytest.raises(ValueError, match="must give scores that are finite"):
        lists_of(scores, k, [], width)
    # What is not listed may be anything.
    scores[3, place] = np.nan
    mask = csr_array(([1.0], ([3], [place])), shape=SHAPE)
    assert (lists_of(scores, k, [mask], width)[0] >= 0).all()


def test_tiles_cover_the_catalogue_and_pay_where_it_is_large():
    for n_items in (1, 1024, 1025, 5000):
        tiles = list(item_tiles(n_items))
        covered = np.concatenate([np.arange(n_items)[items] for items in tiles])
        np.testing.assert_array_equal(covered, np.arange(n_items))
    assert tiles_pay((1024, 27_000), 10)
    assert tiles_pay((48, 100_000), 64)
    assert not tiles_pay((1024, 3_700), 10)
    assert not tiles_pay((1, 100_000), 10)
    assert not tiles_pay((1024, 27_000), 65)
    assert not tiles_pay((1024, 27_000), 0)


@pytest.fixture(scope="module")
def catalogue():
    """A host with a bias, two tiles of items, and whole numbers: nothing is rounded."""
    rng = np.random.default_rng(0)
    U = rng.integers(-3, 4, (300, 8))
    V = rng.integers(-3, 4, (1_500, 8))
    host = as_recommender(ArrayRecommender(U, V, item_bias=rng.integers(-3, 4, 1_500)))
    X = csr_array(rng.random((300, 1_500)) < 0.05).astype(np.float64)
    return host, X


@pytest.fixture(scope="module")
def fitted(catalogue):
    """Everything that scores tiles."""
    return list(models(*catalogue))


def models(host, X):
    yield host
    yield GradientPopularityAdjuster(host, beta=0.5, gamma=0.5).fit(X)
    probe = SparseAutoencoderProbe(32, k=4, max_iter=3, random_state=0)
    selector = PopularityNeuronSelector(n_neurons_to_select=8)
    for params in (
        {"side": "user", "rule": "shift"},
        {"side": "user", "rule": "scale", "user_strength": "profile"},
        {"side": "item", "rule": "offset"},
        {"side": "item", "rule": "offset", "user_strength": "profile"},
        {"side": "item", "rule": "shift"},
        {"side": "item", "rule": "scale", "user_strength": "profile"},
        {"side": "both", "rule": "add"},
    ):
        model = SteeredRecommender(
            host, probe=clone(probe), selector=clone(selector), strength=0.7,
            random_state=0, **params,
        )  # fmt: skip
        yield model.fit(X, user_ids=np.arange(300))


@pytest.fixture
def tiled(monkeypatch):
    """Whether tiles are used, which can be told to be so, and is counted."""
    made = []

    def watch(n_rows, k, forbidden):
        made.append(n_rows)
        return BestItems(n_rows, k, forbidden)

    def tell(whether):
        monkeypatch.setattr(_tiles, "_FEWEST_ITEMS", 1 if whether else 2**60)
        monkeypatch.setattr(_tiles, "_FEWEST_SCORES", 1)
        monkeypatch.setattr("skpopsteer.base.BestItems", watch)
        made.clear()
        return made

    return tell


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"exclude_seen": False},
        {"exclude": np.arange(0, 1_500, 2)},
        {"exclude": "rows", "n_recommendations": 64},
    ],
)
def test_recommended_lists_are_those_of_whole_rows(catalogue, fitted, tiled, params):
    host, X = catalogue
    params = {**params, "user_ids": np.arange(300), "return_scores": True}
    if isinstance(params.get("exclude"), str):
        params["exclude"] = csr_array(np.roll(X.toarray(), 7, axis=1))
    for model in fitted:
        made = tiled(True)
        ids, values = model.recommend(X, **params)
        assert made == [150, 150]
        made = tiled(False)
        expected, expected_values = model.recommend(X, **params)
        assert not made
        # Steered scores are rounded, and products of tiles in another order.
        np.testing.assert_allclose(values, expected_values, rtol=1e-5, atol=1e-5)
        assert (ids == expected).mean() > 0.99
        if model is host:
            np.testing.assert_array_equal(ids, expected)


def test_threads_make_the_same_lists(catalogue, tiled):
    host, X = catalogue
    tall = X[np.tile(np.arange(300), 10)]
    made = tiled(True)
    expected = host.recommend(tall)
    assert sum(made) == 3_000
    with joblib.parallel_config("threading", n_jobs=2):
        np.testing.assert_array_equal(host.recommend(tall), expected)


def test_what_needs_whole_rows_gets_them(catalogue, tiled):
    host, X = catalogue
    made = tiled(True)
    host.recommend(X, candidates=np.arange(100))
    probe = SparseAutoencoderProbe(32, k=4, max_iter=3, random_state=0)
    model = SteeredRecommender(host, probe=probe, keep_top=2, random_state=0).fit(X)
    lists = model.recommend(X)
    np.testing.assert_array_equal(lists[:, :2], host.recommend(X, 2))
    assert sum(made) == 300  # those of the host alone
