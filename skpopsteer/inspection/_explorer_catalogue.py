"""Which items go into a page: those that come near a list at some setting."""

from dataclasses import dataclass

import numpy as np

from skpopsteer.inspection._explorer_settings import (
    is_slow,
    neuron_knob,
    strongest_neurons,
)
from skpopsteer.steering._rules import OFFSET
from skpopsteer.topk import finite_top_k

__all__ = ["MOST_PRODUCTS", "Lists", "Near", "choose_items", "find_near"]

#: Items of every list that are looked at to choose from.
_DEPTH = 200
#: Neurons that are turned one by one to find items; fewer where each takes seconds.
_TRIED_NEURONS, _FEW_NEURONS = 48, 4
#: Items that a page holds in any case, and products that a move of a knob takes.
_FEWEST = 100
MOST_PRODUCTS = 20_000_000


class Lists:
    """The best items of the users of a page, with the neurons turned in some way.

    Parameters
    ----------
    model : fitted SteeredRecommender
    sample : Sample
    codes : csr_array of shape (n_items, n_neurons) or None
        Activations of the items, where their offsets are what turns.

    Attributes
    ----------
    depth : int
        Items of a list.
    """

    def __init__(self, model, sample, codes):
        self.model, self.sample, self.codes = model, sample, codes
        self.depth = min(max(_DEPTH, model.n_recommendations + 1), sample.X.shape[1])
        self._seen = sample.X.nonzero()
        self._scores = np.empty(sample.X.shape, dtype=np.float32)

    def scores(self, push, item_push):
        """Return the scores of all items, -inf where seen; the next call reuses them.

        Parameters
        ----------
        push, item_push : ndarray of shape (n_neurons,) or None
            Of the neurons of users and of items.

        Returns
        -------
        ndarray of shape (n_users, n_items)
        """
        model, sample = self.model, self.sample
        displacement = None
        if item_push is not None:
            offset = model.rule_ == OFFSET
            # As the model does it, but for encoding all items every time.
            displace = self.codes.__matmul__ if offset else model._displace_items
            displacement = displace(item_push)
        turned = push, displacement
        steered = model._steer(sample.encoded, turned)
        model._score_into(self._scores, steered, sample.X, turned)
        self._scores[self._seen] = -np.inf
        return self._scores

    def best(self, push, item_push):
        """Return the best items, and their scores (n_users, depth), padded with -1."""
        ids, scores = finite_top_k(self.scores(push, item_push), self.depth)
        return ids.astype(np.int32), scores


@dataclass
class Near:
    """How near the items come to a list, and the lists at settings of the knobs.

    Attributes
    ----------
    places : ndarray of shape (n_items,)
        Best place in a list, 0 where a knob brings it into one and 1 where a neuron
        does; n_items for items that come near to none.
    counts : ndarray of shape (n_items,)
        Lists that the item is in, over all settings of the knobs.
    ids, scores : ndarray of shape (n_settings, n_users, depth)
        The best items there.
    """

    places: np.ndarray
    counts: np.ndarray
    ids: np.ndarray
    scores: np.ndarray


def find_near(model, lists, pushes, neurons):
    """Make lists at settings of the knobs, and with single neurons turned.

    Parameters
    ----------
    model : fitted SteeredRecommender
    lists : Lists
    pushes : list of tuple of (push, item_push)
        One per setting.
    neurons : OffsetNeurons or None
        Knows the lists of all neurons; without it some are tried.

    Returns
    -------
    Near
    """
    shape = len(pushes), len(lists.sample.rows), lists.depth
    ids, scores = np.empty(shape, dtype=np.int32), np.empty(shape, dtype=np.float32)
    for place, one in enumerate(pushes):
        ids[place], scores[place] = lists.best(*one)
    n_items, listed = lists.sample.X.shape[1], model.n_recommendations + 1
    # First what the knobs bring into a list, then what neurons do.
    places = _best_places(ids, n_items)
    places[places < listed] = 0
    in_lists = ids[..., :listed]
    counts = np.bincount(in_lists[in_lists >= 0], minlength=n_items)
    if neurons is not None:
        needed = neurons.needed(scores[0, :, :listed])
        places[needed & (places > 0)] = 1
        return Near(places, counts, ids, scores)
    with_neurons = np.full(n_items, n_items)
    for one in _single_neurons(model):
        tried, _ = lists.best(*one)
        np.minimum(with_neurons, _best_places(tried, n_items), out=with_neurons)
    with_neurons[with_neurons < listed] = 1
    return Near(np.minimum(places, with_neurons), counts, ids, scores)


def _best_places(ids, n_items):
    places = np.full(n_items + 1, n_items, dtype=np.int64)
    # Position -1 of a short list is the last, which is no item.
    np.minimum.at(places, ids, np.broadcast_to(np.arange(ids.shape[-1]), ids.shape))
    return places[:-1]


def _single_neurons(model):
    """Yield pushes with one neuron turned as far as it goes, the strongest first."""
    knob = neuron_knob(model)
    side = model._side(knob["side"])
    own = model._pushes(None)
    turned = own[1] if knob["side"] == "item" else own[0]
    n_tried = _FEW_NEURONS if is_slow(model) else _TRIED_NEURONS
    for neuron in strongest_neurons(side.selector, n_tried):
        for sign in (-1, 1):
            push = turned.copy()
            push[neuron] += sign * knob["limit"]
            yield (own[0], push) if knob["side"] == "item" else (push, own[1])


def choose_items(model, near, costs, room, products):
    """Choose the items that fit, the nearest first.

    Parameters
    ----------
    model : fitted SteeredRecommender
        Whose popular items are preferred among those that come equally near.
    near : Near
    costs : ndarray of shape (n_items,)
        Bytes that each takes.
    room : float
        Bytes that there are.
    products : int
        Products that an item takes in every move of a knob.

    Returns
    -------
    items : ndarray of int
        Ascending.
    others : ndarray of int
        The rest, the nearest first.
    """
    order = np.lexsort((-model.item_popularity_, -near.counts, near.places))
    fits = int(np.searchsorted(np.cumsum(costs[order]), room, side="right"))
    most = min(fits, MOST_PRODUCTS // products) if products else fits
    most = max(most, _FEWEST)
    return np.sort(order[:most]), order[most:]
