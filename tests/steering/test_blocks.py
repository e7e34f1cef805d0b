"""Tables of embeddings are steered block by block as they are in memory."""

import copy
import datetime
import tracemalloc

import joblib
import numpy as np
import pytest

from skpopsteer import (
    PopularityPenaltyReranker,
    SparseAutoencoderProbe,
    SteeredRecommender,
)
from skpopsteer.steering import _blocks as blocks_module
from skpopsteer.steering import steer_blocks
from skpopsteer.steering._encoded_users import EncodedUsers

da = pytest.importorskip("dask.array")
pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")


@pytest.fixture(scope="module")
def model(host, split):
    probe = SparseAutoencoderProbe(32, k=4, max_iter=5, random_state=0)
    return SteeredRecommender(host, rule="shift", probe=probe, random_state=0).fit(
        split[0]
    )


@pytest.fixture(scope="module")
def users(host, split):
    U = host.encode_users(split[0])
    U.flags.writeable = False
    return U


@pytest.fixture(scope="module")
def steered(model, split, users):
    """Those users as ``transform`` steers them, which is not a little."""
    moved = model.transform(split[0])
    assert np.abs(moved - users).max() > 0.1
    return moved


def lists(rows, *, fixed=True, value=None, large=False):
    """Make a column of lists."""
    value = pa.from_numpy_dtype(rows.dtype) if value is None else value
    flat = pa.array(rows.ravel()).cast(value)
    if fixed:
        return pa.FixedSizeListArray.from_arrays(flat, rows.shape[1])
    starts = np.arange(0, rows.size + 1, rows.shape[1])
    if large:
        return pa.LargeListArray.from_arrays(pa.array(starts, pa.int64()), flat)
    return pa.ListArray.from_arrays(pa.array(starts, pa.int32()), flat)


def write(path, column, **others):
    """Write a file in row groups of 60, whose blocks of `few_rows` do not divide."""
    pq.write_table(pa.table({**others, "embedding": column}), path, row_group_size=60)
    return path


def read(path, column="embedding"):
    table = pq.read_table(path)
    d = table.schema.field(column).type.list_size
    flat = table[column].combine_chunks().flatten().to_numpy()
    return flat.reshape(-1, d)


def content(folder):
    return {
        file.relative_to(folder): file.read_bytes()
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }


@pytest.fixture
def few_rows(monkeypatch):
    monkeypatch.setattr(blocks_module, "_ROWS", 25)


# Arrays


@pytest.mark.parametrize(
    "chunks",
    [
        (200, 8),
        (50, 8),
        (33, 3),
        (1, 8),
        ((150, 0, 50), (2, 6)),
        ((0, 200), (8,)),
    ],
    ids=str,
)
def test_arrays_in_any_chunks_are_steered_like_rows(model, users, steered, chunks):
    moved = steer_blocks(model, da.from_array(users, chunks=chunks))
    assert moved.shape == (200, 8)
    assert moved.dtype == np.float32
    rows = moved.chunks[0]
    assert rows == da.from_array(users, chunks=chunks).chunks[0]
    result = moved.compute(scheduler="synchronous")
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, steered, atol=1e-6)
    direct = model._steer_users(EncodedUsers(users, None), model._pushes(None)[0])
    np.testing.assert_allclose(result, direct, atol=1e-6)


@pytest.mark.parametrize("dtype", ["f8", "f2", "i8", "u1"])
def test_arrays_of_other_numbers(model, users, dtype):
    rows = np.abs(users * (1 if dtype[0] == "f" else 10)).astype(dtype)
    moved = steer_blocks(model, da.from_array(rows, chunks=(60, 8))).compute()
    assert moved.dtype == np.float32
    expected = model._steer_users(
        EncodedUsers(rows.astype("f4"), None), model._pushes(None)[0]
    )
    np.testing.assert_allclose(moved, expected, atol=1e-5)


def test_an_empty_array(model, users):
    empty = da.from_array(users.astype("f8"), chunks=(50, 8))[:0]
    moved = steer_blocks(model, empty)
    assert moved.shape == (0, 8)
    result = moved.compute()
    assert result.shape == (0, 8)
    assert result.dtype == np.float32


@pytest.mark.parametrize("threshold", [-np.inf, 0.0, np.inf])
def test_chunks_of_unknown_size(model, users, threshold):
    # Sorted, so that most chunks lose all rows or none.
    order = np.argsort(users[:, 1])
    rows = users[order].astype("f8")
    source = da.from_array(rows, chunks=(20, 5))
    source = source[source[:, 1] > threshold]
    assert np.isnan(source.shape[0])
    result = steer_blocks(model, source).compute()
    assert result.dtype == np.float32
    kept = rows[rows[:, 1] > threshold].astype("f4")
    assert result.shape == kept.shape
    expected = model._steer_users(EncodedUsers(kept, None), model._pushes(None)[0])
    np.testing.assert_allclose(result, expected, atol=1e-6)


