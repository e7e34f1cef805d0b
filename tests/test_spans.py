"""Rows in spans give the same lists wherever the spans are done, and survive losses."""

import os
import signal
import time
from functools import partial
from pathlib import Path

import joblib
import numpy as np
import pytest
from scipy.sparse import csr_array

from skpopsteer import ArrayRecommender, SparseAutoencoderProbe, SteeredRecommender
from skpopsteer import _spans as spans_module
from skpopsteer._spans import over_parts, over_spans, spans
from tests.hosts import HOSTS

#: Backends that do not share memory come by process, the last of them by real workers
#: of a cluster on this machine.
BACKENDS = ["threading", "loky", "dask"]


@pytest.fixture(scope="module")
def cluster():
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0"
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


@pytest.fixture(params=BACKENDS)
def pool(request):
    """Parameters of ``joblib.parallel_config`` for two workers."""
    if request.param == "dask":
        request.getfixturevalue("cluster")
        return {"backend": "dask"}
    return {"backend": request.param, "n_jobs": 2}


@pytest.fixture(params=BACKENDS[1:])
def processes(request):
    if request.param == "dask":
        request.getfixturevalue("cluster")
        return {"backend": "dask"}
    return {"backend": request.param, "n_jobs": 2}


@pytest.fixture(autouse=True)
def _short_spans(monkeypatch):
    monkeypatch.setattr(spans_module, "SPAN_ROWS", 48)


#: A column of numbers.
ROWS = np.arange(200)


def _double(context, rows):
    return context * rows


def test_spans_hold_every_row_once_in_order():
    found = [(span.start, span.stop) for span in spans(100)]
    assert found == [(0, 48), (48, 96), (96, 100)]
    assert list(spans(48)) == [slice(0, 48)]
    # Something has to give its shape to the result.
    assert list(spans(0)) == [slice(0, 0)]


def test_results_come_in_the_order_of_the_rows(pool):
    with joblib.parallel_config(**pool):
        parts = over_spans(_double, 2, ROWS)
    np.testing.assert_array_equal(np.concatenate(parts), 2 * np.arange(200))
    assert [len(part) for part in parts] == [48, 48, 48, 48, 8]


@pytest.mark.parametrize(
    "name", ["als", "bpr", "elsa", "autoencoder", "sequence_model"]
)
def test_hosts_give_the_same_lists_and_embeddings(name, pool):
    host = HOSTS[name]()
    ids, scores = host.recommender.recommend(host.X, return_scores=True)
    U = host.recommender.encode_users(host.X)
    with joblib.parallel_config(**pool):
        again = host.recommender.recommend(host.X, return_scores=True)
        np.testing.assert_array_equal(host.recommender.encode_users(host.X), U)
    np.testing.assert_array_equal(again[0], ids)
    np.testing.assert_array_equal(again[1], scores)


def _niche(X):
    """Compare a row with all the others, which no span can do by itself."""
    lengths = np.diff(X.indptr)
    return lengths / lengths.mean()


@pytest.mark.parametrize("side", ["user", "both"])
def test_steered_lists_are_the_same_with_every_argument(side, pool):
    host = HOSTS["als"]()
    probe = SparseAutoencoderProbe(32, k=4, max_iter=2, random_state=0)
    model = SteeredRecommender(
        host.recommender, probe=probe, side=side, user_strength=_niche, keep_top=2,
        random_state=0,
    ).fit(host.X)  # fmt: skip
    candidates = csr_array(np.random.default_rng(0).random(host.X.shape) < 0.5)
    calls = [
        partial(model.recommend, host.X, return_scores=True),
        partial(model.recommend, host.X, user_ids=np.arange(200), strength=2.0),
        partial(model.recommend, host.X, candidates=candidates, exclude=[3, 5]),
        partial(model.recommend, host.X, candidates=np.arange(50), exclude_seen=False),
        partial(model.transform, host.X),
    ]
    alone = [call() for call in calls]
    with joblib.parallel_config(**pool):
        spread = [call() for call in calls]
    for one, other in zip(alone, spread, strict=True):
        np.testing.assert_array_equal(np.hstack(other), np.hstack(one))


def test_what_is_fitted_in_a_pool_is_the_same(processes):
    host = HOSTS["autoencoder"]()
    probe = SparseAutoencoderProbe(16, k=4, max_iter=1, random_state=0)
    model = SteeredRecommender(
        host.recommender, rule="shift", probe=probe, random_state=0
    )
    alone = model.fit(host.X).transform(host.X)
    with joblib.parallel_config(**processes):
        spread = model.fit(host.X).transform(host.X)
    np.testing.assert_array_equal(spread, alone)


