"""Slot pricing as its users meet it."""

import copy

import joblib
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.decomposition import TruncatedSVD
from sklearn.frozen import FrozenEstimator

from skpopsteer import (
    RelevanceCalibrator,
    SlotPricingRecommender,
    SparseAutoencoderProbe,
    SteeredRecommender,
    TunedSteeringCV,
    as_recommender,
    steering_path,
)
from skpopsteer.datasets import make_interactions
from skpopsteer.metrics import coverage, gini, ndcg, tail_share
from skpopsteer.model_selection import hide_interactions
from skpopsteer.steering._slot_pricing import _STRENGTHS

N_ITEMS = 300


@pytest.fixture(scope="module")
def data():
    X = make_interactions(900, N_ITEMS, random_state=1).X
    return hide_interactions(X, random_state=0)


@pytest.fixture(scope="module")
def host(data):
    return as_recommender(TruncatedSVD(8, random_state=0).fit(data[0]))


@pytest.fixture(scope="module")
def model(host, data):
    return SlotPricingRecommender(host, pool_size=100, random_state=0).fit(*data)


def test_strength_0_gives_the_calibrated_host(model, data):
    X = data[0]
    expected = model.calibrator_.recommend(X)
    assert np.array_equal(model.recommend(X, strength=0), expected)
    assert np.array_equal(model.allocate(X, strength=0), expected)


@pytest.mark.parametrize("form", ["recommend", "allocate"])
def test_exposure_is_more_equal_and_accuracy_falls_with_the_strength(model, data, form):
    X, y = data
    lists = [getattr(model, form)(X, strength=s) for s in (0, 0.002, 0.01, 0.05)]
    ginis = [gini(one, N_ITEMS) for one in lists]
    kept = [ndcg(y, one) for one in lists]
    assert (np.diff(ginis) < 0).all()
    assert (np.diff(kept) < 0).all()


def test_the_strength_that_is_chosen_keeps_to_the_loss(model, host, data):
    X, y = data
    own = ndcg(y, host.recommend(X))
    assert model.strength_ in _STRENGTHS
    assert ndcg(y, model.predict(X)) > 0.94 * own
    assert model.kept_ndcg_ == pytest.approx(ndcg(y, model.predict(X)) / own, abs=0.02)
    assert gini(model.predict(X), N_ITEMS) < gini(host.recommend(X), N_ITEMS)
    # The next strength would have lost too much, by the same judgement.
    after = _STRENGTHS[list(_STRENGTHS).index(model.strength_) + 1]
    other = clone(model).set_params(strength=after).fit(X, y)
    assert other.kept_ndcg_ < model.kept_ndcg_


def test_a_wider_margin_chooses_a_smaller_strength(model, data):
    wide = clone(model).set_params(margin=6.0).fit(*data)
    narrow = clone(model).set_params(margin=0.0).fit(*data)
    assert wide.strength_ < narrow.strength_


def test_a_list_depends_on_nobody_else(model, data):
    X = data[0]
    together = model.recommend(X)
    for rows in ([5], [700, 3, 5], np.arange(450)):
        assert np.array_equal(model.recommend(X[rows]), together[rows])


def test_prices_serve_nearly_what_the_joint_lists_reach(model, data):
    X, y = data
    for strength in (0.003, 0.02):
        alone, joint = (
            model.recommend(X, strength=strength),
            model.allocate(X, strength=strength),
        )
        assert ndcg(y, alone) > 0.97 * ndcg(y, joint)
        assert gini(alone, N_ITEMS) < gini(joint, N_ITEMS) + 0.06


def test_strengths_between_those_of_the_table_lie_between_them(model, data):
    X = data[0]
    low, high = _STRENGTHS[8], _STRENGTHS[9]
    between = np.sqrt(low * high)
    ginis = [
        gini(model.recommend(X, strength=s), N_ITEMS) for s in (low, between, high)
    ]
    assert ginis[0] > ginis[1] > ginis[2]
    np.testing.assert_allclose(
        model._turn(between), np.sqrt(model._turn(low) * model._turn(high)), rtol=1e-9
    )


