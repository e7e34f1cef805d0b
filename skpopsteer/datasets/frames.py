"""From data frames of events to interactions, and from lists back to data frames."""

import numpy as np
from scipy.sparse import csr_array
from sklearn.utils import Bunch

from skpopsteer._compat import import_frame_library, import_optional
from skpopsteer._validation import as_array
from skpopsteer.datasets._columns import (
    encode_ids,
    read_frame,
    read_seconds,
    read_weights,
    take_column,
)

__all__ = ["interactions_from_frame", "recommendations_to_frame"]

#: Above any position of an item.
_TOO_MANY = 2**31


def interactions_from_frame(
    frame,
    *,
    user="user",
    item="item",
    value=None,
    time=None,
    user_ids=None,
    item_ids=None,
    duplicates="sum",
) -> Bunch:
    """Turn a data frame with one event per row into an interaction matrix.

    Parameters
    ----------
    frame : data frame
        A pandas or polars data frame, a pyarrow table, or anything else narwhals reads
        eagerly.
    user, item : str, default="user", "item"
        Columns of the ids, integers or strings, without nulls.
    value : str, default=None
        Column of the weights, finite and not negative. With None a pair counts 1,
        however often it occurs.
    time : str, default=None
        Column of the times: numbers in any unit, or dates, which become seconds since
        1970-01-01 UTC.
    user_ids, item_ids : array-like of shape (n_users,), (n_items,), default=None
        Ids by position, such as those of an earlier call, so that positions agree
        between training and serving. None takes the ids that occur, sorted.
    duplicates : {"sum", "max", "last"}, default="sum"
        What becomes of the values of a pair that occurs more than once; "last" is the
        value at the latest time or, at equal times and without times, in the lowest
        row of the frame. Without `value` it has no effect.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        X : csr_array of shape (n_users, n_items)
            Weights. Pairs whose weight is 0 are left out.
        times : csr_array of shape (n_users, n_items) or None
            Latest time of each pair, with the sparsity of `X`; None without `time`.
        user_ids, item_ids : ndarray of shape (n_users,), (n_items,)
            Ids by position.

    Raises
    ------
    ImportError
        When narwhals is missing; the extra ``datasets`` brings it.

    See Also
    --------
    recommendations_to_frame : The way back.

    Notes
    -----
    The frame is only read. Time is O(n log n) of n rows.

    Examples
    --------
    >>> import pandas as pd
    >>> from skpopsteer.datasets import interactions_from_frame
    >>> events = pd.DataFrame({"user": ["bo", "al", "bo"], "item": [7, 7, 9]})
    >>> data = interactions_from_frame(events)
    >>> data.user_ids.tolist(), data.item_ids.tolist()
    (['al', 'bo'], [7, 9])
    >>> data.X.toarray()
    array([[1., 0.],
           [1., 1.]])
    """
    if not isinstance(duplicates, str) or duplicates not in ("sum", "max", "last"):
        raise ValueError(
            f"`duplicates` must be 'sum', 'max' or 'last'; got {duplicates!r}. "
            "Choose what becomes of repeated pairs."
        )
    nw = import_optional("narwhals.stable.v1", "datasets")
    frame = read_frame(nw, frame)
    rows, user_ids = encode_ids(take_column(frame, "user", user), "user", user_ids)
    columns, item_ids = encode_ids(take_column(frame, "item", item), "item", item_ids)
    values, times = np.ones(len(rows)), None
    if value is not None:
        values = read_weights(take_column(frame, "value", value))
    if time is not None:
        times = read_seconds(nw, take_column(frame, "time", time))
    shape = (len(user_ids), len(item_ids))
    if 0 in shape:
        raise ValueError(
            "`frame` must hold at least one event, or `user_ids` and `item_ids` be "
            "given; got no rows. Check how the frame was filtered."
        )
    rule = "max" if value is None else duplicates
    X, times = _pair_matrices(rows, columns, values, times, shape, rule)
    return Bunch(X=X, times=times, user_ids=user_ids, item_ids=item_ids)


