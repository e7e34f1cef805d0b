"""Scores that lose what the neurons of the items tell of popularity."""

import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.decomposition import TruncatedSVD
from sklearn.frozen import FrozenEstimator

from skpopsteer import SparseAutoencoderProbe, SteeredRecommender, as_recommender
from skpopsteer.adapters import ArrayRecommender
from skpopsteer.datasets import make_interactions
from skpopsteer.inspection import _contributions, explain_changes
from skpopsteer.inspection._contributions import SteeredRow
from skpopsteer.neurons import (
    ControlSelector,
    NeuronSubset,
    PopularityNeuronSelector,
    cohens_d,
)
from skpopsteer.steering import _side

PROBE = SparseAutoencoderProbe(64, k=8, max_iter=40, random_state=0)
ALL = PopularityNeuronSelector("score_omp", n_neurons_to_select="all")
STRENGTH = 0.5


@pytest.fixture(scope="module")
def data():
    return make_interactions(400, 150, n_concepts=5, random_state=0)


@pytest.fixture(scope="module")
def host(data):
    return as_recommender(TruncatedSVD(12, random_state=0).fit(data.X))


def steer(host, X, selector=None, *, user_ids=None, **params):
    selector = selector or PopularityNeuronSelector("score_omp")
    params = {
        "probe": PROBE, "side": "item", "rule": "offset", "strength": STRENGTH,
    } | params  # fmt: skip
    model = SteeredRecommender(host, selector=selector, random_state=0, **params)
    return model.fit(X, user_ids=user_ids)


@pytest.fixture(scope="module")
def model(host, data):
    return steer(host, data.X)


def change(model, X):
    changes = model.decision_function(X).astype(float)
    return changes - model.recommender_.decision_function(X)


def unit(model, X, along):
    """A quarter of the spread of a user's best scores, per spread of the knob."""
    scores = -np.sort(-model.recommender_.decision_function(X).astype(float), axis=1)
    # Every user of `fit` has a history; the best tenth of 150 items.
    return scores[:, :15].std(axis=1).mean() / along.std() / 4


def test_every_user_loses_the_fitted_popularity(model, host, data):
    log_popularity = np.log(np.maximum(model.item_popularity_, 1.0))
    selector = model.item_selector_
    Z = model.item_probe_.transform(host.item_embeddings_).astype(float)
    fitted = Z @ selector.steering_weights_
    changes = change(model, data.X)
    step = STRENGTH * unit(model, data.X, fitted)
    np.testing.assert_allclose(changes, np.tile(-step * fitted, (400, 1)), atol=1e-5)
    correlation = np.corrcoef(changes[0], -log_popularity)[0, 1]
    assert selector.target_r2_ > 0.85
    assert correlation == pytest.approx(np.sqrt(selector.target_r2_), abs=1e-4)


def test_it_reaches_a_target_that_a_direction_cannot(data):
    # Popularity sits in the lengths of the items, whose directions are balanced.
    rng = np.random.default_rng(0)
    V = rng.normal(size=(150, 12))
    popularity = rng.permutation(np.geomspace(1, 400, 150))
    V *= (np.log(popularity + 1) / np.linalg.norm(V, axis=1))[:, None]
    host = as_recommender(ArrayRecommender(rng.normal(size=(400, 12)), V))
    # A code of a unit that fires with the length, whatever the direction.
    probe = SparseAutoencoderProbe(64, k=8, max_iter=200, random_state=0)
    selector = PopularityNeuronSelector("score_omp", n_neurons_to_select=40)
    reached = {
        side: SteeredRecommender(
            host, probe=probe, selector=selector, side=side, random_state=0
        )
        .fit(data.X, item_popularity=popularity)
        ._side(side)
        .selector.target_r2_
        for side in ("user", "item")
    }
    assert reached["user"] < 0.3
    assert reached["item"] > reached["user"] + 0.3


def test_embeddings_stay_and_strength_0_is_the_host(model, host, data):
    np.testing.assert_array_equal(model.transform(data.X), host.encode_users(data.X))
    own = host.recommend(data.X)
    np.testing.assert_array_equal(model.recommend(data.X, strength=0), own)
    assert (model.predict(data.X) != own).any()
    replaced = steer(host, data.X, reconstruction="replace")
    np.testing.assert_array_equal(replaced.predict(data.X), model.predict(data.X))


