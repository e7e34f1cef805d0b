"""xQuAD against Equation 4 of its publication, and by hand."""

import math

import numpy as np
import pytest
from scipy.sparse import csr_array

from skpopsteer.rerankers import XQuADReranker
from tests.rerankers.plain_lists import (
    IDS,
    host_of,
    padded,
    plain_greedy,
    plain_relevance,
    plain_shares,
    pools_of,
    random_case,
)


def reference(pool, groups, likes_tail, k, lam, coverage):
    """Fill a list by the published score, of relevance and coverage."""
    relevance = plain_relevance(pool)
    in_tail = [groups[item] == -1 for item, _ in pool]

    def covered(other, category, chosen):
        if coverage == "binary":
            return float(in_tail[other] == category)
        return sum(in_tail[p] == category for p in chosen) / len(chosen)

    def gain(chosen, place):
        category = in_tail[place]
        likes = likes_tail if category else 1 - likes_tail
        missing = [1 - covered(other, category, chosen) for other in chosen]
        product = math.prod(missing)
        if coverage == "share" and missing:
            product = missing[0]
        return (1 - lam) * relevance[place] + lam * likes * product

    return plain_greedy(pool, k, gain)


@pytest.mark.parametrize("coverage", ["smooth", "binary", "share"])
@pytest.mark.parametrize("lam", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("seed", range(3))
def test_lists_are_those_of_the_reference(seed, lam, coverage):
    X, host = random_case(seed)
    model = XQuADReranker(host, coverage=coverage, pool_size=11, n_recommendations=6)
    model.fit(X, user_ids=IDS)
    lists = model.recommend(X, strength=lam / (1 - lam), user_ids=IDS)
    likes = plain_shares(X, model.item_groups_, [-1])
    for row, pool, tail in zip(lists, pools_of(host, X, 11), likes, strict=True):
        places = reference(pool, model.item_groups_, tail, 6, lam, coverage)
        assert row.tolist() == padded(pool, places, 6)


def test_by_hand():
    # Half of the history is tail. Relevance is 1, .9, .3 and 0; the last is not listed.
    host = host_of([[-9.0, -9.0, 10.0, 9.0, 3.0, 0.0]])
    X = csr_array([[1, 1, 0, 0, 0, 0]])
    groups = [1, -1, 1, 1, -1, 1]

    def lists(strength, coverage):
        model = XQuADReranker(host, coverage=coverage, n_recommendations=3)
        model.fit(X, item_groups=groups)
        return model.recommend(X, strength=strength, user_ids=[0]).tolist()[0]

    # After item 2 the head is covered: .9 against .3 + s / 2.
    assert lists(1.1, "binary") == [2, 3, 4]
    assert lists(1.3, "binary") == [2, 4, 3]


def test_equal_scores_go_to_the_hosts_better_item():
    host = host_of(np.zeros((1, 6)))
    X, groups = csr_array([[1, 0, 0, 0, 0, 1]]), [1, 1, -1, 1, -1, -1]
    model = XQuADReranker(host, n_recommendations=4).fit(X, item_groups=groups)
    # Head, then the tail that is not covered yet, and so on.
    assert model.recommend(X, user_ids=[0]).tolist() == [[1, 2, 3, 4]]


def test_all_but_the_tail_is_one_category():
    X, host = random_case(0)
    groups = np.arange(24) % 3 - 1
    model = XQuADReranker(host, n_recommendations=6)
    with_mid = model.fit(X, item_groups=groups).recommend(X, user_ids=IDS)
    merged = np.where(groups == 0, 1, groups)
    without = model.fit(X, item_groups=merged).recommend(X, user_ids=IDS)
    assert np.array_equal(with_mid, without)
