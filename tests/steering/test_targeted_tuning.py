"""Chosen neurons scaled, ablated or held, on real hosts: exact in scores and lists."""

import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from sklearn.frozen import FrozenEstimator

from skpopsteer import NeuronSubset, SparseAutoencoderProbe, SteeredRecommender
from skpopsteer.steering import _side
from tests.hosts import HOSTS

#: Hosts that fold rows in, one of each kind, and one with a non-linear decoder.
NAMES = ["als", "bpr", "truncated_svd", "arrays_with_bias", "autoencoder", "mult_vae"]
FACTORS = [0.0, 0.1, 0.5, 2.0, 5.0, 10.0]


def fit_probe(rows, **params):
    return SparseAutoencoderProbe(
        48, k=6, **{"max_iter": 15, "random_state": 0, **params}
    ).fit(rows)


def turn(host, X, probe, neurons, rule, strength, **params):
    return SteeredRecommender(
        host, probe=FrozenEstimator(probe), selector=NeuronSubset(neurons), rule=rule,
        strength=strength, random_state=0, **params,
    ).fit(X)  # fmt: skip


def choose(Z):
    """Return a neuron that some rows have and some do not, as strong as there is."""
    share = (Z > 0).mean(axis=0)
    return int(np.argmax(Z.sum(axis=0) * (share < 0.9)))


@dataclass(frozen=True)
class Setting:
    """A host, its rows, embeddings and codes, and a neuron to turn."""

    host: Any
    X: Any
    U: np.ndarray
    probe: Any
    Z: np.ndarray
    neuron: int
    model: Any

    def at(self, rule, strength, **params):
        """Return the model that turns the neuron so; nothing is fitted again."""
        return copy.copy(self.model).set_params(rule=rule, strength=strength, **params)


@pytest.fixture(scope="module", params=NAMES)
def setting(request):
    host, X = HOSTS[request.param]().recommender, HOSTS[request.param]().X
    U = host.encode_users(X)
    probe = fit_probe(U)
    Z = probe.transform(U)
    neuron = choose(Z)
    model = turn(host, X, probe, [neuron], "multiply", 1.0)
    return Setting(host, X, U, probe, Z, neuron, model)


@pytest.mark.parametrize(("rule", "strength"), [("multiply", 0.0), ("hold", 0.0)])
def test_strength_zero_is_the_host(setting, rule, strength):
    host, X = setting.host, setting.X
    model = setting.at(rule, strength)
    assert np.array_equal(model.transform(X), setting.U)
    assert np.array_equal(model.decision_function(X), host.decision_function(X))
    assert np.array_equal(model.predict(X), host.recommend(X))


@pytest.mark.parametrize("factor", FACTORS)
def test_a_factor_changes_scores_by_what_the_neuron_adds(setting, factor):
    host, X, U, neuron = setting.host, setting.X, setting.U, setting.neuron
    z, direction = setting.Z[:, neuron], setting.probe.decoder_weights_[neuron]
    model = setting.at("multiply", factor - 1)
    added = (factor - 1) * np.outer(z, direction)
    np.testing.assert_allclose(model.transform(X), U + added, atol=1e-5)
    scores, own = model.decision_function(X), host.decision_function(X)
    if host.has_nonlinear_decode:
        np.testing.assert_allclose(scores, host.decode(U + added), atol=1e-4)
    else:
        effect = host.item_embeddings_.astype(float) @ direction
        scale = max(1.0, np.abs(own).max())
        np.testing.assert_allclose(
            scores - own, (factor - 1) * np.outer(z, effect), atol=1e-5 * scale
        )
    assert (np.abs(scores - own).max(axis=1)[z > 0] > 0).all()


@pytest.mark.parametrize("factor", FACTORS)
def test_rows_where_the_neuron_is_inactive_stay_to_the_last_bit(setting, factor):
    host, X = setting.host, setting.X
    model = setting.at("multiply", factor - 1)
    silent = setting.Z[:, setting.neuron] == 0
    assert 0 < silent.sum() < len(silent)
    assert np.array_equal(model.transform(X)[silent], setting.U[silent])
    own = host.decision_function(X)
    assert np.array_equal(model.decision_function(X)[silent], own[silent])
    assert np.array_equal(model.predict(X)[silent], host.recommend(X)[silent])
    assert not np.array_equal(model.predict(X), host.recommend(X))


def test_ablation_leaves_what_the_other_neurons_and_the_error_say(setting):
    Z, decode = setting.Z, setting.probe.inverse_transform
    others = Z * (np.arange(Z.shape[1]) != setting.neuron)
    expected = decode(others) + (setting.U - decode(Z))
    moved = setting.at("multiply", -1.0).transform(setting.X)
    np.testing.assert_allclose(moved, expected, atol=1e-5)


@pytest.mark.parametrize("share", [0.5, 1.0, 2.0])
def test_hold_sets_the_neuron_in_every_row_firing_or_not(setting, share):
    X, z = setting.X, setting.Z[:, setting.neuron]
    model = setting.at("hold", share)
    change = np.outer(
        share * z.max() - z, setting.probe.decoder_weights_[setting.neuron]
    )
    np.testing.assert_allclose(model.transform(X), setting.U + change, atol=1e-4)
    moved = np.abs(model.decision_function(X) - setting.host.decision_function(X))
    assert (moved[z == 0].max(axis=1) > 0).all()


def test_hold_raises_what_the_neuron_promotes_where_it_was_inactive(setting):
    silent = setting.Z[:, setting.neuron] == 0
    direction = setting.probe.decoder_weights_[setting.neuron]
    before, after = (
        setting.at("hold", strength).decision_function(setting.X)[silent]
        for strength in (0.0, 1.0)
    )
    # Of a non-linear decoder the direction moves items where it starts from.
    step = setting.host.decode(setting.U[silent] + 1e-2 * direction)
    promoted = np.argsort((before - step).mean(axis=0))[:10]
    gain = (after - before).mean(axis=0)
    assert gain[promoted].mean() > np.quantile(gain, 0.9)