@pytest.mark.parametrize("personal", [False, True])
def test_the_vectors_give_the_lists(host, data, personal):
    factors = np.linspace(0, 3, 400).astype(np.float32)
    model = steer(host, data.X, user_strength=(lambda X: factors) if personal else None)
    vectors = model.export_embeddings(data.X)
    assert vectors.user_embeddings.shape == (400, 12 + personal)
    scores = vectors.user_embeddings @ vectors.item_embeddings.T
    if vectors.item_bias is not None:
        scores = scores + vectors.item_bias
    np.testing.assert_allclose(scores, model.decision_function(data.X), atol=1e-4)
    expected = factors[:, None] if personal else np.ones((400, 1))
    one = change(steer(host, data.X), data.X)
    np.testing.assert_allclose(change(model, data.X), expected * one, atol=1e-4)


def test_a_bias_of_the_host_is_kept(host, data):
    bias = np.linspace(-1, 1, 150).astype(np.float32)
    U = host.encode_users(data.X)
    biased = as_recommender((U, host.item_embeddings_, bias))
    ids = np.arange(400)
    model = steer(biased, data.X, user_ids=ids)
    vectors = model.export_embeddings(data.X, ids)
    scores = vectors.user_embeddings @ vectors.item_embeddings.T + vectors.item_bias
    expected = model.decision_function(data.X, user_ids=ids)
    np.testing.assert_allclose(scores, expected, atol=1e-4)
    assert np.abs(vectors.item_bias - bias).max() > 0.01


def biased_by_popularity(host, data):
    """A host whose popularity is in its item bias, as of BPR, and not in vectors."""
    rng = np.random.default_rng(1)
    bias = np.log1p(data.X.sum(axis=0)).astype(np.float32)
    V = rng.standard_normal((150, 12), dtype=np.float32)
    return as_recommender((host.encode_users(data.X), V, bias))


def test_neurons_read_a_bias_that_tells_of_popularity(host, data):
    biased, ids = biased_by_popularity(host, data), np.arange(400)
    every = PopularityNeuronSelector("score_omp", n_neurons_to_select="all")
    model = steer(biased, data.X, every, user_ids=ids)
    assert model.item_probe_.n_features_in_ == 13
    plain = as_recommender((host.encode_users(data.X), biased.item_embeddings_))
    blind = steer(plain, data.X, every, user_ids=ids)
    assert blind.item_probe_.n_features_in_ == 12
    assert model.item_selector_.target_r2_ > blind.item_selector_.target_r2_ + 0.1
    rows = np.column_stack([biased.item_embeddings_, biased.item_bias_])
    Z = model.item_probe_.transform(rows).astype(float)
    offsets = model.decision_function(data.X, ids) - biased.decision_function(
        data.X, ids
    )
    told = Z @ model.item_selector_.steering_weights_
    assert np.corrcoef(offsets[0], -told)[0, 1] > 0.999
    # The embeddings of users, and their width, are the host's.
    assert model.transform(data.X, ids).shape == (400, 12)


def test_a_bias_is_read_after_fit_as_in_fit(host, data):
    biased, ids = biased_by_popularity(host, data), np.arange(400)
    model = steer(biased, data.X, user_ids=ids)
    before = model.decision_function(data.X, ids)
    fresh = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(fresh.decision_function(data.X, ids), before)
    changes = explain_changes(model, data.X[[0]], user_ids=ids[:1])
    assert len(changes)
    # One more item, as biased as the first.
    U, V, bias = biased.encode_users(data.X, ids), *biased_tables(biased)
    grown = as_recommender((U, V[[*range(150), 0]], bias[[*range(150), 0]]))
    offsets = model.with_host(grown)._turn(None)[1]
    assert offsets[-1] == pytest.approx(offsets[0], rel=1e-5)
    # A bias that has moved is noticed; a host without one is none of the same kind.
    moved = as_recommender((U, V, bias[::-1].copy()))
    assert not np.array_equal(model.with_host(moved)._turn(None)[1], offsets[:-1])
    for plain in (as_recommender((U, V)), ArrayRecommender(U, V)):
        with pytest.raises(ValueError, match="neurons read; got ArrayRecommender w"):
            model.with_host(plain)


@pytest.mark.parametrize("rule", ["shift", "scale"])
def test_other_rules_leave_the_bias_to_the_host(host, data, rule):
    biased = biased_by_popularity(host, data)
    model = steer(
        biased, data.X, PopularityNeuronSelector(), rule=rule, user_ids=np.arange(400)
    )
    assert model.item_probe_.n_features_in_ == 12


