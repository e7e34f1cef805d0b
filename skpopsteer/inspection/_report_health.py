"""How a steered model is set, and how sound its autoencoder is."""

from dataclasses import dataclass

import numpy as np

from skpopsteer.neurons._union import NeuronUnion, knobs_of
from skpopsteer.popularity import PopularityGroups
from skpopsteer.steering._html import host_words

__all__ = ["SideHealth", "TurnedNeuron", "describe_settings", "examine_side"]

#: Neurons of either sign that are listed.
_SHOWN = 5
#: Parameters of a model that say what it does. A folder, a seed and functions of the
#: caller tell of a machine or of a run.
_SETTINGS = (
    "strength", "unpopular_strength", "item_strength", "profiles",
    "shift_scale", "reconstruction", "keep_top", "n_recommendations",
)  # fmt: skip


@dataclass(frozen=True)
class TurnedNeuron:
    """A neuron that a knob turns.

    Parameters
    ----------
    neuron : int
    label : str
        What it was labelled with; empty for none.
    turned : float
        How far one unit of strength turns it, positive upwards, in units of the rule.
    score : float or None
        Of the selector, where that has one score per neuron.
    dead : bool or None
        Whether no training row woke it; None where the probe does not say.
    """

    neuron: int
    label: str
    turned: float
    score: float | None
    dead: bool | None


@dataclass(frozen=True)
class SideHealth:
    """One autoencoder and its selector.

    Parameters
    ----------
    side : {"user", "item"}
    probe, selector : str
        Names of the classes.
    activation : str or None
        What keeps activations, and how many, as the probe was set.
    n_neurons : int
    n_dead : int or None
        Neurons that no training row wakes.
    fvu : float or None
        Share of the variance of the embeddings that is not explained.
    l0 : float or None
        Activations kept a row.
    stability : float or None
        Mean cosine of the living neurons with their matches in other random starts;
        None with one start only.
    n_iter : int or None
        Epochs.
    n_down, n_up : int
        Neurons that positive strength turns down, and up.
    neurons : list of TurnedNeuron
        Those turned furthest down, then those turned furthest up.
    """

    side: str
    probe: str
    selector: str
    activation: str | None
    n_neurons: int
    n_dead: int | None
    fvu: float | None
    l0: float | None
    stability: float | None
    n_iter: int | None
    n_down: int
    n_up: int
    neurons: list[TurnedNeuron]


def describe_settings(model):
    """Collect what a model is set to, nothing that tells of a machine.

    Parameters
    ----------
    model : fitted SteeredRecommender

    Returns
    -------
    dict of str to str, int, float or None
    """
    settings = {"host": host_words(model.recommender_)}
    settings["items"] = int(model.n_features_in_)
    width = getattr(model, "_n_features_out", None)
    settings["embedding_width"] = None if width is None else int(width)
    settings |= {"side": model.side_, "rule": model.rule_}
    settings |= {name: _plain(getattr(model, name)) for name in _SETTINGS}
    knob = model.user_strength
    settings["user_strength"] = "a function" if callable(knob) else knob
    settings["groups"] = str(model.groups or PopularityGroups())
    return settings


def _plain(value):
    return value.item() if isinstance(value, np.generic) else value


def examine_side(model, side):
    """Read the health of one side of a model.

    Parameters
    ----------
    model : fitted SteeredRecommender
    side : {"user", "item"}

    Returns
    -------
    SideHealth or None
        None for a side that is not steered.
    """
    if model.side_ not in (side, "both"):
        return None
    prefix = "" if side == "user" else "item_"
    probe = getattr(model, f"{prefix}probe_")
    selector = getattr(model, f"{prefix}selector_")
    turned = sum(strength * weights for strength, weights in knobs_of(selector))
    dead = getattr(probe, "dead_neurons_", None)
    return SideHealth(
        side=side,
        probe=type(probe).__name__,
        selector=_selector_name(selector),
        activation=_activation(probe),
        n_neurons=len(turned),
        n_dead=None if dead is None else int(np.sum(dead)),
        fvu=_float(getattr(probe, "fvu_", None)),
        l0=_float(getattr(probe, "l0_", None)),
        stability=_stability(probe, dead),
        n_iter=_int(getattr(probe, "n_iter_", None)),
        n_down=int((turned < 0).sum()),
        n_up=int((turned > 0).sum()),
        neurons=_furthest(probe, selector, turned, dead),
    )


def _selector_name(selector):
    if not isinstance(selector, NeuronUnion):
        return type(selector).__name__
    knobs = [
        f"{name} ({type(one).__name__}, {selector.strengths_[name]:g})"
        for name, one in selector.selectors_
    ]
    return f"{type(selector).__name__}: {', '.join(knobs)}"


def _activation(probe):
    rule, k = getattr(probe, "activation", None), getattr(probe, "k", None)
    if not isinstance(rule, str):
        return None
    return rule if k is None or rule == "relu" else f"{rule}, k={k}"


def _stability(probe, dead):
    cosines = getattr(probe, "stability_", None)
    if cosines is None:
        return None
    alive = np.ones(len(cosines), dtype=bool) if dead is None else ~np.asarray(dead)
    return float(cosines[alive].mean()) if alive.any() else None


def _furthest(probe, selector, turned, dead):
    order = np.argsort(turned, kind="stable")
    down = [j for j in order[:_SHOWN] if turned[j] < 0]
    up = [j for j in order[::-1][:_SHOWN] if turned[j] > 0]
    labels = getattr(probe, "neuron_labels_", {})
    scores = getattr(selector, "scores_", None)
    if np.shape(scores) != turned.shape:
        scores = None
    return [
        TurnedNeuron(
            neuron=int(j),
            label=str(labels.get(int(j), "")),
            turned=float(turned[j]),
            score=None if scores is None else float(scores[j]),
            dead=None if dead is None else bool(dead[j]),
        )
        for j in [*down, *up]
    ]


def _float(value):
    return None if value is None else float(value)


def _int(value):
    return None if value is None else int(value)
