"""Metrics of any lists: what the loops say, or one clear line."""

import inspect
import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy.sparse import issparse

import skpopsteer.metrics
from skpopsteer.metrics import (
    PairedComparison,
    RankingFrame,
    RecommenderScorer,
    get_scorer,
    get_scorer_names,
    make_recommender_scorer,
    taste_groups,
)
from skpopsteer.metrics.scorers import SCORES, score_bounds
from skpopsteer.model_selection import HeldOut
from skpopsteer.popularity import PopularityGroups
from tests.fuzz.budget import examples
from tests.fuzz.calls import Refusal, answer, attempt, refusal
from tests.fuzz.covering import covers
from tests.fuzz.plain_metrics import PLAIN, World
from tests.fuzz.strategies import (
    bad_counts,
    bad_groups,
    bad_lists,
    bad_matrices,
    bad_per_item,
    bad_shares,
    dense_forms,
    generators,
    good_groups,
    good_lists,
    good_popularity,
    histories,
    nonsense,
    random_states,
    shapes,
    sparse_forms,
    vector_forms,
)

BAD = {
    "y": lambda shape: bad_matrices(shape, allow_dense=False).filter(
        lambda y: not isinstance(y, int)
    ),
    "X": lambda shape: bad_matrices(shape, allow_dense=False).filter(
        lambda X: X is not None
    ),
    "recommendations": lambda shape: bad_lists(*shape),
    "item_popularity": lambda shape: bad_per_item(shape[1]),
    "item_groups": lambda shape: bad_groups(shape[1]),
    "n_items": lambda shape: bad_counts(None),
    "n_users": lambda shape: bad_counts(None),
    "k": lambda shape: bad_counts(10**30, 7),
    "min_exposures": lambda shape: bad_counts(None),
}


def _pairs(dense):
    return [set(np.flatnonzero(row).tolist()) for row in dense]


@st.composite
def worlds(draw, min_users=0):
    """Good arguments of every metric by name, and the same in plain form."""
    shape = n_users, n_items = draw(shapes(min_users=min_users, min_items=2))
    given_lists, lists = draw(good_lists(*shape))
    k = draw(st.one_of(st.none(), st.integers(1, lists.shape[1])))
    cut = lists[:, :k].tolist()
    X = draw(histories(shape))
    if draw(st.booleans()):
        held_out = np.where(X > 0, 0.0, draw(histories(shape)))
        y, sets = draw(sparse_forms(held_out)), _pairs(held_out)
    else:
        rng = draw(generators())
        one = rng.integers(-1, n_items, n_users)
        one = np.where(X[np.arange(n_users), one] > 0, -1, one)
        y = draw(vector_forms(one, ("int64", "int32", "int8")))
        sets = [{item} - {-1} for item in one.tolist()]
    if draw(st.booleans()):
        y = HeldOut(y)
    popularity, plain_popularity = draw(good_popularity(n_items))
    groups, plain_groups = draw(good_groups(n_items, n_groups=2))
    n_train_users = max(1, n_users, math.ceil(plain_popularity.max()))
    if k is not None:
        k = draw(st.sampled_from([int, np.int64, np.int8, np.uint16]))(k)
    arguments = {
        "recommendations": given_lists,
        "y": y,
        "X": draw(sparse_forms(X)),
        "item_popularity": popularity,
        "item_groups": groups,
        "n_items": n_items,
        "n_users": n_train_users,
        "k": k,
    }
    world = World(
        cut,
        sets,
        _pairs(X),
        plain_popularity.tolist(),
        plain_groups.tolist(),
        n_users,
        n_train_users,
    )
    return shape, arguments, world


def _need_the_rest_to_tell(shape, arguments):
    """Pass over lists of other users or items where nothing says whose they are."""
    lists = arguments["recommendations"]
    y = getattr(arguments.get("y"), "y", arguments.get("y"))
    of_users = "X" in arguments or y is not None
    of_items = len(arguments) > len({"recommendations", "y", "k"} & set(arguments))
    of_items = of_items or issparse(y)
    if isinstance(lists, np.ndarray) and lists.dtype == np.int64 and lists.ndim == 2:
        assume(of_users or len(lists) <= max(1, shape[0]))
        assume(of_items or lists.max(initial=0) != shape[1])


