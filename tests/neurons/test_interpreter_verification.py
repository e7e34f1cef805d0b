"""Figures of the verification, chance, and enriched attributes."""

import itertools

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csc_array, csr_array
from scipy.stats import false_discovery_control, hypergeom
from sklearn.metrics import roc_auc_score

from skpopsteer.neurons._cases import ShownItems
from skpopsteer.neurons._descriptions import as_levels
from skpopsteer.neurons._enriched_attributes import (
    enriched_attributes,
    hypergeometric_tail,
)
from skpopsteer.neurons._verification import chance_of_passing, judge, verify


def test_figures_by_hand():
    active = np.array([[9.0, 6.0, 5.0, 0.0, 7.0]])
    inactive = np.array([[0.0, 5.0, 5.1, 1.0, 2.0]])
    figures = judge(active, inactive)
    # Above 5 is active: level 5 itself is not.
    assert figures.recall == [0.6]
    assert figures.specificity == [0.8]
    assert figures.confidence == pytest.approx([0.7])
    labels = np.repeat([1, 0], 5)
    auc = roc_auc_score(labels, np.concatenate([active[0], inactive[0]]))
    assert figures.auc == pytest.approx([auc])


@pytest.mark.parametrize("level", [0.0, 5.0, 10.0])
def test_a_constant_answer_has_a_confidence_and_an_auc_of_one_half(level):
    levels = np.full((3, 5), level)
    figures = judge(levels, levels)
    assert_array_equal(figures.confidence, 0.5)
    assert_array_equal(figures.auc, 0.5)


def test_missing_predictions_are_neither_right_nor_wrong():
    active = np.array([[9.0, np.nan, 1.0], [np.nan] * 3, [8.0, 8.0, 8.0]])
    inactive = np.array([[np.nan, np.nan, 2.0], [0.0] * 3, [np.nan] * 3])
    figures = judge(active, inactive)
    assert_array_equal(figures.recall, [0.5, np.nan, 1.0])
    assert_array_equal(figures.specificity, [1.0, 1.0, np.nan])
    assert_array_equal(figures.confidence, [0.75, np.nan, np.nan])
    assert_array_equal(figures.auc, [0.5, np.nan, np.nan])


def test_chance_is_that_of_all_tosses():
    def count(n_active, n_inactive, threshold):
        passed = [
            (sum(a) / n_active + sum(b) / n_inactive) / 2 >= threshold - 1e-9
            for a in itertools.product([0, 1], repeat=n_active)
            for b in itertools.product([0, 1], repeat=n_inactive)
        ]
        return np.mean(passed)

    for sides in [(5, 5), (3, 4), (1, 1)]:
        for threshold in [0.0, 0.5, 0.8, 1.0]:
            expected = count(*sides, threshold)
            assert chance_of_passing(*sides, threshold) == pytest.approx(expected)


def test_chance_of_five_and_five_cases_is_the_known_figure():
    assert chance_of_passing(5, 5, 0.8) == pytest.approx(0.0547, abs=5e-5)
    assert chance_of_passing(5, 5, 0.9) == pytest.approx(0.0107, abs=5e-5)
    assert chance_of_passing(5, 5, 1.0) == pytest.approx(0.0010, abs=5e-5)


def test_verify_counts_over_verified_neurons_only():
    levels = np.array(
        [[9.0, 9, 0, 0], [9, 9, 9, 9], [np.nan] * 4, [9, np.nan, np.nan, 0]]
    )
    nulls = np.full((2, 4, 4), np.nan)
    nulls[0, 0], nulls[1, 0] = [9, 9, 0, 0], [0, 0, 9, 9]
    verdict = verify(levels, nulls, 2, 0.8)
    assert verdict.verified.tolist() == [True, True, False, True]
    assert verdict.interpretable.tolist() == [True, False, False, True]
    assert verdict.share == pytest.approx(2 / 3)
    assert_array_equal(verdict.figures["null_confidence"], [0.5] + [np.nan] * 3)
    assert verdict.null_share == 0.5
    # 1 of 16 tosses for 2 + 2 cases, 1 of 4 where one prediction a side is left.
    assert_allclose(verdict.figures["chance"], [1 / 16, 1 / 16, np.nan, 1 / 4])
    assert verdict.chance_share == pytest.approx((1 / 16 + 1 / 16 + 1 / 4) / 3)


def test_shares_of_nothing_are_nan():
    verdict = verify(np.full((2, 4), np.nan), np.empty((0, 2, 4)), 2, 0.8)
    assert np.isnan([verdict.share, verdict.null_share, verdict.chance_share]).all()


def test_a_threshold_is_reached_despite_rounding():
    # (3/5 + 5/5) / 2 and (4/5 + 4/5) / 2 are both .8, in floating point or nearly.
    levels = np.array([[9.0] * 3 + [0] * 7, [9.0] * 4 + [0] * 5 + [9.0]])
    assert verify(levels, np.empty((0, 2, 10)), 5, 0.8).interpretable.all()


