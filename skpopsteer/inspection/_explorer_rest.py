"""How high the items that are not in a page can come."""

import numpy as np
from sklearn.cluster import MiniBatchKMeans

__all__ = [
    "OffsetNeurons",
    "ceilings_of",
    "coarse_costs",
    "describe_rest",
    "group_cost",
]

#: Groups of the items of which nothing is known by itself.
_N_GROUPS = 64
#: Turns of a neuron whose scores are known, as shares of how far it goes.
_TURNS = (0.25, 1.0)


def ceilings_of(near, is_held, k):
    """Return the highest score of an item that is not held, and whether it is listed.

    Parameters
    ----------
    near : Near
    is_held : ndarray of shape (n_items,), dtype bool
    k : int
        Length of the lists.

    Returns
    -------
    ceilings : ndarray of shape (n_settings, n_users), dtype float32
        -inf where there is none; that of the last item known where all are held.
    is_whole : ndarray of shape (n_settings, n_users), dtype bool
        Whether all items of a list are held: what ties with the last of them is of no
        matter then.
    """
    is_other = ~is_held[near.ids] | (near.ids < 0)
    first = np.where(is_other.any(axis=-1), is_other.argmax(axis=-1), -1)
    ceilings = np.take_along_axis(near.scores, first[..., None], axis=-1)[..., 0]
    lacks = ~is_held[near.ids] & (near.ids >= 0)
    return ceilings, ~lacks[..., :k].any(axis=-1)


def coarse_costs(width, seen):
    """Return the bytes of what :func:`describe_rest` tells of items (n_items,)."""
    return 4 / 3 * (width + 12 + 4 * seen)


def group_cost(width, n_users):
    """Return the bytes that groups take."""
    return 4 / 3 * 4 * _N_GROUPS * (width + 1 + n_users)


def describe_rest(V, bias, X, embeddings, coarse, others, rng):
    """Describe items by which a list of users that are steered is told to be whole.

    Parameters
    ----------
    V : ndarray of shape (n_items, d)
    bias : ndarray of shape (n_items,) or None
    X : csr_array of shape (n_users, n_items)
    embeddings : ndarray of shape (n_users, d)
        Of the users, before they are steered.
    coarse, others : ndarray of int
        Items that are described one by one, and those in groups.
    rng : Generator
        Seeds the groups.

    Returns
    -------
    dict of str to ndarray
        `coarse` (n_coarse, d), dtype int8: embeddings in `steps` of their own, with the
        length of what rounding leaves in `errors`; their `bias`, and which of them
        users have `seen`. Of the other items `centres` (n_groups, d) and `radii` of
        groups, and the `highest` score (n_users, n_groups) before anything is turned.

    Notes
    -----
    A coarse item scores not more than ``step * (u @ q) + |u| error + bias``, with the
    embedding u of the user as steered. Where that moves by D, no item of group g scores
    higher than ``highest[g] + D @ centres[g] + |D| radii[g]``. A list whose last score
    is above all of these holds none of the items.
    """
    bias = np.zeros(len(V), dtype=np.float32) if bias is None else bias
    codes, steps, errors = _round(V[coarse])
    seen = X[:, coarse]
    far = V[others].astype(np.float64)
    centres, radii, highest = _bound(far, bias[others], X[:, others], embeddings, rng)
    return {
        "coarse": codes, "steps": steps, "errors": errors, "bias": bias[coarse],
        "seen": {"indptr": seen.indptr, "items": seen.indices},
        "centres": centres, "radii": radii, "highest": highest,
    }  # fmt: skip


def _round(V):
    """Write embeddings in a byte a number, and say how much that leaves out."""
    steps = (np.abs(V).max(axis=1, initial=0) / 127).astype(np.float32)
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


class OffsetNeurons:
    """What turning a neuron of items up, beside the model's own knobs, does to scores.

    Parameters
    ----------
    scores : ndarray of shape (n_users, n_items)
        At the model's own strength, -inf where seen.
    codes : csr_array of shape (n_items, n_neurons)
    units : ndarray of shape (n_neurons,)
        What a turn of 1 adds to a score per activation.
    factors : ndarray of shape (n_users,) or None
        Multiplies what is added.
    limit : float
        How far a neuron goes.
    """

    def __init__(self, scores, codes, units, factors, limit):
        self.scores, self.codes, self.units = scores, codes.tocsc(), units
        self.factors = np.ones(len(scores)) if factors is None else factors
        self.turns = [share * limit for share in _TURNS]
        #: Bytes of what :meth:`describe` returns.
        self.cost = 4 / 3 * len(units) * (len(_TURNS) * (len(scores) + 4) + 8)

    def _turned(self):
        """Yield neuron, turn, the items that fire and their scores."""
        for neuron, unit in enumerate(self.units):
            column = slice(*self.codes.indptr[neuron : neuron + 2])
            items, active = self.codes.indices[column], self.codes.data[column]
            if not len(items):
                continue
            own = self.scores[:, items]
            added = self.factors[:, None] * (unit * active.astype(np.float64))
            for place, turn in enumerate(self.turns):
                yield neuron, place, items, own + turn * added

    def needed(self, best):
        """Return the items that are lifted into a list (n_items,), dtype bool.

        Parameters
        ----------
        best : ndarray of shape (n_users, k)
            Scores of the lists with no neuron turned, best first.
        """
        needed = np.zeros(self.codes.shape[0], dtype=bool)
        for _, _, items, scores in self._turned():
            k = min(best.shape[1], len(items))
            chosen = np.argpartition(-scores, k - 1, axis=1)[:, :k]
            comes = np.take_along_axis(scores, chosen, axis=1) >= best[:, -1:]
            needed[items[chosen[comes]]] = True
        return needed

    def describe(self, is_held, ceilings):
        """Describe how high the items can come that are not held.

        Parameters
        ----------
        is_held : ndarray of shape (n_items,), dtype bool
        ceilings : ndarray of shape (n_users,)
            With no neuron turned.

        Returns
        -------
        dict of str to object
            Highest and lowest activation (`high`, `low`) per neuron; at every one of
            `turns` how much more than `ceilings` they score at the most, as `excess`
            (n_turns, n_neurons, n_users) in `steps` per turn and neuron.
        """
        n_neurons = len(self.units)
        excess = np.zeros((len(self.turns), n_neurons, len(self.scores)))
        for neuron, place, items, scores in self._turned():
            others = scores[:, ~is_held[items]]
            with np.errstate(invalid="ignore"):
                above = others.max(axis=1, initial=-np.inf) - ceilings
            # Nothing is above a ceiling where nothing is left.
            excess[place, neuron] = np.maximum(np.nan_to_num(above, neginf=0), 0)
        steps = _upwards(excess.max(axis=2) / 255)
        return {
            "turns": self.turns,
            "high": self._extreme(is_held, np.max),
            "low": self._extreme(is_held, np.min),
            "steps": steps,
            "excess": np.ceil(excess / steps[..., None]).clip(0, 255).astype(np.uint8),
        }

    def _extreme(self, is_held, of):
        """Return an extreme activation of the items that are not held (n_neurons,)."""
        columns, others = self.codes, ~is_held
        found = []
        for neuron in range(columns.shape[1]):
            part = slice(*columns.indptr[neuron : neuron + 2])
            values = columns.data[part][others[columns.indices[part]]]
            # An item that does not fire has 0.
            found.append(of(values, initial=0.0))
        return np.array(found, dtype=np.float32)
