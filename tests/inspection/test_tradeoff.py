"""The trade-off: right figures, one encoding, frontier and volume by brute force."""

import numpy as np
import pytest
from matplotlib.figure import Figure
from sklearn.model_selection import GridSearchCV

from skpopsteer import PopularityGroups, metrics
from skpopsteer.inspection import TradeOffDisplay, _frontier
from skpopsteer.metrics import get_scorer, make_recommender_scorer
from skpopsteer.model_selection import HeldOut, best_subject_to
from skpopsteer.popularity import item_popularity
from skpopsteer.steering import steering_path

STRENGTHS = [0.0, 0.5, 1.0, 3.0]
PENALTIES = [0.05, 0.2]


@pytest.fixture(scope="module")
def display(steered, penalty, split):
    return TradeOffDisplay.from_estimator(
        steered,
        *split,
        strengths=STRENGTHS,
        x_metric="neg_gini@10",
        y_metric="ndcg@10",
        baselines={"penalty": (penalty, PENALTIES)},
        name="steered",
        mark=1.0,
        n_boot=50,
        random_state=0,
        ax=Figure().subplots(),
    )


def shown(display, name):
    """Points on the axes, joined and grey, as a set of rounded pairs."""
    lines = display.lines_[name], display.dominated_[name]
    return {tuple(np.round(p, 9)) for line in lines for p in line.get_xydata()}


def points(n, seed=0, scale=4):
    """Scores on a coarse grid, where ties and equal points are many."""
    x, y = np.random.default_rng(seed).integers(0, scale, size=(2, n)) / scale
    return x, y


def flat(x, y, **keywords):
    curve = {"points": np.arange(len(x)), "x": np.asarray(x), "y": np.asarray(y)}
    keywords = {"x_metric": "tail_share@10", "y_metric": "ndcg@10"} | keywords
    return TradeOffDisplay({"model": curve}, **keywords)


def test_points_are_the_scores_of_the_lists_at_each_strength(display, steered, split):
    X, y = split
    lists = [steered.recommend(X, 10, strength=s) for s in STRENGTHS]
    gini = [metrics.gini(one, X.shape[1]) for one in lists]
    ndcg = [metrics.ndcg(y, one) for one in lists]
    # A loss stands on its axis with its usual sign.
    assert shown(display, "steered") == {
        tuple(np.round(p, 9)) for p in zip(gini, ndcg, strict=True)
    }
    np.testing.assert_allclose(display.curves["steered"].x, -np.array(gini))


def test_the_same_figures_as_a_steering_path(display, penalty, split):
    path = steering_path(penalty, *split, PENALTIES, scoring=["neg_gini", "ndcg"])
    curve = display.curves["penalty"]
    np.testing.assert_allclose(curve.x, path.scores["neg_gini"])
    np.testing.assert_allclose(curve.y, path.scores["ndcg"])
    np.testing.assert_array_equal(curve.points, PENALTIES)


def test_the_host_is_a_marker_where_it_scores(display, host, split):
    (at,) = display.host_.get_xydata()
    expected = metrics.gini(host.recommend(split[0], 10), 100), host.score(*split)
    np.testing.assert_allclose(at, expected)


def test_axes_say_which_way_is_better(display):
    assert display.ax_.get_xlabel() == "Gini of exposure @10\n(lower is more equal)"
    assert display.ax_.get_ylabel() == "NDCG@10\n(higher is more accurate)"


def test_the_chosen_point_is_ringed(display):
    (at,) = display.mark_.get_xydata()
    curve = display.curves["steered"]
    np.testing.assert_allclose(at, [-curve.x[2], curve.y[2]])


def test_each_model_encodes_the_rows_once(split, penalty, steered, host, monkeypatch):
    calls, adapter = [], type(host.estimator)
    original = adapter._encode

    def counted(self, X, user_ids):
        calls.append(X.shape[0])
        return original(self, X, user_ids)

    monkeypatch.setattr(adapter, "_encode", counted)
    TradeOffDisplay.from_estimator(
        steered,
        *split,
        strengths=STRENGTHS,
        baselines={"penalty": (penalty, PENALTIES)},
        n_boot=3,
        ax=Figure().subplots(),
    )
    # The model, the penalty, the host.
    assert calls == [200, 200, 200]


