"""A pool of the whole catalogue is the catalogue, and any recommender serves one."""

import copy
import pickle

import joblib
import numpy as np
import pytest
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV

from skpopsteer import (
    PopularityPenaltyReranker,
    SparseAutoencoderProbe,
    SteeredRecommender,
    TunedSteeringCV,
    as_recommender,
    steering_path,
)
from skpopsteer import _spans as spans_module
from skpopsteer.persistence import load, save
from skpopsteer.rerankers import (
    DifferenceOfMeansReranker,
    InversePopularityReranker,
    ItemBiasReranker,
    NormTemperingReranker,
    SpreadTemperingReranker,
)

N_USERS, N_ITEMS = 200, 100
IDS = np.arange(N_USERS)[::-1].copy()
RULES = {
    "penalty": (PopularityPenaltyReranker, {"strength": 0.2}),
    "norm": (NormTemperingReranker, {"strength": 0.7}),
    "spread": (SpreadTemperingReranker, {"strength": 0.7}),
    "centred spread": (SpreadTemperingReranker, {"strength": 0.7, "center": True}),
    "bias": (ItemBiasReranker, {"strength": 0.8}),
    "boost": (InversePopularityReranker, {"strength": 2.0, "from_lowest": False}),
    "division": (
        InversePopularityReranker,
        {"form": "division", "strength": 2.0, "from_lowest": False},
    ),
    "power": (
        InversePopularityReranker,
        {"form": "power", "strength": 0.3, "from_lowest": False},
    ),
    "means": (DifferenceOfMeansReranker, {"strength": 0.4, "random_state": 0}),
}
#: Rules whose scores depend on the row: a pool leaves out what may not be listed.
OF_ROWS = {
    "boost from lowest": (InversePopularityReranker, {"strength": 2.0}),
    "division from lowest": (
        InversePopularityReranker, {"form": "division", "strength": 2.0}
    ),
    "power from lowest": (
        InversePopularityReranker, {"form": "power", "strength": 0.3}
    ),
}  # fmt: skip
ALL = {**RULES, **OF_ROWS}
#: Rules that ask nothing of the host but lists and scores.
OF_ANY_HOST = [name for name in ALL if name not in ("norm", "bias", "means")]


@pytest.fixture(scope="module")
def host(interactions):
    """A host with embeddings, a bias, trained users and a fold-in."""
    pca = PCA(8, random_state=0).fit(interactions.toarray())
    U = pca.transform(interactions.toarray())
    return as_recommender((U, pca.components_.T, pca.mean_))


@pytest.fixture(scope="module")
def inner(host, interactions):
    """A recommender around that host: steered, fitted and frozen."""
    probe = SparseAutoencoderProbe(32, k=4, max_iter=3, random_state=0)
    model = SteeredRecommender(host, rule="shift", probe=probe, random_state=0)
    return FrozenEstimator(model.fit(interactions))


@pytest.fixture(scope="module")
def masks():
    """Items allowed, or left out, row by row."""
    return csr_array(np.random.default_rng(0).random((N_USERS, N_ITEMS)) < 0.3)


def made(name, host, **params):
    kind, own = ALL[name]
    return kind(host, **{**own, **params})


def pair(name, host, X, **params):
    """Return the rule on the catalogue, and on a pool that holds all of it."""
    return tuple(
        made(name, host, pool_size=size, **params).fit(X) for size in (None, N_ITEMS)
    )


def assert_equal_lists(whole, pooled, *args, **params):
    ours, theirs = (
        model.recommend(*args, return_scores=True, **params)
        for model in (whole, pooled)
    )
    assert np.array_equal(theirs[0], ours[0])
    assert np.array_equal(theirs[1], ours[1])
    assert ours[1].dtype == theirs[1].dtype == np.float32
    return ours


def lists_of(mask):
    return [row.nonzero()[0].tolist() for row in mask.toarray()]


@pytest.mark.parametrize("knobs", [{}, {"keep_top": 4}, {"user_strength": "profile"}])
@pytest.mark.parametrize("name", RULES)
def test_a_pool_of_the_whole_catalogue_is_the_catalogue(
    name, knobs, host, interactions, masks
):
    X = interactions
    models = pair(name, host, X, **knobs)
    ids, values = assert_equal_lists(*models, X)
    plain, own = host.recommend(X, return_scores=True)
    assert not np.array_equal(ids, plain)
    assert not np.array_equal(values, own)
    assert np.array_equal(models[1].predict(X), ids)
    for params in [
        {"user_ids": IDS},
        {"exclude_seen": False},
        {"strength": 1.3},
        {"strength": -0.4, "user_ids": IDS},
        {"n_recommendations": 3},
        {"n_recommendations": N_ITEMS + 5},
        {"exclude": [1, 5, 60]},
        {"exclude": lists_of(masks)},
        {"exclude": masks},
        {"candidates": np.arange(40)},
        {"candidates": []},
        {"candidates": lists_of(masks)},
        {"candidates": masks, "exclude": np.arange(30), "exclude_seen": False},
    ]:
        assert_equal_lists(*models, X, **params)


