"""Ctrl-C ends a training early; what is trained so far can be used."""

import warnings
from itertools import count

import numpy as np
import pytest
import torch

from skpopsteer import SparseAutoencoderProbe, SteeredRecommender
from tests.reliability.forked import posix

ROWS = np.random.default_rng(0).normal(size=(300, 8)).astype(np.float32)
#: Steps of an epoch of those rows.
N_STEPS = 5


def probe_of(**params):
    defaults = {"k": 4, "max_iter": 20, "batch_size": 64, "tol": 0, "random_state": 0}
    return SparseAutoencoderProbe(32, **defaults | params)


@pytest.fixture
def interrupt(monkeypatch):
    """Press Ctrl-C within a step, before the directions have unit length again."""

    def interrupt(n_steps):
        step, steps = torch.optim.Adam.step, count(1)

        def pressed(self, *arguments):
            step(self, *arguments)
            if next(steps) == n_steps:
                raise KeyboardInterrupt

        monkeypatch.setattr(torch.optim.Adam, "step", pressed)

    return interrupt


def fit_interrupted(probe, rows=ROWS):
    with pytest.warns(UserWarning, match=r"^`fit` must run to its end to") as caught:
        assert probe.fit(rows) is probe
    (message,) = [str(one.message) for one in caught if "Ctrl-C" in str(one.message)]
    assert "\n" not in message
    return message


def assert_usable(probe, n_epochs, rows=ROWS):
    assert probe.n_iter_ == len(probe.loss_curve_) == n_epochs
    lengths = np.linalg.norm(probe.decoder_weights_, axis=1)
    np.testing.assert_allclose(lengths, 1, atol=1e-6)
    Z = probe.transform(rows)
    assert (Z > 0).any()
    np.testing.assert_array_equal(probe.dead_neurons_, ~(Z > 0).any(axis=0))
    assert probe.score(rows) == pytest.approx(1 - probe.fvu_, abs=1e-5)
    assert np.isfinite(probe.inverse_transform(Z)).all()


@pytest.mark.parametrize("activation", ["topk", "batch_topk", "jumprelu", "relu"])
@pytest.mark.parametrize("n_steps", [1, N_STEPS, 6 * N_STEPS + 2])
def test_a_fit_that_is_interrupted_is_a_shorter_fit(interrupt, activation, n_steps):
    interrupt(n_steps)
    probe = probe_of(activation=activation)
    n_epochs = (n_steps - 1) // N_STEPS
    message = fit_interrupted(probe)
    assert f"got Ctrl-C after {n_epochs} of 20 epochs." in message
    assert message.endswith("or set `checkpoint` to go on where a fit has stopped.")
    assert_usable(probe, n_epochs)


def test_what_was_learned_before_is_kept(interrupt):
    interrupt(10 * N_STEPS + 1)
    probe = probe_of()
    fit_interrupted(probe)
    # Better than a training of one epoch, and close to one that stops there by itself.
    assert probe.fvu_ < probe_of(max_iter=1).fit(ROWS).fvu_
    whole = probe_of(max_iter=10, decay=0).fit(ROWS)
    np.testing.assert_allclose(probe.loss_curve_, whole.loss_curve_, rtol=1e-6)
    np.testing.assert_allclose(
        probe.decoder_weights_, whole.decoder_weights_, atol=0.02
    )


def test_early_stopping_keeps_its_best(interrupt):
    interrupt(6 * 5 - 1)
    probe = probe_of(early_stopping=True)
    fit_interrupted(probe)
    assert_usable(probe, 5)


def test_the_best_of_the_starts_so_far_is_kept(interrupt):
    # In the first step of the second of three.
    whole = probe_of(max_iter=4).fit(ROWS)
    interrupt(4 * N_STEPS + 1)
    probe = probe_of(max_iter=4, n_init=3)
    fit_interrupted(probe)
    assert_usable(probe, 4)
    assert probe.fvu_ <= whole.fvu_ + 0.05
    assert probe.stability_.shape == (32,)


