"""The metrics give what LensKit gives, after stated conversions."""

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.sparse import csr_array
from scipy.stats import rankdata

from skpopsteer.metrics import (
    average_popularity,
    gini,
    hit_rate,
    mean_average_precision,
    mrr,
    ndcg,
    precision,
    recall,
)

GOLDEN = json.loads(Path(__file__).with_name("golden_lenskit.json").read_text())
LISTS = np.array(GOLDEN["recommendations"])
LENGTHS = (LISTS >= 0).sum(axis=1)


def to_csr(rows):
    users = np.repeat(np.arange(len(rows)), [len(row) for row in rows])
    items = np.concatenate([np.array(row, dtype=int) for row in rows])
    shape = (len(rows), GOLDEN["n_items"])
    return csr_array((np.ones(len(items)), (users, items)), shape=shape)


HELD_OUT = to_csr(GOLDEN["held_out"])
N_HELD_OUT = np.maximum(np.diff(HELD_OUT.indptr), 1)


def golden(name, k):
    return np.array(GOLDEN["values"][str(k)][name], dtype=float)


CONVERSIONS = {
    (ndcg, "ndcg"): lambda values, k: values,
    (hit_rate, "hit"): lambda values, k: values,
    (mrr, "reciprocal_rank"): lambda values, k: values,
    # LensKit divides by min(k, number held out), we by the number held out.
    (recall, "recall"): lambda values, k: (
        values * np.minimum(k, N_HELD_OUT) / N_HELD_OUT
    ),
    # LensKit divides by the length of the list, we by k.
    (precision, "precision"): lambda values, k: values * np.minimum(k, LENGTHS) / k,
    # LensKit divides by min(length of the list, number held out), we by min(k, ...).
    (mean_average_precision, "average_precision"): lambda values, k: (
        values
        * np.minimum(np.minimum(k, LENGTHS), N_HELD_OUT)
        / np.minimum(k, N_HELD_OUT)
    ),
}


@pytest.mark.parametrize("k", [1, 4, 6])
@pytest.mark.parametrize(("metric", "name"), CONVERSIONS)
def test_accuracy(metric, name, k):
    expected = CONVERSIONS[metric, name](golden(name, k), k)
    assert np.isnan(expected).any()
    assert len(np.unique(expected)) > 2
    values = metric(HELD_OUT, LISTS, k=k, per_user=True)
    assert_allclose(values, expected, rtol=1e-12)
    assert_allclose(metric(HELD_OUT, LISTS, k=k), np.nanmean(expected), rtol=1e-12)


@pytest.mark.parametrize("k", [1, 4, 6])
def test_gini(k):
    expected = GOLDEN["values"][str(k)]["gini"]
    assert_allclose(gini(LISTS, GOLDEN["n_items"], k=k), expected, rtol=1e-6)


@pytest.mark.parametrize("k", [1, 4, 6])
def test_mean_popularity_rank(k):
    counts = np.bincount(to_csr(GOLDEN["seen"]).indices, minlength=GOLDEN["n_items"])
    # LensKit averages quantiles of the popularity rank among items with interactions.
    known = counts > 0
    quantiles = np.zeros(len(counts))
    quantiles[known] = rankdata(counts[known]) / known.sum()
    values = average_popularity(LISTS, quantiles, k=k, per_user=True)
    assert_allclose(values, golden("mean_popularity_rank", k), rtol=1e-12)
