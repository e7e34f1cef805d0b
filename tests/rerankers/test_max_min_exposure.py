"""P-MMF against a plain reference, its projection against a solver, and its aim."""

import itertools

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.sparse import csr_array
from sklearn.base import clone

from skpopsteer.metrics import gini
from skpopsteer.rerankers import MaxMinExposureReranker
from skpopsteer.rerankers._allocate import draw_pools
from skpopsteer.rerankers._provider_prices import bound_subsidies
from tests.rerankers.plain_lists import (
    IDS,
    N_ITEMS,
    N_USERS,
    host_of,
    padded,
    plain_relevance,
    pools_of,
    random_case,
)


@pytest.mark.parametrize("seed", range(4))
def test_the_projection_is_that_of_a_solver(seed):
    rng = np.random.default_rng(seed)
    shares = rng.uniform(0.1, 0.5, size=5)
    prices = rng.normal(scale=5, size=5)
    found = prices.copy()
    bound_subsidies(found, shares)
    # As published: one bound for every set of providers.
    subsets = [s for n in range(1, 6) for s in itertools.combinations(range(5), n)]
    rows = np.array([[i in s for i in range(5)] for s in subsets]) * shares
    assert (rows @ found >= -1 - 1e-9).all()
    solved = minimize(
        lambda x: ((shares * (x - prices)) ** 2).sum(),
        np.zeros(5),
        constraints={"type": "ineq", "fun": lambda x: rows @ x + 1},
        options={"maxiter": 500, "ftol": 1e-14},
    )
    np.testing.assert_allclose(found, solved.x, atol=1e-4)


def test_prices_within_the_bound_stay():
    prices, shares = np.array([3.0, -1.0, -1.0]), np.array([0.5, 0.4, 0.6])
    bound_subsidies(prices, shares)
    assert prices.tolist() == [3.0, -1.0, -1.0]
    prices *= 2
    bound_subsidies(prices, shares)
    np.testing.assert_allclose(prices, [6, -0.75, -7 / 6])


def project(prices, shares):
    """Project by bisection of the threshold, in plain Python."""
    given = [max(-p * s, 0.0) for p, s in zip(prices, shares, strict=True)]
    if sum(given) <= 1:
        return prices
    low, high = 0.0, max(given)
    for _ in range(200):
        middle = (low + high) / 2
        if sum(max(g - middle, 0.0) for g in given) > 1:
            low = middle
        else:
            high = middle
    return [
        p if p >= 0 else -max(g - high, 0.0) / s
        for p, g, s in zip(prices, given, shares, strict=True)
    ]


def reference(pools, owners, orders, k, strength, eta, beta, capped):
    """Serve users one after the other; return the average prices and the lists."""
    offered = sorted({owners[item] for pool in pools for item, _ in pool})
    n_items = {p: sum(o == p for o in owners) for p in offered}
    total = sum(n_items.values())
    rho = [(1 + 1 / len(offered)) * n_items[p] / total for p in offered]
    mean_rho = sum(rho) / len(rho)
    position = {p: j for j, p in enumerate(offered)}
    prices, gradient = [0.0] * len(rho), [0.0] * len(rho)
    lists = [None] * len(pools)
    for order in orders:
        n_places = len(pools) * k
        left = [n_places * share for share in rho]
        paid = [0.0] * len(rho)
        for user in order:
            paid = [a + p for a, p in zip(paid, prices, strict=True)]
            pool = pools[user]
            relevance = np.float32(plain_relevance(pool))
            net = []
            for place, (item, _) in enumerate(pool):
                own = position[owners[item]]
                closed = 1e4 if capped and left[own] <= 0 else 0.0
                net.append(relevance[place] - strength * prices[own] - closed)
            lists[user] = sorted(range(len(pool)), key=lambda p: (-net[p], p))[:k]
            counts = [0] * len(rho)
            for place in lists[user]:
                counts[position[owners[pool[place][0]]]] += 1
            left = [b - c for b, c in zip(left, counts, strict=True)]
            for j, share in enumerate(rho):
                rest = max(left[j], 0.0) / n_places if capped else share
                fresh = rest - counts[j] / k
                gradient[j] = beta * gradient[j] + (1 - beta) * fresh
                prices[j] -= eta * mean_rho * gradient[j] / share**2
                if not capped:
                    prices[j] = min(prices[j], 0.0)
            prices = project(prices, rho)
    lowest = min(paid)
    by_item = [
        (paid[position[o]] if o in position else lowest) / len(pools) for o in owners
    ]
    return by_item, lists


