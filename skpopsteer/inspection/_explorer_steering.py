"""What a page needs to make the lists of some users at any strength of any knob."""

import numpy as np

from skpopsteer.inspection._explorer_cards import knob_names
from skpopsteer.inspection._explorer_catalogue import choose_items, most_items
from skpopsteer.inspection._explorer_sides import Impossible, item_side, user_side
from skpopsteer.neurons import NeuronUnion
from skpopsteer.neurons._union import default_strength
from skpopsteer.steering._encoded_users import EncodedUsers

__all__ = ["Sample", "describe_steering", "host_name", "sample_users"]

#: How far a slider goes: strengths of the model itself, and what a rule makes of more.
_REACH = 4.0
_LIMITS = {"interpolate": 1.0, "clamp": 2.0}
_UNITS = {
    "clamp": "peaks",
    "hold": "peaks",
    "interpolate": "shares of all activation",
    "offset": "quarters of a deviation of the scores",
}
#: How far a neuron by itself is turned where one unit is a standard deviation.
_DEVIATIONS = 8.0
#: Steps of a slider from the middle to an end, about.
_N_STEPS = 80
#: Neurons that are tried one by one to find the items of a page, and knobs to check.
_TRIED_NEURONS = 24
_MOST_KNOBS_CHECKED = 4


class Sample:
    """Users whose lists the page makes.

    Parameters
    ----------
    model : fitted SteeredRecommender
    X : csr_array of shape (n_rows, n_items)
        All rows: what multiplies the strength of a user may compare them.
    user_ids : ndarray of shape (n_rows,) or None
    rows : ndarray of shape (n_users,)
        The rows that are sampled.

    Attributes
    ----------
    rows : ndarray of shape (n_users,)
    X : csr_array of shape (n_users, n_items)
    encoded : EncodedUsers
    host_lists, own_lists : ndarray of shape (n_users, n_recommendations)
        Before steering, and at the model's own strength.
    """

    def __init__(self, model, X, user_ids, rows):
        self.model, self.rows, self.X = model, rows, X[rows]
        ids = None if user_ids is None else user_ids[rows]
        host, factors = model.recommender_, model._per_row(X)
        embeddings = host.encode_users(self.X, ids)
        self.encoded = EncodedUsers(
            embeddings, None if factors is None else factors[rows]
        )
        self.host_lists = host.recommend(self.X, model.n_recommendations, user_ids=ids)
        self.own_lists = self.lists(None)

    def lists(self, strength):
        """Return what ``recommend(strength=...)`` gives these users."""
        model = self.model
        turned = model._turn_checked(strength)
        k = model.n_recommendations
        return model._lists(self.X, self.encoded, turned, k, [self.X])[0]


def sample_users(X, held_out_counts, n_users, rng):
    """Choose users at random, of those with a history, and with held-out items if any.

    Parameters
    ----------
    X : csr_array of shape (n_rows, n_items)
    held_out_counts : ndarray of shape (n_rows,) or None
    n_users : int
    rng : Generator

    Returns
    -------
    ndarray of shape (at most n_users,)
        Rows, ascending.
    """
    eligible = np.diff(X.indptr) > 0
    if held_out_counts is not None:
        eligible &= held_out_counts > 0
    rows = np.flatnonzero(eligible)
    if not len(rows):
        raise ValueError(
            "`X` must hold a user with interactions, and held-out items in `y` where "
            "that is given; got none. hide_interactions(X) makes X_seen and y."
        )
    return np.sort(rng.choice(rows, min(n_users, len(rows)), replace=False))


def describe_steering(model, sample, rng):
    """Describe the knobs, and all that is needed to turn them.

    Parameters
    ----------
    model : fitted SteeredRecommender
    sample : Sample
    rng : Generator

    Returns
    -------
    steering : dict of str to object
        Arrays and plain values. `reason` tells why the page cannot do it, or is None.
    items : ndarray of int
        Items whose embeddings are in it.
    """
    union = _has_union(model)
    knobs = _knobs(model, union)
    steering = {
        "reason": None,
        "union": union,
        "knobs": knobs,
        "neuron_knob": _neuron_knob(model),
        "rule": model.rule_,
        "reconstruction": model.reconstruction,
        "keep_top": int(model.keep_top),
        "strength": float(model.strength),
        "unpopular_strength": _float(model.unpopular_strength),
        "item_strength": _float(model.item_strength),
    }
    try:
        _refuse_hosts(model, sample)
        if model.side_ != "item":
            steering["user"] = user_side(model, sample.encoded.embeddings, union)
        if model.side_ != "user":
            steering["item"] = item_side(model, union)
    except Impossible as error:
        return {**steering, "reason": str(error)}, np.empty(0, dtype=np.int64)
    settings = _tried_settings(model, knobs, rng) if model.side_ == "user" else []
    catalogue = choose_items(model, sample.X, sample.encoded, settings, rng)
    host, items, rest = model.recommender_, catalogue.items, catalogue.rest
    bias = host.item_bias_
    steering |= {
        "user_embeddings": sample.encoded.embeddings,
        "factors": sample.encoded.factors,
        "item_embeddings": host.item_embeddings_[items],
        "item_bias": None if bias is None else bias[items],
        "rest": None if rest is None else _rest(rest),
        "checks": [
            {"values": values, "lists": sample.lists(_as_strength(values, union))}
            for values in _checked_settings(knobs)
        ],
    }
    return steering, items


