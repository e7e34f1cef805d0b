"""A comparison at several levels as text and as HTML."""

from html import escape
from textwrap import wrap
from typing import NamedTuple

import numpy as np

from skpopsteer._text_table import align_columns
from skpopsteer.inspection._compare_measures import USER_GROUPS
from skpopsteer.inspection._compare_pairs import intervals, rounded

__all__ = ["as_html", "as_text"]

_WIDTH = 80
_HEADERS = {
    "ndcg_kept": ("NDCG", "kept"),
    "gini": ("Gini", ""),
    "tail_coverage_1": ("tail cov.", "1+"),
    "tail_coverage_5": ("tail cov.", "5+"),
    "tail_coverage_10": ("tail cov.", "10+"),
    "tail_share": ("tail", "share"),
} | {
    f"ndcg_kept_{group}": (group, "taste" if place < 3 else "users")
    for place, group in enumerate(USER_GROUPS)
}
_KEPT = [f"ndcg_kept_{group}" for group in USER_GROUPS]
_COST = "of the setting that keeps the least NDCG of those chosen at a level"


class _Section(NamedTuple):
    """One table: blocks are pairs (title, rows), rows are (name, cells)."""

    caption: str
    headers: list
    blocks: list


def as_text(table):
    """Print a comparison."""
    parts = []
    for section in _sections(table):
        parts += ["\n".join(wrap(section.caption, _WIDTH)), _text(section), ""]
    notes = [line for note in _notes(table) for line in wrap(note, _WIDTH)]
    return "\n".join([*parts, *notes])


def as_html(table):
    """Show a comparison in a notebook."""
    sections = "".join(_html(section) for section in _sections(table))
    return sections + "<br>".join(map(escape, _notes(table)))


def _text(section):
    first, second = zip(*section.headers, strict=True)
    rows, titles = [["", *first], ["", *second]], {}
    for title, block in section.blocks:
        titles[len(rows)] = title
        for name, cells in block:
            values, ends = zip(*cells, strict=True)
            rows.append([f" {name}", *values])
            if any(ends):
                rows.append(["", *ends])
    lines, rule = align_columns(rows)
    printed = []
    for number, line in enumerate(lines):
        if number in titles:
            printed += [rule, titles[number]] if number == 2 else [titles[number]]
        printed.append(line)
    return "\n".join(printed)


def _html(section):
    head = "".join(f"<th>{escape(' '.join(h).strip())}</th>" for h in section.headers)
    body = ""
    for title, block in section.blocks:
        width = len(section.headers) + 1
        body += f'<tr><th colspan="{width}">{escape(title)}</th></tr>'
        for name, cells in block:
            row = "".join(
                f"<td>{escape(value)}<br><small>{escape(ends)}</small></td>"
                for value, ends in cells
            )
            body += f"<tr><th>{escape(name)}</th>{row}</tr>"
    return (
        f"<table><caption>{escape(section.caption)}</caption>"
        f"<thead><tr><th></th>{head}</tr></thead><tbody>{body}</tbody></table>"
    )


def _sections(table):
    yield _main(table)
    yield _volumes(table)
    surely_less = _surely_less(table)
    yield _costs(table, f"Who pays: NDCG kept by thirds of the users, {_COST}",
                 _KEPT, surely_less)  # fmt: skip
    moved = table.columns[table.columns.index(_KEPT[-1]) + 1 :]
    if moved:
        caption = f"What else moves: share of slots of another value, {_COST}"
        yield _costs(table, caption, moved, {})


