"""Split a table of events at a moment: what was known then, and what came after."""

from datetime import date, datetime

import numpy as np
from scipy.sparse import csr_array
from sklearn.utils import Bunch

from skpopsteer._compat import import_optional
from skpopsteer._validation import is_finite_number
from skpopsteer.datasets._columns import (
    encode_ids,
    read_frame,
    read_seconds,
    take_column,
)
from skpopsteer.datasets.frames import interactions_from_frame

__all__ = ["split_events"]


def split_events(
    frame,
    *,
    user="user",
    item="item",
    time="time",
    value=None,
    cutoff=None,
    test_size=0.2,
    user_ids=None,
    item_ids=None,
    duplicates="sum",
) -> Bunch:
    """Make `X` and `y` of a table of events, before and after one moment for everybody.

    Nothing of the future is in `X`: the split that a recommender in production meets.
    To hide a share of every user's history instead, make a matrix with
    :func:`interactions_from_frame` and pass it, with its times, to
    :func:`~skpopsteer.model_selection.hide_interactions`.

    Parameters
    ----------
    frame : data frame
        One event per row: of pandas, polars, pyarrow, or anything else narwhals reads
        eagerly.
    user, item, time : str, default="user", "item", "time"
        Columns of the ids and of the times: numbers in any unit, or dates.
    value : str, default=None
        Column of the weights; None counts every pair once.
    cutoff : number, date, datetime or str, default=None
        The moment: events at it or later are held out. For a column of dates a date,
        or an ISO string such as ``"2024-06-30"``, in UTC. None finds the moment that
        leaves `test_size` of the events after it.
    test_size : float, default=0.2
        Share of events to hold out, in (0, 1), where `cutoff` is None; times that are
        equal stay together.
    user_ids, item_ids : array-like of shape (n_users,), (n_items,), default=None
        Ids by position, those of a trained host for example. None takes all that occur,
        sorted; users and items that come after the cutoff have empty rows and columns
        in `X`.
    duplicates : {"sum", "max", "last"}, default="sum"
        What becomes of the values of a pair that occurs more than once in `X`.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        X : csr_array of shape (n_users, n_items)
            Weights of the events before the cutoff.
        y : csr_array of shape (n_users, n_items)
            Ones for pairs that occur after the cutoff and not before: disjoint from
            `X`.
        times : csr_array of shape (n_users, n_items)
            Latest time of each pair of `X`.
        user_ids, item_ids : ndarray of shape (n_users,), (n_items,)
            Ids by position.
        cutoff : float
            The moment, in the unit of the column; seconds since 1970 for dates.

    Raises
    ------
    ValueError
        When one side of the cutoff is empty.
    ImportError
        When narwhals is missing; the extra ``datasets`` brings it.

    See Also
    --------
    interactions_from_frame : The matrix of a table that is not split.
    skpopsteer.model_selection.hide_interactions : Hide a part of every row.

    Notes
    -----
    The frame is only read. Time is O(n log n) of n events.

    Examples
    --------
    >>> import pandas as pd
    >>> from skpopsteer.datasets import split_events
    >>> events = pd.DataFrame(
    ...     {
    ...         "user": ["al", "al", "bo", "bo", "bo"],
    ...         "item": [7, 8, 7, 9, 7],
    ...         "time": [1, 5, 2, 6, 7],
    ...     }
    ... )
    >>> data = split_events(events, cutoff=5)
    >>> data.X.toarray()
    array([[1., 0., 0.],
           [1., 0., 0.]])
    >>> data.y.toarray()
    array([[0., 1., 0.],
           [0., 0., 1.]])
    """
    nw = import_optional("narwhals.stable.v1", "datasets")
    frame = read_frame(nw, frame)
    _, user_ids = encode_ids(take_column(frame, "user", user), "user", user_ids)
    _, item_ids = encode_ids(take_column(frame, "item", item), "item", item_ids)
    times = read_seconds(nw, take_column(frame, "time", time))
    if cutoff is None:
        cutoff = _share_after(times, test_size)
    cutoff = _as_number(cutoff, frame[time].dtype.is_numeric())
    later = times >= cutoff
    if later.all() or not later.any():
        raise ValueError(
            f"`cutoff` must leave events on both sides; got {cutoff:g}, with "
            f"{int(later.sum())} of {len(later)} events after it. The times go from "
            f"{times.min():g} to {times.max():g}."
        )
    ids = {"user": user, "item": item, "user_ids": user_ids, "item_ids": item_ids}
    seen = interactions_from_frame(
        frame.filter((~later).tolist()),
        value=value,
        time=time,
        duplicates=duplicates,
        **ids,
    )
    after = interactions_from_frame(frame.filter(later.tolist()), **ids).X
    return Bunch(
        X=seen.X,
        y=_without(after, seen.X),
        times=seen.times,
        user_ids=seen.user_ids,
        item_ids=seen.item_ids,
        cutoff=cutoff,
    )


def _share_after(times, test_size):
    if not is_finite_number(test_size) or not 0 < test_size < 1:
        raise ValueError(
            f"`test_size` must be a share in (0, 1); got {test_size!r}. "
            "Write 20 % as 0.2."
        )
    # The earliest time that has no more than this share of events at it or later, but
    # some: equal times stay together.
    moments, counts = np.unique(times, return_counts=True)
    after = np.cumsum(counts[::-1])[::-1]
    few = np.flatnonzero(after <= test_size * len(times) + 1e-9)
    return moments[few[0]] if len(few) else moments[-1]


def _as_number(cutoff, numeric):
    if numeric:
        if is_finite_number(cutoff) and not isinstance(cutoff, bool):
            return float(cutoff)
    elif isinstance(cutoff, float) and is_finite_number(cutoff):
        return cutoff  # found above, or given as seconds
    elif isinstance(cutoff, datetime) and cutoff.tzinfo is not None:
        return cutoff.timestamp()
    elif isinstance(cutoff, str | date | np.datetime64):
        moment = _read_moment(cutoff)
        if not np.isnat(moment):
            return moment.astype(np.int64) / 1e6
    raise TypeError(
        "`cutoff` must be a number for times that are numbers, and a date for dates; "
        f"got {cutoff!r}. Write a date as '2024-06-30'."
    )


def _read_moment(cutoff):
    try:
        return np.datetime64(cutoff, "us")
    except (ValueError, OverflowError):
        return np.datetime64("NaT")


def _without(after, seen):
    """Keep the pairs of one matrix that the other has not, as ones."""
    pairs = [
        np.repeat(np.arange(m.shape[0], dtype=np.int64), np.diff(m.indptr)) * m.shape[1]
        + m.indices
        for m in (after, seen)
    ]
    rows, columns = np.divmod(np.setdiff1d(*pairs), after.shape[1])
    return csr_array((np.ones(len(rows)), (rows, columns)), shape=after.shape)
