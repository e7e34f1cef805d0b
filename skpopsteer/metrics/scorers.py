"""Metrics as scorers: what a search of scikit-learn can maximise."""

import math
from collections.abc import Iterable
from numbers import Integral

from sklearn.utils import check_random_state
from sklearn.utils.metadata_routing import MetadataRequest

from skpopsteer._validation import as_interactions
from skpopsteer.metrics import accuracy, calibration, exposure, fairness, tail
from skpopsteer.metrics._bootstrap import bootstrap_metric, call_arguments, parameters
from skpopsteer.metrics._lists import check_split
from skpopsteer.popularity import PopularityGroups, item_popularity

__all__ = [
    "RecommenderScorer",
    "get_scorer",
    "get_scorer_names",
    "make_recommender_scorer",
]

_SCORES = {
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
_LOSSES = {
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
_ALIASES = {
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


class RecommenderScorer:
    """Score a recommender by one metric, or by several of the same lists.

    Made by :func:`get_scorer` and :func:`make_recommender_scorer`; call it as
    ``scorer(estimator, X, y)``.

    Parameters
    ----------
    metrics : dict of str to tuple
        Name to ``(function, sign, k)``; `k` None means the estimator's own length.
    single : bool, default=False
        Return the one value instead of a dict.
    groups : PopularityGroups, default=None
        What counts as head and tail; None takes the estimator's own, where it has been
        fitted with some, or ``PopularityGroups()``.

    Notes
    -----
    Lists are made once, as long as the longest metric needs. Popularity and groups are
    those the estimator was fitted with, if it has `item_popularity_` and
    `item_groups_`; else they are counted from the `X` that is scored.

    Examples
    --------
    >>> from skpopsteer.metrics import get_scorer
    >>> get_scorer(["ndcg@10", "neg_gini@10"])
    get_scorer(['ndcg@10', 'neg_gini@10'])
    """

    def __init__(self, metrics, *, single=False, groups=None):
        self.metrics = metrics
        self.single = single
        self.groups = groups

    def __call__(self, estimator, X, y=None, user_ids=None):
        """Score a fitted recommender.

        Parameters
        ----------
        estimator : fitted recommender
        X : array-like or sparse of shape (n_users, n_items)
            Interactions the recommender sees.
        y : sparse of shape (n_users, n_items), array-like of shape (n_users,) or \
HeldOut, default=None
            Held-out interactions; None where no metric reads them.
        user_ids : array-like of shape (n_users,), default=None
            Positions of trained users.

        Returns
        -------
        float or dict of str to float
            Higher is better: losses come with a minus sign.
        """
        # Ours may know the embeddings of these rows from the last candidate.
        make = getattr(estimator, "_lists_to_score", estimator.recommend)
        lists = make(X, self.length(estimator), user_ids=user_ids)
        scores = self.score_lists(estimator, X, y, lists)
        return next(iter(scores.values())) if self.single else scores

    def length(self, estimator):
        """Return how long the lists must be for every metric.

        Parameters
        ----------
        estimator : recommender
            Whose own length counts for metrics without one.

        Returns
        -------
        int
        """
        own = estimator.n_recommendations
        return max(own if k is None else k for _, _, k in self.metrics.values())

    def bounds(self, name):
        """Return the lowest and the highest value a score can have.

        Parameters
        ----------
        name : str
            One of the names this scorer was made of.

        Returns
        -------
        low, high : float
            Infinite where there is no bound, and for functions of your own.
        """
        function, sign, _ = self.metrics[name]
        known = function in (*_SCORES.values(), *_LOSSES.values())
        low, high = _BOUNDS.get(function, (0.0, 1.0) if known else _UNBOUNDED)
        # No -0, which would be printed.
        return (low, high) if sign > 0 else (-high, -low + 0.0)

    def score_lists(self, estimator, X, y, lists):
        """Score lists that have been made already.

        Parameters
        ----------
        estimator : fitted recommender
            Whose popularity, groups and length of lists count.
        X : array-like or sparse of shape (n_users, n_items)
            Interactions the recommender saw.
        y : sparse of shape (n_users, n_items), array-like of shape (n_users,) or \
HeldOut
            Held-out interactions.
        lists : ndarray of shape (n_users, n), dtype int64
            At least as long as :meth:`length` says.

        Returns
        -------
        dict of str to float
        """
        return {
            name: sign * function(**arguments)
            for name, sign, function, arguments in self._calls(estimator, X, y, lists)
        }

    def bootstrap_lists(
        self, estimator, X, y, lists, *, n_boot=1000, random_state=None
    ):
        """Score draws of the users with replacement, for intervals and paired tests.

        Parameters
        ----------
        estimator, X, y, lists : see :meth:`score_lists`
            As there.
        n_boot : int, default=1000
            Number of draws.
        random_state : int, RandomState instance or None, default=None
            The same int draws the same users for every metric and every recommender,
            so that differences are paired.

        Returns
        -------
        dict of str to ndarray of shape (n_boot,)
            Higher is better.
        """
        if not isinstance(random_state, Integral):
            # One int, so that all metrics are measured on the same users.
            random_state = check_random_state(random_state).randint(2**31 - 1)
        return {
            name: sign
            * bootstrap_metric(
                function, arguments, n_boot=n_boot, random_state=random_state
            )
            for name, sign, function, arguments in self._calls(estimator, X, y, lists)
        }

    def __repr__(self):
        names = list(self.metrics)
        return f"get_scorer({names[0]!r})" if self.single else f"get_scorer({names})"

    def get_metadata_routing(self):
        """Ask searches for `user_ids`, where metadata routing is enabled.

        Returns
        -------
        MetadataRequest
        """
        request = MetadataRequest(owner=self)
        request.score.add_request(param="user_ids", alias=True)
        return request

    def _calls(self, estimator, X, y, lists):
        """Yield the name, the sign, the function and the arguments of every metric."""
        known = self._context(estimator, X, y, lists)
        own = estimator.n_recommendations
        for name, (function, sign, k) in self.metrics.items():
            arguments = call_arguments(function, known, own if k is None else k)
            yield name, sign, function, arguments

    def _context(self, estimator, X, y, lists):
        """Gather what the metrics ask for by name, and no more."""
        X = as_interactions("X", X)
        wanted = set().union(*(parameters(f) for f, _, _ in self.metrics.values()))
        known = {"X": X, "recommendations": lists, "n_items": X.shape[1]}
        if "y" in wanted:
            known["y"] = check_split(X, y, lists)
        if wanted & {"item_popularity", "n_users", "item_groups"}:
            popularity = getattr(estimator, "item_popularity_", None)
            known["n_users"] = getattr(estimator, "n_users_", X.shape[0])
            if popularity is None:
                popularity, known["n_users"] = item_popularity(X), X.shape[0]
            known["item_popularity"] = popularity
        if "item_groups" in wanted:
            groups = getattr(estimator, "item_groups_", None)
            if groups is None or self.groups is not None:
                groups = (self.groups or PopularityGroups()).label(popularity)
            known["item_groups"] = groups
        return known


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
    if not isinstance(scoring, Iterable) or not (names := list(scoring)):
        raise ValueError(
            f"`scoring` must be a name or a list of names; got {scoring!r}. "
            'Write "ndcg@10", or a list of such names.'
        )
    return RecommenderScorer({name: _parse(name) for name in names}, groups=groups)


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
    return sorted([*_SCORES, *(f"neg_{name}" for name in _LOSSES)])


def _parse(scoring):
    """Turn a name into (function, sign, k)."""
    base, _, length = str(scoring).lower().partition("@")
    negative = base.startswith("neg_")
    name = base.removeprefix("neg_")
    name = _ALIASES.get(name, name)
    if name in _LOSSES and not negative:
        raise ValueError(
            f"`scoring` must be something to maximise; got {scoring!r}, a loss. "
            f"Write 'neg_{scoring}'."
        )
    if name not in (_LOSSES if negative else _SCORES):
        raise ValueError(
            f"`scoring` must be one of {', '.join(get_scorer_names())}; got "
            f"{scoring!r}. Add the length as in 'ndcg@10'."
        )
    if "@" in str(scoring) and (not length.isdecimal() or int(length) < 1):
        raise ValueError(
            f"`scoring` must have a length >= 1 behind the @; got {scoring!r}. "
            "Write 'ndcg@10'."
        )
    function = _LOSSES[name] if negative else _SCORES[name]
    return function, -1 if negative else 1, int(length) if length else None
