"""The probe: what it learns, what it promises, what it refuses."""

import pickle

import numpy as np
import pytest
from sklearn.base import clone

from skpopsteer.sae import SparseAutoencoderProbe


@pytest.fixture(scope="module")
def planted():
    """Rows that are sparse sums of 24 directions, around a mean far from zero."""
    rng = np.random.default_rng(0)
    directions = rng.normal(size=(24, 16))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    codes = rng.gamma(4.0, size=(4000, 24)) * (rng.random((4000, 24)) < 2 / 24)
    return (codes @ directions + 5 * rng.normal(size=16)).astype(np.float32), directions


@pytest.fixture(scope="module")
def fitted(planted):
    probe = SparseAutoencoderProbe(48, k=4, batch_size=256, max_iter=60, random_state=0)
    return probe.fit(planted[0])


def test_planted_directions_are_found(fitted, planted):
    cosines = planted[1] @ fitted.decoder_weights_.T
    assert (cosines.max(axis=1) > 0.9).mean() > 0.8


def test_reconstruction_explains_the_rows(fitted, planted):
    X = planted[0]
    residual = X - fitted.inverse_transform(fitted.transform(X))
    fvu = (residual**2).sum() / ((X - X.mean(axis=0)) ** 2).sum()
    assert fvu < 0.1
    assert fitted.score(X) == pytest.approx(1 - fvu, abs=1e-4)
    assert fitted.fvu_ == pytest.approx(fvu, abs=1e-4)


def test_decoder_rows_have_unit_length(fitted):
    lengths = np.linalg.norm(fitted.decoder_weights_, axis=1)
    np.testing.assert_allclose(lengths, 1, atol=1e-5)


def test_transform_is_the_published_formula(fitted, planted):
    X = planted[0][:50]
    pre = (X - fitted.decoder_bias_) @ fitted.encoder_weights_.T + fitted.encoder_bias_
    np.testing.assert_allclose(fitted.pre_activations(X), pre, atol=1e-5)
    order = np.argsort(-pre, axis=1)
    expected = np.zeros_like(pre)
    for row, kept in enumerate(order[:, :4]):
        expected[row, kept] = np.maximum(pre[row, kept], 0)
    np.testing.assert_allclose(fitted.transform(X), expected, atol=1e-5)
    np.testing.assert_allclose(
        fitted.inverse_transform(expected),
        expected @ fitted.decoder_weights_ + fitted.decoder_bias_,
        atol=1e-4,
    )


def test_a_code_does_not_depend_on_the_rows_it_comes_with(fitted, planted):
    X = planted[0][:64]
    alone = np.vstack([fitted.transform(row[None, :]) for row in X])
    np.testing.assert_allclose(alone, fitted.transform(X), atol=1e-5)
    assert ((alone > 0).sum(axis=1) <= 4).all()


def test_dead_neurons_are_those_that_never_fire(fitted, planted):
    fired = (fitted.transform(planted[0]) > 0).any(axis=0)
    assert np.array_equal(fitted.dead_neurons_, ~fired)


def test_scaling_and_shifting_the_rows_changes_no_direction(fitted, planted):
    X = planted[0]
    other = clone(fitted).fit(100 * X + 7)
    cosines = (other.decoder_weights_ * fitted.decoder_weights_).sum(axis=1)
    assert np.median(cosines) > 0.999
    assert other.fvu_ == pytest.approx(fitted.fvu_, rel=0.02)


def test_the_same_seed_gives_the_same_weights_and_another_does_not(planted):
    X = planted[0][:500]
    probe = SparseAutoencoderProbe(32, k=4, max_iter=3, random_state=0)
    first, again = clone(probe).fit(X), clone(probe).fit(X)
    other = clone(probe).set_params(random_state=1).fit(X)
    assert np.array_equal(first.decoder_weights_, again.decoder_weights_)
    assert not np.allclose(first.decoder_weights_, other.decoder_weights_)


def test_global_random_states_are_left_alone(planted):
    import torch

    numpy_state, torch_state = np.random.get_state()[1], torch.get_rng_state()  # noqa: NPY002
    SparseAutoencoderProbe(8, k=2, max_iter=1, random_state=0).fit(planted[0][:100])
    assert np.array_equal(np.random.get_state()[1], numpy_state)  # noqa: NPY002
    assert torch.equal(torch.get_rng_state(), torch_state)


