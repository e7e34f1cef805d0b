"""Compiled loops and the Python they are written in do the same."""

import numpy as np
import pytest

from skpopsteer.rerankers import (
    MaxMinExposureReranker,
    MMRReranker,
    _marginal_lists,
    _provider_prices,
)
from tests.rerankers.plain_lists import IDS, random_case


@pytest.fixture
def as_written(monkeypatch):
    """Call to run the loops uncompiled from then on."""

    def uncompile():
        for module in (_marginal_lists, _provider_prices):
            for name, value in list(vars(module).items()):
                if hasattr(value, "py_func"):
                    monkeypatch.setattr(module, name, value.py_func)

    return uncompile


def lists_of(X, host):
    shared = {"pool_size": 11, "n_recommendations": 6}
    for similarity in ("popularity", "embedding"):
        model = MMRReranker(host, strength=0.7, similarity=similarity, **shared)
        yield model.fit(X, user_ids=IDS).recommend(X, user_ids=IDS)
    for capped, providers, keep_top in [(False, "items", 0), (True, "groups", 2)]:
        model = MaxMinExposureReranker(
            host, strength=2.0, providers=providers, capped=capped, batch_size=3,
            keep_top=keep_top, random_state=0, **shared,
        ).fit(X, user_ids=IDS)  # fmt: skip
        yield model.recommend(X, user_ids=IDS)
        yield model.allocate(X, user_ids=IDS)


@pytest.mark.parametrize("seed", range(3))
def test_lists_are_the_same(as_written, seed):
    X, host = random_case(seed)
    compiled = list(lists_of(X, host))
    as_written()
    for fast, plain in zip(compiled, lists_of(X, host), strict=True):
        np.testing.assert_array_equal(fast, plain)


@pytest.mark.parametrize("seed", range(20))
def test_prices_are_the_same(as_written, seed):
    rng = np.random.default_rng(seed)
    shares, prices = rng.uniform(0.1, 0.5, 6), rng.normal(scale=3, size=6)
    compiled, plain = prices.copy(), prices.copy()
    _provider_prices.bound_subsidies(compiled, shares)
    as_written()
    _provider_prices.bound_subsidies(plain, shares)
    np.testing.assert_allclose(compiled, plain, rtol=1e-12)
