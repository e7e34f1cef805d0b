"""Two tables: paired differences, tests of the right size."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array
from scipy.stats import false_discovery_control, wilcoxon

from skpopsteer import metrics as m
from skpopsteer.metrics import RankingFrame
from skpopsteer.popularity import item_popularity
from tests.metrics.group_cells import RULE


def test_differences_are_paired_over_the_draws(pair, other):
    first, change = pair
    assert_allclose(change.difference, other.values - first.values)
    # The seed of `other` is another one: its draws are made anew with that of `first`.
    draws = other._cells.draws(200, 4) - first._cells.draws(200, 4)
    whole = ~np.isnan(draws).any(axis=-1)
    assert whole[:, 0].all()
    shift = np.nan_to_num(change.difference - draws.mean(axis=-1))
    # Only what is no mean over users is shifted.
    shift[[first.metrics.index(name) for name in ("ndcg@6", "novelty@6")]] = 0
    draws = (draws + shift[..., np.newaxis])[whole]
    ends = np.quantile(draws, [0.025, 0.975], axis=-1)
    assert_allclose([change.low[whole], change.high[whole]], ends)
    tails = np.minimum((draws <= 0).sum(axis=-1), (draws >= 0).sum(axis=-1))
    expected = np.minimum(1, 2 * (1 + tails) / 201)
    assert_allclose(change.p_bootstrap[whole], expected)
    assert (change.p_bootstrap > 0).all()


def test_pairing_narrows_the_interval(pair, other):
    first, change = pair
    i = first.metrics.index("ndcg@6")
    alone = np.hypot(
        first.high[i, 0, 0] - first.low[i, 0, 0],
        other.high[i, 0, 0] - other.low[i, 0, 0],
    )
    assert change.high[i, 0, 0] - change.low[i, 0, 0] < 0.8 * alone


def test_wilcoxon_is_that_of_scipy_where_users_are_paired(pair, other, known):
    first, change = pair
    i = first.metrics.index("ndcg@6")
    theirs = other._cells.known["recommendations"]
    values = [
        m.ndcg(known["y"], ids, k=6, per_user=True)
        for ids in (known["recommendations"], theirs)
    ]
    expected = wilcoxon(*(v[~np.isnan(v)] for v in values)).pvalue
    assert change.p_wilcoxon[i, 0, 0] == pytest.approx(expected)
    # Novelty is a mean over other users where a list of `first` is empty.
    for name in ("gini@6", "novelty@6", "popularity_lift@6"):
        assert np.isnan(change.p_wilcoxon[first.metrics.index(name)]).all()


def test_p_values_are_adjusted_over_the_cells(pair, other):
    first, change = pair
    for p, adjusted in [
        (change.p_bootstrap, change.p_bootstrap_adjusted),
        (change.p_wilcoxon, change.p_wilcoxon_adjusted),
    ]:
        known = ~np.isnan(p)
        assert_array_equal(np.isnan(adjusted), ~known)
        assert_allclose(adjusted[known], false_discovery_control(p[known]))
    strict = first.compare(other, adjust="by")
    known = ~np.isnan(strict.p_wilcoxon)
    assert_allclose(
        strict.p_wilcoxon_adjusted[known],
        false_discovery_control(strict.p_wilcoxon[known], method="by"),
    )
    plain = first.compare(other, adjust=None)
    assert_array_equal(plain.p_bootstrap_adjusted, plain.p_bootstrap)
    assert "neither adjusted" in plain.notes[-1]


def test_a_table_does_not_differ_from_itself(frame):
    change = frame.compare(frame)
    defined = ~np.isnan(frame.values)
    for values in (change.difference, change.low, change.high):
        assert (values[defined] == 0).all()
    assert (change.p_bootstrap[defined] == 1).all()
    ndcg = frame.metrics.index("ndcg@6")
    assert (change.p_wilcoxon[ndcg] == 1).all()


def test_the_tests_have_their_size_under_the_null():
    # Both recommenders hit a user with probability 0.3, on their own.
    rng = np.random.default_rng(2)
    X, y, groups = csr_array((120, 4)), np.zeros(120, dtype=int), [1, 0, -1, -1]
    rejected = np.zeros(2)
    for seed in range(300):
        first, second = (
            RankingFrame(
                "mrr", X, y, _ranked(rng, 120), item_groups=groups, n_boot=199,
                random_state=seed,
            )
            for _ in range(2)
        )  # fmt: skip
        change = first.compare(second, adjust=None)
        rejected += [
            change.p_bootstrap[0, 0, 0] <= 0.05, change.p_wilcoxon[0, 0, 0] <= 0.05
        ]  # fmt: skip
    # 5 %, with three standard errors of 300 samples.
    assert (np.abs(rejected / 300 - 0.05) < 3 * 0.0126).all()


def _ranked(rng, n_users):
    return np.argsort(rng.random((n_users, 4)), axis=1)[:, :3]


def test_the_tests_find_a_difference():
    rng = np.random.default_rng(3)
    X, y = csr_array((120, 4)), np.zeros(120, dtype=int)
    worse, groups = _ranked(rng, 120), [1, 0, -1, -1]
    better = worse.copy()
    better[:30] = [0, 1, 2]
    first = RankingFrame("mrr", X, y, worse, item_groups=groups, random_state=0)
    second = RankingFrame("mrr", X, y, better, item_groups=groups)
    change = first.compare(second)
    assert change.low[0, 0, 0] > 0
    assert change.p_bootstrap[0, 0, 0] == pytest.approx(2 / 1001)
    assert change.p_wilcoxon[0, 0, 0] < 0.001


@pytest.mark.parametrize("what", ["X", "y", "popularity", "items", "users", "metrics"])
def test_tables_of_other_questions_are_refused(split, lists, what):
    X, y = split
    first = RankingFrame("ndcg", X, y, lists, n_boot=2)
    popularity = item_popularity(X)
    changed = {
        "X": ("ndcg", X * 2, y, {}),
        "y": ("ndcg", X, csr_array(y.toarray() * (np.arange(200) > 9)[:, None]), {}),
        "popularity": ("ndcg", X, y, {"item_popularity": popularity * 2}),
        "items": ("ndcg", X, y, {"item_groups": RULE}),
        "users": ("ndcg", X, y, {"user_groups": np.arange(200) % 3}),
        "metrics": ("ndcg@3", X, y, {}),
    }
    name, X_, y_, params = changed[what]
    second = RankingFrame(name, X_, y_, lists, n_boot=2, **params)
    names = {"popularity": "item_popularity", "items": "item_groups",
             "users": "user_groups"}  # fmt: skip
    message = f"^`other` must have the same `{names.get(what, what)}` as this table; go"
    with pytest.raises(ValueError, match=message):
        first.compare(second)


def test_what_is_no_table_is_refused(frame):
    with pytest.raises(TypeError, match=r"^`other` must be a RankingFrame; got dict. "):
        frame.compare({})
    with pytest.raises(ValueError, match=r"^`adjust` must be 'bh', 'by' or None; got "):
        frame.compare(frame, adjust="holm")
