"""Exposure: Lorenz curves with the metric's Gini, shares that sum to one."""

from itertools import pairwise

import numpy as np
import pytest
from matplotlib.figure import Figure
from scipy.integrate import trapezoid

from skpopsteer import PopularityGroups, metrics
from skpopsteer.inspection import ExposureDisplay
from skpopsteer.popularity import item_popularity

GROUPS = PopularityGroups("mass")


@pytest.fixture
def axes():
    return Figure().subplots(1, 2)


@pytest.fixture
def display(host, penalty, split, axes):
    models = {"host": host, "penalty": penalty}
    return ExposureDisplay.from_estimator(models, split[0], groups=GROUPS, ax=axes)


def test_the_curve_is_the_cumulated_exposure(display, host, split):
    ids = host.recommend(split[0], 10)
    counts = sorted(int((ids == item).sum()) for item in range(100))
    expected = [sum(counts[:r]) / ids.size for r in range(101)]
    x, curve = display.lines_["host"].get_data()
    np.testing.assert_allclose(x, np.arange(101) / 100)
    np.testing.assert_allclose(curve, expected)
    assert (curve[0], curve[-1]) == (0, 1)
    assert display.equality_.get_xydata().tolist() == [[0, 0], [1, 1]]


def test_the_area_under_it_gives_the_gini_of_the_metric(display, host, split):
    gini = metrics.gini(host.recommend(split[0], 10), 100)
    x, curve = display.lines_["host"].get_data()
    assert 1 - 2 * trapezoid(curve, x) == pytest.approx(gini)
    assert display.gini["host"] == pytest.approx(gini)
    texts = [text.get_text() for text in display.axes_[0].get_legend().get_texts()]
    assert f"host (Gini {gini:.3f})" in texts


def test_bars_are_the_shares_of_the_groups(display, penalty, split):
    popularity = item_popularity(split[0])
    labels = GROUPS.label(popularity)
    ids = penalty.recommend(split[0], 10)
    assert display.groups == ["head", "mid", "tail"]
    for position, group in enumerate((1, 0, -1)):
        heights = [bar[position].get_height() for bar in display.bars_.values()]
        interactions, _, recommended = heights
        of_group = popularity[labels == group].sum() / popularity.sum()
        assert interactions == pytest.approx(of_group)
        assert recommended == pytest.approx((labels[ids] == group).mean())
    for shares in display.group_shares.values():
        assert shares.sum() == pytest.approx(1)


def test_bars_stand_beside_each_other_over_their_group(display):
    for position in range(3):
        edges = [
            (b[position].get_x(), b[position].get_width())
            for b in display.bars_.values()
        ]
        assert edges[0][0] == pytest.approx(position - 0.4)
        for (left, width), (right, _) in pairwise(edges):
            assert left + width == pytest.approx(right)
    assert len(display.bars_) == 3


def test_axes_state_the_groups_and_their_size(display, split):
    labels = GROUPS.label(item_popularity(split[0]))
    ticks = [tick.get_text() for tick in display.axes_[1].get_xticklabels()]
    assert ticks[0] == f"head\n{(labels == 1).sum()} items"
    assert display.axes_[1].get_xlabel().replace("\n", " ") == str(GROUPS)
    assert "@10" in display.axes_[0].get_ylabel()


def test_a_group_without_items_has_no_bars(host, split, axes):
    display = ExposureDisplay.from_estimator(host, split[0], ax=axes)
    assert display.groups == ["head", "tail"]
    assert list(display.lines_) == ["FrozenEstimator"]


def test_empty_slots_count_for_nothing(split, axes):
    lists = np.array([[0, 1], [2, -1], [-1, -1]])
    display = ExposureDisplay.from_predictions(split[0], lists, ax=axes)
    assert display.exposures["recommender"].sum() == 3
    assert display.gini["recommender"] == pytest.approx(metrics.gini(lists, 100))


