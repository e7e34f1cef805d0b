"""Whose lists are more popular than their own histories."""

import numpy as np
from sklearn.utils import check_random_state

from skpopsteer._validation import as_array, as_interactions
from skpopsteer.inspection import _plotting
from skpopsteer.inspection._display_inputs import (
    check_column,
    check_groups,
    check_mapping,
)
from skpopsteer.metrics import average_popularity, popularity_lift, taste_groups
from skpopsteer.metrics._bootstrap import check_n_boot, recentred_interval

__all__ = ["PopularityLiftDisplay"]

#: Groups known by name stand in this order, others by the alphabet after them.
_ORDER = ("niche", "diverse", "blockbuster")
_NO_HISTORY = "no history"


class PopularityLiftDisplay:
    r"""Popularity lift by groups of users: by taste, or by labels of your own.

    Use :meth:`from_estimator` or :meth:`from_predictions` to make one; each draws it,
    and :meth:`plot` draws it again without computing anything.

    Parameters
    ----------
    lifts : dict of str to array-like of shape (n_groups,)
        Popularity lift of each group, by each recommender; 0 where lists are as popular
        as histories, 1 where they are twice as popular.
    groups : list of str
        Names of the groups of users.
    n_users : array-like of int, shape (n_groups,)
        Users in each group.
    intervals : dict of str to array-like of shape (2, n_groups), default=None
        Low and high ends.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes of the last plot.
    figure_ : matplotlib Figure
        Figure of the last plot.
    points_ : dict of str to Line2D
        Lifts of each recommender.
    intervals_ : dict of str to LineCollection
        Intervals of each recommender that has some.
    zero_ : Line2D
        Where lists are as popular as histories.

    See Also
    --------
    skpopsteer.metrics.popularity_lift : The measure.
    skpopsteer.metrics.taste_groups : The groups, unless others are given.

    Notes
    -----
    With :math:`\bar{\theta}(S)` the mean popularity of the items in :math:`S`,
    histories :math:`X_u` and lists :math:`L_u`, the lift of a group :math:`G` is

    .. math::
        \mathrm{PL}_G = \frac{\sum_{u \in G} \bar{\theta}(L_u)}
            {\sum_{u \in G} \bar{\theta}(X_u)} - 1 ,

    :math:`\Delta\mathrm{GAP}` of [1]_. Niche users are the fifth with the lowest share
    of head items in their histories, blockbuster users the fifth with the highest, as
    there. Intervals are 95 % of `n_boot` draws of the users of a group with
    replacement, the same for every recommender, shifted to have the estimate as their
    mean. O(n_boot · n_users) per recommender.

    References
    ----------
    .. [1] H. Abdollahpouri, M. Mansoury, R. Burke and B. Mobasher, "The Unfairness of
       Popularity Bias in Recommendation", RMSE workshop at RecSys 2019,
       arXiv:1907.13286.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from skpopsteer.inspection import PopularityLiftDisplay
    >>> X = [[1, 1, 0, 0], [1, 0, 1, 0], [1, 0, 0, 1], [0, 1, 0, 1]]
    >>> display = PopularityLiftDisplay.from_predictions(
    ...     X, {"popular": [[3], [1], [1], [0]]}, user_groups=["a", "a", "b", "b"],
    ...     n_boot=0, ax=Figure().subplots(),
    ... )
    >>> display.lifts["popular"].round(2)
    array([-0.11,  0.11])
    """

    def __init__(self, lifts, *, groups, n_users, intervals=None):
        if as_array("groups", groups).ndim != 1 or not len(groups):
            raise TypeError(
                "`groups` must be a list of names, not empty; got "
                f"{type(groups).__name__}. Name every group of users."
            )
        self.groups = [str(group) for group in groups]
        n_groups = len(self.groups)
        self.n_users = check_column("n_users", n_users, n_groups)
        lifts = check_mapping("lifts", lifts, "lifts of the groups")
        self.lifts = {
            name: check_column("lifts", lift, n_groups, of=f" for {name!r}")
            for name, lift in lifts.items()
        }
        self.intervals = {}
        if intervals is not None:
            intervals = check_mapping("intervals", intervals, "ends (2, n_groups)")
            self.intervals = {
                name: _check_ends(name, ends, n_groups)
                for name, ends in intervals.items()
            }

    @classmethod
    def from_estimator(
        cls,
        models,
        X,
        *,
        n_recommendations=10,
        user_groups=None,
        groups=None,
        item_popularity=None,
        n_boot=200,
        user_ids=None,
        random_state=None,
        ax=None,
    ):
        """Recommend to every row, and draw the lift of every group of users.

        Parameters
        ----------
        models : fitted recommender, or dict of str to fitted recommender
            What to compare.
        X : array-like or sparse of shape (n_users, n_items)
            Interactions the recommenders see, the users' histories.
        n_recommendations : int, default=10
            Length of the lists, the same for all.
        user_groups : array-like of shape (n_users,), default=None
            Label of every user's group; None groups by taste.
        groups : PopularityGroups, default=None
            What counts as head for the taste; None is ``PopularityGroups()``.
        item_popularity : array-like of shape (n_items,), default=None
            Interactions per item; None counts them in `X`.
        n_boot : int, default=200
            Draws of users behind the intervals; 0 draws none.
        user_ids : array-like of shape (n_users,), default=None
            Positions of trained users, for all recommenders; None folds every row in.
        random_state : int, RandomState instance or None, default=None
            Seed of the draws.
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.

        Returns
        -------
        PopularityLiftDisplay
            Drawn.
        """
        _plotting.require_matplotlib()
        lists = {
            name: model.recommend(X, n_recommendations, user_ids=user_ids)
            for name, model in _plotting.check_models("models", models).items()
        }
        return cls.from_predictions(
            X, lists, user_groups=user_groups, groups=groups,
            item_popularity=item_popularity, n_boot=n_boot, random_state=random_state,
            ax=ax,
        )  # fmt: skip

    @classmethod
    def from_predictions(
        cls,
        X,
        recommendations,
        *,
        user_groups=None,
        groups=None,
        item_popularity=None,
        n_boot=200,
        random_state=None,
        ax=None,
    ):
        """Draw the lift of lists that have been made already.

        Parameters
        ----------
        X : see :meth:`from_estimator`
            As there.
        recommendations : array-like of int, shape (n_users, n), or dict of str to such
            Item positions, best first; -1 pads short lists.
        user_groups, groups, item_popularity : see :meth:`from_estimator`
            As there.
        n_boot, random_state, ax : see :meth:`from_estimator`
            As there.

        Returns
        -------
        PopularityLiftDisplay
            Drawn.
        """
        _plotting.require_matplotlib()
        n_boot = check_n_boot(n_boot)
        X = as_interactions("X", X)
        popularity = _plotting.popularity_of(X, item_popularity)
        labels = _user_labels(X, popularity, user_groups, groups)
        names = _in_order(labels)
        rows = [np.flatnonzero(labels == name) for name in names]
        lists = _plotting.named("recommendations", recommendations, "an array of lists")
        seed = check_random_state(random_state).randint(2**31 - 1)
        lifts, intervals = {}, {}
        for name, one in lists.items():
            lifts[name], ends = _lifts(X, one, popularity, rows, n_boot, seed)
            if n_boot:
                intervals[name] = ends
        sizes = [len(members) for members in rows]
        return cls(
            lifts, groups=names, n_users=sizes, intervals=intervals or None
        ).plot(ax)

    def plot(self, ax=None):
        """Draw what has been computed.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.

        Returns
        -------
        self : PopularityLiftDisplay
            With `ax_`, `figure_` and the artists.
        """
        (self.ax_,) = _plotting.axes_for(ax, size=(6.4, 4.2))
        ax, self.figure_ = self.ax_, self.ax_.figure
        self.zero_ = ax.axhline(0, color="black", linewidth=0.9)
        self.points_, self.intervals_ = {}, {}
        places = np.arange(len(self.groups))
        # Beside each other within a group, at most 0.2 apart.
        step = min(0.2, 0.7 / len(self.lifts))
        for position, (name, lift) in enumerate(self.lifts.items()):
            style = _plotting.style_of(position)
            at = places + step * (position - (len(self.lifts) - 1) / 2)
            (self.points_[name],) = ax.plot(
                at, lift, color=style["color"], marker=style["marker"],
                linestyle="none", markersize=7, label=name,
            )  # fmt: skip
            if name in self.intervals:
                self.intervals_[name] = ax.vlines(
                    at, *self.intervals[name], color=style["color"], linewidth=1.6
                )
        pairs = zip(self.groups, self.n_users, strict=True)
        ax.set_xticks(places, [f"{group}\n{n:,} users" for group, n in pairs])
        ax.set_xlim(-0.5, len(self.groups) - 0.5)
        what = ", 95 % interval over users" if self.intervals else ""
        ax.set_ylabel(
            f"Popularity lift{what}\n(0: as popular as the history, 1: twice)"
        )
        _plotting.dismiss_spines(ax, grid="y")
        ax.legend(fontsize=8)
        return self

    def to_frame(self, backend="pandas"):
        """Return the numbers as a data frame.

        Parameters
        ----------
        backend : {"pandas", "polars"}, default="pandas"
            Library of the frame.

        Returns
        -------
        DataFrame
            One row per recommender and group of users.
        """
        unknown = np.full((2, len(self.groups)), np.nan)
        ends = [self.intervals.get(name, unknown) for name in self.lifts]
        columns = {
            "recommender": [n for n in self.lifts for _ in self.groups],
            "user_group": self.groups * len(self.lifts),
            "n_users": np.tile(self.n_users, len(self.lifts)),
            "popularity_lift": np.concatenate(list(self.lifts.values())),
            "popularity_lift_low": np.concatenate([low for low, _ in ends]),
            "popularity_lift_high": np.concatenate([high for _, high in ends]),
        }
        return _plotting.frame(backend, columns)


