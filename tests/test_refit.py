"""Helpers for ``refit=``: the best within limits, and the knee of the frontier."""

import numpy as np
import pytest
from sklearn.model_selection import GridSearchCV

from skpopsteer import PopularityPenaltyReranker
from skpopsteer.metrics import get_scorer
from skpopsteer.model_selection import best_subject_to, knee


def results(**columns):
    return {f"mean_test_{name}": np.array(v) for name, v in columns.items()}


def test_the_best_objective_among_those_within_the_limits():
    table = results(
        ndcg=[0.4, 0.39, 0.3], tail=[0.1, 0.3, 0.5], gini=[-0.9, -0.8, -0.7]
    )
    assert best_subject_to("gini", within={"ndcg": 0.03})(table) == 1
    assert best_subject_to("gini", within={"ndcg": 0.5})(table) == 2
    assert best_subject_to("ndcg", at_least={"tail": 0.3})(table) == 1
    limits = {"at_least": {"tail": 0.2}, "within": {"ndcg": 0.3}}
    assert best_subject_to("ndcg", **limits)(table) == 1


def test_a_limit_that_is_met_exactly_is_met():
    table = results(ndcg=[0.5, 0.4], tail=[0.1, 0.3])
    assert best_subject_to("ndcg", at_least={"tail": 0.3})(table) == 1


def test_the_nearest_is_named_where_no_candidate_is_within():
    table = results(ndcg=[0.4, 0.3], tail=[0.1, 0.2])
    with pytest.warns(UserWarning, match=r"got none.*candidate 1, reaches .*0\.2"):
        assert best_subject_to("ndcg", at_least={"tail": 0.5})(table) == 1


def test_a_candidate_that_failed_is_never_chosen():
    table = results(ndcg=[np.nan, 0.3], tail=[np.nan, 0.2])
    assert best_subject_to("ndcg", at_least={"tail": 0.1})(table) == 1
    assert knee("ndcg", "tail")(table) == 1


def test_the_knee_is_the_point_furthest_above_the_line_between_the_ends():
    table = results(ndcg=[1.0, 0.95, 0.6, 0.0], tail=[0.0, 0.7, 0.8, 1.0])
    assert knee("ndcg", "tail")(table) == 1
    flat = results(ndcg=[1.0, 0.3, 0.25, 0.0], tail=[0.0, 0.1, 0.9, 1.0])
    assert knee("ndcg", "tail")(flat) == 2


def test_the_knee_is_no_dominated_point():
    table = results(ndcg=[1.0, 0.9, 0.89, 0.0], tail=[0.0, 0.8, 0.79, 1.0])
    assert knee("ndcg", "tail")(table) == 1


def test_one_candidate_that_is_best_at_both_is_the_knee():
    assert knee("ndcg", "tail")(results(ndcg=[0.1, 0.9], tail=[0.2, 0.8])) == 1
    assert knee("ndcg", "tail")(results(ndcg=[0.5, 0.5], tail=[0.2, 0.2])) == 0


@pytest.mark.parametrize(
    "refit",
    [
        best_subject_to("neg_average_popularity@10", within={"ndcg@10": 0.1}),
        knee("ndcg@10", "neg_average_popularity@10"),
    ],
)
def test_a_search_refits_what_they_choose(host, split, refit):
    search = GridSearchCV(
        PopularityPenaltyReranker(host),
        {"strength": [0.0, 0.05, 0.1, 0.5, 3.0]},
        cv=2,
        scoring=get_scorer(["ndcg@10", "neg_average_popularity@10"]),
        refit=refit,
    ).fit(*split)
    assert search.best_index_ == refit(search.cv_results_)
    assert search.best_estimator_.strength == search.best_params_["strength"] < 3.0


def test_a_metric_that_was_not_scored_is_named():
    with pytest.raises(ValueError, match=r"`refit` must name metrics .*\(ndcg\); got"):
        best_subject_to("gini")(results(ndcg=[0.1]))


@pytest.mark.parametrize("share", [-0.1, 1.0, 3])
def test_a_share_outside_its_range_is_refused(share):
    with pytest.raises(ValueError, match=r"`within` must hold shares in \[0, 1\)"):
        best_subject_to("ndcg", within={"tail": share})
