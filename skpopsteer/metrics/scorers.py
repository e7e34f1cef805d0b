"""Metrics as scorers: what a search of scikit-learn can maximise."""

import math
from collections.abc import Iterable

from skpopsteer.metrics import accuracy, calibration, exposure, fairness, tail
from skpopsteer.metrics._lists import check_count
from skpopsteer.metrics._scorer import RecommenderScorer

__all__ = [
    "RecommenderScorer",
    "get_scorer",
    "get_scorer_names",
    "make_recommender_scorer",
]

SCORES = {
    "ndcg": accuracy.ndcg,
    "recall": accuracy.recall,
    "precision": accuracy.precision,
    "hit_rate": accuracy.hit_rate,
    "mrr": accuracy.mrr,
    "map": accuracy.mean_average_precision,
    "coverage": exposure.coverage,
    "entropy": exposure.entropy,
    "novelty": exposure.novelty,
    "tail_coverage": tail.tail_coverage,
    "tail_share": tail.tail_share,
    "average_tail_items": tail.average_tail_items,
}
#: Lower is better: a search maximises their negative, whose name says so.
LOSSES = {
    "gini": exposure.gini,
    "average_popularity": exposure.average_popularity,
    "popularity_lift": calibration.popularity_lift,
    "popreo": fairness.popreo,
    "poprsp": fairness.poprsp,
    "user_popularity_deviation": calibration.user_popularity_deviation,
}
#: Where a metric can lie; all others lie in [0, 1].
_BOUNDS = {
    exposure.entropy: (0.0, math.inf),
    exposure.novelty: (0.0, math.inf),
    exposure.average_popularity: (0.0, math.inf),
    calibration.popularity_lift: (-1.0, math.inf),
    tail.average_tail_items: (0.0, math.inf),
    fairness.popreo: (0.0, math.sqrt(2)),
    fairness.poprsp: (0.0, math.sqrt(2)),
}
_UNBOUNDED = (-math.inf, math.inf)
#: Names RecBole and Elliot use for the same measures.
ALIASES = {
    "hit": "hit_rate",
    "itemcoverage": "coverage",
    "shannonentropy": "entropy",
    "tailpercentage": "tail_share",
    "aplt": "tail_share",
    "aclt": "average_tail_items",
    "giniindex": "gini",
    "averagepopularity": "average_popularity",
    "arp": "average_popularity",
    "upd": "user_popularity_deviation",
}


def make_recommender_scorer(function, *, k=None, greater_is_better=True, groups=None):
    """Turn a metric into a scorer.

    Parameters
    ----------
    function : callable
        A metric of this package or your own. It gets by name whichever of these its
        parameters ask for: `recommendations`, `y`, `X`, `n_items`, `n_users`,
        `item_popularity`, `item_groups`, and `k`.
    k : int, default=None
        Length of the lists; None takes the estimator's own.
    greater_is_better : bool, default=True
        False gives the negative, so that a search lowers the metric.
    groups : PopularityGroups, default=None
        What counts as head and tail; None takes the estimator's own.

    Returns
    -------
    RecommenderScorer
        ``scorer(estimator, X, y)`` returns a float.

    Examples
    --------
    >>> from skpopsteer.metrics import make_recommender_scorer
    >>> def first_items(recommendations, n_items):
    ...     return len(set(recommendations[:, 0].tolist())) / n_items
    >>> make_recommender_scorer(first_items, k=1)
    get_scorer('first_items@1')
    """
    if not callable(function):
        raise TypeError(
            f"`function` must be a metric, a callable; got {function!r}. "
            "get_scorer takes names."
        )
    if k is not None:
        k = check_count("k", k, "Leave it out for the estimator's own length.")
    name = getattr(function, "__name__", type(function).__name__)
    name = ("" if greater_is_better else "neg_") + name + ("" if k is None else f"@{k}")
    sign = 1 if greater_is_better else -1
    return RecommenderScorer({name: (function, sign, k)}, single=True, groups=groups)


