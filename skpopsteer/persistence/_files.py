"""Files that are whole or absent, whoever else writes to their place."""

import glob
import os
import pathlib
import uuid
from contextlib import contextmanager, suppress

__all__ = ["path_of", "sweep", "unfinished_file"]


def path_of(file):
    """Return the path that a user has written."""
    if not isinstance(file, str | os.PathLike) or "\0" in str(file):
        raise TypeError(
            f"`file` must be a path; got {file!r}. Write 'model.skops', for example."
        )
    return pathlib.Path(file)


@contextmanager
def unfinished_file(file):
    """Yield the path of a new file beside another, which is gone in the end."""
    while True:
        # In the same folder, or the replacement would be a copy, which can be cut off.
        path = file.with_name(f".{file.name}.{uuid.uuid4().hex}")
        with open(path, "xb") as stream:
            is_locked = _lock(stream)
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


def sweep(file):
    """Remove what killed processes left beside a file; those that live hold a lock."""
    pattern = f".{glob.escape(file.name)}.{'[0-9a-f]' * 32}"
    for left in file.parent.glob(pattern):
        with suppress(OSError), open(left, "r+b") as stream:
            if _lock(stream):
                left.unlink()


def _lock(stream):
    """Lock an open file if nobody else has; where there are no locks, nobody has one.

    The system itself takes it back when a process ends, whatever ended it.
    """
    try:
        import fcntl

        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (ImportError, OSError):
        return False
    return True
