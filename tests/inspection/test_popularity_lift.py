"""Popularity lift: the metric per group of users, with intervals over them."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from skpopsteer import PopularityGroups, metrics
from skpopsteer.inspection import PopularityLiftDisplay
from skpopsteer.popularity import item_popularity

TASTES = ["niche", "diverse", "blockbuster"]


@pytest.fixture
def display(host, penalty, split, ax):
    return PopularityLiftDisplay.from_estimator(
        {"host": host, "penalty": penalty}, split[0], n_boot=60, random_state=0, ax=ax
    )


def tastes(X):
    return metrics.taste_groups(X, PopularityGroups().label(item_popularity(X)))


def test_points_are_the_metric_of_the_rows_of_each_group(display, penalty, split):
    X = split[0]
    lists, labels, popularity = penalty.recommend(X), tastes(X), item_popularity(X)
    expected = [
        metrics.popularity_lift(X[labels == g], lists[labels == g], popularity)
        for g in TASTES
    ]
    np.testing.assert_allclose(display.points_["penalty"].get_ydata(), expected)
    assert display.groups == TASTES
    assert display.n_users.tolist() == [(labels == group).sum() for group in TASTES]
    ticks = [tick.get_text() for tick in display.ax_.get_xticklabels()]
    assert ticks[0] == f"niche\n{(labels == 'niche').sum()} users"


def test_recommenders_stand_beside_each_other_in_their_group(display):
    first, second = (line.get_xdata() for line in display.points_.values())
    assert (first < second).all()
    np.testing.assert_allclose((first + second) / 2, [0, 1, 2], atol=1e-12)
    assert list(display.zero_.get_ydata()) == [0, 0]


def test_intervals_are_those_of_a_bootstrap_of_the_metric(display, host, split):
    X = split[0]
    lists, popularity = host.recommend(X), item_popularity(X)
    rows = np.flatnonzero(tastes(X) == "niche")
    seed = np.random.RandomState(0).randint(2**31 - 1)
    rng = np.random.RandomState(seed)
    draws = []
    for _ in range(60):
        drawn = rows[rng.randint(len(rows), size=len(rows))]
        draws.append(metrics.popularity_lift(X[drawn], lists[drawn], popularity))
    shift = display.lifts["host"][0] - np.mean(draws)
    expected = np.quantile(draws, [0.025, 0.975]) + shift
    np.testing.assert_allclose(display.intervals["host"][:, 0], expected)
    segment = display.intervals_["host"].get_segments()[0]
    np.testing.assert_allclose(segment[:, 1], expected)
    assert segment[0, 0] == display.points_["host"].get_xdata()[0]


def test_no_draws_no_intervals(host, split, ax):
    display = PopularityLiftDisplay.from_estimator(host, split[0], n_boot=0, ax=ax)
    assert not display.intervals_
    assert "interval" not in ax.get_ylabel()
    assert display.to_frame()["popularity_lift_low"].isna().all()


def test_groups_of_the_callers_own(host, split, ax):
    X, labels = split[0], np.arange(200) % 2
    display = PopularityLiftDisplay.from_estimator(
        host, X, user_groups=labels, n_boot=0, n_recommendations=5, ax=ax
    )
    odd = metrics.popularity_lift(
        X[labels == 1], host.recommend(X, 5)[labels == 1], item_popularity(X)
    )
    assert display.groups == ["0", "1"]
    assert display.lifts["FrozenEstimator"][1] == pytest.approx(odd)


def test_users_without_history_have_no_group(split, ax):
    X = split[0].copy().tolil()
    X[[3, 5]] = 0
    lists = np.tile(np.arange(3), (200, 1))
    display = PopularityLiftDisplay.from_predictions(X.tocsr(), lists, n_boot=5, ax=ax)
    assert display.groups == TASTES
    assert display.n_users.sum() == 198


def test_users_with_empty_lists_are_left_out(split, ax):
    X, lists = split[0], np.tile(np.arange(3), (200, 1))
    lists[:50] = -1
    labels = ["a"] * 200
    display = PopularityLiftDisplay.from_predictions(
        X, lists, user_groups=labels, n_boot=5, random_state=0, ax=ax
    )
    expected = metrics.popularity_lift(X[50:], lists[50:], item_popularity(X))
    assert display.lifts["recommender"][0] == pytest.approx(expected)
    assert np.isfinite(display.intervals["recommender"]).all()


def test_a_group_of_empty_lists_has_no_lift(split, ax):
    lists = np.tile(np.arange(3), (200, 1))
    lists[:50] = -1
    display = PopularityLiftDisplay.from_predictions(
        split[0], lists, user_groups=["a"] * 50 + ["b"] * 150, n_boot=5, ax=ax
    )
    assert np.isnan(display.lifts["recommender"]).tolist() == [True, False]


def test_other_heads_and_popularity_give_other_groups(host, split, ax):
    X = split[0]
    groups, known = PopularityGroups("count", head=0.6, tail=0.1), np.arange(1, 101)
    display = PopularityLiftDisplay.from_estimator(
        host, X, groups=groups, item_popularity=known, n_boot=0, ax=ax
    )
    labels = metrics.taste_groups(X, groups.label(known))
    rows = labels == "niche"
    expected = metrics.popularity_lift(X[rows], host.recommend(X)[rows], known)
    assert display.lifts["FrozenEstimator"][0] == pytest.approx(expected)


def test_trained_users_are_looked_up_when_named(split, ax):
    from skpopsteer import as_recommender

    U, V = np.random.default_rng(0).normal(size=(2, 200, 4))
    host, ids = as_recommender((U, V[:100])), np.arange(200)
    display = PopularityLiftDisplay.from_estimator(
        host, split[0], user_groups=["all"] * 200, user_ids=ids, n_boot=0, ax=ax
    )
    expected = metrics.popularity_lift(
        split[0], host.recommend(split[0], user_ids=ids), item_popularity(split[0])
    )
    (lift,) = display.lifts.values()
    np.testing.assert_allclose(lift, [expected])


def test_it_is_drawn_again_without_counting(display, opened, monkeypatch):
    before = display.points_["host"].get_xydata()
    monkeypatch.setattr(np, "bincount", None)
    one, two = Figure().subplots(1, 2)
    assert display.plot(one) is display
    assert display.plot(two).ax_ is two
    np.testing.assert_array_equal(display.points_["host"].get_xydata(), before)
    assert opened() == 0
    display.plot()
    assert opened() == 1


@pytest.mark.parametrize("backend", ["pandas", "polars"])
def test_it_becomes_a_frame(display, backend):
    frame = display.to_frame(backend)
    assert type(frame).__module__.startswith(backend)
    assert list(frame["user_group"]) == TASTES * 2
    assert list(frame["recommender"]) == ["host"] * 3 + ["penalty"] * 3
    np.testing.assert_allclose(frame["popularity_lift"][3:], display.lifts["penalty"])
    low, high = display.intervals["penalty"]
    np.testing.assert_allclose(frame["popularity_lift_low"][3:], low)
    np.testing.assert_allclose(frame["popularity_lift_high"][3:], high)


def test_without_matplotlib_the_extra_is_named(host, split, no_matplotlib):
    with pytest.raises(ImportError, match=r"pip install \"skpopsteer\[plot\]\""):
        PopularityLiftDisplay.from_estimator(host, split[0])


def test_bad_input_is_refused(host, split):
    X = split[0]
    with pytest.raises(ValueError, match=r"`user_groups` must hold .* \(200\); got"):
        PopularityLiftDisplay.from_estimator(host, X, user_groups=["a"])
    with pytest.raises(ValueError, match=r"`n_boot` must be an integer >= 0; got True"):
        PopularityLiftDisplay.from_estimator(host, X, n_boot=True)
    with pytest.raises(TypeError, match=r"`models` must be .* got int"):
        PopularityLiftDisplay.from_estimator(3, X)
    with pytest.raises(ValueError, match=r"`recommendations` must be .* empty dict"):
        PopularityLiftDisplay.from_predictions(X, {})
    with pytest.raises(ValueError, match=r"`X` must have one row per list"):
        PopularityLiftDisplay.from_predictions(X, [[1]])