def test_arrays_are_steered_when_they_are_computed(model, users, steered):
    asked = []

    def chunk(block_info=None):
        asked.append(block_info[None]["chunk-location"])
        start, stop = block_info[None]["array-location"][0]
        return users[start:stop].copy()

    source = da.map_blocks(
        chunk, chunks=((50,) * 4, (8,)), dtype="f4", meta=np.empty((0, 0), "f4")
    )
    moved = steer_blocks(model, source)
    assert not asked
    np.testing.assert_allclose(moved[60:70].compute(), steered[60:70], atol=1e-6)
    assert asked == [(1, 0)]


def test_a_knob_set_later_does_not_reach_the_graph(model, users, steered):
    mine = copy.copy(model)
    moved = steer_blocks(mine, da.from_array(users, chunks=(50, 8)))
    mine.set_params(strength=3.0, rule="scale", reconstruction="replace")
    np.testing.assert_allclose(moved.compute(), steered, atol=1e-6)


def test_a_strength_in_the_call(model, split, users, steered, tmp_path):
    source = da.from_array(users, chunks=(50, 8))
    stronger = copy.copy(model).set_params(strength=2.5).transform(split[0])
    assert not np.allclose(stronger, steered)
    result = steer_blocks(model, source, strength=2.5).compute()
    np.testing.assert_allclose(result, stronger, atol=1e-6)
    assert np.array_equal(steer_blocks(model, source, strength=0).compute(), users)
    path = write(tmp_path / "users.parquet", lists(users))
    steer_blocks(model, path, tmp_path / "out.parquet", strength=2.5)
    np.testing.assert_allclose(read(tmp_path / "out.parquet"), stronger, atol=1e-6)
    assert model.strength == 1.0


def test_workers_of_a_cluster_steer_the_same(model, users, steered):
    distributed = pytest.importorskip("distributed")
    source = da.from_array(users, chunks=(40, 4))
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0"
        ) as cluster,
        distributed.Client(cluster),
    ):
        result = steer_blocks(model, source).compute()
    np.testing.assert_allclose(result, steered, atol=1e-6)


# Files


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"value": pa.float64()},
        {"fixed": False},
        {"fixed": False, "value": pa.float64()},
        {"fixed": False, "large": True},
    ],
    ids=str,
)
@pytest.mark.usefixtures("few_rows")
def test_files_are_steered_like_rows(model, users, steered, tmp_path, params):
    path = write(tmp_path / "users.parquet", lists(users, **params))
    before = path.read_bytes()
    target = tmp_path / "steered.parquet"
    assert steer_blocks(model, str(path), str(target)) == [target]
    np.testing.assert_allclose(read(target), steered, atol=1e-6)
    kind = pq.read_schema(target).field("embedding").type
    assert kind == pa.list_(pa.float32(), 8)
    assert path.read_bytes() == before
    assert sorted(file.name for file in tmp_path.iterdir()) == [
        "steered.parquet",
        "users.parquet",
    ]


@pytest.mark.parametrize("dtype", ["f2", "i4", "i1", "u1"])
@pytest.mark.parametrize("fixed", [True, False])
@pytest.mark.usefixtures("few_rows")
def test_files_of_other_numbers(model, users, tmp_path, dtype, fixed):
    rows = np.abs(users * (1 if dtype[0] == "f" else 10)).astype(dtype)
    path = write(tmp_path / "users.parquet", lists(rows, fixed=fixed))
    (target,) = steer_blocks(model, path, tmp_path / "steered.parquet")
    expected = model._steer_users(
        EncodedUsers(rows.astype("f4"), None), model._pushes(None)[0]
    )
    np.testing.assert_allclose(read(target), expected, atol=1e-5)


