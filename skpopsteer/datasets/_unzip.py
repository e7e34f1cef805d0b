"""Unpack an archive that may have been made to do harm."""

import os
import shutil
import stat
import zipfile
import zlib
from pathlib import Path, PurePosixPath

__all__ = ["unzip"]

#: Far more than any data set here has.
_MOST_MEMBERS = 1000
#: What is wrong with an archive that was cut off or needs a password.
_BROKEN = (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError, zlib.error)


def unzip(archive: Path, folder: Path, *, inside: str, most_bytes: int) -> None:
    """Unpack the plain files of an archive to a folder that is not there yet.

    Parameters
    ----------
    archive : Path
        The zip file.
    folder : Path
        Where to; it is made.
    inside : str
        Folder of the archive to unpack; "" for all of it.
    most_bytes : int
        What all members may come to. No more is read of a member than it says it has,
        so that what members say can be relied on.

    Raises
    ------
    ValueError
        For a member that is not a plain file below `folder`, before anything is
        written, and for an archive that is broken.
    """
    try:
        with zipfile.ZipFile(archive) as zipped:
            members = _check_members(archive, zipped.infolist(), most_bytes)
            folder.mkdir()
            for info in members:
                name = PurePosixPath(info.filename)
                if name.is_relative_to(inside) and not info.is_dir():
                    _write(zipped, info, folder / name.relative_to(inside))
    except _BROKEN as error:
        raise ValueError(
            f"`{archive.name}` must be a whole zip file without a password; got a "
            f"broken one ({error}). Download it again."
        ) from error


def _check_members(
    archive: Path, members: list[zipfile.ZipInfo], most_bytes: int
) -> list[zipfile.ZipInfo]:
    seen = set()
    for info in members:
        fault = _fault(info)
        # Some file systems take names for one that differ in case.
        if info.filename.casefold() in seen:
            fault = "there twice"
        seen.add(info.filename.casefold())
        if fault:
            raise ValueError(
                f"`{archive.name}` must hold plain files only; got {info.filename!r}, "
                f"which is {fault}. Do not use this archive."
            )
    n_bytes = sum(info.file_size for info in members)
    if n_bytes > most_bytes or len(members) > _MOST_MEMBERS:
        raise ValueError(
            f"`{archive.name}` must unpack to at most {most_bytes} bytes in "
            f"{_MOST_MEMBERS} files; got {n_bytes} in {len(members)}. Do not use this "
            "archive."
        )
    return members


def _fault(info: zipfile.ZipInfo) -> str | None:
    """Say what is wrong with a member, if anything is."""
    name = PurePosixPath(info.filename)
    # A backslash separates, and a colon names a drive, on some systems only.
    if name.is_absolute() or ".." in name.parts or set(info.filename) & set("\\:\0"):
        return "outside of the folder"
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind not in (0, stat.S_IFDIR if info.is_dir() else stat.S_IFREG):
        return "a link or a device"
    return None


def _write(zipped: zipfile.ZipFile, info: zipfile.ZipInfo, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipped.open(info) as source, open(path, "xb") as sink:
        shutil.copyfileobj(source, sink, 1 << 20)
        sink.flush()
        os.fsync(sink.fileno())
