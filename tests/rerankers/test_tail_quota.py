"""The quota against a plain reference, and by hand."""

import numpy as np
import pytest
from scipy.sparse import csr_array

from skpopsteer.rerankers import TailQuotaReranker
from tests.rerankers.plain_lists import IDS, host_of, padded, pools_of, random_case


def reference(pool, groups, k, n_tail):
    """Keep the host's first items, add tail items, fill up."""
    places = list(range(min(k - n_tail, len(pool))))
    rest = [place for place in range(len(pool)) if place not in places]
    tail = [place for place in rest if groups[pool[place][0]] == -1]
    others = [place for place in rest if groups[pool[place][0]] != -1]
    return (places + tail + others)[:k]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("strength", "n_tail"), [(0.07, 0), (0.1, 1), (0.3, 2), (0.69, 3), (1, 5), (7, 5)]
)
def test_lists_are_those_of_the_reference(seed, strength, n_tail):
    X, host = random_case(seed, ties=seed == 2)
    model = TailQuotaReranker(host, pool_size=11, n_recommendations=5)
    model.fit(X, user_ids=IDS)
    lists = model.recommend(X, strength=strength, user_ids=IDS)
    for row, pool in zip(lists, pools_of(host, X, 11), strict=True):
        places = reference(pool, model.item_groups_, 5, n_tail)
        assert row.tolist() == padded(pool, places, 5)


def test_by_hand():
    # Items by score: 0 1 2 3 4 5; 2 and 5 are the tail, 3 is in between.
    host = host_of([[6, 5, 4, 3, 2, 1], [6, 5, 4, 3, 2, 1]])
    X, groups = csr_array((2, 6)), [1, 1, -1, 0, 1, -1]

    def lists(strength, **params):
        model = TailQuotaReranker(host, n_recommendations=4, **params)
        model.fit(X, item_groups=groups)
        return model.recommend(X, strength=strength, user_ids=[0, 1]).tolist()[0]

    assert lists(0.25) == [0, 1, 2, 5]
    assert lists(0.5) == [0, 1, 2, 5]
    # Two items of the tail are all there are: the host's next fill up.
    assert lists(0.75) == [0, 2, 5, 1]
    assert lists(1) == [2, 5, 0, 1]
    assert lists(0.5, pool_size=4) == [0, 1, 2, 3]
    assert lists(1, keep_top=2) == [0, 1, 2, 5]


def test_a_quota_of_each_user():
    host = host_of(np.tile(np.arange(8.0, 0, -1), (3, 1)))
    X, groups = csr_array((3, 8)), [1, 1, 1, 1, -1, -1, -1, -1]
    model = TailQuotaReranker(
        host, strength=0.5, n_recommendations=4,
        user_strength=lambda X: np.array([0.0, 0.5, 9.0]),
    )  # fmt: skip
    lists = model.fit(X, item_groups=groups).recommend(X, user_ids=[0, 1, 2])
    assert lists.tolist() == [[0, 1, 2, 3], [0, 1, 2, 4], [4, 5, 6, 7]]
