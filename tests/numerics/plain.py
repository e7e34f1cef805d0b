"""What the package computes in float32, once more in float64 and as plainly as it goes.

Fitted state and input are taken as they are: a float32 number is a float64 one too.
"""

import math

import numpy as np

__all__ = [
    "RULES",
    "activations",
    "as_float64",
    "clear_choice",
    "cohens_d",
    "decoded",
    "moved",
    "pre_activations",
    "refined",
    "standardized",
    "top_items",
]


def as_float64(values):
    return np.asarray(values, dtype=np.float64)


def standardized(X):
    X = as_float64(X)
    mean, deviation = X.mean(axis=1), X.std(axis=1)
    deviation[deviation == 0] = 1
    return (X - mean[:, None]) / deviation[:, None]


def pre_activations(probe, X):
    X = standardized(X) if probe.standardize_rows else as_float64(X)
    centred = X - as_float64(probe.decoder_bias_)
    return centred @ as_float64(probe.encoder_weights_).T + probe.encoder_bias_


def activations(probe, P):
    P = as_float64(P)
    if probe.threshold_ is not None:
        return np.where(as_float64(probe.threshold_) < P, np.maximum(P, 0), 0)
    kept = np.zeros(P.shape, dtype=bool)
    places = np.argsort(-P, axis=1, kind="stable")[:, : probe.k]
    np.put_along_axis(kept, places, True, axis=1)
    return np.where(kept, np.maximum(P, 0), 0)


def refined(probe, Z, X):
    """Set one activation after the other to its best value, not below 0."""
    directions = as_float64(probe.decoder_weights_)
    target = as_float64(X) - as_float64(probe.decoder_bias_)
    Z = as_float64(Z).copy()
    for z, wanted in zip(Z, target, strict=True):
        firing = np.flatnonzero(z)
        for _ in range(probe.refine):
            for j in firing:
                error = wanted - z @ directions
                z[j] += error @ directions[j] / (directions[j] @ directions[j])
                z[j] = max(z[j], 0)
    return Z


def decoded(probe, Z):
    return as_float64(Z) @ as_float64(probe.decoder_weights_) + probe.decoder_bias_


def shift(probe, pre, z, push, scale, peak):
    correction = z - activations(probe, pre[None])[0]
    return activations(probe, (pre + push * scale)[None])[0] + correction


def add(probe, pre, z, push, scale, peak):
    return z + push * scale


def scale(probe, pre, z, push, scale, peak):
    return z * np.exp(push)


def clamp(probe, pre, z, push, scale, peak):
    steered = z.copy()
    for j in np.flatnonzero(z):
        if push[j] < 0:
            steered[j] = min(z[j], peak[j] * max(1 + push[j], 0))
        elif push[j] > 0:
            steered[j] = max(z[j], peak[j] * min(push[j], 1))
    return steered


def interpolate(probe, pre, z, push, scale, peak):
    mass = z.sum()
    kept = z * (1 - np.minimum(np.maximum(-push, 0), 1))
    kept *= mass / kept.sum() if kept.sum() else 0
    raised = np.maximum(push, 0)
    share = raised.sum()
    raised = raised / max(share, 1)
    return (1 - min(share, 1)) * kept + mass * raised


def multiply(probe, pre, z, push, scale, peak):
    return z * np.maximum(1 + push, 0)


def hold(probe, pre, z, push, scale, peak):
    return np.where(push != 0, np.maximum(push * peak, 0), z)


#: One row each: pre-activations, activations, and what the knob does to every neuron.
RULES = {
    rule.__name__: rule
    for rule in (shift, add, scale, clamp, interpolate, multiply, hold)
}


def moved(probe, X, push, scales, peaks, rule, reconstruction, factors=None):
    """Return steered rows; of a probe that is not refined."""
    X, pre = as_float64(X), pre_activations(probe, X)
    Z = activations(probe, pre)
    factors = np.ones(len(X)) if factors is None else as_float64(factors)
    steered = np.array(
        [
            RULES[rule](probe, p, z, f * push, scales, peaks)
            for p, z, f in zip(pre, Z, factors, strict=True)
        ]
    )
    if reconstruction == "replace":
        return decoded(probe, steered)
    return X + (steered - Z) @ as_float64(probe.decoder_weights_)


def top_items(scores, k):
    """Return the positions of the k highest scores of a row by Python's own sort."""
    order = sorted(range(len(scores)), key=lambda item: (-scores[item], item))
    return [item for item in order[:k] if scores[item] > -math.inf]


def cohens_d(Z, y):
    """Return the effect size and Welch's t of every column, without rounding sums."""
    found = []
    for column in as_float64(Z).T.tolist():
        groups = [
            [v for v, g in zip(column, y, strict=True) if g == s] for s in (1, -1)
        ]
        means = [math.fsum(group) / len(group) for group in groups]
        variances = [
            math.fsum((v - m) ** 2 for v in group) / len(group)
            for group, m in zip(groups, means, strict=True)
        ]
        n_rows = [len(group) for group in groups]
        pooled = math.fsum(n * v for n, v in zip(n_rows, variances, strict=True))
        pooled = math.sqrt(pooled / sum(n_rows))
        error = math.sqrt(
            math.fsum(v / (n - 1) for n, v in zip(n_rows, variances, strict=True))
        )
        gap = means[0] - means[1]
        found.append((gap / pooled if pooled else 0.0, gap / error if error else 0.0))
    return tuple(map(np.array, zip(*found, strict=True)))


def clear_choice(probe, P, tolerance):
    """Mark the rows whose choice of neurons no rounding of that size can change."""
    P = as_float64(P)
    room = 2 * tolerance * np.abs(P).max(axis=1)
    if probe.threshold_ is None:
        kept = -np.sort(-P, axis=1)[:, : probe.k + 1]
        # Neither the last one kept and the first one left, nor any of them and 0.
        return (kept[:, -2] - kept[:, -1] > room) & (np.abs(kept).min(axis=1) > room)
    border = np.maximum(as_float64(probe.threshold_), 0)
    return (np.abs(P - border) > room[:, None]).all(axis=1)
