r"""Rules that turn activations: one function each, with one signature.

``rule(codes, push, scales, peaks) -> steered activations``, where `codes` holds the
pre-activations and activations of some rows, `push` is how far every neuron is turned
(n_rows or 1, n_neurons), positive upwards, in units of its weight times the strength,
and `scales` and `peaks` are every neuron's standard deviation and largest activation.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

__all__ = [
    "OFFSET",
    "RULES",
    "Codes",
    "add",
    "clamp",
    "hold",
    "interpolate",
    "multiply",
    "scale",
    "shift",
]


#: Not a rule of this kind: it leaves activations alone and adds them to scores.
OFFSET = "offset"


class Codes(NamedTuple):
    """Pre-activations and activations of some rows, and what makes one of the other.

    Attributes
    ----------
    pre : ndarray of shape (n_rows, n_neurons)
    active : ndarray of shape (n_rows, n_neurons)
    activate : callable
        Makes activations of pre-activations.
    correction : ndarray of shape (n_rows, n_neurons) or None
        What a probe adds to ``activate(pre)`` to get `active`; None for nothing.
    """

    pre: np.ndarray
    active: np.ndarray
    activate: Callable[[np.ndarray], np.ndarray]
    correction: np.ndarray | None = None

    def of(self, rows: slice) -> "Codes":
        """Cut to some rows."""
        correction = None if self.correction is None else self.correction[rows]
        return Codes(self.pre[rows], self.active[rows], self.activate, correction)

    def reactivate(self, pre: np.ndarray) -> np.ndarray:
        """Return the activations of pre-activations that were moved."""
        active = self.activate(pre)
        return active if self.correction is None else active + self.correction


def shift(
    codes: Codes, push: np.ndarray, scales: np.ndarray, peaks: np.ndarray
) -> np.ndarray:
    """Add ``push * scales`` before ReLU and TopK (PopSteer, Eq. 4).

    A silent neuron that is pushed far enough starts to fire, and takes the place of
    another among the k kept.
    """
    return codes.reactivate(codes.pre + push * scales)


def add(
    codes: Codes, push: np.ndarray, scales: np.ndarray, peaks: np.ndarray
) -> np.ndarray:
    """Add ``push * scales`` to the activations themselves, below 0 too.

    What it adds to an embedding is the same for every row, so that scores change as a
    selection in score space has reckoned, to the letter.
    """
    return codes.active + push * scales


def scale(
    codes: Codes, push: np.ndarray, scales: np.ndarray, peaks: np.ndarray
) -> np.ndarray:
    """Multiply activations by ``exp(push)``: never negative, silent neurons stay so."""
    # float32 ends at exp(88). With both sides turned a score is a product of two such
    # factors, and sums of them: exp(20), 5e8, leaves room, and a single neuron has long
    # been the whole embedding then.
    return codes.active * np.exp(np.clip(push, -20, 20))


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


def interpolate(
    codes: Codes, push: np.ndarray, scales: np.ndarray, peaks: np.ndarray
) -> np.ndarray:
    """Move a share of each row's activation to the neurons that are pushed up.

    With σ the L1 mass of the row, P the positive part of the push and t its sum, at
    most 1, ``z' = (1 - t) z + σ P`` (From Knots to Knobs, whose push is α / |N| on the
    neurons of a tag). Neurons that are pushed down lose their share of themselves, and
    what they lose goes to the others in proportion: the mass of a row never changes.
    """
    mass = codes.active.sum(axis=1, keepdims=True)
    kept = codes.active * (1 - np.clip(-push, 0, 1))
    left = kept.sum(axis=1, keepdims=True)
    kept *= np.divide(mass, left, out=np.zeros_like(mass), where=left > 0)
    raised = np.maximum(push, 0)
    share = raised.sum(axis=1, keepdims=True)
    raised = raised / np.maximum(share, 1)
    return (1 - np.minimum(share, 1)) * kept + mass * raised


def multiply(
    codes: Codes, push: np.ndarray, scales: np.ndarray, peaks: np.ndarray
) -> np.ndarray:
    """Multiply activations by ``1 + push``, not below 0: -1 ablates (RecSAE)."""
    return codes.active * np.maximum(1 + push, 0)


def hold(
    codes: Codes, push: np.ndarray, scales: np.ndarray, peaks: np.ndarray
) -> np.ndarray:
    """Hold turned neurons at ``push * peak``, not below 0, whether they fire or not."""
    held = np.maximum(push * peaks, 0).astype(codes.active.dtype)
    return np.where(push != 0, held, codes.active)


RULES = {
    "shift": shift,
    "add": add,
    "scale": scale,
    "clamp": clamp,
    "interpolate": interpolate,
    "multiply": multiply,
    "hold": hold,
}
