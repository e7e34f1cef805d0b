"""Effect sizes: every neuron once, in its group, in order."""

from itertools import pairwise

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import same_color
from matplotlib.figure import Figure
from matplotlib.text import Text
from sklearn.exceptions import NotFittedError

from skpopsteer import PopularityNeuronSelector
from skpopsteer.inspection import EffectSizeDisplay

SCORES = np.array([0.4, -1.2, 0.0, 2.0, 0.1, -0.3])
SELECTED = np.array([True, True, False, True, False, True])
SILENT = np.array([False, True, True, False, False, False])


@pytest.fixture
def display(ax):
    return EffectSizeDisplay.from_predictions(
        SCORES, selected=SELECTED, silent=SILENT, labels={3: "horror"}, ax=ax
    )


def bars(display, name):
    """Places and heights of the bars of one group."""
    corners = [path.vertices[:4] for path in display.bars_[name].get_paths()]
    return {
        float(c[:, 0].mean().round(9)): c[np.abs(c[:, 1]).argmax(), 1] for c in corners
    }


def test_bars_are_the_sorted_scores_of_their_group(display):
    assert display.order.tolist() == [3, 0, 4, 2, 5, 1]
    assert bars(display, "high") == {0: 2.0, 1: 0.4}
    assert bars(display, "rest") == {2: 0.1}
    assert bars(display, "low") == {4: -0.3, 5: -1.2}


def test_silent_neurons_are_marked_where_they_stand(display):
    assert display.silent_.get_xydata().tolist() == [[3, 0.0], [5, -1.2]]


def test_the_groups_differ_in_colour_and_count_in_the_legend(display):
    colors = [display.bars_[name].get_facecolor() for name in ("high", "low", "rest")]
    assert not same_color(colors[0], colors[1])
    assert not same_color(colors[1], colors[2])
    texts = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert texts == [
        "selected, higher for the head (2)",
        "selected, lower for the head (2)",
        "not selected (1)",
        "never fires (2)",
    ]


def test_another_group_is_called_by_its_name(ax):
    EffectSizeDisplay.from_predictions(SCORES, group="comedies", ax=ax)
    texts = [text.get_text() for text in ax.get_legend().get_texts()]
    assert texts[0] == "selected, higher for the comedies (3)"
    assert ax.get_ylabel() == "Effect size\n(positive: higher for the comedies)"


def test_the_largest_effects_of_either_end_are_named(display):
    named = {text.get_text(): text.xy for text in display.texts_}
    assert named == {
        "horror": (0, 2.0), "neuron 0": (1, 0.4), "neuron 1": (5, -1.2),
        "neuron 5": (4, -0.3),
    }  # fmt: skip
    display.plot(Figure().subplots(), n_labels=1)
    assert [text.get_text() for text in display.texts_] == ["horror", "neuron 1"]
    assert not display.plot(Figure().subplots(), n_labels=0).texts_


def test_names_do_not_cover_each_other_or_the_bars():
    scores = np.concatenate([np.linspace(2, 1.9, 300), np.linspace(-1.9, -2, 300)])
    figure = Figure(figsize=(6, 4))
    display = EffectSizeDisplay(scores).plot(figure.subplots(), n_labels=8)
    FigureCanvasAgg(figure).draw()
    # Of the words alone, without the line to the bar.
    boxes = [Text.get_window_extent(text) for text in display.texts_]
    left = display.ax_.transData.transform((-0.5, 0))[0]
    right = display.ax_.transData.transform((599.5, 0))[0]
    assert all(box.x1 < left for box in boxes[:8])
    assert all(box.x0 > right for box in boxes[8:])
    inside = display.ax_.get_window_extent()
    assert all(inside.x0 <= box.x0 and box.x1 <= inside.x1 for box in boxes)
    ordered = sorted(boxes[:8], key=lambda box: box.y0)
    assert all(a.y1 <= b.y0 + 1 for a, b in pairwise(ordered))


def test_without_a_selection_all_that_differ_are_selected(ax):
    display = EffectSizeDisplay.from_predictions(SCORES, ax=ax)
    assert display.selected.tolist() == (SCORES != 0).tolist()
    assert not display.silent.any()