def test_prices_fall_with_the_exposure_of_an_item(model, data):
    held = np.bincount(model.predict(data[0]).ravel(), minlength=N_ITEMS)
    shown = held > 0
    correlation = np.corrcoef(np.log(held[shown]), np.log(model.prices_[shown]))[0, 1]
    assert correlation < -0.9
    assert np.array_equal(model.prices_, model._turn(model.strength_))


def test_the_tail_gets_more_where_its_weight_is_larger(model, data):
    shares = []
    for weight in (0.0, 0.4, 0.8):
        lists = (
            copy.copy(model)
            .set_params(tail_weight=weight)
            .allocate(data[0], strength=0.02)
        )
        shares.append(tail_share(lists, model.item_groups_))
    assert (np.diff(shares) > 0).all()


def test_a_floor_of_exposures_buys_depth(model, data):
    X, y = data
    at = {}
    for floor in (1, 10):
        other = copy.copy(model).set_params(min_exposures=floor)
        lists = other.allocate(X, strength=0.005)
        held = np.bincount(lists.ravel(), minlength=N_ITEMS)
        at[floor] = (held >= 10).mean(), ndcg(y, lists)
    assert at[10][0] > at[1][0] + 0.2
    assert at[10][1] > 0.97 * at[1][1]


@pytest.mark.parametrize("form", ["recommend", "allocate"])
def test_the_hosts_first_items_stay(model, host, data, form):
    X = data[0]
    kept = clone(model).set_params(keep_top=4, strength=0.02).fit(*data)
    lists = getattr(kept, form)(X)
    assert np.array_equal(lists[:, :4], host.recommend(X)[:, :4])
    assert coverage(lists, N_ITEMS) > coverage(host.recommend(X), N_ITEMS)
    assert all(len(set(row)) == 10 for row in lists.tolist())


def test_exposures_so_far_make_batches_add_up_to_the_whole(model, data):
    X = data[0]
    none = np.zeros(N_ITEMS)
    first = model.allocate(X[:450], strength=0.02, exposures=none)
    held = np.bincount(first.ravel(), minlength=N_ITEMS)
    blind = model.allocate(X[450:], strength=0.02, exposures=none)
    aware = model.allocate(X[450:], strength=0.02, exposures=held)
    whole = gini(model.allocate(X, strength=0.02), N_ITEMS)
    off = [abs(gini(np.vstack([first, b]), N_ITEMS) - whole) for b in (blind, aware)]
    assert off[1] < 0.5 * off[0]
    assert not none.any()


def test_a_strength_means_the_same_for_a_sample_of_the_users(model, data):
    X, y = data
    rows = np.arange(0, 900, 3)
    lists = model.allocate(X, strength=0.01)[rows]
    part = model.allocate(X[rows], strength=0.01)
    assert ndcg(y[rows], part) == pytest.approx(ndcg(y[rows], lists), rel=0.06)


@pytest.mark.parametrize("form", ["recommend", "allocate"])
def test_filters_count(model, data, form):
    X = data[0][:50]
    call = getattr(model, form)
    assert not set(call(X, exclude=[7, 9]).ravel()) & {7, 9}
    assert set(call(X, candidates=np.arange(60)).ravel()) <= {-1, *range(60)}
    seen = call(X, exclude_seen=False, strength=0)
    assert X.toarray()[np.arange(50)[:, None], seen].any()
    assert not X.toarray()[np.arange(50)[:, None], call(X)].any()
    assert call(X, 150).shape == (50, 150)


