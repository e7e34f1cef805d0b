"""The sparse products are the dense ones, and the fast selection is a sort."""

import numpy as np
import pytest
import torch

from skpopsteer.sae._codes import (
    DenseCodes,
    SparseCodes,
    kept_above,
    largest,
    largest_of_batch,
)


def values_of(P, found):
    values, columns = found
    np.testing.assert_array_equal(values, np.take_along_axis(P, columns, axis=1))
    return np.sort(values, axis=1)


@pytest.mark.parametrize("n_columns", [8, 100, 256, 1000, 2048])
@pytest.mark.parametrize("k", [1, 4, 8])
def test_the_largest_of_every_row_are_those_of_a_sort(n_columns, k):
    P = np.random.default_rng(0).normal(size=(37, n_columns)).astype(np.float32)
    before = P.copy()
    values, columns = largest(P, k)
    assert columns.shape == (37, k)
    assert all(len(set(row)) == k for row in columns.tolist())
    found = values_of(P, (values, columns))
    np.testing.assert_array_equal(found, np.sort(P, axis=1)[:, -k:])
    np.testing.assert_array_equal(P, before)


def test_equal_values_and_nan_take_the_slow_way_and_are_right():
    rng = np.random.default_rng(0)
    tied = np.round(rng.normal(size=(50, 256)), 1).astype(np.float32)
    some = rng.normal(size=(50, 256)).astype(np.float32)
    # As many in all as asked for, but three in one row and one in another.
    some[0, :2], some[1, 3:5] = 9.0, some[1].max()
    for P in (tied, some, np.zeros((4, 256), np.float32)):
        for k in (2, 8):
            found = values_of(P, largest(P, k))
            np.testing.assert_array_equal(found, np.sort(P, axis=1)[:, -k:])
    some[7, 9] = np.nan
    assert np.isnan(values_of(some, largest(some, 2))[7]).any()


def test_rows_of_a_transposed_array_are_rows():
    P = np.random.default_rng(0).normal(size=(64, 30)).astype(np.float32).T
    np.testing.assert_array_equal(values_of(P, largest(P, 3)), np.sort(P, 1)[:, -3:])


def test_the_largest_of_a_batch():
    P = np.random.default_rng(0).normal(size=(20, 30)).astype(np.float32)
    assert largest_of_batch(P, 45) == np.sort(P.ravel())[-45]


@pytest.fixture(params=["even", "ragged", "dense"])
def codes(request):
    generator = torch.Generator().manual_seed(0)
    pre = torch.randn(9, 12, generator=generator)
    if request.param == "dense":
        return DenseCodes(pre.relu()), pre.relu()
    if request.param == "ragged":
        codes = kept_above(pre, 0.7)
        return codes, torch.where(pre > 0.7, pre, 0.0)
    values, neurons = pre.relu().topk(3, dim=1)
    codes = SparseCodes(values.view(-1), neurons.view(-1), torch.arange(0, 28, 3))
    return codes, torch.zeros(9, 12).scatter(1, neurons, values)


def test_products_are_the_dense_ones(codes):
    codes, Z = codes
    generator = torch.Generator().manual_seed(1)
    decoder, rows = torch.randn(12, 5, generator=generator), torch.randn(9, 5)
    torch.testing.assert_close(codes.decode(decoder), Z @ decoder)
    torch.testing.assert_close(codes.accumulate(codes.values, rows, 12), Z.T @ rows)
    torch.testing.assert_close(codes.sum_per_neuron(codes.values, 12), Z.sum(0))
    assert codes.fired(12).tolist() == (Z > 0).any(0).tolist()
    by_value = codes.products(rows, decoder)
    spread = codes.accumulate(by_value * codes.values, torch.ones(9, 1), 12)
    torch.testing.assert_close(spread[:, 0], ((rows @ decoder.T) * Z).sum(0))


def test_a_part_holds_the_neurons_between_two_sizes(codes):
    codes, Z = codes
    decoder = torch.randn(12, 5)
    for low, high in [(0, 4), (4, 9), (9, 12)]:
        part = codes.part(low, high)
        inside = torch.zeros_like(Z)
        inside[:, low:high] = Z[:, low:high]
        torch.testing.assert_close(part.decode(decoder), inside @ decoder)
        torch.testing.assert_close(
            part.accumulate(part.values, torch.ones(9, 1), 12)[:, 0], inside.sum(0)
        )
        torch.testing.assert_close(part.sum_per_neuron(part.values, 12), inside.sum(0))
