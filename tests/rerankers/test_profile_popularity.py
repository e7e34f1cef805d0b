"""The head's share of lists against a plain reference, and by hand."""

import numpy as np
import pytest
from scipy.sparse import csr_array

from skpopsteer import PopularityGroups
from skpopsteer.rerankers import ProfilePopularityReranker
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


def reference(pool, groups, wanted, k, strength):
    relevance = plain_relevance(pool)
    in_head = [groups[item] == 1 for item, _ in pool]

    def gain(chosen, place):
        share = sum(in_head[p] for p in [*chosen, place]) / (len(chosen) + 1)
        return relevance[place] - strength * abs(share - wanted)

    return plain_greedy(pool, k, gain)


@pytest.mark.parametrize("strength", [0.2, 1.0, 1000.0])
@pytest.mark.parametrize("groups", [None, PopularityGroups("mass")])
@pytest.mark.parametrize("seed", range(3))
def test_lists_are_those_of_the_reference(seed, groups, strength):
    X, host = random_case(seed)
    model = ProfilePopularityReranker(
        host, strength=strength, groups=groups, pool_size=11, n_recommendations=6
    ).fit(X, user_ids=IDS)
    likes = plain_shares(X, model.item_groups_, [1])
    lists = model.recommend(X, user_ids=IDS)
    for row, pool, wanted in zip(lists, pools_of(host, X, 11), likes, strict=True):
        places = reference(pool, model.item_groups_, wanted, 6, strength)
        assert row.tolist() == padded(pool, places, 6)


def test_the_share_of_a_short_history_is_that_of_its_items():
    # Padding that counted as unpopular would make a niche user of the first.
    host = host_of(np.tile([9.0, 8, 7, 6, 5, 4, 3, 2], (2, 1)))
    X = csr_array([[1, 0, 0, 0, 0, 0, 0, 0], [0, 0, 0, 0, 1, 1, 1, 1]])
    groups = [1, 1, 1, 1, -1, -1, -1, -1]
    model = ProfilePopularityReranker(host, strength=100, n_recommendations=3)
    lists = model.fit(X, item_groups=groups).recommend(
        X, user_ids=[0, 1], exclude_seen=False
    )
    assert lists.tolist() == [[0, 1, 2], [4, 5, 6]]


def test_lists_stand_in_the_order_in_which_they_were_filled():
    # A quarter of the history is head: one of four, and not the first two.
    host = host_of([[-9.0, -9, -9, -9, 8, 7, 6, 5, 4, 3]])
    X = csr_array([[1, 1, 1, 1, 0, 0, 0, 0, 0, 0]])
    groups = [1, -1, -1, -1, 1, 1, 1, -1, -1, -1]
    model = ProfilePopularityReranker(host, strength=100, n_recommendations=4)
    lists = model.fit(X, item_groups=groups).recommend(X, user_ids=[0])
    # Shares after one to four: 0, then 1/2 or 0 (both a quarter off: the better item).
    assert lists.tolist() == [[7, 4, 8, 9]]
