"""Activations that were kept, and the three products a training step needs of them.

One dense product, the encoder's, makes the pre-activations; everything here touches
only what is kept of them. On a CPU the selection is numpy's (its partition uses the
vector units, torch's does not), and sums over rows are scipy's sparse products.
"""

import warnings
from functools import cache

import numpy as np
import torch
from scipy.sparse import csr_array
from torch.nn import functional

__all__ = [
    "DenseCodes",
    "SparseCodes",
    "kept_above",
    "largest",
    "largest_of_batch",
    "on_cpu",
]


def on_cpu(values):
    """Tell whether numpy and scipy can work on a tensor where it is."""
    return values.device.type == "cpu"


class SparseCodes:
    """A few activations a row.

    Parameters
    ----------
    values : tensor of shape (n_kept,)
        Activations, not negative.
    neurons : tensor of shape (n_kept,), dtype int64
        Where they stand.
    offsets : tensor of shape (n_rows + 1,), dtype int64
        Where the rows begin.
    """

    def __init__(self, values, neurons, offsets):
        self.values, self.neurons, self.offsets = values, neurons, offsets

    def decode(self, decoder):
        """Sum the decoder rows, weighted by the activations: (n_rows, n_features)."""
        return functional.embedding_bag(
            self.neurons, decoder, self.offsets, mode="sum",
            per_sample_weights=self.values, include_last_offset=True,
        )  # fmt: skip

    def products(self, gradient, decoder):
        """Multiply each kept neuron's direction with its row of `gradient`."""
        shape = len(gradient), len(decoder)
        _hear_of_beta()
        places = torch.sparse_csr_tensor(
            self.offsets, self.neurons, torch.zeros_like(self.values), shape,
            check_invariants=False,
        )  # fmt: skip
        return torch.sparse.sampled_addmm(places, gradient, decoder.T, beta=0).values()

    def accumulate(self, values, rows, n_neurons):
        """Sum `rows`, weighted by `values`, over all that kept a neuron."""
        if on_cpu(values):
            shape = (len(rows), n_neurons)
            parts = values.numpy(), self.neurons.numpy(), self.offsets.numpy()
            return torch.from_numpy(csr_array(parts, shape=shape).T @ rows.numpy())
        owner = torch.arange(len(rows), device=rows.device)
        owner = owner.repeat_interleave(self.offsets.diff())
        total = rows.new_zeros(n_neurons, rows.shape[1])
        return total.index_add_(0, self.neurons, values[:, None] * rows[owner])

    def sum_per_neuron(self, values, n_neurons):
        """Sum `values` over the rows: (n_neurons,)."""
        return torch.bincount(self.neurons, weights=values, minlength=n_neurons)

    def part(self, low, high):
        """Keep the neurons from `low` up to, but without, `high`."""
        inside = (self.neurons >= low) & (self.neurons < high)
        before = functional.pad(inside.cumsum(0), (1, 0))
        return SparseCodes(
            self.values[inside], self.neurons[inside], before[self.offsets]
        )

    def fired(self, n_neurons):
        """Mark the neurons with a positive activation."""
        return self.sum_per_neuron(self.values, n_neurons) > 0


