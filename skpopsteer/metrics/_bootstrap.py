"""How much a metric of these users would differ on other users like them."""

import inspect

import numpy as np
from sklearn.utils import check_random_state

from skpopsteer.metrics import accuracy, exposure

__all__ = ["bootstrap_metric", "call_arguments", "parameters"]

#: Metrics that are the mean of a value per user: no list has to be read twice.
_MEANS_OVER_USERS = (
    accuracy.ndcg,
    accuracy.recall,
    accuracy.precision,
    accuracy.hit_rate,
    accuracy.mrr,
    accuracy.mean_average_precision,
    exposure.average_popularity,
    exposure.novelty,
)
_ONE_ROW_A_USER = ("X", "y", "recommendations")


def bootstrap_metric(function, arguments, *, n_boot, random_state):
    """Draw users with replacement, and measure each draw.

    Parameters
    ----------
    function : callable
        A metric.
    arguments : dict
        What it is called with; `X`, `y` and `recommendations` hold one row per user.
    n_boot : int
        Number of draws.
    random_state : int, RandomState instance or None
        The same seed draws the same users, whatever the metric.

    Returns
    -------
    ndarray of shape (n_boot,)

    Notes
    -----
    Holds one draw at a time. The same users drawn for two recommenders make the
    difference of their metrics a paired one.

    References
    ----------
    .. [1] B. Efron and R. J. Tibshirani, "An Introduction to the Bootstrap", 1993,
       doi:10.1201/9780429246593.
    """
    n_users = len(arguments["recommendations"])
    rng = check_random_state(random_state)
    draws = (rng.randint(n_users, size=n_users) for _ in range(n_boot))
    if function in _MEANS_OVER_USERS:
        values = function(**arguments, per_user=True)
        counted = ~np.isnan(values)
        values = np.where(counted, values, 0.0)
        return np.array([_mean(values[rows], counted[rows]) for rows in draws])
    per_user = {
        name: _sliceable(arguments[name])
        for name in _ONE_ROW_A_USER
        if name in arguments
    }
    return np.array(
        [
            function(**{**arguments, **{n: v[rows] for n, v in per_user.items()}})
            for rows in draws
        ]
    )


def _mean(values, counted):
    n_counted = counted.sum()
    return values.sum() / n_counted if n_counted else np.nan


def _sliceable(value):
    value = getattr(value, "y", value)
    return value.tocsr() if hasattr(value, "tocsr") else np.asarray(value)


def parameters(function):
    """Return the names of a metric's parameters."""
    return inspect.signature(function).parameters.keys()


def call_arguments(function, known, k):
    """Choose what a metric asks for by the names of its parameters."""
    names = parameters(function)
    arguments = {name: known[name] for name in names if name in known}
    if "k" in names:
        return arguments | {"k": k}
    return arguments | {"recommendations": known["recommendations"][:, :k]}
