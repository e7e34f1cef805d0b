import datetime
import sys

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from scipy.sparse import csr_array

from skpopsteer.datasets import interactions_from_frame, recommendations_to_frame

EVENTS = {
    "user": ["bo", "al", "bo", "bo", "cy", "al"],
    "item": [30, 10, 30, 20, 10, 10],
    "weight": [2.0, 1.0, 3.0, 4.0, 0.0, 5.0],
    "when": [5, 9, 3, 4, 1, 2],
}
MAKERS = pytest.mark.parametrize("make", [pd.DataFrame, pl.DataFrame, pa.table])


@MAKERS
def test_a_pair_counts_once_without_values(make):
    data = interactions_from_frame(make(EVENTS))
    assert set(data) == {"X", "times", "user_ids", "item_ids"}
    assert type(data.X) is csr_array
    assert data.X.has_canonical_format
    assert data.times is None
    assert data.user_ids.tolist() == ["al", "bo", "cy"]
    assert data.item_ids.tolist() == [10, 20, 30]
    assert data.item_ids.dtype == np.int64
    np.testing.assert_array_equal(data.X.toarray(), [[1, 0, 0], [0, 1, 1], [1, 0, 0]])


@MAKERS
@pytest.mark.parametrize(
    ("duplicates", "time", "expected"),
    [
        ("sum", None, [[6, 0, 0], [0, 4, 5], [0, 0, 0]]),
        ("max", "when", [[5, 0, 0], [0, 4, 3], [0, 0, 0]]),
        ("last", None, [[5, 0, 0], [0, 4, 3], [0, 0, 0]]),
        ("last", "when", [[1, 0, 0], [0, 4, 2], [0, 0, 0]]),
    ],
)
def test_repeated_pairs_follow_the_rule(make, duplicates, time, expected):
    data = interactions_from_frame(
        make(EVENTS), value="weight", time=time, duplicates=duplicates
    )
    np.testing.assert_array_equal(data.X.toarray(), expected)
    assert data.X.nnz == 3
    if time is not None:
        np.testing.assert_array_equal(
            data.times.toarray(), [[9, 0, 0], [0, 4, 5], [0, 0, 0]]
        )


def test_times_share_the_sparsity_but_no_memory():
    events = pd.DataFrame({"user": [0, 0, 1], "item": [0, 1, 1], "t": [0, 7, 8]})
    data = interactions_from_frame(events, time="t")
    np.testing.assert_array_equal(data.times.data, [0, 7, 8])
    np.testing.assert_array_equal(data.X.indices, data.times.indices)
    data.times.eliminate_zeros()
    assert data.X.nnz == 3
    np.testing.assert_array_equal(data.X.toarray(), [[1, 1], [0, 1]])


@pytest.mark.parametrize("library", [pd, pl])
@pytest.mark.parametrize("zone", [datetime.UTC, None])
def test_dates_become_seconds(library, zone):
    moments = [
        datetime.datetime(2000, 1, 1, tzinfo=zone),
        datetime.datetime(2000, 1, 1, 0, 0, 1, 500_000, tzinfo=zone),
    ]
    frame = library.DataFrame({"user": [0, 1], "item": [0, 0], "at": moments})
    times = interactions_from_frame(frame, time="at").times
    np.testing.assert_array_equal(times.data, [946684800, 946684801.5])


def test_days_become_seconds():
    days = [datetime.date(1970, 1, 2), datetime.date(2000, 1, 1)]
    frame = pl.DataFrame({"user": [0, 1], "item": [0, 0], "day": days})
    times = interactions_from_frame(frame, time="day").times
    np.testing.assert_array_equal(times.data, [86400, 946684800])


def test_columns_may_have_any_name():
    frame = pl.DataFrame({"who": [4, 3], "what": ["x", "y"]})
    data = interactions_from_frame(frame, user="who", item="what")
    assert data.user_ids.tolist() == [3, 4]
    np.testing.assert_array_equal(data.X.toarray(), [[0, 1], [1, 0]])