@pytest.mark.usefixtures("few_rows")
def test_other_columns_go_through_as_they_are(model, users, steered, tmp_path):
    n = len(users)
    noon = datetime.datetime(2024, 2, 29, 12, tzinfo=datetime.UTC)
    table = pa.table(
        {
            "user": [f"user {i}" if i % 7 else None for i in range(n)],
            "vector": lists(users.astype("f8"), fixed=False),
            "seen": pa.array(
                [noon + datetime.timedelta(hours=i) for i in range(n)],
                pa.timestamp("us", tz="Europe/Berlin"),
            ),
            "country": pa.array(
                ["be", "at", None, "ch"] * (n // 4)
            ).dictionary_encode(),
            "history": [list(range(i % 5)) for i in range(n)],
            "address": [{"street": str(i), "number": i} for i in range(n)],
            "position": pa.array(range(n), pa.int16()),
        }
    )
    field = table.schema.field("vector").with_metadata({b"host": b"svd"})
    schema = table.schema.set(1, field).with_metadata(
        {b"made by": b"us", b"more": b"\0"}
    )
    table = table.cast(schema)
    pq.write_table(table, tmp_path / "users.parquet", row_group_size=60)
    (target,) = steer_blocks(
        model, tmp_path / "users.parquet", tmp_path / "new.parquet", column="vector"
    )
    np.testing.assert_allclose(read(target, "vector"), steered, atol=1e-6)
    source, result = pq.read_table(tmp_path / "users.parquet"), pq.read_table(target)
    assert result.column_names == source.column_names
    source, result = source.drop(["vector"]), result.drop(["vector"])
    assert result.schema.equals(source.schema, check_metadata=True)
    assert result.schema.metadata[b"made by"] == b"us"
    assert result.schema.metadata[b"more"] == b"\0"
    assert result.equals(source)
    assert pq.read_schema(target).field("vector").metadata[b"host"] == b"svd"


def test_a_file_that_pandas_wrote_is_one_that_pandas_reads(
    model, users, steered, tmp_path
):
    pd = pytest.importorskip("pandas")
    index = pd.Index([f"u{i}" for i in range(200)], name="user")
    frame = pd.DataFrame({"embedding": list(users), "age": range(200)}, index=index)
    frame.to_parquet(tmp_path / "users.parquet")
    steer_blocks(model, tmp_path / "users.parquet", tmp_path / "steered.parquet")
    result = pd.read_parquet(tmp_path / "steered.parquet")
    np.testing.assert_allclose(np.stack(result["embedding"]), steered, atol=1e-6)
    pd.testing.assert_frame_equal(
        result.drop(columns="embedding"), frame.drop(columns="embedding")
    )


@pytest.fixture
def folder(users, tmp_path):
    """Users in three files, the second of them empty, and what is not Parquet."""
    folder = tmp_path / "users"
    (folder / "more.parquet").mkdir(parents=True)
    write(folder / "a.parquet", lists(users[:130]), id=range(130))
    write(folder / "b.parquet", lists(users[:0]), id=pa.array([], pa.int64()))
    write(folder / "c.parquet", lists(users[130:], fixed=False), id=range(130, 200))
    (folder / "_SUCCESS").touch()
    (folder / "c.parquet.crc").write_bytes(b"crc")
    return folder


@pytest.mark.parametrize("config", [{}, {"backend": "loky", "n_jobs": 2}], ids=str)
def test_a_folder_becomes_a_folder(model, steered, folder, tmp_path, config):
    before = content(folder)
    target = tmp_path / "all" / "steered"
    with joblib.parallel_config(**config):
        written = steer_blocks(model, folder, target)
    assert written == [target / f"{name}.parquet" for name in "abc"]
    assert list(content(target)) == [file.relative_to(target) for file in written]
    result = np.concatenate([read(file) for file in written])
    np.testing.assert_allclose(result, steered, atol=1e-6)
    ids = [i for file in written for i in pq.read_table(file)["id"].to_pylist()]
    assert ids == list(range(200))
    assert content(folder) == before


def test_a_target_that_is_there_already_is_replaced(model, users, steered, tmp_path):
    path = write(tmp_path / "users.parquet", lists(users))
    target = tmp_path / "steered.parquet"
    target.write_bytes(b"old")
    steer_blocks(model, path, target)
    np.testing.assert_allclose(read(target), steered, atol=1e-6)


def test_a_source_may_be_called_as_it_likes(model, users, steered, tmp_path):
    source = write(tmp_path / "users.parquet.part", lists(users))
    before = source.read_bytes()
    (target,) = steer_blocks(model, source, tmp_path / "users.parquet")
    np.testing.assert_allclose(read(target), steered, atol=1e-6)
    assert source.read_bytes() == before


@pytest.mark.parametrize("row_group", [4096, 10**6])
def test_memory_is_that_of_a_few_blocks(model, users, tmp_path, monkeypatch, row_group):
    monkeypatch.setattr(blocks_module, "_ROWS", 2048)
    monkeypatch.setattr(blocks_module, "_READ", 2**16)
    held, steer = [], blocks_module._steer

    def watched(*args):
        held.append(pa.total_allocated_bytes())
        return steer(*args)

    monkeypatch.setattr(blocks_module, "_steer", watched)
    n = 300_000
    rows = np.random.default_rng(0).normal(size=(n, 8)).astype("f4")
    table = pa.table({"embedding": lists(rows), "id": np.arange(n)})
    size = table.nbytes
    path = tmp_path / "users.parquet"
    pq.write_table(
        table, path, row_group_size=row_group, use_dictionary=False,
        data_page_size=2**16,
    )  # fmt: skip
    del table
    before = pa.total_allocated_bytes()
    tracemalloc.start()
    try:
        (target,) = steer_blocks(model, path, tmp_path / "steered.parquet")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(held) >= n / 2048
    assert max(held) - before < size / 5
    assert peak < size / 5
    some = slice(n - 3000, n)
    expected = model._steer_users(
        EncodedUsers(rows[some], None), model._pushes(None)[0]
    )
    np.testing.assert_allclose(read(target)[some], expected, atol=1e-5)


# Failures


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e39])
@pytest.mark.usefixtures("few_rows")
def test_a_number_that_is_not_finite_leaves_nothing_behind(model, users, tmp_path, bad):
    rows = users.astype("f8")
    rows[-1, 3] = bad
    path = write(tmp_path / "users.parquet", lists(rows))
    before = content(tmp_path)
    with pytest.raises(ValueError, match=r"^`column` must hold finite") as caught:
        steer_blocks(model, path, tmp_path / "steered.parquet")
    assert caught.value.__notes__ == [f"In {path}."]
    assert content(tmp_path) == before