def _arguments(function, known):
    names = inspect.signature(function).parameters
    return {name: known[name] for name in names if name in known}


METRICS = sorted(PLAIN)
BY_NAME = {name: getattr(skpopsteer.metrics, name) for name in METRICS}
MEASURED = [f"metrics.{name}" for name in METRICS]


@covers(*MEASURED)
@pytest.mark.parametrize("name", METRICS)
@examples(25)
@given(drawn=worlds(), per_user=st.booleans())
def test_metric_is_what_the_loops_say(name, drawn, per_user):
    _, known, world = drawn
    function = BY_NAME[name]
    arguments = _arguments(function, known)
    per_user = per_user and "per_user" in inspect.signature(function).parameters
    if per_user:
        arguments["per_user"] = True
    value = answer(function, **arguments)
    assert_allclose(value, PLAIN[name](world, per_user), rtol=1e-9, atol=1e-9)
    assert isinstance(value, np.ndarray if per_user else float)
    low, high = score_bounds(function, 1)
    values = np.atleast_1d(value)
    defined = values[~np.isnan(values)]
    assert ((defined >= low - 1e-9) & (defined <= high + 1e-9)).all()
    np.testing.assert_array_equal(value, answer(function, **arguments))


@pytest.mark.parametrize("name", METRICS)
@examples(25)
@given(drawn=worlds(min_users=1), data=st.data())
def test_metric_refuses_bad_arguments(name, drawn, data):
    shape, known, _ = drawn
    function = BY_NAME[name]
    arguments = _arguments(function, known)
    broken = data.draw(st.sampled_from(sorted(arguments)))
    arguments[broken] = data.draw(BAD[broken](shape))
    if broken == "recommendations":
        # Columns beyond `k` are cut off, whatever they hold.
        arguments.pop("k", None)
        _need_the_rest_to_tell(shape, arguments)
    assert f"`{broken}`" in refusal(function, **arguments)


@examples(60)
@given(
    drawn=worlds(min_users=1),
    name=st.sampled_from(METRICS),
    odd=nonsense(),
    data=st.data(),
)
def test_metric_of_nonsense_is_refused_or_in_range(drawn, name, odd, data):
    _, known, _ = drawn
    function = BY_NAME[name]
    arguments = _arguments(function, known)
    arguments[data.draw(st.sampled_from(sorted(arguments)))] = odd
    value = attempt(function, **arguments)
    if not isinstance(value, Refusal):
        low, high = score_bounds(function, 1)
        assert math.isnan(value) or low - 1e-9 <= value <= high + 1e-9


@covers("metrics.taste_groups")
@examples(60)
@given(drawn=worlds(), share=st.floats(0, 0.5, exclude_min=True))
def test_taste_groups(drawn, share):
    shape, known, world = drawn
    labels = answer(taste_groups, known["X"], known["item_groups"], share=share)
    assert labels.shape == (shape[0],)
    head = [
        sum(world.groups[i] == 1 for i in items) / len(items) if items else math.nan
        for items in world.X
    ]
    ordered = sorted(h for h in head if not math.isnan(h))
    n_each = max(1, round(share * len(ordered)))
    for label, value in zip(labels, head, strict=True):
        if math.isnan(value):
            assert label == "no history"
            continue
        niche, hits = value <= ordered[n_each - 1], value >= ordered[-n_each]
        wanted = {(True, False): "niche", (False, True): "blockbuster"}
        assert label == wanted.get((niche, hits), "diverse")


@examples(60)
@given(drawn=worlds(min_users=1), data=st.data())
def test_taste_groups_refuse(drawn, data):
    shape, known, _ = drawn
    X, groups, share = known["X"], known["item_groups"], 0.2
    which = data.draw(st.sampled_from(["X", "item_groups", "share"]))
    if which == "X":
        X = data.draw(bad_matrices(shape))
    elif which == "item_groups":
        groups = data.draw(bad_groups(shape[1]))
    else:
        share = data.draw(bad_shares(0.6).filter(lambda s: s is not True))
    refusal(taste_groups, X, groups, share=share)


class Host:
    """What a scorer asks of a recommender, around fixed lists."""

    n_recommendations = 2

    def __init__(self, lists):
        self.lists = lists

    def recommend(self, X, n_recommendations=None, user_ids=None):
        n = n_recommendations or self.n_recommendations
        padding = np.full((len(self.lists), n), -1)
        return np.hstack([self.lists, padding])[:, :n]


