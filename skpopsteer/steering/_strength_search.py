"""Find the strength that does best at one score while another stays above a floor."""

from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
from sklearn.utils import Bunch

from skpopsteer._validation import as_array
from skpopsteer.metrics import get_scorer
from skpopsteer.metrics.scorers import score_bounds

__all__ = ["Curve", "Goal", "Search", "find_strength", "make_search", "one_metric"]

#: Doublings of the first strength that are tried at once, and when that is not enough.
_COARSE = range(-4, 7)
_FURTHER = range(7, 13)
#: How far above the floor a constraint just meets it, and the share of the objective
#: that is not worth going further.
_JUST, _TRIFLE = 0.005, 0.005
#: Halvings of an interval, which cuts it to a millionth.
_MAX_HALVINGS = 20
#: Rounds of looking left and right of the best strength.
_ROUNDS = 3


@dataclass(frozen=True)
class Goal:
    """What to maximise, and what to keep above a floor; both are to be maximised.

    Attributes
    ----------
    objective, constraint : RecommenderScorer
        Each of a single metric.
    """

    objective: Any
    constraint: Any

    def length(self, model):
        """Return how long lists must be for both."""
        return max(self.objective.length(model), self.constraint.length(model))

    def scores(self, model, X, y, lists):
        """Return the objective and the constraint of some lists."""
        return tuple(
            next(iter(scorer.score_lists(model, X, y, lists).values()))
            for scorer in (self.objective, self.constraint)
        )


@dataclass(frozen=True)
class Search:
    """How the strength of a fitted model is searched.

    Attributes
    ----------
    goal : Goal
    target, within : float or None
        One of the two.
    strengths : list of float or None
    tol : float
    """

    goal: Goal
    target: float | None
    within: float | None
    strengths: list | None
    tol: float

    def floor(self, model, users):
        """Return the least constraint these users must get."""
        if self.within is None:
            return float(self.target)
        lists = model.recommender_.recommend(
            users.X, self.goal.length(model), user_ids=users.user_ids
        )
        own = self.goal.scores(model, users.X, users.y, lists)[1]
        return own - self.within * abs(own)


@dataclass
class Curve:
    """Scores of a fitted model at any strength; each strength is measured once.

    Attributes
    ----------
    model : fitted recommender with a strength
    X, y, user_ids
        As for a scorer.
    goal : Goal
    points : dict of float to tuple of float
        (objective, constraint) by strength.
    """

    model: Any
    X: Any
    y: Any
    goal: Goal
    user_ids: Any = None
    points: dict = field(default_factory=dict)

    def __post_init__(self):
        """Encode the rows, once for all strengths."""
        self._lists_at = self.model._lister(
            self.X, self.goal.length(self.model), self.user_ids
        )

    def lists(self, strength):
        """Return the lists at a strength."""
        return self._lists_at(strength)

    def measure(self, strength):
        """Return the objective and the constraint at a strength."""
        strength = float(strength)
        if strength not in self.points:
            lists = self.lists(strength)
            self.points[strength] = self.goal.scores(self.model, self.X, self.y, lists)
        return self.points[strength]

    def strengths(self):
        """Return the strengths measured so far, ascending."""
        return sorted(self.points)

    def shortfall(self, strength, floor):
        """Return how far the constraint stays below the floor, 0 where it does not."""
        constraint = self.measure(strength)[1]
        return np.inf if np.isnan(constraint) else max(floor - constraint, 0.0)

    def path(self):
        """Return all that was measured, by ascending strength."""
        strengths = self.strengths()
        objective, constraint = np.array([self.points[s] for s in strengths]).T
        return Bunch(
            strengths=np.array(strengths), objective=objective, constraint=constraint
        )

    def best(self, floor):
        """Return the best strength measured; if none reaches the floor, the nearest.

        Of equals the one that turns the knob least. What is no better than a strength
        that just meets the floor, but for a trifle, would overshoot for nothing.
        """
        best = min(self.points, key=lambda s: self._rank(s, floor))
        just = [s for s, (_, c) in self.points.items() if 0 <= c - floor <= _JUST]
        if not just:
            return best
        nearest = min(just, key=lambda s: self._rank(s, floor))
        gain = self.points[best][0] - self.points[nearest][0]
        return nearest if gain <= _TRIFLE * abs(self.points[best][0]) else best

    def _rank(self, strength, floor):
        objective = self.points[strength][0]
        objective = -np.inf if np.isnan(objective) else objective
        return self.shortfall(strength, floor), -objective, abs(strength)


