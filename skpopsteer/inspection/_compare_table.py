"""The table of methods at several levels of accuracy kept."""

from dataclasses import dataclass, field

import numpy as np

from skpopsteer._compat import import_frame_library
from skpopsteer.inspection._compare_measures import SIGNS
from skpopsteer.inspection._compare_pairs import differences, intervals, marks
from skpopsteer.inspection._compare_plot import draw
from skpopsteer.inspection._compare_text import as_html, as_text
from skpopsteer.inspection._frontier import hypervolume

__all__ = ["LevelComparison"]


@dataclass(frozen=True, eq=False, repr=False)
class LevelComparison:
    """Table and picture of :func:`compare` where methods have settings.

    Parameters
    ----------
    names : list of str
        The host, then the methods.
    levels : tuple of float
        Shares of the host's NDCG to be kept, the highest first.
    measures : list of str
        What settings are chosen for: ``"gini"``, lower is more equal;
        ``"tail_coverage_1"``, ``_5`` and ``_10``, the share of the tail items
        with so many exposures at least; ``"tail_share"`` of the slots.
    columns : list of str
        All that is known of lists: ``"ndcg"``, ``"ndcg_kept"`` (share of the host's),
        `measures`, ``"ndcg_kept_<group>"`` of thirds of the users, and of attributes
        ``"<name>_all"`` and ``"<name>_user"``, how far they moved from the host's
        lists, as :func:`steering_specificity` measures it.
    values : ndarray of shape (n_profiles, n_columns)
        One row for each kind of lists; the host's are the first.
    draws : ndarray of shape (n_boot, n_profiles, n_columns)
        The same on draws of the users, the same draws for all.
    chosen : ndarray of shape (n_levels, n_names, n_measures), dtype int64
        Row of `values` of the setting chosen at a level for a measure.
    settings : list of tuple of (int, float)
        Of every row: position of the model in its list, and strength, None for one that
        was not turned; one pair, or one for each half of the users, empty for the
        host's own lists.
    words : list of str
        The same in words.
    chosen_kept : ndarray of shape (n_profiles,)
        Share of the host's NDCG that was kept where the setting was chosen.
    n_recommendations : int
        Length of the lists.
    notes : list of str
        How settings were chosen, and what was counted.

    Attributes
    ----------
    low, high : ndarray of shape (n_profiles, n_columns)
        Ends of the intervals of 95 %; NaN without draws.

    See Also
    --------
    compare : Makes it.
    TradeOffDisplay : Whole curves of two metrics.

    Examples
    --------
    >>> from sklearn.decomposition import TruncatedSVD
    >>> from skpopsteer import PopularityPenaltyReranker, as_recommender
    >>> from skpopsteer.datasets import make_interactions
    >>> from skpopsteer.inspection import compare
    >>> from skpopsteer.model_selection import hide_interactions
    >>> X, y = hide_interactions(
    ...     make_interactions(200, 100, random_state=0).X, random_state=0
    ... )
    >>> host = as_recommender(TruncatedSVD(8, random_state=0).fit(X))
    >>> penalty = PopularityPenaltyReranker(host).fit(X)
    >>> table = compare(
    ...     {"penalty": (penalty, [0.02, 0.05, 0.1])}, X, y, levels=0.9, random_state=0
    ... )
    >>> table.names, table["gini"].shape
    (['host', 'penalty'], (1, 2))
    >>> bool(table.difference("penalty", "host")[0.9]["gini"].value < 0)
    True
    """

    names: list[str]
    levels: tuple[float, ...]
    measures: list[str]
    columns: list[str]
    values: np.ndarray
    draws: np.ndarray
    chosen: np.ndarray
    settings: list[tuple]
    words: list[str]
    chosen_kept: np.ndarray
    n_recommendations: int
    notes: list[str]
    low: np.ndarray = field(init=False)
    high: np.ndarray = field(init=False)

    def __post_init__(self):
        """Compute the intervals."""
        low, high = intervals(self.draws, self.values)
        # Of shares; an interval is that of a bootstrap with its bias taken off.
        shares = [self.columns.index(measure) for measure in self.measures]
        for ends in (low, high):
            ends[:, shares] = np.clip(ends[:, shares], 0.0, 1.0)
        object.__setattr__(self, "low", low)
        object.__setattr__(self, "high", high)

    def __getitem__(self, column):
        """Return a column for all levels and names (n_levels, n_names).

        A measure is that of the setting chosen for it; all else is that of the setting
        that kept the least NDCG of those chosen at a level.
        """
        return self.values[self.rows(column), self._position("column", column)]

    def rows(self, column):
        """Find the lists that a column is about.

        Parameters
        ----------
        column : str
            One of `columns`.

        Returns
        -------
        ndarray of shape (n_levels, n_names), dtype int64
            Rows of `values`: the setting chosen for a measure; for any other column,
            the setting that kept the least NDCG of those chosen at a level.
        """
        self._position("column", column)
        if column in self.measures:
            return self.chosen[:, :, self.measures.index(column)]
        kept = self.values[:, self.columns.index("ndcg_kept")]
        dearest = np.argmin(kept[self.chosen], axis=2)
        return np.take_along_axis(self.chosen, dearest[..., np.newaxis], axis=2)[..., 0]

    def setting(self, level, name, measure):
        """Return the setting chosen.

        Parameters
        ----------
        level : float
            One of `levels`.
        name : str
            One of `names`.
        measure : str
            One of `measures`.

        Returns
        -------
        tuple of tuple of (int, float)
            As in `settings`.
        """
        place = self._position("level", level), self._position("name", name)
        return self.settings[self.chosen[*place, self._position("measure", measure)]]

    def difference(self, first, second):
        """Subtract a method from another, on the same draws of users.

        Parameters
        ----------
        first, second : str
            Of `names`.

        Returns
        -------
        dict of float to dict of str to Difference
            By level, for every measure and for ``"ndcg_kept"``, tuples `value`, first
            minus second, `low` and `high`, its interval of 95 %, `p_value` of no
            difference, by inverting that interval, and `p_adjusted`, for the number of
            levels and columns (Benjamini-Hochberg). No p-value is below 2 / (n_boot +
            1).
        """
        mine, theirs = self._position("first", first), self._position("second", second)
        found = differences(self, mine, theirs, ["ndcg_kept", *self.measures])
        return dict(zip(self.levels, found, strict=True))

    @property
    def marks(self):
        """Tell who surely differs from the best of the others.

        ndarray of shape (n_levels, n_names, n_measures): 1 for a method that is better
        than the best other name, -1 for one that is worse, as the paired interval of
        95 % says, and 0 where it cannot tell. Not adjusted for their number.
        """
        return marks(self)

    def hypervolume(self, lowest=None):
        r"""Measure what a method offers over all levels, for every measure.

        Parameters
        ----------
        lowest : float, default=None
            Share of the host's NDCG below which nothing counts; None is the lowest of
            `levels`.

        Returns
        -------
        dict of str to dict of str to tuple of float
            By method and measure: area between `lowest` and the NDCG kept times what
            was gained on the host, and its interval of 95 %.

        Notes
        -----
        Of the settings chosen, as in :class:`TradeOffDisplay`; a point below `lowest`
        or no better than the host adds nothing, and the setting of the lowest level
        little: nearly all of its area lies below.
        """
        lowest = self.levels[-1] if lowest is None else lowest
        found = {}
        for name in self.names[1:]:
            found[name] = {}
            for measure in self.measures:
                value = self._volumes(self.values[np.newaxis], name, measure, lowest)
                draws = self._volumes(self.draws, name, measure, lowest)
                ends = np.maximum(intervals(draws[:, np.newaxis], value), 0.0)
                found[name][measure] = (float(value[0]), *ends[:, 0].tolist())
        return found

    def plot(self, ax=None, *, measures=None):
        """Draw every measure against the NDCG kept.

        Parameters
        ----------
        ax : array-like of Axes of shape (n_measures,), default=None
            Where to draw; None makes a figure.
        measures : list of str, default=None
            Of `measures`; None is ``["gini", "tail_coverage_1", "tail_share"]``.

        Returns
        -------
        ndarray of Axes of shape (n_measures,)
            One per measure. Bands join the intervals of both axes.
        """
        shown = ["gini", "tail_coverage_1", "tail_share"]
        shown = shown if measures is None else list(measures)
        for measure in shown:
            self._position("measure", measure)
        return draw(self, ax, shown)

    def to_frame(self, backend="pandas"):
        """Return all figures as a data frame, one row each.

        Parameters
        ----------
        backend : {"pandas", "polars"}, default="pandas"
            Library of the frame.

        Returns
        -------
        DataFrame
            ``level, recommender, chosen_for, setting, validation_ndcg_kept, measure,
            value, low, high, mark``. The table that is printed has the rows whose
            ``measure`` is the one they were ``chosen_for``; only they have a mark.
        """
        frames = import_frame_library(backend)
        cells = [*np.ndindex(self.chosen.shape)]
        n_columns, found = len(self.columns), self.marks
        rows = [self.chosen[cell] for cell in cells]
        level, name, measure = zip(*cells, strict=True)

        def spread(values):
            return [value for value in values for _ in range(n_columns)]

        table = {
            "level": spread(self.levels[i] for i in level),
            "recommender": spread(self.names[i] for i in name),
            "chosen_for": spread(self.measures[i] for i in measure),
            "setting": spread(self.words[row] for row in rows),
            "validation_ndcg_kept": spread(self.chosen_kept[row] for row in rows),
            "measure": self.columns * len(cells),
            "value": self.values[rows].ravel(),
            "low": self.low[rows].ravel(),
            "high": self.high[rows].ravel(),
            "mark": [
                found[cell] if column == self.measures[cell[2]] else 0
                for cell in cells
                for column in self.columns
            ],
        }
        return frames.DataFrame(table)

    def __str__(self):
        return as_text(self)

    def _repr_html_(self):
        return as_html(self)

    def __repr__(self):
        return f"LevelComparison(names={self.names}, levels={self.levels})"

    def _position(self, what, value):
        kind = "name" if what in ("first", "second") else what
        known = getattr(self, f"{kind}s")
        if value not in known:
            raise KeyError(
                f"`{what}` must be one of {', '.join(map(str, known))}; got {value!r}."
            )
        return known.index(value)

    def _volumes(self, values, name, measure, lowest):
        """Measure the area of a method on draws."""
        place = self.measures.index(measure)
        column = self.columns.index(measure)
        rows = self.chosen[:, self.names.index(name), place]
        kept = values[:, rows, self.columns.index("ndcg_kept")]
        gain = SIGNS[place] * (values[:, rows, column] - values[:, [0], column])
        pairs = zip(kept, gain, strict=True)
        return np.array([hypervolume(*pair, (lowest, 0.0)) for pair in pairs])