def test_all_curves_are_measured_by_the_groups_of_the_model(steered, penalty, split):
    X, y = split
    groups = PopularityGroups("count", head=0.5, tail=0.1)
    keywords = {"strengths": [0.0], "baselines": {"penalty": (penalty, [0.2])}}
    keywords |= {"n_boot": 0, "x_metric": "tail_share@5"}
    labels = groups.label(item_popularity(X))
    lists = penalty.recommend(X, 5, strength=0.2)
    for how in ("own", "given"):
        model = type(steered)(**steered.get_params(deep=False))
        model.__dict__ |= steered.__dict__
        given = groups if how == "given" else None
        if how == "own":
            model.item_groups_ = labels
        display = TradeOffDisplay.from_estimator(
            model, X, y, groups=given, ax=Figure().subplots(), **keywords
        )
        assert display.curves["penalty"].x[0] == pytest.approx(
            metrics.tail_share(lists, labels)
        )


def test_intervals_hold_the_estimate_and_are_drawn(display):
    for name, curve in display.curves.items():
        for axis in "xy":
            low, high = curve[f"{axis}_interval"]
            assert (low < curve[axis]).all()
            assert (curve[axis] < high).all()
        path = display.bands_[name].get_path()
        line = display.lines_[name].get_xydata()
        assert path.contains_points(line).all()


def test_intervals_are_the_quantiles_of_the_draws_of_the_scorer(
    display, steered, split
):
    X, y = split
    lists = steered.recommend(X, 10, strength=1.0)
    seed = np.random.RandomState(0).randint(2**31 - 1)
    draws = get_scorer(["ndcg@10"]).bootstrap_lists(
        steered, X, y, lists, n_boot=50, random_state=seed
    )["ndcg@10"]
    shift = metrics.ndcg(y, lists) - draws.mean()
    expected = np.quantile(draws, [0.025, 0.975]) + shift
    interval = display.curves["steered"].y_interval[:, 2]
    np.testing.assert_allclose(interval, expected)


def test_the_seed_fixes_the_intervals(steered, split):
    def interval(seed):
        display = TradeOffDisplay.from_estimator(
            steered, *split, strengths=[1.0], n_boot=20, random_state=seed,
            ax=Figure().subplots(),
        )  # fmt: skip
        return display.curves["SteeredRecommender"].y_interval

    np.testing.assert_array_equal(interval(1), interval(1))
    assert (interval(1) != interval(2)).any()


def test_a_strength_named_twice_is_one_point(steered, split, ax):
    display = TradeOffDisplay.from_estimator(
        steered, *split, strengths=[1, 1.0, 0.5], mark=0.5, n_boot=0, ax=ax
    )
    curve = display.curves["SteeredRecommender"]
    assert curve.points.tolist() == [1.0, 0.5]
    assert curve.points[display.marked] == 0.5


def test_no_draws_no_bands(steered, split, ax):
    display = TradeOffDisplay.from_estimator(
        steered, *split, strengths=STRENGTHS, n_boot=0, ax=ax
    )
    assert not display.bands_
    assert display.curves["SteeredRecommender"].x_interval is None
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert not any("interval" in label for label in labels)


@pytest.mark.parametrize("seed", range(8))
def test_dominated_points_are_those_of_brute_force(seed):
    x, y = points(30, seed, scale=6 if seed % 2 else 50)
    expected = [
        any((x >= a) & (y >= b) & ((x > a) | (y > b)))
        for a, b in zip(x, y, strict=True)
    ]
    np.testing.assert_array_equal(_frontier.dominated(x, y), expected)
    display = flat(x, y).plot(Figure().subplots())
    assert len(display.dominated_["model"].get_xdata()) == sum(expected)
    assert len(display.lines_["model"].get_xdata()) == 30 - sum(expected)


def test_a_failed_candidate_is_not_on_the_frontier():
    display = flat([0.1, np.nan, 0.3], [0.3, 0.9, 0.1]).plot(Figure().subplots())
    assert display.dominated["model"].tolist() == [False, True, False]
    assert display.reference == (0.1, 0.1)


def test_the_volume_of_two_boxes_by_hand():
    # 2 x 3 and 3 x 1 above (1, 1), of which 2 x 1 is counted once.
    display = flat([3, 4], [4, 2], reference=(1, 1))
    assert display.hypervolume == {"model": 2 * 3 + 3 * 1 - 2 * 1}


