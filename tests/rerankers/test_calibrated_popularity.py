"""Calibrated popularity against its objective, and by hand."""

import numpy as np
import pytest
from scipy.sparse import csr_array
from scipy.spatial.distance import jensenshannon

from skpopsteer import PopularityGroups
from skpopsteer.metrics import user_popularity_deviation
from skpopsteer.rerankers import CalibratedPopularityReranker
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


def reference(pool, groups, wanted, k, lam):
    """Fill a list by the objective of the whole list so far."""
    relevance = plain_relevance(pool)

    def gain(chosen, place):
        members = [*chosen, place]
        labels = [groups[pool[p][0]] for p in members]
        given = [labels.count(group) / len(labels) for group in (-1, 0, 1)]
        divergence = jensenshannon(wanted, given, base=2) ** 2
        total = sum(relevance[p] for p in members)
        # Rounded, as equal gains must meet: the sum adds up in another order.
        return round((1 - lam) * total - lam * divergence, 12)

    return plain_greedy(pool, k, gain)


@pytest.mark.parametrize("lam", [0.2, 0.5, 0.95])
@pytest.mark.parametrize("groups", [None, PopularityGroups("mass")])
@pytest.mark.parametrize("seed", range(3))
def test_lists_are_those_of_the_reference(seed, groups, lam):
    X, host = random_case(seed)
    model = CalibratedPopularityReranker(
        host, groups=groups, pool_size=11, n_recommendations=6
    ).fit(X, user_ids=IDS)
    lists = model.recommend(X, strength=lam / (1 - lam), user_ids=IDS)
    shares = zip(
        *(plain_shares(X, model.item_groups_, [g]) for g in (-1, 0, 1)), strict=True
    )
    for row, pool, wanted in zip(lists, pools_of(host, X, 11), shares, strict=True):
        places = reference(pool, model.item_groups_, wanted, 6, lam)
        assert row.tolist() == padded(pool, places, 6)


def test_by_hand():
    # The history is all tail, of which item 4 is left: relevance 1, .5, .25 and 0.
    host = host_of([[-9.0, 4.0, 2.0, 1.0, 0.0]])
    X, groups = csr_array([[1, 0, 0, 0, 0]]), [-1, 1, 1, 1, -1]
    model = CalibratedPopularityReranker(host, n_recommendations=2)
    model.fit(X, item_groups=groups)

    def lists(strength):
        return model.recommend(X, strength=strength, user_ids=[0]).tolist()[0]

    # A list of head items is one bit off, one that is half tail .3113 bits:
    # log2(4/3) / 2 + (log2(2/3) + log2(2)) / 4.
    assert lists(0.5 / (1 - 0.3113) - 0.001) == [1, 2]
    assert lists(0.5 / (1 - 0.3113) + 0.001) == [1, 4]
    assert lists(0.999) == [1, 4]
    assert lists(1.001) == [4, 1]


def test_a_great_strength_leaves_little_deviation():
    X, host = random_case(1)
    model = CalibratedPopularityReranker(host).fit(X, user_ids=IDS)
    deviations = [
        user_popularity_deviation(
            X, model.recommend(X, strength=s, user_ids=IDS), model.item_groups_
        )
        for s in (0, 1, 100)
    ]
    assert deviations[0] > deviations[1] > deviations[2]
    assert np.isfinite(deviations).all()
