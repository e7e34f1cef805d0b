"""The strokes of a trade-off: frontier, beaten points, band, host and chosen point."""

import numpy as np

from skpopsteer._compat import import_optional
from skpopsteer.inspection._frontier import ribbon
from skpopsteer.inspection._plotting import (
    GREY,
    dismiss_spines,
    is_loss,
    metric_label,
    style_of,
)

__all__ = ["columns", "draw_curve", "draw_host", "finish", "signs"]

_FONT_SIZE = 8


def signs(display):
    """Return what turns scores into what the axes show: -1 for losses."""
    metrics = (display.x_metric, display.y_metric)
    return np.array([-1.0 if is_loss(metric) else 1.0 for metric in metrics])


def draw_curve(ax, curve, beaten, sign, *, position, label):
    """Draw one curve.

    Parameters
    ----------
    ax : Axes
        Where.
    curve : Bunch
        Of the display.
    beaten : ndarray of shape (n_points,), dtype bool
        Points that are not joined.
    sign : ndarray of shape (2,)
        Of :func:`signs`.
    position : int
        Of the curve, for its style.
    label : str
        For the legend.

    Returns
    -------
    line, grey : Line2D
    band : PathPatch or None
    """
    points = sign * np.column_stack([curve.x, curve.y])
    kept = np.flatnonzero(~beaten)
    kept = kept[np.lexsort((points[kept, 1], points[kept, 0]))]
    style, order = style_of(position), 3 - 0.01 * position
    (line,) = ax.plot(
        *points[kept].T, color=style["color"], marker=style["marker"],
        linestyle=style["linestyle"], markersize=5.5, label=label, zorder=order,
    )  # fmt: skip
    (grey,) = ax.plot(
        *points[beaten].T, color=GREY, marker=style["marker"], linestyle="none",
        markersize=4.5, markerfacecolor="white", zorder=order - 0.5,
    )  # fmt: skip
    return line, grey, _draw_band(ax, curve, points, kept, sign, style["color"])


def _draw_band(ax, curve, points, kept, sign, color):
    intervals = (curve.get("x_interval"), curve.get("y_interval"))
    if any(one is None for one in intervals) or not len(kept):
        return None
    path = import_optional("matplotlib.path", "plot").Path
    patches = import_optional("matplotlib.patches", "plot")
    # (n_points, low or high, x or y); an end that is not known is the point itself.
    boxes = sign * np.stack(intervals, axis=-1).transpose(1, 0, 2)[kept]
    boxes = np.where(np.isnan(boxes), points[kept][:, None], boxes)
    hulls = ribbon(boxes.min(axis=1), boxes.max(axis=1))
    closed = [path(np.vstack([hull, hull[:1]]), closed=True) for hull in hulls]
    band = patches.PathPatch(
        path.make_compound_path(*closed), facecolor=color, alpha=0.13, linewidth=0
    )
    ax.add_patch(band)
    ax.autoscale_view()
    return band


def draw_host(ax, host, sign):
    """Draw the host as a star."""
    (marker,) = ax.plot(
        sign[0] * host.x, sign[1] * host.y, color="black", marker="*", markersize=13,
        markeredgecolor="white", linestyle="none", label="host, not steered", zorder=4,
    )  # fmt: skip
    return marker


def finish(display, sign, annotate):
    """Draw what belongs to no curve: the chosen point, the words, the legend."""
    ax, names = display.ax_, list(display.curves)
    first = display.curves[names[0]]
    if display.marked is not None:
        point = _word(first.points[display.marked])
        display.mark_ = _draw_ring(
            ax, first, display.marked, sign, f"chosen: {display.point_name} {point}"
        )
    if annotate:
        _annotate(ax, first, display.dominated[names[0]], sign, display.marked)
    ax.set(xlabel=metric_label(display.x_metric), ylabel=metric_label(display.y_metric))
    dismiss_spines(ax)
    _legend(display, sign)