NAMES = get_scorer_names()


@covers("metrics.get_scorer", "metrics.get_scorer_names", "metrics.RecommenderScorer")
@examples(60)
@given(
    drawn=worlds(min_users=1),
    names=st.lists(st.sampled_from(NAMES), min_size=1, max_size=4, unique=True),
    k=st.one_of(st.none(), st.integers(1, 9)),
)
def test_scorer_is_the_metric(drawn, names, k):
    _, known, world = drawn
    assume(any(world.y))
    host = Host(np.asarray(known["recommendations"], dtype=np.int64))
    scored = [name if k is None else f"{name}@{k}" for name in names]
    scorer = answer(get_scorer, scored)
    assert isinstance(scorer, RecommenderScorer)
    X, y = known["X"], known["y"]
    if any(np.shape(part)[0] != world.n_users for part in (X,)):
        return
    scores = answer(scorer, host, X, y)
    assert list(scores) == scored
    popularity = np.bincount(
        [i for row in world.X for i in row], minlength=world.n_items
    ).tolist()
    n = k or host.n_recommendations
    for name, score in zip(names, scores.values(), strict=True):
        sign = -1 if name.startswith("neg_") else 1
        plain = {"map": "mean_average_precision"}.get(
            name.removeprefix("neg_"), name.removeprefix("neg_")
        )
        here = World(
            host.recommend(None, n).tolist(),
            world.y,
            world.X,
            popularity,
            PopularityGroups().label(popularity).tolist(),
            world.n_users,
            world.n_users,
        )
        assert_allclose(score, sign * PLAIN[plain](here, False), rtol=1e-9, atol=1e-9)


@examples(80)
@given(
    name=st.one_of(
        nonsense(),
        st.text(max_size=12),
        st.sampled_from(NAMES).flatmap(
            lambda n: st.sampled_from(
                [
                    f"{n}@0",
                    f"{n}@-1",
                    f"{n}@",
                    f"{n}@x",
                    f"{n}@1.5",
                    f"{n}@1@2",
                    f"{n}@²",
                    f" {n}",
                    f"neg_{n}",
                    [n, 5],
                    [n, None],
                    {n: None},
                ]
            )
        ),
    )
)
def test_scorer_refuses_other_names(name):
    scorer = attempt(get_scorer, name)
    if not isinstance(scorer, Refusal):
        # Names come in capitals too, and as the keys of a dict.
        assert {n.lower().partition("@")[0] for n in scorer.metrics} <= set(NAMES)


@covers("metrics.make_recommender_scorer")
@examples(40)
@given(
    drawn=worlds(min_users=1),
    name=st.sampled_from(METRICS),
    k=st.one_of(st.none(), st.integers(1, 4), bad_counts()),
    greater=st.booleans(),
)
def test_make_recommender_scorer(drawn, name, k, greater):
    _, known, world = drawn
    assume(any(world.y))
    host = Host(np.asarray(known["recommendations"], dtype=np.int64))
    scorer = attempt(
        make_recommender_scorer, BY_NAME[name], k=k, greater_is_better=greater
    )
    good = k is None or (type(k) is int and k >= 1)
    assert isinstance(scorer, Refusal) is not good
    if good:
        value = answer(scorer, host, known["X"], known["y"])
        low, high = score_bounds(BY_NAME[name], 1 if greater else -1)
        assert math.isnan(value) or low - 1e-9 <= value <= high + 1e-9


@examples(40)
@given(function=nonsense(type, type(print)))
def test_make_recommender_scorer_refuses(function):
    refusal(make_recommender_scorer, function)


FRAME_METRICS = [n.removeprefix("neg_") for n in NAMES] + ["slot_share"]