@pytest.mark.parametrize("name", OF_ROWS)
def test_a_pool_without_masks_is_the_catalogue_for_rules_of_rows(
    name, host, interactions
):
    for knobs in ({}, {"keep_top": 4}, {"user_strength": "profile"}):
        models = pair(name, host, interactions, **knobs)
        for params in ({}, {"user_ids": IDS}, {"n_recommendations": N_ITEMS}):
            assert_equal_lists(*models, interactions, exclude_seen=False, **params)


@pytest.mark.parametrize("name", OF_ROWS)
def test_with_masks_the_row_is_what_may_be_listed(name, host, interactions, masks):
    pooled = made(name, host, pool_size=N_ITEMS).fit(interactions)
    ids, values = pooled.recommend(interactions, candidates=masks, return_scores=True)
    published = made(name, host, from_lowest=False).fit(interactions)
    allowed = (masks.toarray() > 0) & (interactions.toarray() == 0)
    scores = host.decision_function(interactions)
    for row in range(N_USERS):
        items = np.flatnonzero(allowed[row])
        own = scores[row, items]
        gain = published._gain(items, published.strength)
        expected = own.min() + (own - own.min()) * gain
        best = np.argsort(-expected, kind="stable")[:10]
        assert ids[row, : len(best)].tolist() == items[best].tolist()
        assert (ids[row, len(best) :] == -1).all()
        np.testing.assert_allclose(values[row, : len(best)], expected[best], rtol=1e-5)


@pytest.mark.parametrize("name", ALL)
def test_a_small_pool_reorders_the_hosts_best(name, host, interactions):
    model = made(name, host, pool_size=15).fit(interactions)
    ids = model.predict(interactions)
    pool = host.recommend(interactions, 15)
    for chosen, drawn in zip(ids, pool, strict=True):
        assert set(chosen) <= set(drawn)
    assert not np.array_equal(ids, pool[:, :10])
    whole = model.recommend(interactions, 15)
    assert np.array_equal(np.sort(whole), np.sort(pool))
    # A list longer than the pool makes the pool longer.
    assert (model.recommend(interactions, 20) >= 0).all()


def test_equal_scores_go_to_the_lower_item_and_not_to_the_hosts_better():
    bias = np.array([1.0, 3, 2, 3, 5])
    host = as_recommender((np.ones((1, 1)), np.ones((5, 1)), bias))
    row = csr_array((1, 5))
    for pool_size in (None, 5, 3):
        model = ItemBiasReranker(host, pool_size=pool_size).fit(np.ones((1, 5)))
        for k, expected in [(3, [0, 1, 2]), (2, [0, 1]), (1, [0])]:
            if pool_size == 3:
                # The pool is 4, 1 and 3, in the host's order.
                expected = [1, 3, 4][:k]
            assert model.recommend(row, k, user_ids=[0]).tolist() == [expected]
    model = ItemBiasReranker(host, pool_size=5, keep_top=1).fit(np.ones((1, 5)))
    assert model.recommend(row, 4, user_ids=[0]).tolist() == [[4, 0, 1, 2]]


@pytest.mark.parametrize("pool_size", [N_ITEMS, 30])
@pytest.mark.parametrize("name", ALL)
def test_a_path_and_a_lister_give_the_lists_of_recommend(
    name, pool_size, host, interactions, monkeypatch
):
    monkeypatch.setattr(spans_module, "SPAN_ROWS", 48)
    model = made(name, host, pool_size=pool_size, keep_top=2).fit(interactions)
    strengths = [0.0, 0.3, -0.2]
    for user_ids in (None, IDS):
        path = model._path(interactions, strengths, 7, user_ids)
        lists_at = model._lister(interactions, 7, user_ids)
        for strength, lists in zip(strengths, path, strict=True):
            expected = model.recommend(
                interactions, 7, strength=strength, user_ids=user_ids
            )
            assert np.array_equal(lists, expected)
            assert np.array_equal(lists_at(strength), expected)
        assert np.array_equal(
            lists_at(None), model.recommend(interactions, 7, user_ids=user_ids)
        )


