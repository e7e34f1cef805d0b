"""Files that are whole or absent, whoever else writes to their place."""

import glob
import os
import uuid
from contextlib import contextmanager, suppress

__all__ = ["sweep", "whole_file"]


@contextmanager
def whole_file(file):
    """Yield the path of an unfinished file, which becomes this one in the end.

    What is written there is forced to the disk before. After an error the unfinished
    file is gone, and the other one is as it was; who is killed leaves it behind, and
    the next one who writes to the same place removes it.

    Parameters
    ----------
    file : Path
        In a folder that exists.

    Yields
    ------
    Path
        Of an empty file.
    """
    sweep(file)
    with _unfinished_file(file) as path:
        yield path
        with open(path, "r+b") as stream:
            os.fsync(stream.fileno())
        os.replace(path, file)


def sweep(file):
    """Remove what killed processes left beside a file; those that live hold a lock."""
    pattern = f".{glob.escape(file.name)}.{'[0-9a-f]' * 32}"
    for left in file.parent.glob(pattern):
        with suppress(OSError), open(left, "r+b") as stream:
            if _lock(stream):
                left.unlink()


@contextmanager
def _unfinished_file(file):
    """Yield the path of a new file beside another, which is gone in the end."""
    while True:
        # In the same folder, or the replacement would be a copy, which can be cut off.
        path = file.with_name(f".{file.name}.{uuid.uuid4().hex}")
        with open(path, "xb") as stream:
            try:
                is_locked = _lock(stream)
            except BlockingIOError:
                # Somebody is about to sweep it.
                continue
            if is_locked and not path.exists():
                # Somebody swept it before it was locked.
                continue
            try:
                if not is_locked:
                    # Windows replaces no file that is open.
                    stream.close()
                yield path
            finally:
                path.unlink(missing_ok=True)
            return


def _lock(stream):
    """Lock an open file, and tell whether there are locks in this place.

    The system itself takes it back when a process ends, whatever ended it. Raises
    BlockingIOError where somebody else has one.
    """
    try:
        import fcntl

        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except (ImportError, OSError):
        return False
    return True