def _user_labels(X, popularity, user_groups, groups):
    """Label every user: the one place that knows about tastes."""
    if user_groups is None:
        groups = check_groups(groups)
        return taste_groups(X, groups.label(popularity))
    labels = as_array("user_groups", user_groups)
    if labels.shape != (X.shape[0],):
        raise ValueError(
            f"`user_groups` must hold one label per row of `X` ({X.shape[0]}); got "
            f"shape {labels.shape}. Leave it out to group users by taste."
        )
    return labels.astype(str)


def _check_ends(name, ends, n_groups):
    ends = np.array(as_array("intervals", ends))
    if ends.shape != (2, n_groups) or ends.dtype.kind not in "fiu":
        raise ValueError(
            f"`intervals` must hold low and high ends, of shape (2, {n_groups}); got "
            f"shape {ends.shape} and dtype {ends.dtype} for {name!r}. None draws none."
        )
    return ends


def _in_order(labels):
    names = [name for name in np.unique(labels) if name != _NO_HISTORY]
    known = [name for name in _ORDER if name in names]
    return known + [str(name) for name in names if name not in _ORDER]


def _lifts(X, lists, popularity, rows, n_boot, seed):
    """Return the lift of every group (n_groups,), and the interval (2, n_groups)."""
    # The metric checks that lists, histories and popularity belong together.
    popularity_lift(X, lists, popularity)
    of_list = average_popularity(lists, popularity, per_user=True)
    lengths = np.diff(X.indptr)
    users = np.repeat(np.arange(X.shape[0]), lengths)
    totals = np.bincount(users, popularity[X.indices], minlength=X.shape[0])
    of_history = np.where(lengths, totals / np.maximum(lengths, 1), np.nan)
    both = ~np.isnan(of_list + of_history)
    lifts, intervals = [], []
    for members in rows:
        members = members[both[members]]
        pair = of_list[members], of_history[members]
        lifts.append(_ratio(*pair))
        draws = _bootstrap(*pair, n_boot, seed)
        intervals.append(recentred_interval(draws, lifts[-1]) if n_boot else [])
    return np.array(lifts), np.array(intervals).T


def _bootstrap(of_list, of_history, n_boot, seed):
    rng, n = np.random.RandomState(seed), len(of_list)
    draws = (rng.randint(n, size=n) for _ in range(n_boot if n else 0))
    return np.array([_ratio(of_list[d], of_history[d]) for d in draws])


def _ratio(of_list, of_history):
    total = of_history.sum()
    return of_list.sum() / total - 1 if total else np.nan
