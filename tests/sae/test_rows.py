"""Rows for training: every one once an epoch, in an order the seed decides."""

import pathlib
import tracemalloc

import numpy as np
import pandas as pd
import pytest

from skpopsteer.sae import _rows
from skpopsteer.sae._rows import ArrayRows, BlockRows

N_ROWS, WIDTH = 1000, 3


@pytest.fixture(scope="module")
def table():
    """Rows that can be told apart: row i is i, i, i."""
    return np.repeat(np.arange(N_ROWS, dtype=np.float32)[:, None], WIDTH, axis=1)


@pytest.fixture
def file(table, tmp_path):
    np.save(tmp_path / "table.npy", table)
    return tmp_path / "table.npy"


def _cut(table):
    return [table[:300], table[300:301], table[301:301], table[301:650], table[650:]]


class _Again:
    """An iterable that is no sequence."""

    def __init__(self, table):
        self.table = table

    def __iter__(self):
        return iter(_cut(self.table))


def _make(kind, table, file):
    return {
        "array": lambda: ArrayRows(table),
        "memmap": lambda: ArrayRows(np.load(file, mmap_mode="r")),
        "view of a memmap": lambda: ArrayRows(np.asarray(np.load(file, mmap_mode="r"))),
        "list": lambda: BlockRows(_cut(table)),
        "float64": lambda: BlockRows([b.astype(float) for b in _cut(table)]),
        "frames": lambda: BlockRows([pd.DataFrame(b) for b in _cut(table)]),
        "paths": lambda: BlockRows([file]),
        "names": lambda: BlockRows([str(file)]),
        "again": lambda: BlockRows(_Again(table)),
        "function": lambda: BlockRows(lambda: iter(_cut(table))),
    }[kind]()


KINDS = [
    "array", "memmap", "view of a memmap", "list", "float64", "frames", "paths",
    "names", "again", "function",
]  # fmt: skip


@pytest.fixture(params=KINDS)
def rows(request, table, file, monkeypatch):
    # Small windows, so that a file has several.
    monkeypatch.setattr(_rows, "WINDOW_ROWS", 128)
    return _make(request.param, table, file)


def _epoch(rows, seed=0, batch_size=64):
    return list(rows.epoch(np.random.default_rng(seed), batch_size))


def test_every_row_comes_once_an_epoch_in_full_batches(rows, table):
    assert len(rows) == N_ROWS
    assert rows.n_features == WIDTH
    batches = _epoch(rows)
    assert [len(batch) for batch in batches] == [64] * 15 + [40]
    assert {batch.dtype for batch in batches} == {np.dtype("float32")}
    seen = np.concatenate(batches)
    assert np.array_equal(seen[np.argsort(seen[:, 0])], table)
    assert not np.array_equal(seen, table)


@pytest.mark.parametrize("batch_size", [1, 999, 1000, 5000])
def test_any_batch_size(rows, batch_size):
    sizes = [len(batch) for batch in _epoch(rows, batch_size=batch_size)]
    full, rest = divmod(N_ROWS, batch_size)
    assert sizes == [batch_size] * full + [rest] * (rest > 0)


def test_the_seed_alone_decides_the_order(rows):
    first, again = np.concatenate(_epoch(rows)), np.concatenate(_epoch(rows))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, np.concatenate(_epoch(rows, seed=1)))
    rng = np.random.default_rng(0)
    two = [np.concatenate(list(rows.epoch(rng, 64))) for _ in range(2)]
    assert not np.array_equal(*two)


def test_batches_are_copies(rows, table):
    before = table.copy()
    for batch in rows.epoch(np.random.default_rng(0), 64):
        batch[:] = -1
    rows.sample(10, np.random.default_rng(0))[:] = -1
    assert np.array_equal(table, before)
    assert (np.concatenate(_epoch(rows)) >= 0).all()


