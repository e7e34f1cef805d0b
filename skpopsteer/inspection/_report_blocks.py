"""What a report is made of before it becomes a page: sections, tables, pictures."""

import unicodedata
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = [
    "Figure",
    "Section",
    "Table",
    "clean",
    "count",
    "enumerate_words",
    "number",
    "signed",
    "span",
]


@dataclass(frozen=True)
class Table:
    """Cells as they are printed.

    Parameters
    ----------
    caption : str
    headers : list of str
        The first is that of the column which names the rows.
    rows : list of list of str
        What follows a line break in a cell stands below it, in small letters.
    n_labels : int, default=1
        Columns of words, from the left; the others hold numbers.
    """

    caption: str
    headers: list[str]
    rows: list[list[str]]
    n_labels: int = 1


@dataclass(frozen=True)
class Figure:
    """A picture, and the same in words.

    Parameters
    ----------
    name : str
        One of the names that pictures are drawn by.
    title : str
    text : str
        What is to be seen.
    """

    name: str
    title: str
    text: str


@dataclass(frozen=True)
class Section:
    """A heading and what stands under it.

    Parameters
    ----------
    key : str
        Unique, for links.
    heading : str
    blocks : list of str, Table or Figure
        A string is a paragraph.
    """

    key: str
    heading: str
    blocks: list[Any]


def clean(text, limit=None):
    """Make one line that every format can hold, out of what the data hold.

    Parameters
    ----------
    text : object
    limit : int, default=None
        Longest line; None does not cut.

    Returns
    -------
    str
        Without control characters, halves of surrogate pairs and marks that turn the
        direction of the text around it.
    """
    text = str(text)
    blanks = (one for one in set(text) if unicodedata.category(one) in _NO_TEXT)
    dropped = dict.fromkeys(blanks, " ") | dict.fromkeys(_TURNS, "")
    text = " ".join(text.translate(str.maketrans(dropped)).split())
    if limit is not None and len(text) > limit:
        text = f"{text[: limit - 1].rstrip()}…"
    return text


#: Categories of control characters, halves of surrogate pairs, and ends of lines.
_NO_TEXT = ("Cc", "Cs", "Zl", "Zp")
#: Overrides and isolates of the writing direction reach beyond the text they are in.
_TURNS = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"


def number(value, digits=3):
    """Print a number; what is not known is an empty cell."""
    if value is None or not np.isfinite(value):
        return ""
    # From minus zero, or what rounds to it, a plain zero.
    return f"{round(float(value), digits) + 0.0:.{digits}f}"


def signed(value, digits=3):
    """Print a difference with its sign."""
    text = number(value, digits)
    if not text or not float(text):
        return text
    return _with_minus(text) if text.startswith("-") else f"+{text}"


def span(low, high, digits=3):
    """Print an interval; nothing where there is none."""
    if low is None or not np.isfinite([low, high]).all() or low == high:
        return ""
    ends = [_with_minus(number(end, digits)) for end in (low, high)]
    return f"{ends[0]} to {ends[1]}"


def _with_minus(text):
    # Not a hyphen, which a line may be broken at.
    return text.replace("-", "\u2212")


def count(n, singular, plural=None):
    """Print a count with its noun."""
    return f"{n:,} {singular if n == 1 else plural or f'{singular}s'}"


def enumerate_words(words):
    """Join words with commas and an `and`."""
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]]))