@pytest.mark.parametrize("providers", ["items", "groups"])
@pytest.mark.parametrize("capped", [True, False])
@pytest.mark.parametrize("strength", [0.05, 0.5])
def test_allocation_and_prices_are_those_of_the_reference(providers, capped, strength):
    X, host = random_case(0)
    model = MaxMinExposureReranker(
        host, strength=strength, providers=providers, n_epochs=2, momentum=0.7,
        learning_rate=0.02, capped=capped, pool_size=9, n_recommendations=4,
        random_state=3,
    ).fit(X, user_ids=IDS)  # fmt: skip
    rng = np.random.RandomState(3)
    orders = [rng.permutation(N_USERS) for _ in range(2)]
    groups = model.item_groups_.tolist()
    owners = list(range(N_ITEMS)) if providers == "items" else groups
    pools = pools_of(host, X, 9)
    settings = (owners, orders, 4, strength, 0.02, 0.7)
    _, lists = reference(pools, *settings, capped)
    expected = [padded(pool, row, 4) for pool, row in zip(pools, lists, strict=True)]
    assert model.allocate(X, user_ids=IDS).tolist() == expected
    # Prices for single rows are learned without caps.
    prices, _ = reference(pools, *settings, False)
    np.testing.assert_allclose(model.item_prices_, prices, atol=1e-6)
    assert model.item_prices_.min() < 0
    for row, pool in zip(model.recommend(X, user_ids=IDS), pools, strict=True):
        relevance = plain_relevance(pool)
        net = [
            relevance[place] - strength * model.item_prices_[item]
            for place, (item, _) in enumerate(pool)
        ]
        places = sorted(range(len(pool)), key=lambda p: (-net[p], p))[:4]
        assert row.tolist() == padded(pool, places, 4)


def test_a_provider_alone_owns_twice_the_places():
    # As published: what belongs to n providers is 1 + 1 / n of all places.
    host = host_of([[1.0]])
    X = csr_array((1, 1))
    model = MaxMinExposureReranker(host).fit(X, user_ids=[0], item_groups=[-1])
    pool = draw_pools(model, X, np.array([0]), 1)
    owners, shares = model._providers_of(pool)
    assert owners.tolist() == [0]
    assert shares.tolist() == [2.0]


def test_lists_stand_in_the_order_of_score_less_price():
    X, host = random_case(0)
    model = MaxMinExposureReranker(host, strength=5.0, n_epochs=9, random_state=0)
    lists = model.fit(X, user_ids=IDS).recommend(X, user_ids=IDS)
    scores = host.decision_function(X, user_ids=IDS)
    own = np.take_along_axis(scores, np.maximum(lists, 0), axis=1)
    # By the host's scores alone they would descend.
    assert (np.diff(own[3:], axis=1) > 0).any()


@pytest.mark.parametrize("providers", ["items", "groups"])
def test_the_worst_off_provider_gains(providers):
    X, host = random_case(1)
    X, ids = X[3:], IDS[3:]
    model = MaxMinExposureReranker(
        host, strength=1.0, providers=providers, n_epochs=20, learning_rate=0.01,
        n_recommendations=5, random_state=0,
    ).fit(X, user_ids=ids)  # fmt: skip

    def lowest(lists):
        counts = np.bincount(lists.ravel(), minlength=N_ITEMS)
        if providers == "items":
            return counts.min()
        groups = model.item_groups_
        return min(counts[groups == g].mean() for g in np.unique(groups))

    before, alone, together = (
        lowest(lists)
        for lists in (
            host.recommend(X, 5, user_ids=ids),
            model.recommend(X, user_ids=ids),
            model.allocate(X, user_ids=ids),
        )
    )
    assert before < alone
    assert before < together


