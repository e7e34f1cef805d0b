"""When every neuron fires: activations of many rows, and what stands out in them."""

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array, vstack

from skpopsteer.inspection._explorer_sides import decoder_of
from skpopsteer.neurons._row_items import as_activations
from skpopsteer.neurons._score_space import row_products
from skpopsteer.steering._rules import OFFSET
from skpopsteer.steering._side import encode

__all__ = ["Activity", "Tops", "find_tops", "measure_activity"]

#: Users looked at, and activations held at once (32 MiB of float32).
_MOST_USERS = 20_000
_BLOCK_ACTIVATIONS = 2**23


@dataclass
class Activity:
    """Activations of many rows, and the users they are seen beside.

    Attributes
    ----------
    side : {"user", "item"}
        What the rows are.
    Z : csr_array of shape (n_rows, n_neurons)
        Positive activations.
    X : csr_array of shape (n_users, n_items)
        Histories of the users looked at, ones only.
    users : ndarray of shape (n_users,)
        Their rows in the caller's `X`.
    mean_user : ndarray of shape (d,)
        Mean embedding of these users.
    top_items : ndarray of shape (n_rows,)
        The item that stands for a row: the host's first, or the item itself.
    """

    side: str
    Z: csr_array
    X: csr_array
    users: np.ndarray
    mean_user: np.ndarray
    top_items: np.ndarray


@dataclass
class Tops:
    """The highest of something, per neuron: positions and values, best first.

    Attributes
    ----------
    positions, values : ndarray of shape (n, n_neurons)
        Entries without a meaning have the value 0.
    """

    positions: np.ndarray
    values: np.ndarray

    def of(self, neuron):
        """Return the positions and the values of a neuron, without the empty ones."""
        values = self.values[:, neuron]
        kept = values != 0
        return self.positions[kept, neuron], values[kept]


def measure_activity(model, X, user_ids, rng):
    """Encode users, and the items where those are what is steered.

    Parameters
    ----------
    model : fitted SteeredRecommender
    X : csr_array of shape (n_users, n_items)
    user_ids : ndarray of shape (n_users,) or None
    rng : Generator
        Chooses users where there are more than 20,000.

    Returns
    -------
    Activity
    """
    users = np.arange(X.shape[0])
    if len(users) > _MOST_USERS:
        users = np.sort(rng.choice(len(users), _MOST_USERS, replace=False))
    host, ids = model.recommender_, None if user_ids is None else user_ids[users]
    side = "item" if model.side_ == "item" else "user"
    U = host.encode_users(X[users], ids)
    rows = U
    if side == "item":
        rows = model._side("item").rows_of(host)
        top_items = np.arange(X.shape[1])
    else:
        top_items = host.recommend(X[users], 1, user_ids=ids)[:, 0]
    has = csr_array(X[users], copy=True)
    has.data = np.ones(has.nnz, dtype=np.float32)
    Z = _activations(model._side(side).probe, rows)
    return Activity(side, Z, has, users, U.mean(axis=0, dtype=np.float64), top_items)


