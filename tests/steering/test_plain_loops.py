"""Compiled loops and the Python they are written in do the same."""

import numpy as np
import pytest

from skpopsteer._pool import Pool
from skpopsteer.steering import _slot_programme
from skpopsteer.steering._slot_prices import Exposure, make_market


@pytest.fixture
def as_written(monkeypatch):
    """Call to run the loops uncompiled from then on."""

    def uncompile():
        for name, value in list(vars(_slot_programme).items()):
            if hasattr(value, "py_func"):
                monkeypatch.setattr(_slot_programme, name, value.py_func)

    return uncompile


def market_of(seed, n_kept):
    """20 users with pools of 0 to 9 items of 15, and lists of 4."""
    rng = np.random.default_rng(seed)
    items = np.array([rng.permutation(15)[:9] for _ in range(20)])
    items[np.arange(9) >= rng.integers(0, 10, 20)[:, None]] = -1
    scores = np.where(items < 0, -np.inf, -np.sort(-rng.random((20, 9))))
    relevance = rng.random((20, 9)) * (items >= 0)
    return make_market(Pool(items, scores, None), relevance, np.ones(20), n_kept, 4)


def worked_out(market, prices):
    exposure = Exposure(0.1, 0.3, (np.arange(15) > 6).astype(float), 2, 4, 0.5)
    places, counts = market.allocate(exposure, np.random.default_rng(0), 3)
    steps = [_slot_programme.exposure_step(float(n), 2, 0.5) for n in range(9)]
    return (
        places, counts, market.at_prices(prices), np.array(steps),
        np.array(market.value(places, counts, exposure)),
    )  # fmt: skip


@pytest.mark.parametrize("n_kept", [0, 1, 3])
@pytest.mark.parametrize("seed", range(3))
def test_lists_counts_and_values_are_the_same(as_written, seed, n_kept):
    market = market_of(seed, n_kept)
    prices = np.random.default_rng(seed).random(15) * 0.3
    compiled = worked_out(market, prices)
    as_written()
    for fast, plain in zip(compiled, worked_out(market, prices), strict=True):
        np.testing.assert_allclose(fast, plain, rtol=1e-12)
