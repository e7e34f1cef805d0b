"""How much tail every lever of popularity can bring, and at what cost."""

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np

from skpopsteer import metrics
from skpopsteer.inspection._audit_channels import BIAS, DIRECTION, LENGTH, NEURONS
from skpopsteer.inspection._equal_gain import overlaps
from skpopsteer.rerankers import (
    ItemBiasReranker,
    NormTemperingReranker,
    PopularityPenaltyReranker,
    SpreadTemperingReranker,
)
from skpopsteer.steering import GradientPopularityAdjuster

__all__ = [
    "N_YARDSTICKS",
    "Judge",
    "Lever",
    "Reach",
    "fit_levers",
    "mean_direction",
    "search_lever",
]

#: Of the levers, the last ones.
N_YARDSTICKS = 2
#: Doublings of a lever's unit: where a walk begins, the least it tries, for lists may
#: change long before the first item of the tail comes in, and where it ends.
_FIRST, _LEAST, _LAST = -4, 4, 14
#: Doublings inward, where the first strength loses too much already.
_INWARD = 20
#: A rise of the tail share that is none, and how many in a row end a walk.
_TRIFLE, _IDLE = 0.002, 3
#: Steps that close in on a level, and how far above it is close enough.
_STEPS, _CLOSE = 5, 0.001
#: A mean of vectors of length 1 that is shorter is made of rounding.
_ROUNDING = 1e-6


@dataclass(frozen=True)
class Reach:
    """The most tail that a lever brings while it keeps a level.

    Attributes
    ----------
    lever : str
        Name of the class.
    channel : str or None
        What it turns; None for a yardstick.
    level : float or None
        Share to be kept; None is any cost.
    strength, tail_share, kept : float
        Where that is; NaN where no strength keeps the level.
    """

    lever: str
    channel: str | None
    level: float | None
    strength: float
    tail_share: float
    kept: float


@dataclass
class Lever:
    """A model whose strength turns a channel, and what was measured of it.

    Attributes
    ----------
    channel : str or None
        None for a yardstick.
    model : fitted recommender with a strength
    unit : float
        The strength that the search starts from.
    points : dict of float to tuple of float
        (tail share, share kept) by strength.
    """

    channel: str | None
    model: Any
    unit: float = 1.0
    points: dict = field(default_factory=dict)

    @property
    def name(self):
        """Name of the class."""
        return type(self.model).__name__

    def best(self, level=None):
        """Return the most tail among what was measured, of equals the least turned."""
        able = [
            (tail, -abs(strength), strength, kept)
            for strength, (tail, kept) in self.points.items()
            if level is None or kept >= level
        ]
        tail, _, strength, kept = max(able) if able else (np.nan,) * 4
        return Reach(self.name, self.channel, level, strength, tail, kept)


@dataclass
class Judge:
    """Measure lists by the tail they hold and by what they keep of the host's.

    Attributes
    ----------
    X : csr_array of shape (n_users, n_items)
    user_ids : ndarray of shape (n_users,) or None
    y : csr_array, ndarray or None
        Held-out items; without them what is kept are the host's own items.
    own : ndarray of shape (n_users, k)
        Lists of the host.
    labels : ndarray of shape (n_items,)
        Popularity groups.
    accuracy : float or None
        NDCG of `own`, where there are held-out items.
    tail_share : float
        Of `own`.
    """

    X: Any
    user_ids: Any
    y: Any
    own: np.ndarray
    labels: np.ndarray
    accuracy: float | None = None
    tail_share: float = 0.0

    def __post_init__(self):
        """Judge the host's own lists."""
        self.tail_share = float(metrics.tail_share(self.own, self.labels))
        if self.y is not None:
            self.accuracy = float(metrics.ndcg(self.y, self.own))

    def __call__(self, lists):
        """Return the tail share, and the share of the NDCG or of the lists kept."""
        tail = float(metrics.tail_share(lists, self.labels))
        if self.y is None:
            return tail, float(np.nanmean(overlaps(self.own, lists)))
        return tail, float(metrics.ndcg(self.y, lists)) / self.accuracy

    def lister(self, model) -> Callable:
        """Return a function from strengths of a model to lists."""
        return model._lister(self.X, self.own.shape[1], self.user_ids)


