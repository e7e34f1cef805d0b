"""Events split at a moment: nothing of the future in X, nothing of X in y."""

from datetime import UTC, date, datetime

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from skpopsteer.datasets import (
    interactions_from_frame,
    load_movielens,
    split_events,
)
from tests.conftest import ROOT

EVENTS = {
    "user": ["al", "al", "bo", "bo", "bo", "cy"],
    "item": [7, 8, 7, 9, 7, 9],
    "time": [1, 5, 2, 6, 7, 8],
}
LIBRARIES = [pd.DataFrame, pl.DataFrame, pa.table]


@pytest.fixture(params=LIBRARIES, ids=lambda make: make.__module__.split(".")[0])
def make(request):
    return request.param


def test_events_at_the_cutoff_or_later_are_held_out(make):
    data = split_events(make(EVENTS), cutoff=5)
    assert data.user_ids.tolist() == ["al", "bo", "cy"]
    assert data.item_ids.tolist() == [7, 8, 9]
    assert data.X.toarray().tolist() == [[1, 0, 0], [1, 0, 0], [0, 0, 0]]
    # bo's second 7 is no news.
    assert data.y.toarray().tolist() == [[0, 1, 0], [0, 0, 1], [0, 0, 1]]
    assert data.times.toarray().tolist() == [[1, 0, 0], [2, 0, 0], [0, 0, 0]]
    assert data.cutoff == 5.0


def test_a_share_finds_its_moment_and_keeps_equal_times_together(make):
    assert split_events(make(EVENTS), test_size=0.5).cutoff == 6
    assert split_events(make(EVENTS), test_size=0.49).cutoff == 7
    # Nothing is later than the last event, which is then held out.
    assert split_events(make(EVENTS), test_size=0.01).cutoff == 8
    tied = {**EVENTS, "time": [1, 5, 5, 5, 5, 8]}
    assert split_events(make(tied), test_size=0.5).cutoff == 8
    assert split_events(make(tied), test_size=0.9).cutoff == 5


def test_values_of_the_past_are_kept(make):
    frame = make({**EVENTS, "stars": [3.0, 1.0, 2.0, 1.0, 9.0, 1.0]})
    data = split_events(frame, cutoff=8, value="stars")
    assert data.X.toarray().tolist() == [[3, 1, 0], [11, 0, 1], [0, 0, 0]]
    last = split_events(frame, cutoff=8, value="stars", duplicates="last")
    assert last.X.toarray()[1, 0] == 9
    assert data.y.data.tolist() == [1.0]


@pytest.mark.parametrize(
    "cutoff",
    [
        "2024-06-03",
        date(2024, 6, 3),
        datetime(2024, 6, 3),
        datetime(2024, 6, 3, tzinfo=UTC),
        np.datetime64("2024-06-03"),
    ],
    ids=str,
)
@pytest.mark.parametrize("library", [pd, pl])
def test_dates_are_split_by_dates(library, cutoff):
    days = [datetime(2024, 6, day) for day in (1, 2, 3, 4, 5, 6)]
    frame = library.DataFrame({**EVENTS, "time": days})
    data = split_events(frame, cutoff=cutoff)
    assert (data.X.nnz, data.y.nnz) == (2, 3)
    assert data.cutoff == datetime(2024, 6, 3, tzinfo=UTC).timestamp()
    assert split_events(frame, test_size=0.7).cutoff == data.cutoff


def test_positions_of_a_trained_host_are_kept(make):
    data = split_events(
        make(EVENTS), cutoff=5, user_ids=["cy", "bo", "al"], item_ids=[9, 8, 7, 6]
    )
    assert data.X.shape == data.y.shape == (3, 4)
    assert data.X.toarray()[1].tolist() == [0, 0, 1, 0]


def test_all_events_are_accounted_for_on_real_data():
    whole = load_movielens(ROOT / "data" / "ml-latest-small")
    rows, columns = whole.X.nonzero()
    frame = pd.DataFrame(
        {
            "user": whole.user_ids[rows],
            "item": whole.item_ids[columns],
            "time": whole.times.data.astype(np.int64),
        }
    )
    before = frame.copy()
    data = split_events(frame, test_size=0.1)
    pd.testing.assert_frame_equal(frame, before)
    assert data.X.nnz + data.y.nnz == len(frame)
    assert 0.09 * len(frame) < data.y.nnz <= 0.1 * len(frame)
    assert data.X.multiply(data.y).nnz == 0
    assert data.times.data.max() < data.cutoff
    together = data.X + data.y
    assert (together != interactions_from_frame(frame).X).nnz == 0


@pytest.mark.parametrize(
    ("params", "error", "line"),
    [
        (
            {"cutoff": 100},
            ValueError,
            "`cutoff` must leave events on both sides; got 1",
        ),
        ({"cutoff": 1}, ValueError, r"`cutoff` .* with 6 of 6 events after it\. The"),
        ({"cutoff": "2024"}, TypeError, "`cutoff` must be a number for times that are"),
        ({"cutoff": True}, TypeError, "`cutoff` must be a number for times that are"),
        (
            {"test_size": 20},
            ValueError,
            r"`test_size` must be a share in \(0, 1\); got",
        ),
        ({"time": "when"}, ValueError, "`time` must be a column of the frame; got 'wh"),
        (
            {"item_ids": [7, 8]},
            ValueError,
            "`item` must be a column of ids in `item_id",
        ),
    ],
)
def test_bad_input_gives_one_line(make, params, error, line):
    with pytest.raises(error, match=f"^{line}"):
        split_events(make(EVENTS), **params)
    with pytest.raises(TypeError, match=r"^`frame` must be a data frame in memory"):
        split_events(EVENTS, **params)
