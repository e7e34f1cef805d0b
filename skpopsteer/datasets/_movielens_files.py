"""Reading of the files GroupLens publishes, layout by layout, into plain tables."""

import csv
import io
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np

from skpopsteer.datasets._text_files import (
    broken_row,
    decode,
    list_some,
    locate,
    opened,
)

__all__ = ["Layout", "find_layout", "read_movies", "read_ratings", "read_tags"]

#: Ratings parsed at a time, so that 25 million need no list of 25 million strings.
_BLOCK_LINES = 1 << 19

_RATING_COLUMNS = ["userId", "movieId", "rating", "timestamp"]
_NO_GENRES = "(no genres listed)"

#: Order of the 19 flags of u.item, from u.genre of the 100K set.
_GENRES_100K = (
    *("unknown", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime"),
    *("Documentary", "Drama", "Fantasy", "Film-Noir", "Horror", "Musical", "Mystery"),
    *("Romance", "Sci-Fi", "Thriller", "War", "Western"),
)


class Layout(NamedTuple):
    """Names and separator of one generation of GroupLens files."""

    sets: str
    ratings: str
    movies: str
    tags: str | None
    separator: str


_LAYOUTS = (
    Layout("latest, 20M and later", "ratings.csv", "movies.csv", "tags.csv", ","),
    Layout("1M and 10M", "ratings.dat", "movies.dat", "tags.dat", "::"),
    Layout("100K", "u.data", "u.item", None, "\t"),
)

_Fields = list[str]
_Movie = tuple[int, str, list[str]]
_Tag = tuple[int, int, str]


def find_layout(folder: Path) -> Layout:
    """Tell by its files which layout a folder has; the newest wins."""
    if not folder.is_dir():
        raise FileNotFoundError(
            f"`folder` must be a folder with the files of a MovieLens set; got "
            f"{str(folder)!r}, which is none. Unpack a set of "
            "https://grouplens.org/datasets/movielens/ and pass its folder."
        )
    for layout in _LAYOUTS:
        if locate(folder, layout.ratings) and locate(folder, layout.movies):
            return layout
    wanted = ", or ".join(f"{x.ratings} and {x.movies} ({x.sets})" for x in _LAYOUTS)
    raise FileNotFoundError(
        f"`folder` must hold {wanted}, each plain or gzipped; got "
        f"{list_some(folder)}. Pass the folder the set was unpacked to."
    )


def read_ratings(folder: Path, layout: Layout) -> np.ndarray:
    """Read (user, movie, rating, timestamp) of every rating, in the file's order."""
    tables = []
    with opened(folder, layout.ratings) as stream:
        lines = io.TextIOWrapper(stream, encoding="utf-8-sig", errors="replace")
        n_read = 0
        if layout.separator == ",":
            header = lines.readline().rstrip()
            if header != ",".join(_RATING_COLUMNS):
                raise broken_row(layout.ratings, 1, header)
            n_read = 1
        while block := list(islice(lines, _BLOCK_LINES)):
            table = _numbers(block, layout.separator)
            if table is None:
                broken = _firstbroken_row(block, layout.separator)
                line = block[broken].rstrip()
                raise broken_row(layout.ratings, n_read + broken + 1, line)
            tables.append(table)
            n_read += len(block)
    if not any(map(len, tables)):
        raise ValueError(
            f"`folder` must hold at least one rating; got none in {layout.ratings}. "
            "Restore the file from the original download."
        )
    return np.concatenate(tables)


def read_movies(folder: Path, layout: Layout) -> dict[int, tuple[str, list[str]]]:
    """Read the title and the genres of every movie, by its id."""
    parse = _flagged_movie if layout.movies == "u.item" else _listed_movie
    rows = _rows(folder, layout, layout.movies, ["movieId", "title", "genres"])
    movies = _parsed(layout.movies, rows, parse)
    return {movie: (title, genres) for movie, title, genres in movies}


def read_tags(folder: Path, layout: Layout) -> set[_Tag]:
    """Read who gave which movie which tag, lower case; empty without a tags file."""
    if layout.tags is None or not locate(folder, layout.tags):
        return set()
    columns = ["userId", "movieId", "tag", "timestamp"]
    rows = _rows(folder, layout, layout.tags, columns)
    tags = _parsed(layout.tags, rows, _tag)
    return {entry for entry in tags if entry[2]}


def _numbers(lines: list[str], separator: str) -> np.ndarray | None:
    """Parse rows of four numbers, the first two whole; None where one is not so."""
    filled = [line.replace(separator, ",") for line in lines if not line.isspace()]
    if not filled:
        return np.empty((0, 4))
    try:
        table = np.loadtxt(filled, delimiter=",", comments=None, ndmin=2)
    except ValueError:
        return None
    if table.shape[1] != 4 or not np.isfinite(table).all():
        return None
    return table if (table[:, :2] % 1 == 0).all() else None


def _firstbroken_row(lines: list[str], separator: str) -> int:
    """Position of the first line that does not parse, found by halving."""
    first, last = 0, len(lines)
    while last - first > 1:
        middle = (first + last) // 2
        if _numbers(lines[first:middle], separator) is None:
            last = middle
        else:
            first = middle
    return first


def _rows(
    folder: Path, layout: Layout, name: str, columns: _Fields
) -> Iterator[tuple[int, _Fields]]:
    """Yield the line number and the fields of every row of a table with text."""
    with opened(folder, name) as stream:
        text = decode(stream.read())
    if layout.separator == ",":
        yield from _csv_rows(text, name, columns)
        return
    separator = "|" if name == "u.item" else layout.separator
    for number, line in enumerate(io.StringIO(text), 1):
        fields = line.rstrip("\r\n").split(separator)
        if separator == "::" and len(fields) > len(columns):
            # Nothing is quoted in this layout: what is too much belongs to the text.
            left = len(columns) - 2
            fields = [*fields[:left], separator.join(fields[left:-1]), fields[-1]]
        if fields != [""]:
            yield number, fields


def _csv_rows(text: str, name: str, columns: _Fields) -> Iterator[tuple[int, _Fields]]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        for fields in reader:
            if reader.line_num > 1 and fields:
                yield reader.line_num, fields
            elif fields != columns:
                raise broken_row(name, 1, ",".join(fields))
    except csv.Error as error:
        raise broken_row(name, reader.line_num, str(error)) from error


def _parsed(
    name: str, rows: Iterator[tuple[int, _Fields]], parse: Callable[[_Fields], tuple]
) -> Iterator[tuple]:
    for number, fields in rows:
        try:
            entry = parse(fields)
        except ValueError as error:
            raise broken_row(name, number, ",".join(fields)) from error
        yield entry


def _listed_movie(fields: _Fields) -> _Movie:
    movie, title, genres = fields
    listed = [] if genres in ("", _NO_GENRES) else genres.split("|")
    return int(movie), title.strip(), listed


def _flagged_movie(fields: _Fields) -> _Movie:
    movie, title, _, _, _, *flags = fields
    pairs = zip(_GENRES_100K, flags, strict=True)
    return int(movie), title.strip(), [genre for genre, flag in pairs if int(flag)]


def _tag(fields: _Fields) -> _Tag:
    user, movie, tag, _ = fields
    return int(user), int(movie), tag.strip().lower()