def _activations(probe, rows):
    n_neurons = encode(probe, rows[:1]).active.shape[1]
    step = max(1, _BLOCK_ACTIVATIONS // n_neurons)
    blocks = [
        as_activations(encode(probe, rows[start : start + step]).active)
        for start in range(0, len(rows), step)
    ]
    return vstack(blocks, format="csr")


def find_tops(model, activity, n_items=10, n_users=5, n_pushed=5, n_cofiring=5):
    """Find what stands out for every neuron.

    Parameters
    ----------
    model : fitted SteeredRecommender
    activity : Activity
    n_items, n_users, n_pushed, n_cofiring : int
        How many of each.

    Returns
    -------
    dict of str to Tops
        ``"top_items"``, ``"top_users"``, ``"pushed_up"``, ``"pushed_down"`` and
        ``"cofiring"``; positions are items, users of `activity`, and neurons.

    Notes
    -----
    For neurons of users the value of an item is the correlation of firing with having
    it, over the users: of mean activations the highest would be those of items that one
    user has. For neurons of items that of a user is the mean activation of the items
    held. Two neurons fire together by the share of rows with both among the rows with
    either.
    """
    Z, X = activity.Z.tocsc(), activity.X
    # Counts in float32 are exact up to 2**24 rows.
    ones = np.ones(Z.nnz, dtype=np.float32)
    fires = csr_array((ones, Z.indices, Z.indptr), shape=Z.shape[::-1])
    n_rows, n_active = Z.shape[0], np.diff(Z.indptr).astype(np.float64)
    if activity.side == "user":
        holders, XT = X.sum(axis=0, dtype=np.float64), X.T.tocsr()
        spread = holders * (n_rows - holders)

        def items(neurons):
            active = n_active[neurons]
            both = (XT @ fires[neurons].T).toarray()
            scale = np.sqrt(spread[:, None] * (active * (n_rows - active)))
            excess = np.maximum(n_rows * both - holders[:, None] * active, 0)
            return np.divide(excess, scale, out=np.zeros_like(scale), where=scale > 0)

        def users(neurons):
            return Z[:, neurons].toarray()
    else:
        lengths = np.maximum(X.sum(axis=1), 1)

        def items(neurons):
            return Z[:, neurons].toarray()

        def users(neurons):
            return X @ Z[:, neurons].toarray() / lengths[:, None]

    def cofiring(neurons):
        both = row_products(fires, neurons)
        either = n_active[:, None] + n_active[neurons] - both
        both[neurons, np.arange(len(neurons))] = 0
        return both / np.maximum(either, 1)

    pushes = _pushes(model, activity)
    n_neurons = Z.shape[1]
    tops = {
        "top_items": _highest(items, X.shape[1], n_neurons, n_items),
        "top_users": _highest(users, X.shape[0], n_neurons, n_users),
        "cofiring": _highest(cofiring, n_neurons, n_neurons, n_cofiring),
    }
    for name, sign in (("pushed_up", 1), ("pushed_down", -1)):

        def pushed(neurons, sign=sign):
            return np.maximum(sign * pushes(neurons), 0)

        top = _highest(pushed, X.shape[1], n_neurons, n_pushed)
        tops[name] = Tops(top.positions, sign * top.values)
    return tops


def _pushes(model, activity):
    """Return a function from neurons to what they add to scores (n_items, n).

    Of a neuron of users one unit of activation counts; of a neuron of items what it
    adds to the score of the mean user.
    """
    host, side = model.recommender_, model._side(activity.side)
    n_items = model.n_features_in_
    if host.has_nonlinear_decode:
        return lambda neurons: np.zeros((n_items, len(neurons)))
    if activity.side == "item":
        unit = np.ones(len(side.scales))
        if model.rule_ != OFFSET:
            unit = decoder_of(side.probe, len(side.scales))[0] @ activity.mean_user
        Z = activity.Z.tocsc()
        return lambda neurons: Z[:, neurons].toarray() * unit[neurons]
    V, (directions, _) = host.item_embeddings_, decoder_of(side.probe, len(side.scales))
    return lambda neurons: V @ directions[neurons].T


def _highest(values_of, n_things, n_neurons, n):
    """Find the n highest values of every neuron, a block of neurons at a time."""
    n = min(n, n_things)
    step = max(1, _BLOCK_ACTIVATIONS // n_things)
    positions, values = [], []
    for start in range(0, n_neurons, step):
        block = values_of(np.arange(start, min(start + step, n_neurons)))
        chosen = np.argpartition(-block, n - 1, axis=0)[:n]
        highest = np.take_along_axis(block, chosen, axis=0)
        order = np.lexsort((chosen, -highest), axis=0)
        positions.append(np.take_along_axis(chosen, order, axis=0))
        values.append(np.take_along_axis(highest, order, axis=0))
    return Tops(np.hstack(positions), np.hstack(values))
