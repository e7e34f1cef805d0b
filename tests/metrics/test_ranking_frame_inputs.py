"""What a table by groups accepts, refuses and leaves untouched."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array

from skpopsteer import (
    PopularityGroups,
)
from skpopsteer import metrics as m
from skpopsteer.metrics import RankingFrame
from skpopsteer.metrics._arguments import call_arguments
from skpopsteer.model_selection import HeldOut
from skpopsteer.popularity import item_popularity
from tests.metrics.group_cells import RULE


def test_every_form_of_the_data_gives_the_same(split, lists, container):
    X, y = split
    expected = RankingFrame(["ndcg", "popreo"], X, y, lists, n_boot=0).values
    for held_out in (container(y), HeldOut(container(y)), y.tocoo()):
        values = RankingFrame(
            ["ndcg", "popreo"], container(X), held_out, lists.tolist(), n_boot=0
        ).values
        assert_array_equal(values, expected)


def test_one_held_out_item_a_user(split, lists):
    X, y = split
    one = np.full(200, -1)
    one[y.nonzero()[0]] = y.nonzero()[1]
    one[::9] = -1
    rows = np.flatnonzero(one >= 0)
    matrix = csr_array((np.ones(len(rows)), (rows, one[rows])), shape=y.shape)
    kw = {"item_groups": RULE, "n_boot": 20, "random_state": 0}
    first = RankingFrame(["ndcg", "popreo"], X, one, lists, **kw)
    second = RankingFrame(["ndcg", "popreo"], X, HeldOut(matrix), lists, **kw)
    assert_array_equal(first.values, second.values)
    assert_array_equal(first.low, second.low)
    assert np.isfinite(first.values[0]).all()


def test_one_held_out_item_that_was_seen_is_no_opportunity(split, lists):
    X, _ = split
    seen = X.toarray().argmax(axis=1)
    one = np.where(np.arange(200) % 2, seen, lists[:, 0])
    with pytest.warns(UserWarning, match=r"^`y` must not overlap `X`"):
        frame = RankingFrame("popreo", X, one, lists, item_groups=RULE, n_boot=0)
    groups = RULE.label(item_popularity(X))
    assert frame.values[0, 0, 0] == pytest.approx(m.popreo(one, lists, groups, X=X))
    assert frame.values[0, 0, 0] != pytest.approx(m.popreo(one, lists, groups))


def test_the_order_of_the_users_does_not_matter(frame, split, lists):
    order = np.random.default_rng(0).permutation(200)
    X, y = split
    shuffled = RankingFrame(
        frame.metrics, X[order], y[order], lists[order], item_groups=RULE, n_boot=0
    )
    assert_allclose(shuffled.values, frame.values)
    assert_array_equal(shuffled.n_users, frame.n_users)


def test_the_arrays_of_the_caller_stay_as_they_are(split, lists):
    X, y = (matrix.copy() for matrix in split)
    lists = lists.copy()
    for array in (X.data, X.indices, X.indptr, y.data, y.indices, y.indptr, lists):
        array.flags.writeable = False
    frame = RankingFrame(["ndcg", "gini", "popreo"], X, y, lists, n_boot=3)
    assert_array_equal(frame._cells.known["recommendations"], lists)
    assert abs(X - split[0]).nnz == abs(y - split[1]).nnz == 0


def test_an_alias_is_the_same_metric(split, lists):
    frame = RankingFrame(["GiniIndex@5", "aplt@5"], *split, lists, n_boot=0)
    assert frame.overall == {
        "GiniIndex@5": pytest.approx(m.gini(lists, 100, k=5)),
        "aplt@5": pytest.approx(
            m.tail_share(
                lists, PopularityGroups().label(item_popularity(split[0])), k=5
            )
        ),
    }


def longest(recommendations):
    return float((recommendations >= 0).sum(axis=1).max())


def first_popularity(recommendations, item_popularity, *, per_user=False):
    first = recommendations[:, 0]
    values = np.where(first >= 0, item_popularity[first], np.nan)
    return values if per_user else float(np.nanmean(values))


def ratio(recommendations, *, per_user=False):
    """Has values per user, but is not their mean."""
    filled = (recommendations >= 0).sum(axis=1)
    return 1.0 * filled if per_user else float((filled**2).sum() / filled.sum())


@pytest.mark.parametrize("function", [longest, first_popularity, ratio])
def test_a_callable_is_measured_on_the_draws_too(split, lists, function):
    labels = np.arange(200) % 2
    kept = lists[np.arange(200) % 31 > 0]
    X, y = split[0][np.arange(200) % 31 > 0], None
    labels = labels[: len(kept)]
    frame = RankingFrame(
        {"mine": (function, 7)}, X, y, kept, user_groups=labels, n_boot=5,
        random_state=1,
    )  # fmt: skip
    known = {"recommendations": kept, "item_popularity": item_popularity(X)}
    arguments = call_arguments(function, known, 7)
    assert frame.overall["mine"] == pytest.approx(function(**arguments))
    rng, draws = np.random.RandomState(1), frame._cells.draws(5, 1)
    for draw in range(5):
        rows = rng.randint(len(kept), size=len(kept))
        for group, chosen in enumerate([rows, rows[labels[rows] == 0]]):
            arguments = call_arguments(
                function, known | {"recommendations": kept[chosen]}, 7
            )
            assert draws[0, group, 0, draw] == pytest.approx(function(**arguments))


def test_a_callable_that_asks_for_item_groups_has_no_value_within_one(split, lists):
    def spread(recommendations, item_groups):
        return float(np.std(item_groups[recommendations[:, 0]]))

    frame = RankingFrame(spread, split[0], None, lists, n_boot=0)
    assert frame.metrics == ["spread"]
    assert np.isfinite(frame.values[0, :, 0]).all()
    assert np.isnan(frame.values[0, :, 1:]).all()


@pytest.mark.parametrize(
    ("metrics", "error", "message"),
    [
        (
            "ndgc@5",
            ValueError,
            "must be among average_popularity, .*; got 'ndgc@5'. Ad",
        ),
        (
            "neg_gini@5",
            ValueError,
            "must be among .*; got 'neg_gini@5'. Write 'gini@5'",
        ),
        (
            "ndcg@0",
            ValueError,
            "must have a length >= 1 behind the @; got 'ndcg@0'. Wr",
        ),
        (
            "ndcg@",
            ValueError,
            "must have a length >= 1 behind the @; got 'ndcg@'. Writ",
        ),
        ([], ValueError, r"must have at least one name, each once; got \[\]. A dict"),
        (
            ["gini", "gini"],
            ValueError,
            "must have at least one name, each once; got .*",
        ),
        (3, TypeError, "must be names, callables, or a dict of them; got 3. Write"),
    ],
)
def test_bad_metrics_are_refused(split, lists, metrics, error, message):
    with pytest.raises(error, match=f"^`metrics` {message}"):
        RankingFrame(metrics, *split, lists)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"n_boot": -1}, "`n_boot` must be an integer >= 0; got -1. Use 0"),
        ({"n_boot": 2.0}, "`n_boot` must be an integer >= 0; got 2.0. Use 0"),
        ({"confidence": 1}, r"`confidence` must be a number in \(0, 1\); got 1. Write"),
        (
            {"confidence": "9"},
            r"`confidence` must be a number in \(0, 1\); got '9'. Wr",
        ),
        (
            {"user_groups": ["a"]},
            r"`user_groups` must be 1-D .* \(200\); got shape \(1,",
        ),
        ({"user_groups": ["all"] * 200}, "`user_groups` must not hold the label 'all'"),
        (
            {"item_groups": [1, -1]},
            r"`item_groups` must hold one value .* \(100\); got 2",
        ),
        (
            {"item_popularity": [1, 2]},
            "`item_popularity` must hold one value .* got 2. i",
        ),
        ({"item_popularity": [-1] * 100}, "`item_popularity` must hold finite numbers"),
        (
            {"n_train_users": 0},
            "`n_train_users` must be a positive integer; got 0. Pas",
        ),
    ],
)
def test_bad_parameters_are_refused(split, lists, params, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        RankingFrame("ndcg", *split, lists, **params)


def test_bad_data_are_refused(split, lists):
    X, y = split
    for arguments, message in [
        (
            (X, None, lists),
            r"`y` must hold held-out interactions for ndcg; got None. h",
        ),
        ((X, X, lists), "`y` must not overlap `X`"),
        (
            (X[:9], y, lists),
            r"`recommendations` must hold one list per row .* \(9\), at",
        ),
        ((X, y[:9], lists), "`y` must have one row per list"),
        (
            (X[:0], y[:0], lists[:0]),
            "`recommendations` must hold one list .*; got 0. P",
        ),
        (
            (X[:, :9], y[:, :9], lists),
            "`recommendations` must hold item .* below 9, the",
        ),
        ((-X, y, lists), "`X` must hold interactions >= 0"),
    ]:
        with pytest.raises(ValueError, match=f"^{message}") as caught:
            RankingFrame("ndcg", *arguments)
        assert "\n" not in str(caught.value)