@pytest.mark.parametrize("seed", range(4))
def test_the_volume_is_the_share_of_random_points_that_are_beaten(seed):
    x, y = np.random.default_rng(seed).uniform(-0.2, 1, size=(2, 12))
    at = np.random.default_rng(9).uniform(size=(2, 200_000))
    beaten = np.zeros(at.shape[1], dtype=bool)
    for a, b in zip(x, y, strict=True):
        beaten |= (at[0] < a) & (at[1] < b)
    volume = flat(x, y, reference=(0, 0)).hypervolume["model"]
    assert volume == pytest.approx(beaten.mean(), abs=0.005)


def test_points_below_the_reference_have_no_volume():
    assert flat([0.1, 0.9], [0.9, 0.1], reference=(0.5, 0.5)).hypervolume["model"] == 0


def test_the_reference_is_the_worst_of_all_points_and_stands_in_the_legend(display):
    curves = [*display.curves.values(), display.host]
    worst = [min(c[axis].min() for c in curves) for axis in "xy"]
    np.testing.assert_allclose(display.reference, worst)
    title = display.ax_.get_legend().get_title().get_text()
    assert title == f"HV: hypervolume from ({-worst[0]:.3g}, {worst[1]:.3g})"
    labels = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert f"steered (HV {display.hypervolume['steered']:#.3g})" in labels


def test_intervals_around_coverage_hold_it(steered, split, ax):
    # Plain percentiles do not: a draw holds 63 % of the users.
    display = TradeOffDisplay.from_estimator(
        steered, *split, strengths=[0.0, 1.0], x_metric="coverage", n_boot=40,
        random_state=0, ax=ax,
    )  # fmt: skip
    curve = display.curves["SteeredRecommender"]
    assert (curve.x_interval[0] < curve.x).all()
    assert (curve.x < curve.x_interval[1]).all()


def test_drawing_again_computes_nothing(display, monkeypatch):
    before = shown(display, "steered")
    for name in ("dominated", "hypervolume"):
        monkeypatch.setattr(_frontier, name, None)
    monkeypatch.setattr(metrics.RecommenderScorer, "score_lists", None)
    first, second = Figure().subplots(1, 2)
    assert display.plot(first) is display
    assert display.ax_ is first
    assert display.plot(second, annotate=False).ax_ is second
    assert shown(display, "steered") == before
    assert len(first.lines) == len(second.lines)
    assert first.texts
    assert not second.texts


def test_a_figure_is_made_only_where_no_axes_are_given(display, ax, opened):
    display.plot(ax)
    assert opened() == 0
    assert display.figure_ is ax.figure
    display.plot()
    assert opened() == 1


def test_strengths_stand_beside_the_frontier_and_do_not_cover_each_other(ax):
    x = [0.1, 0.1001, 0.5, 0.9]
    display = flat(x, [0.9, 0.8999, 0.5, 0.1]).plot(ax)
    assert [text.get_text() for text in ax.texts] == ["0", "3", "2"]
    assert display.ax_.texts[2].xy == pytest.approx((0.5, 0.5))


def test_lists_made_before_give_the_same(display, steered, penalty, host, split, ax):
    X, y = split
    made = TradeOffDisplay.from_predictions(
        X,
        y,
        {s: steered.recommend(X, strength=s) for s in STRENGTHS},
        x_metric="neg_gini",
        y_metric="ndcg",
        baselines={"penalty": {s: penalty.recommend(X, strength=s) for s in PENALTIES}},
        host=host.recommend(X),
        name="steered",
        mark=1.0,
        n_boot=50,
        random_state=0,
        ax=ax,
    )
    assert made.x_metric == "neg_gini@10"
    left, right = made.to_frame(), display.to_frame()
    assert left.equals(right)


def test_popularity_may_be_that_of_other_users(steered, split, ax):
    X, y = split
    known = np.arange(100)[::-1]
    lists = steered.recommend(X)
    display = TradeOffDisplay.from_predictions(
        X,
        y,
        {1.0: lists},
        x_metric="tail_share",
        item_popularity=known,
        n_boot=0,
        ax=ax,
    )
    expected = metrics.tail_share(lists, PopularityGroups().label(known))
    assert display.curves["recommender"].x[0] == pytest.approx(expected)


def test_held_out_items_come_in_every_form(steered, split, ax):
    X, y = split
    rows = np.split(y.indices, y.indptr[1:-1])
    one_each = np.array([row[0] if len(row) else -1 for row in rows])
    for form in (HeldOut(y), one_each):
        display = TradeOffDisplay.from_estimator(
            steered, X, form, strengths=[0.0], n_boot=5, ax=ax
        )
        expected = metrics.ndcg(form, steered.recommend(X, strength=0))
        assert display.curves["SteeredRecommender"].y[0] == pytest.approx(expected)


