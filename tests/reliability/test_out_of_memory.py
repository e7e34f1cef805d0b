"""Who runs out of memory in one block says so, and goes on as if it had not been."""

import sys

import joblib
import numpy as np
import pytest
from sklearn.decomposition import TruncatedSVD

from skpopsteer import SparseAutoencoderProbe, SteeredRecommender, as_recommender

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="a limit on addresses is kept by Linux alone"
)

#: A limit that the system itself sets, and what to do below it.
LIMITED = """
OUT = (MemoryError, RuntimeError)  # torch raises the other one
# The system ends a process whose stack cannot grow, and a library one that gets no
# memory where it cannot say so: these are as if they had been killed.
KILLED = (-signal.SIGSEGV, -signal.SIGABRT, 127)


def allocated():
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()


def limit(n_bytes):
    resource.setrlimit(resource.RLIMIT_AS, (n_bytes, resource.RLIM_INFINITY))


def hoard(*_):
    # What the allocator still has is taken, but for crumbs; the system gives no more.
    limit(allocated())
    for n_bytes in (2**20, 2**17, 2**14):
        try:
            while True:
                hoarded.append(bytearray(n_bytes))
        except MemoryError:
            pass
    del hoarded[-8:]


def runs_out(work, n_bytes=0):
    hoard()
    limit(allocated() + n_bytes)
    try:
        work()
    except OUT as error:
        assert isinstance(error, MemoryError) or "alloc" in str(error), repr(error)
        return True
    finally:
        limit(resource.RLIM_INFINITY)
        hoarded.clear()
    return False


hoarded = []
"""

SERVE = (
    LIMITED
    + """
folder = Path(folder)
rows = X[np.tile(np.arange(200), 60)]
vectors = np.random.default_rng(0).normal(size=(60_000, 8)).astype(np.float32)
lists = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), 8)
pq.write_table(pa.table({"embedding": lists}), folder / "source.parquet")
stored = as_recommender((np.ones((2, 8)), np.ones((500_000, 8))))
place = folder / "place"


def recommend():
    return model.recommend(rows, 100, exclude_seen=False, return_scores=True)


def score():
    return model.decision_function(rows)


def store():
    save(stored, place)


def steer():
    steer_blocks(model, folder / "source.parquet", place)


def result(work):
    done = joblib.hash(work())
    if place.exists():
        done = joblib.hash(place.read_bytes() if work is steer else load(place))
        place.unlink()
    return done


def attempt(work, n_bytes, expected):
    def limited():
        out = runs_out(work, n_bytes)
        # Whole or absent, and nothing beside it.
        assert os.listdir(folder).count("source.parquet") == 1
        assert len(os.listdir(folder)) == 1 + place.exists(), os.listdir(folder)
        assert not (out and place.exists())
        # The same object serves again, and gives what it gave.
        assert result(work) == expected
        sys.stdout.flush()
        os._exit(10 + out)

    code = end(start(limited))
    if code not in KILLED:
        return code - 10
    assert not place.exists()
    for left in folder.glob(".place.*"):
        left.unlink()
    return 0


for work in (recommend, score, store, steer):
    expected = result(work)
    n_out = sum(attempt(work, 2**n, expected) for n in (16, 20, 23))
    print(work.__name__, n_out, attempt(work, 2**31, expected))
"""
)


def test_lists_and_files_after_memory_ran_out(run, tmp_path):
    lines = [line.split() for line in run(SERVE, folder=str(tmp_path))]
    assert [name for name, *_ in lines] == ["recommend", "score", "store", "steer"]
    for name, n_out, with_enough in lines:
        assert int(n_out) >= 1, name
        assert with_enough == "0", name


TRAIN = (
    LIMITED
    + """
folder = Path(folder)
path = folder / "training.npz"
rows = np.random.default_rng(0).normal(size=(2048, 64)).astype(np.float32)


def probe(checkpoint=None):
    return SparseAutoencoderProbe(
        1024, k=8, batch_size=512, max_iter=6, tol=0, random_state=0,
        checkpoint=checkpoint,
    )


began = time.monotonic()
expected = digest(probe().fit(rows))
longest = time.monotonic() - began
rng, n_out, n_kept = random.Random(0), 0, 0


def fit():
    one = probe(path)
    signal.signal(signal.SIGALRM, hoard)
    signal.setitimer(signal.ITIMER_REAL, longest * rng.random() + 0.01)
    try:
        one.fit(rows)
        os._exit(3)  # too late
    except OUT:
        limit(resource.RLIM_INFINITY)
        hoarded.clear()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    assert set(os.listdir(folder)) <= {"training.npz"}, os.listdir(folder)
    kept = path.exists()
    # The same object goes on from there.
    assert digest(one.fit(rows)) == expected
    assert os.listdir(folder) == []
    os._exit(4 + kept)


def go_on():
    assert digest(probe(path).fit(rows)) == expected


while n_out < 4 or not n_kept:
    rng.random()
    code = end(start(fit))
    if code in KILLED:
        # Another process goes on from what is there.
        assert end(start(go_on)) == 0
    else:
        assert code in (3, 4, 5), code
        n_out += code > 3
        n_kept += code == 5
    path.unlink(missing_ok=True)
print("done")
"""
)


def test_a_fit_that_ran_out_of_memory_goes_on_from_its_checkpoint(run, tmp_path):
    assert run(TRAIN, folder=str(tmp_path)) == ["done"]


class RunsOut(TruncatedSVD):
    """Runs out of memory in one of its calls, once it is told to."""

    left = 0

    def transform(self, X):
        self.left -= 1
        if self.left == 0:
            raise MemoryError("Unable to allocate 1. TiB for one batch")
        return super().transform(X)


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_a_host_that_runs_out_for_one_batch(split, n_jobs, tmp_path):
    svd = RunsOut(8, random_state=0).fit(split[0])
    probe = SparseAutoencoderProbe(32, k=4, max_iter=3, random_state=0)
    model = SteeredRecommender(
        as_recommender(svd), rule="shift", probe=probe, random_state=0
    )
    for left in (1, 2):
        svd.left = left
        with pytest.raises(MemoryError, match=r"^Unable to allocate 1\. TiB for one b"):
            model.fit(split[0])
    model.fit(split[0])
    X = split[0][np.tile(np.arange(200), 20)]
    expected = model.recommend(X)
    with joblib.parallel_config("threading", n_jobs=n_jobs):
        svd.left = 3
        with pytest.raises(MemoryError, match=r"^Unable to allocate 1\. TiB for one b"):
            model.recommend(X)
        np.testing.assert_array_equal(model.recommend(X), expected)
