"""Attributes of the rows a neuron fires for, against scipy one pair at a time."""

from types import SimpleNamespace

import numpy as np
import pytest
from scipy.sparse import csr_array
from scipy.stats import false_discovery_control, hypergeom

from skpopsteer.neurons._enriched_attributes import (
    enriched_attributes,
    hypergeometric_tail,
)

NAMES = np.array(["a", "b", "c", "d", "e"])


class Shown(SimpleNamespace):
    """Rows, each with the item it shows, and what is known of the items."""

    def __len__(self):
        return len(self.items)


def shown_of(features, items=None):
    features = np.asarray(features, dtype=float)
    items = np.arange(len(features)) if items is None else items
    names = NAMES[: features.shape[1]]
    return Shown(items=items, item_features=csr_array(features), feature_names=names)


def one_by_one(Z, shown, neurons, fdr):
    """Every pair by itself, as the rule has it."""
    attributes = shown.item_features.toarray()[shown.items] > 0
    fires, n_rows = Z[:, neurons] > 0, len(Z)
    p_values, more = {}, {}
    for i in range(len(neurons)):
        for j in range(attributes.shape[1]):
            n_active, n_with = fires[:, i].sum(), attributes[:, j].sum()
            if not n_active or not n_with:
                continue
            both = (fires[:, i] & attributes[:, j]).sum()
            # As published: only what is more frequent than expected is of interest.
            lift = both * n_rows / (n_active * n_with)
            more[i, j] = lift
            tail = hypergeom.sf(both - 1, n_rows, n_with, n_active)
            p_values[i, j] = tail if lift > 1 else 1.0
    adjusted = false_discovery_control(list(p_values.values()))
    kept = [pair for pair, p in zip(p_values, adjusted, strict=True) if p <= fdr]
    kept = [pair for pair in kept if more[pair] > 1]
    kept.sort(key=lambda pair: (pair[0], p_values[pair], -more[pair], pair[1]))
    return [
        tuple(str(NAMES[j]) for i, j in kept if i == one) for one in range(len(neurons))
    ]


@pytest.mark.parametrize("fdr", [0.05, 0.5, 0.99])
@pytest.mark.parametrize("seed", range(4))
def test_they_are_those_of_every_pair_by_itself(seed, fdr):
    rng = np.random.default_rng(seed)
    features = rng.random((30, 5)) < [0.5, 0.2, 0.2, 0.0, 0.9]
    items = rng.integers(0, 30, 80)
    Z = np.maximum(rng.normal(size=(80, 7)), 0) + features[items] @ rng.normal(
        size=(5, 7)
    ).clip(0)
    Z *= rng.random(Z.shape) < 0.4
    Z[:, 4] = 0
    neurons = np.array([5, 4, 0, 2, 6])
    shown = shown_of(features, items)
    found = enriched_attributes(csr_array(Z), shown, neurons, fdr)
    assert found.tolist() == one_by_one(Z, shown, neurons, fdr)
    assert found.dtype == object


def test_of_equal_p_values_the_rarer_attribute_comes_first():
    # Both have p = 1/3: b has one row, which fires, and a all that fire and more.
    features = [[1, 1], [1, 0], [0, 0]]
    Z = csr_array([[1.0], [0], [0]])
    p = hypergeometric_tail([1.0, 1.0], 3, [2, 1], [1, 1])
    np.testing.assert_allclose(p, [2 / 3, 1 / 3])
    assert enriched_attributes(Z, shown_of(features), [0], 0.9).tolist() == [("b", "a")]
    # The p-values of an attribute and of its double are equal: the first comes first.
    twice = [[0, 1, 1], [1, 0, 0], [1, 0, 0]]
    assert enriched_attributes(Z, shown_of(twice), [0], 0.9).tolist() == [("b", "c")]


def test_without_attributes_there_are_none():
    found = enriched_attributes(None, Shown(items=[], item_features=None), [3, 1], 0.1)
    assert found.tolist() == [(), ()]
    silent = enriched_attributes(csr_array((3, 2)), shown_of(np.eye(3)), [0, 1], 0.1)
    assert silent.tolist() == [(), ()]


@pytest.mark.parametrize("seed", range(5))
def test_the_tail_is_scipys(seed):
    rng = np.random.default_rng(seed)
    N = int(rng.integers(20, 5_000))
    K, n = rng.integers(1, N, size=(2, 50))
    # From the expected number on, which is where it is asked for.
    k = rng.integers(np.ceil(K * n / N).astype(int), np.minimum(K, n) + 1)
    expected = hypergeom.sf(k - 1, N, K, n)
    found = hypergeometric_tail(k, N, K, n)
    np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-300)
    assert (found <= 1).all()
