"""Loaders and frames: what comes in comes out; files may be broken."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from skpopsteer import datasets
from skpopsteer.datasets import (
    interactions_from_frame,
    load_movielens,
    make_interactions,
    recommendations_to_frame,
    split_events,
)
from tests.fuzz.budget import examples
from tests.fuzz.calls import Refusal, answer, attempt, refusal
from tests.fuzz.covering import covers
from tests.fuzz.strategies import (
    NONSENSE,
    bad_lists,
    generators,
    good_lists,
    nonsense,
    random_states,
)

pandas = pytest.importorskip("pandas")
polars = pytest.importorskip("polars")
LIBRARIES = {"pandas": pandas.DataFrame, "polars": polars.DataFrame}
#: Names that read folders or fetch them, as far as they are public.
FOLDERS = [n for n in ("load_movielens", "load_lastfm") if n in datasets.__all__]
FETCHERS = [n for n in ("fetch_movielens", "fetch_lastfm") if n in datasets.__all__]


@covers("datasets.make_interactions")
@examples(60, times_longer=60)
@given(
    n_users=st.integers(1, 12),
    n_items=st.integers(2, 12),
    n_concepts=st.integers(1, 5),
    mean=st.floats(5, 30),
    strength=st.sampled_from([0, 0.5, 4.0, 1e3]),
    random_state=random_states(),
)
def test_make_interactions(n_users, n_items, n_concepts, mean, strength, random_state):
    options = {
        "n_concepts": n_concepts,
        "mean_interactions": mean,
        "popularity_strength": strength,
        "random_state": random_state,
    }
    data = answer(make_interactions, n_users, n_items, **options)
    X = data.X.toarray()
    assert X.shape == (n_users, n_items)
    assert set(np.unique(X)) <= {0, 1}
    assert_array_equal(data.item_popularity, X.sum(axis=0))
    assert ((X > 0).sum(axis=1) <= max(1, n_items // 2)).all()
    np.testing.assert_allclose(data.user_concepts.sum(axis=1), 1)
    again = make_interactions(n_users, n_items, **options)
    assert_array_equal(again.X.toarray(), X)


PARAMETERS = [
    "n_users",
    "n_items",
    "n_concepts",
    "mean_interactions",
    "min_interactions",
    "popularity_exponent",
    "popularity_strength",
    "concept_strength",
    "dtype",
    "random_state",
]


@examples(150)
@given(
    name=st.sampled_from(PARAMETERS),
    odd=st.sampled_from(
        [*NONSENSE, -1.0, 2.5, 1e300, 1e-300, np.float64(3), "float64", np.int8(3)]
    ),
)
def test_make_interactions_refuses(name, odd):
    arguments = {"n_users": 4, "n_items": 5, name: odd}
    if isinstance(odd, int) and odd > 100 and name.startswith("n_"):
        return
    data = attempt(make_interactions, **arguments)
    if not isinstance(data, Refusal):
        assert np.isfinite(data.X.data).all()
        assert np.isfinite(data.user_concepts).all()


@st.composite
def events(draw):
    """A table of events: users and items of several types, with repeats."""
    rng = draw(generators())
    n = draw(st.integers(1, 20))
    users, items = rng.integers(0, 5, n), rng.integers(0, 6, n)
    if draw(st.booleans()):
        users = np.array([f"u{u}" for u in users])
    if draw(st.booleans()):
        items = np.array([f"i{i}" for i in items])
    values = rng.integers(0, 5, n) / 2
    times = rng.integers(1, 30, n)
    if draw(st.booleans()):
        times = (times * 10**6).astype("datetime64[us]")
    make = LIBRARIES[draw(st.sampled_from(sorted(LIBRARIES)))]
    columns = {"user": users, "item": items, "value": values, "time": times}
    return make(columns), columns


@covers("datasets.interactions_from_frame")
@examples(80)
@given(
    drawn=events(),
    valued=st.booleans(),
    timed=st.booleans(),
    rule=st.sampled_from(["sum", "max", "last"]),
)
def test_interactions_from_frame(drawn, valued, timed, rule):
    frame, columns = drawn
    data = answer(
        interactions_from_frame,
        frame,
        value="value" if valued else None,
        time="time" if timed else None,
        duplicates=rule,
    )
    held = {}
    order = np.argsort(columns["time"], kind="stable") if timed else range(len(frame))
    rows = zip(columns["user"], columns["item"], columns["value"], strict=True)
    rows = list(rows)
    for place in order:
        user, item, value = rows[place]
        held.setdefault((user, item), []).append(value if valued else 1.0)
    choose = {"sum": sum, "max": max, "last": lambda v: v[-1]}[rule]
    X = data.X.toarray()
    for (user, item), values in held.items():
        row = list(data.user_ids).index(user)
        column = list(data.item_ids).index(item)
        wanted = choose(values) if valued else 1.0
        if rule != "last":
            assert X[row, column] == pytest.approx(wanted)
    assert (X > 0).sum() <= len(held)


FRAME_ARGUMENTS = [
    "frame",
    "user",
    "item",
    "value",
    "time",
    "user_ids",
    "item_ids",
    "duplicates",
]


@covers("datasets.split_events")
@examples(150)
@given(
    drawn=events(),
    name=st.sampled_from([*FRAME_ARGUMENTS, "cutoff", "test_size"]),
    odd=st.sampled_from(
        [
            *NONSENSE,
            *("user", "value", [0, 0], ["u0", None], 1e300, 15, 10**400, "1970-01-01"),
            *("NaT", np.datetime64("NaT"), np.datetime64("1970-01-01T00:00:09")),
        ]
    ),
)
def test_frames_refuse(drawn, name, odd):
    frame, _ = drawn
    for call in (interactions_from_frame, split_events):
        if name in ("cutoff", "test_size") and call is interactions_from_frame:
            continue
        data = attempt(call, **({"frame": frame} | {name: odd}))
        if not isinstance(data, Refusal):
            assert np.isfinite(data.X.data).all()


@examples(60)
@given(drawn=events(), share=st.floats(0.05, 0.95))
def test_split_events(drawn, share):
    frame, columns = drawn
    data = attempt(split_events, frame, test_size=share)
    if isinstance(data, Refusal):
        return
    seen, y = data.X.toarray() > 0, data.y.toarray() > 0
    assert not (seen & y).any()
    pairs = len(set(zip(columns["user"], columns["item"], strict=True)))
    assert seen.sum() + y.sum() <= pairs


@examples(120)
@given(
    rng=generators(),
    column=st.sampled_from(["user", "item", "value", "time"]),
    odd=st.sampled_from(
        [None, float("nan"), float("inf"), -1.0, "x", 10**30, b"x", [1]]
    ),
)
def test_frames_of_odd_cells(rng, column, odd):
    columns = {
        "user": [1, 2, 3],
        "item": [1, 2, 3],
        "value": [1.0, 2.0, 3.0],
        "time": [1, 2, 3],
    }
    columns[column] = [*columns[column][:2], odd]
    for make in LIBRARIES.values():
        try:
            frame = make(columns)
        except Exception:  # the library's own frame cannot hold it
            continue
        data = attempt(interactions_from_frame, frame, value="value", time="time")
        assert isinstance(data, Refusal) or np.isfinite(data.X.data).all()


@covers("datasets.recommendations_to_frame")
@examples(80)
@given(
    drawn=st.integers(0, 5).flatmap(lambda n: good_lists(n, 9)),
    rng=generators(),
    backend=st.sampled_from(sorted(LIBRARIES)),
    odd=nonsense(),
    data=st.data(),
)
def test_recommendations_to_frame(drawn, rng, backend, odd, data):
    form, lists = drawn
    scores = rng.normal(size=lists.shape)
    frame = attempt(recommendations_to_frame, form, scores, backend=backend)
    if not isinstance(frame, Refusal):
        assert len(frame) == (lists >= 0).sum()
    bad = data.draw(bad_lists(3, 9))
    for strange in (bad, odd):
        attempt(recommendations_to_frame, strange)
    for name in ("scores", "user_ids", "item_ids", "item_titles", "backend"):
        attempt(recommendations_to_frame, form, **{name: odd})


@covers(*(f"datasets.{name}" for name in FOLDERS + FETCHERS))
@pytest.mark.parametrize("name", FOLDERS)
@examples(30, times_longer=20)
@given(odd=nonsense(str), limit=st.sampled_from(NONSENSE))
def test_folders_refuse(name, odd, limit, tmp_path_factory):
    load = getattr(datasets, name)
    refusal(load, odd)
    refusal(load, "a\0b")
    refusal(load, tmp_path_factory.getbasetemp(), min_user_interactions=limit)


@pytest.mark.parametrize("name", FETCHERS)
@examples(20, times_longer=20)
@given(odd=nonsense(None, str))
def test_fetchers_refuse(name, odd, tmp_path_factory):
    fetch = getattr(datasets, name)
    refusal(fetch, data_home=odd, download_if_missing=False)
    if name == "fetch_movielens":
        home = tmp_path_factory.getbasetemp()
        refusal(fetch, odd, data_home=home, download_if_missing=False)


_HEAD = "userId,movieId,rating,timestamp\n"
RATINGS = [
    "",
    _HEAD,
    _HEAD + "1,1,4.0,9\n",
    _HEAD + "1,1,nan,9\n",
    _HEAD + "1,1,x,9\n",
    _HEAD + "1,1,4.0\n",
    _HEAD + "1,9,4.0,9\n",
    _HEAD + "-1,1,4,9\n1,1,5,1e400\n",
    "user,movie\n1,1\n",
    "\x00\x00",
]
_TITLES = "movieId,title,genres\n"
MOVIES = [
    "",
    _TITLES,
    _TITLES + "1,A,B|C\n",
    _TITLES + "1,A,B\n1,A,B\n",
    _TITLES + "x,A,B\n",
    "movieId,title\n1,A\n",
]


@examples(60, times_longer=20)
@given(ratings=st.sampled_from(RATINGS), movies=st.sampled_from(MOVIES))
def test_broken_files(ratings, movies, tmp_path_factory):
    folder = tmp_path_factory.mktemp("ml")
    (folder / "ratings.csv").write_text(ratings)
    (folder / "movies.csv").write_text(movies)
    data = attempt(load_movielens, folder)
    if not isinstance(data, Refusal):
        assert np.isfinite(data.X.data).all()
        assert data.X.shape[1] == len(data.item_ids)
