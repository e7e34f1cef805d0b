"""Steered vectors serve from an index that knows nothing of steering."""

import numpy as np
import pytest
from sklearn.decomposition import TruncatedSVD

from skpopsteer import SparseAutoencoderProbe, SteeredRecommender, as_recommender
from skpopsteer.datasets import make_interactions

faiss = pytest.importorskip("faiss")

K = 10


@pytest.fixture(scope="module")
def X():
    return make_interactions(300, 400, random_state=0).X


@pytest.fixture(scope="module")
def host(X):
    return as_recommender(TruncatedSVD(8, random_state=0).fit(X))


@pytest.fixture(scope="module")
def host_with_bias(host, X):
    U, V = host.encode_users(X), host.item_embeddings_
    bias = np.random.default_rng(0).normal(scale=0.3, size=len(V))
    return as_recommender((U, V, bias))


def fit(host, X, **params):
    probe = SparseAutoencoderProbe(32, k=4, max_iter=5, random_state=0)
    params = {"probe": probe, "strength": 1.5, "random_state": 0, **params}
    return SteeredRecommender(host, **({"rule": "shift"} | params)).fit(X)


def flat(items):
    index = faiss.IndexFlatIP(items.shape[1])
    index.add(np.ascontiguousarray(items))
    return index


def search(index, users, k=K):
    return index.search(np.ascontiguousarray(users), k)[1]


def shared(found, lists):
    """Return the share of the lists that is found."""
    pairs = zip(found, lists, strict=True)
    return np.mean([len(set(one) & set(other)) / K for one, other in pairs])


def assert_same_lists(found, model, X, **params):
    """Compare lists, except for the order of scores that rounding can exchange."""
    lists = model.recommend(X, K, exclude_seen=False, **params)
    scores = model.decision_function(X, **params)
    np.testing.assert_allclose(
        np.take_along_axis(scores, found, axis=1),
        np.take_along_axis(scores, lists, axis=1),
        atol=1e-5,
    )
    assert (found == lists).mean() > 0.99


def test_an_unchanged_index_gives_steered_lists(host, X):
    index = flat(host.item_embeddings_)
    model = fit(host, X)
    assert_same_lists(search(index, model.transform(X)), model, X)
    vectors = model.export_embeddings(X)
    assert vectors.item_bias is None
    assert_same_lists(search(index, vectors.user_embeddings), model, X)
    own = search(index, host.encode_users(X))
    assert np.array_equal(own, host.recommend(X, K, exclude_seen=False))
    assert shared(search(index, model.transform(X)), own) < 0.9


def test_the_strength_of_a_request_needs_no_other_index(host, X):
    index, model = flat(host.item_embeddings_), fit(host, X)
    for strength in (0.0, 0.5, 3.0):
        users = model.export_embeddings(X, strength=strength).user_embeddings
        assert_same_lists(search(index, users), model.set_params(strength=strength), X)


def test_a_bias_is_a_column_of_the_index(host_with_bias, X):
    host, ids = host_with_bias, np.arange(X.shape[0])
    index = flat(np.hstack([host.item_embeddings_, host.item_bias_[:, None]]))
    model = fit(host, X)
    ones = np.ones((len(ids), 1), dtype=np.float32)
    users = np.hstack([model.transform(X, user_ids=ids), ones])
    assert_same_lists(search(index, users), model, X, user_ids=ids)
    vectors = model.export_embeddings(X, user_ids=ids)
    assert np.array_equal(vectors.item_bias, host.item_bias_)
    users = np.hstack([vectors.user_embeddings, ones])
    assert_same_lists(search(index, users), model, X, user_ids=ids)
    # The bias counts: an index without it gives other lists.
    plain = search(flat(host.item_embeddings_), vectors.user_embeddings)
    lists = model.recommend(X, K, exclude_seen=False, user_ids=ids)
    assert shared(plain, lists) < 0.9


@pytest.mark.parametrize("user_strength", [None, "profile"])
@pytest.mark.parametrize("side", ["item", "both"])
def test_steered_items_need_an_index_of_their_own(host, X, side, user_strength):
    # A shift that moves every item alike would rank nothing anew.
    model = fit(host, X, side=side, rule="scale", user_strength=user_strength)
    lists = model.recommend(X, K, exclude_seen=False)
    unchanged = flat(host.item_embeddings_)
    assert shared(search(unchanged, model.transform(X)), lists) < 0.9
    vectors = model.export_embeddings(X)
    rebuilt = flat(vectors.item_embeddings)
    # Users who turn the items further than others take the items twice.
    assert rebuilt.d == (8 if user_strength is None else 16)
    assert_same_lists(search(rebuilt, vectors.user_embeddings), model, X)


def test_steered_items_and_a_bias(host_with_bias, X):
    host, ids = host_with_bias, np.arange(X.shape[0])
    model = fit(host, X, side="both", rule="scale")
    vectors = model.export_embeddings(X, user_ids=ids)
    index = flat(np.hstack([vectors.item_embeddings, vectors.item_bias[:, None]]))
    ones = np.ones((len(ids), 1), dtype=np.float32)
    users = np.hstack([vectors.user_embeddings, ones])
    assert_same_lists(search(index, users), model, X, user_ids=ids)


def test_an_approximate_index_finds_nearly_all_steered_items():
    X = make_interactions(400, 3000, random_state=0).X
    host = as_recommender(TruncatedSVD(16, random_state=0).fit(X))
    index = faiss.IndexHNSWFlat(16, 32, faiss.METRIC_INNER_PRODUCT)
    index.hnsw.efConstruction = 200
    index.add(np.ascontiguousarray(host.item_embeddings_))
    index.hnsw.efSearch = 256
    model = fit(host, X)
    found = search(index, model.transform(X))
    lists = model.recommend(X, K, exclude_seen=False)
    assert shared(found, lists) > 0.9
    assert shared(found, host.recommend(X, K, exclude_seen=False)) < 0.9