def test_a_frozen_probe_reads_what_it_was_trained_on(host, data):
    biased = biased_by_popularity(host, data)
    V, bias = biased_tables(biased)
    for rows in (V, np.column_stack([V, bias])):
        probe = FrozenEstimator(clone(PROBE).fit(rows))
        model = steer(biased, data.X, probe=probe, user_ids=np.arange(400))
        Z = probe.transform(rows).astype(float)
        told = -Z @ model.item_selector_.steering_weights_
        assert np.corrcoef(model._turn(None)[1], told)[0, 1] > 0.999


def biased_tables(host):
    return host.item_embeddings_, host.item_bias_


def test_new_items_are_told_by_their_embeddings(model, host, data):
    popular = int(np.argmax(model.item_popularity_))
    V = np.vstack([host.item_embeddings_, host.item_embeddings_[[popular]]])
    grown = model.with_host(as_recommender(ArrayRecommender(None, V)))
    push = model._pushes(None)[1]
    offsets = grown._displace_items(push)
    # Nobody has used it yet, and it pays what the item it looks like pays.
    assert grown.item_popularity_[-1] == 0
    assert offsets[-1] == pytest.approx(offsets[popular], rel=1e-5)
    assert offsets[popular] < np.median(offsets)


def test_what_changed_is_explained_by_the_neurons(model, data):
    lists, own = model.predict(data.X), model.recommend(data.X, strength=0)
    user = int(np.flatnonzero((np.sort(lists) != np.sort(own)).any(axis=1))[0])
    row = model._encode(data.X[[user]], None)
    steered = SteeredRow(model, row, data.X[[user]], model._pushes(None))
    items = np.arange(150)
    sources, parts = steered.contributions(items)
    np.testing.assert_allclose(
        parts.sum(axis=1), change(model, data.X)[user], atol=1e-5
    )
    assert {source.side for source in sources} == {"item"}
    np.testing.assert_array_equal(steered.list_of(steered.pushes, 10), lists[user])
    assert explain_changes(model, data.X[[user]])


def test_any_knob_may_be_an_offset(host, data):
    model = steer(host, data.X, NeuronSubset({3: 1.0}), strength=0.5)
    Z = model.item_probe_.transform(host.item_embeddings_).astype(float)
    step = 0.5 * unit(model, data.X, Z[:, 3])
    np.testing.assert_allclose(
        change(model, data.X), np.tile(step * Z[:, 3], (400, 1)), atol=1e-5
    )


def test_the_unit_follows_the_host(host, data):
    U, V = host.encode_users(data.X), host.item_embeddings_
    lists = [
        steer(as_recommender((factor * U, V)), data.X, user_ids=np.arange(400)).predict(
            data.X, user_ids=np.arange(400)
        )
        for factor in (1.0, 8.0)
    ]
    assert np.array_equal(*lists)


def test_a_host_that_only_looks_up_needs_ids_for_its_unit(host, data):
    pair = ArrayRecommender(
        host.encode_users(data.X), host.item_embeddings_, fold_in=None
    )
    model = steer(as_recommender(pair), data.X)
    with pytest.raises(ValueError, match=r"^`user_ids` must be given to fit for rule="):
        model.predict(data.X, user_ids=np.arange(400))
    # Nothing else needs them.
    model.set_params(rule="scale").predict(data.X, user_ids=np.arange(400))


def test_what_nothing_is_said_of_becomes_offsets(host, data):
    model = SteeredRecommender(host, probe=PROBE, random_state=0).fit(data.X)
    assert (model.side_, model.rule_) == ("item", "offset")
    assert model.selector_ is model.item_selector_
    assert model.selector_.score_func == "score_omp"
    assert model.selector_.n_neurons_to_select == "all"
    every = PopularityNeuronSelector("score_omp", n_neurons_to_select="all")
    same = steer(host, data.X, every, strength=1.0)
    assert np.array_equal(model.predict(data.X), same.predict(data.X))
    # The papers' form is one parameter away, and what is set later counts.
    shift = SteeredRecommender(host, probe=PROBE, rule="shift").fit(data.X)
    assert (shift.side_, shift.rule_) == ("user", "shift")
    assert shift.selector_.score_func is cohens_d
    assert (
        SteeredRecommender(host, probe=PROBE, side="both").fit(data.X).rule_ == "shift"
    )
    assert model.set_params(rule="scale").side_ == "item"


@pytest.mark.parametrize("side", ["user", "both"])
def test_only_items_have_offsets(host, data, side):
    with pytest.raises(ValueError, match=r"^`side` must be 'item' with rule='offset'"):
        steer(host, data.X, side=side).predict(data.X)


FORMS = [{}, {"rule": "shift", "selector": PopularityNeuronSelector()}]