def test_levels_are_numbers_from_0_to_10_or_missing():
    answer = [3, 7.5, "8", " 10 ", None, "high", -1, 10.5, np.inf, np.nan, True, [1]]
    expected = [3, 7.5, 8, 10] + [np.nan] * 8
    assert_array_equal(as_levels(answer, 12), expected)


def test_levels_of_another_number_are_refused():
    with pytest.raises(ValueError, match=r"one level per case \(3\); got 2"):
        as_levels([1, 2], 3)


# Enrichment


def test_the_tail_is_that_of_scipy():
    rng = np.random.default_rng(0)
    n_rows, size = 4000, 3000
    n_with, n_active = rng.integers(1, n_rows, (2, size))
    least = n_with * n_active / n_rows
    most = np.minimum(n_with, n_active)
    n_both = np.floor(least + rng.random(size) ** 3 * (most - least)).astype(int) + 1
    n_both = np.minimum(n_both, most)
    more = n_both > least
    n_both, n_with, n_active = n_both[more], n_with[more], n_active[more]
    expected = hypergeom.sf(n_both - 1, n_rows, n_with, n_active)
    assert (expected > 0.1).any()
    assert (expected < 1e-100).any()
    tail = hypergeometric_tail(n_both, n_rows, n_with, n_active)
    assert_allclose(tail, expected, rtol=1e-8, atol=1e-300)


def brute_force(Z, features, names, fdr):
    p_values = np.ones((Z.shape[1], features.shape[1]))
    lift = np.zeros_like(p_values)
    for j, a in np.ndindex(p_values.shape):
        active, has = Z[:, j] > 0, features[:, a] > 0
        both = (active & has).sum()
        lift[j, a] = both / max(1, active.sum() * has.mean())
        if lift[j, a] > 1:
            p_values[j, a] = hypergeom.sf(both - 1, len(Z), has.sum(), active.sum())
    tested = (Z > 0).any(axis=0)[:, None] & (features > 0).any(axis=0)
    kept = np.zeros_like(tested)
    kept[tested] = false_discovery_control(p_values[tested]) <= fdr
    return [
        tuple(names[a] for a in np.lexsort((-lift[j], p_values[j])) if kept[j, a])
        for j in range(len(p_values))
    ]


@pytest.mark.parametrize("fdr", [0.01, 0.3, 0.8])
def test_enriched_attributes_are_those_of_scipy_one_by_one(fdr):
    rng = np.random.default_rng(3)
    items = rng.integers(80, size=600)
    features = (rng.random((80, 12)) < 0.2).astype(float)
    features[:, 11] = 0
    Z = rng.random((600, 9)) * (rng.random((600, 9)) < 0.1)
    Z[:, 2:8] += features[items, 4:10] * (rng.random((600, 6)) < 0.08)
    Z[:, 0] += features[items, 3] * (rng.random(600) < 0.3)
    Z[:, 1] += features[items, 5] * (rng.random(600) < 0.1)
    Z[:, 8] = 0
    names = np.array([f"a{i}" for i in range(12)], dtype=object)
    shown = ShownItems(np.arange(600), items, csr_array(features), names)
    found = enriched_attributes(csc_array(Z), shown, np.arange(9), fdr)
    assert found.tolist() == brute_force(Z, features[items], names, fdr)
    assert found[0][0] == "a3"
    assert found[8] == ()


def test_where_probabilities_vanish_the_more_frequent_attribute_is_first():
    # Too unlikely for floating point, both of them; the second has fewer other rows.
    rows = np.arange(6000)
    features = np.column_stack([rows < 2100, rows < 2000]).astype(float)
    shown = ShownItems(rows, rows, csr_array(features), np.array(["a", "b"], object))
    Z = csc_array((rows < 2000).astype(float)[:, np.newaxis])
    assert hypergeometric_tail([2000], 6000, [2100], [2000]) == 0
    found = enriched_attributes(Z, shown, np.arange(1), 0.05)
    assert found.tolist() == [("b", "a")]


def test_only_the_neurons_asked_for_are_tested():
    items = np.arange(200) % 50
    features = csr_array(np.eye(2)[np.arange(50) % 2])
    Z = csc_array(np.eye(2)[items % 2])
    shown = ShownItems(np.arange(200), items, features, np.array(["a", "b"], object))
    assert enriched_attributes(Z, shown, np.array([1]), 0.05).tolist() == [("b",)]


def test_without_features_nothing_is_enriched():
    shown = ShownItems(np.arange(3), np.arange(3))
    found = enriched_attributes(csc_array(np.eye(3)), shown, np.arange(3), 0.05)
    assert found.tolist() == [(), (), ()]


def test_noise_has_hardly_any_enriched_attribute():
    rng = np.random.default_rng(0)
    items = rng.integers(500, size=4000)
    features = csr_array((rng.random((500, 20)) < 0.15).astype(float))
    names = np.arange(20).astype(str).astype(object)
    Z = csc_array((rng.random((4000, 300)) < 0.02).astype(float))
    shown = ShownItems(np.arange(4000), items, features, names)
    found = enriched_attributes(Z, shown, np.arange(300), 0.05)
    assert sum(map(bool, found)) <= 5
