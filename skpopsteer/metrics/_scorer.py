"""One callable for a search: the lists are made once, and every metric reads them."""

from numbers import Integral

import numpy as np
from sklearn.utils import check_random_state
from sklearn.utils.metadata_routing import MetadataRequest

from skpopsteer._validation import (
    as_interactions,
    check_per_item,
    check_popularity,
)
from skpopsteer.metrics._arguments import call_arguments, parameters
from skpopsteer.metrics._bootstrap import bootstrap_metric, check_n_boot
from skpopsteer.metrics._lists import check_lists, check_split
from skpopsteer.popularity import PopularityGroups, item_popularity

__all__ = ["RecommenderScorer"]


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
        if groups is not None and not isinstance(groups, PopularityGroups):
            raise TypeError(
                f"`groups` must be PopularityGroups or None; got {groups!r}. "
                "Pass labels of items to the scorer: item_groups=..."
            )
        self.metrics = metrics
        self.single = single
        self.groups = groups

    def __call__(
        self,
        estimator,
        X,
        y=None,
        user_ids=None,
        item_popularity=None,
        item_groups=None,
    ):
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
        item_popularity, item_groups : array-like of shape (n_items,) or (1, n_items), \
default=None
            Used instead of the estimator's own.

        Returns
        -------
        float or dict of str to float
            Higher is better: losses come with a minus sign.
        """
        # Ours may know the embeddings of these rows from the last candidate.
        make = getattr(estimator, "_lists_to_score", estimator.recommend)
        lists = make(X, self.length(estimator), user_ids=user_ids)
        scores = self.score_lists(
            estimator,
            X,
            y,
            lists,
            item_popularity=item_popularity,
            item_groups=item_groups,
        )
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

    def score_lists(
        self, estimator, X, y, lists, *, item_popularity=None, item_groups=None
    ):
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
        item_popularity, item_groups : see :meth:`__call__`
            As there.

        Returns
        -------
        dict of str to float
        """
        calls = self._calls(estimator, X, y, lists, item_popularity, item_groups)
        return {
            name: sign * function(**arguments)
            for name, sign, function, arguments in calls
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
        n_boot = check_n_boot(n_boot)
        if not isinstance(random_state, Integral):
            # One int, so that all metrics are measured on the same users.
            random_state = check_random_state(random_state).randint(2**31 - 1)
        return {
            name: sign
            * bootstrap_metric(function, arguments, n_boot=n_boot, seed=random_state)
            for name, sign, function, arguments in self._calls(estimator, X, y, lists)
        }

    def __repr__(self):
        names = list(self.metrics)
        return f"get_scorer({names[0]!r})" if self.single else f"get_scorer({names})"

    def get_metadata_routing(self):
        """Ask searches for all that ``__call__`` takes, where routing is enabled.

        Returns
        -------
        MetadataRequest
        """
        request = MetadataRequest(owner=self)
        for name in ("user_ids", "item_popularity", "item_groups"):
            request.score.add_request(param=name, alias=True)
        return request

    def _calls(self, estimator, X, y, lists, popularity=None, groups=None):
        """Yield the name, the sign, the function and the arguments of every metric."""
        known = self._context(estimator, X, y, lists, popularity, groups)
        own = estimator.n_recommendations
        for name, (function, sign, k) in self.metrics.items():
            arguments = call_arguments(function, known, own if k is None else k)
            yield name, sign, function, arguments

    def _context(self, estimator, X, y, lists, popularity, groups):
        """Gather what the metrics ask for by name, and no more."""
        X, lists = as_interactions("X", X), check_lists(lists, None)
        wanted = set().union(*(parameters(f) for f, _, _ in self.metrics.values()))
        known = {"X": X, "recommendations": lists, "n_items": X.shape[1]}
        if "y" in wanted:
            known["y"] = check_split(X, y, lists)
        if wanted & {"item_popularity", "n_users", "item_groups"}:
            popularity, known["n_users"] = _popularity(estimator, X, popularity)
            known["item_popularity"] = popularity
        if "item_groups" in wanted:
            known["item_groups"] = self._groups(estimator, popularity, groups)
        return known

    def _groups(self, estimator, popularity, given):
        if given is not None:
            return check_per_item("item_groups", given, len(popularity))
        own = getattr(estimator, "item_groups_", None)
        if own is None or self.groups is not None:
            return (self.groups or PopularityGroups()).label(popularity)
        return own


def _popularity(estimator, X, given):
    """Return interactions per item, and the users they were counted over."""
    if given is not None:
        given = check_per_item("item_popularity", given, X.shape[1])
        given = check_popularity("item_popularity", given)
        # As many users as the most popular item asks for: nobody says how many.
        return given, max(X.shape[0], int(np.ceil(given.max())))
    own = getattr(estimator, "item_popularity_", None)
    if own is None:
        return item_popularity(X), X.shape[0]
    return own, getattr(estimator, "n_users_", X.shape[0])
