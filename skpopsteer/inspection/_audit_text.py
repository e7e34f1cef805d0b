"""A popularity audit as text and as HTML."""

from html import escape
from textwrap import wrap

import numpy as np

from skpopsteer._text_table import align_columns
from skpopsteer.inspection._audit_words import percent
from skpopsteer.rerankers._score_rule import name_of

__all__ = ["as_html", "as_text"]

_WIDTH = 88
#: Levels of one table at the most.
_LEVELS_A_TABLE = 6
_CHANNEL_HEADERS = [
    ("", "channel"),
    ("Pearson,", "log pop."),
    ("Spearman,", "log pop."),
    ("variance,", "one slope"),
    ("variance,", "own slopes"),
    ("tail share", "without it"),
]


def as_text(audit):
    """Print an audit.

    Parameters
    ----------
    audit : fitted PopularityAudit

    Returns
    -------
    str
        Lines of at most 88 characters.
    """
    parts = []
    for caption, headers, rows in _tables(audit):
        first, second = zip(*headers, strict=True)
        lines, rule = align_columns([first, second, *rows])
        if not lines[0].strip():
            lines = lines[1:]
            lines.insert(1, rule)
        else:
            lines.insert(2, rule)
        parts += [*wrap(caption, _WIDTH), *lines, ""]
    for note in [*audit.notes_, audit.recommendation_]:
        # A number keeps its sign of per cent beside it.
        lines = wrap(note.replace(" %", "\u00a0%"), _WIDTH)
        parts += [line.replace("\u00a0", " ") for line in lines]
    return "\n".join(parts)


def as_html(audit):
    """Show an audit in a notebook.

    Parameters
    ----------
    audit : fitted PopularityAudit

    Returns
    -------
    str
    """
    tables = "".join(_html(*table) for table in _tables(audit))
    notes = "<br>".join(escape(note) for note in audit.notes_)
    return f"{tables}{notes}<p>{escape(audit.recommendation_)}</p>"


def _html(caption, headers, rows):
    head = "".join(f"<th>{escape(' '.join(one).strip())}</th>" for one in headers)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>"
        for row in rows
    )
    return (
        f"<table><caption>{escape(caption)}</caption><thead><tr>{head}</tr></thead>"
        f"<tbody>{body}</tbody></table>"
    )


def _tables(audit):
    yield _channel_table(audit)
    for start in range(0, len(audit.levels_), _LEVELS_A_TABLE):
        levels = audit.levels_[start : start + _LEVELS_A_TABLE]
        yield _reach_table(audit, levels, last=levels[-1] == audit.levels_[-1])


def _channel_table(audit):
    rows = [
        [
            one.name, _number(one.pearson, 2), _number(one.spearman, 2),
            _share(one.variance_share), _share(one.variance_share_personal),
            _number(one.tail_share_without),
        ]
        for one in audit.channels_
    ]  # fmt: skip
    host = name_of(audit.recommender_)
    return f"Where {host} keeps popularity", _CHANNEL_HEADERS, rows


def _reach_table(audit, levels, last):
    headers = [("", "lever"), *(("", percent(level)) for level in levels)]
    shown = [*levels]
    if last:
        headers.append(("", "any cost"))
        shown.append(None)
    rows = []
    for name in audit.levers_:
        found = {one.level: one for one in audit.reach_ if one.lever == name}
        mark = "" if found[None].channel else " *"
        cells = [_cell(found[level]) for level in shown]
        rows.append([name + mark, *cells])
    caption = (
        f"Tail share while so much of {audit.kept_name_} is kept; the host's is "
        f"{audit.tail_share_:.3f}"
    )
    return caption, headers, rows


def _cell(reach):
    cell = _number(reach.tail_share)
    if reach.level is None and cell:
        cell += f" ({percent(round(reach.kept, 2))})"
    return cell


def _number(value, digits=3):
    return "" if np.isnan(value) else f"{round(float(value), digits) + 0.0:.{digits}f}"


def _share(value):
    return "" if np.isnan(value) else f"{100 * value:.1f} %"
