"""Healthy dictionaries: planted ones are found, the dead are named and revived."""

import numpy as np
import pytest
import torch

from skpopsteer import SparseAutoencoderProbe
from skpopsteer.sae._resampling import resample
from skpopsteer.sae._rows import ArrayRows
from skpopsteer.sae._run import run
from skpopsteer.sae._training import Settings, Trainer


def planted(n_rows, n_directions, n_features, seed=0):
    """Four directions a row, each with a weight in [1, 2], around 0.5."""
    rng = np.random.default_rng(seed)
    D = rng.normal(size=(n_directions, n_features))
    D /= np.linalg.norm(D, axis=1, keepdims=True)
    Z = np.zeros((n_rows, n_directions))
    chosen = np.argsort(rng.random(Z.shape), axis=1)[:, :4]
    np.put_along_axis(Z, chosen, rng.uniform(1, 2, (n_rows, 4)), axis=1)
    return (Z @ D + 0.5).astype(np.float32), D


@pytest.mark.parametrize(
    "variant", [{}, {"activation": "batch_topk"}, {"activation": "jumprelu"}]
)
def test_a_planted_dictionary_is_recovered(variant):
    X, D = planted(20_000, 64, 32)
    probe = SparseAutoencoderProbe(
        128, k=4, batch_size=64, max_iter=12, random_state=0, **variant
    ).fit(X)
    found = (D @ probe.decoder_weights_.T).max(axis=1)
    assert (found > 0.9).mean() > 0.9
    assert probe.fvu_ < 0.12


def test_dead_neurons_are_reported_with_the_remedy():
    X, _ = planted(500, 8, 8)
    probe = SparseAutoencoderProbe(512, k=2, max_iter=3, aux_penalty=0, random_state=0)
    with pytest.warns(
        UserWarning,
        match=r"^`dead_neurons_` must stay below 5 % .*; got \d+ % of 512 neurons\. "
        r"Lower n_neurons, raise k, train longer, or set resample_every=5\.$",
    ):
        probe.fit(X)


def test_a_dictionary_in_good_health_is_not_warned_of(recwarn):
    X, _ = planted(2000, 16, 8)
    SparseAutoencoderProbe(16, k=4, max_iter=5, random_state=0).fit(X)
    assert not [w for w in recwarn if "dead_neurons_" in str(w.message)]


def test_the_dead_get_the_directions_of_rows_that_are_explained_badly():
    X, _ = planted(4000, 64, 32)
    rows = ArrayRows(X)
    trainer = Trainer(rows, Settings(256, 8, batch_size=128, aux_penalty=0.0), 0)
    for _ in range(3):
        trainer.epoch(rows)
    with torch.no_grad():
        trainer.encoder_bias[:128] = -100.0
    trainer.silent_for[:128] = trainer.window
    resample(trainer, rows)
    assert not trainer.dead().any()
    alive = trainer.encoder[128:].norm(dim=1).mean()
    new = trainer.encoder[:128].norm(dim=1)
    torch.testing.assert_close(new, torch.full((128,), float(alive)))
    before = trainer.fvu(X)
    for _ in range(5):
        trainer.epoch(rows)
    assert trainer.dead().float().mean() < 0.05
    assert trainer.fvu(X) < before


def test_resampling_is_done_between_epochs_and_not_after_the_last(monkeypatch):
    epochs = []
    monkeypatch.setattr(
        "skpopsteer.sae._run.resample",
        lambda trainer, rows: epochs.append(int(trainer.silent_for.min())),
    )
    X, _ = planted(300, 8, 8)
    params = {"k": 2, "max_iter": 6, "tol": 0, "random_state": 0}
    SparseAutoencoderProbe(16, resample_every=2, **params).fit(X)
    assert len(epochs) == 2


def test_stability_says_which_directions_other_starts_find():
    X, D = planted(20_000, 64, 32)
    params = {"k": 4, "batch_size": 64, "max_iter": 8, "random_state": 0}
    probe = SparseAutoencoderProbe(96, n_init=2, **params).fit(X)
    assert probe.stability_.shape == (96,)
    assert np.abs(probe.stability_).max() <= 1 + 1e-5
    # Planted directions are found by both, what is left over is found by chance.
    true = (D @ probe.decoder_weights_.T).max(axis=0) > 0.9
    assert np.median(probe.stability_[true]) > 0.9
    assert np.median(probe.stability_[~true]) < 0.8
    assert SparseAutoencoderProbe(96, **params).fit(X[:200]).stability_ is None


def test_the_start_with_the_lowest_fvu_is_kept():
    X, _ = planted(1000, 16, 8)
    params = {"k": 3, "max_iter": 4}
    seeds = np.random.RandomState(3).randint(np.iinfo(np.int32).max, size=3)
    several = SparseAutoencoderProbe(32, n_init=3, random_state=3, **params).fit(X)
    fvus = []
    for seed in seeds:
        trainer = Trainer(ArrayRows(X), Settings(32, 3), int(seed))
        for _ in range(4):
            trainer.epoch(ArrayRows(X))
        fvus.append(trainer.fvu(X))
    assert several.fvu_ == pytest.approx(min(fvus), rel=1e-3)


def test_early_stopping_keeps_the_weights_that_held_out_rows_like_best():
    """On noise, which can only be learned by heart, they are not the last ones."""
    rng = np.random.default_rng(0)
    X, held_out = rng.normal(size=(2, 60, 16)).astype(np.float32)
    probe = SparseAutoencoderProbe(
        64, k=8, max_iter=80, tol=0, decay=0, n_iter_no_change=10
    )
    trainer = Trainer(ArrayRows(X), Settings(64, 8, learning_rate=1e-2), 0)
    with torch.no_grad():
        done = run(
            trainer, ArrayRows(X), held_out, probe, None, "", lambda *a, **k: False
        )
    assert len(done.losses) == len(done.held_out) < 80
    assert int(np.argmin(done.held_out)) == len(done.held_out) - 11
    assert trainer.fvu(held_out) == pytest.approx(min(done.held_out), rel=1e-6)
    assert done.losses[-1] < done.losses[len(done.losses) - 11]


def test_early_stopping_holds_rows_out_of_training():
    X, _ = planted(2000, 16, 8)
    params = {"k": 3, "max_iter": 60, "random_state": 0, "batch_size": 128}
    early = SparseAutoencoderProbe(
        32, early_stopping=True, n_iter_no_change=3, tol=1e-3, **params
    ).fit(X)
    assert early.n_iter_ < 60
    assert early.fvu_ < 0.3


def test_same_seed_same_weights_other_seed_other_neurons():
    X, _ = planted(3000, 32, 16)
    params = {"k": 4, "batch_size": 64, "max_iter": 15}
    first, again, other = (
        SparseAutoencoderProbe(64, random_state=seed, **params).fit(X)
        for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first.decoder_weights_, again.decoder_weights_)
    assert abs(first.fvu_ - other.fvu_) < 0.03
    same_number = (first.decoder_weights_ * other.decoder_weights_).sum(axis=1)
    assert np.median(same_number) < 0.5
