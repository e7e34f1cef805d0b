"""Traces that a careless library leaves."""

import os
import random
import signal
import sys
import threading
import warnings

import matplotlib as mpl
import numpy as np
import sklearn
import torch
from threadpoolctl import threadpool_limits

#: What this library must never do, each with the name it would be found by.
TRACES = {
    "numpy's generator": lambda: np.random.seed(0),  # noqa: NPY002
    "python's generator": lambda: random.seed(0),
    "torch's generator": lambda: torch.manual_seed(0),
    "torch's threads": lambda: torch.set_num_threads(torch.get_num_threads() + 1),
    "torch's types": lambda: torch.set_default_dtype(torch.float64),
    "torch's gradients": lambda: torch.set_grad_enabled(False),
    "torch's determinism": lambda: torch.use_deterministic_algorithms(True),
    "threads of libraries": lambda: threadpool_limits(3),
    "warning filters": lambda: warnings.simplefilter("ignore"),
    "numpy's errors": lambda: np.seterr(all="ignore"),
    "numpy's printing": lambda: np.set_printoptions(precision=2),
    "settings of scikit-learn": lambda: sklearn.set_config(assume_finite=True),
    "matplotlib": lambda: mpl.rcParams.update({"font.size": 31}),
    "environment": lambda: os.environ.update(SKPOPSTEER_TEST="1"),
    "folder": lambda: os.chdir("/"),
    "mask of permissions": lambda: os.umask(0o27),
    "paths": lambda: sys.path.append("elsewhere"),
    "signals": lambda: signal.signal(signal.SIGTERM, signal.SIG_IGN),
    "recursion": lambda: sys.setrecursionlimit(5000),
    "threads": lambda: threading.Thread(target=threading.Event().wait).start(),
}
