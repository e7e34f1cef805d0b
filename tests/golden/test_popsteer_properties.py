"""Exact properties of PopSteer's steering that hold for any host."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.decomposition import TruncatedSVD
from sklearn.frozen import FrozenEstimator

from skpopsteer.adapters import as_recommender
from skpopsteer.metrics import gini
from skpopsteer.neurons import PopularityNeuronSelector
from skpopsteer.sae import SparseAutoencoderProbe
from skpopsteer.steering import SteeredRecommender

K = 4


@pytest.fixture(scope="module")
def host(interactions):
    return as_recommender(TruncatedSVD(8, random_state=0).fit(interactions))


@pytest.fixture
def replacing(host):
    """PopSteer as published: the reconstruction takes the place of the embedding."""
    probe = SparseAutoencoderProbe(64, k=K, max_iter=5, random_state=0)
    return SteeredRecommender(
        host, rule="shift", probe=probe, reconstruction="replace", random_state=0
    )


@pytest.fixture(scope="module")
def probe(host, interactions):
    probe = SparseAutoencoderProbe(64, k=K, max_iter=5, random_state=0)
    return probe.fit(host.encode_users(interactions))


def unsteered(model, X):
    probe = model.probe_
    return probe.inverse_transform(probe.transform(model.recommender_.encode_users(X)))


def test_strength_zero_gives_the_reconstruction(replacing, interactions):
    model = replacing.set_params(strength=0.0).fit(interactions)
    assert_array_equal(model.transform(interactions), unsteered(model, interactions))


def test_a_threshold_nothing_reaches_gives_the_reconstruction(replacing, interactions):
    selector = PopularityNeuronSelector(threshold=1e6)
    model = replacing.set_params(strength=5.0, selector=selector).fit(interactions)
    assert np.abs(model.selector_.scores_).max() > 0
    assert_array_equal(model.transform(interactions), unsteered(model, interactions))


def test_any_other_strength_changes_the_reconstruction(replacing, interactions):
    model = replacing.set_params(strength=1.0).fit(interactions)
    steered = model.transform(interactions)
    assert np.abs(steered - unsteered(model, interactions)).max() > 0.1


def test_strength_zero_of_the_residual_form_gives_the_host(
    replacing, host, interactions
):
    model = replacing.set_params(reconstruction="residual", strength=0.0)
    model.fit(interactions)
    assert_array_equal(model.transform(interactions), host.encode_users(interactions))


def test_a_frozen_probe_is_used_as_it_is(replacing, host, probe, interactions):
    model = replacing.set_params(probe=FrozenEstimator(probe), strength=0.0)
    model.fit(interactions)
    U = host.encode_users(interactions)
    assert_array_equal(
        model.transform(interactions), probe.inverse_transform(probe.transform(U))
    )


def test_the_code_of_a_row_has_at_most_k_neurons(probe, host, interactions):
    n_active = (probe.transform(host.encode_users(interactions)) != 0).sum(axis=1)
    assert n_active.max() == K


def test_the_k_kept_are_the_largest_of_each_row(probe):
    P = np.random.default_rng(0).normal(size=(30, 64)).astype(np.float32)
    Z = probe.activate(P)
    kth = np.sort(P, axis=1)[:, -K, None]
    assert_array_equal(Z, P * (kth <= P))


def test_no_neuron_fires_where_all_are_negative(probe):
    P = -np.ones((3, 64), dtype=np.float32)
    P[1, [5, 9]] = 1, 2
    Z = probe.activate(P)
    assert_array_equal(Z.sum(axis=1), [0, 3, 0])


def test_the_code_of_a_row_does_not_depend_on_its_company(probe, host, interactions):
    # Rows a hundred times as large would take all the places of a TopK over the batch.
    U = host.encode_users(interactions)[:20] * np.geomspace(1, 100, 20)[:, None]
    U = U.astype(np.float32)
    together = probe.transform(U)
    alone = np.vstack([probe.transform(row[None]) for row in U])
    assert_allclose(together, alone, rtol=1e-4, atol=1e-5)
    assert_array_equal(probe.activate(together), together)


@pytest.mark.parametrize("n_items", [2, 10, 2975])
def test_gini_of_even_exposure_is_zero_and_of_one_item_its_maximum(n_items):
    assert gini(np.arange(n_items)[:, None], n_items) == pytest.approx(0, abs=1e-12)
    one_item = np.full((7, 1), n_items - 1)
    assert gini(one_item, n_items) == pytest.approx(1 - 1 / n_items, abs=1e-12)
