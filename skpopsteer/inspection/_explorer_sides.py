"""What a page needs to turn the neurons of users, or of items, by itself."""

import numpy as np
from scipy.sparse import csr_array, vstack

from skpopsteer.neurons import NeuronUnion
from skpopsteer.neurons._union import default_strength
from skpopsteer.sae._encoding import EncodingMixin
from skpopsteer.sae._standardize import row_deviations, row_statistics
from skpopsteer.steering._rules import OFFSET
from skpopsteer.steering._side import encode

__all__ = [
    "Impossible",
    "decoder_of",
    "item_codes",
    "item_numbers",
    "item_rows",
    "item_side",
    "user_side",
    "weights_of",
]

#: Activations encoded at once.
_BLOCK_ACTIVATIONS = 2**22
#: How far a decoder may be from a sum over neurons, by the largest value it decodes.
_AFFINE = 1e-4


class Impossible(Exception):
    """A form of steering that a page cannot repeat; the message says which."""


def decoder_of(probe, n_neurons):
    """Return the direction of every neuron, and what is added to their sum.

    Parameters
    ----------
    probe : fitted probe
    n_neurons : int

    Returns
    -------
    directions : ndarray of shape (n_neurons, d), dtype float32
    bias : ndarray of shape (d,), dtype float32

    Notes
    -----
    Of a probe without weights they are what it decodes a unit of each to, and nothing:
    whether that is all there is to it has to be tried.
    """
    if isinstance(probe, EncodingMixin):
        return probe.decoder_weights_, probe.decoder_bias_
    units = np.eye(n_neurons, dtype=np.float32)
    bias = np.asarray(probe.inverse_transform(np.zeros_like(units[:1])))[0]
    directions = getattr(probe, "decoder_weights_", None)
    if directions is None:
        directions = np.asarray(probe.inverse_transform(units)) - bias
    return directions.astype(np.float32), bias.astype(np.float32)


def user_side(model, embeddings, union):
    """Describe the user side for some users.

    Parameters
    ----------
    model : fitted SteeredRecommender
    embeddings : ndarray of shape (n_users, d)
    union : bool
        Whether knobs are called by name.

    Returns
    -------
    dict of str to object
        Arrays and plain values.

    Raises
    ------
    Impossible
        Where the page cannot do it.
    """
    side = model._side("user")
    known = _both_sides(model, side, embeddings, union)
    known["row_scale"] = _row_scale(side.probe, embeddings)
    return known | _pre_activations(side.probe, embeddings)