def test_lists_made_before_give_the_same(display, host, penalty, split, axes):
    lists = {"host": host.recommend(split[0]), "penalty": penalty.recommend(split[0])}
    made = ExposureDisplay.from_predictions(split[0], lists, groups=GROUPS, ax=axes)
    assert made.to_frame().equals(display.to_frame())


def test_the_length_and_the_users_are_the_callers(split, axes):
    from skpopsteer import as_recommender

    U, V = np.random.default_rng(0).normal(size=(2, 200, 4))
    host, ids = as_recommender((U, V[:100])), np.arange(200)
    display = ExposureDisplay.from_estimator(
        host, split[0], n_recommendations=4, user_ids=ids, ax=axes
    )
    lists = host.recommend(split[0], 4, user_ids=ids)
    (gini,) = display.gini.values()
    assert gini == pytest.approx(metrics.gini(lists, 100))


def test_popularity_may_be_that_of_other_users(host, split, axes):
    known = np.arange(100)
    display = ExposureDisplay.from_estimator(
        host, split[0], item_popularity=known, ax=axes
    )
    expected = known[80:].sum() / known.sum()
    assert display.group_shares["interactions"][0] == pytest.approx(expected)


def test_it_is_drawn_again_without_counting(display, opened, monkeypatch):
    before = display.lines_["host"].get_xydata()
    monkeypatch.setattr(np, "bincount", None)
    axes = Figure().subplots(1, 2)
    assert display.plot(axes) is display
    assert list(display.axes_) == list(axes)
    np.testing.assert_array_equal(display.lines_["host"].get_xydata(), before)
    assert opened() == 0
    display.plot()
    assert opened() == 1
    assert display.figure_.axes == list(display.axes_)


@pytest.mark.parametrize("backend", ["pandas", "polars"])
def test_it_becomes_a_frame(display, split, backend):
    frame = display.to_frame(backend)
    assert type(frame).__module__.startswith(backend)
    assert list(frame["recommender"]) == ["interactions", "host", "penalty"]
    columns = ["head_share", "mid_share", "tail_share"]
    assert list(frame.columns) == ["recommender", *columns, "gini"]
    np.testing.assert_allclose(
        [frame[column][1] for column in columns], display.group_shares["host"]
    )
    popularity = np.sort(item_popularity(split[0]))
    gaps = np.abs(popularity[:, None] - popularity).sum()
    assert frame["gini"][0] == pytest.approx(gaps / (200 * popularity.sum()))


def test_lists_without_anything_have_no_shares(split, axes):
    display = ExposureDisplay.from_predictions(split[0], np.full((2, 3), -1), ax=axes)
    assert np.isnan(display.gini["recommender"])
    assert np.isnan(display.group_shares["recommender"]).all()


def test_without_matplotlib_the_extra_is_named(host, split, no_matplotlib):
    with pytest.raises(ImportError, match=r"pip install \"skpopsteer\[plot\]\""):
        ExposureDisplay.from_estimator(host, split[0])


def test_bad_input_is_refused(host, split, ax):
    X = split[0]
    with pytest.raises(ValueError, match=r"`ax` must be an array of 2 Axes .* of 1"):
        ExposureDisplay.from_estimator(host, X, ax=ax)
    with pytest.raises(ValueError, match=r"`models` must be .* got an empty dict"):
        ExposureDisplay.from_estimator({}, X)
    with pytest.raises(TypeError, match=r"`models` must be .* got TruncatedSVD"):
        ExposureDisplay.from_estimator({"a": host.estimator.decomposition}, X)
    with pytest.raises(ValueError, match="`recommendations` must hold item positions"):
        ExposureDisplay.from_predictions(X, [[100]])
    with pytest.raises(ValueError, match=r"`exposures` must hold counts .* 'a'"):
        ExposureDisplay({"a": [1]}, item_popularity=[1, 2], item_groups=[1, -1])