def test_caps_hold_whatever_the_strength_is():
    X, host = random_case(1)
    X, ids = X[3:], IDS[3:]
    model = MaxMinExposureReranker(
        host, strength=1e-6, capped=True, n_recommendations=4, random_state=0
    ).fit(X, user_ids=ids)
    counts = np.bincount(model.allocate(X, user_ids=ids).ravel(), minlength=N_ITEMS)
    places = (1 + 1 / N_ITEMS) * len(ids) * 4 / N_ITEMS
    assert counts.max() <= np.ceil(places)
    free = model.set_params(capped=False).allocate(X, user_ids=ids)
    assert np.array_equal(free, host.recommend(X, 4, user_ids=ids))


def test_batches_come_close_to_one_by_one():
    X, host = random_case(2)
    X, ids = csr_array(np.tile(X.toarray()[3:], (20, 1))), np.tile(IDS[3:], 20)
    one, many = (
        MaxMinExposureReranker(
            host, strength=0.5, batch_size=size, n_recommendations=5, random_state=0
        ).fit(X, user_ids=ids)
        for size in (1, 8)
    )
    scale = np.abs(one.item_prices_).max()
    assert np.abs(one.item_prices_ - many.item_prices_).max() < 0.1 * scale
    exposure = [
        gini(model.allocate(X, user_ids=ids), n_items=N_ITEMS) for model in (one, many)
    ]
    before = gini(host.recommend(X, 5, user_ids=ids), n_items=N_ITEMS)
    assert abs(exposure[0] - exposure[1]) < 0.2 * (before - exposure[0])


def test_an_item_nobody_is_offered_gets_the_best_price():
    scores = np.tile(np.arange(10.0, 0, -1), (40, 1))
    host, X = host_of(scores), csr_array((40, 10))
    model = MaxMinExposureReranker(
        host, pool_size=6, n_recommendations=2, random_state=0
    ).fit(X, user_ids=range(40))
    assert model.item_prices_[:2].max() == 0
    assert (model.item_prices_[6:] == model.item_prices_.min()).all()
    assert model.item_prices_.min() < 0


def test_the_seed_decides_and_nothing_else():
    X, host = random_case(0)
    model = MaxMinExposureReranker(host, random_state=0).fit(X, user_ids=IDS)
    again = clone(model).fit(X, user_ids=IDS)
    assert np.array_equal(model.item_prices_, again.item_prices_)
    other = clone(model).set_params(random_state=1).fit(X, user_ids=IDS)
    assert not np.array_equal(model.item_prices_, other.item_prices_)
    assert np.array_equal(
        model.allocate(X, user_ids=IDS), again.allocate(X, user_ids=IDS)
    )


def test_prices_are_learned_at_the_strength_of_fit_and_scaled():
    X, host = random_case(0)
    model = MaxMinExposureReranker(host, strength=0.5, random_state=0)
    model.fit(X, user_ids=IDS)
    same = clone(model).set_params(strength=0.0).fit(X, user_ids=IDS)
    # Learned from the host's own lists, and of use at another strength.
    own = host.recommend(X, user_ids=IDS)
    assert np.array_equal(same.recommend(X, user_ids=IDS), own)
    assert (same.recommend(X, strength=2.0, user_ids=IDS) != own).any()
    assert not np.array_equal(same.item_prices_, model.item_prices_)


@pytest.mark.parametrize(
    "params",
    [
        {"providers": "brands"},
        {"n_epochs": 0},
        {"batch_size": 0},
        {"learning_rate": 0.0},
        {"momentum": 1.0},
        {"capped": "yes"},
    ],
)
def test_parameters_that_mean_nothing_are_refused(params):
    X, host = random_case(0)
    with pytest.raises(ValueError, match=f"The '{next(iter(params))}' parameter of"):
        MaxMinExposureReranker(host, **params).fit(X)
