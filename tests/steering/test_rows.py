"""The rows a side is fitted on, and what is measured on them."""

import numpy as np
import pytest
from scipy.sparse import csr_array
from sklearn.decomposition import PCA, TruncatedSVD

import skpopsteer.steering._side
from skpopsteer import SparseAutoencoderProbe, as_recommender
from skpopsteer.steering._rows import encode_training_rows, sub_histories
from skpopsteer.steering._side import _deviations_and_peaks, _pre_activations_and_peaks


@pytest.fixture
def timed(interactions):
    X = interactions.copy()
    X.data = np.random.default_rng(0).permutation(X.nnz) + 1.0
    return X


@pytest.mark.parametrize("ordered", [False, True])
def test_parts_of_histories_are_parts_of_real_rows(timed, ordered):
    parts = sub_histories(timed, 500, ordered, np.random.default_rng(0))
    assert parts.shape == (500, 100)
    assert parts.has_sorted_indices
    source = timed.toarray()[np.arange(500) % 200]
    part = parts.toarray()
    assert np.array_equal(part[part > 0], source[part > 0])
    shares = (part > 0).sum(axis=1) / (source > 0).sum(axis=1)
    assert shares.min() >= 0.25
    assert shares.max() <= 1
    assert 0.55 < shares.mean() < 0.75
    # The same row taken again is cut elsewhere.
    assert (parts[[0]] != parts[[200]]).nnz


def test_ordered_parts_are_the_earliest_and_others_are_not(timed):
    def breaches(ordered):
        parts = sub_histories(timed, 200, ordered, np.random.default_rng(0)).toarray()
        full = timed.toarray()
        left_out = np.where((full > 0) & (parts == 0), full, np.inf).min(axis=1)
        return (parts.max(axis=1) > left_out).sum()

    assert breaches(ordered=True) == 0
    assert breaches(ordered=False) > 100


def test_empty_rows_are_no_source_of_parts():
    X = csr_array([[0.0, 0, 0], [1, 1, 0], [0, 0, 0], [0, 0, 1]])
    parts = sub_histories(X, 6, False, np.random.default_rng(0))
    assert np.diff(parts.indptr).min() >= 1


def test_few_users_are_joined_by_parts_of_their_histories(interactions):
    host = as_recommender(TruncatedSVD(4, random_state=0).fit(interactions))
    rows = host.encode_users(interactions)
    training = encode_training_rows(host, interactions, rows, np.random.default_rng(0))
    assert training.shape == (8192, 4)
    assert np.array_equal(training[:200], rows)
    assert len(np.unique(training.round(5), axis=0)) > 4000


def test_many_users_are_enough_by_themselves():
    rows = np.zeros((9000, 4), dtype=np.float32)
    assert encode_training_rows(None, None, rows, None) is rows


@pytest.mark.parametrize("block", [64 * 7, 2**23])
@pytest.mark.parametrize("kind", ["sae", "pca"])
def test_deviations_and_peaks_are_those_of_all_rows(monkeypatch, block, kind):
    rows = np.random.default_rng(0).normal(3, 2, size=(300, 8)).astype(np.float32)
    probe = SparseAutoencoderProbe(64, k=4, max_iter=2, random_state=0)
    probe = (probe if kind == "sae" else PCA(6)).fit(rows)
    pre = probe.pre_activations(rows) if kind == "sae" else probe.transform(rows)
    monkeypatch.setattr(skpopsteer.steering._side, "_BLOCK_ACTIVATIONS", block)
    deviations, peaks = _deviations_and_peaks(probe, rows)
    np.testing.assert_allclose(deviations, pre.std(axis=0, dtype=float), rtol=1e-5)
    active = probe.transform(rows)
    np.testing.assert_allclose(peaks, active.max(axis=0), rtol=1e-5, atol=1e-6)
    all_pre, all_peaks = _pre_activations_and_peaks(probe, rows)
    np.testing.assert_allclose(all_pre, pre, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(all_peaks, peaks, rtol=1e-6)


def test_a_constant_neuron_has_no_deviation():
    rows = np.full((50, 3), 0.1, dtype=np.float32) + 1e3
    probe = SparseAutoencoderProbe(8, k=2, max_iter=1, random_state=0).fit(rows)
    assert _deviations_and_peaks(probe, rows)[0].max() == 0
