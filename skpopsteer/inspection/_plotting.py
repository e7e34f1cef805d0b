"""What the displays share: axes, colours, words on axes, checks of their input.

matplotlib is imported inside functions; no backend and no rcParams is ever changed.
"""

from collections.abc import Mapping

import numpy as np

from skpopsteer._compat import import_frame_library, import_optional
from skpopsteer._validation import as_interactions, check_popularity
from skpopsteer.popularity import item_popularity

#: Okabe and Ito's colours, safe for the colour-blind; marker, dash and hatch tell the
#: curves apart in grey too.
STYLES = (
    {"color": "#0072b2", "marker": "o", "linestyle": "-", "hatch": ""},
    {"color": "#d55e00", "marker": "s", "linestyle": "--", "hatch": "//"},
    {"color": "#009e73", "marker": "^", "linestyle": "-.", "hatch": ".."},
    {"color": "#cc79a7", "marker": "D", "linestyle": ":", "hatch": "xx"},
    {"color": "#e69f00", "marker": "v", "linestyle": (0, (5, 1)), "hatch": "\\\\"},
    {"color": "#56b4e9", "marker": "P", "linestyle": (0, (1, 1)), "hatch": "++"},
)
GREY = "#8c8c8c"

#: What a metric is called on an axis, its unit, and what its better end means.
_METRICS = {
    "ndcg": ("NDCG", "higher is more accurate"),
    "recall": ("Recall", "higher is more accurate"),
    "precision": ("Precision", "higher is more accurate"),
    "hit_rate": ("Hit rate", "higher is more accurate"),
    "mrr": ("Reciprocal rank", "higher is more accurate"),
    "map": ("Average precision", "higher is more accurate"),
    "coverage": ("Share of the catalogue recommended", "higher is more of it"),
    "entropy": ("Entropy of exposure, in nats", "higher is more equal"),
    "novelty": ("Novelty, in bits", "higher is rarer"),
    "tail_share": ("Share of tail items in a list", "higher is more tail"),
    "tail_coverage": ("Share of the tail recommended", "higher is more of it"),
    "average_tail_items": ("Tail items per list", "higher is more tail"),
    "gini": ("Gini of exposure", "lower is more equal"),
    "average_popularity": (
        "Average popularity, in interactions per item",
        "lower is rarer",
    ),
    "popularity_lift": ("Popularity lift", "0 is as popular as the history"),
}


def style_of(position):
    """Return the style of the curve at a position, from the start again after six."""
    return STYLES[position % len(STYLES)]


def is_loss(metric):
    """Tell whether a scorer's name says that its figures are negative losses."""
    return metric.startswith("neg_")


def metric_label(metric):
    """Word a scorer's name for an axis, with the length of the lists and its sense."""
    name, _, length = metric.removeprefix("neg_").partition("@")
    sense = "lower is better" if is_loss(metric) else "higher is better"
    words, sense = _METRICS.get(name, (name.replace("_", " "), sense))
    what, comma, unit = words.partition(",")
    if length:
        what += f" @{length}" if " " in what else f"@{length}"
    return f"{what}{comma}{unit}\n({sense})"


def require_matplotlib():
    """Fail before anything is computed where nothing could be drawn."""
    import_optional("matplotlib", "plot")


def axes_for(ax, n_axes=1, *, size):
    """Return axes to draw on: the caller's, or those of a new figure.

    Parameters
    ----------
    ax : Axes, array-like of Axes or None
        As many as `n_axes`; None makes a figure.
    n_axes : int, default=1
        Number of axes, side by side in a new figure.
    size : tuple of float
        Width and height of a new figure, in inches.

    Returns
    -------
    ndarray of Axes of shape (n_axes,)
    """
    require_matplotlib()
    if ax is None:
        plt = import_optional("matplotlib.pyplot", "plot")
        _, axes = plt.subplots(
            1, n_axes, figsize=size, layout="constrained", squeeze=False
        )
        return axes[0]
    axes = np.atleast_1d(np.asarray(ax, dtype=object)).ravel()
    if len(axes) != n_axes or not all(hasattr(one, "add_artist") for one in axes):
        wanted = "one Axes" if n_axes == 1 else f"an array of {n_axes} Axes"
        raise ValueError(
            f"`ax` must be {wanted} of matplotlib, or None; got {type(ax).__name__} "
            f"of {len(axes)}. plt.subplots(1, {n_axes})[1] makes it."
        )
    return axes


def dismiss_spines(ax, grid="both"):
    """Leave out the frame where nothing is read from it, and draw a light grid."""
    ax.spines[["top", "right"]].set_visible(False)
    # The caller's rcParams may draw a grid on either axis already.
    ax.grid(visible=False)
    ax.grid(visible=True, axis=grid, alpha=0.3, linewidth=0.6)
    ax.set_axisbelow(True)


def named(name, value, what):
    """Return a dict of names to recommenders, or to lists; a lone one is named too."""
    if not isinstance(value, Mapping):
        # A lone estimator has a class to be called by; a lone array has not.
        alone = "recommender" if hasattr(value, "__len__") else type(value).__name__
        return {alone: value}
    if not value:
        raise ValueError(
            f"`{name}` must be {what}, or a dict of names to such; got an empty dict. "
            "Name at least one."
        )
    return {str(key): one for key, one in value.items()}


def check_models(name, models):
    """Return a dict of names to fitted recommenders."""
    models = named(name, models, "a fitted recommender")
    for model in models.values():
        if not hasattr(model, "recommend"):
            raise TypeError(
                f"`{name}` must be a fitted recommender, or a dict of names to such; "
                f"got {type(model).__name__}. Wrap a trained model in as_recommender."
            )
    return models


def popularity_of(X, popularity):
    """Count interactions per item, unless the caller has."""
    X = as_interactions("X", X)
    if popularity is None:
        return item_popularity(X)
    popularity = check_popularity("item_popularity", popularity)
    if len(popularity) != X.shape[1]:
        raise ValueError(
            f"`item_popularity` must hold one number per column of `X` ({X.shape[1]}); "
            f"got {len(popularity)}. Use the same catalogue for both."
        )
    return popularity


def frame(backend, columns):
    """Make a data frame of named columns."""
    return import_frame_library(backend).DataFrame(columns)
