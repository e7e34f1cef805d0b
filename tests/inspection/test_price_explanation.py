"""Neurons that prices go with, planted and found."""

import numpy as np
import pytest
from sklearn.decomposition import TruncatedSVD
from sklearn.preprocessing import FunctionTransformer

from skpopsteer import SlotPricingRecommender, SparseAutoencoderProbe, as_recommender
from skpopsteer.datasets import make_interactions
from skpopsteer.inspection import explain_prices
from skpopsteer.model_selection import hide_interactions


@pytest.fixture(scope="module")
def model():
    X, y = hide_interactions(
        make_interactions(400, 150, random_state=0).X, random_state=0
    )
    host = as_recommender(TruncatedSVD(8, random_state=0).fit(X))
    return SlotPricingRecommender(
        host, pool_size=60, strength=0.01, random_state=0
    ).fit(X, y)


def planted(values):
    """Return a probe whose codes are given."""
    return FunctionTransformer(lambda V: values)


def test_a_planted_neuron_is_found_with_its_slope(model):
    log_price = np.log(model.prices_)
    rng = np.random.default_rng(0)
    codes = np.abs(rng.normal(size=(150, 6)))
    codes[:, 2] = log_price.max() - log_price
    found = explain_prices(model, planted(codes))
    assert found.r2 > 0.99
    assert np.argmin(found.coefficients) == 2
    # One deviation of the neuron is one deviation of the log price.
    assert found.coefficients[2] == pytest.approx(-log_price.std(), rel=0.02)
    cheapest = np.argsort(log_price, kind="stable")[:3]
    assert found.examples[2] == [str(i) for i in cheapest]


def test_noise_explains_nothing(model):
    codes = np.abs(np.random.default_rng(0).normal(size=(150, 100)))
    found = explain_prices(model, planted(codes))
    assert found.r2 < 0.1
    assert "explain 0 %" in str(found) or found.r2 > 0.005


def test_neurons_of_the_items_explain_part_of_the_prices(model):
    V = model.recommender_.item_embeddings_
    probe = SparseAutoencoderProbe(
        64, k=6, max_iter=40, random_state=0, sparse_output=True
    ).fit(V)
    found = explain_prices(model, probe, item_names=[f"film {i}" for i in range(150)])
    assert found.r2 > 0.3
    text = str(found)
    assert "film " in text
    assert "At strength 0.01 the codes of" in text
    assert max(map(len, text.splitlines())) < 90
    silent = probe.transform(V).toarray().max(axis=0) == 0
    assert not found.coefficients[silent].any()


def test_what_has_no_prices_is_refused(model):
    probe = FunctionTransformer()
    with pytest.raises(TypeError, match="`model` must be a fitted SlotPricing"):
        explain_prices(model.recommender_, probe)
    free = SlotPricingRecommender(model.recommender_, pool_size=60, strength=0.0)
    X = np.zeros((5, 150))
    X[:, 3] = 1
    with pytest.warns(UserWarning, match="must have hits"):
        free.fit(X, np.full(5, -1))
    with pytest.raises(ValueError, match="must have a strength above 0"):
        explain_prices(free, probe)
    with pytest.raises(ValueError, match="`item_names` must hold one name per item"):
        explain_prices(model, probe, item_names=["a"])