def test_categories_count_as_strings():
    for column in (
        pl.Series(["b", "a"], dtype=pl.Categorical),
        pd.Series(["b", "a"], dtype="category"),
    ):
        library = pl if isinstance(column, pl.Series) else pd
        frame = library.DataFrame({"user": column, "item": [1, 1]})
        assert interactions_from_frame(frame).user_ids.tolist() == ["a", "b"]


def test_an_earlier_catalogue_fixes_the_positions():
    catalogue, users = np.array([20, 40, 10, 30]), ["cy", "bo", "al"]
    before = catalogue.copy()
    data = interactions_from_frame(
        pd.DataFrame(EVENTS), item_ids=catalogue, user_ids=users
    )
    np.testing.assert_array_equal(
        data.X.toarray(), [[0, 0, 1, 0], [1, 0, 0, 1], [0, 0, 1, 0]]
    )
    assert data.user_ids.tolist() == users
    data.item_ids[0] = -1
    np.testing.assert_array_equal(catalogue, before)


def test_no_events_of_a_known_catalogue_are_an_empty_matrix():
    frame = pd.DataFrame({"user": ["al"], "item": ["x"], "t": [0.0]})[:0]
    data = interactions_from_frame(
        frame, user_ids=["al"], item_ids=["x", "y"], time="t"
    )
    assert data.X.shape == data.times.shape == (1, 2)
    assert data.X.nnz == data.times.nnz == 0


def test_the_frame_is_left_as_it_was():
    frame = pd.DataFrame(EVENTS)
    interactions_from_frame(frame, value="weight", time="when", duplicates="last")
    pd.testing.assert_frame_equal(frame, pd.DataFrame(EVENTS))


@MAKERS
def test_libraries_agree_on_many_events(make):
    rng = np.random.RandomState(0)
    users, items = rng.randint(40, size=2000), rng.randint(30, size=2000)
    weights, times = rng.randint(1, 9, size=2000), rng.permutation(2000)
    frame = make({"user": users, "item": items, "weight": weights, "t": times})
    data = interactions_from_frame(frame, value="weight", time="t")
    expected = np.zeros((40, 30))
    np.add.at(expected, (users, items), weights)
    latest = np.zeros((40, 30))
    np.maximum.at(latest, (users, items), times)
    np.testing.assert_array_equal(data.X.toarray(), expected)
    np.testing.assert_array_equal(data.times.toarray(), latest)


@pytest.mark.parametrize(
    ("changes", "options", "error", "message"),
    [
        ({}, {"user": "who"}, ValueError, r"`user` must be a column of the frame; got"),
        ({}, {"value": "x"}, ValueError, r"`value` must be a column .*; got 'x', not"),
        (
            {"user": ["a", None, "b"]},
            {},
            ValueError,
            r"`user` must be a column without nulls; got 1 in 'user'\. Drop",
        ),
        ({"item": [1, None, 2]}, {}, ValueError, r"`item` must be .* nulls; got 1 in"),
        ({"item": [1.0, 2.0, 3.0]}, {}, TypeError, r"`item` must .* ids; got Float64"),
        ({"item": [True, True, False]}, {}, TypeError, r"`item` must .* ids; got Bool"),
        (
            {"value": [1.0, -2.0, 3.0]},
            {"value": "value"},
            ValueError,
            r"`value` must be a column of finite numbers >= 0; got -2 in 'value'\.",
        ),
        (
            {"value": [1.0, np.inf, 3.0]},
            {"value": "value"},
            ValueError,
            r"`value` must be .* finite numbers >= 0; got inf in 'value'\.",
        ),
        (
            {"value": ["1", "2", "3"]},
            {"value": "value"},
            TypeError,
            r"`value` must be a column of numbers; got String in 'value'\. Cast",
        ),
        (
            {"time": [1.0, None, 3.0]},
            {"time": "time"},
            ValueError,
            r"`time` must be a column without nulls; got 1 in 'time'\.",
        ),
        (
            {"time": [1.0, np.inf, 3.0]},
            {"time": "time"},
            ValueError,
            r"`time` must be a column of finite numbers; got NaN or infinity in 'time'",
        ),
        (
            {"time": ["1", "2", "3"]},
            {"time": "time"},
            TypeError,
            r"`time` must be a column of numbers or dates; got String in 'time'\.",
        ),
        (
            {"time": [datetime.timedelta(1)] * 3},
            {"time": "time"},
            TypeError,
            r"`time` must be a column of numbers or dates; got Duration",
        ),
        (
            {},
            {"item_ids": [1, 3]},
            ValueError,
            r"`item` must be a column of ids in `item_ids`; got 1 unknown, such as 2\.",
        ),
        (
            {},
            {"user_ids": [1, 2]},
            ValueError,
            r"`user` must be a column of ids in `user_ids`; got 3 unknown, such as 'a'",
        ),
        (
            {},
            {"item_ids": [1, 2, 3, 1]},
            ValueError,
            r"`item_ids` must be a 1-D array of different ids; got shape \(4,\) with r",
        ),
        (
            {},
            {"item_ids": [[1, 2, 3]]},
            ValueError,
            r"`item_ids` must be a 1-D array of different ids; got shape \(1, 3\)\. P",
        ),
        (
            {},
            {"duplicates": "first"},
            ValueError,
            r"`duplicates` must be 'sum', 'max' or 'last'; got 'first'\.",
        ),
    ],
)
@pytest.mark.parametrize("make", [pd.DataFrame, pl.DataFrame])
def test_bad_events_are_named_in_one_line(make, changes, options, error, message):
    frame = make({"user": ["a", "b", "c"], "item": [1, 2, 3]} | changes)
    with pytest.raises(error, match=message) as caught:
        interactions_from_frame(frame, **options)
    assert "\n" not in str(caught.value)


