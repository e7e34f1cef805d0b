"""How far the knobs of a page go, and the settings that are looked at beforehand."""

from itertools import product

import numpy as np

from skpopsteer.inspection._explorer_cards import knob_names
from skpopsteer.neurons import NeuronUnion
from skpopsteer.neurons._union import default_strength, knobs_of
from skpopsteer.steering._rules import OFFSET

__all__ = [
    "FINE_STEPS",
    "anchors_of",
    "as_strength",
    "checked_settings",
    "has_union",
    "is_slow",
    "knobs_of_model",
    "neuron_knob",
    "steps_of",
    "strongest_neurons",
]

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
#: Steps of a slider from the middle to an end, about; fewer where each takes seconds.
FINE_STEPS, _COARSE_STEPS = 80, 16
_MOST_KNOBS_CHECKED = 4
#: Of several knobs: every which step of one while the others rest, and values of each
#: where they are turned together.
_STRIDE = 4
_LATTICE = {2: 17, 3: 7, 4: 5}


def has_union(model):
    """Whether a side of the model has several knobs."""
    sides = [side for side in (model._user_side, model._item_side) if side]
    return any(isinstance(side.selector, NeuronUnion) for side in sides)


def is_slow(model):
    """Whether a setting takes new embeddings of all items."""
    return model.side_ != "user" and model.rule_ != OFFSET


def steps_of(model):
    """Return the steps of a slider in a page that must look at each beforehand."""
    return _COARSE_STEPS if is_slow(model) else FINE_STEPS


def knobs_of_model(model, union, n_steps=FINE_STEPS):
    """Describe the sliders: name, value at the start, and how far they go.

    Parameters
    ----------
    model : fitted SteeredRecommender
    union : bool
        Whether knobs are called by name.
    n_steps : int, default=80
        Steps from the middle to an end, about.

    Returns
    -------
    list of dict of str to object
    """
    sides = [side for side in (model._user_side, model._item_side) if side]
    if not union:
        lowers = default_strength(sides[0].selector) < 0
        (name,) = knob_names(sides[0].selector)
        return [_knob(model, name, "", float(model.strength), lowers, n_steps)]
    values = {}
    for side in sides:
        if isinstance(side.selector, NeuronUnion):
            values |= side.selector.strengths_
    return [
        _knob(model, name, name, value * float(model.strength), False, n_steps)
        for name, value in values.items()
    ]


def _knob(model, title, key, value, lowers, n_steps):
    limit = _LIMITS.get(model.rule_, _REACH * (abs(value) or 1.0))
    return {
        "key": key,
        "title": title,
        "value": value,
        "limit": limit,
        "step": _nice_step(limit, n_steps),
        "lowers": lowers,
    }


def neuron_knob(model):
    """Say how far a neuron that somebody picks is turned, positive upwards."""
    if model.rule_ in ("shift", "add"):
        limit, unit = _DEVIATIONS, "standard deviations"
    else:
        limit = _LIMITS.get(model.rule_, _REACH)
        unit = _UNITS.get(model.rule_, "units of the rule")
    side = "item" if model.side_ == "item" else "user"
    step = _nice_step(limit, FINE_STEPS)
    return {"limit": limit, "step": step, "unit": unit, "side": side}


def _nice_step(limit, n_steps):
    """Return 1, 2 or 5 times a power of ten, so that a slider has about `n_steps`."""
    raw = limit / n_steps
    power = 10.0 ** np.floor(np.log10(raw))
    return float(
        f"{power * min((1, 2, 5, 10), key=lambda m: abs(m * power - raw)):.1g}"
    )


def as_strength(values, union):
    """Return what ``recommend(strength=...)`` takes for values by key."""
    return values if union else values[""]


def checked_settings(knobs):
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


def anchors_of(knobs, lattice):
    """Return settings whose lists are known beforehand.

    Parameters
    ----------
    knobs : list of dict
        Of :func:`knobs_of_model`.
    lattice : bool
        Whether several knobs are turned together, too.

    Returns
    -------
    ndarray of shape (n_settings, n_knobs)
        The model's own first; all positions of the slider of a knob that is alone.
    """
    own = np.array([knob["value"] for knob in knobs])
    checked = [[one[k["key"]] for k in knobs] for one in checked_settings(knobs)]
    stops = [_positions(knob) for knob in knobs]
    settings = [own[None], np.array(checked)]
    for place, positions in enumerate(stops):
        chosen = positions if len(knobs) == 1 else positions[::_STRIDE]
        alone = np.tile(own, (len(chosen), 1))
        alone[:, place] = chosen
        settings.append(alone)
    if lattice and len(knobs) in _LATTICE:
        n = _LATTICE[len(knobs)]
        ends = [np.linspace(-knob["limit"], knob["limit"], n) for knob in knobs]
        settings.append(np.array(list(product(*ends))))
    # In the order they come in: the model's own stays the first.
    return np.array(list(dict.fromkeys(map(tuple, np.vstack(settings).tolist()))))


def _positions(knob):
    """Return where a slider can stand, as the page rounds it."""
    n = int(np.floor(knob["limit"] / knob["step"] + 0.5))
    return np.array([float(f"{i * knob['step']:.12g}") for i in range(-n, n + 1)])


def strongest_neurons(selector, n):
    """Return the neurons that the knobs turn furthest, which a page shows first."""
    weights = np.max([np.abs(weights) for _, weights in knobs_of(selector)], axis=0)
    return np.argsort(-weights, kind="stable")[:n]