@cache
def _hear_of_beta():
    """Let torch say, which it does once a process, that sparse CSR is in beta."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        one = torch.zeros(1, dtype=torch.int64)
        torch.sparse_csr_tensor(
            torch.tensor([0, 1]), one, one.float(), (1, 1), check_invariants=False
        )


class DenseCodes:
    """An activation for every neuron, zero or not: as many as a ReLU leaves.

    Parameters
    ----------
    values : tensor of shape (n_rows, n_neurons)
        Activations, not negative.
    low : int, default=0
        Number of the first neuron.
    """

    def __init__(self, values, low=0):
        self.values, self.low = values, low

    def decode(self, decoder):
        """Return the reconstruction, without bias."""
        return self.values @ self._own(decoder)

    def products(self, gradient, decoder):
        """Multiply every direction with every row of `gradient`."""
        return gradient @ self._own(decoder).T

    def accumulate(self, values, rows, n_neurons):
        """Sum `rows`, weighted by `values`, per neuron."""
        return self._spread(values.T @ rows, n_neurons)

    def sum_per_neuron(self, values, n_neurons):
        """Sum `values` over the rows."""
        return self._spread(values.sum(0), n_neurons)

    def part(self, low, high):
        """Keep the neurons from `low` up to, but without, `high`."""
        return DenseCodes(self.values[:, low - self.low : high - self.low], low)

    def fired(self, n_neurons):
        """Mark the neurons with a positive activation."""
        return self._spread((self.values > 0).any(0), n_neurons)

    def _own(self, table):
        return table[self.low : self.low + self.values.shape[1]]

    def _spread(self, own, n_neurons):
        if len(own) == n_neurons:
            return own
        whole = own.new_zeros(n_neurons, *own.shape[1:])
        whole[self.low : self.low + len(own)] = own
        return whole


def largest(P, k, on_threads=False):
    """Find the k largest values of every row.

    Parameters
    ----------
    P : ndarray of shape (n_rows, n_columns), dtype float32
        Left as it is.
    k : int
    on_threads : bool, default=False
        Let torch take part, whose threads spin for a while after each call: good beside
        other calls of torch, and bad beside products of numpy, which they slow down.

    Returns
    -------
    values : ndarray of shape (n_rows, k), dtype float32
        In no order.
    columns : ndarray of shape (n_rows, k), dtype int64
        Where they stand.

    Notes
    -----
    The k largest lie in the k groups of columns with the largest maxima. Both the
    groups and the values in them are those not below the k-th largest, which a
    partition finds without moving columns about; where several are equal to it, and for
    NaN, torch chooses.
    """
    P = np.ascontiguousarray(P)
    n_rows, n_columns = P.shape
    if k >= n_columns:
        return P, np.tile(np.arange(n_columns), (n_rows, 1))
    # About as many maxima as there are values in the groups that are chosen.
    size = 2 ** int(np.log2(np.sqrt(n_columns / k)))
    n_groups = n_columns // size
    if n_columns % size or size < 4:
        found = _not_below_kth(P, k)
        if found is None:
            return _by_torch(P, k)
        return P.reshape(-1).take(found), found % n_columns
    # Group j is the columns j, j + n_groups, ...: their maximum is one pass in order.
    slabs = P.reshape(n_rows, size, n_groups)
    maxima = _as_tensor(slabs).amax(1).numpy() if on_threads else slabs.max(axis=1)
    found = _not_below_kth(maxima, k)
    if found is None:
        return _by_torch(P, k)
    rows = np.arange(n_rows)[:, None]
    first = found + rows * (n_columns - n_groups)
    members = first[:, :, None] + n_groups * np.arange(size)
    members = members.reshape(n_rows, -1)
    values = P.reshape(-1).take(members)
    best = _not_below_kth(values, k)
    if best is None:
        return _by_torch(P, k)
    columns = members.reshape(-1).take(best)
    columns -= rows * n_columns
    return values.reshape(-1).take(best), columns


def _not_below_kth(P, k):
    """Return flat places (n_rows, k) of what reaches the k-th largest of its row."""
    n_columns = P.shape[1]
    kth = np.partition(P, n_columns - k, axis=1)[:, n_columns - k]
    places = np.flatnonzero(kth[:, None] <= P)
    # More where values are equal, fewer where one is NaN.
    if places.size != len(P) * k:
        return None
    places = places.reshape(len(P), k)
    rows = np.arange(len(P)) * n_columns
    # As many in all may still be more in one row and fewer in another.
    each = (places[:, 0] >= rows) & (places[:, -1] < rows + n_columns)
    return places if each.all() else None


def _by_torch(P, k):
    values, columns = _as_tensor(P).topk(k, dim=1)
    return values.numpy(), columns.numpy()


def largest_of_batch(P, n_kept):
    """Return the n-th largest value of a whole batch.

    Parameters
    ----------
    P : ndarray of shape (n_rows, n_columns)
    n_kept : int

    Returns
    -------
    float
    """
    flat = P.reshape(-1)
    return float(np.partition(flat, flat.size - n_kept)[flat.size - n_kept])


def kept_above(pre, threshold):
    """Keep the pre-activations above a threshold, of one number or one per neuron."""
    mask = pre > threshold
    if on_cpu(pre):
        places = torch.from_numpy(np.flatnonzero(mask.numpy()))
    else:
        places = mask.view(-1).nonzero()[:, 0]
    n_rows, n_neurons = pre.shape
    rows, neurons = places // n_neurons, places % n_neurons
    lengths = torch.bincount(rows, minlength=n_rows)
    offsets = functional.pad(lengths.cumsum(0), (1, 0))
    return SparseCodes(pre.reshape(-1)[places], neurons, offsets)


def _as_tensor(P):
    # torch warns of memory it could not write to, though nobody will.
    return torch.from_numpy(P if P.flags.writeable else P.copy())
