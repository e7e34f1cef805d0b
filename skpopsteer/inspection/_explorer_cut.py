"""Of a catalogue too large for a page: some items, and what bounds the others."""

import numpy as np

from skpopsteer.inspection._explorer_catalogue import (
    MOST_PRODUCTS,
    Lists,
    choose_items,
    find_near,
)
from skpopsteer.inspection._explorer_rest import (
    OffsetNeurons,
    ceilings_of,
    coarse_costs,
    describe_rest,
    group_cost,
)
from skpopsteer.inspection._explorer_settings import anchors_of, as_strength
from skpopsteer.steering._rules import OFFSET

__all__ = ["cut_catalogue", "is_too_slow"]

#: Share of the bytes for items that goes to those that are only ruled out.
_COARSE_SHARE = 0.25


def is_too_slow(model, sample):
    """Whether a move of a knob would take too long with all items."""
    return sample.X.shape[1] * _products(model, sample) > MOST_PRODUCTS


def cut_catalogue(model, sample, codes, steering, costs, left, rng):
    """Choose the items of a page, and describe how high the others can come.

    Parameters
    ----------
    model : fitted SteeredRecommender
    sample : Sample
    codes : csr_array of shape (n_items, n_neurons) or None
        Activations of the items, where those are steered.
    steering : dict of str to object
        The knobs, and the sides that are steered.
    costs : ndarray of shape (n_items,)
        Bytes that each takes.
    left : float
        Bytes that there are.
    rng : Generator

    Returns
    -------
    items : ndarray of int
        Ascending.
    rest : dict of str to object
        `anchors` (n_settings, n_knobs), the model's own setting first, and `whole`
        (n_settings, n_users): whether all items of the list there are held. More in
        `coarse` or `offsets`, or neither.
    """
    knobs, union = steering["knobs"], steering["union"]
    lists = Lists(model, sample, codes)
    anchors = anchors_of(knobs, lattice=model.rule_ == OFFSET)
    left -= 4 / 3 * (8 * anchors.size + 5 * len(anchors) * len(sample.rows))
    pushes = [model._pushes(as_strength(one, union)) for one in _named(anchors, knobs)]
    neurons = None
    if model.rule_ == OFFSET:
        own, item = lists.scores(*pushes[0]).copy(), steering["item"]
        neurons = OffsetNeurons(
            own, codes[:, item["turnable"]], item["neuron_units"],
            sample.encoded.factors, steering["neuron_knob"]["limit"],
        )  # fmt: skip
        left -= neurons.cost
    near = find_near(model, lists, pushes, neurons)
    if model.side_ == "user":
        items, coarse, others = _with_coarse(model, sample, near, costs, left)
    else:
        items, _ = choose_items(model, near, costs, left, _products(model, sample))
    is_held = np.isin(np.arange(len(costs)), items)
    ceilings, is_whole = ceilings_of(near, is_held, model.n_recommendations)
    rest = {"anchors": anchors, "whole": is_whole, "coarse": None, "offsets": None}
    if model.side_ == "user":
        host = model.recommender_
        rest["coarse"] = describe_rest(
            host.item_embeddings_, host.item_bias_, sample.X,
            sample.encoded.embeddings, coarse, others, rng,
        )  # fmt: skip
    if neurons is not None:
        rest["offsets"] = neurons.describe(is_held, ceilings[0]) | {
            "ceilings": ceilings,
            "slopes": _slopes(model, knobs, union, codes, ~is_held),
        }
    return items, rest


def _named(anchors, knobs):
    """Return settings as values by key."""
    keys = [knob["key"] for knob in knobs]
    return [dict(zip(keys, one, strict=True)) for one in anchors.tolist()]


def _with_coarse(model, sample, near, costs, left):
    """Split what there is between items that are held, and those that are ruled out."""
    width, n_users = model.recommender_.item_embeddings_.shape[1], len(sample.rows)
    left -= group_cost(width, n_users)
    seen = np.bincount(sample.X.indices, minlength=len(costs))
    ruled_out = coarse_costs(width, seen)
    room = (1 - _COARSE_SHARE) * left
    products = _products(model, sample)
    _, others = choose_items(model, near, costs, room, products)
    # Where few are left, they take less than their share.
    room = max(room, left - ruled_out[others].sum())
    items, others = choose_items(model, near, costs, room, products)
    spare = left - costs[items].sum()
    n_coarse = np.searchsorted(np.cumsum(ruled_out[others]), spare, side="right")
    return items, others[:n_coarse], np.sort(others[n_coarse:])


def _products(model, sample):
    """Return how many products an item takes in a move of a knob, at the most."""
    if model.rule_ == OFFSET:
        return 0
    n_users, width = len(sample.rows), model.recommender_.item_embeddings_.shape[1]
    if model.side_ == "user":
        return n_users * width
    # Its own code, before and after, and its displacement.
    side = model._side("item")
    turned = 2 * int(getattr(side.probe, "k", len(side.scales)))
    return (n_users * (2 if model.side_ == "both" else 1) + turned) * width


def _slopes(model, knobs, union, codes, is_other):
    """Return what a unit of every knob adds to scores of items that are not held.

    Lowest and highest (2, n_knobs); None where scores are not proportional to it.
    """
    found = []
    for knob in knobs:
        alone = {one["key"]: 0.0 for one in knobs}

        def push(value, key=knob["key"], alone=alone):
            return model._pushes(as_strength(alone | {key: value}, union))[1]

        unit = push(1.0).astype(np.float64)
        for value in (-0.5 * knob["limit"], knob["limit"]):
            if not np.allclose(push(value), value * unit, rtol=1e-5, atol=0):
                return None
        offsets = (codes @ unit)[is_other]
        found.append((offsets.min(initial=0.0), offsets.max(initial=0.0)))
    return np.transpose(found)
