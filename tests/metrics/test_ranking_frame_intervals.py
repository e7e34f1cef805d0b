"""Intervals of a table by groups: right draws, right size."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.sparse import csr_array

from skpopsteer.metrics import RankingFrame, taste_groups
from skpopsteer.metrics._arguments import call_arguments
from skpopsteer.metrics._bootstrap import bootstrap_metric
from tests.metrics.group_cells import FUNCTIONS, RULE, cell, columns_of, rows_of


@pytest.mark.parametrize("name", FUNCTIONS)
def test_draws_are_the_metric_of_the_drawn_users(frame, known, name):
    arguments = call_arguments(FUNCTIONS[name], known, 6)
    expected = bootstrap_metric(FUNCTIONS[name], arguments, n_boot=40, seed=3)
    draws = frame._cells.draws(40, 3)
    assert_allclose(draws[cell(frame, f"{name}@6")], expected)


@pytest.mark.parametrize("name", ["ndcg", "entropy", "coverage", "popularity_lift"])
def test_groups_follow_the_drawn_users(frame, known, name):
    tail = np.flatnonzero(known["item_groups"] == -1)
    niche = taste_groups(known["X"], known["item_groups"]) == "niche"
    draws, rng = frame._cells.draws(40, 3), np.random.RandomState(3)
    for draw in range(5):
        rows = rng.randint(200, size=200)
        within = columns_of(rows_of(known, rows[niche[rows]]), tail)
        expected = FUNCTIONS[name](**call_arguments(FUNCTIONS[name], within, 6))
        value = draws[cell(frame, f"{name}@6", "niche", "tail")][draw]
        assert value == pytest.approx(expected, abs=1e-12)


def test_blocks_of_draws_make_one_sequence(frame, split, lists, monkeypatch):
    monkeypatch.setattr("skpopsteer.metrics._bootstrap._BLOCK", 3 * 200)
    again = RankingFrame(
        frame.metrics, *split, lists, item_groups=RULE, n_boot=40, random_state=3
    )
    assert_allclose(again.low, frame.low)


def test_the_same_seed_gives_the_same_interval(split, lists):
    def interval(random_state):
        frame = RankingFrame(
            "ndcg", *split, lists, n_boot=50, random_state=random_state
        )
        return frame.low[0, 0, 0], frame.high[0, 0, 0]

    assert interval(1) == interval(1) != interval(2)
    assert interval(np.random.RandomState(1)) == interval(np.random.RandomState(1))
    assert interval(None) != interval(None)


def test_intervals_hold_the_value_and_widen_with_confidence(frame, split, lists):
    wide = RankingFrame(
        frame.metrics, *split, lists, item_groups=RULE, n_boot=40, confidence=0.99,
        random_state=3,
    )  # fmt: skip
    defined = ~np.isnan(frame.values)
    assert (frame.low <= frame.values + 1e-9)[defined].all()
    assert (frame.values <= frame.high + 1e-9)[defined].all()
    assert (wide.low <= frame.low)[defined].all()
    assert (wide.high - wide.low)[defined].sum() > (frame.high - frame.low)[
        defined
    ].sum()
    assert np.isnan(frame.low[~defined]).all()


@pytest.mark.parametrize("metric", ["coverage", "recall"])
def test_draws_without_a_user_of_the_group_are_left_out(metric):
    # The one user of "b" is in 63 % of the draws, and alike in all of them.
    X, y = csr_array((10, 4)), np.zeros(10, dtype=int)
    lists = np.tile([0, 1], (10, 1))
    frame = RankingFrame(
        metric, X, y, lists, user_groups=["a"] * 9 + ["b"], item_groups=[1, 0, -1, -1],
        n_boot=100, random_state=0,
    )  # fmt: skip
    value = {"coverage": 0.5, "recall": 1.0}[metric]
    assert frame.values[0, 2, 0] == value
    draws = frame._cells.draws(100, 0)[0, 2, 0]
    assert 0.5 < np.isnan(draws).mean() + 0.2 < 0.7
    assert frame.low[0, 2, 0] == frame.high[0, 2, 0] == pytest.approx(value)


def test_no_draws_no_intervals(split, lists):
    frame = RankingFrame("ndcg", *split, lists, n_boot=0)
    assert np.isnan(frame.low).all()
    assert "Brackets" not in str(frame)
    assert "[" not in str(frame)


def test_the_interval_of_a_mean_holds_a_known_probability():
    # A user is hit with probability 0.3, one in four is niche: 95 % of intervals hold
    # it, up to three standard errors of 200 samples.
    rng = np.random.default_rng(0)
    X, y = csr_array((200, 3)), np.zeros(200, dtype=int)
    covered = np.zeros(2)
    for sample in range(200):
        lists = np.where(rng.random(200) < 0.3, 0, 1)[:, np.newaxis]
        frame = RankingFrame(
            "hit_rate@1", X, y, lists, item_groups=[1, 0, -1],
            user_groups=rng.random(200) < 0.25, n_boot=200, random_state=sample,
        )  # fmt: skip
        held = (frame.low <= 0.3) & (frame.high >= 0.3)
        covered += held[0, [0, 2], 0]
    assert (covered / 200 > 0.95 - 3 * 0.0154).all()
    assert (covered / 200 < 1).all()


def test_the_interval_of_coverage_holds_its_expectation():
    # Each of 100 users gets one of 150 items by Zipf's law: 1 - (1 - p)^100 of each is
    # the expected coverage, which percentiles that are not shifted never reach.
    rng = np.random.default_rng(1)
    p = 1 / np.arange(1, 151)
    p /= p.sum()
    expected = (1 - (1 - p) ** 100).mean()
    groups = np.repeat([1, -1], [15, 135])
    covered = plain = 0
    for sample in range(150):
        lists = rng.choice(150, size=(100, 1), p=p)
        frame = RankingFrame(
            "coverage", csr_array((100, 150)), None, lists, item_groups=groups,
            n_boot=200, random_state=sample,
        )  # fmt: skip
        covered += frame.low[0, 0, 0] <= expected <= frame.high[0, 0, 0]
        draws = frame._cells.draws(200, sample)[0, 0, 0]
        plain += np.quantile(draws, 0.025) <= expected <= np.quantile(draws, 0.975)
    # Not 95 %: how rare the rarest items are, no draw can tell. But not 0 either.
    assert plain == 0
    assert 0.7 < covered / 150 < 0.95


def test_the_gap_is_between_the_extreme_groups(frame):
    for item_group in frame.item_groups:
        gaps = frame.difference(item_group)
        column = frame.item_groups.index(item_group)
        for i, name in enumerate(frame.metrics):
            values = frame.values[i, 1:, column]
            if np.isnan(values).all():
                assert gaps[name].highest == gaps[name].lowest == ""
                assert np.isnan(gaps[name].value)
                continue
            assert gaps[name].value == pytest.approx(np.ptp(values))
            assert gaps[name].low <= gaps[name].value <= gaps[name].high
            top = frame.values[cell(frame, name, gaps[name].highest, item_group)]
            bottom = frame.values[cell(frame, name, gaps[name].lowest, item_group)]
            assert top - bottom == pytest.approx(gaps[name].value)


def test_the_gap_uses_the_same_draws_for_both_groups(frame):
    gap = frame.difference()["gini@6"]
    draws = frame._cells.draws(40, 3)
    draws = (
        draws[cell(frame, "gini@6", gap.highest)]
        - draws[cell(frame, "gini@6", gap.lowest)]
    )
    # No mean: the draws are shifted to have the gap as their mean.
    ends = np.quantile(draws - draws.mean() + gap.value, [0.025, 0.975])
    assert_allclose([gap.low, gap.high], ends)


def test_a_gap_within_an_unknown_item_group_is_refused(frame):
    message = r"^`item_group` must be one of all, head, mid, tail; got 'middle'. Name"
    with pytest.raises(ValueError, match=message):
        frame.difference("middle")
