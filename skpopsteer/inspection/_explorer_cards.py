"""What is known of every neuron, as plain values."""

import warnings
from dataclasses import dataclass

import numpy as np

from skpopsteer.inspection._explorer_activity import find_tops
from skpopsteer.neurons import NeuronInterpreter, NeuronUnion, PopularityNeuronSelector

__all__ = ["NeuronCard", "Ranked", "knob_names", "make_cards", "popularity_selector"]

_N_BINS = 16


@dataclass(frozen=True)
class Ranked:
    """An item, a user or a neuron, and the value it is ranked by.

    Attributes
    ----------
    position : int
        Column or row of the caller's `X`, or number of the neuron.
    name : str
    value : float
    """

    position: int
    name: str
    value: float


@dataclass(frozen=True)
class NeuronCard:
    """What is known of a neuron; all values are plain Python.

    Attributes
    ----------
    neuron : int
    side : {"user", "item"}
        What the neuron fires for.
    label : str
        The autoencoder's own label, or what the interpreter made of the items; "" for
        none.
    tags : tuple of str
        Enriched attributes, best first.
    confidence, null_confidence : float or None
        How well the description predicts where the neuron fires, in [0, 1], and how
        well it predicts other neurons; None where it was not verified.
    interpretable : bool or None
    n_rows, n_active : int
        Rows looked at, and those where the neuron fires.
    mean_activation, peak_activation : float
        Over the rows where it fires.
    histogram : tuple of int
        Active rows in 16 bins of equal width, from 0 to the peak.
    popularity_score : float or None
        The popularity selector's `scores_`; positive where popular profiles are higher.
    weights : dict of str to float
        Weight of the neuron in every knob.
    stability : float or None
        The autoencoder's `stability_`, a cosine in [0, 1].
    is_dead : bool
    top_items, top_users, pushed_up, pushed_down, cofiring : tuple of Ranked
        Best first.
    """

    neuron: int
    side: str
    label: str
    tags: tuple[str, ...]
    confidence: float | None
    null_confidence: float | None
    interpretable: bool | None
    n_rows: int
    n_active: int
    mean_activation: float
    peak_activation: float
    histogram: tuple[int, ...]
    popularity_score: float | None
    weights: dict[str, float]
    stability: float | None
    is_dead: bool
    top_items: tuple[Ranked, ...]
    top_users: tuple[Ranked, ...]
    pushed_up: tuple[Ranked, ...]
    pushed_down: tuple[Ranked, ...]
    cofiring: tuple[Ranked, ...]


def knob_names(selector):
    """Return what the knobs of a fitted selector are called."""
    if isinstance(selector, NeuronUnion):
        return [name for name, _ in selector.selectors_]
    if isinstance(selector, PopularityNeuronSelector):
        return ["popularity"]
    concept = getattr(selector, "concept", None)
    return [concept if isinstance(concept, str) else "strength"]


def popularity_selector(selector):
    """Return the fitted selector of popularity, that of a union too, or None."""
    inner = [selector]
    if isinstance(selector, NeuronUnion):
        inner = [one for _, one in selector.selectors_]
    return next((s for s in inner if isinstance(s, PopularityNeuronSelector)), None)