def _draw_ring(ax, curve, marked, sign, label):
    (ring,) = ax.plot(
        [sign[0] * curve.x[marked]], [sign[1] * curve.y[marked]], color="black",
        marker="o", markersize=13, markerfacecolor="none", markeredgewidth=1.4,
        linestyle="none", label=label, zorder=5,
    )  # fmt: skip
    return ring


def _annotate(ax, curve, beaten, sign, marked):
    points = sign * np.column_stack([curve.x, curve.y])
    kept = np.flatnonzero(~beaten)
    kept = kept[np.argsort(points[kept, 0])]
    # The chosen point and the ends first: where points crowd, some go without a word.
    order = [i for i in dict.fromkeys([marked, *kept[[0, -1]], *kept]) if i in kept]
    words = [_word(curve.points[i]) for i in order]
    halo = import_optional("matplotlib.patheffects", "plot").withStroke(
        linewidth=2, foreground="white"
    )
    for i, word, free in zip(
        order, words, _free(ax, points[order], words), strict=True
    ):
        if free:
            # Outside of the frontier, where no other point of the curve can be.
            ax.annotate(
                word, points[i], xytext=(11 if i == marked else 7) * sign,
                textcoords="offset points", fontsize=_FONT_SIZE,
                ha="left" if sign[0] > 0 else "right", va="center", zorder=6,
                path_effects=[halo],
            )  # fmt: skip


def _free(ax, points, words):
    """Tell which words, of those that come first, do not cover another."""
    box, figure = ax.get_position(), ax.figure
    inches = np.array([box.width, box.height]) * figure.get_size_inches()
    places = ax.transLimits.transform(points) * inches * 72
    room = np.array([0.65 * max(map(len, words), default=0), 1.2]) * _FONT_SIZE
    free = []
    for i, place in enumerate(places):
        taken = places[[j for j in range(i) if free[j]]]
        free.append(not (np.abs(taken - place) < room).all(axis=1).any())
    return free


def _word(point):
    return f"{point:g}" if isinstance(point, float | np.floating) else str(point)


def _legend(display, sign):
    ax = display.ax_
    handles, labels = ax.get_legend_handles_labels()
    some = next((d for d in display.dominated_.values() if len(d.get_xdata())), None)
    if some is not None:
        handles.append(some)
        labels.append("dominated, grey")
    if display.bands_ and display.interval_name:
        handles.append(next(iter(display.bands_.values())))
        labels.append(display.interval_name)
    # From minus zero, for losses, a plain zero.
    at = ", ".join(f"{value:.3g}" for value in sign * display.reference + 0.0)
    ax.legend(
        handles, labels, title=f"HV: hypervolume from ({at})",
        fontsize=_FONT_SIZE, title_fontsize=_FONT_SIZE, frameon=True, framealpha=0.85,
    )  # fmt: skip


def columns(display):
    """Return the columns of the frame."""
    rows = [*display.curves.items()]
    if display.host is not None:
        rows.append(("host", display.host))
    column = {
        "recommender": [n for n, curve in rows for _ in curve.x],
        display.point_name: _points(display),
    }
    for axis, metric in (("x", display.x_metric), ("y", display.y_metric)):
        column[metric] = np.concatenate([curve[axis] for _, curve in rows])
        ends = [_interval(curve, axis) for _, curve in rows]
        for end, name in enumerate(("low", "high")):
            column[f"{metric}_{name}"] = np.concatenate([e[end] for e in ends])
    n_host = 0 if display.host is None else 1
    beaten = [*display.dominated.values(), np.zeros(n_host, dtype=bool)]
    column["dominated"] = np.concatenate(beaten)
    marked = np.arange(len(column["dominated"])) == display.marked
    return column | {"marked": marked}


def _points(display):
    points = np.concatenate([c.points for c in display.curves.values()]).tolist()
    return points if display.host is None else [*points, None]


def _interval(curve, axis):
    interval = curve.get(f"{axis}_interval")
    return np.full((2, len(curve[axis])), np.nan) if interval is None else interval