class _Counted:
    """Writes down the process that it arrives in."""

    def __init__(self, folder):
        self.folder = folder

    def __setstate__(self, state):
        self.__dict__ = state
        with (Path(self.folder) / f"{os.getpid()}").open("a") as file:
            file.write("x")

    def visit(self, rows):
        return np.full(len(rows), os.getpid())


def _visit(context, rows):
    return context.visit(rows)


def test_the_model_travels_once_to_every_worker(processes, tmp_path):
    with joblib.parallel_config(**processes):
        parts = over_spans(_visit, _Counted(tmp_path), np.arange(5000))
    workers = {str(pid) for pid in np.concatenate(parts)}
    assert os.getpid() not in {int(pid) for pid in workers}
    arrived = {file.name: file.read_text() for file in tmp_path.iterdir()}
    assert arrived == dict.fromkeys(workers, "x")


class _FoldIn:
    """Folds in, but for one time, when it takes its process down."""

    def __init__(self, V, marker, at):
        self.V, self.marker, self.at, self.parent = V, marker, at, os.getpid()

    def __call__(self, X):
        mark = Path(self.marker)
        if X.data[0] == self.at and not mark.exists() and os.getpid() != self.parent:
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return X @ self.V


@pytest.mark.filterwarnings("ignore:A worker stopped while some jobs:UserWarning")
def test_a_worker_killed_half_way_costs_time_and_nothing_else(processes, tmp_path):
    rng = np.random.default_rng(0)
    V = rng.normal(size=(60, 8)).astype(np.float32)
    X = rng.random((960, 60)) < 0.2
    X = X.astype(np.float64)
    X[np.arange(960), 0] = 1 + np.arange(960) // 48
    marker = tmp_path / "killed"
    host = ArrayRecommender(None, V, fold_in=_FoldIn(V, str(marker), 10.0))
    alone = host.recommend(X)
    assert not marker.exists()
    with joblib.parallel_config(**processes):
        spread = host.recommend(X)
    assert marker.exists()
    np.testing.assert_array_equal(spread, alone)


def _refuse(context, rows):
    if rows[0] >= context:
        raise ValueError(f"`rows` must be below {context}; got {rows[0]}. Try less.")
    return rows


def test_errors_arrive_as_they_were_raised(pool):
    with (
        joblib.parallel_config(**pool),
        pytest.raises(ValueError, match=r"^`rows` must be below 90; got 96\. Try less"),
    ):
        over_spans(_refuse, 90, ROWS[:120])


def _write(folder, number):
    """Work on a file for a while; the first is refused meanwhile."""
    if number == 0:
        while not list(folder.iterdir()):
            time.sleep(0.01)
        raise ValueError("`number` must be above 0; got 0. Count from 1.")
    part, whole = folder / f"{number}.part", folder / str(number)
    part.touch()
    time.sleep(0.5)
    part.replace(whole)


def test_tasks_beside_one_that_fails_come_to_their_end(pool, tmp_path):
    with (
        joblib.parallel_config(**pool),
        pytest.raises(ValueError, match=r"^`number` must be above 0; got 0"),
    ):
        over_parts(_write, tmp_path, [(number,) for number in range(300)])
    left = [file.name for file in tmp_path.iterdir()]
    assert left
    assert not [name for name in left if name.endswith(".part")]
    # Few more are begun: those under way, and those that waited in a worker's queue.
    assert len(left) < 200


def test_one_span_goes_nowhere(processes):
    with joblib.parallel_config(**processes):
        (pids,) = over_spans(_visit, _Counted("nowhere"), ROWS[:40])
    assert set(pids) == {os.getpid()}


class _Fatal:
    """Takes down every process that it is used in, but its own."""

    def __init__(self):
        self.parent = os.getpid()

    def visit(self, rows):
        if os.getpid() != self.parent:
            os.kill(os.getpid(), signal.SIGKILL)
        return rows


@pytest.mark.filterwarnings("ignore:A worker stopped while some jobs:UserWarning")
def test_a_task_that_kills_every_worker_is_given_up(monkeypatch):
    monkeypatch.setattr(spans_module, "_ROUNDS", 2)
    with (
        joblib.parallel_config("loky", n_jobs=2),
        pytest.raises(Exception, match="terminated"),
    ):
        over_spans(_visit, _Fatal(), ROWS)