def vectors(data):
    rng = np.random.default_rng(0)
    n_users, n_items = data.X.shape
    U = rng.standard_normal((n_users, 12), dtype=np.float32)
    return U, rng.standard_normal((n_items, 12), dtype=np.float32)


@pytest.mark.parametrize("form", FORMS)
def test_items_are_displaced_once_for_calls_that_are_alike(form, data):
    host = as_recommender(vectors(data))
    model = steer(host, data.X, user_ids=np.arange(400), **form)
    size = len(pickle.dumps(model))
    first = model._turn(None)[1]
    assert model._turn(None)[1] is first
    assert model._turn(STRENGTH)[1] is first
    assert not np.array_equal(model._turn(0.3)[1], first)
    np.testing.assert_array_equal(model._turn(None)[1], first)
    # What is remembered goes into no file.
    assert len(pickle.dumps(model)) == size


@pytest.mark.parametrize("form", FORMS)
def test_a_host_that_goes_on_training_is_noticed(form, data):
    U, V = vectors(data)
    host, ids = as_recommender((U, V)), np.arange(400)
    model = steer(host, data.X, user_ids=ids, **form)
    before = model.decision_function(data.X, ids)
    # In place, as a training loop does it: two items swap their embeddings.
    V[[2, 5]] = V[[5, 2]]
    assert not np.array_equal(model.decision_function(data.X, ids), before)
    again = model.with_host(as_recommender((U, V)))
    np.testing.assert_array_equal(
        model.decision_function(data.X, ids), again.decision_function(data.X, ids)
    )
    # And of the model itself nothing is left over.
    fresh = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(
        model.decision_function(data.X, ids), fresh.decision_function(data.X, ids)
    )


@pytest.mark.parametrize(
    ("params", "size"),
    [
        ({}, (2048, 1024)),
        ({"rule": "offset"}, (2048, 1024)),
        ({"rule": "offset", "selector": ALL}, (2048, 1024)),
        ({"rule": "offset", "selector": ControlSelector(ALL)}, (2048, 1024)),
        ({"rule": "shift", "side": "item", "selector": ALL}, (1024, 32)),
        ({"rule": "shift"}, (1024, 32)),
        ({"side": "item"}, (1024, 32)),
        ({"rule": "offset", "selector": NeuronSubset([1])}, (1024, 32)),
        ({"rule": "offset", "item_selector": NeuronSubset([1])}, (1024, 32)),
        ({"probe": PROBE}, (64, 8)),
        ({"rule": "offset", "item_probe": PROBE}, (64, 8)),
    ],
)
def test_many_neurons_are_active_where_none_is_read(host, data, params, size):
    model = SteeredRecommender(host, random_state=0, **params).fit(data.X)
    probe = model.item_probe_ if "item" in model.side_ else model.probe_
    assert (probe.n_neurons, probe.k) == size
    assert model.random_state == 0
    assert model.probe is params.get("probe")


def test_items_are_read_in_blocks(host, data, model, monkeypatch):
    monkeypatch.setattr(_side, "_BLOCK_ACTIVATIONS", 7 * 64)
    again = steer(host, data.X)
    side, expected = again._side("item"), model._side("item")
    weights = again.selector_.steering_weights_
    np.testing.assert_allclose(weights, model.selector_.steering_weights_, atol=1e-5)
    np.testing.assert_allclose(side.knob_spreads, expected.knob_spreads, rtol=1e-5)
    np.testing.assert_allclose(side.scales, expected.scales, rtol=1e-5)
    V = side.rows_of(host)
    np.testing.assert_allclose(side.activations(V), side.probe.transform(V), atol=1e-5)


def test_needed_neurons_are_those_of_items_encoded_anew(model, data, monkeypatch):
    rows = data.X[:6]
    found = {}
    for most in (0, _contributions._MOST_ACTIVATIONS):
        monkeypatch.setattr(_contributions, "_MOST_ACTIVATIONS", most)
        found[most] = [
            change.needed_neurons(item)
            for change in explain_changes(model, rows, strength=2.0)
            for item in change["left"]
        ]
    few, kept = found.values()
    assert few == kept
    assert len(kept) > 3
    assert any(kept)


@pytest.mark.parametrize("n", [399, 401])
def test_every_row_has_its_user(host, data, n):
    model = SteeredRecommender(host, probe=PROBE)
    with pytest.raises(ValueError, match=rf"one user per row of `X` \(400\); got {n}"):
        model.fit(data.X, user_ids=np.arange(n))
