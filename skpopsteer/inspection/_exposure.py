"""Who gets the slots: inequality over items, and shares of head and tail."""

import numpy as np

from skpopsteer._validation import as_array, check_popularity
from skpopsteer.inspection import _plotting
from skpopsteer.inspection._display_inputs import (
    check_column,
    check_groups,
    check_mapping,
    check_number,
)
from skpopsteer.metrics import gini
from skpopsteer.metrics._lists import check_groups as check_item_groups

__all__ = ["ExposureDisplay"]

_GROUPS = {"head": 1, "mid": 0, "tail": -1}


class ExposureDisplay:
    r"""Lorenz curves of exposure beside the exposure of popularity groups.

    On the left the share of all recommended slots that the least exposed items get; on
    the right the share of head, mid and tail, against their share of the interactions.
    Use :meth:`from_estimator` or :meth:`from_predictions` to make one; each draws it,
    and :meth:`plot` draws it again without computing anything.

    Parameters
    ----------
    exposures : dict of str to array-like of shape (n_items,)
        How often every item is recommended, by each recommender.
    item_popularity : array-like of shape (n_items,)
        Interactions per item.
    item_groups : array-like of int, shape (n_items,)
        1 for head, 0 for mid and -1 for tail items.
    n_recommendations : int, default=None
        Length of the lists, for the axes.
    convention : str, default=None
        What was counted as head and tail, for the axes.

    Attributes
    ----------
    lorenz : dict of str to ndarray of shape (n_items + 1,)
        Share of the slots that the 0, 1, ..., n_items least exposed items get, in
        [0, 1].
    gini : dict of str to float
        Gini coefficient of the exposure, as :func:`~skpopsteer.metrics.gini`.
    group_shares : dict of str to ndarray of shape (n_groups,)
        Share of the slots by group, in [0, 1]; ``"interactions"`` comes first.
    groups : list of str
        Groups that have items, from head to tail.
    axes_ : ndarray of Axes of shape (2,)
        Axes of the last plot.
    figure_ : matplotlib Figure
        Figure of the last plot.
    lines_ : dict of str to Line2D
        Lorenz curves.
    equality_ : Line2D
        Where all items are exposed alike.
    bars_ : dict of str to BarContainer
        Bars of `group_shares`.

    See Also
    --------
    skpopsteer.metrics.gini : The number in the legend.
    skpopsteer.popularity.PopularityGroups : Conventions of head and tail.

    Notes
    -----
    With the counts in ascending order, :math:`c_{(1)} \le \dots \le c_{(n)}`, the
    Lorenz curve is

    .. math:: L(r / n) = \sum_{s \le r} c_{(s)} \Big/ \sum_{s \le n} c_{(s)},

    and Gini is one minus twice the area under it. O(n_items log n_items) per
    recommender.

    References
    ----------
    .. [1] M. O. Lorenz, "Methods of Measuring the Concentration of Wealth",
       Publications of the American Statistical Association 9(70), 1905,
       doi:10.2307/2276207.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from skpopsteer.inspection import ExposureDisplay
    >>> X = [[1, 1, 0, 0], [1, 0, 1, 0], [1, 0, 0, 1]]
    >>> display = ExposureDisplay.from_predictions(
    ...     X, {"popular": [[1], [0], [0]], "spread": [[2], [3], [1]]},
    ...     ax=Figure().subplots(1, 2),
    ... )
    >>> display.gini
    {'popular': 0.583..., 'spread': 0.25}
    >>> display.lorenz["spread"].round(2)
    array([0.  , 0.  , 0.33, 0.67, 1.  ])
    """

    def __init__(
        self,
        exposures,
        *,
        item_popularity,
        item_groups,
        n_recommendations=None,
        convention=None,
    ):
        self.item_groups = np.array(check_item_groups(item_groups))
        n_items = len(self.item_groups)
        exposures = check_mapping("exposures", exposures, "counts of the items")
        self.exposures = {
            name: _check_exposure(name, exposure, n_items)
            for name, exposure in exposures.items()
        }
        check_popularity("item_popularity", item_popularity)
        self.item_popularity = check_column("item_popularity", item_popularity, n_items)
        if n_recommendations is not None:
            n_recommendations = check_number("n_recommendations", n_recommendations)
        self.n_recommendations = n_recommendations
        self.convention = None if convention is None else str(convention)
        self.lorenz = {n: _lorenz(e) for n, e in self.exposures.items()}
        self.gini = {n: _gini(curve) for n, curve in self.lorenz.items()}
        self.groups = [n for n, g in _GROUPS.items() if (self.item_groups == g).any()]
        counts = {"interactions": self.item_popularity} | self.exposures
        self.group_shares = {n: self._shares(count) for n, count in counts.items()}

    @classmethod
    def from_estimator(
        cls,
        models,
        X,
        *,
        n_recommendations=10,
        groups=None,
        item_popularity=None,
        user_ids=None,
        ax=None,
    ):
        """Recommend to every row, and draw who is exposed.

        Parameters
        ----------
        models : fitted recommender, or dict of str to fitted recommender
            One curve each.
        X : array-like or sparse of shape (n_users, n_items)
            Interactions the recommenders see.
        n_recommendations : int, default=10
            Length of the lists, the same for all.
        groups : PopularityGroups, default=None
            What counts as head, mid and tail; None is ``PopularityGroups()``.
        item_popularity : array-like of shape (n_items,), default=None
            Interactions per item; None counts them in `X`.
        user_ids : array-like of shape (n_users,), default=None
            Positions of trained users, for all recommenders; None folds every row in.
        ax : array-like of Axes of shape (2,), default=None
            Where to draw; None makes a figure.

        Returns
        -------
        ExposureDisplay
            Drawn.
        """
        _plotting.require_matplotlib()
        lists = {
            name: model.recommend(X, n_recommendations, user_ids=user_ids)
            for name, model in _plotting.check_models("models", models).items()
        }
        return cls.from_predictions(
            X, lists, groups=groups, item_popularity=item_popularity, ax=ax
        )

    @classmethod
    def from_predictions(
        cls, X, recommendations, *, groups=None, item_popularity=None, ax=None
    ):
        """Draw who is exposed by lists that have been made already.

        Parameters
        ----------
        X : array-like or sparse of shape (n_users, n_items)
            Interactions, of which only the popularity counts.
        recommendations : array-like of int, shape (n_users, n), or dict of str to such
            Item positions, best first; -1 pads short lists.
        groups, item_popularity, ax : see :meth:`from_estimator`
            As there.

        Returns
        -------
        ExposureDisplay
            Drawn.
        """
        _plotting.require_matplotlib()
        popularity = _plotting.popularity_of(X, item_popularity)
        groups = check_groups(groups)
        lists = _plotting.named("recommendations", recommendations, "an array of lists")
        lists = {n: as_array("recommendations", one) for n, one in lists.items()}
        lengths = {one.shape[-1] for one in lists.values() if one.ndim}
        return cls(
            {name: _count(one, len(popularity)) for name, one in lists.items()},
            item_popularity=popularity,
            item_groups=groups.label(popularity),
            n_recommendations=lengths.pop() if len(lengths) == 1 else None,
            convention=str(groups),
        ).plot(ax)

    def plot(self, ax=None):
        """Draw what has been computed.

        Parameters
        ----------
        ax : array-like of Axes of shape (2,), default=None
            Where to draw; None makes a figure.

        Returns
        -------
        self : ExposureDisplay
            With `axes_`, `figure_` and the artists.
        """
        self.axes_ = _plotting.axes_for(ax, 2, size=(10, 4.4))
        self.figure_ = self.axes_[0].figure
        self._draw_lorenz(self.axes_[0])
        self._draw_bars(self.axes_[1])
        for one, grid, n_columns in zip(self.axes_, ("both", "y"), (1, 2), strict=True):
            _plotting.dismiss_spines(one, grid)
            one.legend(fontsize=8, ncols=n_columns)
        return self

    def to_frame(self, backend="pandas"):
        """Return the numbers of the bars, with Gini, as a data frame.

        Parameters
        ----------
        backend : {"pandas", "polars"}, default="pandas"
            Library of the frame.

        Returns
        -------
        DataFrame
            One row per recommender, after one for the interactions.
        """
        columns = {"recommender": list(self.group_shares)}
        for position, group in enumerate(self.groups):
            shares = [share[position] for share in self.group_shares.values()]
            columns[f"{group}_share"] = shares
        of_interactions = _gini(_lorenz(self.item_popularity))
        columns["gini"] = [of_interactions, *self.gini.values()]
        return _plotting.frame(backend, columns)

    def _shares(self, count):
        total = count.sum()
        members = [self.item_groups == _GROUPS[name] for name in self.groups]
        shares = [count[rows].sum() / total if total else np.nan for rows in members]
        return np.array(shares)

    def _draw_lorenz(self, ax):
        (self.equality_,) = ax.plot(
            [0, 1], [0, 1], color=_plotting.GREY, linewidth=1, label="all items alike"
        )
        self.lines_ = {}
        for position, (name, curve) in enumerate(self.lorenz.items()):
            style = _plotting.style_of(position)
            (self.lines_[name],) = ax.plot(
                np.linspace(0, 1, len(curve)), curve, color=style["color"],
                linestyle=style["linestyle"], linewidth=1.8,
                label=f"{name} (Gini {self.gini[name]:.3f})",
            )  # fmt: skip
        length = "" if not self.n_recommendations else f" @{self.n_recommendations}"
        ax.set(
            xlabel="Share of the catalogue, least exposed items first",
            ylabel=f"Share of the recommended slots{length}",
            xlim=(0, 1), ylim=(0, 1),
        )  # fmt: skip

    def _draw_bars(self, ax):
        self.bars_, width = {}, 0.8 / len(self.group_shares)
        start = np.arange(len(self.groups)) - 0.4 + width / 2
        for position, (name, shares) in enumerate(self.group_shares.items()):
            if position == 0:
                style = {"color": "#d9d9d9", "label": "share of the interactions"}
            else:
                look = _plotting.style_of(position - 1)
                style = {"color": look["color"], "hatch": look["hatch"], "label": name}
            self.bars_[name] = ax.bar(
                start + position * width, shares, width, edgecolor="white", **style
            )
            if width >= 0.2:  # narrower bars have no room for their numbers
                ax.bar_label(self.bars_[name], fmt="%.2f", fontsize=7, padding=1)
        sizes = [int((self.item_groups == _GROUPS[g]).sum()) for g in self.groups]
        words = [f"{g}\n{n:,} items" for g, n in zip(self.groups, sizes, strict=True)]
        ax.set_xticks(range(len(self.groups)), words)
        ax.set_ylabel("Share of slots (grey: of interactions)")
        # Room for the legend above the bars.
        highest = np.nanmax(np.stack(list(self.group_shares.values())))
        ax.set_ylim(0, highest * (1.12 + 0.04 * len(self.group_shares)))
        if self.convention:
            ax.set_xlabel(self.convention.replace("; ", ";\n"), fontsize=8)


def _count(lists, n_items):
    # The metric checks the lists, and that no item lies beyond the catalogue.
    gini(lists, n_items)
    return np.bincount(lists[lists >= 0], minlength=n_items)


def _check_exposure(name, exposure, n_items):
    exposure = np.array(as_array("exposures", exposure))
    fits = exposure.shape == (n_items,) and exposure.dtype.kind in "fiu"
    if not fits or not np.isfinite(exposure).all() or (exposure < 0).any():
        raise ValueError(
            f"`exposures` must hold counts >= 0, one per item ({n_items}); got shape "
            f"{exposure.shape} and dtype {exposure.dtype} for {name!r}. "
            "np.bincount(lists, minlength=n_items) makes them."
        )
    return exposure


def _lorenz(counts):
    ascending = np.concatenate([[0], np.cumsum(np.sort(counts))]).astype(np.float64)
    return (
        ascending / ascending[-1] if ascending[-1] else np.full_like(ascending, np.nan)
    )


def _gini(curve):
    """One minus twice the area under the curve, by trapezoids."""
    return float(1 - (curve[1:] + curve[:-1]).sum() / (len(curve) - 1))
