"""One fitted object serves many threads and processes, and keeps nothing of them."""

import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from skpopsteer import SparseAutoencoderProbe, SteeredRecommender
from tests.hosts import HOSTS
from tests.reliability.forked import posix

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


MEMORY = """
import gc, tracemalloc

rows = [X[[n]] for n in range(X.shape[0])]
expected = joblib.hash([model.recommend(row, return_scores=True) for row in rows])


def serve(n_calls):
    for n in range(n_calls):
        model.recommend(rows[n % len(rows)], return_scores=True)
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


serve(500)
resident = [serve(2500) for _ in range(4)]
tracemalloc.start()
serve(1000)
traced = tracemalloc.get_traced_memory()[0]
serve(1200)
traced = tracemalloc.get_traced_memory()[0] - traced
again = joblib.hash([model.recommend(row, return_scores=True) for row in rows])
assert again == expected
print(traced, *np.diff(resident))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is of Linux")
def test_memory_stays_as_it_is_over_ten_thousand_calls(run):
    ((traced, *grown),) = [list(map(int, line.split())) for line in run(MEMORY)]
    # The smallest array that is kept takes 100 bytes a call; so many calls, since some
    # 20 kB that an interpreter caches for itself come and go.
    assert traced < 40 * 1200
    # What libraries allocate is not traced, and comes in pages.
    assert sum(grown) < 2**19