def test_nan_in_polars_is_no_null_but_refused():
    frame = pl.DataFrame({"user": [1], "item": [1], "w": [np.nan]})
    with pytest.raises(ValueError, match=r"`value` must be .*>= 0; got nan in 'w'\."):
        interactions_from_frame(frame, value="w")


def test_mixed_ids_are_refused():
    frame = pd.DataFrame({"user": pd.Series([1, "a"], dtype=object), "item": [1, 2]})
    with pytest.raises(TypeError, match="`user` must be a column of integer or of str"):
        interactions_from_frame(frame)


def test_no_events_at_all_are_refused():
    frame = pl.DataFrame({"user": [1], "item": [1]})[:0]
    with pytest.raises(ValueError, match=r"`frame` must hold at least one event, or"):
        interactions_from_frame(frame)


@pytest.mark.parametrize("thing", [{"user": [1]}, [1], pl.LazyFrame({"user": [1]})])
def test_what_is_no_frame_is_refused(thing):
    with pytest.raises(TypeError, match=r"`frame` must be a data frame .*; got \w+\."):
        interactions_from_frame(thing)


def test_missing_narwhals_names_the_extra(monkeypatch):
    for name in [name for name in sys.modules if name.partition(".")[0] == "narwhals"]:
        monkeypatch.delitem(sys.modules, name)

    class Absent:
        def find_spec(self, name, path=None, target=None):
            if name.partition(".")[0] == "narwhals":
                raise ModuleNotFoundError("absent", name=name)

    monkeypatch.setattr(sys, "meta_path", [Absent(), *sys.meta_path])
    with pytest.raises(ImportError, match=r'pip install "skpopsteer\[datasets\]"\.'):
        interactions_from_frame(pd.DataFrame(EVENTS))


IDS = np.array([[2, 0, 1], [1, -1, -1]])
SCORES = np.array([[0.9, 0.8, 0.7], [0.6, -np.inf, -np.inf]])


@pytest.mark.parametrize(("backend", "library"), [("pandas", pd), ("polars", pl)])
@pytest.mark.parametrize("as_type", [np.array, lambda x: np.array(x, dtype=object)])
def test_lists_become_long_frames(backend, library, as_type):
    frame = recommendations_to_frame(
        IDS,
        SCORES,
        user_ids=as_type(["al", "bo"]),
        item_ids=[10, 20, 30],
        item_titles=as_type(["Été", "Two, The", "Three"]),
        backend=backend,
    )
    assert isinstance(frame, library.DataFrame)
    assert list(frame.columns) == ["user", "item", "title", "rank", "score"]
    assert {name: frame[name].to_list() for name in frame.columns} == {
        "user": ["al", "al", "al", "bo"],
        "item": [30, 10, 20, 20],
        "title": ["Three", "Été", "Two, The", "Two, The"],
        "rank": [1, 2, 3, 1],
        "score": [0.9, 0.8, 0.7, 0.6],
    }


