"""The tables of a page, cell by cell."""

from html.parser import HTMLParser
from typing import NamedTuple

__all__ = ["tables_of"]


class Table(NamedTuple):
    """Caption, and the texts of all cells, row by row; headers are rows too."""

    caption: str
    rows: list


class _Reader(HTMLParser):
    def __init__(self):
        super().__init__()
        self.tables, self.strays, self._cell = [], [], None

    def handle_starttag(self, tag, attrs):
        if tag == "table":
            self.tables.append(Table("", []))
        elif tag == "tr":
            self.tables[-1].rows.append([])
        elif tag in ("td", "th", "caption"):
            self._cell = []
        elif tag == "br" and self._cell is not None:
            self._cell.append("\n")

    def handle_data(self, data):
        (self.strays if self._cell is None else self._cell).append(data)

    def handle_endtag(self, tag):
        if tag == "caption":
            self.tables[-1] = self.tables[-1]._replace(caption="".join(self._cell))
            self._cell = None
        elif tag in ("td", "th"):
            self.tables[-1].rows[-1].append("".join(self._cell))
            self._cell = None


def tables_of(html):
    """Return the tables of a page, and the text outside of their cells."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    return reader.tables, "".join(reader.strays)
