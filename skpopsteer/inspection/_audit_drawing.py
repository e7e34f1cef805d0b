"""The picture of a popularity audit: channels on the left, what they reach beside."""

import numpy as np

from skpopsteer.inspection import _plotting
from skpopsteer.inspection._audit_channels import BIAS, DIRECTION, LENGTH, NEURONS

__all__ = ["draw"]

_FONT_SIZE = 8
_HEIGHT = 0.36
_CHANNELS = [BIAS, LENGTH, DIRECTION, NEURONS]


def draw(audit, ax):
    """Draw an audit.

    Parameters
    ----------
    audit : fitted PopularityAudit
    ax : array-like of two Axes, or None

    Returns
    -------
    ndarray of Axes of shape (2,)
    """
    axes = _plotting.axes_for(ax, 2, size=(11.5, 4.6))
    _draw_channels(axes[0], audit.channels_)
    _draw_levers(axes[1], audit)
    for one, columns in zip(axes, (1, 2), strict=True):
        if ax is None:
            place = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.2)}
            one.legend(fontsize=_FONT_SIZE, ncols=columns, frameon=False, **place)
        else:
            # Nobody keeps room below axes of the caller.
            one.legend(fontsize=_FONT_SIZE, loc="best", framealpha=0.85)
    return axes


def _draw_channels(ax, channels):
    places = np.arange(len(channels))
    blue, orange = (_plotting.style_of(n)["color"] for n in (0, 1))
    r = _values(channels, "spearman")
    shares = _values(channels, "variance_share")
    more = _values(channels, "variance_share_personal") - shares
    ax.barh(
        places - _HEIGHT / 2, r, _HEIGHT, color=blue,
        label="rank correlation with log popularity",
    )  # fmt: skip
    ax.barh(
        places + _HEIGHT / 2, shares, _HEIGHT, color=orange,
        label="share of score variance, one slope for all",
    )  # fmt: skip
    ax.barh(
        places + _HEIGHT / 2, more, _HEIGHT, left=shares, color="white",
        edgecolor=orange, hatch="////", linewidth=0.8, label="... a slope per user",
    )  # fmt: skip
    ax.axvline(0, color="black", linewidth=0.8)
    ax.set_yticks(places, [one.name for one in channels])
    ax.set_ylim(len(channels) - 0.4, -0.6)
    low, high = min(0.0, r.min()), max(1.0, (shares + more).max())
    ax.set_xlim(low - 0.05 * (low < 0), high + 0.02)
    ax.set_xlabel("Correlation, or share of variance\n(variance of a user's scores)")
    ax.set_title("Where popularity is", fontsize=10)
    ax.tick_params(axis="y", length=0)
    _plotting.dismiss_spines(ax, "x")


def _values(channels, name):
    return np.nan_to_num([getattr(one, name) for one in channels])


def _draw_levers(ax, audit):
    for level in audit.levels_:
        ax.axvline(level, color=_plotting.GREY, linewidth=0.7, linestyle=":", zorder=1)
    # What is below the lowest level is nobody's choice, nor is less tail.
    lowest = min(audit.levels_) - 0.05
    yardsticks = [name for name, curve in audit.curves_.items() if not curve.channel]
    for name, curve in audit.curves_.items():
        # A lever looks the same whatever others the host has.
        places = _CHANNELS if curve.channel else yardsticks
        number = places.index(curve.channel or name)
        number += 0 if curve.channel else len(_CHANNELS)
        style = _plotting.style_of(number)
        shown = (curve.kept >= lowest) & (curve.tail_share >= audit.tail_share_)
        kept, tail = _frontier(curve.kept[shown], curve.tail_share[shown])
        ax.plot(
            kept, tail, color=style["color"], marker=style["marker"], markersize=4.5,
            linestyle=style["linestyle"], zorder=3 - 0.01 * number,
            markerfacecolor=style["color"] if curve.channel else "white",
            label=f"{name} ({curve.channel or 'yardstick'})",
        )  # fmt: skip
    ax.plot(
        [1.0], [audit.tail_share_], color="black", marker="*", markersize=13,
        markeredgecolor="white", linestyle="none", label="host", zorder=4,
    )  # fmt: skip
    ax.set_xlim(lowest, None)
    ax.set(
        xlabel=f"Share of {audit.kept_name_} kept\n(dotted: levels asked for)",
        ylabel="Share of tail items in a list\n(higher is more tail)",
    )
    ax.set_title("What every lever reaches", fontsize=10)
    _plotting.dismiss_spines(ax)


def _frontier(kept, tail):
    """Keep the points that no other one beats in both, by descending accuracy."""
    order = np.lexsort((-tail, -kept))
    kept, tail = kept[order], tail[order]
    ahead = tail > np.maximum.accumulate(np.concatenate([[-np.inf], tail[:-1]]))
    return kept[ahead], tail[ahead]
