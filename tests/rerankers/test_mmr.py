"""Maximal marginal relevance against its formula, and by hand."""

import math

import numpy as np
import pytest
from scipy.sparse import csr_array

from skpopsteer import as_recommender
from skpopsteer.rerankers import MMRReranker, PopularityPenaltyReranker
from tests.rerankers.plain_lists import (
    IDS,
    host_of,
    padded,
    plain_greedy,
    plain_relevance,
    pools_of,
    random_case,
)


def reference(pool, likeness, k, lam):
    """Fill a list by the published formula."""
    relevance = plain_relevance(pool)

    def gain(chosen, place):
        item = pool[place][0]
        nearest = max((likeness(item, pool[p][0]) for p in chosen), default=0.0)
        return lam * relevance[place] - (1 - lam) * nearest

    return plain_greedy(pool, k, gain)


def popularity_likeness(popularity):
    logs = [math.log(max(p, 1)) for p in popularity]
    span = max(logs) - min(logs)
    return lambda i, j: 1 - abs(logs[i] - logs[j]) / span


def embedding_likeness(V):
    V = V.astype(np.float64)
    return lambda i, j: V[i] @ V[j] / np.linalg.norm(V[i]) / np.linalg.norm(V[j])


@pytest.mark.parametrize("similarity", ["popularity", "embedding"])
@pytest.mark.parametrize("lam", [0.9, 0.5, 0.1])
@pytest.mark.parametrize("seed", range(3))
def test_lists_are_those_of_the_formula(seed, lam, similarity):
    X, host = random_case(seed)
    strength = (1 - lam) / lam
    model = MMRReranker(
        host, strength=strength, similarity=similarity, pool_size=11,
        n_recommendations=6,
    ).fit(X, user_ids=IDS)  # fmt: skip
    if similarity == "popularity":
        likeness = popularity_likeness(model.item_popularity_)
    else:
        likeness = embedding_likeness(host.item_embeddings_)
    lists = model.recommend(X, user_ids=IDS)
    for row, pool in zip(lists, pools_of(host, X, 11), strict=True):
        assert row.tolist() == padded(pool, reference(pool, likeness, 6, lam), 6)


def test_by_hand_in_popularity():
    # Levels by log: 1, 1/2, 1, 0. Relevance: 1, 2/3, 1/3 ... of the last, 0.
    host = host_of([[9.0, 8.0, 8.5, 0.0]])
    model = MMRReranker(host, n_recommendations=3)
    model.fit(csr_array((1, 4)), item_popularity=[100, 10, 100, 1])

    def lists(strength):
        return model.recommend(
            csr_array((1, 4)), strength=strength, user_ids=[0]
        ).tolist()[0]

    # Item 2 is like item 0 (1), item 1 half so: they swap where s / 2 = .5 / 9.
    assert lists(0.11) == [0, 2, 1]
    assert lists(0.12) == [0, 1, 2]
    # Item 3 is unlike item 0: it comes second where s / 2 = 8 / 9.
    assert lists(1.77)[:2] == [0, 1]
    assert lists(1.79)[:2] == [0, 3]


def test_by_hand_in_embeddings():
    V = np.array([[1.0, 0], [10, 1], [0, 2], [0, 0]], dtype=np.float32)
    host = as_recommender((np.array([[1.0, 0.5]], dtype=np.float32), V))
    model = MMRReranker(
        host, similarity="embedding", strength=100.0, n_recommendations=4
    ).fit(csr_array((1, 4)))
    # Scores 1, 10.5, 1, 0: item 1 first, then what is least like it. An item of length
    # 0 is like nothing, a right angle is no likeness, and their order is the host's.
    assert model.recommend(csr_array((1, 4)), user_ids=[0]).tolist() == [[1, 3, 2, 0]]


def test_lengths_beyond_float32_are_measured():
    X, host = random_case(0)
    U, V = host.encode_users(X, IDS), host.item_embeddings_
    # Its square is no number of float32, and the items are of many lengths.
    V = V * np.linspace(1, 3, len(V), dtype=np.float32)[:, None]
    params = {"similarity": "embedding", "strength": 5.0, "n_recommendations": 6}
    expected = MMRReranker(as_recommender((U, V)), **params).fit(X, user_ids=IDS)
    long = as_recommender((U * np.float32(1e-25), V * np.float32(1e25)))
    model = MMRReranker(long, **params).fit(X, user_ids=IDS)
    lists = model.recommend(X, user_ids=IDS)
    assert np.array_equal(lists, expected.recommend(X, user_ids=IDS))
    assert (lists != long.recommend(X, 6, user_ids=IDS)).any()


def test_equally_popular_items_are_all_alike():
    X, host = random_case(0)
    model = MMRReranker(host, strength=5.0, n_recommendations=6)
    model.fit(X, user_ids=IDS, item_popularity=np.full(24, 7))
    own = host.recommend(X, 6, user_ids=IDS)
    assert np.array_equal(model.recommend(X, user_ids=IDS), own)


def test_an_unknown_similarity_is_refused():
    X, host = random_case(0)
    with pytest.raises(ValueError, match="The 'similarity' parameter of MMRReranker"):
        MMRReranker(host, similarity="genres").fit(X)


def test_a_host_without_embeddings_has_likeness_in_popularity_alone():
    X, host = random_case(0)
    penalty = PopularityPenaltyReranker(host, pool_size=9).fit(X, user_ids=IDS)
    assert MMRReranker(penalty).fit(X, user_ids=IDS).predict(X).shape == (len(IDS), 10)
    with pytest.raises(
        ValueError, match=r"'embedding' with PopularityPenaltyReranker\."
    ):
        MMRReranker(penalty, similarity="embedding").fit(X, user_ids=IDS)
