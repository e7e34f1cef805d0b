"""The picture of a comparison at several levels: one panel a measure."""

import numpy as np
from sklearn.utils import Bunch

from skpopsteer.inspection import _plotting
from skpopsteer.inspection._tradeoff_drawing import draw_curve

__all__ = ["draw"]

_FONT_SIZE = 8
_FILLS = ("full", "none", "left", "top")
_WORDS = {
    "gini": "Gini of exposure\n(lower is more equal)",
    "tail_coverage_1": "Share of the tail recommended\n(higher is more of it)",
    "tail_coverage_5": "Share of the tail in 5 lists or more\n(higher is more of it)",
    "tail_coverage_10": "Share of the tail in 10 lists or more\n(higher is more of it)",
    "tail_share": "Share of tail items in a list\n(higher is more tail)",
}


def draw(table, ax, measures):
    """Draw measures against the NDCG kept, a panel each.

    Parameters
    ----------
    table : LevelComparison
    ax : array-like of Axes or None
    measures : list of str

    Returns
    -------
    ndarray of Axes of shape (n_measures,)
    """
    size = (4.2 * len(measures) + 0.6, 4.6)
    axes = _plotting.axes_for(ax, len(measures), size=size)
    for one, measure in zip(axes, measures, strict=True):
        _draw_panel(one, table, measure)
    handles, labels = axes[0].get_legend_handles_labels()
    if ax is None:
        n_columns = min(len(handles), 2 * len(measures))
        axes[0].figure.legend(
            handles, labels, loc="outside lower center", ncols=n_columns,
            fontsize=_FONT_SIZE, frameon=False,
        )  # fmt: skip
    else:
        axes[-1].legend(handles, labels, fontsize=_FONT_SIZE, framealpha=0.85)
    return axes


def _draw_panel(ax, table, measure):
    k = table.n_recommendations
    for level in table.levels:
        ax.axvline(level, color=_plotting.GREY, linewidth=0.7, linestyle=":", zorder=1)
        ax.annotate(
            f"{100 * level:g}", (level, 1), xycoords=("data", "axes fraction"),
            xytext=(0, 2), textcoords="offset points", ha="center", va="bottom",
            color=_plotting.GREY, fontsize=_FONT_SIZE - 1,
        )  # fmt: skip
    x, y = table.columns.index("ndcg_kept"), table.columns.index(measure)
    rows = table.rows(measure)
    for number, name in enumerate(table.names[1:]):
        _draw_method(ax, table, rows[:, number + 1], x, y, number, name)
    ax.plot(
        [1.0], [table.values[0, y]], color="black", marker="*", markersize=13,
        markeredgecolor="white", linestyle="none", label=table.names[0], zorder=4,
    )  # fmt: skip
    name, _, sense = _WORDS[measure].partition("\n")
    ax.set(
        xlabel=f"Share of the host's NDCG@{k} kept\n(dotted: levels asked for, in %)",
        ylabel=f"{name} @{k}\n{sense}",
    )
    _plotting.dismiss_spines(ax, "y")


def _draw_method(ax, table, rows, x, y, position, name):
    # The host's own lists where a level could not be kept: its star says that.
    rows = np.unique(rows[rows > 0])
    curve = Bunch(x=table.values[rows, x], y=table.values[rows, y])
    for axis, column in (("x", x), ("y", y)):
        ends = np.stack([table.low[rows, column], table.high[rows, column]])
        curve[f"{axis}_interval"] = ends if len(table.draws) else None
    beaten = np.zeros(len(rows), dtype=bool)
    line, _, band = draw_curve(
        ax, curve, beaten, np.ones(2), position=position, label=name
    )
    n_styles = len(_plotting.STYLES)
    # Methods of one colour differ by how their markers are filled.
    line.set_fillstyle(_FILLS[position // n_styles % len(_FILLS)])
    if band is not None:
        # Many bands over each other would hide the curves.
        crowd = max(1.0, (len(table.names) - 1) / n_styles)
        band.set_alpha(band.get_alpha() / crowd)