def get_scorer(scoring, *, groups=None):
    """Get the scorer of a name, or one scorer of several names.

    Parameters
    ----------
    scoring : str or list of str
        A name of :func:`get_scorer_names`, or a name RecBole or Elliot uses for it
        (``"giniindex"``, ``"aplt"``, ...), with the length of the lists behind an
        ``@``: ``"ndcg@10"``. Without a length, the estimator's own. Losses begin with
        ``"neg_"``.
    groups : PopularityGroups, default=None
        What counts as head and tail; None takes the estimator's own.

    Returns
    -------
    RecommenderScorer
        ``scorer(estimator, X, y)`` returns a float, or for a list a dict of floats, for
        which the lists are made once.

    Raises
    ------
    ValueError
        For a name that does not exist; the message lists those that do.

    Examples
    --------
    >>> from sklearn.decomposition import TruncatedSVD
    >>> from skpopsteer.adapters import as_recommender
    >>> from skpopsteer.datasets import make_interactions
    >>> from skpopsteer.metrics import get_scorer
    >>> from skpopsteer.model_selection import hide_interactions
    >>> data = make_interactions(200, 100, random_state=0)
    >>> X, y = hide_interactions(data.X, random_state=0)
    >>> host = as_recommender(TruncatedSVD(8, random_state=0).fit(X))
    >>> sorted(get_scorer(["ndcg@5", "neg_gini@10"])(host, X, y))
    ['ndcg@5', 'neg_gini@10']
    """
    if isinstance(scoring, str):
        return RecommenderScorer({scoring: _parse(scoring)}, single=True, groups=groups)
    if not _can_be_listed(scoring) or not (names := list(scoring)):
        raise ValueError(
            f"`scoring` must be a name or a list of names; got {scoring!r}. "
            'Write "ndcg@10", or a list of such names.'
        )
    return RecommenderScorer({name: _parse(name) for name in names}, groups=groups)


def _can_be_listed(scoring):
    # An array without dimensions has an iterator, which raises.
    return isinstance(scoring, Iterable) and getattr(scoring, "ndim", 1) > 0


def score_bounds(function, sign):
    """Return the lowest and the highest value a score can have.

    Parameters
    ----------
    function : callable
        A metric.
    sign : {1, -1}
        -1 for a loss, whose negative is the score.

    Returns
    -------
    low, high : float
        Infinite where there is no bound, and for functions of the caller's own.
    """
    known = function in (*SCORES.values(), *LOSSES.values())
    low, high = _BOUNDS.get(function, (0.0, 1.0) if known else _UNBOUNDED)
    # No -0, which would be printed.
    return (low, high) if sign > 0 else (-high, -low + 0.0)


def get_scorer_names():
    """List the names that :func:`get_scorer` takes, without a length.

    Returns
    -------
    list of str

    Examples
    --------
    >>> from skpopsteer.metrics import get_scorer_names
    >>> "tail_share" in get_scorer_names(), "neg_gini" in get_scorer_names()
    (True, True)
    """
    return sorted([*SCORES, *(f"neg_{name}" for name in LOSSES)])


def _parse(scoring):
    """Turn a name into (function, sign, k)."""
    base, _, length = str(scoring).lower().partition("@")
    negative = base.startswith("neg_")
    name = base.removeprefix("neg_")
    name = ALIASES.get(name, name)
    if name in LOSSES and not negative:
        raise ValueError(
            f"`scoring` must be something to maximise; got {scoring!r}, a loss. "
            f"Write 'neg_{scoring}'."
        )
    if name not in (LOSSES if negative else SCORES):
        raise ValueError(
            f"`scoring` must be one of {', '.join(get_scorer_names())}; got "
            f"{scoring!r}. Add the length as in 'ndcg@10'."
        )
    if "@" in str(scoring) and (not length.isdecimal() or int(length) < 1):
        raise ValueError(
            f"`scoring` must have a length >= 1 behind the @; got {scoring!r}. "
            "Write 'ndcg@10'."
        )
    function = LOSSES[name] if negative else SCORES[name]
    return function, -1 if negative else 1, int(length) if length else None
