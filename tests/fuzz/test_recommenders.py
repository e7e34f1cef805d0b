"""Lists of every recommender: whole, in order, of allowed items, the same twice."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from scipy.sparse import csr_array

from skpopsteer.steering import SteeredRecommender
from tests.fuzz.budget import examples
from tests.fuzz.calls import Refusal, answer, attempt, refusal
from tests.fuzz.covering import covers
from tests.fuzz.models import (
    HELD_OUT,
    N_ITEMS,
    RECOMMENDERS,
    RERANKERS,
    SHAPE,
    TRAIN,
    fitted,
    table_host,
    with_host,
)
from tests.fuzz.strategies import (
    bad_counts,
    bad_matrices,
    bad_user_ids,
    dense_forms,
    generators,
    histories,
    nonsense,
    shape_of,
    shapes,
    sparse_forms,
    strange_forms,
)

NAMES = sorted(RECOMMENDERS)
#: What is refused as a strength, whatever the knob.
BAD_STRENGTHS = [
    "1",
    "",
    b"1",
    [1],
    (1,),
    np.array([1.0]),
    1j,
    float("nan"),
    float("inf"),
    -float("inf"),
    10**400,
    object(),
    {"no such knob": 1.0},
    {1: 1.0},
    {"first": "x"},
]


@st.composite
def rows(draw, max_users=5):
    """Some users, dense and in any form a caller may hold."""
    shape = draw(st.integers(1, max_users)), N_ITEMS
    # Of weights as large as times, least squares cannot always be solved.
    dense = draw(histories(shape, ("ones", "counts", "ratings")))
    form = draw(st.one_of(sparse_forms(dense), dense_forms(dense)))
    return dense, form


@st.composite
def item_choices(draw, n_users):
    """Items of a filter in any of its forms, and as a mask (n_users, n_items)."""
    rng = draw(generators())
    kind = draw(st.sampled_from(["none", "flat", "rows", "table", "sparse"]))
    if kind == "none":
        return None, None
    mask = rng.random((n_users, N_ITEMS)) < draw(st.sampled_from([0.5, 0.0, 0.1, 1.0]))
    if kind == "flat":
        mask[:] = mask[0]
        items = [*np.flatnonzero(mask[0]).tolist(), -1]
        return draw(
            st.sampled_from([items, tuple(items), np.array(items, np.int16)])
        ), mask
    if kind == "sparse":
        return draw(sparse_forms(mask.astype(float))), mask
    lists = [np.flatnonzero(row).tolist() for row in mask]
    if kind == "table":
        width = max(map(len, lists)) + 1
        return np.array([row + [-1] * (width - len(row)) for row in lists]), mask
    return lists, mask


def require_lists(ids, scores, allowed, n):
    """Check what every list promises."""
    assert ids.shape == scores.shape == (len(allowed), n)
    assert ids.dtype == np.int64
    assert scores.dtype == np.float32
    for row, of_row, may in zip(ids, scores, allowed, strict=True):
        length = int((row >= 0).sum())
        assert (row[:length] >= 0).all()
        assert (row[length:] == -1).all()
        items = row[:length]
        assert len(set(items.tolist())) == length
        assert (items < N_ITEMS).all()
        assert may[items].all()
        assert length == min(n, int(may.sum()))
        assert np.isfinite(of_row[:length]).all()
        assert (of_row[length:] == -np.inf).all()


@covers(
    *(
        f"{type(i).__module__.split('.')[1]}.{type(i).__name__}"
        for i in RECOMMENDERS.values()
    ),
    "base.RecommenderMixin",
    "adapters.as_recommender",
    "adapters.ArrayRecommender",
)
@pytest.mark.parametrize("name", NAMES)
@examples(12)
@given(
    drawn=rows(),
    n=st.one_of(st.integers(1, 20), st.just(np.int32(3))),
    exclude_seen=st.booleans(),
    strength=st.sampled_from([None, 0, 0.3, 1, 5.0, np.float32(0.5)]),
    data=st.data(),
)
def test_lists(name, drawn, n, exclude_seen, strength, data):
    model = fitted(name)
    dense, X = drawn
    candidates, among = data.draw(item_choices(len(dense)))
    exclude, without = data.draw(item_choices(len(dense)))
    allowed = ~(dense > 0) if exclude_seen else np.ones(dense.shape, bool)
    allowed = allowed if among is None else allowed & among
    allowed = allowed if without is None else allowed & ~without
    options = {
        "exclude_seen": exclude_seen,
        "candidates": candidates,
        "exclude": exclude,
        "return_scores": True,
    }
    if name in RERANKERS and "Relevance" not in name:
        options["strength"] = strength
    ids, scores = answer(model.recommend, X, n, **options)
    require_lists(ids, scores, allowed, n)
    again, same_scores = answer(model.recommend, X, n, **options)
    assert_array_equal(ids, again)
    assert_array_equal(scores, same_scores)
    if strength == 0 and "strength" in options and _turns_nothing(model):
        del options["strength"]
        # A slot pricing turns back to its calibrator, which others have none of.
        host = getattr(model, "calibrator_", model.recommender_)
        own = host.recommend(X, n, **options)
        assert_array_equal(ids, own[0])


def _turns_nothing(model):
    replaces = (
        isinstance(model, SteeredRecommender) and model.reconstruction == "replace"
    )
    return not replaces


@pytest.mark.parametrize("name", NAMES)
@examples(8)
@given(drawn=rows(), data=st.data())
def test_other_methods(name, drawn, data):
    model = fitted(name)
    dense, X = drawn
    lists = answer(model.predict, X)
    assert_array_equal(lists, model.recommend(X))
    if hasattr(model, "decision_function"):
        scores = attempt(model.decision_function, X)
        if not isinstance(scores, Refusal):
            assert scores.shape == dense.shape
            assert np.isfinite(scores).all()
    if hasattr(model, "transform"):
        embeddings = answer(model.transform, X)
        assert len(embeddings) == len(dense)
        assert np.isfinite(embeddings).all()
    y = np.where(dense > 0, 0, data.draw(histories(dense.shape)))
    value = attempt(model.score, X, data.draw(sparse_forms(y)))
    assert isinstance(value, Refusal) is (not y.any())
    if y.any():
        assert 0 <= value <= 1


@pytest.mark.parametrize("name", NAMES)
@examples(12)
@given(drawn=rows(), odd=nonsense(), data=st.data())
def test_bad_arguments_are_refused(name, drawn, odd, data):
    model = fitted(name)
    dense, X = drawn
    wide = np.ones((len(dense), N_ITEMS + 1))
    positions = st.sampled_from(
        [
            [N_ITEMS],
            [-2],
            [0.0],
            ["a"],
            [[0], 1],
            [0, [1]],
            [[[0]]],
            [2**63],
            np.array([2**64 - 1], np.uint64),
            {0, 1},
            {0: 1},
            "text",
            5,
            object(),
            csr_array(wide),
            np.ones(dense.shape) if len(dense) > 1 else 5,
            [[0]] * (len(dense) + 1),
            np.zeros((1, 1, 1), int),
            [None],
            [True, False],
        ]
    )
    bad = {
        "X": st.one_of(
            bad_matrices(dense.shape), st.just(wide), st.just(wide[:, 1:-1])
        ),
        "n_recommendations": bad_counts(10**30, 10**9),
        "candidates": positions,
        "exclude": positions,
        "user_ids": bad_user_ids(len(dense), SHAPE[0]),
    }
    if name in RERANKERS and "Relevance" not in name:
        bad["strength"] = st.sampled_from(BAD_STRENGTHS)
    broken = data.draw(st.sampled_from(sorted(bad)))
    arguments = {"X": X, broken: data.draw(bad[broken])}
    refusal(model.recommend, **arguments)
    arguments = {"X": X, broken: odd}
    if broken != "X" or shape_of(odd) != dense.shape:
        attempt(model.recommend, **arguments)


@pytest.mark.parametrize("name", NAMES)
@examples(6, times_longer=20)
@given(n_users=st.integers(1, 5), data=st.data())
def test_strange_rows_are_read_as_they_are_or_refused(name, n_users, data):
    model = fitted(name)
    dense = data.draw(histories((n_users, N_ITEMS), ("ones", "counts", "ratings")))
    strange = data.draw(strange_forms(dense))
    for method in ("recommend", "predict", "transform", "decision_function"):
        # Some have none, and some raise on being asked for it.
        if isinstance(getattr(type(model), method, None), property | type(None)):
            continue
        result = attempt(getattr(model, method), strange)
        if not isinstance(result, Refusal):
            assert_array_equal(result, getattr(model, method)(dense))


@pytest.mark.parametrize("name", NAMES)
@examples(2, times_longer=20)
@given(data=st.data())
def test_strange_rows_are_fitted_as_they_are_or_refused(name, data):
    dense = TRAIN.toarray()
    for X, y in (
        (data.draw(strange_forms(dense)), HELD_OUT),
        (TRAIN, data.draw(strange_forms(HELD_OUT.toarray()))),
    ):
        model = with_host(name)
        if not isinstance(attempt(model.fit, X, y), Refusal):
            wanted = fitted(name).recommend(TRAIN)
            assert_array_equal(answer(model.recommend, TRAIN), wanted)


@examples(60)
@given(drawn=rows(), data=st.data())
def test_users_are_looked_up(drawn, data):
    dense, X = drawn
    host = table_host()
    ids = data.draw(
        st.lists(st.integers(0, SHAPE[0] - 1), min_size=len(dense), max_size=len(dense))
    )
    given_ids = data.draw(
        st.sampled_from([ids, tuple(ids), np.array(ids, np.uint8), np.array(ids)])
    )
    embeddings = answer(host.encode_users, X, given_ids)
    assert_array_equal(embeddings, host.user_embeddings_[ids])
    scores = answer(host.decode, embeddings)
    np.testing.assert_allclose(
        scores, embeddings @ host.item_embeddings_.T, rtol=1e-5, atol=1e-5
    )


@pytest.mark.parametrize("name", NAMES)
@examples(3, times_longer=20)
@given(shape=shapes(min_users=1, min_items=1), data=st.data())
def test_fit_on_any_rows(name, shape, data):
    """One user, one item, nothing but equals, nothing at all."""
    dense = data.draw(histories(shape))
    X = data.draw(st.one_of(sparse_forms(dense), dense_forms(dense)))
    y = csr_array(np.where(dense > 0, 0, data.draw(histories(shape, ("ones",)))))
    model = with_host(name)
    if name in RERANKERS:
        rng = data.draw(generators())
        tables = rng.normal(size=(shape[0], 2)), rng.normal(size=(shape[1], 2))
        kind = data.draw(st.sampled_from(["normal", "equal", "subnormal", "huge"]))
        if kind == "equal":
            tables = np.ones_like(tables[0]), np.ones_like(tables[1])
        elif kind != "normal":
            # Scores are then subnormal, or huge, in float32.
            scales = {"subnormal": (1e-42, 1.0), "huge": (1.0, 1e30)}[kind]
            tables = [s * table for s, table in zip(scales, tables, strict=True)]
            tables = tuple(table.astype(np.float32) for table in tables)
        from skpopsteer.adapters import as_recommender

        if "ItemBias" not in name:
            model.set_params(recommender=as_recommender(tables))
    result = attempt(model.fit, X, y)
    if isinstance(result, Refusal):
        return
    lists = attempt(model.recommend, X, 3, return_scores=True)
    if isinstance(lists, Refusal):
        return
    ids, scores = lists
    for row, seen in zip(ids, dense > 0, strict=True):
        items = row[row >= 0]
        assert len(set(items.tolist())) == len(items)
        assert not seen[items].any()
    assert np.isfinite(scores[ids >= 0]).all()


@pytest.mark.parametrize("name", NAMES)
@examples(6, times_longer=20)
@given(odd=nonsense(), data=st.data())
def test_fit_refuses_bad_rows(name, odd, data):
    model = with_host(name)
    refusal(model.fit, data.draw(bad_matrices(SHAPE)), HELD_OUT)
    if len(shape_of(odd)) != 2 or shape_of(odd)[1] == 0:
        refusal(model.fit, odd, HELD_OUT)
    for empty in (csr_array((3, 0)), np.zeros((3, 0)), csr_array((0, N_ITEMS))):
        refusal(with_host(name).fit, empty, empty)
    refusal(with_host(name).recommend, TRAIN)