@pytest.mark.parametrize("name", RULES)
def test_curves_and_searches_are_those_of_the_catalogue(name, host, split):
    X, y = split
    whole, pooled = pair(name, host, X)
    curves = [steering_path(m, X, y, [0, 0.1, 0.5]).scores for m in (whole, pooled)]
    np.testing.assert_equal(curves[1], curves[0])
    assert whole.score(X, y) == pooled.score(X, y)
    params = {"within": 0.2, "constraint": "ndcg@10", "objective": "neg_gini@10"}
    searches = [
        TunedSteeringCV(clone(m), cv=2, n_boot=10, random_state=0, **params).fit(X, y)
        for m in (whole, pooled)
    ]
    assert searches[0].best_strength_ == searches[1].best_strength_
    assert searches[0].best_strength_ != 0
    assert np.array_equal(searches[0].predict(X), searches[1].predict(X))
    grids = [
        GridSearchCV(clone(m), {"strength": [0, 0.5], "keep_top": [0, 5]}, cv=2).fit(
            X, y
        )
        for m in (whole, pooled)
    ]
    for name in ("split0_test_score", "split1_test_score"):
        np.testing.assert_array_equal(*(g.cv_results_[name] for g in grids))


@pytest.mark.parametrize("pool_size", [None, N_ITEMS + 12])
@pytest.mark.parametrize("name", ALL)
def test_a_grown_catalogue_is_reranked_as_if_it_had_been_there(
    name, pool_size, host, interactions
):
    """What a rule knows of new items follows from what it knows of users."""
    rng = np.random.default_rng(0)
    adapter = host.estimator
    V = np.vstack([adapter.item_embeddings_, rng.normal(scale=0.2, size=(12, 8))])
    bias = np.r_[adapter.item_bias_, rng.random(12)]
    grown = as_recommender((adapter.user_embeddings_, V, bias))
    counts = np.asarray((interactions > 0).sum(axis=0)).ravel()
    popularity = np.r_[counts, rng.integers(0, 50, 12)]
    model = made(name, host, pool_size=pool_size).fit(interactions, user_ids=IDS)
    again = model.with_host(grown, item_popularity=popularity)
    X = csr_array(np.c_[interactions.toarray(), np.zeros((N_USERS, 12))])
    expected = made(name, grown, pool_size=pool_size)
    expected.fit(X, user_ids=IDS, item_popularity=popularity)
    if name == "means":
        # Twins are of other users: the direction is kept, not drawn anew.
        assert np.array_equal(again.direction_, model.direction_)
        expected.direction_ = model.direction_
        expected._describe_items()
    np.testing.assert_allclose(
        again.decision_function(X, user_ids=IDS),
        expected.decision_function(X, user_ids=IDS),
        atol=1e-5,
    )
    lists = again.recommend(X, user_ids=IDS)
    assert np.array_equal(lists, expected.recommend(X, user_ids=IDS))
    assert (lists >= N_ITEMS).any()
    # The model of the old catalogue is as it was.
    assert model.predict(interactions).max() < N_ITEMS


@pytest.mark.parametrize("pool_size", [None, 30])
@pytest.mark.parametrize("name", ALL)
def test_models_are_saved_with_all_they_know(
    name, pool_size, host, interactions, tmp_path
):
    model = made(name, host, pool_size=pool_size, user_strength="profile")
    model.fit(interactions)
    expected = model.recommend(interactions, return_scores=True)
    save(model, tmp_path / "model.skops")
    joblib.dump(model, tmp_path / "model.joblib")
    for again in (
        load(tmp_path / "model.skops"),
        joblib.load(tmp_path / "model.joblib"),
        pickle.loads(pickle.dumps(model)),
        copy.deepcopy(model),
    ):
        found = again.recommend(interactions, return_scores=True)
        assert np.array_equal(found[0], expected[0])
        assert np.array_equal(found[1], expected[1])


@pytest.mark.parametrize("backend", ["threading", "loky"])
@pytest.mark.parametrize("name", ALL)
def test_workers_give_equal_lists(
    name, backend, host, interactions, masks, monkeypatch
):
    monkeypatch.setattr(spans_module, "SPAN_ROWS", 48)
    model = made(name, host, pool_size=30, keep_top=2, user_strength="profile")
    model.fit(interactions)
    calls = [{}, {"user_ids": IDS, "exclude": [3, 4]}, {"candidates": masks}]
    alone = [model.recommend(interactions, return_scores=True, **c) for c in calls]
    with joblib.parallel_config(backend, n_jobs=2):
        spread = [model.recommend(interactions, return_scores=True, **c) for c in calls]
        again = clone(model).fit(interactions)
    for ours, theirs in zip(alone, spread, strict=True):
        assert np.array_equal(theirs[0], ours[0])
        assert np.array_equal(theirs[1], ours[1])
    assert np.array_equal(again.predict(interactions), model.predict(interactions))


