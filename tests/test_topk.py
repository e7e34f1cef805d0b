"""Exact top-k against a full sort, and lists that are merged."""

import numpy as np
import pytest

from skpopsteer import topk
from skpopsteer.topk import highest, merge_lists, row_blocks, top_k


def _by_full_sort(scores, k):
    """Python's own stable sort of all items of a row."""
    ids = np.full((len(scores), k), -1)
    values = np.full((len(scores), k), -np.inf)
    for row, of_row in enumerate(scores.tolist()):
        order = sorted(range(len(of_row)), key=lambda item, s=of_row: -s[item])
        order = [item for item in order if of_row[item] != -np.inf][:k]
        ids[row, : len(order)] = order
        values[row, : len(order)] = [of_row[item] for item in order]
    return ids, values


def _scores(kind, dtype):
    rng = np.random.default_rng(0)
    shape = (60, 37)
    scores = {
        "distinct": rng.normal(size=shape),
        "ties": rng.integers(0, 4, shape),
        "ties and gaps": np.where(
            rng.random(shape) < 0.7, -np.inf, rng.integers(0, 3, shape)
        ),
        "all equal": np.zeros(shape),
        "nothing allowed": np.full(shape, -np.inf),
        "infinite": rng.choice([np.inf, 0.0, -1.0, -np.inf], shape),
        "signed zeros": rng.choice([0.0, -0.0], shape),
    }[kind]
    return scores.astype(dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("k", [1, 2, 10, 36, 37, 38, 80])
@pytest.mark.parametrize(
    "kind",
    [
        "distinct", "ties", "ties and gaps", "all equal", "nothing allowed", "infinite",
        "signed zeros",
    ],
)  # fmt: skip
def test_top_k_is_a_full_stable_sort(kind, k, dtype):
    scores = _scores(kind, dtype)
    before = scores.copy()
    ids, values = top_k(scores, k)
    expected_ids, expected_values = _by_full_sort(scores, k)
    np.testing.assert_array_equal(ids, expected_ids)
    np.testing.assert_array_equal(values, expected_values)
    assert (ids.dtype, values.dtype) == (np.int64, dtype)
    np.testing.assert_array_equal(scores, before)


@pytest.mark.parametrize("order", ["C", "F"])
def test_top_k_reads_any_memory_order_and_read_only_scores(order):
    scores = np.array(_scores("ties", np.float32), order=order)
    scores.flags.writeable = False
    ids, _ = top_k(scores, 5)
    np.testing.assert_array_equal(ids, _by_full_sort(scores, 5)[0])


@pytest.mark.parametrize("shape", [(0, 5), (3, 0)])
def test_top_k_of_nothing_is_padding(shape):
    ids, values = top_k(np.ones(shape, dtype=np.float32), 4)
    assert ids.shape == values.shape == (shape[0], 4)
    assert (ids == -1).all()
    assert (values == -np.inf).all()


def test_row_blocks_cover_all_rows_once_within_the_budget(monkeypatch):
    monkeypatch.setattr(topk, "BLOCK_SCORES", 100)
    monkeypatch.setattr(topk, "BLOCK_ROWS", 1)
    for n_rows, n_columns in [(0, 10), (1, 10), (10, 10), (23, 10), (7, 33), (5, 100)]:
        blocks = list(row_blocks(n_rows, n_columns))
        rows = [row for block in blocks for row in range(n_rows)[block]]
        assert rows == list(range(n_rows))
        assert all((block.stop - block.start) * n_columns <= 100 for block in blocks)
        assert len(blocks) == -(-n_rows // (100 // n_columns))
        sizes = [block.stop - block.start for block in blocks]
        # No small block is left over at the end.
        assert not sizes or max(sizes) - min(sizes) < len(sizes)


def test_a_block_has_some_rows_whatever_their_width(monkeypatch):
    monkeypatch.setattr(topk, "BLOCK_SCORES", 100)
    monkeypatch.setattr(topk, "BLOCK_ROWS", 2)
    assert list(row_blocks(3, 101)) == [slice(0, 2), slice(2, 3)]
    assert list(row_blocks(3, 0)) == [slice(0, 3)]


@pytest.mark.parametrize(
    ("first", "second", "n_first", "expected"),
    [
        ([1, 2, 3], [4, 5, 6], 0, [4, 5, 6]),
        ([1, 2, 3], [4, 5, 6], 1, [1, 4, 5]),
        ([1, 2, 3], [4, 5, 6], 3, [1, 2, 3]),
        ([1, 2, 3], [4, 5, 6], 9, [1, 2, 3]),
        ([1, 2, 3], [3, 2, 1], 2, [1, 2, 3]),
        ([1, 2, 3], [2, 9, 1], 2, [1, 2, 9]),
        ([1, 2, 3], [1, 9, 8], 1, [1, 9, 8]),
        ([1, -1, -1], [2, 3, -1], 2, [1, 2, 3]),
        ([-1, -1, -1], [2, -1, -1], 2, [2, -1, -1]),
        ([1, 2, -1], [2, 1, -1], 1, [1, 2, -1]),
        ([-1, -1, -1], [-1, -1, -1], 1, [-1, -1, -1]),
    ],
)
def test_merged_lists_by_hand(first, second, n_first, expected):
    merged = merge_lists(np.array([first]), np.array([second]), n_first)
    assert merged.tolist() == [expected]


@pytest.mark.parametrize("n_first", [0, 1, 4, 8, 20])
def test_merged_lists_as_a_loop_would_make_them(n_first):
    rng = np.random.default_rng(n_first)
    orders = [np.array([rng.permutation(12)[:8] for _ in range(50)]) for _ in range(2)]
    for lists in orders:
        lists[np.arange(8) >= rng.integers(0, 12, (50, 1))] = -1
    merged = merge_lists(*orders, n_first)
    rows = (lists.tolist() for lists in [merged, *orders])
    for row, first, second in zip(*rows, strict=True):
        expected = [item for item in first[:n_first] if item != -1]
        expected += [i for i in second if i != -1 and i not in expected]
        assert row == (expected + [-1] * 8)[:8]


@pytest.mark.parametrize("n_columns", [64, 333, 1000, 4097])
@pytest.mark.parametrize("k", [1, 3, 20])
@pytest.mark.parametrize("levels", [None, 50, 2])
def test_wide_rows_are_partitioned_by_groups_as_by_a_full_sort(n_columns, k, levels):
    rng = np.random.default_rng(n_columns + k)
    scores = rng.standard_normal((40, n_columns))
    if levels:
        scores = np.floor(scores * levels / 4)
    # Rows with nearly all, or all, items left out.
    scores[3, k // 2 :] = -np.inf
    scores[4] = -np.inf
    # The highest in the columns that are over when they are dealt out to groups.
    scores[5, -k:] = 99 + rng.standard_normal(k)
    order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    values = np.take_along_axis(scores, order, axis=1)
    ids, top = top_k(scores, k)
    np.testing.assert_array_equal(ids, np.where(values == -np.inf, -1, order))
    np.testing.assert_array_equal(top, values)


def test_ties_at_the_border_are_told():
    scores = np.random.default_rng(0).standard_normal((3, 500))
    scores[1, [7, 400]] = 9.0
    scores[1, [1, 2]] = 10.0
    scores[2, [7, 400, 13]] = 9.0
    chosen, tied = highest(scores, 3)
    assert tied.tolist() == [1]
    for row in (0, 2):
        assert set(chosen[row]) == set(np.argsort(-scores[row])[:3])


@pytest.mark.parametrize("n_items", [4, 40, 4000])
@pytest.mark.parametrize("k", [1, 2, 3])
def test_a_score_that_is_no_number_is_refused_though_ties_make_up_for_it(n_items, k):
    scores = np.zeros((3, n_items), dtype=np.float32)
    scores[:, 0] = 5.0
    scores[:, 1:k] = 4.0
    # As many reach the k-th highest as if there were no NaN among them.
    scores[1, k] = scores[1, k - 1]
    scores[1, -1] = np.nan
    with pytest.raises(ValueError, match=r"^`recommender` must give scores that are"):
        top_k(scores, k)
