"""Neurons the caller names, and others of like activation to compare them with."""

from collections.abc import Mapping
from numbers import Integral

import numpy as np

__all__ = ["draw_controls", "read_groups"]

#: Controls are drawn from this many times as many neurons of nearly equal activation.
_POOL = 2


def read_groups(neurons, n_neurons, labels):
    """Return groups of neurons by what they are called.

    Parameters
    ----------
    neurons : int, list or mapping
        As :func:`ablate_neurons` takes them.
    n_neurons : int
    labels : dict of int to str
        Neurons somebody has named.

    Returns
    -------
    dict of str to tuple of int
        Not empty, in the caller's order.
    """
    if isinstance(neurons, Mapping):
        named = {str(n): _read_group(one, n_neurons) for n, one in neurons.items()}
    else:
        several = neurons if _is_list(neurons) else [neurons]
        groups = [_read_group(one, n_neurons) for one in several]
        named = {_name(group, labels): group for group in groups}
    if not named:
        raise ValueError(
            "`neurons` must name at least one neuron; got none. Columns of the probe's "
            "transform are the neurons."
        )
    return named


def _is_list(value):
    is_array = isinstance(value, np.ndarray) and value.ndim > 0
    return is_array or isinstance(value, list | tuple)


def _read_group(group, n_neurons):
    group = tuple(group) if _is_list(group) else (group,)
    for neuron in group:
        whole = isinstance(neuron, Integral) and not isinstance(neuron, bool)
        if not whole or not 0 <= neuron < n_neurons or group.count(neuron) > 1:
            raise ValueError(
                f"`neurons` must be positions 0 to {n_neurons - 1}, each once in a "
                f"group; got {neuron!r}. Columns of the probe's transform are the "
                "neurons."
            )
    if not group:
        raise ValueError(
            "`neurons` must hold groups of at least one neuron; got an empty one. "
            "Leave it out."
        )
    return tuple(int(neuron) for neuron in group)


def _name(group, labels):
    numbers = "+".join(map(str, group))
    known = [labels[neuron] for neuron in group if neuron in labels]
    name = f"neuron {numbers}" if len(group) == 1 else f"neurons {numbers}"
    return f"{name} ({', '.join(known)})" if known else name


def draw_controls(groups, levels, n_controls, rng):
    """Draw groups of other neurons, whose levels are nearly equal one by one.

    Parameters
    ----------
    groups : list of tuple of int
    levels : ndarray of shape (n_neurons,)
        What controls have to equal: mean activations, or peaks.
    n_controls : int
    rng : RandomState

    Returns
    -------
    list of list of tuple of int
        `n_controls` for every group; fewer where too few neurons are left that fire and
        are in no group.
    """
    chosen = [neuron for group in groups for neuron in group]
    others = np.setdiff1d(np.flatnonzero(levels > 0), chosen)
    # Activations spread over orders of magnitude: near means a ratio near 1.
    logs = np.log(np.maximum(levels, np.finfo(np.float32).tiny))
    drawn = []
    for group in groups:
        n_pool = max(_POOL * n_controls, n_controls + len(group))
        pools = []
        for neuron in group:
            distances = np.abs(logs[others] - logs[neuron])
            nearest = others[np.argsort(distances, kind="stable")[:n_pool]]
            pools.append(rng.permutation(nearest))
        n_drawn = min(n_controls, len(others)) if len(others) >= len(group) else 0
        drawn.append([_take(pools, start) for start in range(n_drawn)])
    return drawn


def _take(pools, start):
    """Take one neuron of each pool, counting from `start`, and none twice."""
    taken = []
    for pool in pools:
        taken.append(next(int(n) for n in np.roll(pool, -start) if n not in taken))
    return tuple(taken)