def test_a_selector_brings_its_scores_selection_and_silence(ax):
    rng = np.random.default_rng(0)
    Z, y = rng.normal(size=(40, 8)), np.repeat([1, -1], 20)
    Z[:, 2] = -1
    selector = PopularityNeuronSelector(n_neurons_to_select=3).fit(Z, y)
    display = EffectSizeDisplay.from_estimator(selector, ax=ax)
    heights = np.concatenate([list(bars(display, n).values()) for n in ("high", "low")])
    np.testing.assert_allclose(
        np.sort(heights), np.sort(selector.scores_[selector.get_support()])
    )
    assert display.silent.tolist() == selector.silent_neurons_.tolist()
    assert ax.get_ylabel().startswith("Cohen's d, in standard deviations\n")


def test_another_score_has_its_own_name(ax):
    def mean_gap(Z, y):
        return Z[y == 1].mean(axis=0) - Z[y == -1].mean(axis=0)

    Z = np.random.default_rng(0).normal(size=(40, 8))
    selector = PopularityNeuronSelector(mean_gap).fit(Z, np.repeat([1, -1], 20))
    EffectSizeDisplay.from_estimator(selector, ax=ax)
    assert ax.get_ylabel().startswith("mean gap\n")


def test_a_steered_recommender_shows_the_side_that_is_asked_for(steered, ax):
    display = EffectSizeDisplay.from_estimator(steered, ax=ax)
    np.testing.assert_array_equal(display.scores, steered.selector_.scores_)
    with pytest.raises(AttributeError, match=r"`side` must include 'item'"):
        EffectSizeDisplay.from_estimator(steered, side="item", ax=ax)


def test_it_is_drawn_again_without_a_new_figure(display, opened):
    first = {name: bars(display, name) for name in display.bars_}
    one, two = Figure().subplots(1, 2)
    assert display.plot(one) is display
    assert display.plot(two).ax_ is two
    assert {name: bars(display, name) for name in display.bars_} == first
    assert opened() == 0
    display.plot()
    assert opened() == 1


@pytest.mark.parametrize("backend", ["pandas", "polars"])
def test_it_becomes_a_frame(display, backend):
    frame = display.to_frame(backend)
    assert type(frame).__module__.startswith(backend)
    assert list(frame["neuron"]) == display.order.tolist()
    assert list(frame["label"])[:2] == ["horror", "neuron 0"]
    assert list(frame["score"]) == sorted(SCORES, reverse=True)
    assert list(frame["selected"]) == [True, True, False, False, True, True]
    assert list(frame["silent"]) == [False, False, False, True, False, True]


def test_nothing_of_the_callers_is_kept_or_changed(ax):
    scores = SCORES.copy()
    display = EffectSizeDisplay.from_predictions(scores, ax=ax)
    scores[0] = 99
    assert display.scores.tolist() == SCORES.tolist()


def test_without_matplotlib_the_extra_is_named(no_matplotlib):
    with pytest.raises(ImportError, match=r"pip install \"skpopsteer\[plot\]\""):
        EffectSizeDisplay.from_predictions(SCORES)


@pytest.mark.parametrize(
    ("keywords", "match"),
    [
        ({"scores": [[1.0]]}, r"`scores` must be a 1-D array .* got shape \(1, 1\)"),
        ({"scores": [1.0, np.nan]}, r"`scores` must be .* got shape \(2,\) with NaN"),
        (
            {"selected": [0, 1]},
            r"`selected` must hold True or False .* got shape \(2,\)",
        ),
        ({"silent": [0] * 6}, r"`silent` must hold True or False .* dtype int64"),
        ({"labels": ["a"]}, r"`labels` must be one per neuron \(6\), .* got 1"),
        (
            {"ax": [1, 2]},
            r"`ax` must be one Axes of matplotlib, or None; got list of 2",
        ),
    ],
)
def test_bad_input_is_refused(keywords, match):
    with pytest.raises(ValueError, match=match):
        EffectSizeDisplay.from_predictions(**{"scores": SCORES} | keywords)


def test_what_has_no_neurons_is_refused(host, steered):
    with pytest.raises(TypeError, match=r"`estimator` must be a fitted selector"):
        EffectSizeDisplay.from_estimator(host)
    with pytest.raises(
        ValueError, match=r"`side` must be 'user' or 'item'; got 'both'"
    ):
        EffectSizeDisplay.from_estimator(steered, side="both")
    with pytest.raises(NotFittedError):
        EffectSizeDisplay.from_estimator(PopularityNeuronSelector())