def test_trained_users_are_looked_up_when_named(split, ax):
    from skpopsteer import PopularityPenaltyReranker, as_recommender

    X, y = split
    U, V = np.random.default_rng(0).normal(size=(2, 200, 4))
    ids = np.arange(200)
    model = PopularityPenaltyReranker(as_recommender((U, V[:100]))).fit(X)
    display = TradeOffDisplay.from_estimator(
        model, X, y, strengths=[0.1], user_ids=ids, n_boot=0, ax=ax
    )
    curve = display.curves["PopularityPenaltyReranker"]
    assert curve.y[0] == pytest.approx(model.score(X, y, user_ids=ids))
    assert display.host.y[0] == pytest.approx(
        metrics.ndcg(y, model.recommend(X, strength=0, user_ids=ids))
    )


def test_a_metric_of_ones_own(steered, split, ax):
    def first_item(recommendations):
        return float(recommendations[:, 0].mean())

    scorer = make_recommender_scorer(first_item, k=3)
    display = TradeOffDisplay.from_estimator(
        steered, *split, strengths=[0.0], x_metric=scorer, n_boot=0, ax=ax
    )
    expected = steered.recommend(split[0], strength=0)[:, 0].mean()
    assert display.curves["SteeredRecommender"].x[0] == pytest.approx(expected)
    assert ax.get_xlabel() == "first item @3\n(higher is better)"


@pytest.fixture(scope="module")
def search(penalty, split):
    return GridSearchCV(
        penalty,
        {"strength": [0.0, 0.1, 0.3, -1.0]},
        scoring=get_scorer(["ndcg@10", "tail_share@10"]),
        refit=best_subject_to("tail_share@10", within={"ndcg@10": 0.2}),
        cv=4,
    ).fit(*split)


def test_a_search_is_drawn_from_its_results(search, ax):
    display = TradeOffDisplay.from_search(
        search, x_metric="tail_share@10", y_metric="ndcg@10", ax=ax
    )
    curve, results = display.curves["PopularityPenaltyReranker"], search.cv_results_
    np.testing.assert_array_equal(curve.x, results["mean_test_tail_share@10"])
    folds = [results[f"split{i}_test_ndcg@10"] for i in range(4)]
    error = np.std(folds, axis=0, ddof=1) / 2
    np.testing.assert_allclose(curve.y_interval, [curve.y - error, curve.y + error])
    (at,) = display.mark_.get_xydata()
    np.testing.assert_allclose(
        at, [curve.x[search.best_index_], curve.y[search.best_index_]]
    )
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert "± 1 standard error over 4 folds" in labels
    assert f"chosen: strength {search.best_params_['strength']:g}" in labels
    assert display.host_ is None


def test_a_search_over_several_parameters_numbers_its_candidates(penalty, split, ax):
    search = GridSearchCV(
        penalty,
        {"strength": [0.0, 0.1], "keep_top": [0, 2]},
        scoring=get_scorer(["ndcg@10", "neg_gini@10"]),
        refit=False,
        cv=2,
    ).fit(*split)
    display = TradeOffDisplay.from_search(
        search, x_metric="neg_gini@10", y_metric="ndcg@10", ax=ax
    )
    assert display.point_name == "candidate"
    assert display.to_frame()["candidate"].tolist() == [0, 1, 2, 3]
    assert display.mark_ is None


@pytest.mark.parametrize("backend", ["pandas", "polars"])
def test_it_becomes_a_frame(display, backend):
    frame = display.to_frame(backend)
    assert type(frame).__module__.startswith(backend)
    assert list(frame.columns) == [
        "recommender", "strength", "neg_gini@10", "neg_gini@10_low",
        "neg_gini@10_high", "ndcg@10", "ndcg@10_low", "ndcg@10_high", "dominated",
        "marked",
    ]  # fmt: skip
    assert list(frame["recommender"]) == ["steered"] * 4 + ["penalty"] * 2 + ["host"]
    np.testing.assert_allclose(
        frame["ndcg@10_high"].to_numpy()[:4], display.curves["steered"].y_interval[1]
    )
    assert frame["marked"].to_numpy().nonzero()[0].tolist() == [2]


