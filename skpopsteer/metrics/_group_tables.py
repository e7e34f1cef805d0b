"""How a table by user and item group prints, shows as HTML and becomes a frame."""

import textwrap
from collections.abc import Callable, Sequence
from html import escape
from typing import Any

import numpy as np

from skpopsteer._compat import import_frame_library
from skpopsteer.metrics._lists import FloatArray, IntArray

__all__ = ["grid_html", "grid_text", "interval_lines", "long_frame"]

_WIDTH = 88  # of a terminal
_CELL = 16  # of a cell, for four item groups and a label beside them
_LABEL = 16

#: Lines of a cell, of all cells of a metric: (n_user_groups, n_item_groups) of lines.
Cells = list[list[list[str]]]


def interval_lines(
    values: FloatArray,
    low: FloatArray,
    high: FloatArray,
    more: Callable[[int, int], list[str]] = lambda row, column: [],
) -> Cells:
    """Write the cells of one metric: a value over its interval, as exact as fits.

    Parameters
    ----------
    values, low, high : ndarray of shape (n_user_groups, n_item_groups)
        NaN for no value.
    more : callable, default=no lines
        Further lines of a cell.

    Returns
    -------
    list of list of list of str
    """
    for digits in (4, 3, 2, 1, 0):
        cells = [
            [
                _cell(*number, digits, more(row, column))
                for column, number in enumerate(zip(*numbers, strict=True))
            ]
            for row, numbers in enumerate(zip(values, low, high, strict=True))
        ]
        if max(len(line) for row in cells for cell in row for line in cell) <= _CELL:
            break
    return cells


def _cell(
    value: float, low: float, high: float, digits: int, more: list[str]
) -> list[str]:
    if np.isnan(value):
        return ["-"]
    if np.isnan(low):
        return [f"{value:.{digits}f}", *more]
    return [f"{value:.{digits}f}", f"[{low:.{digits}f}, {high:.{digits}f}]", *more]


def grid_text(
    metrics: Sequence[str],
    users: Sequence[tuple[str, int]],
    items: Sequence[str],
    cells: Sequence[Cells],
    notes: Sequence[str],
) -> str:
    """Write a block of lines per metric: users down, items across.

    Parameters
    ----------
    metrics, users, items : sequence
        Names; of users with their number.
    cells : sequence of lists
        Per metric, as :func:`interval_lines` writes them.
    notes : sequence of str
        Sentences under the table.

    Returns
    -------
    str
    """
    widths = [
        max(len(line) for block in cells for row in block for line in [*row[j], name])
        for j, name in enumerate(items)
    ]
    labels = [(_short(name), f"({n:,} users)") for name, n in users]
    width = max(len(text) for label in labels for text in label)
    lines: list[str] = []
    for metric, block in zip(metrics, cells, strict=True):
        # A name longer than the labels takes a line of its own.
        apart = len(metric) > width
        lines += [metric] if apart else []
        head = _line("" if apart else metric, items, width, widths)
        lines += [head, "-" * len(head)]
        for label, row in zip(labels, block, strict=True):
            lines += _rows(label, row, width, widths)
        lines.append("")
    for note in notes:
        lines += textwrap.wrap(note, _WIDTH)
    return "\n".join(line.rstrip() for line in lines)


def _rows(
    label: tuple[str, str], row: list[list[str]], width: int, widths: list[int]
) -> list[str]:
    height = max(len(label), *(len(cell) for cell in row))
    parts = [part + [""] * (height - len(part)) for part in [list(label), *row]]
    return [
        _line(first, rest, width, widths) for first, *rest in zip(*parts, strict=True)
    ]


def _line(label: str, texts: Sequence[str], width: int, widths: list[int]) -> str:
    cells = [text.rjust(w) for text, w in zip(texts, widths, strict=True)]
    return "  ".join([label.ljust(width), *cells])


def _short(label: str) -> str:
    return label if len(label) <= _LABEL else label[: _LABEL - 3] + "..."


def grid_html(
    metrics: Sequence[str],
    users: Sequence[tuple[str, int]],
    items: Sequence[str],
    cells: Sequence[Cells],
    notes: Sequence[str],
) -> str:
    """Write the same as an HTML table, every text escaped; see :func:`grid_text`."""
    head = "".join(f"<th>{escape(name)}</th>" for name in ["", "users", *items])
    body = "".join(
        f"<tr><th>{escape(metric)}</th><th>{escape(name)} ({n:,})</th>"
        + "".join(f"<td>{'<br>'.join(map(escape, cell))}</td>" for cell in row)
        + "</tr>"
        for metric, block in zip(metrics, cells, strict=True)
        for (name, n), row in zip(users, block, strict=True)
    )
    caption = "<br>".join(map(escape, notes))
    return (
        f"<table><caption>{caption}</caption>"
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    )


def long_frame(
    names: tuple[Sequence[str], Sequence[str], Sequence[str]],
    columns: dict[str, FloatArray | IntArray],
    backend: str,
) -> Any:
    """Return one row per cell.

    Parameters
    ----------
    names : tuple of sequences of str
        Of the metrics, the user groups and the item groups.
    columns : dict of str to ndarray of shape (n_metrics, n_user_groups, n_item_groups)
        What stands in the row.
    backend : {"pandas", "polars"}
        Library of the frame.

    Returns
    -------
    DataFrame
    """
    frames = import_frame_library(backend)
    grid = np.meshgrid(
        *(np.asarray(part, dtype=object) for part in names), indexing="ij"
    )
    keys = dict(zip(("metric", "user_group", "item_group"), grid, strict=True))
    return frames.DataFrame(
        {name: values.ravel().tolist() for name, values in {**keys, **columns}.items()}
    )
