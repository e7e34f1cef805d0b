"""Files of a published data set: found, plain or gzipped, and decoded."""

import gzip
import os
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

__all__ = ["broken_row", "check_folder", "decode", "list_some", "locate", "opened"]


def check_folder(folder: object) -> Path:
    """Return the path of a folder; whether there is one is not asked."""
    if not isinstance(folder, str | os.PathLike) or "\0" in str(folder):
        raise TypeError(
            f"`folder` must be a path; got {folder!r}. Pass the name of the folder the "
            "set was unpacked to."
        )
    return Path(folder)


def locate(folder: Path, name: str) -> Path | None:
    """Find a file, or the same gzipped."""
    candidates = (folder / name, folder / f"{name}.gz")
    return next((path for path in candidates if path.is_file()), None)


def list_some(folder: Path) -> str:
    """Name what a folder holds, for a message."""
    found = sorted(path.name for path in folder.iterdir())
    listed = ", ".join(found[:5]) + (", ..." if len(found) > 5 else "")
    return listed or "an empty folder"


@contextmanager
def opened(folder: Path, name: str) -> Iterator[IO[bytes]]:
    """Open a file that is there, plain or gzipped."""
    path = locate(folder, name)
    assert path is not None  # whoever asks has looked
    opener = cast(
        "Callable[[Path, str], IO[bytes]]", gzip.open if path.suffix == ".gz" else open
    )
    try:
        with opener(path, "rb") as stream:
            yield stream
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(
            f"`folder` must hold complete gzip files; got a damaged {path.name} "
            f"({error}). Download the set again."
        ) from error


def decode(data: bytes) -> str:
    """Decode UTF-8, or else Latin-1, which older sets are in."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def broken_row(name: str, number: int, content: str) -> ValueError:
    """Make the error for a row that does not parse."""
    shown = content if len(content) <= 60 else content[:57] + "..."
    return ValueError(
        f"`folder` must hold well-formed rows; got {shown!r} in {name}, line {number}. "
        "Restore the file from the original download."
    )
