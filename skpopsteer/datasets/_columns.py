"""Columns of a data frame, checked and turned into arrays."""

import numpy as np

from skpopsteer._validation import as_array

__all__ = ["encode_ids", "read_frame", "read_seconds", "read_weights", "take_column"]


def read_frame(nw, frame):
    """Wrap a frame of any library, if it is in memory."""
    try:
        return nw.from_native(frame, eager_only=True)
    except TypeError as error:
        raise TypeError(
            "`frame` must be a data frame in memory, of pandas, polars or pyarrow; got "
            f"{type(frame).__name__}. Collect a lazy frame first."
        ) from error


def take_column(frame, role, name):
    """Take a column that holds no null."""
    if not isinstance(name, str) or name not in frame.columns:
        raise ValueError(
            f"`{role}` must be a column of the frame; got {name!r}, not one of "
            f"{frame.columns[:8]}. Name the column to read."
        )
    column = frame[name]
    n_nulls = int(column.is_null().sum())
    if n_nulls:
        raise ValueError(
            f"`{role}` must be a column without nulls; got {n_nulls} in {name!r}. "
            "Drop or fill these rows."
        )
    return column


def encode_ids(column, role, known_ids):
    """Replace ids by positions among `known_ids` or, without, among the sorted ids."""
    values = column.to_list()
    kinds = {type(value) for value in values}
    if kinds not in (set(), {int}, {str}):
        raise TypeError(
            f"`{role}` must be a column of integer or of string ids; got "
            f"{column.dtype} in {column.name!r}. Cast the column to one of them."
        )
    if known_ids is None:
        ids = np.array(sorted(set(values)))
    else:
        ids = _check_known_ids(f"{role}_ids", known_ids)
    positions = {id_: position for position, id_ in enumerate(ids.tolist())}
    unknown = sorted(set(values) - positions.keys())
    if unknown:
        raise ValueError(
            f"`{role}` must be a column of ids in `{role}_ids`; got {len(unknown)} "
            f"unknown, such as {unknown[0]!r}. Drop their rows or add the ids."
        )
    codes = map(positions.__getitem__, values)
    return np.fromiter(codes, dtype=np.int64, count=len(values)), ids


def _check_known_ids(name, known_ids):
    ids = np.array(as_array(name, known_ids))
    kinds = {type(id_) for id_ in ids.ravel().tolist()}
    if kinds not in (set(), {int}, {str}):
        raise TypeError(
            f"`{name}` must be integer or string ids; got dtype {ids.dtype}. Pass "
            "those of an earlier call."
        )
    if ids.ndim != 1 or len(set(ids.tolist())) != len(ids):
        raise ValueError(
            f"`{name}` must be a 1-D array of different ids; got shape {ids.shape}"
            f"{' with repeats' if ids.ndim == 1 else ''}. Pass each id once."
        )
    return ids


def read_weights(column):
    """Return finite numbers >= 0."""
    if not column.dtype.is_numeric():
        raise TypeError(
            f"`value` must be a column of numbers; got {column.dtype} in "
            f"{column.name!r}. Cast the column."
        )
    values = column.to_numpy().astype(np.float64)
    bad = values[~np.isfinite(values) | (values < 0)]
    if len(bad):
        raise ValueError(
            f"`value` must be a column of finite numbers >= 0; got {bad[0]:g} in "
            f"{column.name!r}. Drop or shift these rows: 0 means no interaction."
        )
    return values


def read_seconds(nw, column):
    """Return times as they are, and dates as seconds since 1970-01-01 UTC."""
    if column.dtype == nw.Date:
        column = column.cast(nw.Datetime)
    if column.dtype == nw.Datetime:
        return column.dt.timestamp("us").to_numpy() / 1e6
    if not column.dtype.is_numeric():
        raise TypeError(
            f"`time` must be a column of numbers or dates; got {column.dtype} in "
            f"{column.name!r}. Parse the column first."
        )
    times = column.to_numpy().astype(np.float64)
    if not np.isfinite(times).all():
        raise ValueError(
            "`time` must be a column of finite numbers; got NaN or infinity in "
            f"{column.name!r}. Drop or fill these rows."
        )
    return times