def item_codes(model):
    """Return the activations of all items as a CSR array; None for a shift of them.

    Parameters
    ----------
    model : fitted SteeredRecommender

    Returns
    -------
    csr_array of shape (n_items, n_neurons) or None
    """
    if model.rule_ == "shift":
        return None
    side = model._side("item")
    V = side.rows_of(model.recommender_)
    step = max(1, _BLOCK_ACTIVATIONS // len(side.scales))
    blocks = [
        csr_array(encode(side.probe, V[start : start + step]).active)
        for start in range(0, len(V), step)
    ]
    return vstack(blocks, format="csr")


def item_side(model, union):
    """Describe the item side, but for the items themselves.

    Parameters
    ----------
    model : fitted SteeredRecommender
        With a rule that displaces items.
    union : bool
        Whether knobs are called by name.

    Returns
    -------
    dict of str to object
        Arrays and plain values.

    Raises
    ------
    Impossible
        Where the page cannot do it.
    """
    side, V = model._side("item"), np.asarray(model.recommender_.item_embeddings_)
    # What a page cannot do is found out before anything else is.
    _row_scale(side.probe, V[:1])
    return _both_sides(model, side, V, union)


def item_rows(model, codes, items):
    """Describe some items, for the item side.

    Parameters
    ----------
    model : fitted SteeredRecommender
    codes : csr_array of shape (n_items, n_neurons) or None
        Of :func:`item_codes`.
    items : ndarray of shape (n,)

    Returns
    -------
    dict of str to object
    """
    side = model._side("item")
    probe, V = side.probe, np.asarray(model.recommender_.item_embeddings_)[items]
    known = {"row_scale": _row_scale(probe, V)}
    if codes is None:
        return known | _pre_activations(probe, V)
    active = codes[items]
    known["codes"] = {
        "indptr": active.indptr,
        "neurons": active.indices,
        "values": active.data.astype(np.float32),
    }
    return known


def item_numbers(model):
    """Return how many numbers an item takes in :func:`item_rows`, but for its code."""
    side = model._side("item")
    n_scales = 2 * getattr(side.probe, "decodes_with_rows", False)
    if model.rule_ != "shift":
        return n_scales
    corrects = encode(side.probe, side.rows_of(model.recommender_)[:1]).correction
    return n_scales + len(side.scales) * (1 if corrects is None else 2)


def _pre_activations(probe, rows):
    codes = encode(probe, rows)
    known = {"pre": codes.pre.astype(np.float32)}
    if codes.correction is not None:
        known["correction"] = codes.correction.astype(np.float32)
    return known


def _both_sides(model, side, rows, union):
    probe, n_neurons = side.probe, len(side.scales)
    known = {
        "n_neurons": n_neurons,
        "weights": weights_of(side, union, model.rule_),
        "scales": side.scales,
        "peaks": side.peaks.astype(np.float32),
        "activation": _activation(probe, n_neurons, model.rule_),
    }
    known["decoder"], known["decoder_bias"] = decoder_of(probe, n_neurons)
    _require_sum(model, probe, rows, known)
    return known


def weights_of(side, union, rule):
    """Return the weights of all knobs, which knob turns them, and in what unit.

    Parameters
    ----------
    side : SteeredSide
    union : bool
        Whether knobs are called by name.
    rule : str

    Returns
    -------
    list of dict of str to object

    Notes
    -----
    Beside a union of the other side a selector by itself has no name: then no knob
    turns it, and it stays at the strength it has alone.
    """
    if isinstance(side.selector, NeuronUnion):
        knobs = [(name, 1.0, one) for name, one in side.selector.selectors_]
    else:
        name = None if union else ""
        knobs = [(name, default_strength(side.selector), side.selector)]
    return [
        {
            "knob": name,
            "strength": strength,
            "unit": side._offset_unit(knob) if rule == OFFSET else 1.0,
            "weights": one.steering_weights_,
        }
        for knob, (name, strength, one) in enumerate(knobs)
    ]


def _activation(probe, n_neurons, rule):
    """Say what makes activations of pre-activations."""
    if isinstance(probe, EncodingMixin):
        if probe.threshold_ is None:
            return {"kind": "topk", "k": min(int(probe.k), n_neurons)}
        threshold = np.broadcast_to(probe.threshold_, n_neurons)
        return {"kind": "threshold", "threshold": threshold.astype(np.float32)}
    if hasattr(probe, "pre_activations"):
        raise Impossible(
            f"The autoencoder is a {type(probe).__name__}, whose activate is a "
            "function that a page cannot know."
        )
    return {"kind": "identity"}


def _row_scale(probe, rows):
    """Say what decoding takes from the row: its mean, deviation or length."""
    if not getattr(probe, "decodes_with_rows", False):
        return None
    if not isinstance(probe, EncodingMixin):
        raise Impossible(
            f"The autoencoder is a {type(probe).__name__}, which decodes with the rows "
            "in a way that a page cannot know."
        )
    if not probe.standardize_rows:
        lengths = np.linalg.norm(rows, axis=1)
        return {"kind": "length", "length": lengths.astype(np.float32)}
    mean, deviation = row_statistics(rows)
    kind = "standardize"
    if probe.loss == "cosine":
        kind, deviation = "restandardize", row_deviations(rows)
    return {"kind": kind, "mean": mean[:, 0], "deviation": deviation[:, 0]}


def _require_sum(model, probe, rows, known):
    """Refuse a decoder that is no sum over neurons, where the model uses it so."""
    trusted = model.reconstruction == "residual" and hasattr(probe, "decoder_weights_")
    if isinstance(probe, EncodingMixin) or trusted:
        return
    some = encode(probe, rows[:256]).active
    decoded = np.asarray(probe.inverse_transform(some), dtype=np.float64)
    sums = some.astype(np.float64) @ known["decoder"] + known["decoder_bias"]
    if np.abs(decoded - sums).max() > _AFFINE * np.abs(decoded).max():
        raise Impossible(
            f"The autoencoder is a {type(probe).__name__}, whose inverse_transform is "
            "no sum over its neurons."
        )
