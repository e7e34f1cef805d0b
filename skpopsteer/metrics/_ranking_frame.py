"""Any metric by group of users and group of items, with intervals."""

from typing import NamedTuple

import numpy as np

from skpopsteer.metrics._group_cells import GroupCells, percentile_interval
from skpopsteer.metrics._group_inputs import (
    check_numbers,
    fitted_params,
    name_metrics,
    read_data,
    read_item_groups,
    read_popularity,
    read_user_groups,
    seed_of,
    wants,
)
from skpopsteer.metrics._group_tables import (
    grid_html,
    grid_text,
    interval_lines,
    long_frame,
)
from skpopsteer.metrics._lists import check_count
from skpopsteer.metrics._paired_comparison import compare_cells
from skpopsteer.popularity import item_popularity as count_popularity

__all__ = ["GroupGap", "RankingFrame"]


class GroupGap(NamedTuple):
    """Largest difference between two groups of users, with its interval."""

    value: float
    low: float
    high: float
    highest: str
    lowest: str


class RankingFrame:
    r"""Metrics of recommendation lists by group of users and group of items.

    Tells who pays for a change of a recommender: the users of niche taste or those of
    blockbusters, the head of the catalogue or its tail. Two tables of the same users
    are told apart by :meth:`compare`.

    Parameters
    ----------
    metrics : str, callable, list of them, or dict of str to them
        Names are those of :func:`get_scorer`, but a loss has no ``neg_`` here
        (``"gini@10"``), and ``"slot_share"``: the share of the slots asked for that
        are filled, which by group of items is that group's exposure. A callable gets
        by name what its parameters ask for, as in :func:`make_recommender_scorer`; the
        values of a dict may also be pairs of a callable and a length of the lists.
    X : array-like or sparse of shape (n_users, n_items)
        Interactions the recommender saw.
    y : sparse of shape (n_users, n_items), array-like of shape (n_users,) or HeldOut
        Held-out interactions, disjoint from `X`; None where no metric reads them.
    recommendations : array-like of int, shape (n_users, n_recommendations)
        Item positions, best first; -1 pads short lists.
    item_popularity : array-like of shape (n_items,), default=None
        Interactions per item; None counts them in `X`.
    n_train_users : int, default=None
        Number of users behind `item_popularity`, for novelty; None is that of `X`.
    item_groups : PopularityGroups or array-like of shape (n_items,), default=None
        Labels 1 (head), 0 (mid) and -1 (tail), or a rule that makes them of
        `item_popularity`; None is ``PopularityGroups()``.
    user_groups : array-like of shape (n_users,), default=None
        Any labels; None is :func:`taste_groups` of `X`.
    n_boot : int, default=1000
        Draws of the users with replacement; 0 for no intervals.
    confidence : float, default=0.95
        Share in (0, 1) of the draws within an interval.
    random_state : int, RandomState instance or None, default=None
        Seed of the draws.

    Attributes
    ----------
    metrics, user_groups, item_groups : list of str
        Names along the axes; the first user group and item group is ``"all"``.
    values, low, high : ndarray of shape (n_metrics, n_user_groups, n_item_groups)
        The metric and its interval; NaN where it is undefined or has no meaning.
    n_users : ndarray of the same shape, dtype int64
        Users that count: for accuracy, those with held-out items of the group.
    group_sizes : dict of str to int
        Users of every group, with or without held-out items.
    convention : str
        In words, what head, tail, niche and the intervals are.

    Notes
    -----
    *Users.* The cell of a group of users is the metric of their rows alone: for Gini,
    coverage or entropy, of how often the items stand in *their* lists.

    *Items.* The cell of a group of items :math:`g` is the metric in the catalogue
    :math:`g`: columns of `X`, `y` and `item_popularity` outside :math:`g` are dropped,
    and slots :math:`L_{ur} \notin g` are empty but keep their rank. Hence

    - accuracy is judged on the held-out items :math:`y_u \cap g` only, with the same
      lists and ranks, e.g. :math:`\mathrm{Recall}_u = |L_u \cap y_u \cap g| /
      |y_u \cap g|`; users without any are left out;
    - slot share is :math:`|L_u \cap g| / k`; the groups of items sum to "all";
    - coverage is :math:`|\{i \in g : c_i > 0\}| / |g|`; Gini and entropy are those of
      the counts :math:`c_i, i \in g`;
    - average popularity and novelty are means over :math:`L_u \cap g`, popularity lift
      compares them with :math:`X_u \cap g`; users without such items are left out;
    - what asks for `item_groups` compares the groups with each other (tail share, tail
      coverage, PopREO, PopRSP, UPD, your own) and has no value within one: NaN.

    *Intervals.* Users are drawn from all users, and groups follow: a group's size is as
    random as its members are, all cells share the draws, so that gaps between groups
    and between recommenders are paired, and an interval for "all" holds the mix of the
    groups too, which draws within each group would take for known. Draws without a user
    who counts are left out. The ends are percentiles of the draws, for all but means
    shifted to have the value as their mean: a draw holds only 63 % of the users, hence
    fewer distinct items, and plain percentiles of coverage, Gini and entropy miss. In a
    simulation of 200 users, the share of 95 % intervals that held the expected value
    rose from 0 to .88 for coverage, from .01 to .88 for Gini and from .20 to .94 for
    entropy: still short, and so are those of groups of fewer than twenty users or so.
    Shifted ends may pass the bounds of a metric.

    *Cost.* Metrics of this package and means over users, callables with `per_user`
    included, are computed once and weighted: O(n_boot * n_users) a metric and group of
    items. Any other callable runs in every cell of every draw.

    References
    ----------
    .. [1] H. Abdollahpouri, M. Mansoury, R. Burke and B. Mobasher, "The Unfairness of
       Popularity Bias in Recommendation", RMSE workshop at RecSys 2019,
       arXiv:1907.13286.
    .. [2] B. Efron and R. J. Tibshirani, "An Introduction to the Bootstrap", 1993,
       doi:10.1201/9780429246593.

    Examples
    --------
    >>> from sklearn.decomposition import TruncatedSVD
    >>> from skpopsteer.adapters import as_recommender
    >>> from skpopsteer.datasets import make_interactions
    >>> from skpopsteer.metrics import RankingFrame
    >>> from skpopsteer.model_selection import hide_interactions
    >>> data = make_interactions(200, 100, random_state=0)
    >>> X, y = hide_interactions(data.X, random_state=0)
    >>> host = as_recommender(TruncatedSVD(8, random_state=0).fit(X))
    >>> frame = RankingFrame("slot_share@10", X, y, host.recommend(X), random_state=0)
    >>> shares = frame.by_item_group["slot_share@10"]
    >>> round(shares["head"] + shares["tail"], 6)
    1.0
    >>> frame.user_groups
    ['all', 'niche', 'diverse', 'blockbuster']
    """

    def __init__(
        self,
        metrics,
        X,
        y,
        recommendations,
        *,
        item_popularity=None,
        n_train_users=None,
        item_groups=None,
        user_groups=None,
        n_boot=1000,
        confidence=0.95,
        random_state=None,
    ):
        named = name_metrics(metrics)
        self.n_boot, self.confidence = check_numbers(n_boot, confidence)
        self._seed = seed_of(random_state)
        known = read_data(named, X, y, recommendations)
        X = known["X"]
        counted = count_popularity(X) if item_popularity is None else item_popularity
        known["item_popularity"] = read_popularity(counted, X.shape[1])
        if n_train_users is not None:
            advice = "Pass the number of users behind `item_popularity`."
            known["n_users"] = check_count("n_train_users", n_train_users, advice)
        known["item_groups"], masks, of_items = read_item_groups(
            item_groups, known["item_popularity"]
        )
        names, numbers, of_users = read_user_groups(
            user_groups, X, known["item_groups"]
        )
        self.convention = f"Items: {of_items}. Users: {of_users}."
        self._cells = GroupCells(named, known, names, numbers, masks)
        self._bootstrap()

    def _bootstrap(self):
        cells = self._cells
        self.metrics = list(cells.metrics)
        self.user_groups, self.item_groups = cells.user_groups, cells.item_groups
        self.group_sizes, self.n_users = cells.group_sizes, cells.n_users
        self.values = cells.values
        draws = cells.centred(cells.draws(self.n_boot, self._seed), self.values)
        self.low, self.high = percentile_interval(draws, self.values, self.confidence)
        self._draws = draws

    @classmethod
    def from_estimator(
        cls,
        estimator,
        X,
        y,
        metrics=("ndcg@10", "slot_share@10", "coverage@10", "popularity_lift@10"),
        *,
        user_ids=None,
        **params,
    ):
        """Make the lists of a fitted recommender once, and measure them.

        Parameters
        ----------
        estimator : fitted recommender
            Its own popularity and groups count, where it has been fitted with some and
            `params` name no others.
        X, y : see :class:`RankingFrame`
            As there.
        metrics : see :class:`RankingFrame`
            Those without a length take the estimator's `n_recommendations`.
        user_ids : array-like of shape (n_users,), default=None
            Positions of trained users; None folds every row in.
        **params : dict
            Keyword parameters of :class:`RankingFrame`.

        Returns
        -------
        RankingFrame
        """
        own = estimator.n_recommendations
        pairs = {
            name: (function, own if k is None else k)
            for name, (function, k) in name_metrics(metrics).items()
        }
        longest = max(k for _, k in pairs.values())
        lists = estimator.recommend(X, longest, user_ids=user_ids)
        return cls(pairs, X, y, lists, **fitted_params(estimator, params))

    @property
    def overall(self):
        """Dict of metric to its value for all users and items."""
        return dict(zip(self.metrics, self.values[:, 0, 0].tolist(), strict=True))

    @property
    def by_user_group(self):
        """Dict of metric to dict of user group to value, for all items."""
        return self._nested(self.user_groups, self.values[:, :, 0])

    @property
    def by_item_group(self):
        """Dict of metric to dict of item group to value, for all users."""
        return self._nested(self.item_groups, self.values[:, 0])

    def _nested(self, groups, values):
        rows = [dict(zip(groups, row, strict=True)) for row in values.tolist()]
        return dict(zip(self.metrics, rows, strict=True))

    def difference(self, item_group="all"):
        """Find the largest gap between two groups of users, per metric.

        Parameters
        ----------
        item_group : str, default="all"
            One of `item_groups`.

        Returns
        -------
        dict of str to GroupGap
            Tuples `value`, `low`, `high`, `highest`, `lowest`: the highest minus the
            lowest value, its paired interval, and the names of the two groups. The
            interval is that of those two; having been chosen for their gap, it is
            rather too far from 0. NaN and empty names with fewer than two values.
        """
        if not isinstance(item_group, str) or item_group not in self.item_groups:
            raise ValueError(
                f"`item_group` must be one of {', '.join(self.item_groups)}; got "
                f"{item_group!r}. Name a column of the table."
            )
        column = self.item_groups.index(item_group)
        gaps = (self._gap(metric, column) for metric in range(len(self.metrics)))
        return dict(zip(self.metrics, gaps, strict=True))

    def _gap(self, metric, column):
        values = self.values[metric, 1:, column]
        if np.count_nonzero(~np.isnan(values)) < 2:
            return GroupGap(np.nan, np.nan, np.nan, "", "")
        top, bottom = 1 + int(np.nanargmax(values)), 1 + int(np.nanargmin(values))
        draws = self._draws[metric, :, column]
        gap = values[[top - 1]] - values[[bottom - 1]]
        low, high = percentile_interval(
            draws[[top]] - draws[[bottom]], gap, self.confidence
        )
        names = self.user_groups[top], self.user_groups[bottom]
        return GroupGap(gap.item(), low.item(), high.item(), *names)

    def compare(self, other, *, adjust="bh"):
        """Test the difference to the lists of another recommender, cell by cell.

        Parameters
        ----------
        other : RankingFrame
            Same metrics, `X`, `y`, popularity and groups; other lists.
        adjust : {"bh", "by", None}, default="bh"
            How p-values are adjusted for the number of cells; see
            :func:`scipy.stats.false_discovery_control`.

        Returns
        -------
        PairedComparison
            Differences `other` minus this table, with intervals and p-values.

        Notes
        -----
        The draws of this table are used for both, whatever the seed of `other`.

        Examples
        --------
        >>> import numpy as np
        >>> from scipy.sparse import csr_array
        >>> from skpopsteer.metrics import RankingFrame
        >>> X, y = csr_array(np.eye(40, 4)), np.full(40, 3)
        >>> y[3] = 2
        >>> before = RankingFrame("recall@1", X, y, np.full((40, 1), 1), random_state=0)
        >>> after = RankingFrame("recall@1", X, y, np.full((40, 1), 3))
        >>> float(before.compare(after).difference[0, 0, 0])
        0.975
        """
        if not isinstance(other, RankingFrame):
            raise TypeError(
                f"`other` must be a RankingFrame; got {type(other).__name__}. "
                "Make one of the other recommender's lists."
            )
        return compare_cells(
            self._cells,
            other._cells,
            n_boot=self.n_boot,
            seed=self._seed,
            confidence=self.confidence,
            adjust=adjust,
            notes=self.notes,
        )

    def to_frame(self, backend="pandas"):
        """Return one row per cell.

        Parameters
        ----------
        backend : {"pandas", "polars"}, default="pandas"
            Library of the frame.

        Returns
        -------
        DataFrame
            Columns ``metric, user_group, item_group, n_users, value, low, high``.
        """
        columns = {
            "n_users": self.n_users,
            "value": self.values,
            "low": self.low,
            "high": self.high,
        }
        axes = self.metrics, self.user_groups, self.item_groups
        return long_frame(axes, columns, backend)

    def __str__(self):
        return grid_text(*self._table())

    def _repr_html_(self):
        return grid_html(*self._table())

    def __repr__(self):
        return (
            f"RankingFrame(metrics={self.metrics}, user_groups={self.user_groups}, "
            f"item_groups={self.item_groups})"
        )

    def _table(self):
        cells = [
            interval_lines(*numbers)
            for numbers in zip(self.values, self.low, self.high, strict=True)
        ]
        users = list(self.group_sizes.items())
        return self.metrics, users, self.item_groups, cells, self.notes

    @property
    def notes(self):
        """Sentences under the table: what the groups, intervals and gaps are."""
        notes = [self.convention]
        if self.n_boot:
            notes.append(
                f"Brackets: {100 * self.confidence:g} % intervals from {self.n_boot:,} "
                "draws of the users."
            )
        silent = wants(self._cells.metrics, "item_groups")
        if silent:
            notes.append(f"No value within one group of items: {', '.join(silent)}.")
        return notes