@covers("metrics.RankingFrame", "metrics.PairedComparison")
@examples(25)
@given(
    drawn=worlds(min_users=1),
    names=st.lists(st.sampled_from(FRAME_METRICS), min_size=1, max_size=3, unique=True),
    n_boot=st.sampled_from([0, 1, 5]),
    random_state=random_states(),
    data=st.data(),
)
def test_frame_is_the_metric(drawn, names, n_boot, random_state, data):
    _, known, world = drawn
    assume(any(world.y))
    labels = data.draw(
        st.one_of(
            st.none(),
            st.lists(
                st.sampled_from(["a", "b", "c"]),
                min_size=world.n_users,
                max_size=world.n_users,
            ),
            st.lists(st.integers(0, 1), min_size=world.n_users, max_size=world.n_users),
        )
    )
    frame = answer(
        RankingFrame,
        names,
        known["X"],
        known["y"],
        known["recommendations"],
        item_popularity=known["item_popularity"],
        n_train_users=known["n_users"],
        item_groups=known["item_groups"],
        user_groups=labels,
        n_boot=n_boot,
        random_state=random_state,
    )
    world.lists = np.asarray(known["recommendations"]).tolist()
    for name in names:
        if name != "slot_share":
            plain = {"map": "mean_average_precision"}.get(name, name)
            wanted = PLAIN[plain](world, False)
            assert_allclose(frame.overall[name], wanted, rtol=1e-9, atol=1e-9)
    assert frame.values.shape == frame.low.shape == frame.n_users.shape
    assert (frame.low <= frame.high)[~np.isnan(frame.low)].all()
    assert (frame.n_users[:, 0] <= world.n_users).all()
    assert str(frame)
    assert frame._repr_html_()
    change = answer(frame.compare, frame)
    assert isinstance(change, PairedComparison)
    assert (change.difference[~np.isnan(change.difference)] == 0).all()
    assert str(change)
    for gap in answer(frame.difference).values():
        assert math.isnan(gap.value) or gap.value >= 0


@examples(60)
@given(drawn=worlds(min_users=1), data=st.data())
def test_frame_refuses_bad_arguments(drawn, data):
    shape, known, world = drawn
    assume(any(world.y))
    arguments = {
        "metrics": "ndcg",
        "X": known["X"],
        "y": known["y"],
        "recommendations": known["recommendations"],
        "n_boot": 2,
    }
    bad = {
        "metrics": st.one_of(
            nonsense(type, type(print)),
            st.sampled_from([["ndcg", "ndcg"], ["@"], "ndcg@0"]),
        ),
        "X": bad_matrices(shape),
        "y": bad_matrices(shape, allow_dense=False),
        "recommendations": bad_lists(*shape),
        "item_popularity": bad_per_item(shape[1]).filter(lambda v: v is not None),
        "n_train_users": bad_counts(),
        "item_groups": bad_groups(shape[1]),
        "user_groups": st.one_of(
            nonsense(None), st.just(["all"] * shape[0]), st.just(["a"] * (shape[0] + 1))
        ),
        "n_boot": bad_counts(None).filter(lambda n: type(n) is not int or n < 0),
        "confidence": bad_shares(None),
        "random_state": nonsense(None, int, bool),
    }
    broken = data.draw(st.sampled_from(sorted(bad)))
    arguments[broken] = data.draw(bad[broken])
    line = refusal(RankingFrame, **arguments)
    assert f"`{broken}`" in line or broken in ("random_state",)


@examples(40)
@given(drawn=worlds(min_users=1), odd=nonsense(), data=st.data())
def test_frame_methods_refuse(drawn, odd, data):
    _, known, world = drawn
    assume(any(world.y))
    frame = RankingFrame(
        "ndcg", known["X"], known["y"], known["recommendations"], n_boot=2
    )
    refusal(frame.compare, odd)
    refusal(frame.difference, odd)
    refusal(frame.to_frame, odd)
    if odd is not None:
        refusal(frame.compare, frame, adjust=odd)


@examples(60)
@given(drawn=worlds(min_users=1), dense=st.booleans(), data=st.data())
def test_frame_from_estimator(drawn, dense, data):
    _, known, world = drawn
    assume(any(world.y))
    lists = np.asarray(known["recommendations"], dtype=np.int64)
    X = np.zeros((world.n_users, world.n_items))
    for user, items in enumerate(world.X):
        X[user, list(items)] = 1
    X = data.draw(dense_forms(X)) if dense else known["X"]
    metrics = data.draw(st.sampled_from(sorted(SCORES)))
    frame = answer(
        RankingFrame.from_estimator, Host(lists), X, known["y"], metrics, n_boot=0
    )
    assert frame.values.shape[0] == 1