def test_blocks_come_in_order(rows, table):
    blocks = list(rows.blocks(100))
    assert max(len(block) for block in blocks) == 100
    assert {block.dtype for block in blocks} == {np.dtype("float32")}
    assert np.array_equal(np.concatenate(blocks), table)


def test_a_sample_is_drawn_without_replacement_in_random_order(rows):
    drawn = rows.sample(400, np.random.default_rng(0))
    assert drawn.shape == (400, WIDTH)
    assert drawn.dtype == np.float32
    numbers = drawn[:, 0]
    assert len(np.unique(numbers)) == 400
    assert (np.diff(numbers) < 0).any()
    assert np.array_equal(drawn, rows.sample(400, np.random.default_rng(0)))
    assert np.unique(rows.sample(5000, np.random.default_rng(0))[:, 0]).size == N_ROWS


def test_all_sources_of_a_table_give_the_same_sample(table, file):
    samples = [
        _make(kind, table, file).sample(50, np.random.default_rng(3)) for kind in KINDS
    ]
    for sample in samples[1:]:
        np.testing.assert_array_equal(sample, samples[0])


def test_a_mapped_file_is_told_from_an_array(table, file):
    assert not ArrayRows(table).on_disk
    assert not ArrayRows(table[::2]).on_disk
    mapped = np.load(file, mmap_mode="r")
    for view in (mapped, np.asarray(mapped), np.asarray(mapped)[:10], mapped[:, :2]):
        assert ArrayRows(view).on_disk
    assert not ArrayRows(np.array(mapped)).on_disk


def test_an_array_has_one_permutation(table):
    seen = np.concatenate(_epoch(ArrayRows(table)))
    assert np.array_equal(seen, table[np.random.default_rng(0).permutation(N_ROWS)])


def test_a_file_is_shuffled_in_windows_in_random_order(file, monkeypatch):
    monkeypatch.setattr(_rows, "WINDOW_ROWS", 128)
    rows = ArrayRows(np.load(file, mmap_mode="r"))
    batches = [batch[:, 0] for batch in _epoch(rows, batch_size=32)]
    # Most batches are of one window, and none is in the order of the file.
    assert np.median([np.ptp(batch) for batch in batches]) < 128
    assert all((np.diff(batch) < 0).any() for batch in batches)
    borders = []
    for seed in range(2):
        stretches = list(rows._stretches(np.random.default_rng(seed)))
        firsts = [stretch[0, 0] for stretch, _ in stretches]
        assert firsts != sorted(firsts)
        assert max(len(stretch) for stretch, _ in stretches) == 128
        borders.append(sorted(firsts))
    assert borders[0] != borders[1]


def test_the_order_of_a_sequence_is_shuffled_and_that_of_a_stream_is_not(table):
    blocks = np.split(table, 10)
    firsts = []
    for source in (blocks, lambda: iter(blocks)):
        batches = _epoch(BlockRows(source), batch_size=100)
        assert all(np.ptp(batch) == 99 for batch in batches)
        assert all((np.diff(batch[:, 0]) < 0).any() for batch in batches)
        firsts.append([batch.min() for batch in batches])
    assert firsts[0] != sorted(firsts[0])
    assert firsts[1] == sorted(firsts[1])


def _peak(action):
    tracemalloc.start()
    try:
        action()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def _go_through_all(rows):
    for batch in rows.epoch(np.random.default_rng(0), 100):
        del batch
    for block in rows.blocks(1000):
        # Dropped before the next one is asked for, as every caller has to.
        del block
    rows.sample(100, np.random.default_rng(0))


def test_a_file_takes_the_memory_of_a_window(tmp_path, monkeypatch):
    np.save(tmp_path / "large.npy", np.ones((20_000, 100), dtype=np.float32))
    monkeypatch.setattr(_rows, "WINDOW_BYTES", 400_000)
    mapped = np.load(tmp_path / "large.npy", mmap_mode="r")
    # 8 MB in the file: a window, a batch, and the permutation of a sample.
    assert _peak(lambda: _go_through_all(ArrayRows(mapped))) < 1_000_000
    files = [tmp_path / "large.npy"] * 2
    assert _peak(lambda: _go_through_all(BlockRows(files))) < 3_000_000