def test_without_intervals_the_frame_says_so():
    frame = flat([0.1, 0.2], [0.2, 0.1]).to_frame()
    assert frame["ndcg@10_low"].isna().all()
    assert len(frame) == 2


def test_nothing_of_the_callers_is_changed(steered, split, ax):
    X, y = split
    copies = X.copy(), y.copy(), dict(steered.__dict__)
    TradeOffDisplay.from_estimator(steered, X, y, strengths=[1.0], n_boot=2, ax=ax)
    assert (copies[0] != X).nnz == 0
    assert (y != copies[1]).nnz == 0
    assert steered.__dict__ == copies[2]


def test_without_matplotlib_the_extra_is_named(steered, split, no_matplotlib):
    with pytest.raises(ImportError, match=r"pip install \"skpopsteer\[plot\]\""):
        TradeOffDisplay.from_estimator(steered, *split, strengths=[1.0])
    with pytest.raises(ImportError, match=r"skpopsteer\[plot\]"):
        flat([1.0], [1.0]).plot()


@pytest.mark.parametrize(
    ("keywords", "match"),
    [
        ({"mark": 0.7}, r"`mark` must be one of the strengths \[0.0, 1.0\]; got 0.7"),
        ({"strengths": []}, r"`strengths` must hold at least one number; got none"),
        ({"n_boot": -1}, r"`n_boot` must be an integer >= 0; got -1"),
        ({"n_boot": 2.5}, r"`n_boot` must be an integer >= 0; got 2.5"),
        ({"x_metric": "ndcg@10"}, r"`x_metric` and `y_metric` must differ; got 'ndcg"),
        ({"reference": (0,)}, r"`reference` must be two finite scores \(x, y\); got"),
        ({"reference": (0, np.nan)}, r"`reference` must be two finite scores"),
        ({"baselines": [1]}, r"`baselines` must be a dict of names .* got list"),
        ({"baselines": {"steered": 1}}, r"`baselines` must be .* got 'steered' twice"),
        ({"baselines": {"b": 1}}, r"`baselines` must hold pairs .* got int for 'b'"),
        ({"ax": 3}, r"`ax` must be one Axes of matplotlib, or None; got int"),
        ({"x_metric": "gini"}, r"`scoring` must be something to maximise"),
    ],
)
def test_bad_input_is_refused(keywords, match, steered, split):
    keywords = {"strengths": [0.0, 1.0], "name": "steered", "n_boot": 0} | keywords
    with pytest.raises(ValueError, match=match):
        TradeOffDisplay.from_estimator(steered, *split, **keywords)


def test_a_model_without_a_strength_is_refused(host, steered, split):
    with pytest.raises(TypeError, match=r"`model` must be .* with a strength"):
        TradeOffDisplay.from_estimator(host, *split, strengths=[1.0])
    with pytest.raises(TypeError, match=r"`baselines` must be .* with a strength"):
        TradeOffDisplay.from_estimator(
            steered, *split, strengths=[1.0], baselines={"host": (host, [1.0])}
        )


def test_lists_without_strengths_are_refused(split):
    with pytest.raises(
        ValueError, match=r"`recommendations` must be a dict of strength"
    ):
        TradeOffDisplay.from_predictions(*split, np.zeros((200, 1), dtype=int))


def test_popularity_of_another_catalogue_is_refused(split):
    lists = {1.0: np.zeros((200, 1), dtype=int)}
    with pytest.raises(ValueError, match=r"`item_popularity` must hold one number"):
        TradeOffDisplay.from_predictions(*split, lists, item_popularity=[1, 2, 3])


def test_somebody_must_have_held_out_items(steered, split):
    with pytest.raises(ValueError, match=r"`y` must hold at least one held-out"):
        TradeOffDisplay.from_estimator(
            steered, split[0], split[1] * 0, strengths=[1.0], n_boot=0
        )
    with pytest.raises(ValueError, match=r"`curves` must hold a point with both"):
        flat([np.nan, 0.1], [0.2, np.nan])


def test_an_unfitted_search_is_refused(penalty, search):
    with pytest.raises(ValueError, match=r"`search` must be a fitted search"):
        TradeOffDisplay.from_search(
            GridSearchCV(penalty, {}), x_metric="ndcg@10", y_metric="tail_share@10"
        )
    with pytest.raises(ValueError, match=r"`y_metric` must be .*ndcg@10, .* got 'map'"):
        TradeOffDisplay.from_search(search, x_metric="ndcg@10", y_metric="map")