@pytest.mark.parametrize("config", [{}, {"backend": "loky", "n_jobs": 2}], ids=str)
def test_a_bad_file_of_a_folder_is_named_and_not_written(
    model, users, folder, tmp_path, config
):
    rows = users[130:].copy()
    rows[-1, 3] = np.nan
    write(folder / "c.parquet", lists(rows))
    (tmp_path / "steered").mkdir()
    (tmp_path / "steered" / "c.parquet").write_bytes(b"old")
    with (
        joblib.parallel_config(**config),
        pytest.raises(ValueError, match=r"^`column` must hold finite") as caught,
    ):
        steer_blocks(model, folder, tmp_path / "steered")
    assert "c.parquet" in caught.value.__notes__[0]
    left = content(tmp_path / "steered")
    assert not [name for name in left if name.name.startswith(".")]
    assert {str(name): data for name, data in left.items()}["c.parquet"] == b"old"
    assert {name.suffix for name in left} == {".parquet"}


@pytest.mark.parametrize("row", [0, 199])
@pytest.mark.parametrize(
    ("given", "message"),
    [
        (None, r"`column` must hold a list in every row; got 1 of 20 rows without"),
        ([1.0] * 7, r"`column` must hold embeddings of width 8.* got 7\. Pass"),
        ([1.0] * 9, r"`column` must hold embeddings of width 8.* got 9\. Pass"),
        ([], r"`column` must hold embeddings of width 8.* got 0\. Pass"),
        ([1.0] * 7 + [None], "`column` must hold finite numbers"),
    ],
    ids=["null", "short", "long", "empty", "null within"],
)
def test_rows_that_are_no_embeddings(
    model, users, tmp_path, monkeypatch, row, given, message
):
    monkeypatch.setattr(blocks_module, "_ROWS", 20)
    rows = users.tolist()
    rows[row] = given
    path = write(tmp_path / "users.parquet", pa.array(rows))
    with pytest.raises(ValueError, match=f"^{message}"):
        steer_blocks(model, path, tmp_path / "steered.parquet")
    assert list(content(tmp_path)) == [path.relative_to(tmp_path)]


@pytest.mark.parametrize(
    "column",
    [
        pa.array([1.0, 2.0]),
        pa.array(["a", "b"]),
        pa.array(["a", "b"]).dictionary_encode(),
        pa.array([["a"] * 8] * 2),
        pa.array([[True] * 8] * 2),
        pa.array([[[1.0]] * 8] * 2),
        pa.array([{"a": 1.0}] * 2),
        pa.array([None, None]),
    ],
    ids=lambda column: str(column.type),
)
def test_a_column_of_something_else(model, users, tmp_path, column):
    write(tmp_path / "a.parquet", lists(users))
    write(tmp_path / "b.parquet", column)
    with pytest.raises(
        ValueError, match=r"^`column` must hold lists of numbers; got .* in b\.parquet"
    ):
        steer_blocks(model, tmp_path, tmp_path / "steered")
    assert not (tmp_path / "steered").exists()


