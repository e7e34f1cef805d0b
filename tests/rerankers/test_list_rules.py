"""What rules that choose lists have in common."""

import numpy as np
import pytest
from joblib import parallel_config
from scipy.sparse import csr_array, vstack
from sklearn.base import clone
from sklearn.decomposition import TruncatedSVD
from sklearn.model_selection import GridSearchCV

from skpopsteer import PopularityGroups, TunedSteeringCV, as_recommender, steering_path
from skpopsteer._pool import Pool
from skpopsteer.datasets import load_movielens
from skpopsteer.metrics import get_scorer
from skpopsteer.model_selection import hide_interactions
from skpopsteer.rerankers import (
    CalibratedPopularityReranker,
    FairTopKReranker,
    MaxMinExposureReranker,
    MMRReranker,
    PersonalTargetReranker,
    PopularityPenaltyReranker,
    ProfilePopularityReranker,
    TailQuotaReranker,
    XQuADReranker,
)
from skpopsteer.rerankers._list_rule import relevance
from tests.conftest import ROOT
from tests.rerankers.plain_lists import IDS, N_ITEMS, N_USERS, host_of, random_case

RULES = {
    "tail quota": (TailQuotaReranker, {}),
    "xquad": (XQuADReranker, {}),
    "binary xquad": (XQuADReranker, {"coverage": "binary"}),
    "xquad by share": (XQuADReranker, {"coverage": "share"}),
    "mmr": (MMRReranker, {}),
    "mmr of embeddings": (MMRReranker, {"similarity": "embedding"}),
    "calibrated": (CalibratedPopularityReranker, {}),
    "profile": (ProfilePopularityReranker, {}),
    "fair": (FairTopKReranker, {"strength": 0.9}),
    "targets": (PersonalTargetReranker, {"target_tail_share": 0.9}),
    "max-min": (MaxMinExposureReranker, {"random_state": 0}),
    "max-min of groups": (
        MaxMinExposureReranker,
        {"random_state": 0, "providers": "groups", "n_epochs": 30},
    ),
}


def test_relevance_runs_from_0_to_1_in_a_pool():
    items = np.array([[3, 1, 0, 2], [2, 0, -1, -1], [1, 3, -1, -1], [-1, -1, -1, -1]])
    scores = np.array([[7, 5, 4, 3], [2, -6, 0, 0], [5, 5, 0, 0], [0, 0, 0, 0.0]])
    scores = np.where(items < 0, -np.inf, scores).astype(np.float32)
    out = -np.inf
    assert relevance(Pool(items, scores, None)).tolist() == [
        [1, 0.5, 0.25, 0], [1, 0, out, out], [1, 1, out, out], [out] * 4,
    ]  # fmt: skip


@pytest.fixture(params=RULES)
def make(request):
    """Return a function from a host to a rule around it."""
    rule, own = RULES[request.param]

    def make_rule(host, **params):
        return rule(host, **{**own, **params})

    return make_rule


@pytest.fixture(scope="module")
def case():
    return random_case(0)


@pytest.fixture(scope="module")
def movies():
    """Train and held-out interactions, whose lists are more popular than histories."""
    X = load_movielens(ROOT / "data" / "ml-latest-small").X
    X = csr_array(X[:, np.flatnonzero(np.bincount(X.indices) >= 5)])
    X_seen, y = hide_interactions(X, random_state=0)
    host = as_recommender(TruncatedSVD(16, random_state=0).fit(X_seen))
    return X_seen, y, host


def allowed(row, pool_size, host, X, user):
    """Return what a list may hold."""
    return set(host.recommend(X[[user]], pool_size, user_ids=[user], **row)[0].tolist())


@pytest.mark.parametrize("k", [1, 5, 40])
def test_strength_zero_gives_the_lists_of_the_host(make, case, k):
    X, host = case
    model = make(host, pool_size=12, n_recommendations=k).fit(X, user_ids=IDS)
    own, scores = host.recommend(X, k, user_ids=IDS, return_scores=True)
    lists, values = model.recommend(X, strength=0, user_ids=IDS, return_scores=True)
    assert np.array_equal(lists, own)
    assert np.array_equal(values, scores)
    candidates = [1, 4, 9, 16, 23]
    np.testing.assert_array_equal(
        model.recommend(X, strength=0, user_ids=IDS, candidates=candidates),
        host.recommend(X, k, user_ids=IDS, candidates=candidates),
    )


@pytest.mark.parametrize("ties", [False, True])
def test_a_user_whose_factor_is_zero_keeps_the_hosts_list(make, ties):
    X, host = random_case(1, ties=ties)
    spared = np.arange(N_USERS) % 3 == 0

    def factors(rows):
        # Negative ones too: lists cannot be turned the other way.
        return np.where(spared, -1.0 * (IDS % 2), 1.0)

    model = make(host, user_strength=factors, pool_size=12, n_recommendations=5)
    lists = model.fit(X, user_ids=IDS).recommend(X, user_ids=IDS)
    own = host.recommend(X, 5, user_ids=IDS)
    assert np.array_equal(lists[spared], own[spared])
    plain = clone(model).set_params(user_strength=None).fit(X, user_ids=IDS)
    if "item_prices_" not in vars(model):
        others = plain.recommend(X, user_ids=IDS)
        assert np.array_equal(lists[~spared], others[~spared])


