r"""Rules that turn activations: one function each, with one signature.

``rule(codes, push, scales, peaks) -> steered activations``, where `codes` holds the
pre-activations and activations of some rows, `push` is how far every neuron is turned
(n_rows or 1, n_neurons), positive upwards, in units of its weight times the strength,
and `scales` and `peaks` are every neuron's standard deviation and largest activation.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

__all__ = ["RULES", "Codes", "clamp", "scale", "shift"]


class Codes(NamedTuple):
    """Pre-activations and activations of some rows, and what makes one of the other.

    Attributes
    ----------
    pre : ndarray of shape (n_rows, n_neurons)
    active : ndarray of shape (n_rows, n_neurons)
    activate : callable
        ``activate(pre)`` is `active`.
    """

    pre: np.ndarray
    active: np.ndarray
    activate: Callable[[np.ndarray], np.ndarray]

    def of(self, rows: slice) -> "Codes":
        """Cut to some rows."""
        return Codes(self.pre[rows], self.active[rows], self.activate)


def shift(
    codes: Codes, push: np.ndarray, scales: np.ndarray, peaks: np.ndarray
) -> np.ndarray:
    """Add ``push * scales`` before ReLU and TopK (PopSteer, Eq. 4).

    A silent neuron that is pushed far enough starts to fire, and takes the place of
    another among the k kept.
    """
    return codes.activate(codes.pre + push * scales)


def scale(
    codes: Codes, push: np.ndarray, scales: np.ndarray, peaks: np.ndarray
) -> np.ndarray:
    """Multiply activations by ``exp(push)``: never negative, silent neurons stay so."""
    # float32 ends at exp(88); far below that a single neuron is the whole embedding.
    return codes.active * np.exp(np.clip(push, -50, 50))


def clamp(
    codes: Codes, push: np.ndarray, scales: np.ndarray, peaks: np.ndarray
) -> np.ndarray:
    """Bound the neurons that fire: a ceiling if pushed down, a floor if pushed up.

    A push of -1 holds a neuron at 0, a push of +1 at its peak, and less in proportion.
    Silent neurons stay silent: raising hundreds of unpopular ones at once would drown
    what the code says of the row.
    """
    ceiling = np.where(push < 0, peaks * np.maximum(1 + push, 0), np.inf)
    floor = np.where(push > 0, peaks * np.minimum(push, 1), -np.inf)
    bounded = np.clip(codes.active, floor, ceiling)
    return np.where(codes.active > 0, bounded, codes.active).astype(codes.active.dtype)


RULES = {"shift": shift, "scale": scale, "clamp": clamp}