def _main(table):
    columns = ["ndcg_kept", *table.measures]
    ndcg = table.columns.index("ndcg")
    low, high = table.low[0, ndcg], table.high[0, ndcg]
    value = _number(table.values[0, ndcg])
    k, between = table.n_recommendations, _range(low, high)
    caption = f"NDCG@{k} of {table.names[0]}: {value}"
    caption += f" ({between})" if between else ""
    marks = table.marks

    def cells(level, name):
        row = []
        for column in columns:
            profile = table.rows(column)[level, name]
            mark = " "
            if column in table.measures and name > 0:
                mark = " +-"[marks[level, name, table.measures.index(column)]]
                mark = "=" if profile == 0 else mark
            row.append(_cell(table, profile, column, mark))
        return row

    blocks = [("as it is", [(table.names[0], cells(0, 0))])]
    blocks += [
        (title, [(name, cells(level, n)) for n, name in _methods(table)])
        for level, title in _titles(table)
    ]
    return _Section(caption, [_header(column) for column in columns], blocks)


def _volumes(table):
    rows = [
        (name, [(_number(1000 * v, 2), _range(*(1000 * e for e in ends), 2))
                for v, *ends in found.values()])
        for name, found in table.hypervolume().items()
    ]  # fmt: skip
    caption = (
        "Hypervolume over all levels: NDCG kept times what is gained on the host, in "
        "thousandths"
    )
    headers = [_header(measure) for measure in table.measures]
    return _Section(caption, headers, [(f"{_percent(table.levels[-1])} or more", rows)])


def _costs(table, caption, columns, marks):
    places = [table.columns.index(column) for column in columns]
    blocks = []
    for level, title in _titles(table):
        block = []
        for n, name in _methods(table):
            profile = table.rows("ndcg_kept")[level, n]
            values = table.values[profile, places]
            signs = [marks.get((profile, place), " ") for place in places]
            cells = [(_number(v) + s, "") for v, s in zip(values, signs, strict=True)]
            block.append((name, cells))
        blocks.append((title, block))
    return _Section(caption, [_header(column) for column in columns], blocks)


def _surely_less(table):
    """Mark groups that keep less of their NDCG than all users, on the same draws."""
    places = [table.columns.index(column) for column in _KEPT]
    overall = [table.columns.index("ndcg_kept")]
    marks = {}
    for profile in np.unique(table.rows("ndcg_kept")[:, 1:]).tolist():
        values, draws = table.values[profile], table.draws[:, profile]
        gap = draws[:, places] - draws[:, overall]
        _, high = rounded(intervals(gap, values[places] - values[overall]))
        less = zip(places, high, strict=True)
        marks |= {(profile, place): "-" for place, end in less if end < 0}
    return marks


def _methods(table):
    return [*enumerate(table.names)][1:]


def _titles(table):
    return [(i, _percent(level)) for i, level in enumerate(table.levels)]


def _percent(level):
    return f"{100 * level:g} % kept"


def _header(column):
    return _HEADERS.get(column) or tuple(column.rsplit("_", 1))


def _cell(table, profile, column, mark):
    place = table.columns.index(column)
    ends = _range(table.low[profile, place], table.high[profile, place])
    return _number(table.values[profile, place]) + mark, ends


def _number(value, digits=3):
    # From minus zero, or what rounds to it, a plain zero.
    return "" if np.isnan(value) else f"{round(float(value), digits) + 0.0:.{digits}f}"


def _range(low, high, digits=3):
    if np.isnan(low) or low == high:
        return ""
    # No zero before the point: six columns are to fit a terminal.
    ends = [_number(end, digits).replace("0.", ".", 1) if abs(end) < 1
            else _number(end, digits) for end in (low, high)]  # fmt: skip
    return "-".join(ends)


def _notes(table):
    notes = list(table.notes)
    if len(table.draws):
        notes += [
            f"Under the figures: 95 % intervals from {len(table.draws):,} draws of the "
            "users. + better, - worse than the best other row (the host's among them) "
            "in 95 % of the draws of both, unadjusted; by thirds of users, - less than "
            "all users keep.",
        ]
    notes.append(
        "= no setting kept the level where it was chosen: the host's own lists. "
        "Tail cov. 5+: tail items in five lists or more. "
        "NDCG kept: the least among the settings of the row."
    )
    return notes
