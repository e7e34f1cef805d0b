"""The centre and the spread of rows, exact and safe."""

import tracemalloc

import numpy as np
import pytest

from skpopsteer.sae import _centre
from skpopsteer.sae._centre import geometric_median, moments
from skpopsteer.sae._rows import ArrayRows, BlockRows


def _rows(X):
    return ArrayRows(np.asarray(X, dtype=np.float32))


@pytest.fixture(params=[2**21, 40])
def cut(request, monkeypatch):
    """In one block, and in blocks of a few rows."""
    monkeypatch.setattr(_centre, "BLOCK_NUMBERS", request.param)


@pytest.mark.usefixtures("cut")
def test_moments_of_three_rows_by_hand():
    mean, variance = moments(_rows([[0, 0], [3, 0], [0, 3]]))
    assert mean.dtype == np.float64
    np.testing.assert_allclose(mean, [1, 1], rtol=1e-15)
    assert variance == pytest.approx((2 + 5 + 5) / 3, rel=1e-15)
    assert type(variance) is float


@pytest.mark.usefixtures("cut")
@pytest.mark.parametrize("offset", [0, 1e3, 1e6])
def test_an_offset_common_to_all_rows_costs_no_digits(offset):
    X = np.random.default_rng(0).normal(size=(500, 4)).astype(np.float32)
    X = (X + np.float32(offset)).astype(np.float32)
    exact = X.astype(np.longdouble)
    mean, variance = moments(ArrayRows(X))
    centre = exact.mean(axis=0)
    np.testing.assert_allclose(mean, centre.astype(float), rtol=1e-14)
    expected = float(((exact - centre) ** 2).sum(axis=1).mean())
    assert variance == pytest.approx(expected, rel=1e-12)


@pytest.mark.usefixtures("cut")
def test_equal_rows_have_no_variance_at_all():
    mean, variance = moments(_rows(np.full((77, 3), 0.1)))
    assert variance == 0.0
    assert np.array_equal(mean, np.full(3, np.float32(0.1), dtype=np.float64))
    median = geometric_median(_rows(np.full((77, 3), 0.1)))
    assert np.array_equal(median, mean)


def test_moments_of_blocks_are_those_of_the_table():
    X = np.random.default_rng(0).normal(size=(500, 4)).astype(np.float32)
    blocks = BlockRows([X[:1], X[1:300], X[300:]])
    for got, expected in zip(moments(blocks), moments(ArrayRows(X)), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-13, atol=1e-15)
    np.testing.assert_allclose(
        geometric_median(blocks), geometric_median(ArrayRows(X)), atol=1e-9
    )


@pytest.mark.usefixtures("cut")
def test_the_fermat_point_of_a_triangle():
    # All sides are seen from it at 120 degrees.
    median = geometric_median(_rows([[0, 0], [4, 0], [1, 3]]), tol=1e-12, max_iter=1000)
    away = np.array([[0, 0], [4, 0], [1, 3]]) - median
    away /= np.linalg.norm(away, axis=1, keepdims=True)
    np.testing.assert_allclose(away.sum(axis=0), 0, atol=1e-9)


def test_the_median_is_where_the_distances_sum_to_least():
    X = np.random.default_rng(0).gamma(0.5, size=(200, 5)).astype(np.float32)
    median = geometric_median(ArrayRows(X))

    def total(point):
        return np.linalg.norm(X - point, axis=1).sum()

    for feature in range(5):
        for step in (-1e-3, 1e-3):
            beside = median.copy()
            beside[feature] += step
            assert total(median) < total(beside)
    assert total(median) < total(X.mean(axis=0)) - 1


def test_one_feature_gives_the_ordinary_median():
    X = np.random.default_rng(0).exponential(size=(101, 1)).astype(np.float32)
    assert geometric_median(ArrayRows(X))[0] == pytest.approx(np.median(X), abs=1e-5)


def test_a_start_on_a_row_that_is_not_the_median_is_left():
    # The mean, where it starts, is the row (0, 0); the median is (-1, 0), where three
    # rows lie. Without the correction of Vardi and Zhang it divides by zero or stays.
    X = np.array([[-1, 0]] * 3 + [[0, 0]] + [[3, 0]])
    np.testing.assert_allclose(geometric_median(_rows(X)), [-1, 0], atol=1e-5)
    # R = -3 + 1, W = 3 + 1/3, and the row on the point takes half of the step away.
    first = geometric_median(_rows(X), max_iter=1)
    np.testing.assert_allclose(first, [-0.3, 0], atol=1e-12)


def test_a_start_on_the_median_itself_stays():
    X = np.array([[1, 0], [-1, 0], [0, 1], [0, -1], [0, 0]])
    assert np.array_equal(geometric_median(_rows(X)), [0, 0])


@pytest.mark.parametrize("beside", [1e-9, 1e-12, 1e-15])
def test_a_start_beside_a_row_by_rounding_is_left(beside):
    X = np.array([[-1, 0]] * 3 + [[beside, 0]] + [[3, 0]])
    np.testing.assert_allclose(geometric_median(_rows(X)), [-1, 0], atol=1e-5)


@pytest.mark.parametrize("far", [1e3, 1e9, 1e30])
def test_a_few_rows_far_off_move_the_median_little(far):
    X = np.random.default_rng(0).normal(size=(500, 3)).astype(np.float32)
    clean = geometric_median(ArrayRows(X))
    X[:5] = far
    assert np.linalg.norm(geometric_median(ArrayRows(X)) - clean) < 0.05
    assert np.linalg.norm(moments(ArrayRows(X))[0] - clean) > 5


def test_shift_and_scale_carry_over():
    X = np.random.default_rng(0).gamma(1.0, size=(300, 3)).astype(np.float32)
    median = geometric_median(ArrayRows(X))
    moved = geometric_median(ArrayRows(1e-6 * X))
    np.testing.assert_allclose(moved, 1e-6 * median, rtol=1e-5)
    moved = geometric_median(ArrayRows(X + np.float32(4096)))
    np.testing.assert_allclose(moved, 4096 + median, atol=1e-3)


def test_max_iter_bounds_the_passes():
    X = np.random.default_rng(0).gamma(0.5, size=(200, 2)).astype(np.float32)
    passes = []

    def blocks():
        passes.append(1)
        return iter([X])

    geometric_median(BlockRows(blocks), tol=0.0, max_iter=7)
    # Counting, the mean, the first look, and the steps.
    assert len(passes) == 3 + 7


def test_memory_is_that_of_a_block(monkeypatch):
    monkeypatch.setattr(_centre, "BLOCK_NUMBERS", 2**15)
    X = np.random.default_rng(0).normal(size=(50_000, 32)).astype(np.float32)
    tracemalloc.start()
    try:
        geometric_median(ArrayRows(X))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # 6.4 MB of rows; a block is 256 kB in float64.
    assert peak < 1_000_000


@pytest.mark.parametrize("function", [moments, geometric_median])
def test_one_of_many_blocks_is_in_memory(monkeypatch, function):
    monkeypatch.setattr(_centre, "BLOCK_NUMBERS", 2**15)
    rows = BlockRows(lambda: (np.ones((10_000, 100), "f4") for _ in range(5)))
    tracemalloc.start()
    try:
        function(rows)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert 4_000_000 < peak < 1.5 * 4_000_000