def test_training_goes_on_from_there(interrupt, monkeypatch, tmp_path):
    expected = probe_of().fit(ROWS)
    path = tmp_path / "training.npz"
    probe = probe_of(checkpoint=path)
    interrupt(7 * N_STEPS + 3)
    message = fit_interrupted(probe)
    assert message.endswith(f"or call fit again to go on from {str(path)!r}.")
    assert_usable(probe, 7)
    assert path.exists()
    monkeypatch.undo()
    probe.fit(ROWS)
    np.testing.assert_array_equal(probe.decoder_weights_, expected.decoder_weights_)
    assert probe.loss_curve_ == expected.loss_curve_
    assert not path.exists()


@pytest.mark.parametrize("n_steps", [1, 3 * N_STEPS + 2])
def test_warm_start_and_partial_fit_go_on_too(interrupt, monkeypatch, n_steps):
    interrupt(n_steps)
    probe = probe_of(warm_start=True)
    fit_interrupted(probe)
    before = probe.fvu_
    monkeypatch.undo()
    probe.fit(ROWS)
    assert probe.n_iter_ == 20
    assert probe.fvu_ < before
    probe.partial_fit(ROWS)
    assert probe.n_iter_ == 21


def test_partial_fit_that_is_interrupted_changes_nothing(interrupt):
    probe = probe_of(max_iter=2).fit(ROWS)
    before = probe.decoder_weights_.copy()
    interrupt(2)
    with pytest.raises(KeyboardInterrupt):
        probe.partial_fit(ROWS)
    np.testing.assert_array_equal(probe.decoder_weights_, before)
    assert probe.n_iter_ == 2


def test_a_steered_recommender_is_not_built_on_half_a_training(
    interrupt, monkeypatch, host, split, tmp_path
):
    X = split[0]
    probe = probe_of(max_iter=3)

    def model():
        memory = str(tmp_path)
        return SteeredRecommender(
            host, rule="shift", probe=probe, memory=memory, random_state=0
        )

    interrupt(2)
    interrupted = model()
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        with pytest.raises(KeyboardInterrupt):
            interrupted.fit(X)
    monkeypatch.undo()
    # Nor is it cached, for the next one to find.
    again = model().fit(X)
    assert again.probe_.n_iter_ == 3
    fresh = model().set_params(memory=None).fit(X)
    np.testing.assert_array_equal(again.recommend(X), fresh.recommend(X))
    # And a probe that is trained by itself afterwards is interrupted as before.
    interrupt(2)
    fit_interrupted(probe_of(max_iter=3))


PRESSED = """
import warnings
folder = Path(folder)
path, pressed = folder / "training.npz", folder / "pressed"
longer = training().set_params(n_init=1, max_iter=60)
expected = digest(longer.fit(U))
longer.set_params(checkpoint=path)


def fit():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        longer.fit(U)
    if path.exists():
        assert longer.n_iter_ < 60
        assert any("Ctrl-C after" in str(one.message) for one in caught)
        assert np.isfinite(longer.transform(U)).all()
        longer.fit(U)
        pressed.touch()
    assert not path.exists()
    assert digest(longer) == expected


rng, n_pressed = random.Random(0), 0
while n_pressed < 3:
    pid = start(fit)
    while not (path.exists() or has_ended(pid)):
        time.sleep(0.001)
    time.sleep(0.01 * rng.random())
    os.kill(pid, signal.SIGINT)
    # Or it comes too late: after the last epoch, before the end.
    if end(pid) == 0 and pressed.exists():
        n_pressed += 1
        pressed.unlink()
    path.unlink(missing_ok=True)
print("done")
"""


@posix
def test_a_signal_at_any_moment(run, tmp_path):
    *lines, last = run(PRESSED, folder=str(tmp_path))
    assert last == "done"
    assert all(line.startswith("KeyboardInterrupt") for line in lines)
