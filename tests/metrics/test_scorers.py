"""Scorers: the right figure, the right sign, the lists made once."""

import pickle

import numpy as np
import pytest
from scipy.sparse import csr_array
from sklearn import config_context
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.model_selection import (
    GridSearchCV,
    HalvingGridSearchCV,
    RandomizedSearchCV,
    cross_validate,
    learning_curve,
)

from skpopsteer import PopularityGroups, PopularityPenaltyReranker, as_recommender
from skpopsteer import metrics as m
from skpopsteer.metrics import get_scorer, get_scorer_names, make_recommender_scorer
from skpopsteer.model_selection import HeldOut, interaction_folds
from skpopsteer.popularity import item_popularity


@pytest.fixture(scope="module")
def model(host, split):
    return PopularityPenaltyReranker(host, strength=0.1).fit(split[0])


def expected(ids, X, y):
    popularity = item_popularity(X)
    groups = PopularityGroups().label(popularity)
    return {
        "ndcg": m.ndcg(y, ids),
        "recall": m.recall(y, ids),
        "precision": m.precision(y, ids),
        "hit_rate": m.hit_rate(y, ids),
        "mrr": m.mrr(y, ids),
        "map": m.mean_average_precision(y, ids),
        "coverage": m.coverage(ids, 100),
        "entropy": m.entropy(ids, 100),
        "novelty": m.novelty(ids, popularity, X.shape[0]),
        "tail_coverage": m.tail_coverage(ids, groups),
        "tail_share": m.tail_share(ids, groups),
        "average_tail_items": m.average_tail_items(ids, groups),
        "neg_gini": -m.gini(ids, 100),
        "neg_average_popularity": -m.average_popularity(ids, popularity),
        "neg_popularity_lift": -m.popularity_lift(X, ids, popularity),
        "neg_popreo": -m.popreo(y, ids, groups, X=X),
        "neg_poprsp": -m.poprsp(ids, groups, X=X),
        "neg_user_popularity_deviation": -m.user_popularity_deviation(X, ids, groups),
    }


def test_every_name_is_its_metric_with_the_sign_a_search_needs(host, split):
    X, y = split
    values = expected(host.recommend(X, 5), X, y)
    assert sorted(values) == get_scorer_names()
    for name, value in values.items():
        assert get_scorer(f"{name}@5")(host, X, y) == pytest.approx(value), name


def test_several_metrics_read_lists_that_are_made_once(host, split, monkeypatch):
    X, y = split
    calls = []
    recommend = type(host.estimator).recommend

    def counting(self, *args, **kwargs):
        calls.append(args)
        return recommend(self, *args, **kwargs)

    monkeypatch.setattr(type(host.estimator), "recommend", counting)
    scores = get_scorer(["ndcg@5", "neg_gini@10", "recall"])(host, X, y)
    assert len(calls) == 1
    assert scores == {
        name: pytest.approx(get_scorer(name)(host, X, y)) for name in scores
    }


@pytest.mark.parametrize(
    ("alias", "name"),
    [
        ("hit@5", "hit_rate@5"),
        ("tailpercentage@5", "tail_share@5"),
        ("APLT@5", "tail_share@5"),
        ("itemcoverage@5", "coverage@5"),
        ("neg_giniindex@5", "neg_gini@5"),
        ("neg_averagepopularity@5", "neg_average_popularity@5"),
    ],
)
def test_names_of_other_libraries_are_known(host, split, alias, name):
    assert get_scorer(alias)(host, *split) == get_scorer(name)(host, *split)


def test_popularity_is_that_of_fit_and_not_of_the_rows_that_are_scored(model, split):
    X, y = split
    few = slice(0, 20)
    value = get_scorer("neg_average_popularity")(model, X[few], y[few])
    ids = model.predict(X[few])
    assert value == pytest.approx(-m.average_popularity(ids, item_popularity(X)))
    assert np.isfinite(get_scorer("novelty")(model, X[few], y[few]))


def test_groups_can_be_the_callers(model, split):
    X, y = split
    groups = PopularityGroups("head_mass")
    value = get_scorer("tail_share@10", groups=groups)(model, X, y)
    labels = groups.label(item_popularity(X))
    assert value == pytest.approx(m.tail_share(model.predict(X), labels))


