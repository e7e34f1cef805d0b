"""One fitted object serves many threads and processes, and leaves no trace."""

import gc
import os
import random
import signal
import sys
import threading
import tracemalloc
import warnings
from concurrent.futures import ThreadPoolExecutor

import joblib
import matplotlib as mpl
import numpy as np
import pytest
import torch
from threadpoolctl import threadpool_info

from skpopsteer import (
    PopularityPenaltyReranker,
    SparseAutoencoderProbe,
    SteeredRecommender,
)
from skpopsteer.inspection import compare
from tests.hosts import HOSTS
from tests.reliability.forked import posix

#: Calls of `recommend` for one user; set it to 10000 for the test in full.
N_CALLS = int(os.environ.get("SKPOPSTEER_TEST_CALLS", "1000"))
NAMES = ["als", "truncated_svd", "arrays", "autoencoder", "mult_vae"]


def steered(name, rule="shift"):
    """A fitted model on a host of the table, its rows, and their positions if asked."""
    host = HOSTS[name]()
    # Arrays know their users only.
    arguments = host.arguments(
        "user_ids" if name == "arrays" else "fold_in", range(200)
    )
    arguments = {
        key: np.asarray(value) if key == "user_ids" else value
        for key, value in arguments.items()
    }
    probe = SparseAutoencoderProbe(32, k=4, max_iter=3, random_state=0)
    profiles = "real" if name == "arrays" else "synthetic"
    model = SteeredRecommender(
        host.recommender, probe=probe, rule=rule, profiles=profiles, random_state=0
    )
    return model.fit(**arguments), arguments


@pytest.mark.parametrize("rule", ["shift", None])
@pytest.mark.parametrize("name", NAMES)
def test_many_threads_get_what_one_gets(name, rule):
    model, arguments = steered(name, rule)
    expected = model.recommend(**arguments, return_scores=True)
    strengths = [0.0, 0.5, 2.0]
    alone = {s: model.recommend(**arguments, strength=s) for s in strengths}
    together = threading.Barrier(4)

    def work(number):
        together.wait()
        for _ in range(3):
            strength = strengths[number % 3]
            ids = model.recommend(**arguments, strength=strength)
            np.testing.assert_array_equal(ids, alone[strength])
            got = model.recommend(**arguments, return_scores=True)
            for one, other in zip(got, expected, strict=True):
                np.testing.assert_array_equal(one, other)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))


PROCESSES = """
expected = joblib.hash(model.recommend(X, return_scores=True))
other = joblib.hash(model.recommend(X, return_scores=True, strength=0.5))
assert other != expected


def serve():
    for _ in range(5):
        assert joblib.hash(model.recommend(X, return_scores=True)) == expected


pids = [start(serve) for _ in range(4)]
assert [end(pid) for pid in pids] == [0] * 4
print("done")
"""


@posix
def test_many_processes_get_what_one_gets(run):
    assert run(PROCESSES) == ["done"]


def state_of_the_process():
    """What a library could leave changed behind it."""
    return {
        "numpy's generator": joblib.hash(np.random.mtrand._rand.get_state()),
        "python's generator": joblib.hash(random.getstate()),
        "torch's generator": joblib.hash(torch.get_rng_state().numpy()),
        "torch's threads": (torch.get_num_threads(), torch.get_num_interop_threads()),
        "torch's types": (torch.get_default_dtype(), torch.get_default_device()),
        "torch's gradients": torch.is_grad_enabled(),
        "torch's determinism": torch.are_deterministic_algorithms_enabled(),
        "threads of libraries": {
            (library["filepath"], library["num_threads"])
            for library in threadpool_info()
        },
        "warning filters": list(warnings.filters),
        "numpy's errors": np.geterr(),
        "numpy's printing": np.get_printoptions(),
        "matplotlib": (mpl.get_backend(), dict(mpl.rcParams)),
        "environment": dict(os.environ),
        "folder": os.getcwd(),
        "paths": list(sys.path),
        "signals": [signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)],
        "recursion": sys.getrecursionlimit(),
        "threads": threading.active_count(),
        "hooks": (sys.excepthook, threading.excepthook, sys.unraisablehook),
    }


@pytest.mark.parametrize("name", ["als", "truncated_svd", "autoencoder"])
def test_nothing_of_the_process_is_changed(name):
    # Once before: what is imported and started at the first call may stay.
    for measured in (False, True):
        before = state_of_the_process()
        model, arguments = steered(name)
        X = arguments["X"]
        model.recommend(X, strength=2.0)
        model.decision_function(X)
        rival = PopularityPenaltyReranker(HOSTS[name]().recommender).fit(X)
        y = X[np.roll(np.arange(X.shape[0]), 1)]
        y = (y - y.multiply(X > 0)).tocsr()
        y.eliminate_zeros()
        y.data[:] = 1
        compare({"steered": model, "penalty": rival}, X, y)
        with pytest.raises(ValueError, match="strength"):
            model.recommend(X, strength=np.nan)
        after = state_of_the_process()
        if measured:
            for what, value in before.items():
                assert after[what] == value, what


def test_memory_stays_as_it_is():
    model, arguments = steered("truncated_svd")
    row = arguments["X"][[0]]
    expected = model.recommend(row)

    def serve(n_calls):
        for _ in range(n_calls):
            model.recommend(row, return_scores=True)
        gc.collect()
        return tracemalloc.get_traced_memory()[0], resident_bytes()

    tracemalloc.start()
    try:
        traced, resident = serve(400)
        traced_after, resident_after = serve(N_CALLS)
    finally:
        tracemalloc.stop()
    # The smallest array that is kept takes twice as much.
    assert traced_after - traced < 100 * N_CALLS
    # What libraries allocate is not traced, and comes in pages.
    assert resident_after - resident < max(2**21, 200 * N_CALLS)
    np.testing.assert_array_equal(model.recommend(row), expected)


def resident_bytes():
    try:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0
