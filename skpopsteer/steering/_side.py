"""One side of a recommender, users or items: its neurons, and how they move rows."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.utils.validation import has_fit_parameter

from skpopsteer.steering._rules import RULES, Codes

__all__ = ["SteeredSide"]

#: Activations held at once. 2**23 float32 are 32 MiB, of which a rule needs a few.
_BLOCK_ACTIVATIONS = 2**23


@dataclass
class SteeredSide:
    """Fitted probe and selector of one side, with the statistics the rules need.

    Attributes
    ----------
    probe, selector : estimator
        Fitted.
    scales : ndarray of shape (n_neurons,)
        Standard deviation of every neuron's pre-activation.
    peaks : ndarray of shape (n_neurons,)
        Largest activation of every neuron over the real rows.
    n_features : int
        Width of the embeddings.
    """

    probe: Any
    selector: Any
    scales: np.ndarray
    peaks: np.ndarray
    n_features: int

    @classmethod
    def fit(cls, probe, selector, *, rows, group_rows, groups, shift_scale):
        """Select neurons on grouped rows and measure them on real ones.

        Parameters
        ----------
        probe : fitted probe
        selector : unfitted selector
        rows : ndarray of shape (n_rows, d)
            Embeddings of real users, or of the items.
        group_rows : ndarray of shape (n, d)
            Embeddings that the groups are made of.
        groups : ndarray of shape (n,)
            +1 head, 0 ignored, -1 tail.
        shift_scale : {"real", "own", "opposite"}
            Rows the standard deviations are taken over.
        """
        pre, peaks = _pre_activations_and_peaks(probe, group_rows)
        real_scales, real_peaks = _deviations_and_peaks(probe, rows)
        fit_params = {}
        if has_fit_parameter(selector, "activations"):
            fit_params["activations"] = np.maximum(peaks, real_peaks)[None, :]
        selector = selector.fit(pre, groups, **fit_params)
        weights = getattr(selector, "steering_weights_", None)
        if weights is None:
            raise TypeError(
                "`selector` must have steering_weights_ after fit; got "
                f"{type(selector).__name__}. Use PopularityNeuronSelector."
            )
        scales = real_scales
        if shift_scale != "real":
            scales = _group_scales(pre, groups, weights, shift_scale)
        scales = scales.astype(np.float32)
        return cls(probe, selector, scales, real_peaks, rows.shape[1])

    def push(self, strength, unpopular_strength):
        """Return how far every neuron is turned: popular ones down, others up."""
        weights = self.selector.steering_weights_
        strengths = np.where(weights > 0, strength, unpopular_strength)
        return (-strengths * weights).astype(np.float32)

    def move(self, rows, push, *, rule, reconstruction, factors=None, codes=None):
        """Return steered embeddings of some rows.

        Parameters
        ----------
        rows : ndarray of shape (n_rows, d), dtype float32
            Left as they are.
        push : ndarray of shape (n_neurons,)
            Of :meth:`push`.
        rule : {"shift", "scale", "clamp"}
        reconstruction : {"residual", "replace"}
            Keep the error of the autoencoder, or return its reconstruction.
        factors : ndarray of shape (n_rows,), default=None
            Multiplies `push`, per row.
        codes : Codes, default=None
            What :func:`encode` makes of the rows, where that is known.
        """
        moves = push.any() and (factors is None or factors.any())
        if reconstruction == "residual" and not moves:
            return rows
        step = max(1, _BLOCK_ACTIVATIONS // len(push))
        moved = np.empty_like(rows)
        for start in range(0, len(rows), step):
            block = slice(start, start + step)
            turned = push[None, :]
            if factors is not None:
                turned = turned * factors[block, None]
            code = encode(self.probe, rows[block]) if codes is None else codes.of(block)
            steered = code.active
            if moves:
                _require_nonnegative(code, rule)
                steered = RULES[rule](code, turned, self.scales, self.peaks)
            if reconstruction == "replace":
                moved[block] = self._decode(steered, rows[block])
            else:
                moved[block] = rows[block] + self._decode_change(
                    code.active, steered, rows[block]
                )
        return moved

    def codes(self, rows):
        """Return the codes of some rows, or None where they would fill the memory."""
        if len(rows) * len(self.scales) > _BLOCK_ACTIVATIONS:
            return None
        return encode(self.probe, rows)

    def _decode(self, active, rows):
        if getattr(self.probe, "standardize_rows", False):
            # Such a probe needs the rows to put their own scale back.
            return self.probe.inverse_transform(active, rows)
        return self.probe.inverse_transform(active)

    def _decode_change(self, before, after, rows):
        """Decode a difference of activations; the decoder's bias cancels."""
        decoder = getattr(self.probe, "decoder_weights_", None)
        if decoder is not None and not getattr(self.probe, "standardize_rows", False):
            return (after - before) @ decoder
        return self._decode(after, rows) - self._decode(before, rows)