def test_several_starts_keep_the_best(planted):
    X = planted[0][:1000]
    probe = SparseAutoencoderProbe(32, k=4, max_iter=3, n_init=4, random_state=0)
    seeds = np.random.RandomState(0).randint(np.iinfo(np.int32).max, size=4)
    singles = []
    for seed in seeds:
        one = clone(probe).set_params(n_init=1, random_state=_Fixed(seed))
        singles.append(one.fit(X).fvu_)
    assert clone(probe).fit(X).fvu_ == pytest.approx(min(singles), rel=1e-6)
    assert max(singles) > min(singles)


class _Fixed(np.random.RandomState):
    """A random state whose first integer is known."""

    def __init__(self, first=0):
        super().__init__(0)
        self.first = first

    def randint(self, *args, size=None, **kwargs):
        return np.array([self.first])


def test_a_warm_start_goes_on_where_fit_stopped(planted):
    X = planted[0]
    probe = SparseAutoencoderProbe(48, k=4, max_iter=5, random_state=0, warm_start=True)
    first, *_, last = probe.fit(X).loss_curve_
    assert probe.fit(X).loss_curve_[0] < last
    cold = clone(probe).set_params(warm_start=False).fit(X)
    assert cold.fit(X).loss_curve_[0] == pytest.approx(first)


def test_partial_fit_in_two_calls_is_two_epochs(planted):
    X = planted[0]
    probe = SparseAutoencoderProbe(48, k=4, max_iter=2, decay=0, random_state=0)
    stepwise = clone(probe).partial_fit(X).partial_fit(X)
    at_once = clone(probe).fit(X)
    np.testing.assert_allclose(
        stepwise.decoder_weights_, at_once.decoder_weights_, atol=1e-6
    )
    assert stepwise.n_iter_ == 2


def test_sparse_output_holds_the_same_values(fitted, planted):
    X = planted[0][:100]
    dense = fitted.transform(X)
    sparse = pickle.loads(pickle.dumps(fitted)).set_params(sparse_output=True)
    Z = sparse.transform(X)
    assert Z.format == "csr"
    assert Z.has_sorted_indices
    assert np.array_equal(Z.toarray(), dense)
    np.testing.assert_allclose(
        fitted.inverse_transform(Z), fitted.inverse_transform(dense), atol=1e-5
    )


def test_early_stopping_ends_training(planted):
    probe = SparseAutoencoderProbe(16, k=2, max_iter=200, tol=10.0, random_state=0)
    assert probe.fit(planted[0]).n_iter_ == 11


@pytest.mark.parametrize("value", [0.0, 3.5])
def test_rows_that_are_all_equal_are_reconstructed(value):
    X = np.full((20, 4), value, dtype=np.float32)
    probe = SparseAutoencoderProbe(8, k=2, max_iter=2, random_state=0).fit(X)
    assert np.isfinite(probe.decoder_weights_).all()
    np.testing.assert_allclose(probe.inverse_transform(probe.transform(X)), X, atol=0.1)


def test_more_kept_than_neurons_is_refused():
    probe = SparseAutoencoderProbe(8, k=9)
    with pytest.raises(
        ValueError, match=r"`k` must be at most `n_neurons` \(8\); got 9"
    ):
        probe.fit(np.zeros((4, 2)))


def test_activations_of_another_width_are_refused(fitted):
    with pytest.raises(ValueError, match=r"`Z` must have one column per neuron \(48\)"):
        fitted.inverse_transform(np.zeros((1, 47)))


def test_progress_is_logged_only_when_asked(planted, caplog):
    caplog.set_level("INFO", logger="skpopsteer.sae")
    probe = SparseAutoencoderProbe(8, k=2, max_iter=11, random_state=0)
    probe.fit(planted[0][:200])
    assert not caplog.records
    clone(probe).set_params(verbose=1).fit(planted[0][:200])
    assert [record.args[0] for record in caplog.records] == [1, 11]


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_another_number_of_neurons_cannot_go_on_from_the_last_fit(planted, method):
    X = planted[0][:200]
    probe = SparseAutoencoderProbe(
        16, k=2, max_iter=1, warm_start=True, random_state=0
    ).fit(X)
    weights = probe.decoder_weights_
    with pytest.raises(ValueError, match="`n_neurons` must stay 16 to go on from the"):
        getattr(probe.set_params(n_neurons=32), method)(X)
    assert probe.decoder_weights_ is weights
