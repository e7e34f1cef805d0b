"""Loops that numba compiles when they are first called."""

import numba

__all__ = ["compiled"]


def compiled(function):
    """Compile a function, and keep it on disk where that can be.

    Parameters
    ----------
    function : callable

    Returns
    -------
    callable
        Compiled at its first call; other threads run on meanwhile.
    """
    try:
        return numba.njit(cache=True, nogil=True)(function)
    except RuntimeError:
        # No folder can be written to, as in a container that is read-only.
        return numba.njit(nogil=True)(function)
