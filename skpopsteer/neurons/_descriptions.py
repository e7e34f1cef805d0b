"""Let a describer describe neurons, and predict their cases and those of others."""

from typing import NamedTuple

import numpy as np

from skpopsteer.neurons._cases import NeuronCases

__all__ = ["Descriptions", "as_levels", "describe_neurons"]


class Descriptions(NamedTuple):
    """What became of every neuron that has cases; NaN where it was not predicted.

    `levels` has shape (n_neurons, 2N), `null_levels` (n_permutations, n_neurons, 2N):
    what each concept predicts for the cases of its own neuron, and of another one.
    """

    labels: np.ndarray
    errors: np.ndarray
    levels: np.ndarray
    null_levels: np.ndarray


def describe_neurons(describer, shown, selection, attributes, n_permutations, seed):
    """Describe neurons and predict verification cases, going on after errors.

    Parameters
    ----------
    describer : fitted describer
    shown : ShownItems
    selection : Selection
        Neurons without cases are left out.
    attributes : ndarray of shape (n_neurons,), dtype object
        Enriched attributes of every neuron, for its label.
    n_permutations : int
        How often each concept is tried on another neuron, a different one every time
        as long as there are some.
    seed : int

    Returns
    -------
    Descriptions
    """
    rng = np.random.default_rng(seed)
    n_neurons, n_shown = selection.verification.shape
    labels, concepts = np.full(n_neurons, "", dtype=object), {}
    errors = np.array(selection.reasons, dtype=object)
    levels = np.full((n_neurons, n_shown), np.nan)
    for i in np.flatnonzero([not reason for reason in selection.reasons]).tolist():
        cases = NeuronCases(shown, selection.construction[i], selection.levels[i])
        try:
            concept = _concept(describer.describe(cases))
            labels[i] = _label(describer, concept, attributes[i])
            levels[i] = _predict(
                describer, concept, shown, selection.verification[i], rng
            )
        except Exception as error:  # one neuron must not stop the others
            errors[i] = f"{type(error).__name__}: {error}"
        else:
            concepts[i] = concept
    null_levels = np.full((n_permutations, n_neurons, n_shown), np.nan)
    ring = rng.permutation(list(concepts))
    for turn in range(n_permutations if len(ring) > 1 else 0):
        others = np.roll(ring, 1 + turn % (len(ring) - 1))
        for i, other in zip(ring.tolist(), others.tolist(), strict=True):
            places = selection.verification[other]
            try:
                null_levels[turn, i] = _predict(
                    describer, concepts[i], shown, places, rng
                )
            except Exception:  # it stays missing
                continue
    return Descriptions(labels, errors, levels, null_levels)


def as_levels(answer, n_cases):
    """Turn answers into levels; what is no number from 0 to 10 is missing.

    Parameters
    ----------
    answer : array-like of shape (n_cases,)
        Numbers, texts that say one, or anything else.
    n_cases : int

    Returns
    -------
    ndarray of shape (n_cases,), dtype float64
        NaN where missing.
    """
    levels = np.array([_as_level(value) for value in answer], dtype=np.float64)
    if len(levels) != n_cases:
        raise ValueError(
            f"`predict` must return one level per case ({n_cases}); got {len(levels)}."
        )
    levels[~((levels >= 0) & (levels <= 10))] = np.nan
    return levels


def _as_level(value):
    # True would pass for level 1, which says that a neuron does not fire.
    if isinstance(value, bool | np.bool_):
        return np.nan
    try:
        return float(value)
    except (TypeError, ValueError):
        return np.nan


def _concept(answer):
    if answer is None or (isinstance(answer, str) and not answer.strip()):
        raise ValueError("`describe` must return a concept; got nothing.")
    return answer


def _label(describer, concept, attributes):
    if hasattr(describer, "label"):
        return str(describer.label(concept, attributes))
    return str(concept).strip()


def _predict(describer, concept, shown, places, rng):
    # Shuffled, for the order would tell which cases are the active ones.
    order = rng.permutation(len(places))
    answer = describer.predict(concept, NeuronCases(shown, places[order]))
    levels = np.empty(len(places))
    levels[order] = as_levels(answer, len(places))
    return levels