def test_positions_stand_in_for_ids_and_columns_are_optional():
    frame = recommendations_to_frame(IDS)
    assert list(frame.columns) == ["user", "item", "rank"]
    assert frame["user"].tolist() == [0, 0, 0, 1]
    assert frame["item"].tolist() == [2, 0, 1, 1]


def test_padding_never_counts_as_a_slot():
    frame = recommendations_to_frame([[-1, 4, -1, 3], [-1, -1, -1, -1]])
    assert frame["rank"].tolist() == [1, 2]
    assert frame["item"].tolist() == [4, 3]


@pytest.mark.parametrize("backend", ["pandas", "polars"])
def test_no_recommendations_are_an_empty_frame(backend):
    for ids in (np.full((2, 3), -1), np.empty((0, 3), dtype=int), np.empty((2, 0))):
        frame = recommendations_to_frame(ids, item_ids=["a"], backend=backend)
        assert frame.shape == (0, 3)


@pytest.mark.parametrize("backend", ["pandas", "polars"])
def test_a_round_trip_gives_the_lists_back(backend):
    rng = np.random.RandomState(0)
    ids = np.array([rng.permutation(50)[:10] for _ in range(20)])
    ids[::3, 7:] = -1
    users = np.array([f"u{position:02d}" for position in range(20)])
    items = rng.permutation(1000)[:50]
    before = ids.copy()
    frame = recommendations_to_frame(
        ids, -ids, user_ids=users, item_ids=items, backend=backend
    )
    np.testing.assert_array_equal(ids, before)
    data = interactions_from_frame(frame, value="rank", user_ids=users, item_ids=items)
    ranks = np.where(data.X.toarray() == 0, np.inf, data.X.toarray())
    back = np.argsort(ranks, axis=1)[:, :10]
    back[np.isinf(np.sort(ranks, axis=1)[:, :10])] = -1
    np.testing.assert_array_equal(back, ids)


@pytest.mark.parametrize(
    ("ids", "options", "message"),
    [
        ([1, 2], {}, r"`ids` must be a 2-D array of item positions, .*shape \(2,\)"),
        ([[0.5]], {}, r"`ids` must be a 2-D array .* dtype float64\. Pass"),
        ([[0, -2]], {}, r"`ids` must be item positions, or -1 for padding; got -2\."),
        ([[0, 1]], {"scores": [[1.0]]}, r"`scores` must have .*\(1, 2\); got \(1, 1\)"),
        (
            [[0, 1]],
            {"user_ids": ["a", "b"]},
            r"`user_ids` must be 1-D with one entry per row of `ids` \(1\); got shape",
        ),
        (
            [[0, 2]],
            {"item_ids": ["a", "b"]},
            r"`item_ids` must be 1-D with an entry per item position \(at least 3\); g",
        ),
        ([[0]], {"item_ids": [["a"]]}, r"`item_ids` must be 1-D .* shape \(1, 1\)\."),
        ([[0]], {"item_ids": 3}, r"`item_ids` must be 1-D .* got shape \(\)\."),
        ([[0, 2]], {"item_titles": ["a"]}, r"`item_titles` must be 1-D with an entry"),
        ([[0]], {"backend": "dask"}, r"`backend` must be 'pandas' or 'polars'; got 'd"),
    ],
)
def test_bad_lists_are_named_in_one_line(ids, options, message):
    with pytest.raises(ValueError, match=message) as caught:
        recommendations_to_frame(ids, **options)
    assert "\n" not in str(caught.value)


def test_a_missing_library_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "polars", None)
    with pytest.raises(ImportError, match=r"`backend` must .* pip install polars\."):
        recommendations_to_frame(IDS, backend="polars")
