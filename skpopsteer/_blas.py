"""A limit on the threads of BLAS that threads may share."""

import threading
from contextlib import contextmanager

from threadpoolctl import threadpool_limits

__all__ = ["one_blas_thread"]

_lock = threading.Lock()
_inside = {"count": 0, "limits": None}


@contextmanager
def one_blas_thread():
    """Limit BLAS to one thread for as long as anybody is inside.

    The limit is one of the process: threads that set it and put it back by turns would
    put back each other's. Here the first sets it and the last puts it back.

    Yields
    ------
    None
    """
    with _lock:
        if not _inside["count"]:
            _inside["limits"] = threadpool_limits(1, "blas")
        _inside["count"] += 1
    try:
        yield
    finally:
        with _lock:
            _inside["count"] -= 1
            if not _inside["count"]:
                _inside.pop("limits").restore_original_limits()