def make_cards(model, activity, *, item_names, user_names, item_features, seed):
    """Make a card of every neuron of the side that is steered.

    Parameters
    ----------
    model : fitted SteeredRecommender
    activity : Activity
    item_names : list of str
        Per item.
    user_names : list of str
        Per row of the caller's `X`.
    item_features : as of ``NeuronInterpreter.fit``, or None
    seed : int
        Of the interpreter.

    Returns
    -------
    cards : list of NeuronCard
    notes : list of str
        What the interpreter warned of.
    """
    side = model._side(activity.side)
    concepts, notes = _interpret(activity, item_features, item_names, seed)
    labels = {**concepts.pop("labels", {}), **getattr(side.probe, "neuron_labels_", {})}
    names = {
        "top_items": item_names,
        "pushed_up": item_names,
        "pushed_down": item_names,
        "top_users": [user_names[user] for user in activity.users],
        "cofiring": _neuron_names(labels, len(side.scales)),
    }
    tops, figures = find_tops(model, activity), _figures(side, activity)
    users = activity.users
    cards = []
    for neuron in range(len(side.scales)):
        ranked = {}
        for kind, top in tops.items():
            positions, values = top.of(neuron)
            texts = [names[kind][position] for position in positions]
            if kind == "top_users":
                positions = users[positions]
            rows = zip(positions.tolist(), texts, values.tolist(), strict=True)
            ranked[kind] = tuple(Ranked(*row) for row in rows)
        known = {name: values[neuron] for name, values in figures.items()}
        meant = {name: values[neuron] for name, values in concepts.items()}
        cards.append(
            NeuronCard(
                neuron=neuron,
                side=activity.side,
                label=labels.get(neuron, ""),
                **(meant or _NO_CONCEPT),
                **known,
                **ranked,
            )
        )
    return cards, notes


_NO_CONCEPT: dict = {
    "tags": (), "confidence": None, "null_confidence": None, "interpretable": None,
}  # fmt: skip


def _neuron_names(labels, n_neurons):
    return [
        f"neuron {n}: {labels[n]}" if labels.get(n) else f"neuron {n}"
        for n in range(n_neurons)
    ]


def _interpret(activity, item_features, item_titles, seed):
    """Return what the neurons mean, by name a list with one entry per neuron."""
    if item_features is None:
        return {}, []
    interpreter = NeuronInterpreter(random_state=seed)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        interpreter.fit_activations(
            activity.Z, activity.top_items, item_features=item_features,
            item_titles=item_titles,
        )  # fmt: skip
    notes = []
    for warning in caught:
        if issubclass(warning.category, UserWarning):
            notes.append(str(warning.message))
        else:
            warnings.warn_explicit(
                warning.message, warning.category, warning.filename, warning.lineno
            )
    table = interpreter.concepts_
    return {
        "labels": interpreter.labels_,
        "tags": [tuple(map(str, names)) for names in table["attributes"]],
        "confidence": _or_none(interpreter.confidence_),
        "null_confidence": _or_none(interpreter.null_confidence_),
        "interpretable": interpreter.interpretable_.tolist(),
    }, notes


def _or_none(values):
    return [None if np.isnan(value) else value for value in values.tolist()]


def _figures(side, activity):
    """Return figures by name, a list with one entry per neuron each."""
    n_rows, n_neurons = activity.Z.shape
    Z, probe = activity.Z.tocsc(), side.probe
    columns = [Z.data[slice(*Z.indptr[n : n + 2])] for n in range(n_neurons)]
    peaks = [float(values.max(initial=0.0)) for values in columns]
    means = [float(values.mean()) if len(values) else 0.0 for values in columns]
    popular = popularity_selector(side.selector)
    none = [None] * n_neurons
    stability = getattr(probe, "stability_", None)
    dead = getattr(probe, "dead_neurons_", np.zeros(n_neurons, dtype=bool))
    return {
        "n_rows": [n_rows] * n_neurons,
        "n_active": np.diff(Z.indptr).tolist(),
        "mean_activation": means,
        "peak_activation": peaks,
        "histogram": [
            tuple(np.histogram(values, _N_BINS, (0.0, peak or 1.0))[0].tolist())
            for values, peak in zip(columns, peaks, strict=True)
        ],
        "popularity_score": none if popular is None else popular.scores_.tolist(),
        "weights": _weights(side.selector, n_neurons),
        "stability": none if stability is None else _or_none(np.asarray(stability)),
        "is_dead": np.asarray(dead).tolist(),
    }


def _weights(selector, n_neurons):
    """Return the weight of every neuron in every knob, as one dict each."""
    selectors = [selector]
    if isinstance(selector, NeuronUnion):
        selectors = [one for _, one in selector.selectors_]
    columns = {
        name: one.steering_weights_.tolist()
        for name, one in zip(knob_names(selector), selectors, strict=True)
    }
    return [
        {name: float(column[neuron]) for name, column in columns.items()}
        for neuron in range(n_neurons)
    ]
