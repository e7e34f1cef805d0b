"""Reading of the files of hetrec2011-lastfm-2k into plain tables."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import numpy as np

from skpopsteer.datasets._text_files import (
    broken_row,
    decode,
    list_some,
    locate,
    opened,
)

__all__ = ["LISTENED", "check_files", "read_artists", "read_listened", "read_tags"]

LISTENED = "user_artists.dat"
_ARTISTS = "artists.dat"
_TAGS = "tags.dat"
_TAGGED = "user_taggedartists.dat"

_Row = TypeVar("_Row")


def check_files(folder: Path) -> None:
    """Refuse a folder without the files that are needed."""
    if not folder.is_dir():
        raise FileNotFoundError(
            f"`folder` must be a folder with the files of hetrec2011-lastfm-2k; got "
            f"{str(folder)!r}, which is none. fetch_lastfm makes one."
        )
    if not (locate(folder, LISTENED) and locate(folder, _ARTISTS)):
        raise FileNotFoundError(
            f"`folder` must hold {LISTENED} and {_ARTISTS}, each plain or gzipped; got "
            f"{list_some(folder)}. Pass the folder the set was unpacked to."
        )


def read_listened(folder: Path) -> np.ndarray:
    """Read (user, artist, listening count) of every pair, in the file's order."""
    table = np.array(list(_rows(folder, LISTENED, _listened)), dtype=np.int64)
    if not len(table):
        raise ValueError(
            f"`folder` must hold at least one listening count; got none in {LISTENED}. "
            "Restore the file from the original download."
        )
    return table


def read_artists(folder: Path) -> dict[int, str]:
    """Read the name of every artist, by its id."""
    return dict(_rows(folder, _ARTISTS, _named))


def read_tags(folder: Path) -> set[tuple[int, int, str]]:
    """Read who gave which artist which tag, lower case; empty without the files."""
    if not (locate(folder, _TAGS) and locate(folder, _TAGGED)):
        return set()
    names = dict(_rows(folder, _TAGS, _named))
    tagged = set(_rows(folder, _TAGGED, _tagged))
    unnamed = {tag for _, _, tag in tagged} - names.keys()
    if unnamed:
        raise ValueError(
            f"`folder` must name every tag that is used in {_TAGS}; got no row for tag "
            f"{min(unnamed)}. Take both files from one set."
        )
    entries = {(user, artist, names[tag].lower()) for user, artist, tag in tagged}
    return {entry for entry in entries if entry[2]}


def _rows(
    folder: Path, name: str, parse: Callable[[list[str]], _Row]
) -> Iterator[_Row]:
    with opened(folder, name) as stream:
        lines = decode(stream.read()).split("\n")
    for number, line in enumerate(lines, 1):
        fields = line.rstrip("\r").split("\t")
        if fields == [""] or (number == 1 and not fields[0].isdigit()):
            continue  # an empty line, or the names of the columns
        try:
            row = parse(fields)
        except ValueError as error:
            raise broken_row(name, number, ",".join(fields)) from error
        yield row


def _listened(fields: list[str]) -> tuple[int, int, int]:
    user, artist, count = map(int, fields)
    if count < 1:
        raise ValueError("who listened did so at least once")
    return user, artist, count


def _named(fields: list[str]) -> tuple[int, str]:
    # The name of an artist is followed by addresses on the web.
    id_, name, *_ = fields
    return int(id_), name.strip()


def _tagged(fields: list[str]) -> tuple[int, int, int]:
    user, artist, tag, *_ = map(int, fields)
    return user, artist, tag