def test_it_wraps_a_steered_recommender(host, data):
    X, y = data
    probe = SparseAutoencoderProbe(32, k=4, max_iter=5, random_state=0)
    steered = SteeredRecommender(host, rule="shift", probe=probe, random_state=0).fit(X)
    model = SlotPricingRecommender(
        FrozenEstimator(steered), pool_size=50, random_state=0
    ).fit(X, y)
    assert np.array_equal(model.recommender_.recommend(X), steered.recommend(X))
    assert gini(model.predict(X), N_ITEMS) < gini(steered.predict(X), N_ITEMS)


def test_a_calibrator_of_the_users_own_is_used(host, data):
    calibrator = RelevanceCalibrator(host, cv=3, pool_size=7, random_state=4)
    model = SlotPricingRecommender(
        host, calibrator=calibrator, pool_size=50, random_state=0
    ).fit(*data)
    assert len(model.calibrator_.estimators_) == 3
    assert model.calibrator_.pool_size == 50
    assert calibrator.pool_size == 7


def test_strengths_are_searched_like_any_others(host, data):
    X, y = data
    model = SlotPricingRecommender(host, strength=0.01, pool_size=50, random_state=0)
    path = steering_path(model.fit(X, y), X, y, [0, 0.01, 0.1])
    assert (np.diff(path.scores["neg_gini"]) > 0).all()
    tuned = TunedSteeringCV(model, within=0.1, cv=2).fit(X, y)
    assert tuned.best_strength_ > 0


def test_it_is_found_again_with_the_same_seed(model, data):
    again = clone(model).fit(*data)
    assert np.array_equal(again.predict(data[0]), model.predict(data[0]))
    assert np.array_equal(again.allocate(data[0]), model.allocate(data[0]))


@pytest.mark.parametrize("backend", ["threading", "loky"])
def test_rows_may_be_spread_over_workers(model, data, backend, monkeypatch):
    monkeypatch.setattr("skpopsteer._spans.SPAN_ROWS", 256)
    alone = model.recommend(data[0])
    with joblib.parallel_config(backend, n_jobs=2):
        assert np.array_equal(model.recommend(data[0]), alone)


def test_new_items_are_priced_as_new(data):
    X, y = data
    rng = np.random.default_rng(0)
    U, V = rng.normal(size=(900, 8)), rng.normal(size=(N_ITEMS + 40, 8))
    old, new = (as_recommender((U, V[:n])) for n in (N_ITEMS, N_ITEMS + 40))
    model = SlotPricingRecommender(old, pool_size=80, strength=0.02, random_state=0)
    grown = model.fit(X, y).with_host(new)
    wider = np.hstack([X.toarray(), np.zeros((900, 40))])
    lists = grown.recommend(wider)
    assert (lists >= N_ITEMS).any()
    assert len(grown.prices_) == N_ITEMS + 40
    assert grown.prices_[N_ITEMS:].min() >= grown.prices_[:N_ITEMS].max() - 1e-12
    assert model.allocate(X).max() < N_ITEMS


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda m, X: m.recommend(X, strength=-0.1),
            r"`strength` must be >= 0; got -0.1",
        ),
        (lambda m, X: m.allocate(X, strength=-1), r"`strength` must be >= 0; got -1"),
        (lambda m, X: m.allocate(X, exposures=[1, 2]), r"`exposures` must hold one"),
        (
            lambda m, X: m.allocate(X, exposures=-np.ones(N_ITEMS)),
            r"`exposures` must hold finite numbers >= 0",
        ),
        (lambda m, X: m.allocate(X, n_recommendations=0), r"must be an integer >= 1"),
        (lambda m, X: m.recommend(X, strength=np.nan), r"must be a finite number"),
    ],
)
def test_bad_calls_are_refused(model, data, call, message):
    with pytest.raises(ValueError, match=message):
        call(model, data[0])


def test_a_negative_strength_is_refused_before_anything_is_fitted(host, data):
    with pytest.raises(ValueError, match="The 'strength' parameter"):
        SlotPricingRecommender(host, strength=-0.1).fit(*data)


def test_the_whole_catalogue_has_no_scores(model):
    assert not hasattr(model, "decision_function")
