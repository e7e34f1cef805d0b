"""Scores of items into activation levels."""

import numpy as np

__all__ = ["best_split", "score_levels"]


def best_split(scores, fires):
    """Return the positive threshold that tells two groups apart best.

    Parameters
    ----------
    scores : ndarray of shape (n,)
        Higher where a neuron is thought to fire.
    fires : ndarray of shape (n,), dtype bool
        Whether it does.

    Returns
    -------
    float
        Halfway between two neighbouring scores, or between the lowest positive one and
        0; of equally good ones the lowest. inf where no score is positive.
    """
    positive = np.unique(scores[scores > 0])
    if not len(positive):
        return np.inf
    thresholds = (positive + np.concatenate([[0.0], positive[:-1]])) / 2
    above = scores > thresholds[:, np.newaxis]
    gain = above[:, fires].mean(axis=1) - above[:, ~fires].mean(axis=1)
    return float(thresholds[gain.argmax()])


def score_levels(scores, threshold):
    """Return ``5 · score / threshold``, cut to [0, 10]: the threshold is level 5."""
    return np.clip(5 * scores / threshold, 0.0, 10.0)
