"""Kept activations, corrected by least squares."""

import copy

import numpy as np
import pytest
from scipy.optimize import nnls
from scipy.sparse import csr_array

from skpopsteer import SparseAutoencoderProbe, SteeredRecommender
from skpopsteer.sae._refining import refine

VARIANTS = {
    "topk": {},
    "batch_topk": {"activation": "batch_topk"},
    "relu": {"activation": "relu"},
    "standardized": {"standardize_rows": True},
}


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(0)
    return (rng.standard_normal((300, 5)) @ rng.standard_normal((5, 12)) + 3).astype(
        np.float32
    )


@pytest.fixture(scope="module")
def probe(rows):
    return SparseAutoencoderProbe(40, k=6, max_iter=30, random_state=0).fit(rows)


def refined(probe, n_sweeps):
    return copy.copy(probe).set_params(refine=n_sweeps)


def errors(probe, rows):
    decoded = probe.inverse_transform(probe.transform(rows))
    return ((decoded.astype(np.float64) - rows) ** 2).sum(axis=1)


def test_many_sweeps_are_non_negative_least_squares(probe, rows):
    plain, best = probe.transform(rows), refined(probe, 2000).transform(rows)
    for row, before, after in zip(rows[:40], plain, best, strict=False):
        kept = np.flatnonzero(before)
        expected, _ = nnls(
            probe.decoder_weights_[kept].T.astype(np.float64),
            (row - probe.decoder_bias_).astype(np.float64),
        )
        np.testing.assert_allclose(after[kept], expected, atol=5e-3)
        assert not after[np.setdiff1d(np.arange(40), kept)].any()


def test_the_error_of_no_row_ever_grows(probe, rows):
    before = errors(probe, rows)
    for n_sweeps in (1, 2, 3, 10):
        after = errors(refined(probe, n_sweeps), rows)
        assert (after <= before + 1e-5).all()
        before = after
    assert before.sum() < 0.7 * errors(probe, rows).sum()


@pytest.mark.parametrize("params", VARIANTS.values(), ids=VARIANTS)
def test_every_variant_gains(rows, params):
    probe = SparseAutoencoderProbe(40, k=6, max_iter=30, random_state=0, **params)
    plain = probe.fit(rows).fvu_
    probe.set_params(refine=3).fit(rows)
    assert probe.fvu_ < 0.95 * plain
    Z = probe.transform(rows)
    assert Z.min() >= 0
    np.testing.assert_allclose(probe.score(rows), 1 - probe.fvu_, rtol=1e-5)


def test_training_stays_as_it_is(probe, rows):
    again = SparseAutoencoderProbe(40, k=6, max_iter=30, random_state=0, refine=5)
    again.fit(rows)
    np.testing.assert_array_equal(again.encoder_weights_, probe.encoder_weights_)
    np.testing.assert_array_equal(
        again.pre_activations(rows), probe.pre_activations(rows)
    )


def test_the_code_of_a_row_does_not_depend_on_its_batch(probe, rows):
    model = refined(probe, 4)
    together = model.transform(rows)
    for i in (0, 17, 299):
        np.testing.assert_allclose(
            model.transform(rows[[i]])[0], together[i], atol=1e-5
        )


def test_sparse_output_holds_the_same(probe, rows):
    model = refined(probe, 4)
    sparse = copy.copy(model).set_params(sparse_output=True).transform(rows)
    np.testing.assert_array_equal(sparse.toarray(), model.transform(rows))
    assert (sparse.data > 0).all()


def test_blocks_of_rows_and_empty_codes(probe, rows, monkeypatch):
    from skpopsteer.sae import _refining

    Z = csr_array(probe.transform(rows))
    Z.data[Z.indptr[5] : Z.indptr[7]] = 0
    Z.eliminate_zeros()
    whole = refine(Z, rows, probe._weights(), 3)
    monkeypatch.setattr(_refining, "_BLOCK_NUMBERS", 7 * 6 * 12)
    parts = refine(Z, rows, probe._weights(), 3)
    np.testing.assert_allclose(parts.toarray(), whole.toarray(), atol=1e-6)
    assert not whole[[5, 6]].nnz
    nothing = csr_array((300, 40), dtype=np.float32)
    assert not refine(nothing, rows, probe._weights(), 3).nnz


def test_the_activations_given_stay_as_they_are(probe, rows):
    Z = csr_array(probe.transform(rows))
    before = Z.copy()
    refine(Z, rows, probe._weights(), 5)
    assert (before != Z).nnz == 0


def test_steering_turns_the_same_knob(host, interactions):
    """A shift moves what fires; what least squares add stays beside it."""
    probe = SparseAutoencoderProbe(64, k=8, max_iter=15, random_state=0)
    plain, better = (
        SteeredRecommender(
            host, rule="shift", probe=probe.set_params(refine=n), random_state=0
        ).fit(interactions)
        for n in (0, 3)
    )
    np.testing.assert_allclose(
        better.transform(interactions), plain.transform(interactions), atol=1e-5
    )
    U = host.encode_users(interactions)
    better.set_params(reconstruction="replace", strength=0.0)
    expected = better.probe_.inverse_transform(better.probe_.transform(U))
    np.testing.assert_allclose(better.transform(interactions), expected, atol=1e-5)
    plain.set_params(reconstruction="replace", strength=0.0)
    assert ((expected - U) ** 2).sum() < (
        (plain.transform(interactions) - U) ** 2
    ).sum()
