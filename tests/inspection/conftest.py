"""Axes that leave nothing behind, and recommenders to look at."""

import sys

import matplotlib as mpl
import matplotlib.pyplot as plt
import pytest
from matplotlib.figure import Figure

from skpopsteer import (
    PopularityPenaltyReranker,
    SparseAutoencoderProbe,
    SteeredRecommender,
)


@pytest.fixture
def ax():
    """Axes of a figure that pyplot does not know."""
    return Figure().subplots()


@pytest.fixture
def opened():
    """Count the figures pyplot has opened since; close them in the end."""
    assert not plt.get_fignums()
    # Choosing a backend is pyplot's first act, not that of a display.
    plt.switch_backend("agg")
    before = dict(mpl.rcParams)
    yield lambda: len(plt.get_fignums())
    plt.close("all")
    assert dict(mpl.rcParams) == before


@pytest.fixture
def no_matplotlib(monkeypatch):
    """Pretend that matplotlib is not installed."""
    for name in [n for n in sys.modules if n.partition(".")[0] == "matplotlib"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)


@pytest.fixture(scope="module")
def steered(host, split):
    """A fitted steered recommender."""
    probe = SparseAutoencoderProbe(32, k=4, max_iter=3, random_state=0)
    return SteeredRecommender(host, rule="shift", probe=probe, random_state=0).fit(
        split[0]
    )


@pytest.fixture(scope="module")
def penalty(host, split):
    """A fitted penalty."""
    return PopularityPenaltyReranker(host).fit(split[0])
