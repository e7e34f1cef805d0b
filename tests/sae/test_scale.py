"""More rows than memory, fits that are killed, hosts that are retrained."""

import os
import signal
import subprocess
import sys
import time
import tracemalloc
from contextlib import contextmanager

import numpy as np
import pytest

from skpopsteer import SparseAutoencoderProbe

PARAMS = {"k": 4, "batch_size": 256, "max_iter": 4, "random_state": 0}


def probe_of(**params):
    return SparseAutoencoderProbe(32, **{**PARAMS, **params})


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(0)
    D = rng.normal(size=(24, 16))
    Z = rng.gamma(2.0, size=(4000, 24)) * (rng.random((4000, 24)) < 3 / 24)
    return (Z @ D + 1.0).astype(np.float32)


@pytest.fixture
def on_disk(table, tmp_path):
    np.save(tmp_path / "rows.npy", table)
    return np.load(tmp_path / "rows.npy", mmap_mode="r")


def test_a_mapped_file_trains_as_well_as_the_array(table, on_disk):
    fitted, mapped = probe_of().fit(table), probe_of().fit(on_disk)
    assert mapped.fvu_ == pytest.approx(fitted.fvu_, abs=0.05)
    np.testing.assert_array_equal(np.asarray(on_disk), table)


def test_blocks_train_as_well_as_the_array(table, tmp_path):
    fitted = probe_of().fit(table)
    np.save(tmp_path / "part.npy", table[:1000])
    for blocks in (
        [table[:1000], table[1000:1700], table[1700:]],
        [tmp_path / "part.npy", table[1000:]],
        lambda: (table[i : i + 500] for i in range(0, 4000, 500)),
    ):
        by_block = probe_of().fit_blocks(blocks)
        assert by_block.fvu_ == pytest.approx(fitted.fvu_, abs=0.05)
        assert by_block.n_features_in_ == 16
        np.testing.assert_array_equal(
            by_block.dead_neurons_, ~(by_block.transform(table) > 0).any(axis=0)
        )


def test_rows_of_interactions_are_encoded_on_the_way(host, interactions):
    def blocks():
        for start in range(0, 200, 64):
            yield host.encode_users(interactions[start : start + 64])

    probe = probe_of(max_iter=10).fit_blocks(blocks)
    assert probe.transform(host.encode_users(interactions)).shape == (200, 32)
    assert probe.score(host.encode_users(interactions)) > 0.5


def test_memory_is_that_of_a_block(tmp_path):
    X = np.lib.format.open_memmap(
        tmp_path / "big.npy", mode="w+", dtype=np.float32, shape=(400_000, 64)
    )
    rng = np.random.default_rng(0)
    for start in range(0, len(X), 50_000):
        X[start : start + 50_000] = rng.normal(size=(50_000, 64))
    X.flush()
    probe = probe_of(max_iter=1, batch_size=4096)
    probe.fit(X[:5000])  # torch and its first allocations
    tracemalloc.start()
    probe.fit(X)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # Everything is read, 102 MB, but nothing holds more than a few blocks of it.
    assert peak < 70e6


def test_a_generator_is_refused(table):
    with pytest.raises((TypeError, ValueError), match=r"^`blocks` must "):
        probe_of().fit_blocks(table[i : i + 500] for i in range(0, 4000, 500))
    with pytest.raises(ValueError, match=r"^`early_stopping` must be False for blocks"):
        probe_of(early_stopping=True).fit_blocks([table])


def test_early_stopping_on_a_mapped_file_holds_out_its_end(on_disk):
    probe = probe_of(early_stopping=True, max_iter=30, n_iter_no_change=2).fit(on_disk)
    assert probe.fvu_ < 0.9


_FIT = """
import sys
import numpy as np
from skpopsteer import SparseAutoencoderProbe
folder, activation = sys.argv[1:]
probe = SparseAutoencoderProbe(
    32, k=4, batch_size=64, max_iter=60, tol=0, random_state=0, activation=activation,
    early_stopping=True, n_iter_no_change=60, checkpoint=folder + "/training.npz",
)
print("go", flush=True)
probe.fit(np.load(folder + "/rows.npy"))
np.savez(folder + "/weights.npz", probe.decoder_weights_, probe.encoder_bias_)
"""


@contextmanager
def _running(folder):
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", _FIT, str(folder), "jumprelu"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as process:
        assert process.stdout.readline() == b"go\n"
        yield process


def test_a_fit_that_was_killed_ends_as_if_it_had_not_been(table, tmp_path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    for folder in (whole, killed):
        folder.mkdir()
        np.save(folder / "rows.npy", table)
    with _running(whole) as process:
        assert process.wait() == 0
    checkpoint, rng = killed / "training.npz", np.random.default_rng(0)
    for _ in range(2):
        with _running(killed) as process:
            while not checkpoint.exists() and process.poll() is None:
                time.sleep(0.01)
            time.sleep(rng.uniform(0, 0.2))
            process.send_signal(signal.SIGKILL)
            assert process.wait() == -signal.SIGKILL
    assert checkpoint.exists()
    with _running(killed) as process:
        assert process.wait() == 0
    assert not checkpoint.exists()
    ours, theirs = (np.load(folder / "weights.npz") for folder in (killed, whole))
    for name in theirs.files:
        np.testing.assert_array_equal(ours[name], theirs[name])


def test_a_checkpoint_of_other_rows_or_parameters_is_refused(table, tmp_path):
    path = tmp_path / "training.npz"

    def stop(self, *args):
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("skpopsteer.sae._checkpoint.Checkpoint.remove", stop)
        with pytest.raises(KeyboardInterrupt):
            probe_of(checkpoint=path).fit(table)
    saved = path.read_bytes()
    for other, rows in [(probe_of(k=5), table), (probe_of(), table[1:])]:
        with pytest.raises(ValueError, match=r"^`checkpoint` must "):
            other.set_params(checkpoint=path).fit(rows)
        assert path.read_bytes() == saved
    resumed = probe_of(checkpoint=path).fit(table)
    np.testing.assert_array_equal(
        resumed.decoder_weights_, probe_of().fit(table).decoder_weights_
    )
    assert not path.exists()


def test_neurons_keep_their_numbers_when_the_host_is_retrained(table):
    probe = probe_of(warm_start=True, max_iter=20).fit(table)
    assert probe.matching_ is None
    before = probe.decoder_weights_.copy()
    moved = table + np.random.default_rng(1).normal(scale=0.05, size=table.shape)
    probe.fit(moved.astype(np.float32))
    assert probe.matching_.shape == (32,)
    np.testing.assert_allclose(
        probe.matching_, (before * probe.decoder_weights_).sum(axis=1), atol=1e-5
    )
    assert np.median(probe.matching_) > 0.95


def test_numbers_that_were_swapped_are_swapped_back(table):
    probe = probe_of(warm_start=True, max_iter=20).fit(table)
    before = probe.decoder_weights_.copy()
    order = np.random.default_rng(0).permutation(32)
    # As if training had let the neurons change places.
    state = probe._training_state
    for values in [state["parameters"], *map(dict.values, state["moments"])]:
        for value in values:
            if value.ndim and len(value) == 32:
                value[:] = value[order]
    state["silent_for"] = state["silent_for"][order]
    probe.set_params(max_iter=1).fit(table)
    after = probe.decoder_weights_
    assert (before * after).sum(axis=1).min() > 0.9
    Z = probe.transform(table)
    np.testing.assert_array_equal(probe.dead_neurons_, ~(Z > 0).any(axis=0))
    np.testing.assert_array_equal(probe._training_state["parameters"][2], after)
