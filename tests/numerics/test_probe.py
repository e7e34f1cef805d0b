"""Every step of an autoencoder, against the same step in float64."""

import copy

import numpy as np
import pytest

from skpopsteer.sae._standardize import standardize
from tests.numerics import plain
from tests.numerics.tolerances import TOLERANCES, assert_near


def test_standardized_rows(users):
    assert_near("standardised rows", standardize(users), plain.standardized(users))


@pytest.mark.parametrize("scale", [1e30, 1e-30])
def test_rows_are_standardized_whatever_their_unit(users, scale):
    rows = users * np.float32(scale)
    assert_near("standardised rows", standardize(rows), plain.standardized(rows))


def test_an_offset_of_rows_costs_its_own_digits_and_no_more(users):
    far = users + np.float32(1000)
    got, expected = standardize(far), plain.standardized(far)
    offsets = 1000 / plain.as_float64(far).std(axis=1)
    error = np.abs(got - expected).max(axis=1) / np.abs(expected).max(axis=1)
    assert (error <= TOLERANCES["standardised rows"] * offsets).all()
    assert error.max() > TOLERANCES["standardised rows"]


def test_pre_activations(probe, users):
    expected = plain.pre_activations(probe, users)
    assert_near("pre-activations", probe.pre_activations(users), expected)


def test_activations_are_those_of_float64(probe, users):
    P = probe.pre_activations(users)
    expected = plain.activations(probe, P)
    assert 1 < (expected > 0).sum(axis=1).mean() < 200
    # Nothing is rounded: some are kept, and others are set to 0.
    assert_near("activations of given pre-activations", probe.activate(P), expected)


def test_codes(probe, users):
    P = plain.pre_activations(probe, users)
    clear = plain.clear_choice(probe, P, TOLERANCES["pre-activations"])
    assert clear.mean() > 0.95
    expected = plain.activations(probe, P)
    for got in (probe.transform(users), probe.activate(probe.pre_activations(users))):
        np.testing.assert_array_equal((got > 0)[clear], (expected > 0)[clear])
        assert_near("pre-activations", got[clear], expected[clear])


def test_refined_codes(probe, users):
    probe, users = copy.copy(probe).set_params(refine=3), users[:150]
    P = plain.pre_activations(probe, users)
    clear = plain.clear_choice(probe, P, TOLERANCES["pre-activations"])
    X = plain.standardized(users) if probe.standardize_rows else users
    expected = plain.refined(probe, plain.activations(probe, P), X)
    got = probe.transform(users)
    assert_near("refined activations", got[clear], expected[clear])
    # They are other activations than the encoder's.
    assert np.abs(got - plain.activations(probe, P)).max() > 0.01


def test_decoded_codes(probe, users):
    Z = probe.transform(users)
    assert_near("decoded rows", probe.inverse_transform(Z), plain.decoded(probe, Z))


@pytest.mark.parametrize("name", ["standardized", "cosine"])
def test_rows_at_their_own_scale(probes, users, name):
    probe = probes[name]
    Z = probe.transform(users)
    expected = plain.decoded(probe, Z)
    X = plain.as_float64(users)
    if name == "standardized":
        expected = expected * X.std(axis=1)[:, None] + X.mean(axis=1)[:, None]
    else:
        lengths = np.linalg.norm(X, axis=1) / np.linalg.norm(expected, axis=1)
        expected = expected * lengths[:, None]
    assert_near("decoded rows", probe.inverse_transform(Z, users), expected)


def test_explained_variance(probe, users):
    X, Z = plain.as_float64(users), probe.transform(users)
    back = plain.as_float64(probe.inverse_transform(Z, users))
    expected = 1 - ((X - back) ** 2).sum() / ((X - X.mean(axis=0)) ** 2).sum()
    assert_near("explained variance", [probe.score(users)], np.array([expected]))