def find_strength(curve, floor, strengths, tol):
    """Search the strengths, coarsely and then finely where it matters.

    Parameters
    ----------
    curve : Curve
        Keeps what was measured.
    floor : float
        Least constraint.
    strengths : list of float or None
        Where to look first; the search stays between the lowest and the highest. None
        tries 0 and powers of two times the model's own strength.
    tol : float
        How far above the floor the constraint may stay.

    Returns
    -------
    strength : float
    reached : bool
        Whether the constraint there is at least the floor.
    """
    if strengths is None:
        _try_powers(curve, floor)
    else:
        for strength in strengths:
            curve.measure(strength)
    known = curve.strengths()
    for low, high in pairwise(known):
        ends_reach = [curve.shortfall(end, floor) == 0 for end in (low, high)]
        if any(ends_reach) and not all(ends_reach):
            _bisect(curve, floor, low, high, tol)
    _look_around(curve, floor)
    best = curve.best(floor)
    return best, curve.shortfall(best, floor) == 0


def _try_powers(curve, floor):
    unit = abs(curve.model.strength) or 1.0
    for strength in (0.0, *(unit * 2.0**power for power in _COARSE)):
        curve.measure(strength)
    for power in _FURTHER:
        if curve.shortfall(curve.best(floor), floor) == 0:
            return
        curve.measure(unit * 2.0**power)


def _bisect(curve, floor, low, high, tol):
    """Close in on the point between two strengths where the floor is met."""
    inside, outside = low, high
    if curve.shortfall(low, floor) > 0:
        inside, outside = high, low
    for _ in range(_MAX_HALVINGS):
        if curve.measure(inside)[1] - floor <= tol:
            return
        middle = (inside + outside) / 2
        if curve.shortfall(middle, floor) > 0:
            outside = middle
        else:
            inside = middle


def _look_around(curve, floor):
    """Halve the intervals left and right of the best strength, a few times."""
    for _ in range(_ROUNDS):
        known = curve.strengths()
        place = known.index(curve.best(floor))
        for neighbour in known[max(place - 1, 0) : place + 2]:
            curve.measure((known[place] + neighbour) / 2)


def make_search(objective, constraint, target, within, strengths, tol):
    """Check what the caller asks for, before anything is fitted."""
    if (target is None) == (within is None):
        raise ValueError(
            "`target` or `within` must be given, one of them; got "
            f"{'neither' if target is None else 'both'}. target=0.3 is a tail share; "
            "within=0.03 keeps 97 % of a score."
        )
    goal = Goal(one_metric(objective), one_metric(constraint))
    if target is not None:
        _check_target(target, goal.constraint)
    if strengths is not None:
        values = as_array("strengths", strengths).ravel()
        numbers = values.dtype.kind in "biuf"
        if not len(values) or not numbers or not np.isfinite(values).all():
            raise ValueError(
                f"`strengths` must hold finite numbers; got {strengths!r}. "
                "None chooses them."
            )
        strengths = np.unique(values.astype(np.float64)).tolist()
    return Search(goal, target, within, strengths, tol)


def one_metric(scoring):
    """Return the scorer of a name or a scorer, if it is of one metric."""
    scorer = get_scorer(scoring) if isinstance(scoring, str) else scoring
    if len(scorer.metrics) != 1:
        raise ValueError(
            "`objective` and `constraint` must be scorers of one metric each; got "
            f"{scorer!r}. Choose one of its names."
        )
    return scorer


def _check_target(target, constraint):
    ((name, (function, sign, _)),) = constraint.metrics.items()
    low, high = score_bounds(function, sign)
    if not low <= target <= high:
        raise ValueError(
            f"`target` must lie in [{low:g}, {high:g}], where {name} does; got "
            f"{target:g}. Write 30 % as 0.3, and the target of a loss as a negative."
        )
