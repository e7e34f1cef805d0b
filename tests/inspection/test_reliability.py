"""The reliability of probabilities, drawn from what a calibrator found."""

import numpy as np
import pytest
from matplotlib.figure import Figure
from sklearn.decomposition import TruncatedSVD

from skpopsteer import RelevanceCalibrator, SlotPricingRecommender, as_recommender
from skpopsteer.datasets import make_interactions
from skpopsteer.inspection import ReliabilityDisplay
from skpopsteer.model_selection import hide_interactions


@pytest.fixture(scope="module")
def split():
    X = make_interactions(300, 100, random_state=0).X
    return hide_interactions(X, random_state=0)


@pytest.fixture(scope="module")
def host(split):
    return as_recommender(TruncatedSVD(8, random_state=0).fit(split[0]))


@pytest.fixture(scope="module")
def model(host, split):
    return RelevanceCalibrator(host, pool_size=50, random_state=0).fit(*split)


def test_the_curve_is_what_the_calibrator_found(model):
    display = ReliabilityDisplay.from_estimator(model, ax=Figure().subplots())
    found = model.reliability_
    line = display.ax_.lines[1]
    np.testing.assert_allclose(line.get_xdata(), found.predicted)
    np.testing.assert_allclose(line.get_ydata(), found.observed)
    assert f"{model.brier_score_:.4f}" in display.ax_.get_title()
    assert "Probability" in display.ax_.get_xlabel()
    assert "Share of items" in display.ax_.get_ylabel()


def test_a_slot_pricing_shows_its_calibrator(host, split):
    model = SlotPricingRecommender(host, pool_size=50, strength=0.01, random_state=0)
    display = ReliabilityDisplay.from_estimator(
        model.fit(*split), ax=Figure().subplots()
    )
    np.testing.assert_array_equal(
        display.predicted, model.calibrator_.reliability_.predicted
    )


def test_intervals_by_hand_and_a_bin_without_hits():
    display = ReliabilityDisplay([0.01, 0.1], [0.0, 0.12], [1000, 100])
    error = 1.96 * np.sqrt([0.01 * 0.99 / 1000, 0.1 * 0.9 / 100])
    np.testing.assert_allclose(display.low, [0.0, 0.12 - error[1]])
    np.testing.assert_allclose(display.high, [error[0], 0.12 + error[1]])
    display.plot(ax=Figure().subplots())
    assert (display.ax_.lines[1].get_ydata() > 0).all()


def test_what_is_no_calibrator_is_refused(host):
    with pytest.raises(TypeError, match="`model` must be a fitted RelevanceCal"):
        ReliabilityDisplay.from_estimator(host)
    with pytest.raises(ValueError, match="must be 1-D and equally long"):
        ReliabilityDisplay([0.1], [0.1, 0.2], [1])
