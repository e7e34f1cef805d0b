"""The metrics give what RecBole gives, after stated conversions."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from skpopsteer.metrics import (
    average_popularity,
    coverage,
    entropy,
    gini,
    hit_rate,
    mean_average_precision,
    mrr,
    ndcg,
    precision,
    recall,
    tail_share,
)
from tests.metrics.golden_case import (
    CASE,
    CUTS,
    HELD_OUT,
    LISTS,
    N_ITEMS,
    POPULARITY,
    assert_same_values,
    stored,
)
from tests.metrics.make_golden_recbole import judged, measure

GOLDEN = stored("recbole")
#: Those whose lists are full, and who have something held out.
USERS = np.array(judged(CASE))
FULL = LISTS[USERS]
#: RecBole rounds, here to twelve digits.
DIGITS = 1e-12


def test_some_users_are_left_out():
    assert 10 < len(USERS) < len(LISTS)


@pytest.mark.parametrize("k", CUTS)
@pytest.mark.parametrize(
    ("metric", "name"),
    [
        (ndcg, "ndcg"),
        (recall, "recall"),
        (precision, "precision"),
        (hit_rate, "hit"),
        (mrr, "mrr"),
        (mean_average_precision, "map"),
    ],
)
def test_accuracy(metric, name, k):
    assert_allclose(metric(HELD_OUT[USERS], FULL, k=k), GOLDEN[k][name], atol=DIGITS)


@pytest.mark.parametrize("k", CUTS)
def test_average_popularity(k):
    value = average_popularity(FULL, POPULARITY, k=k)
    assert_allclose(value, GOLDEN[k]["averagepopularity"], atol=DIGITS)


@pytest.mark.parametrize("k", CUTS)
def test_gini_and_coverage_with_an_item_that_pads(k):
    # RecBole counts the padding item, which nobody gets, as one of the catalogue.
    value = gini(FULL, N_ITEMS + 1, k=k)
    assert_allclose(value, GOLDEN[k]["giniindex"], atol=DIGITS)
    value = coverage(FULL, N_ITEMS + 1, k=k)
    assert_allclose(value, GOLDEN[k]["itemcoverage"], atol=DIGITS)
    own = coverage(FULL, N_ITEMS, k=k) * N_ITEMS / (N_ITEMS + 1)
    assert_allclose(own, GOLDEN[k]["itemcoverage"], atol=DIGITS)


@pytest.mark.parametrize("k", CUTS)
def test_entropy(k):
    # RecBole divides by the number of distinct items that are recommended.
    n_distinct = len(np.unique(FULL[:, :k]))
    value = entropy(FULL, N_ITEMS, k=k) / n_distinct
    assert_allclose(value, GOLDEN[k]["shannonentropy"], atol=DIGITS)


@pytest.mark.parametrize("k", CUTS)
def test_tail_share(k):
    # Its tail: a tenth of the items that occur in training, the least popular.
    occur = np.flatnonzero(POPULARITY)
    order = occur[np.argsort(POPULARITY[occur], kind="stable")]
    groups = np.zeros(N_ITEMS, dtype=int)
    groups[order[: max(len(order) // 10, 1)]] = -1
    groups[order[-1]] = 1
    value = tail_share(FULL, groups, k=k)
    assert value > 0
    assert_allclose(value, GOLDEN[k]["tailpercentage"], atol=DIGITS)


@pytest.mark.filterwarnings("ignore")
def test_the_stored_values_are_those_of_the_library():
    pytest.importorskip("recbole")
    assert_same_values(measure(CASE), GOLDEN)
