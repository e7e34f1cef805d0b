"""How well descriptions predict where neurons fire, and what chance would give."""

from functools import cache
from typing import NamedTuple

import numpy as np
from scipy.stats import binom

__all__ = ["Figures", "Verdict", "chance_of_passing", "judge", "verify"]

#: A predicted level above this says that the neuron fires.
FIRES = 5


class Figures(NamedTuple):
    """One value per neuron; NaN where a side has no usable prediction."""

    confidence: np.ndarray
    recall: np.ndarray
    specificity: np.ndarray
    auc: np.ndarray


class Verdict(NamedTuple):
    """Figures by name, one value per neuron, and shares over the verified neurons."""

    figures: dict[str, np.ndarray]
    verified: np.ndarray
    interpretable: np.ndarray
    share: float
    null_share: float
    chance_share: float


def verify(levels, null_levels, n_cases, threshold):
    """Judge the descriptions on their own cases and on those of other neurons.

    Parameters
    ----------
    levels : ndarray of shape (n_neurons, 2 * n_cases)
        Predicted levels, of active cases first; NaN is missing.
    null_levels : ndarray of shape (n_permutations, n_neurons, 2 * n_cases)
        What the same descriptions predict for other neurons.
    n_cases : int
    threshold : float
        Confidence of an interpretable neuron.

    Returns
    -------
    Verdict
    """
    figures = judge(levels[:, :n_cases], levels[:, n_cases:])
    verified = np.isfinite(figures.confidence)
    nulls = np.full((len(null_levels), len(levels)), np.nan)
    for turn, predicted in enumerate(null_levels):
        null = judge(predicted[:, :n_cases], predicted[:, n_cases:])
        nulls[turn] = null.confidence
    chance = np.full(len(levels), np.nan)
    known = np.isfinite(levels).reshape(len(levels), 2, n_cases).sum(axis=2)
    chance[verified] = [
        chance_of_passing(n_active, n_inactive, threshold)
        for n_active, n_inactive in known[verified].tolist()
    ]
    interpretable = passes(figures.confidence, threshold)
    judged = np.isfinite(nulls)
    columns = {
        **figures._asdict(),
        "chance": chance,
        "null_confidence": _divide(
            np.where(judged, nulls, 0.0).sum(axis=0), judged.sum(axis=0)
        ),
    }
    return Verdict(
        columns,
        verified,
        interpretable,
        share=_mean(interpretable[verified]),
        null_share=_mean(passes(nulls[judged], threshold)),
        chance_share=_mean(chance[verified]),
    )


def judge(active, inactive):
    """Compare predicted levels with what the neurons did.

    Parameters
    ----------
    active, inactive : ndarray of shape (n_neurons, n_cases)
        Levels predicted for rows where the neuron fires, and where it does not; NaN is
        missing, neither right nor wrong.

    Returns
    -------
    Figures
        Confidence is the mean of recall and specificity, so that a constant answer has
        .5 whatever it is.
    """
    recall = _share(active > FIRES, active)
    specificity = _share(inactive <= FIRES, inactive)
    gap = active[:, :, np.newaxis] - inactive[:, np.newaxis, :]
    known = np.isfinite(gap)
    wins = np.where(known, (gap > 0) + 0.5 * (gap == 0), 0.0).sum(axis=(1, 2))
    auc = _divide(wins, known.sum(axis=(1, 2)))
    return Figures((recall + specificity) / 2, recall, specificity, auc)


def passes(confidence, threshold):
    """Mark confidences of at least the threshold, but for rounding."""
    return confidence >= threshold - 1e-9


@cache
def chance_of_passing(n_active, n_inactive, threshold):
    """Return the chance that a toss-up per case reaches the threshold.

    Parameters
    ----------
    n_active, n_inactive : int
        Cases judged.
    threshold : float
        Of the confidence.

    Returns
    -------
    float
        Exact, from two binomial distributions with p = 1/2.
    """
    hits, rejections = np.arange(n_active + 1), np.arange(n_inactive + 1)
    confidence = (hits[:, np.newaxis] / n_active + rejections / n_inactive) / 2
    probability = np.outer(
        binom.pmf(hits, n_active, 0.5), binom.pmf(rejections, n_inactive, 0.5)
    )
    return float(probability[passes(confidence, threshold)].sum())


def _share(right, levels):
    return _divide(right.sum(axis=1), np.isfinite(levels).sum(axis=1))


def _divide(part, whole):
    share = np.full(len(whole), np.nan)
    np.divide(part, whole, out=share, where=whole > 0)
    return share


def _mean(values):
    return float(np.mean(values)) if len(values) else float("nan")