def fit_levers(host, X, user_ids, item_popularity, *, pool_size, n_recommendations):
    """Fit the levers of a host, on rows that stand for its users.

    Parameters
    ----------
    host : fitted recommender, frozen
    X : csr_array of shape (n_users, n_items)
    user_ids : ndarray of shape (n_users,) or None
    item_popularity : ndarray of shape (n_items,)
    pool_size : int or None
        Of the rerankers.
    n_recommendations : int

    Returns
    -------
    list of Lever
        Those of the channels, then the yardsticks; without levers the host has no
        channel for.
    """
    pooled = {"pool_size": pool_size, "n_recommendations": n_recommendations}
    wanted = [
        (None, PopularityPenaltyReranker(host, **pooled)),
        (None, SpreadTemperingReranker(host, **pooled)),
    ]
    given = {"user_ids": user_ids, "item_popularity": item_popularity}
    if host.has_nonlinear_decode:
        return [Lever(channel, model.fit(X, **given)) for channel, model in wanted]
    own = [(LENGTH, NormTemperingReranker(host, **pooled))]
    if host.item_bias_ is not None:
        own.insert(0, (BIAS, ItemBiasReranker(host, **pooled)))
    levers = [Lever(channel, model.fit(X, **given)) for channel, model in own + wanted]
    direction = mean_direction(host, X, user_ids)
    if direction is not None:
        adjuster = GradientPopularityAdjuster(
            host, direction="recorded", n_recommendations=n_recommendations
        ).fit(X, gradients=-direction, **given)
        levers.insert(len(own), Lever(DIRECTION, adjuster))
    return levers


def mean_direction(host, X, user_ids):
    """Return the direction of the mean of users of length 1.

    Parameters
    ----------
    host : fitted recommender
        Scores by inner products.
    X : csr_array of shape (n_users, n_items)
    user_ids : ndarray of shape (n_users,) or None

    Returns
    -------
    ndarray of shape (d,) or (d + 1,), or None
        Of length 1. The last entry, of the bias of a host that has one, is 0: the bias
        is another channel. None where users cancel out.
    """
    U = host.encode_users(X, user_ids).astype(np.float64)
    lengths = np.linalg.norm(U, axis=1, keepdims=True)
    mean = (U / np.where(lengths > 0, lengths, 1.0)).mean(axis=0)
    size = np.linalg.norm(mean)
    if not size > _ROUNDING:
        return None
    return np.pad(mean / size, (0, int(host.item_bias_ is not None)))


def search_lever(lever, judge, levels):
    """Measure a lever at strengths of both signs, closely where it meets a level.

    Parameters
    ----------
    lever : Lever
        Its `points` are filled.
    judge : Judge
    levels : tuple of float
        The highest first.

    Returns
    -------
    list of Reach
        One per level, and one at any cost.

    Notes
    -----
    The strength is doubled outward until more of it brings no more tail, and every
    interval in which a level is lost is cut. Where the tail share is no increasing
    function of the strength there may be more of it between.
    """
    lists_at = judge.lister(lever.model)

    def measure(strength):
        if strength not in lever.points:
            lever.points[strength] = judge(lists_at(strength))
        return lever.points[strength]

    if lever.channel not in (None, NEURONS):
        # All of the channel is out at 1: what lists are without it.
        measure(1.0)
    for sign in (1, -1):
        _walk(measure, sign * lever.unit, max(levels))
    for level in levels:
        for sign in (1, -1):
            _close_in(lever, measure, sign, level)
    return [lever.best(level) for level in (*levels, None)]


def _walk(measure, unit, level):
    """Double a strength until more of it brings no more tail."""
    best, idle = measure(0.0)[0], 0
    for power in range(_FIRST, _LAST + 1):
        tail, _ = measure(unit * 2.0**power)
        idle = 0 if tail > best + _TRIFLE else idle + 1
        best = max(best, tail)
        if tail >= 1 - _TRIFLE or (idle >= _IDLE and power >= _LEAST):
            break
    for power in range(_FIRST, _FIRST - _INWARD, -1):
        if measure(unit * 2.0**power)[1] >= level:
            return


def _close_in(lever, measure, sign, level):
    """Cut the intervals of one sign, from 0 outward, in which a level is lost."""
    strengths = sorted(s for s in lever.points if s * sign >= 0)[::sign]
    for inside, outside in pairwise(strengths):
        kept, lost = measure(inside)[1], measure(outside)[1]
        if not kept >= level > lost:
            continue
        if measure(outside)[0] <= lever.best(level).tail_share:
            continue
        for _ in range(_STEPS):
            if kept - level <= _CLOSE:
                break
            # Along the chord, but never so near to an end that nothing is cut off.
            share = np.clip((kept - level) / (kept - lost), 0.1, 0.9)
            middle = float(inside + share * (outside - inside))
            between = measure(middle)[1]
            if between >= level:
                inside, kept = middle, between
            else:
                outside, lost = middle, between