def recommendations_to_frame(
    ids,
    scores=None,
    *,
    user_ids=None,
    item_ids=None,
    item_titles=None,
    backend="pandas",
):
    """Turn recommendation lists into a long data frame with one row per slot.

    Parameters
    ----------
    ids : array-like of shape (n_users, n_recommendations)
        Item positions, best first, padded with -1.
    scores : array-like of shape (n_users, n_recommendations), default=None
        Scores of the slots.
    user_ids : array-like of shape (n_users,), default=None
        Ids of the users of the rows; None writes row positions.
    item_ids : array-like of shape (n_items,), default=None
        Ids of the items by position; None writes positions.
    item_titles : array-like of shape (n_items,), default=None
        Titles of the items by position.
    backend : {"pandas", "polars"}, default="pandas"
        The library of the data frame.

    Returns
    -------
    data frame
        Columns ``user``, ``item``, ``title`` (with `item_titles`), ``rank`` (from 1)
        and ``score`` (with `scores`). Padding is left out.

    Raises
    ------
    ImportError
        When the library of `backend` is missing.

    See Also
    --------
    interactions_from_frame : The way here.

    Examples
    --------
    >>> from skpopsteer.datasets import recommendations_to_frame
    >>> recommendations_to_frame([[2, 0], [1, -1]], item_ids=["a", "b", "c"])
       user item  rank
    0     0    c     1
    1     0    a     2
    2     1    b     1
    """
    library = import_frame_library(backend)
    ids = _check_lists(ids)
    n_users, n_items = len(ids), int(ids.max(initial=-1)) + 1
    filled = ids >= 0
    rows, positions = np.nonzero(filled)[0], ids[filled]
    columns = {"user": rows, "item": positions}
    if user_ids is not None:
        columns["user"] = _by_position("user_ids", user_ids, n_users, exact=True)[rows]
    if item_ids is not None:
        columns["item"] = _by_position("item_ids", item_ids, n_items)[positions]
    if item_titles is not None:
        titles = _by_position("item_titles", item_titles, n_items)
        columns["title"] = titles[positions]
    columns["rank"] = np.cumsum(filled, axis=1)[filled]
    if scores is not None:
        columns["score"] = _check_scores(scores, ids.shape)[filled]
    # polars keeps an object array of strings as opaque objects, but reads a list.
    plain = {
        name: column.tolist() if column.dtype.kind in "OU" else column
        for name, column in columns.items()
    }
    return library.DataFrame(plain)


def _pair_matrices(rows, columns, values, times, shape, rule):
    """Bring each pair together, in order of time, and keep one entry of it."""
    keys = (columns, rows) if times is None else (times, columns, rows)
    order = np.lexsort(keys)
    rows, columns, values = rows[order], columns[order], values[order]
    new = np.ones(len(rows), dtype=bool)
    new[1:] = (rows[1:] != rows[:-1]) | (columns[1:] != columns[:-1])
    starts = np.flatnonzero(new)
    last = np.append(starts[1:], len(rows))[: len(starts)] - 1
    if rule == "last":
        weights = values[last]
    else:
        weights = {"sum": np.add, "max": np.maximum}[rule].reduceat(values, starts)
    kept = weights > 0
    rows, columns, last = rows[starts][kept], columns[starts][kept], last[kept]
    indptr = np.searchsorted(rows, np.arange(shape[0] + 1))
    index_dtype = np.int32 if len(rows) <= np.iinfo(np.int32).max else np.int64

    def matrix(entries):
        # astype copies: the matrices of one call share nothing.
        indices = columns.astype(index_dtype)
        return csr_array((entries, indices, indptr.astype(index_dtype)), shape=shape)

    if times is None:
        return matrix(weights[kept]), None
    return matrix(weights[kept]), matrix(times[order][last])


def _check_lists(ids):
    ids = as_array("ids", ids)
    if ids.ndim != 2 or (ids.size and ids.dtype.kind not in "iu"):
        raise ValueError(
            "`ids` must be a 2-D array of item positions, one row per user; got shape "
            f"{ids.shape} and dtype {ids.dtype}. Pass what `recommend` returns."
        )
    if not ids.size:
        return np.empty(ids.shape, dtype=np.int64)
    for strange in (ids.min(), ids.max()):
        # Looked at before they are converted: the highest of uint64 would become a -1.
        if not -1 <= strange < _TOO_MANY:
            raise ValueError(
                f"`ids` must be item positions, or -1 for padding; got {strange}. "
                "Pass what `recommend` returns."
            )
    return ids.astype(np.int64, copy=False)


def _check_scores(scores, shape):
    scores = as_array("scores", scores)
    if scores.dtype.kind not in "biuf":
        raise TypeError(
            f"`scores` must be numbers; got dtype {scores.dtype}. Pass both from one "
            "call of `recommend`."
        )
    if scores.shape != shape:
        raise ValueError(
            f"`scores` must have the shape of `ids`, {shape}; got {scores.shape}. "
            "Pass both from one call of `recommend`."
        )
    return scores


def _by_position(name, entries, n_needed, exact=False):
    entries = as_array(name, entries)
    fits = entries.size == n_needed if exact else entries.size >= n_needed
    if entries.ndim != 1 or not fits:
        what = "one entry per row of `ids`" if exact else "an entry per item position"
        raise ValueError(
            f"`{name}` must be 1-D with {what} ({'' if exact else 'at least '}"
            f"{n_needed}); got shape {entries.shape}. Pass those of the training data."
        )
    return entries