def test_a_function_of_ones_own_gets_what_its_parameters_name(host, split):
    X, y = split

    def unseen_share(recommendations, item_popularity):
        return (item_popularity[recommendations] == 0).mean() + recommendations.shape[1]

    scorer = make_recommender_scorer(unseen_share, k=3, greater_is_better=False)
    share = (item_popularity(X)[host.recommend(X, 3)] == 0).mean()
    assert scorer(host, X, y) == pytest.approx(-(share + 3))
    assert repr(scorer) == "get_scorer('neg_unseen_share@3')"


def test_a_scorer_pickles(host, split):
    scorer = get_scorer(["ndcg@5", "neg_gini"])
    assert pickle.loads(pickle.dumps(scorer))(host, *split) == scorer(host, *split)


@pytest.mark.parametrize("search", [GridSearchCV, HalvingGridSearchCV])
def test_searches_take_a_scorer(host, split, search):
    result = search(
        PopularityPenaltyReranker(host),
        {"strength": [0.0, 0.2]},
        cv=2,
        scoring=get_scorer("neg_average_popularity@10"),
    ).fit(*split)
    assert result.best_params_ == {"strength": 0.2}
    assert (result.cv_results_["mean_test_score"] < 0).all()


def test_a_search_takes_several_metrics(host, split):
    search = RandomizedSearchCV(
        PopularityPenaltyReranker(host),
        {"strength": [0.0, 3.0]},
        n_iter=2,
        cv=2,
        scoring=get_scorer(["ndcg@10", "tail_share@10"]),
        refit="ndcg@10",
        random_state=0,
    ).fit(*split)
    assert search.best_params_ == {"strength": 0.0}
    assert "mean_test_tail_share@10" in search.cv_results_


def test_what_refuses_a_sparse_y_takes_it_held_out(host, split):
    X, y = split
    model = PopularityPenaltyReranker(host)
    scorer = get_scorer(["ndcg@10", "neg_gini@10"])
    scores = cross_validate(model, X, HeldOut(y), cv=4, scoring=scorer)
    assert scores["test_ndcg@10"].shape == (4,)
    fold = slice(0, 50)
    assert scores["test_ndcg@10"][0] == pytest.approx(
        m.ndcg(y[fold], model.fit(X[50:]).predict(X[fold]))
    )
    _, _, tests = learning_curve(
        model, X, HeldOut(y), cv=2, scoring=get_scorer("ndcg@10"), train_sizes=[0.5, 1]
    )
    assert tests.shape == (2, 2)
    assert np.isfinite(tests).all()


def test_folds_of_interactions_are_a_cv(host, interactions):
    X, y, cv = interaction_folds(interactions, 3, random_state=0)
    search = GridSearchCV(
        PopularityPenaltyReranker(host),
        {"strength": [0.0, 0.1]},
        cv=cv,
        scoring=get_scorer("ndcg@10"),
    ).fit(X, y)
    for split_, (train, test) in enumerate(cv):
        model = PopularityPenaltyReranker(host, strength=0.1).fit(X[train])
        value = m.ndcg(y[test], model.predict(X[test]))
        scores = search.cv_results_[f"split{split_}_test_score"]
        assert scores[1] == pytest.approx(value)


def test_user_ids_are_routed_to_fit_and_score(split):
    X, y = split
    U, V = np.random.default_rng(0).normal(size=(2, 200, 4))
    host = as_recommender((U, V[:100]))
    ids = np.arange(200)
    with config_context(enable_metadata_routing=True):
        search = GridSearchCV(
            PopularityPenaltyReranker(host),
            {"strength": [0.0]},
            cv=2,
            scoring=get_scorer("ndcg@10"),
        ).fit(X, y, user_ids=ids)
    half = slice(0, 100)
    own = m.ndcg(y[half], host.recommend(X[half], user_ids=ids[half]))
    assert search.cv_results_["split0_test_score"][0] == pytest.approx(own)
    assert own != pytest.approx(m.ndcg(y[half], host.recommend(X[half])))


