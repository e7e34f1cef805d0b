"""Lists with short and empty rows, and tables of them."""

import pytest

from skpopsteer import (
    PopularityPenaltyReranker,
)
from skpopsteer.metrics import RankingFrame
from skpopsteer.popularity import item_popularity
from tests.metrics.group_cells import FUNCTIONS, RULE


@pytest.fixture(scope="session")
def lists(host, split):
    lists = host.recommend(split[0], 8)
    # Short and empty lists, as a small set of candidates makes them.
    lists[::7, 5:] = -1
    lists[::31] = -1
    return lists


@pytest.fixture(scope="session")
def known(split, lists):
    X, y = split
    popularity = item_popularity(X)
    return {
        "X": X, "y": y, "recommendations": lists, "n_items": 100, "n_users": 200,
        "item_popularity": popularity, "item_groups": RULE.label(popularity),
    }  # fmt: skip


@pytest.fixture(scope="session")
def frame(split, lists):
    names = [*(f"{name}@6" for name in FUNCTIONS), "slot_share@6"]
    return RankingFrame(
        names, *split, lists, item_groups=RULE, n_boot=40, random_state=3
    )


@pytest.fixture(scope="session")
def other(host, split):
    model = PopularityPenaltyReranker(host, strength=0.2).fit(split[0])
    return RankingFrame(
        ["ndcg@6", "gini@6", "novelty@6", "popularity_lift@6"], *split,
        model.recommend(split[0], 8), item_groups=RULE, n_boot=200, random_state=9,
    )  # fmt: skip


@pytest.fixture(scope="session")
def pair(other, split, lists):
    first = RankingFrame(
        other.metrics, *split, lists, item_groups=RULE, n_boot=200, random_state=4
    )
    return first, first.compare(other)
