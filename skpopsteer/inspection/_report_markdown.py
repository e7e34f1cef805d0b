"""A report as Markdown, in which nothing out of the data is markup."""

import re

from skpopsteer.inspection._report_blocks import Table, clean
from skpopsteer.inspection._report_sections import sections_of

__all__ = ["as_markdown", "escape", "table_lines"]

#: What CommonMark, its tables and its formulas read as markup, wherever it stands; and
#: what makes a link of an address.
_MARKUP = re.compile(r"[\\`*_{}\[\]<>|~&$]|:(?=//)|(?<=www)\.", re.IGNORECASE)
#: And what they read so at the beginning of a line only: of a number, what follows it.
_AT_START = re.compile(r"^(\d*)([-+=#.)])(?=\s|$|[-+=#])")


def escape(text):
    """Keep text from being read as markup.

    Parameters
    ----------
    text : object

    Returns
    -------
    str
        One line.
    """
    escaped = _MARKUP.sub(r"\\\g<0>", clean(text))
    return _AT_START.sub(r"\1\\\2", escaped)


def table_lines(table):
    """Write a table of GitHub's kind.

    Parameters
    ----------
    table : Table

    Returns
    -------
    list of str
        Its caption, an empty line, and its rows.
    """
    n_numbers = len(table.headers) - table.n_labels
    rules = [":--"] * table.n_labels + ["--:"] * n_numbers
    lines = [_row(map(escape, table.headers)), _row(rules)]
    lines += [_row(map(_cell, row)) for row in table.rows]
    return [f"**{escape(table.caption)}**", "", *lines]


def _row(cells):
    return f"| {' | '.join(cells)} |"


def _cell(cell):
    first, _, rest = cell.partition("\n")
    return f"{escape(first)} ({escape(rest)})" if rest else escape(first)


def as_markdown(report):
    """Write a report.

    Parameters
    ----------
    report : SteeringReport

    Returns
    -------
    str
    """
    sections = sections_of(report)
    lines = [f"# {escape(report.title)}", ""]
    for section in sections:
        lines += [f"## {escape(section.heading)}", ""]
        for block in section.blocks:
            if isinstance(block, str):
                lines += [escape(block), ""]
            elif isinstance(block, Table):
                lines += [*table_lines(block), ""]
            else:
                # Pictures are for pages; their words are for everybody.
                lines += [f"*{escape(block.title)}.* {escape(block.text)}", ""]
    return "\n".join(lines[:-1]) + "\n"