def test_a_column_that_is_not_there_or_is_there_twice(model, users, tmp_path):
    path = write(tmp_path / "users.parquet", lists(users), id=range(200))
    target = tmp_path / "steered.parquet"
    with pytest.raises(
        ValueError,
        match=r"^`column` must be one column of users\.parquet; got 'vector'\. "
        r"It has id, embedding\.",
    ):
        steer_blocks(model, path, target, column="vector")
    column = lists(users)
    twice = pa.Table.from_arrays([column, column], names=["embedding"] * 2)
    pq.write_table(twice, path)
    with pytest.raises(ValueError, match=r"^`column` must be one column of users"):
        steer_blocks(model, path, target)
    assert not target.exists()


def test_fixed_lists_of_another_width_are_seen_before_anything_is_written(
    model, users, tmp_path
):
    write(tmp_path / "a.parquet", lists(users))
    write(tmp_path / "b.parquet", lists(users[:, :5]))
    with pytest.raises(ValueError, match=r"^`column` must hold .* width 8.*; got 5\."):
        steer_blocks(model, tmp_path, tmp_path / "steered")
    assert not (tmp_path / "steered").exists()


def test_paths_that_cannot_be(model, users, tmp_path):
    path = write(tmp_path / "users.parquet", lists(users))
    (tmp_path / "link.parquet").symlink_to(path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "a.parquet").write_text("none of ours")
    before = content(tmp_path)
    other = tmp_path / "steered.parquet"
    for source, target, message in [
        (path, None, "`target` must be a path when the source is one; got None"),
        (path, path, "`target` must not be the source"),
        (path, tmp_path / "link.parquet", "`target` must not be the source"),
        (tmp_path, tmp_path, "`target` must not be the source"),
        (path, tmp_path / "empty", "`target` must be a folder for a folder, and a"),
        (tmp_path, path, "`target` must be a folder for a folder, and a file for"),
        (tmp_path / "no.parquet", other, "`source` must be a Parquet file, or a fold"),
        (tmp_path / "empty", other, "`source` must be a Parquet file, or a folder"),
        (tmp_path / "text", other, r"`source` must hold Parquet files; got a\.parq"),
    ]:
        with pytest.raises(ValueError, match=f"^{message}") as caught:
            steer_blocks(model, source, target)
        assert "\n" not in str(caught.value)
    assert content(tmp_path) == before


def test_arrays_that_cannot_be(model, users):
    source = da.from_array(users, chunks=(50, 8))
    for array, message in [
        (source[:, :5], r"`source` must hold embeddings of width 8.*; got 5\."),
        (source[:, source[0] > 0], "`source` must hold embeddings of width 8.*; got n"),
        (source[0], r"`source` must hold embeddings of width 8.*; got 1 axes\."),
        (source[None], r"`source` must hold embeddings of width 8.*; got 3 axes\."),
    ]:
        with pytest.raises(ValueError, match=f"^{message}"):
            steer_blocks(model, array)
    for array, message in [
        (source.astype("U8"), "`source` must be a 2-D table of numbers"),
        (source.astype(complex), "`source` must be a 2-D table of numbers"),
        (da.where(source == users[99, 2], np.nan, source), "`source` must hold finite"),
    ]:
        with pytest.raises(ValueError, match=f"^{message}"):
            steer_blocks(model, array).compute()
    with pytest.raises(ValueError, match=r"^`target` must be None for a dask array"):
        steer_blocks(model, source, "steered.parquet")


@pytest.mark.parametrize("source", [np.ones((2, 8)), [[1.0] * 8], None, 3], ids=type)
def test_sources_that_are_neither(model, source):
    with pytest.raises(TypeError, match=r"^`source` must be a dask array, or the path"):
        steer_blocks(model, source)


def test_models_that_do_more_than_steer_embeddings(model, split, host, users):
    source = da.from_array(users, chunks=(50, 8))
    for params, message in [
        ({"side": "both"}, "`side` must be 'user'"),
        ({"user_strength": "profile"}, "`user_strength` must be None"),
        ({"keep_top": 3}, "`keep_top` must be 0"),
        ({"rule": "bogus"}, "The 'rule' parameter"),
    ]:
        with pytest.raises(ValueError, match=f"^{message}"):
            steer_blocks(copy.copy(model).set_params(**params), source)
    with pytest.raises(ValueError, match=r"^`strength` must be a finite number"):
        steer_blocks(model, source, strength=np.nan)
    for other in (PopularityPenaltyReranker(host).fit(split[0]), host, None):
        with pytest.raises(TypeError, match=r"^`model` must be a fitted SteeredRec"):
            steer_blocks(other, source)
    with pytest.raises(ValueError, match="not fitted yet"):
        steer_blocks(SteeredRecommender(host, rule="shift"), source)
