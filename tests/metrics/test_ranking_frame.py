"""Metrics by group of users and items: the right figure in every cell."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array

from skpopsteer import (
    PopularityGroups,
    PopularityPenaltyReranker,
    as_recommender,
)
from skpopsteer import metrics as m
from skpopsteer.metrics import RankingFrame, taste_groups
from skpopsteer.metrics._arguments import call_arguments
from skpopsteer.popularity import item_popularity
from tests.metrics.group_cells import (
    BETWEEN_GROUPS,
    FUNCTIONS,
    RULE,
    cell,
    columns_of,
    rows_of,
)


def longest(recommendations):
    return float((recommendations >= 0).sum(axis=1).max())


@pytest.mark.parametrize("name", FUNCTIONS)
def test_cells_of_user_groups_are_the_metric_of_their_rows(frame, known, name):
    tastes = taste_groups(known["X"], known["item_groups"])
    everybody = np.ones(200, dtype=bool)
    for group in frame.user_groups:
        rows = everybody if group == "all" else tastes == group
        arguments = call_arguments(FUNCTIONS[name], rows_of(known, rows), 6)
        value = frame.values[cell(frame, f"{name}@6", group)]
        assert np.isfinite(value)
        assert value == pytest.approx(FUNCTIONS[name](**arguments), abs=1e-12)


@pytest.mark.parametrize("name", [n for n in FUNCTIONS if n not in BETWEEN_GROUPS])
@pytest.mark.parametrize(("group", "label"), [("head", 1), ("mid", 0), ("tail", -1)])
def test_cells_of_item_groups_are_the_metric_in_their_catalogue(
    frame, known, name, group, label
):
    items = np.flatnonzero(known["item_groups"] == label)
    niche = taste_groups(known["X"], known["item_groups"]) == "niche"
    for users, rows in [("all", np.ones(200, dtype=bool)), ("niche", niche)]:
        within = columns_of(rows_of(known, rows), items)
        expected = FUNCTIONS[name](**call_arguments(FUNCTIONS[name], within, 6))
        value = frame.values[cell(frame, f"{name}@6", users, group)]
        assert value == pytest.approx(expected, abs=1e-12, nan_ok=True)


def test_metrics_between_item_groups_have_no_value_within_one(frame):
    for name in FUNCTIONS:
        values = frame.values[frame.metrics.index(f"{name}@6"), :, 1:]
        assert np.isnan(values).all() == (name in BETWEEN_GROUPS)
    silent = ", ".join(f"{name}@6" for name in FUNCTIONS if name in BETWEEN_GROUPS)
    assert f"No value within one group of items: {silent}." in frame.notes


def test_accuracy_by_item_group_by_hand():
    # Items 0 (head), 1 (mid), 2 and 3 (tail); lists rank 0 first and 2 second.
    y = csr_array([[1, 0, 1, 1], [1, 0, 0, 0], [0, 0, 0, 1]])
    frame = RankingFrame(
        ["recall", "ndcg", "mrr"], csr_array((3, 4)), y, [[0, 2], [0, 2], [0, 2]],
        item_groups=[1, 0, -1, -1], n_boot=0,
    )  # fmt: skip
    second = 1 / np.log2(3)
    assert frame.by_item_group == {
        "recall": {
            "all": pytest.approx((2 / 3 + 1 + 0) / 3), "head": 1.0,
            "mid": pytest.approx(np.nan, nan_ok=True), "tail": 0.25,
        },
        "ndcg": {
            "all": pytest.approx((1 + 1 + 0) / 3), "head": 1.0,
            "mid": pytest.approx(np.nan, nan_ok=True),
            "tail": pytest.approx(second / (1 + second) / 2),
        },
        "mrr": {
            "all": pytest.approx(2 / 3), "head": 1.0,
            "mid": pytest.approx(np.nan, nan_ok=True), "tail": 0.25,
        },
    }  # fmt: skip
    assert_array_equal(frame.n_users[0, 0], [3, 2, 0, 2])


def test_exposure_by_item_group_by_hand():
    X = csr_array([[1, 0, 0, 0], [1, 1, 0, 0]])
    frame = RankingFrame(
        ["slot_share", "coverage", "gini", "average_popularity", "popularity_lift"],
        X, None, [[0, 2], [0, -1]], item_groups=[1, 1, -1, -1],
        item_popularity=[8, 2, 3, 1], user_groups=["a", "b"], n_boot=0,
    )  # fmt: skip
    by_item = {name: list(v.values()) for name, v in frame.by_item_group.items()}
    assert by_item["slot_share"] == [0.75, 0.5, 0.25]
    assert by_item["coverage"] == [0.5, 0.5, 0.5]
    # Counts (2, 0, 1, 0), (2, 0) and (1, 0).
    assert_allclose(by_item["gini"], [7 / 12, 0.5, 0.5])
    assert_allclose(by_item["average_popularity"], [(5.5 + 8) / 2, 8, 3])
    # Head: lists 8 and 8, histories 8 and 5; nobody knows the tail.
    assert_allclose(by_item["popularity_lift"], [13.5 / 13 - 1, 16 / 13 - 1, np.nan])
    assert frame.by_user_group["coverage"] == {"all": 0.5, "a": 0.5, "b": 0.25}


def test_slot_shares_of_the_item_groups_add_up(frame):
    shares = frame.values[frame.metrics.index("slot_share@6")]
    assert 0 < shares[0, 0] < 1
    assert_allclose(shares[:, 1:].sum(axis=1), shares[:, 0])


def test_the_axes_are_named_in_a_fixed_order(frame):
    assert frame.user_groups == ["all", "niche", "diverse", "blockbuster"]
    assert frame.item_groups == ["all", "head", "mid", "tail"]
    assert sum(frame.group_sizes.values()) == 2 * frame.group_sizes["all"] == 400
    assert frame.overall["ndcg@6"] == frame.values[0, 0, 0]
    assert frame.by_user_group["ndcg@6"]["niche"] == frame.values[0, 1, 0]


def test_groups_without_an_item_are_left_out(split, lists):
    frame = RankingFrame("coverage", *split, lists, n_boot=0)
    assert frame.item_groups == ["all", "head", "tail"]


def test_groups_of_users_can_be_the_callers(split, lists):
    labels = np.where(np.arange(200) < 50, "z", "b").astype(object)
    frame = RankingFrame("gini", *split, lists, user_groups=labels, n_boot=0)
    assert list(frame.by_user_group["gini"].items())[1:] == [
        ("b", pytest.approx(m.gini(lists[50:], 100))),
        ("z", pytest.approx(m.gini(lists[:50], 100))),
    ]
    numbers = RankingFrame(
        "gini", *split, lists, user_groups=np.where(labels == "z", 10, 9), n_boot=0
    )
    assert numbers.user_groups == ["all", "9", "10"]
    assert_array_equal(numbers.values, frame.values)


def test_users_without_a_history_stand_apart(split, lists):
    X = split[0].toarray()
    X[:5] = 0
    frame = RankingFrame("gini", X, None, lists, n_boot=0)
    assert frame.user_groups[-1] == "no history"
    assert frame.group_sizes["no history"] == 5
    assert frame.values[0, -1, 0] == pytest.approx(m.gini(lists[:5], 100))


def test_the_lists_of_an_estimator_are_made_once(host, split, monkeypatch):
    X, y = split
    model = PopularityPenaltyReranker(host, n_recommendations=4).fit(X)
    calls = []
    recommend = PopularityPenaltyReranker.recommend

    def counted(self, X, n_recommendations, **kw):
        calls.append(n_recommendations)
        return recommend(self, X, n_recommendations, **kw)

    monkeypatch.setattr(PopularityPenaltyReranker, "recommend", counted)
    frame = RankingFrame.from_estimator(
        model, X, y, ["ndcg@7", "gini", longest], n_boot=0
    )
    assert calls == [7]
    lists = recommend(model, X, 7)
    assert frame.overall == {
        "ndcg@7": pytest.approx(m.ndcg(y, lists)),
        "gini": pytest.approx(m.gini(lists[:, :4], 100)),
        "longest": 4.0,
    }


def test_an_estimator_brings_its_popularity_and_groups(host, split):
    X, y = split
    few = slice(0, 30)
    model = PopularityPenaltyReranker(host).fit(X)
    model.item_groups_ = RULE.label(model.item_popularity_)
    model.groups = RULE
    frame = RankingFrame.from_estimator(
        model, X[few], y[few], ["novelty", "average_tail_items"], n_boot=0
    )
    lists = model.predict(X[few])
    assert frame.overall == {
        "novelty": pytest.approx(m.novelty(lists, item_popularity(X), 200)),
        "average_tail_items": pytest.approx(
            m.average_tail_items(lists, model.item_groups_)
        ),
    }
    assert str(RULE) in frame.convention
    model.groups = None
    given = RankingFrame.from_estimator(model, X, y, n_boot=0)
    assert "labels given" in given.convention
    assert given.item_groups == frame.item_groups
    mine = RankingFrame.from_estimator(
        model, X[few], y[few], ["novelty", "average_tail_items"], n_boot=0,
        item_groups=PopularityGroups(), item_popularity=item_popularity(X[few]),
    )  # fmt: skip
    assert mine.overall["average_tail_items"] != frame.overall["average_tail_items"]
    assert mine.overall["novelty"] == pytest.approx(
        m.novelty(lists, item_popularity(X[few]), 30)
    )


def test_user_ids_reach_the_estimator(split):
    X, y = split
    U, V = np.random.default_rng(0).normal(size=(2, 200, 4))
    host = as_recommender((U, V[:100]))
    ids = np.arange(200)[::-1]
    frame = RankingFrame.from_estimator(host, X, y, "ndcg", user_ids=ids, n_boot=0)
    expected = m.ndcg(y, host.recommend(X, user_ids=ids))
    assert frame.overall["ndcg"] == pytest.approx(expected)
