"""Which neurons tell the groups apart, and by how much."""

from numbers import Integral

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skpopsteer._compat import import_optional
from skpopsteer._validation import as_array
from skpopsteer.inspection import _plotting
from skpopsteer.inspection._display_inputs import check_number
from skpopsteer.neurons import cohens_d

__all__ = ["EffectSizeDisplay"]

#: Neurons higher in the head group, lower in it, and left alone.
_COLORS = {"high": "#d55e00", "low": "#0072b2", "rest": "#c4c4c4"}
_FONT_SIZE = 8


class EffectSizeDisplay:
    """Effect size of every neuron, sorted, with the selected ones coloured.

    Use :meth:`from_estimator` or :meth:`from_predictions` to make one; each draws it,
    and :meth:`plot` draws it again without computing anything.

    Parameters
    ----------
    scores : array-like of shape (n_neurons,)
        Signed effect sizes, positive where `group` is higher.
    selected : array-like of shape (n_neurons,), dtype bool, default=None
        Neurons that are steered; None are all with a score other than 0.
    silent : array-like of shape (n_neurons,), dtype bool, default=None
        Neurons that never fire; None marks none.
    labels : dict of int to str, or list of str of length n_neurons, default=None
        What to call neurons; None, and neurons a dict leaves out, go by their number.
    score_name : str, default="Effect size"
        What the scores are, with their unit.
    group : str, default="head"
        The group of rows where a positive score is higher.

    Attributes
    ----------
    order : ndarray of shape (n_neurons,), dtype int64
        Neurons from the highest score to the lowest, as they stand from left to right.
    ax_ : matplotlib Axes
        Axes of the last plot.
    figure_ : matplotlib Figure
        Figure of the last plot.
    bars_ : dict of str to PolyCollection
        Bars of the selected neurons that are "high" or "low" in the group, and of
        the "rest"; neurons with a score of 0 have none.
    silent_ : Line2D
        Marks of the silent neurons.
    texts_ : list of Annotation
        Names of the largest effects.

    See Also
    --------
    skpopsteer.neurons.cohens_d : The effect size of the popularity neurons.

    Notes
    -----
    O(n_neurons log n_neurons).

    References
    ----------
    .. [1] J. Cohen, "Statistical Power Analysis for the Behavioral Sciences", 2nd ed.,
       1988, doi:10.4324/9780203771587.
    .. [2] P. Ahmadov and M. Mansoury, "Opening the Black Box: Interpretable Remedies
       for Popularity Bias in Recommender Systems", RecSys 2025, arXiv:2508.17297.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from skpopsteer.inspection import EffectSizeDisplay
    >>> display = EffectSizeDisplay.from_predictions(
    ...     [0.2, -1.5, 0.9], labels={1: "documentaries"}, ax=Figure().subplots()
    ... )
    >>> display.order
    array([2, 0, 1])
    >>> [text.get_text() for text in display.texts_]
    ['neuron 2', 'neuron 0', 'documentaries']
    """

    def __init__(
        self,
        scores,
        *,
        selected=None,
        silent=None,
        labels=None,
        score_name="Effect size",
        group="head",
    ):
        self.scores = _check_scores(scores)
        n_neurons = len(self.scores)
        self.selected = _check_mask("selected", selected, n_neurons)
        if selected is None:
            self.selected = self.scores != 0
        self.silent = _check_mask("silent", silent, n_neurons)
        self.labels = _check_labels(labels, n_neurons)
        self.score_name = score_name
        self.group = group
        self.order = np.argsort(-self.scores, kind="stable")

    @classmethod
    def from_estimator(
        cls, estimator, *, side="user", labels=None, group="head", n_labels=5, ax=None
    ):
        """Draw the effect sizes of a fitted selector, or of a steered recommender.

        Parameters
        ----------
        estimator : fitted estimator
            With `scores_` and `get_support`; or with a `selector_` that has them.
        side : {"user", "item"}, default="user"
            Of a steered recommender: whose selector.
        labels, group : see :class:`EffectSizeDisplay`
            As there.
        n_labels, ax : see :meth:`plot`
            As there.

        Returns
        -------
        EffectSizeDisplay
            Drawn.
        """
        _plotting.require_matplotlib()
        selector = _selector_of(estimator, side)
        function = getattr(selector, "score_func", None)
        name = getattr(function, "__name__", "effect size").replace("_", " ")
        if function is cohens_d:
            name = "Cohen's d, in standard deviations"
        return cls(
            selector.scores_,
            selected=selector.get_support(),
            silent=getattr(selector, "silent_neurons_", None),
            labels=labels,
            score_name=name,
            group=group,
        ).plot(ax, n_labels=n_labels)

    @classmethod
    def from_predictions(
        cls,
        scores,
        *,
        selected=None,
        silent=None,
        labels=None,
        score_name="Effect size",
        group="head",
        n_labels=5,
        ax=None,
    ):
        """Draw effect sizes that have been computed already.

        Parameters
        ----------
        scores, selected, silent, labels : see :class:`EffectSizeDisplay`
            As there.
        score_name, group : see :class:`EffectSizeDisplay`
            As there.
        n_labels, ax : see :meth:`plot`
            As there.

        Returns
        -------
        EffectSizeDisplay
            Drawn.
        """
        _plotting.require_matplotlib()
        display = cls(
            scores, selected=selected, silent=silent, labels=labels,
            score_name=score_name, group=group,
        )  # fmt: skip
        return display.plot(ax, n_labels=n_labels)

    def plot(self, ax=None, *, n_labels=5):
        """Draw what has been computed.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.
        n_labels : int, default=5
            Selected neurons to name at either end, largest effects first.

        Returns
        -------
        self : EffectSizeDisplay
            With `ax_`, `figure_` and the artists.
        """
        n_labels = check_number("n_labels", n_labels)
        (self.ax_,) = _plotting.axes_for(ax, size=(6.4, 4.2))
        ax, self.figure_ = self.ax_, self.ax_.figure
        self.bars_ = {name: self._draw_bars(name) for name in _COLORS}
        silent = np.flatnonzero(self.silent[self.order])
        (self.silent_,) = ax.plot(
            silent, self.scores[self.order[silent]], "x", color="black", markersize=4,
            markeredgewidth=0.8, label=f"never fires ({len(silent)})",
        )  # fmt: skip
        ax.axhline(0, color="black", linewidth=0.8)
        ax.autoscale_view()
        ax.set(
            xlabel="Neurons, from the highest effect to the lowest",
            ylabel=f"{self.score_name}\n(positive: higher for the {self.group})",
        )
        _plotting.dismiss_spines(ax, grid="y")
        self.texts_ = self._write_names(n_labels)
        handles = [bars for bars in self.bars_.values() if len(bars.get_paths())]
        handles += [self.silent_] if len(silent) else []
        # Descending scores leave the upper right free.
        ax.legend(handles=handles, fontsize=_FONT_SIZE, loc="upper right")
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
            One row per neuron, from the highest score to the lowest.
        """
        order = self.order
        columns = {
            "neuron": order,
            "label": [self._name(j) for j in order],
            "score": self.scores[order],
            "selected": self.selected[order],
            "silent": self.silent[order],
        }
        return _plotting.frame(backend, columns)

    def _draw_bars(self, name):
        collections = import_optional("matplotlib.collections", "plot")
        side = {"high": self.scores > 0, "low": self.scores < 0}.get(name)
        chosen = ~self.selected if side is None else self.selected & side
        chosen &= self.scores != 0
        place = np.flatnonzero(chosen[self.order])
        height = self.scores[self.order[place]]
        zero = np.zeros(len(place))
        # One collection for all: a thousand patches take a second to draw.
        # The edge keeps a bar visible that is narrower than a pixel.
        half = 0.5 if len(self.scores) > 60 else 0.4
        left, right = place - half, place + half
        corners = [(left, zero), (left, height), (right, height), (right, zero)]
        words = {
            "high": f"selected, higher for the {self.group}",
            "low": f"selected, lower for the {self.group}",
            "rest": "not selected",
        }
        bars = collections.PolyCollection(
            np.stack([np.column_stack(c) for c in corners], axis=1),
            facecolor=_COLORS[name], edgecolor=_COLORS[name], linewidth=0.5,
            label=f"{words[name]} ({len(place)})",
        )  # fmt: skip
        self.ax_.add_collection(bars)
        return bars

    def _write_names(self, n_labels):
        """Name the largest effects in columns beside the bars, with a line to each."""
        ax, scores = self.ax_, self.scores[self.order]
        chosen = self.selected[self.order]
        high = np.flatnonzero(chosen & (scores > 0))[:n_labels]
        low = np.flatnonzero(chosen & (scores < 0))[::-1][:n_labels]
        left, right = self._make_room(high), self._make_room(low)
        n, free = len(scores), 1 - left - right
        ax.set_xlim(-0.5 - n * left / free, n - 0.5 + n * right / free)
        ax.set_xticks([tick for tick in ax.get_xticks() if 0 <= tick <= n])
        ends = ((high, left - 0.02, 1), (low, 1 - right + 0.02, -1))
        return [text for end in ends for text in self._write_column(*end)]

    def _make_room(self, places):
        """Share of the width that the names take."""
        longest = max(
            (len(self._name(self.order[place])) for place in places), default=0
        )
        width = self.ax_.get_position().width * self.figure_.get_figwidth() * 72
        return min(0.35, 0.04 + 0.55 * _FONT_SIZE * longest / width)

    def _write_column(self, places, column, side):
        low, high = self.ax_.get_ylim()
        tips = self.scores[self.order[places]]
        height = self.ax_.get_position().height * self.figure_.get_figheight() * 72
        heights = _spread((tips - low) / (high - low), 1.35 * _FONT_SIZE / height, side)
        return [
            self.ax_.annotate(
                self._name(self.order[place]), xy=(place, tip),
                xytext=(column, height), textcoords="axes fraction",
                ha="right" if side > 0 else "left", va="center", fontsize=_FONT_SIZE,
                arrowprops={
                    "arrowstyle": "-", "color": "#444444", "linewidth": 0.5,
                    "shrinkA": 1, "relpos": (1 if side > 0 else 0, 0.5), "shrinkB": 0,
                },
            )
            for place, tip, height in zip(places, tips, heights, strict=True)
        ]  # fmt: skip

    def _name(self, neuron):
        return self.labels.get(int(neuron), f"neuron {neuron}")


def _spread(heights, gap, side):
    """Move texts inward until each keeps its distance to the one further out."""
    moved = []
    for height in heights:
        furthest = height if not moved else moved[-1] - side * gap
        moved.append(min(height, furthest) if side > 0 else max(height, furthest))
    return moved


def _selector_of(estimator, side):
    if not isinstance(side, str) or side not in ("user", "item"):
        raise ValueError(
            f"`side` must be 'user' or 'item'; got {side!r}. "
            "It names the selector of a steered recommender."
        )
    name = "selector_" if side == "user" else "item_selector_"
    if not hasattr(estimator, "scores_"):
        check_is_fitted(estimator)
        # The recommender's own message says which side it was fitted on.
        owner = hasattr(type(estimator), name)
        estimator = getattr(estimator, name) if owner else estimator
    if not hasattr(estimator, "scores_") or not hasattr(estimator, "get_support"):
        raise TypeError(
            "`estimator` must be a fitted selector of neurons, or a recommender with "
            f"one; got {type(estimator).__name__}. Pass model.selector_."
        )
    return estimator


def _check_scores(scores):
    table = as_array("scores", scores)
    if table.dtype.kind not in "fiu":
        raise TypeError(
            f"`scores` must be numbers, one per neuron; got dtype {table.dtype}. Pass "
            "selector.scores_."
        )
    with np.errstate(over="ignore"):
        scores = table.astype(np.float64)
    if scores.ndim != 1 or not len(scores) or not np.isfinite(scores).all():
        raise ValueError(
            "`scores` must be a 1-D array of finite numbers, one per neuron; got shape "
            f"{scores.shape}{' with NaN or inf' if scores.ndim == 1 else ''}. "
            "Pass selector.scores_."
        )
    return scores


def _check_mask(name, mask, n_neurons):
    if mask is None:
        return np.zeros(n_neurons, dtype=bool)
    mask = np.array(as_array(name, mask))
    if mask.shape != (n_neurons,) or mask.dtype != bool:
        raise ValueError(
            f"`{name}` must hold True or False per neuron ({n_neurons}); got shape "
            f"{mask.shape} and dtype {mask.dtype}. Pass a mask, not positions."
        )
    return mask


def _check_labels(labels, n_neurons):
    if labels is None:
        return {}
    if isinstance(labels, dict):
        for neuron in labels:
            _check_neuron(neuron, n_neurons)
        return {int(neuron): str(label) for neuron, label in labels.items()}
    if isinstance(labels, str) or np.ndim(as_array("labels", labels)) != 1:
        raise TypeError(
            f"`labels` must be one per neuron ({n_neurons}), or a dict of neurons to "
            f"labels; got {type(labels).__name__}. Use a dict to name some."
        )
    labels = list(labels)
    if len(labels) != n_neurons:
        raise ValueError(
            f"`labels` must be one per neuron ({n_neurons}), or a dict of neurons to "
            f"labels; got {len(labels)}. Use a dict to name some."
        )
    return {neuron: str(label) for neuron, label in enumerate(labels)}


def _check_neuron(neuron, n_neurons):
    number = isinstance(neuron, Integral) and not isinstance(neuron, bool)
    if not number or not 0 <= neuron < n_neurons:
        raise ValueError(
            f"`labels` must name neurons, 0 to {n_neurons - 1}; got {neuron!r}. The "
            "columns of transform are the neurons."
        )