def test_an_array_takes_the_memory_of_its_order():
    X = np.ones((20_000, 100), dtype=np.float32)
    assert _peak(lambda: _go_through_all(ArrayRows(X))) < 1_000_000


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_blocks_take_the_memory_of_one(dtype):
    size = 10_000 * 100 * np.dtype(dtype).itemsize

    def blocks():
        return (np.ones((10_000, 100), dtype=dtype) for _ in range(5))

    peak = _peak(lambda: _go_through_all(BlockRows(blocks)))
    # The block, and of float64 its check as float32; never two.
    assert size < peak < 1.8 * size


@pytest.mark.parametrize(
    ("X", "got"),
    [
        (np.ones((2, 2)), "2-D float64"),
        (np.ones(2, dtype=np.float32), "1-D float32"),
        ([[1.0]], "2-D list"),
    ],
)
def test_a_table_must_be_of_float32(X, got):
    with pytest.raises(TypeError, match=f"^`X` must be a 2-D .* float32; got {got}"):
        ArrayRows(X)


@pytest.mark.parametrize(
    ("blocks", "message"),
    [
        (
            (b for b in [np.ones((2, 2))]),
            "last for every epoch; got a generator",
        ),
        (3, "a list of blocks or a function that returns an iterator of them; got int"),
        ("table.npy", r"several blocks; got one path. Pass \[path\]"),
        (pathlib.Path("a"), r"several blocks; got one path. Pass \[path\]"),
    ],
)
def test_what_ends_or_has_no_blocks_is_refused(blocks, message):
    with pytest.raises(TypeError, match=f"^`blocks` must (be )?{message}"):
        BlockRows(blocks)


@pytest.mark.parametrize(
    ("blocks", "message"),
    [
        ([], "hold at least one row; got none"),
        ([np.ones((0, 2))], "hold at least one row; got none"),
        ([np.ones(2)], r"hold 2-D arrays of numbers; got shape \(2,\)"),
        ([np.array([["a"]])], r"hold 2-D arrays of numbers; got .* dtype <U1"),
        ([pd.DataFrame({"a": ["b"]})], "hold 2-D arrays of numbers; got .* dtype obj"),
        ([np.ones((2, 2)), np.ones((2, 3))], r"hold blocks of one width \(2\); got 3"),
        ([np.ones((2, 2)), np.array([[1, np.nan]])], "hold finite numbers of float32"),
        ([np.array([[1e39]])], "hold finite numbers of float32"),
        (["no.npy"], r"hold paths of .npy files of numbers; got 'no.npy' \(.*No such"),
    ],
)
def test_bad_blocks_are_refused(blocks, message):
    with pytest.raises(ValueError, match=f"^`blocks` must {message}") as error:
        BlockRows(blocks)
    assert "\n" not in str(error.value)
    with pytest.raises(ValueError, match=r"^`X` must"):
        BlockRows(blocks, name="X")


def test_files_that_are_no_plain_arrays_are_refused(tmp_path):
    np.savez(tmp_path / "archive.npz", a=np.ones((2, 2)))
    objects = np.array([[object()]])
    np.save(tmp_path / "objects.npy", objects, allow_pickle=True)
    (tmp_path / "empty.npy").touch()
    for path in tmp_path.iterdir():
        with pytest.raises(ValueError, match=r"must hold paths of .npy files"):
            BlockRows([path])


def test_a_function_that_gives_its_rows_only_once_is_found_out(table):
    blocks = iter(_cut(table))
    rows = BlockRows(lambda: blocks)
    with pytest.raises(ValueError, match=r"give the same 1000 rows at .*; got 0"):
        _epoch(rows)
    with pytest.raises(ValueError, match=r"give the same 1000 rows at .*; got 0"):
        rows.sample(10, np.random.default_rng(0))