@pytest.mark.parametrize(
    ("scoring", "message"),
    [
        ("ndgc@10", "`scoring` must be one of average_tail_items, coverage.*'ndgc@10'"),
        ("gini@10", "`scoring` must be something to maximise.*Write 'neg_gini@10'"),
        ("neg_ndcg@10", "`scoring` must be one of"),
        ("ndcg@", "`scoring` must have a length >= 1 behind the @"),
        ("ndcg@0", "`scoring` must have a length >= 1 behind the @"),
        ("ndcg@ten", "`scoring` must have a length >= 1 behind the @"),
        ([], "`scoring` must be a name or a list of names"),
        (5, "`scoring` must be a name or a list of names"),
    ],
)
def test_a_name_that_does_not_exist_is_refused(scoring, message):
    with pytest.raises(ValueError, match=message):
        get_scorer(scoring)


def test_held_out_items_that_were_seen_are_refused(host, split):
    X, _ = split
    overlapping = X.copy()
    overlapping.data[:] = 1
    for scorer in (get_scorer("ndcg@5"), get_scorer(["mrr", "neg_gini"])):
        with pytest.raises(ValueError, match=r"^`y` must not overlap `X`; got \d+ of"):
            scorer(host, X, overlapping)
    with pytest.raises(ValueError, match=r"^`y` must not overlap `X`"):
        host.score(X, overlapping)
    with pytest.warns(UserWarning, match=r"^`y` must not overlap `X`; got 200 of 200"):
        host.score(X, X.toarray().argmax(axis=1))


@pytest.mark.parametrize("form", ["sparse", "positions"])
def test_an_empty_y_is_refused(host, split, form):
    X, _ = split
    y = csr_array(X.shape) if form == "sparse" else np.full(X.shape[0], -1)
    with pytest.raises(ValueError, match=r"^`y` must hold at least one held-out"):
        get_scorer("ndcg")(host, X, y)


def test_a_y_of_another_shape_is_refused(host, split):
    X, y = split
    for wrong, line in [
        (y[:50], "`y` must have one row per list of `recommendations` .200.; got 50"),
        (y[:, :99], "`y` must have one column per item .100.; got 99"),
        (np.zeros(5, dtype=int), "`y` must have one row per list"),
        (np.full(200, 100), "`y` must hold item positions below 100; got 100"),
    ]:
        with pytest.raises(ValueError, match=f"^{line}"):
            get_scorer("ndcg")(host, X, wrong)


def test_metrics_of_exposure_need_no_y(host, split):
    X, _ = split
    value = get_scorer("neg_gini@5")(host, X)
    assert value == -m.gini(host.recommend(X, 5), 100)
    with pytest.raises(TypeError, match=r"^`y` must be"):
        get_scorer(["neg_gini@5", "ndcg@5"])(host, X)
    model = PopularityPenaltyReranker(host)
    search = GridSearchCV(
        model, {"strength": [0.0, 0.2]}, cv=2, scoring=get_scorer("neg_gini@5")
    )
    assert search.fit(X).best_params_ == {"strength": 0.2}


def test_draws_of_the_users_are_scores_of_those_users(host, split):
    X, y = split
    scorer = get_scorer(["ndcg@5", "neg_gini@5", "neg_popularity_lift@5"])
    lists = host.recommend(X, 5)
    draws = scorer.bootstrap_lists(host, X, y, lists, n_boot=3, random_state=7)
    rng = np.random.RandomState(7)
    for i in range(3):
        rows = rng.randint(200, size=200)
        assert draws["ndcg@5"][i] == pytest.approx(m.ndcg(y[rows], lists[rows]))
        assert draws["neg_gini@5"][i] == pytest.approx(-m.gini(lists[rows], 100))
        lift = m.popularity_lift(X[rows], lists[rows], item_popularity(X))
        assert draws["neg_popularity_lift@5"][i] == pytest.approx(-lift)
    held_out = scorer.bootstrap_lists(
        host, X, HeldOut(y), lists, n_boot=3, random_state=np.random.RandomState(7)
    )
    assert held_out["ndcg@5"].shape == (3,)


def test_the_spread_of_the_draws_is_the_standard_error_of_the_mean(host, split):
    X, y = split
    lists = host.recommend(X, 5)
    draws = get_scorer("ndcg@5").bootstrap_lists(
        host, X, y, lists, n_boot=2000, random_state=0
    )["ndcg@5"]
    values = m.ndcg(y, lists, per_user=True)
    values = values[~np.isnan(values)]
    assert draws.mean() == pytest.approx(values.mean(), abs=2e-3)
    assert draws.std() == pytest.approx(values.std() / np.sqrt(len(values)), rel=0.08)