def test_lists_are_made_of_the_pool_and_hold_nothing_twice(make, case):
    X, host = case
    model = make(host, pool_size=9, n_recommendations=6).fit(X, user_ids=IDS)
    lists = model.recommend(X, user_ids=IDS)
    assert (lists != host.recommend(X, 6, user_ids=IDS)).any()
    assert lists.dtype == np.int64
    for user, row in enumerate(lists):
        filled = row[row >= 0].tolist()
        assert len(set(filled)) == len(filled)
        assert set(filled) <= allowed({}, 9, host, X, user)
        assert not X[[user]].toarray()[0, filled].any()


def test_returned_scores_are_the_hosts(make, case):
    X, host = case
    model = make(host, n_recommendations=6).fit(X, user_ids=IDS)
    lists, values = model.recommend(X, user_ids=IDS, return_scores=True)
    own = host.decision_function(X, user_ids=IDS)
    expected = np.where(lists < 0, -np.inf, np.take_along_axis(own, lists, axis=1))
    assert values.dtype == np.float32
    np.testing.assert_array_equal(values, expected)


def test_a_list_is_padded_at_the_end_where_the_pool_runs_out(make, case):
    X, host = case
    model = make(host, n_recommendations=6).fit(X, user_ids=IDS)
    candidates = [2, 3, 11, 20]
    lists = model.recommend(X, user_ids=IDS, candidates=candidates)
    for user, row in enumerate(lists):
        free = [i for i in candidates if not X[[user]].toarray()[0, i]]
        assert sorted(row[: len(free)].tolist()) == free
        assert (row[len(free) :] == -1).all()
    nothing = csr_array(np.ones((2, N_ITEMS)))
    assert (model.recommend(nothing, user_ids=[0, 1]) == -1).all()


def test_a_list_does_not_depend_on_who_else_is_asked_for(make, case):
    X, host = case
    model = make(host, n_recommendations=6).fit(X, user_ids=IDS)
    lists = model.recommend(X, user_ids=IDS)
    some = np.array([17, 3, 0, 29, 3])
    assert np.array_equal(model.recommend(X[some], user_ids=some), lists[some])
    for user in (0, 1, 2, 11):
        alone = model.recommend(X[[user]], user_ids=[user])
        assert np.array_equal(alone, lists[[user]])


def test_the_hosts_first_items_stay(make, case):
    X, host = case
    model = make(host, keep_top=3, n_recommendations=6).fit(X, user_ids=IDS)
    lists = model.recommend(X, user_ids=IDS)
    own = host.recommend(X, 6, user_ids=IDS)
    assert np.array_equal(lists[:, :3], own[:, :3])
    assert (lists != own).any()
    free = model.set_params(keep_top=0).recommend(X, user_ids=IDS)
    for row, head, rest in zip(lists, own[:, :3], free, strict=True):
        expected = [item for item in rest if item >= 0 and item not in head]
        filled = row[3:][row[3:] >= 0].tolist()
        assert filled == expected[: len(filled)]
    model.set_params(keep_top=6)
    assert np.array_equal(model.recommend(X, user_ids=IDS), own)


def test_popularity_falls_with_the_strength(make, movies):
    X, _, host = movies
    model = make(host).fit(X)
    strengths = {
        TailQuotaReranker: [0.1, 0.3, 0.6],
        FairTopKReranker: [0.3, 0.6, 0.9],
        PersonalTargetReranker: [0.2, 0.5, 1.0],
        MaxMinExposureReranker: [0.1, 0.2, 0.3],
    }.get(type(model), [0.5, 1.0, 5.0])
    values = [
        model.item_popularity_[model.recommend(X, strength=s)].mean()
        for s in [0.0, *strengths]
    ]
    if getattr(model, "similarity", None) == "embedding":
        # It spreads lists over subjects first.
        values = [values[0], values[-1]]
    assert (np.diff(values) < 0).all()


def test_the_knob_turns_in_paths_searches_and_scorers(make, movies):
    X, y, host = movies
    X, y = X[:200], y[:200]
    model = make(host).fit(X)
    strengths = [0.0, 0.2, 0.8]
    path = steering_path(model, X, y, strengths, scoring=["ndcg", "tail_share"])
    scorer = get_scorer(["ndcg", "tail_share"])
    for j, strength in enumerate(strengths):
        lists = model.recommend(X, strength=strength)
        scores = scorer.score_lists(model, X, y, lists)
        assert {name: path.scores[name][j] for name in scores} == scores
    grid = GridSearchCV(make(host), {"strength": [0.0, 0.4]}, cv=2).fit(X, y)
    assert grid.best_params_["strength"] in (0.0, 0.4)
    base = path.scores["tail_share"][0]
    strengths = [0, 0.1, 0.4, 1, 5]
    tuned = TunedSteeringCV(
        model, target=base + 0.02, cv="prefit", strengths=strengths
    ).fit(X, y)
    assert tuned.reached_
    assert tuned.best_strength_ > 0