def encode(probe, rows):
    """Return the codes of some rows, whatever kind of probe it is."""
    has_both = hasattr(probe, "pre_activations"), hasattr(probe, "activate")
    if all(has_both):
        pre = probe.pre_activations(rows)
        return Codes(pre, probe.activate(pre), probe.activate)
    if any(has_both):
        raise TypeError(
            "`probe` must have both pre_activations and activate, or neither; got "
            f"{type(probe).__name__} with one. Add the other: transform(X) is "
            "activate(pre_activations(X))."
        )
    Z = probe.transform(rows)
    Z = np.asarray(Z.toarray() if hasattr(Z, "toarray") else Z, dtype=np.float32)
    return Codes(Z, Z, lambda steered: steered)


def _require_nonnegative(codes, rule):
    if rule != "shift" and codes.active.min() < 0:
        raise ValueError(
            "`rule` must be 'shift' for a probe whose activations can be negative; got "
            f"{rule!r}. Scaling a negative activation down turns the neuron up."
        )


def _codes(probe, rows):
    """Yield the codes of all rows, in blocks."""
    n_neurons = encode(probe, rows[:1]).pre.shape[1]
    step = max(1, _BLOCK_ACTIVATIONS // n_neurons)
    for start in range(0, len(rows), step):
        yield encode(probe, rows[start : start + step])


def _pre_activations_and_peaks(probe, rows):
    """Return all pre-activations, and every neuron's largest activation."""
    blocks = [(codes.pre, codes.active.max(axis=0)) for codes in _codes(probe, rows)]
    pre, peaks = zip(*blocks, strict=True)
    return np.concatenate(pre), np.max(peaks, axis=0)


def _deviations_and_peaks(probe, rows):
    """Return deviations of the pre-activations, and peaks, holding one block only."""
    first, total, squares, peaks = None, 0.0, 0.0, []
    for codes in _codes(probe, rows):
        # Distances to the first row: sums of squares then lose nothing to the mean.
        first = codes.pre[0].astype(np.float64) if first is None else first
        distances = codes.pre - first
        total = total + distances.sum(axis=0)
        squares = squares + (distances**2).sum(axis=0)
        peaks.append(codes.active.max(axis=0))
    variance = squares / len(rows) - (total / len(rows)) ** 2
    return np.sqrt(np.maximum(variance, 0.0)), np.max(peaks, axis=0)


def _group_scales(pre, groups, weights, shift_scale):
    """Return deviations within a group: the neuron's own, or the opposite one.

    PopSteer v1 means the own group, and its code reads the two files of statistics the
    wrong way round: `"opposite"` is what was published.
    """
    head = pre[groups == 1].std(axis=0, dtype=np.float64)
    tail = pre[groups == -1].std(axis=0, dtype=np.float64)
    own = np.where(weights > 0, head, tail)
    opposite = np.where(weights > 0, tail, head)
    return own if shift_scale == "own" else opposite
