"""What a page needs to turn the neurons of items where they add to scores."""

from dataclasses import replace

import numpy as np

from skpopsteer.inspection._explorer_settings import strongest_neurons
from skpopsteer.inspection._explorer_sides import weights_of
from skpopsteer.steering._rules import OFFSET

__all__ = ["offset_numbers", "offset_rows", "offset_side"]

#: Activations that go into a page: of an item, on average, and of all in any case.
_MOST_ACTIVE, _FEW = 64, 2**18


def offset_side(model, codes, union):
    """Describe the item side, but for the items themselves.

    Parameters
    ----------
    model : fitted SteeredRecommender
    codes : csr_array of shape (n_items, n_neurons)
    union : bool
        Whether knobs are called by name.

    Returns
    -------
    dict of str to object
        `weights` says what turns each knob; `turnable` (n_turnable,) which neurons can
        be turned by themselves, ascending, and `neuron_units` in which units.

    Notes
    -----
    Of a knob the page knows what it adds to every item; of a neuron that is turned by
    itself, for which items it fires. Where more than 64 fire for an item on average,
    those with the most weight can be turned, so that the items find room too.
    """
    side = model._side("item")
    order = strongest_neurons(side.selector, codes.shape[1])
    n_active = np.bincount(codes.indices, minlength=codes.shape[1])[order]
    most = max(_FEW, _MOST_ACTIVE * codes.shape[0])
    n = np.searchsorted(np.cumsum(n_active), most, side="right")
    turnable = np.sort(order[:n])
    knobs = weights_of(side, union, OFFSET)
    return {
        "weights": [knob | {"weights": None} for knob in knobs],
        "turnable": turnable,
        "neuron_units": _neuron_units(side, codes[:, turnable].astype(np.float64)),
    }


def offset_numbers(steering):
    """Return how many numbers an item takes beside its code: of :func:`offset_rows`."""
    return 2 * len(steering["item"]["weights"])


def offset_rows(model, codes, items, steering):
    """Describe some items.

    Parameters
    ----------
    model : fitted SteeredRecommender
    codes : csr_array of shape (n_items, n_neurons)
    items : ndarray of shape (n,)
    steering : dict of str to object
        With the item side of :func:`offset_side`.

    Returns
    -------
    dict of str to object
        What a unit of every knob adds (n, n_knobs): `sums` with one strength for all
        neurons, `unpopular` the part of the neurons of negative weight. `codes` are
        the activations of the neurons that can be turned by themselves.
    """
    knobs = weights_of(model._side("item"), steering["union"], OFFSET)
    weights = np.column_stack([knob["weights"] for knob in knobs])
    active = codes[items]
    alone = active[:, steering["item"]["turnable"]]
    return {
        "sums": (active @ weights).astype(np.float32),
        "unpopular": (active @ np.minimum(weights, 0)).astype(np.float32),
        "codes": {
            "indptr": alone.indptr,
            "neurons": alone.indices,
            "values": alone.data.astype(np.float32),
        },
    }


def _neuron_units(side, active):
    """Return the unit that every neuron has as a knob of its own (n_turnable,)."""
    means = active.mean(axis=0)
    squares = active.multiply(active).mean(axis=0)
    spreads = np.sqrt(np.maximum(squares - means**2, 0.0))
    # As `_offset_unit` makes it of what the knob varies by.
    return np.array(
        [
            replace(side, knob_spreads=[float(spread)])._offset_unit(0)
            for spread in spreads
        ]
    )
