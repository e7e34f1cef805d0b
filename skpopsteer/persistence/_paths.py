"""Names of files, as users write them."""

import os
import pathlib

__all__ = ["path_of"]


def path_of(file):
    """Return the path that a user has written."""
    if not isinstance(file, str | os.PathLike) or "\0" in str(file):
        raise TypeError(
            f"`file` must be a path; got {file!r}. Write 'model.skops', for example."
        )
    return pathlib.Path(file)