def _rest(rest):
    seen = {"indptr": rest.seen.indptr, "items": rest.seen.indices}
    return {**vars(rest), "seen": seen}


def _has_union(model):
    sides = [side for side in (model._user_side, model._item_side) if side]
    return any(isinstance(side.selector, NeuronUnion) for side in sides)


def _float(value):
    return None if value is None else float(value)


def _refuse_hosts(model, sample):
    host = model.recommender_
    if host.has_nonlinear_decode:
        raise Impossible(
            f"The host ({host_name(host)}) decodes with layers of its own, not by "
            "inner products, and a page cannot run them."
        )
    n_items, width = host.item_embeddings_.shape
    most = most_items(len(sample.rows), width, model.rule_)
    if model.side_ != "user" and n_items > most:
        raise Impossible(
            f"Turning the neurons of items needs all {n_items:,} of them in the page, "
            f"which holds {most:,} at the most."
        )


def host_name(host):
    """Return what the model in a host is called, or the host itself."""
    adapter = getattr(host, "estimator", host)
    held = next(iter(adapter.get_params(deep=False).values()), None)
    is_model = hasattr(held, "fit") or hasattr(held, "forward")
    return type(held if is_model else adapter).__name__


def _knobs(model, union):
    """Return the knobs: name, value at the start, and how far they go."""
    sides = [side for side in (model._user_side, model._item_side) if side]
    if not union:
        lowers = default_strength(sides[0].selector) < 0
        (name,) = knob_names(sides[0].selector)
        return [_knob(model, name, "", float(model.strength), lowers)]
    values = {}
    for side in sides:
        if isinstance(side.selector, NeuronUnion):
            values |= side.selector.strengths_
    return [
        _knob(model, name, name, value * float(model.strength), False)
        for name, value in values.items()
    ]


def _knob(model, title, key, value, lowers):
    limit = _LIMITS.get(model.rule_, _REACH * (abs(value) or 1.0))
    return {
        "key": key,
        "title": title,
        "value": value,
        "limit": limit,
        "step": _nice_step(limit),
        "lowers": lowers,
    }


def _neuron_knob(model):
    """Say how far a neuron that somebody picks is turned, positive upwards."""
    if model.rule_ in ("shift", "add"):
        limit, unit = _DEVIATIONS, "standard deviations"
    else:
        limit = _LIMITS.get(model.rule_, _REACH)
        unit = _UNITS.get(model.rule_, "units of the rule")
    side = "item" if model.side_ == "item" else "user"
    return {"limit": limit, "step": _nice_step(limit), "unit": unit, "side": side}


def _nice_step(limit):
    """Return 1, 2 or 5 times a power of ten, so that a slider has about 80 steps."""
    raw = limit / _N_STEPS
    power = 10.0 ** np.floor(np.log10(raw))
    return float(
        f"{power * min((1, 2, 5, 10), key=lambda m: abs(m * power - raw)):.1g}"
    )


def _as_strength(values, union):
    return values if union else values[""]


def _checked_settings(knobs):
    """Return settings whose lists go into the page, for it to check itself by."""
    own = {knob["key"]: knob["value"] for knob in knobs}
    settings = [own, dict.fromkeys(own, 0.0)]
    for knob in knobs[:_MOST_KNOBS_CHECKED]:
        for share in (-0.5, 0.25, 1.0) if len(knobs) == 1 else (-0.25, 0.5):
            alone = dict.fromkeys(own, 0.0)
            settings.append(alone | {knob["key"]: share * knob["limit"]})
    if len(knobs) > 1:
        settings.append({knob["key"]: -0.25 * knob["limit"] for knob in knobs})
    return settings


def _tried_settings(model, knobs, rng):
    """Yield how the neurons are turned over the range of the sliders."""
    union = _has_union(model)
    own = {knob["key"]: knob["value"] for knob in knobs}
    yield None
    yield model._pushes(None)[0]
    for knob in knobs:
        for share in (-1.0, -0.5, -0.25, 0.25, 0.5, 0.75, 1.0):
            for others in (own, dict.fromkeys(own, 0.0)):
                values = others | {knob["key"]: share * knob["limit"]}
                yield model._pushes(_as_strength(values, union))[0]
    side, limit = model._side("user"), _neuron_knob(model)["limit"]
    n_neurons = len(side.scales)
    for neuron in rng.choice(n_neurons, min(_TRIED_NEURONS, n_neurons), replace=False):
        for sign in (-1, 1):
            push = np.zeros(n_neurons, dtype=np.float32)
            push[neuron] = sign * limit
            yield push
