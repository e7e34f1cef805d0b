"""The programme against brute force, and the objective that never falls."""

import itertools
import subprocess
import sys

import numpy as np
import pytest

from skpopsteer._pool import Pool
from skpopsteer.steering._slot_prices import Exposure, fit_prices, make_market
from skpopsteer.steering._slot_programme import exposure_step


def random_market(seed, *, n_users=40, m=12, n_items=30, k=4, n_kept=0, short=False):
    rng = np.random.default_rng(seed)
    items = np.array([rng.permutation(n_items)[:m] for _ in range(n_users)])
    if short:
        items[np.arange(m) >= rng.integers(0, m + 1, n_users)[:, None]] = -1
    scores = np.where(items < 0, -np.inf, -np.sort(-rng.random((n_users, m))))
    relevance = rng.random((n_users, m)) ** 3 * (items >= 0)
    pool = Pool(items, scores, None)
    weights = rng.uniform(0.2, 1, n_users)
    return make_market(pool, relevance, weights, n_kept, k), n_items


def exposure_of(n_items, strength=0.1, tail_weight=0.0, floor=1, unit=1.0, k=4):
    tail = (np.arange(n_items) >= n_items // 2).astype(float)
    return Exposure(strength, tail_weight, tail, floor, k, unit)


@pytest.mark.parametrize("n_kept", [0, 1, 3])
def test_the_best_list_is_that_of_brute_force(n_kept):
    market, n_items = random_market(0, n_users=60, m=7, k=3, n_kept=n_kept)
    prices = np.random.default_rng(1).random(n_items) * 0.3
    places = market.at_prices(prices)
    for u, chosen in enumerate(places):
        gains, worth = market.gains[u], prices[market.items[u]]

        def value(listed, gains=gains, worth=worth):
            return sum(
                d * gains[j] + worth[j]
                for d, j in zip(market.discounts, listed, strict=True)
            )

        kept = tuple(market.kept[u])
        best = max(
            value(listed)
            for listed in itertools.permutations(range(7), 3)
            if listed[:n_kept] == kept
        )
        assert value(chosen) == pytest.approx(best, abs=1e-6)
        assert tuple(chosen[:n_kept]) == kept


@pytest.mark.parametrize("n_kept", [0, 2])
@pytest.mark.parametrize("levels", [1, 3, 50])
def test_candidates_that_are_not_tried_would_not_have_been_taken(n_kept, levels):
    market, n_items = random_market(7, m=25, k=4, n_kept=n_kept, short=True)
    rng = np.random.default_rng(2)
    # Few prices: many candidates cost the same, as items that nobody lists do.
    prices = rng.random(levels)[rng.integers(0, levels, n_items)] * 0.2
    places = market.at_prices(prices)
    for u, chosen in enumerate(places):
        listed = plain_best_list(
            market.items[u], market.gains[u], prices, market.discounts,
            [place for place in market.kept[u] if place >= 0],
        )  # fmt: skip
        assert chosen[chosen >= 0].tolist() == listed


def plain_best_list(items, gains, prices, discounts, kept):
    """Take candidates in order, every one of them, into a table of best lists."""
    lists = {len(kept): (0.0, list(kept))}
    for j, item in enumerate(items):
        if item < 0 or j in kept:
            continue
        for slot in range(len(discounts), len(kept), -1):
            if slot - 1 in lists:
                value, listed = lists[slot - 1]
                value = value + discounts[slot - 1] * gains[j] + prices[item]
                if slot not in lists or value > lists[slot][0]:
                    lists[slot] = value, [*listed, j]
    return lists[max(lists)][1]


def test_without_prices_lists_are_the_most_relevant_items_in_order():
    market, n_items = random_market(2)
    places = market.at_prices(np.zeros(n_items))
    assert np.array_equal(places, np.tile(np.arange(4), (40, 1)))


def test_a_pool_that_runs_out_leaves_padding_behind():
    market, n_items = random_market(3, short=True, n_kept=2)
    places = market.at_prices(np.full(n_items, 0.2))
    n_candidates = (market.items >= 0).sum(axis=1)
    assert np.array_equal((places >= 0).sum(axis=1), np.minimum(n_candidates, 4))
    # Padding stands at the end, and nothing is listed twice.
    assert (np.diff((places >= 0).astype(int), axis=1) <= 0).all()
    for items in market.of(places):
        held = items[items >= 0]
        assert len(set(held.tolist())) == len(held)


@pytest.mark.parametrize("tail_weight", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("floor", [1, 3])
@pytest.mark.parametrize("n_kept", [0, 2])
def test_the_objective_never_falls(tail_weight, floor, n_kept):
    market, n_items = random_market(4, n_users=200, n_kept=n_kept, short=True)
    exposure = exposure_of(n_items, 0.05, tail_weight, floor, unit=2.0)
    rng = np.random.default_rng(0)
    places, counts = market.allocate(exposure, rng, 1)
    values = [market.value(places, counts, exposure)]
    for _ in range(6):
        places, counts = market.allocate(exposure, rng, 1, places=places, counts=counts)
        values.append(market.value(places, counts, exposure))
    assert (np.diff(values) >= -1e-9).all()
    # Slots that are worth the same however many there are leave nothing to mend.
    assert (values[-1] > values[0]) == (tail_weight < 1)
    # The counts are those of the lists, whatever was added and taken back.
    np.testing.assert_array_equal(counts, market.count(places, np.zeros(n_items)))


def test_the_value_is_the_formula_of_the_objective():
    market, n_items = random_market(5)
    exposure = exposure_of(n_items, strength=0.2, tail_weight=0.3)
    places, counts = market.allocate(exposure, np.random.default_rng(0), 2)
    relevance = np.take_along_axis(market.gains, places, axis=1) @ market.discounts
    held = np.bincount(market.of(places).ravel(), minlength=n_items)
    expected = relevance.sum() + 0.2 * (
        0.7 * 4 * np.log(1 + held).sum() + 0.3 * held[n_items // 2 :].sum()
    )
    assert market.value(places, counts, exposure) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(("floor", "unit"), [(1, 1.0), (5, 1.0), (1, 3.0), (4, 0.5)])
def test_a_step_of_exposure_value_falls_and_is_level_up_to_the_floor(floor, unit):
    steps = np.array([exposure_step(float(n), floor, unit) for n in range(50)])
    assert (steps > 0).all()
    assert (np.diff(steps) <= 0).all()
    np.testing.assert_allclose(steps[:floor], steps[0])
    x = np.maximum(np.arange(50) - floor + 1, 0)
    expected = np.log((1 + unit * (x + 1)) / (1 + unit * x)) / unit
    np.testing.assert_allclose(steps, expected)


def test_prices_give_one_user_at_a_time_nearly_what_the_joint_lists_are_worth():
    market, n_items = random_market(6, n_users=600, m=30, n_items=120)
    exposures = [exposure_of(n_items, strength) for strength in (0.003, 0.01, 0.03)]
    log_prices = fit_prices(market, exposures, np.random.default_rng(0), 3)
    for exposure, log_price in zip(exposures, log_prices, strict=True):
        places, counts = market.allocate(exposure, np.random.default_rng(1), 5)
        joint = market.value(places, counts, exposure)
        alone = market.at_prices(exposure.scale * np.exp(log_price))
        counts = market.count(alone, exposure.tail)
        found = market.value(alone, counts, exposure)
        no_lists = market.at_prices(np.zeros(n_items))
        least = market.value(no_lists, market.count(no_lists, exposure.tail), exposure)
        assert found > least + 0.9 * (joint - least)


def test_a_sample_of_a_market_keeps_its_rows_together():
    market, _ = random_market(7, n_kept=1)
    part = market.sample(10, np.random.default_rng(0))
    assert len(part.items) == 10
    for items, gains, kept in zip(part.items, part.gains, part.kept, strict=True):
        (row,) = np.flatnonzero((market.items == items).all(axis=1))
        assert np.array_equal(market.gains[row], gains)
        assert np.array_equal(market.kept[row], kept)
    assert market.sample(40, np.random.default_rng(0)) is market


def test_it_compiles_where_no_folder_can_be_written_to():
    code = (
        "import numba.core.caching as c; c.CacheImpl._locator_classes = []; "
        "import numba, pytest; f = lambda: 1; "
        "pytest.raises(RuntimeError, numba.njit(cache=True), f); "
        "from skpopsteer.steering._slot_programme import exposure_step; "
        "assert abs(exposure_step(0.0, 1, 1.0) - 0.6931471805599453) < 1e-12"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
