"""Full disks, folders that may not be written to, and hosts that fail once."""

import os

import joblib
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.decomposition import TruncatedSVD

from skpopsteer import SparseAutoencoderProbe, SteeredRecommender, as_recommender
from skpopsteer.steering import steer_blocks
from tests.reliability.forked import posix, reachable_folder

#: What is written, each time to the same file in the same folder.
WORK = """
folder = Path(folder)
place = folder / "place"
rows = np.random.default_rng(0).normal(size=(3000, 8)).astype(np.float32)
lists = pa.FixedSizeListArray.from_arrays(pa.array(rows.ravel()), 8)
pq.write_table(pa.table({"embedding": lists}), folder / "source.parquet")


def train():
    # Whole epochs before, and one more from there.
    training(place / "file").set_params(max_iter=99).fit(U)


def store():
    save(model, place / "file")


def steer():
    steer_blocks(model, folder / "source.parquet", place / "file")


"""

NO_ROOM = (
    WORK
    + """
for work in (train, store, steer):
    place.mkdir()
    # Nothing there yet: nothing is there after it.
    for n_bytes in (0, 100, 4000):
        assert end(start(work, lambda: at_most(n_bytes))) == 1
        assert os.listdir(place) == [], (work, n_bytes, os.listdir(place))
    # A whole file there: it is as it was.
    if work is train:
        while not (place / "file").exists():
            pid = start(work)
            while not ((place / "file").exists() or has_ended(pid)):
                time.sleep(0.001)
            os.kill(pid, signal.SIGKILL)
            end(pid)
        for left in place.glob(".file.*"):
            left.unlink()
    else:
        assert end(start(work)) == 0
    before = (place / "file").read_bytes()
    for n_bytes in (4000, len(before) - 1):
        assert end(start(work, lambda: at_most(n_bytes))) == 1
        assert os.listdir(place) == ["file"], (work, n_bytes, os.listdir(place))
        assert (place / "file").read_bytes() == before
    place.joinpath("file").unlink()
    place.rmdir()
print("done")
"""
)

NOT_ALLOWED = (
    WORK
    + """
place.mkdir()
for work in (train, store, steer):
    place.chmod(0o555)
    assert end(start(work, as_nobody)) == 1
    place.chmod(0o755)
    assert os.listdir(place) == []
print("done")
"""
)


@posix
def test_a_full_disk_leaves_what_was_there(run, tmp_path):
    *lines, last = run(NO_ROOM, folder=str(tmp_path))
    assert last == "done"
    assert len(lines) == 15
    # It says what is wrong, and not that the model could not be saved.
    assert [line for line in lines if "File too large" not in line] == []
    assert {line.partition(":")[0] for line in lines} == {"OSError"}


@posix
def test_a_folder_that_may_not_be_written_to_stays_as_it_is(run):
    with reachable_folder() as folder:
        *lines, last = run(NOT_ALLOWED, folder=str(folder))
    assert last == "done"
    assert len(lines) == 3
    assert {line.partition(":")[0] for line in lines} == {"PermissionError"}
    assert all(str(folder / "place") in line for line in lines)


class FailingSVD(TruncatedSVD):
    """Fails in one of its calls, once it is told to."""

    left = 0

    def transform(self, X):
        self.left -= 1
        if self.left == 0:
            raise ConnectionResetError("the model server has gone away")
        return super().transform(X)


@pytest.fixture
def svd(split):
    return FailingSVD(8, random_state=0).fit(split[0])


def steered(svd):
    probe = SparseAutoencoderProbe(32, k=4, max_iter=5, random_state=0)
    return SteeredRecommender(
        as_recommender(svd), rule="shift", probe=probe, random_state=0
    )


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_a_host_that_fails_for_one_span_says_so(svd, split, n_jobs):
    model = steered(svd).fit(split[0])
    X = split[0][np.tile(np.arange(200), 20)]
    expected = model.recommend(X)
    with joblib.parallel_config("threading", n_jobs=n_jobs):
        for method in (model.recommend, model.predict, model.transform):
            svd.left = 3
            with pytest.raises(ConnectionResetError, match=r"^the model server has go"):
                method(X)
        # And it serves again as soon as the host does.
        np.testing.assert_array_equal(model.recommend(X), expected)


def test_a_host_that_fails_while_fitting_leaves_an_estimator_to_fit(svd, split):
    expected = steered(svd).fit(split[0]).recommend(split[0])
    for left in (1, 2, 3):
        model = steered(svd)
        svd.left = left
        with pytest.raises(ConnectionResetError):
            model.fit(split[0])
        model.fit(split[0])
        np.testing.assert_array_equal(model.recommend(split[0]), expected)


def test_files_before_the_one_that_fails_are_whole(svd, split, tmp_path):
    model = steered(svd).fit(split[0])
    source, target = tmp_path / "source", tmp_path / "target"
    source.mkdir()
    U = model.recommender_.encode_users(split[0])
    for n, rows in enumerate([U, np.where(np.arange(200)[:, None] == 150, np.inf, U)]):
        lists = pa.FixedSizeListArray.from_arrays(pa.array(rows.ravel()), U.shape[1])
        pq.write_table(pa.table({"embedding": lists}), source / f"{n}.parquet")
    with pytest.raises(ValueError, match=r"^`column` must hold finite") as caught:
        steer_blocks(model, source, target)
    assert caught.value.__notes__ == [f"In {source / '1.parquet'}."]
    assert os.listdir(target) == ["0.parquet"]
    assert pq.read_table(target / "0.parquet").num_rows == 200
