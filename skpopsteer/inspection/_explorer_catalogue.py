"""Which items go into a page, and what can be said of those that do not."""

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array
from sklearn.cluster import MiniBatchKMeans

from skpopsteer.steering._rules import OFFSET

__all__ = ["Catalogue", "Rest", "choose_items", "most_items"]

#: Numbers of item embeddings in a page (2.6 MB), and products a move of a knob takes.
_MOST_NUMBERS = 650_000
_MOST_PRODUCTS = 40_000_000
#: Numbers where every product is made once, and offsets are added to it (6.4 MB).
_MOST_NUMBERS_OFFSET = 1_600_000
#: Numbers of one byte for items that are not in it (2 MB): enough to rule them out.
_MOST_COARSE = 2_000_000
#: Items of every list that are looked at to choose from, and groups of the others.
_DEPTH = 200
_N_GROUPS = 64


@dataclass
class Rest:
    """How high the items that are not in the page can come.

    Attributes
    ----------
    coarse : ndarray of shape (n_coarse, d), dtype int8
        Embeddings of those that come nearest, in steps of their own.
    steps, errors, bias : ndarray of shape (n_coarse,), dtype float32
        Of every such item: its step, the length of what rounding leaves, its bias.
    seen : csr_array of shape (n_users, n_coarse)
        Which of them the users have seen.
    centres : ndarray of shape (n_groups, d), dtype float32
        Of the items beyond those, in groups.
    radii : ndarray of shape (n_groups,), dtype float32
        Largest distance of an item to its centre.
    highest : ndarray of shape (n_users, n_groups), dtype float32
        Best score of the unseen items of a group before anything is turned.

    Notes
    -----
    A coarse item scores not more than ``step * (u @ q) + |u| error + bias``, with the
    embedding u of the user as steered. Where that moves by D, no item of group g scores
    higher than ``highest[g] + D @ centres[g] + |D| radii[g]``. A list whose last score
    is above all of these holds none of the items.
    """

    coarse: np.ndarray
    steps: np.ndarray
    errors: np.ndarray
    bias: np.ndarray
    seen: csr_array
    centres: np.ndarray
    radii: np.ndarray
    highest: np.ndarray


@dataclass
class Catalogue:
    """The items that are in a page.

    Attributes
    ----------
    items : ndarray of shape (n,), dtype int64
        Ascending.
    rest : Rest or None
        None where all items are in it.
    """

    items: np.ndarray
    rest: Rest | None


def most_items(n_users, width, rule):
    """Return how many items a page holds: for its size, and for the time of a move."""
    if rule == OFFSET:
        return _MOST_NUMBERS_OFFSET // width
    return min(_MOST_NUMBERS // width, _MOST_PRODUCTS // (max(1, n_users) * width))


def choose_items(model, X, encoded, settings, rng):
    """Choose the items of a page: all, or those that come near a list at some setting.

    Parameters
    ----------
    model : fitted SteeredRecommender
        Steering users only, unless all items fit.
    X : csr_array of shape (n_users, n_items)
        The users of the page.
    encoded : EncodedUsers
        The same.
    settings : iterable of (push or None)
        How the neurons of users are turned in the settings that are tried.
    rng : Generator
        Seeds the groups of the other items.

    Returns
    -------
    Catalogue
    """
    n_users, n_items = X.shape
    V = model.recommender_.item_embeddings_
    most = most_items(n_users, V.shape[1], model.rule_)
    if n_items <= most:
        return Catalogue(np.arange(n_items), None)
    best = np.full(n_items, _DEPTH, dtype=np.int64)
    places = np.broadcast_to(np.arange(_DEPTH), (n_users, _DEPTH))
    for push in settings:
        lists, _ = model._lists(X, encoded, (push, None), _DEPTH, [X])
        listed = lists >= 0
        np.minimum.at(best, lists[listed], places[listed])
    order = np.lexsort((-model.item_popularity_, best))
    most_coarse = most + _MOST_COARSE // V.shape[1]
    items, near = np.sort(order[:most]), order[most:most_coarse]
    far = np.sort(order[most_coarse:])
    bias = model.recommender_.item_bias_
    bias = np.zeros(n_items, dtype=np.float32) if bias is None else bias
    rest = Rest(*_round(V[near]), bias[near], X[:, near], *_bound(
        V[far].astype(np.float64), bias[far], X[:, far], encoded.embeddings, rng
    ))  # fmt: skip
    return Catalogue(items, rest)


def _round(V):
    """Write embeddings in a byte a number, and say how much that leaves out."""
    steps = (np.abs(V).max(axis=1) / 127).astype(np.float32)
    coarse = np.rint(V / np.where(steps > 0, steps, 1)[:, None]).clip(-127, 127)
    left = V - coarse.astype(np.float64) * steps[:, None]
    return coarse.astype(np.int8), steps, _upwards(np.linalg.norm(left, axis=1))


def _bound(V, bias, seen, embeddings, rng):
    """Group items, and return centres, radii and the best score of every group."""
    if not len(V):
        n_users, width = embeddings.shape
        return np.empty((0, width)), np.empty(0), np.empty((n_users, 0))
    seed = int(rng.integers(2**31))
    groups = MiniBatchKMeans(min(_N_GROUPS, len(V)), n_init=1, random_state=seed)
    labels = groups.fit(V).labels_
    centres = groups.cluster_centers_.astype(np.float32)
    radii, highest = np.zeros(len(centres)), []
    np.maximum.at(radii, labels, np.linalg.norm(V - centres[labels], axis=1))
    for user, embedding in enumerate(embeddings):
        scores = V @ embedding + bias
        scores[seen.indices[slice(*seen.indptr[user : user + 2])]] = -np.inf
        top = np.full(len(centres), -np.inf)
        np.maximum.at(top, labels, scores)
        highest.append(top)
    return centres, _upwards(radii), _upwards(np.array(highest))


def _upwards(values):
    """Round to float32, never down."""
    return np.nextafter(values.astype(np.float32), np.float32(np.inf))
