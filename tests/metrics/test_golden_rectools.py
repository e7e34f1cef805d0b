"""The metrics give what RecTools gives, after stated conversions."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from skpopsteer.metrics import (
    average_popularity,
    coverage,
    hit_rate,
    mean_average_precision,
    mrr,
    ndcg,
    novelty,
    precision,
    recall,
)
from tests.metrics.golden_case import (
    CASE,
    CUTS,
    HELD_OUT,
    LISTS,
    N_ITEMS,
    POPULARITY,
    SEEN,
    assert_same_values,
    stored,
)
from tests.metrics.make_golden_rectools import measure

GOLDEN = stored("rectools")
N_HELD_OUT = np.maximum(np.diff(HELD_OUT.indptr), 1)


def ideal(n_hits):
    """Return the gain of a list that begins with so many hits."""
    return np.cumsum(1 / np.log2(np.arange(2, 30)))[n_hits - 1]


CONVERSIONS = {
    "ndcg_achievable": (ndcg, lambda values, k: values),
    # RecTools divides by the gain of k hits, however few items were held out.
    "ndcg": (
        ndcg,
        lambda values, k: values * ideal(k) / ideal(np.minimum(k, N_HELD_OUT)),
    ),
    "recall": (recall, lambda values, k: values),
    "precision": (precision, lambda values, k: values),
    "hit_rate": (hit_rate, lambda values, k: values),
    "mrr": (mrr, lambda values, k: values),
    # By the number held out, or by k; here by the lesser of the two.
    "map": (
        mean_average_precision,
        lambda values, k: values * N_HELD_OUT / np.minimum(k, N_HELD_OUT),
    ),
    "map_by_k": (
        mean_average_precision,
        lambda values, k: values * k / np.minimum(k, N_HELD_OUT),
    ),
}


@pytest.mark.parametrize("k", CUTS)
@pytest.mark.parametrize("name", CONVERSIONS)
def test_accuracy(name, k):
    metric, convert = CONVERSIONS[name]
    expected = convert(np.array(GOLDEN[k][name], dtype=float), k)
    assert np.isnan(expected).any()
    assert len(np.unique(expected[~np.isnan(expected)])) > 1
    values = metric(HELD_OUT, LISTS, k=k, per_user=True)
    assert_allclose(values, expected, rtol=1e-12)
    assert_allclose(metric(HELD_OUT, LISTS, k=k), np.nanmean(expected), rtol=1e-12)


@pytest.mark.parametrize("k", CUTS)
def test_popularity_and_novelty(k):
    values = average_popularity(LISTS, POPULARITY, k=k, per_user=True)
    assert_allclose(values, GOLDEN[k]["average_popularity"], rtol=1e-12)
    values = novelty(LISTS, POPULARITY, SEEN.shape[0], k=k, per_user=True)
    assert_allclose(values, GOLDEN[k]["novelty"], rtol=1e-12)


@pytest.mark.parametrize("k", CUTS)
def test_coverage(k):
    expected = GOLDEN[k]["coverage"]
    assert_allclose(coverage(LISTS, N_ITEMS, k=k), expected, rtol=1e-12)


@pytest.mark.filterwarnings("ignore")
def test_the_stored_values_are_those_of_the_library():
    pytest.importorskip("rectools")
    assert_same_values(measure(CASE), GOLDEN)