@pytest.mark.parametrize("name", OF_ANY_HOST)
def test_any_recommender_serves_a_pool(name, inner, interactions, tmp_path):
    X = interactions
    model = made(name, inner, pool_size=N_ITEMS, keep_top=1).fit(X)
    assert model.recommender_ is inner
    own = inner.recommend(X, return_scores=True)
    found = model.recommend(X, strength=0, return_scores=True)
    assert np.array_equal(found[0], own[0])
    assert np.array_equal(found[1], own[1])
    ids = model.predict(X)
    assert np.array_equal(ids[:, 0], own[0][:, 0])
    assert not np.array_equal(ids, own[0])
    # Lists are the best of the scores, which are those of the whole catalogue.
    for user_strength in (None, lambda X: np.linspace(-1, 2, X.shape[0])):
        free = copy.copy(model).set_params(keep_top=0, user_strength=user_strength)
        scores = free.decision_function(X)
        listed, values = free.recommend(X, exclude_seen=False, return_scores=True)
        best = np.argsort(-scores, axis=1, kind="stable")[:, :10]
        assert np.array_equal(listed, best)
        assert np.array_equal(values, np.take_along_axis(scores, best, axis=1))
    assert len(model._path(X, [0, 0.5], 10)) == 2
    save(model, tmp_path / "model.skops")
    assert np.array_equal(load(tmp_path / "model.skops").predict(X), ids)


def test_a_recommender_that_is_not_frozen_is_fitted(host, interactions):
    model = PopularityPenaltyReranker(
        PopularityPenaltyReranker(host, strength=0.1), strength=0.1, pool_size=N_ITEMS
    ).fit(interactions)
    once = PopularityPenaltyReranker(host, strength=0.2).fit(interactions)
    np.testing.assert_allclose(
        model.decision_function(interactions),
        once.decision_function(interactions),
        atol=1e-5,
    )
    assert not hasattr(model.recommender, "recommender_")


def test_a_tuned_search_serves_a_pool(host, split):
    X, y = split
    tuned = TunedSteeringCV(
        PopularityPenaltyReranker(host), target=0.5, cv=2, n_boot=10, random_state=0
    ).fit(X, y)
    model = SpreadTemperingReranker(FrozenEstimator(tuned), pool_size=30).fit(X)
    assert np.array_equal(model.recommend(X, strength=0), tuned.predict(X))
    assert not np.array_equal(model.predict(X), tuned.predict(X))


def test_a_recommender_can_be_exchanged_for_another(inner, interactions):
    X = interactions
    other = FrozenEstimator(copy.copy(inner.estimator).set_params(strength=3.0))
    model = PopularityPenaltyReranker(inner, pool_size=30).fit(X)
    again = model.with_host(other)
    expected = PopularityPenaltyReranker(other, pool_size=30).fit(X)
    assert np.array_equal(again.predict(X), expected.predict(X))
    assert not np.array_equal(again.predict(X), model.predict(X))
    with pytest.raises(TypeError, match=r"^`recommender` must be a fitted host; got"):
        model.with_host(np.ones((3, 3)))
    # With embeddings it is a host of embeddings that is asked for.
    with pytest.raises(TypeError, match=r"^`recommender` must be a fitted host; got"):
        PopularityPenaltyReranker(inner.recommender_).fit(X).with_host(inner)


def test_new_items_whose_scores_nobody_has_seen_are_refused(inner, interactions):
    model = SpreadTemperingReranker(inner, pool_size=30).fit(interactions)
    again = model.with_host(inner)
    assert np.array_equal(again.predict(interactions), model.predict(interactions))
    adapter = inner.recommender_.estimator
    grown = as_recommender(
        (
            adapter.user_embeddings_,
            np.vstack([adapter.item_embeddings_, np.ones((2, 8))]),
            np.r_[adapter.item_bias_, 0, 0],
        )
    )
    with pytest.raises(ValueError, match=r"^`recommender` must score by inner prod"):
        model.with_host(FrozenEstimator(inner.with_host(grown)))


def test_without_embeddings_there_must_be_a_pool(inner, interactions):
    for name in OF_ANY_HOST:
        with pytest.raises(ValueError, match=r"^`pool_size` must be a .* SteeredRec"):
            made(name, inner).fit(interactions)


def test_a_recommender_of_other_items_is_refused(inner):
    model = PopularityPenaltyReranker(inner, pool_size=30)
    with pytest.raises(ValueError, match=r"^`X` must have one column .* \(100\); got"):
        model.fit(np.ones((3, 99)))


def test_what_is_chosen_from_a_pool_is_not_exported(inner, interactions):
    model = PopularityPenaltyReranker(inner, pool_size=30).fit(interactions)
    with pytest.raises(ValueError, match=r"^`pool_size` must be None to export"):
        model.export_embeddings(interactions)