def test_workers_make_the_same_lists(make, case):
    X, host = case
    model = make(host).fit(X, user_ids=IDS)
    many, ids = vstack([X] * 40, format="csr"), np.tile(IDS, 40)
    alone = model.recommend(many, user_ids=ids)
    with parallel_config("threading", n_jobs=2):
        assert np.array_equal(model.recommend(many, user_ids=ids), alone)


def test_a_user_without_history_counts_like_the_average(make, case):
    X, host = case
    model = make(host).fit(X, user_ids=IDS)
    assert X[[0]].nnz == 0
    rows = X.toarray()[1:] > 0
    shares = [
        np.mean([(model.item_groups_[row] == group).mean() for row in rows])
        for group in (-1, 0, 1)
    ]
    np.testing.assert_allclose(model.mean_profile_, shares)
    nobody = make(host).fit(csr_array((N_USERS, N_ITEMS)), user_ids=IDS)
    counts = np.bincount(nobody.item_groups_ + 1, minlength=3)
    np.testing.assert_allclose(nobody.mean_profile_, counts / N_ITEMS)
    assert nobody.recommend(X, user_ids=IDS).shape == (N_USERS, 10)


def test_groups_are_those_that_were_asked_for(make, case):
    X, host = case
    popularity = np.bincount(X.indices, minlength=N_ITEMS)
    model = make(host).fit(X, user_ids=IDS)
    assert np.array_equal(model.item_groups_, PopularityGroups().label(popularity))
    mass = PopularityGroups("mass")
    model = make(host, groups=mass).fit(X, user_ids=IDS)
    assert np.array_equal(model.item_groups_, mass.label(popularity))
    given = np.where(np.arange(N_ITEMS) % 2, 1, -1)
    model.fit(X, user_ids=IDS, item_groups=given[None], item_popularity=np.arange(24.0))
    assert np.array_equal(model.item_groups_, given)
    assert np.array_equal(model.item_popularity_, np.arange(24.0))
    with pytest.raises(ValueError, match=r"^`item_groups` must hold 1 \(head\), 0"):
        model.fit(X, item_groups=np.full(N_ITEMS, 2))
    with pytest.raises(ValueError, match=r"^`item_groups` must hold one value per"):
        model.fit(X, item_groups=[1, -1])


def test_new_items_of_a_grown_host_are_tail_and_are_recommended(make, case):
    X, host = case
    model = make(host, n_recommendations=5, strength=0.8).fit(X, user_ids=IDS)
    scores = host.decision_function(X, user_ids=IDS)
    best = scores.max(axis=1, keepdims=True)
    more = np.hstack([scores, best + 4, best + 3])
    grown = model.with_host(host_of(more))
    assert grown.item_groups_.tolist() == [*model.item_groups_.tolist(), -1, -1]
    assert grown.item_popularity_.tolist() == [*model.item_popularity_.tolist(), 0, 0]
    X = csr_array((X.data, X.indices, X.indptr), shape=more.shape)
    lists = grown.recommend(X, user_ids=IDS)
    assert ((lists == N_ITEMS).any(axis=1) & (lists == N_ITEMS + 1).any(axis=1)).all()


def test_items_have_no_score_of_their_own(make, case):
    X, host = case
    model = make(host).fit(X, user_ids=IDS)
    assert not hasattr(model, "decision_function")
    with pytest.raises(
        AttributeError, match=r"^`decision_function` must belong to a rule that scores "
    ):
        model.decision_function(X)


def test_a_host_needs_lists_only(make, case):
    X, host = case
    inner = PopularityPenaltyReranker(host, strength=0.1).fit(X)
    if getattr(make(host), "similarity", None) == "embedding":
        with pytest.raises(
            ValueError, match=r"^`similarity` must be 'popularity' for a recommender "
        ):
            make(inner).fit(X)
        return
    model = make(inner).fit(X)
    assert np.array_equal(model.recommend(X, strength=0), inner.recommend(X))
    assert model.recommend(X).shape == (N_USERS, 10)


@pytest.mark.parametrize("strength", [-0.1, np.nan, np.inf, "1"])
def test_strengths_that_mean_nothing_are_refused(make, case, strength):
    X, host = case
    model = make(host).fit(X, user_ids=IDS)
    with pytest.raises(ValueError, match=r"^`strength` must be "):
        model.recommend(X, strength=strength)
    with pytest.raises(ValueError, match="The 'strength' parameter of"):
        make(host, strength=strength).fit(X)


@pytest.mark.parametrize(
    "params", [{"pool_size": 0}, {"pool_size": None}, {"groups": "mass"}]
)
def test_parameters_that_mean_nothing_are_refused(make, case, params):
    X, host = case
    with pytest.raises(ValueError, match=f"The '{next(iter(params))}' parameter of"):
        make(host, **params).fit(X)


def test_ids_must_fit_the_rows(make, case):
    X, host = case
    with pytest.raises(ValueError, match="`user_ids` must name one user per row"):
        make(host).fit(X, user_ids=[0, 1])
