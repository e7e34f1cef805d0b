"""One side of a recommender, users or items: its neurons, and how they move rows."""

from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from skpopsteer.neurons._union import knobs_of
from skpopsteer.steering._rules import OFFSET, RULES, Codes
from skpopsteer.steering._selection import (
    ItemActivations,
    ItemProfiles,
    fit_selector,
    row_kinds,
)

__all__ = ["SteeredSide"]

#: Of a spread of scores, what strength 1 takes per spread of the knob: a gentle turn.
_OFFSET_UNIT = 0.25

#: Activations held at once. 2**23 float32 are 32 MiB, of which a rule needs a few.
_BLOCK_ACTIVATIONS = 2**23
#: Fewer where a shift keeps nothing of them: 2 MiB, which stay in the cache.
_BLOCK_SHIFTED = 2**19


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
    knob_spreads : list of float
        Of the items: how much their activations, weighted by a knob, vary.
    score_spread : float or None
        How much the scores of a user's best items vary; None where nobody measured it.
    """

    probe: Any
    selector: Any
    scales: np.ndarray
    peaks: np.ndarray
    n_features: int
    knob_spreads: list = field(default_factory=list)
    score_spread: float | None = None

    #: Of `displace`, which fills it.
    last_displacement = None

    def __getstate__(self):
        # What is remembered is not worth a file, and no difference between models.
        state = dict(vars(self))
        state.pop("last_displacement", None)
        return state

    @classmethod
    def fit(cls, probe, selector, *, rows, selector_rows, shift_scale, items=None):
        """Select neurons on the rows they are asked for, and measure on real ones.

        Parameters
        ----------
        probe : fitted probe
        selector : unfitted selector
        rows : ndarray of shape (n_rows, d)
            Embeddings of real users, or of the items.
        selector_rows : SelectorRows
            Embeddings that the selectors are fitted on.
        shift_scale : {"real", "own", "opposite"}
            Rows the standard deviations are taken over.
        items : ndarray of shape (n_items, d), default=None
            Item embeddings, whose inner products with directions are scores.
        """
        scales, real_peaks = _deviations_and_peaks(probe, rows)
        pre, seen_peaks, profiles, turned = None, real_peaks, None, None
        compares = "profiles" in row_kinds(selector) or shift_scale != "real"
        if selector_rows.profiles is not None:
            embeddings, groups = selector_rows.profiles
            # Those of all items are many: only for who compares them.
            if compares or embeddings is not rows:
                pre, peaks = _pre_activations_and_peaks(probe, embeddings)
                seen_peaks = np.maximum(peaks, real_peaks)
        directions = getattr(probe, "decoder_weights_", None)
        if items is not None and directions is not None:
            profiles = ItemProfiles(directions, items)
            turned = ItemProfiles(directions * scales[:, None], items)
        if selector_rows.steers_items:
            # What `offsets` multiplies.
            turned = ItemActivations(
                (len(scales), len(rows)), partial(_active_blocks, probe, rows)
            )
        selector = fit_selector(
            selector, selector_rows, pre=pre, peaks=seen_peaks,
            encode_blocks=partial(_codes, probe),
            item_profiles=profiles, turned_profiles=turned,
        )  # fmt: skip
        weights = getattr(selector, "steering_weights_", None)
        if weights is None:
            raise TypeError(
                "`selector` must have steering_weights_ after fit; got "
                f"{type(selector).__name__}. Use PopularityNeuronSelector."
            )
        if shift_scale != "real":
            if row_kinds(selector) != {"profiles"} or len(knobs_of(selector)) > 1:
                raise ValueError(
                    "`shift_scale` must be 'real' unless a popularity selector is the "
                    f"only knob, and compares two groups; got {shift_scale!r}. Set "
                    "shift_scale='real'."
                )
            scales = _group_scales(pre, groups, weights, shift_scale)
        scales = scales.astype(np.float32)
        spreads = []
        if selector_rows.steers_items:
            weights = np.column_stack([w for _, w in knobs_of(selector)])
            told = np.vstack([active @ weights for active in turned.blocks()])
            spreads = told.std(axis=0).tolist()
        return cls(probe, selector, scales, real_peaks, rows.shape[1], spreads)

    def push(self, strength, unpopular_strength, rule="shift", knobs=None):
        """Return how far every neuron is turned by all knobs, positive upwards.

        Parameters
        ----------
        strength, unpopular_strength : float
            Multiply the strengths of the knobs, for neurons of positive and of negative
            weight.
        rule : str, default="shift"
            With ``"interpolate"`` what a knob turns up shares its strength; with
            ``"offset"`` strength 1 is a quarter of a spread of scores per spread of
            the knob.
        knobs : dict of str to float, default=None
            Strengths of knobs by name, 0 for the others; None takes their own.

        Returns
        -------
        ndarray of shape (n_neurons,), dtype float32
        """
        total = np.zeros(len(self.scales))
        for knob, (turn, weights) in enumerate(knobs_of(self.selector, knobs)):
            strengths = np.where(
                weights > 0, float(strength), float(unpopular_strength)
            )
            with np.errstate(over="ignore"):
                push = turn * strengths * weights
            if rule == "interpolate":
                push = _as_shares(push, weights)
            if rule == OFFSET:
                push *= self._offset_unit(knob)
            total += push
        if not (np.abs(total) < np.finfo(np.float32).max).all():
            raise ValueError(
                "`strength` must leave pushes that float32 holds; got one of "
                f"{np.abs(total).max():g}. Turn the knob less far."
            )
        return total.astype(np.float32)

    def move(self, rows, push, *, rule, reconstruction, factors=None, codes=None):
        """Return steered embeddings of some rows.

        Parameters
        ----------
        rows : ndarray of shape (n_rows, d), dtype float32
            Left as they are.
        push : ndarray of shape (n_neurons,)
            Of :meth:`push`.
        rule : str
            Name of one of `RULES`.
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
        if rule == "interpolate" and factors is not None and factors.min() < 0:
            raise ValueError(
                "`user_strength` must not be negative with rule='interpolate', where a "
                f"strength is a share; got {factors.min():g}. Turn the knob itself."
            )
        if rule == "add" and self._decodes_linearly(reconstruction):
            # The same for every row, but for its factor: no code is needed.
            way = (push * self.scales) @ self.probe.decoder_weights_
            return rows + (way if factors is None else factors[:, None] * way)
        sparse = codes is None and self._shifts_sparsely(rule, reconstruction)
        held = _BLOCK_SHIFTED if sparse else _BLOCK_ACTIVATIONS
        step = max(1, held // len(push))
        moved = np.empty_like(rows)
        for start in range(0, len(rows), step):
            block = slice(start, start + step)
            turned = push[None, :]
            if factors is not None:
                turned = turned * factors[block, None]
            if sparse:
                shift = turned * self.scales
                moved[block] = rows[block] + self.probe.decode_shift(rows[block], shift)
                continue
            code = encode(self.probe, rows[block]) if codes is None else codes.of(block)
            if moves:
                _require_nonnegative(code, rule)
            if reconstruction == "replace":
                steered = code.active
                if moves:
                    steered = RULES[rule](code, turned, self.scales, self.peaks)
                moved[block] = self._decode(steered, rows[block])
            else:
                moved[block] = rows[block] + self._change(
                    code, turned, rule, rows[block]
                )
        return moved

    def _offset_unit(self, knob):
        if self.score_spread is None:
            raise ValueError(
                "`user_ids` must be given to fit for rule='offset' and a host that "
                "only looks users up; got None. Their scores give its unit."
            )
        spread = self.knob_spreads[knob]
        return _OFFSET_UNIT * self.score_spread / spread if spread > 0 else 0.0

    def reads_bias(self, host):
        """Whether items are told by their bias too, behind their embeddings."""
        return self.n_features > host.item_embeddings_.shape[1]

    def rows_of(self, host):
        """Return what the probe reads of the items of a host.

        Parameters
        ----------
        host : fitted adapter

        Returns
        -------
        ndarray of shape (n_items, n_features), dtype float32
            Of a side of items. The host's own table where that is all.
        """
        V = np.asarray(host.item_embeddings_)
        return np.column_stack([V, host.item_bias_]) if self.reads_bias(host) else V

    def offsets(self, rows, push):
        """Return what is added to the scores of some items, for every user alike.

        Parameters
        ----------
        rows : ndarray of shape (n_items, d)
            Item embeddings.
        push : ndarray of shape (n_neurons,)
            Of :meth:`push`.

        Returns
        -------
        ndarray of shape (n_items,), dtype float32
            ``activations @ push``.
        """
        blocks = _active_blocks(self.probe, rows)
        return np.concatenate([active @ push for active in blocks])

    def activations(self, rows):
        """Return the activations of some rows (n_rows, n_neurons), column by column."""
        active = np.empty((len(rows), len(self.scales)), dtype=np.float32, order="F")
        start = 0
        for block in _active_blocks(self.probe, rows):
            active[start : start + len(block)] = block
            start += len(block)
        return active

    def codes(self, rows):
        """Return the codes of some rows, or None where they would fill the memory."""
        if len(rows) * len(self.scales) > _BLOCK_ACTIVATIONS:
            return None
        return encode(self.probe, rows)

    def _decode(self, active, rows):
        if getattr(self.probe, "decodes_with_rows", False):
            # Such a probe needs the rows to put their own scale back.
            return self.probe.inverse_transform(active, rows)
        return self.probe.inverse_transform(active)

    def _shifts_sparsely(self, rule, reconstruction):
        """Whether all that matters of the codes is what is kept of them."""
        probe = self.probe
        return (
            rule == "shift"
            and reconstruction == "residual"
            and hasattr(probe, "decode_shift")
            and not getattr(probe, "standardize_rows", False)
        )

    def _decodes_linearly(self, reconstruction):
        """Whether a change of activations is a change of rows, whatever the row."""
        return (
            reconstruction == "residual"
            and getattr(self.probe, "decoder_weights_", None) is not None
            and not getattr(self.probe, "standardize_rows", False)
        )

    def _change(self, code, push, rule, rows):
        """Decode a difference of activations; the decoder's bias cancels."""
        if not self._decodes_linearly("residual"):
            steered = RULES[rule](code, push, self.scales, self.peaks)
            return self._decode(steered, rows) - self._decode(code.active, rows)
        decoder = self.probe.decoder_weights_
        if rule == "interpolate" and push.min() >= 0:
            return _blend(code.active, push, decoder)
        steered = RULES[rule](code, push, self.scales, self.peaks)
        return (steered - code.active) @ decoder

    def codes_turned(self, rows, push, *, rule, factors=None):
        """Return the activations of some rows before and after the knobs are turned.

        Parameters
        ----------
        rows, push, rule, factors : see :meth:`move`
            As there; all rows at once.

        Returns
        -------
        before, after : ndarray of shape (n_rows, n_neurons)
            What :meth:`move` decodes the difference of.
        """
        code = encode(self.probe, rows)
        if not push.any() or not (factors is None or factors.any()):
            return code.active, code.active
        _require_nonnegative(code, rule)
        turned = push[None, :] if factors is None else push * factors[:, None]
        return code.active, RULES[rule](code, turned, self.scales, self.peaks)


def _blend(active, push, decoder):
    """Interpolate in closed form: a knob is one direction, whatever the row.

    Its product with the item embeddings is the ranking that every row is drawn towards
    (Spišák et al., 2026, with a linear decoder).
    """
    # Rows differ by a factor only, so that one product serves them all.
    shares = push.sum(axis=1, keepdims=True)
    direction = push[np.argmax(shares)] @ decoder / max(shares.max(), 1e-30)
    shares = np.minimum(shares, 1)
    mass = active.sum(axis=1, keepdims=True)
    return shares * (mass * direction - active @ decoder)


def _as_shares(push, weights):
    """Let what a knob turns up share the largest of its strengths, as |N| knobs do."""
    raised = np.maximum(push, 0)
    total = raised.sum()
    if not total:
        return push
    # Of equal weights each gets strength / |N|.
    largest = np.abs(push[raised > 0] / weights[raised > 0]).max()
    return np.minimum(push, 0) + raised * (largest / total)


def encode(probe, rows):
    """Return the codes of some rows, whatever kind of probe it is."""
    has_both = hasattr(probe, "pre_activations"), hasattr(probe, "activate")
    if all(has_both):
        pre = probe.pre_activations(rows)
        active = probe.activate(pre)
        if not getattr(probe, "refine", 0):
            return Codes(pre, active, probe.activate)
        refined = _dense(probe.transform(rows))
        return Codes(pre, refined, probe.activate, refined - active)
    if any(has_both):
        raise TypeError(
            "`probe` must have both pre_activations and activate, or neither; got "
            f"{type(probe).__name__} with one. Add the other: transform(X) is "
            "activate(pre_activations(X))."
        )
    Z = _dense(probe.transform(rows))
    return Codes(Z, Z, lambda steered: steered)


def _dense(Z):
    return np.asarray(Z.toarray() if hasattr(Z, "toarray") else Z, dtype=np.float32)


def _require_nonnegative(codes, rule):
    if rule not in ("shift", "add") and codes.active.min() < 0:
        raise ValueError(
            "`rule` must be 'shift' for a probe whose activations can be negative, or "
            f"'add'; got {rule!r}. Scaling a negative activation down turns the neuron "
            "up."
        )


def _codes(probe, rows):
    """Yield the codes of all rows, in blocks."""
    n_neurons = encode(probe, rows[:1]).pre.shape[1]
    step = max(1, _BLOCK_ACTIVATIONS // n_neurons)
    for start in range(0, len(rows), step):
        yield encode(probe, rows[start : start + step])


def _active_blocks(probe, rows):
    """Yield the activations of all rows, in blocks."""
    for codes in _codes(probe, rows):
        yield codes.active


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
