"""What belongs to the process, and not to who calls a library in it."""

import gc
import locale
import logging
import multiprocessing
import os
import random
import signal
import sys
import tempfile
import threading
import warnings

import joblib
import matplotlib as mpl
import numpy as np
import sklearn
import torch
from threadpoolctl import threadpool_info

#: What changes when some library is imported, which the first call of a kind may do.
OF_IMPORTS = {
    "environment", "hooks", "loggers", "paths", "start of processes", "threads",
    "warning filters",
}  # fmt: skip


def state_of_the_process():
    """Return what a library could leave changed behind it, by names."""
    return {
        "numpy's generator": joblib.hash(np.random.get_state()),  # noqa: NPY002
        "python's generator": joblib.hash(random.getstate()),
        "torch's generator": joblib.hash(torch.get_rng_state().numpy()),
        "torch's threads": (torch.get_num_threads(), torch.get_num_interop_threads()),
        "torch's types": (torch.get_default_dtype(), torch.get_default_device()),
        "torch's gradients": torch.is_grad_enabled(),
        "torch's determinism": torch.are_deterministic_algorithms_enabled(),
        "threads of libraries": _threads_of_libraries(),
        "warning filters": list(warnings.filters),
        "numpy's errors": (np.geterr(), np.geterrcall()),
        "numpy's printing": np.get_printoptions(),
        "settings of scikit-learn": sklearn.get_config(),
        "matplotlib": (mpl.get_backend(), dict(mpl.rcParams)),
        "environment": dict(os.environ),
        "folder": os.getcwd(),
        "folder of temporary files": tempfile.gettempdir(),
        "mask of permissions": _mask_of_permissions(),
        "locale": locale.setlocale(locale.LC_ALL),
        "paths": list(sys.path),
        "streams": (sys.stdin, sys.stdout, sys.stderr),
        "signals": [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)],
        "recursion": sys.getrecursionlimit(),
        "switches": sys.getswitchinterval(),
        "collector": (gc.isenabled(), gc.get_threshold()),
        "loggers": _loggers(),
        "start of processes": multiprocessing.get_start_method(allow_none=True),
        "threads": threading.active_count(),
        "hooks": (sys.excepthook, threading.excepthook, sys.unraisablehook),
    }


def changes(before, after, *, imports_may=False):
    """Return the names of what differs between two states."""
    names = [name for name, value in before.items() if after[name] != value]
    return [name for name in names if not (imports_may and name in OF_IMPORTS)]


class _Known(dict):
    """Threads by library; equal to those of another time for what both know."""

    __hash__ = None

    def __eq__(self, other):
        return all(other[name] == self[name] for name in set(self) & set(other))

    def __ne__(self, other):
        return not self == other


def _threads_of_libraries():
    # A library that is loaded on the way had no number of threads before.
    return _Known({one["filepath"]: one["num_threads"] for one in threadpool_info()})


def _mask_of_permissions():
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _loggers():
    root, own = logging.getLogger(), logging.getLogger("skpopsteer")
    return root.level, list(root.handlers), own.level, list(own.handlers)