def test_several_neurons_are_turned_each_by_its_weight(setting):
    Z, neuron = setting.Z, setting.neuron
    other = choose(Z * (np.arange(Z.shape[1]) != neuron))
    weights = {neuron: 1.0, other: -0.25}
    model = turn(setting.host, setting.X, setting.probe, weights, "multiply", 2.0)
    factors = np.ones(Z.shape[1])
    factors[neuron], factors[other] = 3.0, 0.5
    expected = setting.U + (Z * factors - Z) @ setting.probe.decoder_weights_
    np.testing.assert_allclose(model.transform(setting.X), expected, atol=1e-5)
    assert np.flatnonzero(model.selector_.get_support()).tolist() == sorted(weights)


def test_a_neuron_cannot_be_turned_below_zero(setting):
    silenced, below = (
        setting.at("multiply", strength).transform(setting.X)
        for strength in (-1.0, -5.0)
    )
    assert np.array_equal(silenced, below)


@pytest.mark.parametrize("rule", ["multiply", "hold"])
@pytest.mark.parametrize("name", ["als", "mult_vae"])
def test_rows_that_are_standardized_get_their_own_scale(name, rule):
    host, X = HOSTS[name]().recommender, HOSTS[name]().X
    U = host.encode_users(X)
    probe = fit_probe(U, standardize_rows=True)
    Z = probe.transform(U)
    neuron = choose(Z)
    model = turn(host, X, probe, [neuron], rule, 1.5)
    steered = Z.copy()
    steered[:, neuron] = 1.5 * Z[:, neuron].max()
    if rule == "multiply":
        steered[:, neuron] = 2.5 * Z[:, neuron]
    change = (steered - Z) @ probe.decoder_weights_ * U.std(axis=1, keepdims=True)
    scale = np.abs(U).max()
    np.testing.assert_allclose(model.transform(X), U + change, atol=1e-5 * scale)
    same = turn(host, X, probe, [neuron], rule, 0.0)
    assert np.array_equal(same.predict(X), host.recommend(X))
    if rule == "multiply":
        silent = Z[:, neuron] == 0
        assert np.array_equal(model.transform(X)[silent], U[silent])


@pytest.mark.parametrize("rule", ["multiply", "hold"])
@pytest.mark.parametrize("name", ["als", "arrays_with_bias"])
def test_neurons_of_items_are_turned_on_the_item_side(name, rule):
    host, X = HOSTS[name]().recommender, HOSTS[name]().X
    V, U = np.asarray(host.item_embeddings_), host.encode_users(X)
    probe = fit_probe(V)
    Z = probe.transform(V)
    neuron = choose(Z)
    model = turn(host, X, probe, [neuron], rule, -1.0, side="item")
    if rule == "hold":
        model.set_params(strength=0.5)
    held = 0.5 * Z[:, neuron].max() if rule == "hold" else 0.0
    change = (held - Z[:, neuron])[:, None] * probe.decoder_weights_[neuron]
    own = host.decision_function(X)
    difference = model.decision_function(X) - own
    np.testing.assert_allclose(
        difference, U @ change.T, atol=1e-5 * max(1, np.abs(own).max())
    )
    if rule == "multiply":
        silent = Z[:, neuron] == 0
        assert np.array_equal(model.decision_function(X)[:, silent], own[:, silent])
    assert np.array_equal(model.recommend(X, strength=0), host.recommend(X))


@pytest.mark.parametrize("rule", ["multiply", "hold"])
def test_the_lists_do_not_depend_on_the_blocks(setting, rule, monkeypatch):
    model = setting.at(rule, 1.0)
    at_once = model.transform(setting.X)
    monkeypatch.setattr(_side, "_BLOCK_ACTIVATIONS", 7 * 48)
    np.testing.assert_allclose(model.transform(setting.X), at_once, atol=1e-5)


@pytest.mark.parametrize("rule", ["multiply", "hold"])
def test_with_the_reconstruction_in_place_of_the_embedding(setting, rule):
    model = setting.at(rule, 1.0, reconstruction="replace")
    steered, z = setting.Z.copy(), setting.Z[:, setting.neuron]
    steered[:, setting.neuron] = z.max() if rule == "hold" else 2 * z
    expected = setting.probe.inverse_transform(steered)
    np.testing.assert_allclose(model.transform(setting.X), expected, atol=1e-5)


def test_a_knob_per_user_multiplies_the_strength(setting):
    half = np.arange(setting.X.shape[0]) % 2 / 2
    model = setting.at("multiply", -1.0, user_strength=lambda X: half)
    z, direction = setting.Z[:, setting.neuron], setting.probe.decoder_weights_
    expected = setting.U - np.outer(half * z, direction[setting.neuron])
    np.testing.assert_allclose(model.transform(setting.X), expected, atol=1e-5)


@pytest.mark.parametrize("neurons", [[48], [-1], [1.5], {2: np.nan}, {3: "a"}])
def test_neurons_that_are_not_there_are_refused_in_one_line(neurons):
    host, X = HOSTS["truncated_svd"]().recommender, HOSTS["truncated_svd"]().X
    probe = fit_probe(host.encode_users(X), max_iter=1)
    message = "`neurons` must be positions 0 to 47, with finite weights; got"
    with pytest.raises(ValueError, match=message) as caught:
        turn(host, X, probe, neurons, "multiply", -1.0)
    assert "\n" not in str(caught.value)
