"""A variational autoencoder as host: its decoder cares for the length of embeddings."""

import numpy as np
import pytest
from sklearn.base import clone

from benchmarks.collaborative_autoencoders import (
    TRAINING,
    accuracy,
    split,
    train_mult_vae,
)
from skpopsteer import SparseAutoencoderProbe, SteeredRecommender
from skpopsteer.datasets import make_interactions
from skpopsteer.metrics import ndcg
from skpopsteer.popularity import item_popularity

COSINES = {
    "cosine": {"loss": "cosine"},
    "standardized": {"loss": "cosine", "standardize_rows": True},
}


@pytest.fixture(scope="module")
def parts():
    """Rows of training users, and of others what is seen and what is not."""
    return split(make_interactions(1500, 300, random_state=0).X, 0)


@pytest.fixture(scope="module")
def host(parts):
    return train_mult_vae(parts[0], 0, width=32, n_epochs=60, learning_rate=3e-3)


@pytest.fixture(scope="module", params=COSINES)
def probe(request, host, parts):
    probe = SparseAutoencoderProbe(
        256, k=8, random_state=0, **TRAINING, **COSINES[request.param]
    )
    return probe.fit(host.encode_users(parts[0]))


def _lengths(rows):
    return np.linalg.norm(rows, axis=1)


def test_the_host_has_learned(host, parts):
    X, seen, y = parts
    popular = np.argsort(-item_popularity(X), kind="stable")
    unseen = [np.setdiff1d(popular, row, assume_unique=True) for row in _items(seen)]
    by_popularity = ndcg(y, np.array([row[:20] for row in unseen]))
    own = accuracy(host, host.encode_users(seen), seen, y)
    assert own > 1.4 * by_popularity
    assert host.has_nonlinear_decode


def _items(X):
    return np.split(X.indices, X.indptr[1:-1])


def test_reconstructions_have_the_lengths_of_the_rows(host, parts, probe):
    U = host.encode_users(parts[1])
    U = np.vstack([U, 7.0 * U[:1], np.zeros_like(U[:1])])
    Z = probe.transform(U)
    assert probe.decodes_with_rows
    np.testing.assert_allclose(
        _lengths(probe.inverse_transform(Z, U)), _lengths(U), rtol=1e-4, atol=1e-5
    )
    without = probe.inverse_transform(Z)
    # They have no length of their own, or there would be nothing to put back.
    assert np.std(_lengths(without[:-2]) / _lengths(U[:-2])) > 0.05
    if probe.standardize_rows:
        return
    directions = probe.inverse_transform(Z[:-1], U[:-1])
    cosines = (directions * without[:-1]).sum(axis=1)
    cosines /= _lengths(directions) * _lengths(without[:-1])
    np.testing.assert_allclose(cosines, 1, rtol=1e-5)


def test_codes_that_say_nothing_are_decoded_to_numbers(probe):
    """No neuron fires, and the bias is 0: there is no direction to give a length."""
    rows, bias = np.ones((2, probe.n_features_in_)), probe.decoder_bias_
    try:
        probe.decoder_bias_ = np.zeros_like(bias)
        nothing = np.zeros((2, len(probe.encoder_bias_)))
        decoded = probe.inverse_transform(nothing, rows)
    finally:
        probe.decoder_bias_ = bias
    np.testing.assert_allclose(decoded, float(probe.standardize_rows), atol=1e-6)


def test_each_rows_own_length_is_worth_accuracy(host, parts, probe):
    _, seen, y = parts
    U = host.encode_users(seen)
    Z, own = probe.transform(U), accuracy(host, U, seen, y)
    without = accuracy(host, probe.inverse_transform(Z), seen, y) / own
    back = accuracy(host, probe.inverse_transform(Z, U), seen, y) / own
    assert back > without + 0.02
    assert back > 0.97


def test_a_wrong_length_costs_the_host_itself(host, parts):
    """From Knots to Knobs leaves 0.36 to 0.48 of the length on ML-100K."""
    _, seen, y = parts
    U = host.encode_users(seen)
    own = accuracy(host, U, seen, y)
    assert accuracy(host, 0.4 * U, seen, y) < 0.9 * own


def test_fvu_is_that_of_the_reconstruction_with_the_rows(host, parts, probe):
    U = host.encode_users(parts[0])
    decoded = probe.inverse_transform(probe.transform(U), U)
    fvu = ((U - decoded) ** 2).sum() / ((U - U.mean(axis=0)) ** 2).sum()
    assert probe.fvu_ == pytest.approx(fvu, rel=1e-4)


def _steered(host, probe, **params):
    # Fitted again, which need not take as long.
    probe = clone(probe).set_params(max_iter=20)
    return SteeredRecommender(
        host, probe=probe, random_state=0, **({"rule": "shift"} | params)
    )


def test_a_residual_at_strength_0_gives_the_hosts_own_lists(host, parts, probe):
    X, seen, _ = parts
    model = _steered(host, probe, reconstruction="residual").fit(X)
    own = host.recommend(seen)
    np.testing.assert_array_equal(model.recommend(seen, strength=0), own)
    turned = model.recommend(seen, strength=2.0)
    popularity = item_popularity(X)
    assert popularity[turned].mean() < popularity[own].mean()


def test_a_replacement_has_the_length_of_the_row(host, parts, probe):
    X, seen, y = parts
    model = _steered(host, probe, reconstruction="replace").fit(X)
    U = host.encode_users(seen)
    for strength in (0.0, 1.5):
        moved = model.set_params(strength=strength).transform(seen)
        np.testing.assert_allclose(_lengths(moved), _lengths(U), rtol=1e-4)
    model.set_params(strength=0.0)
    fitted = model.probe_
    expected = fitted.inverse_transform(fitted.transform(U), U)
    np.testing.assert_allclose(model.transform(seen), expected, rtol=1e-4, atol=1e-5)
    back = accuracy(host, expected, seen, y)
    assert ndcg(y, model.recommend(seen, 20)) == pytest.approx(back, abs=1e-6)


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({}, False),
        ({"loss": "prediction"}, False),
        ({"loss": "cosine"}, True),
        ({"standardize_rows": True}, True),
    ],
)
def test_a_probe_tells_whether_it_decodes_with_rows(params, expected):
    assert SparseAutoencoderProbe(**params).decodes_with_rows is expected
