"""How often probabilities of relevance are right, beside what they say."""

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skpopsteer._validation import is_finite_number
from skpopsteer.inspection import _plotting
from skpopsteer.inspection._display_inputs import check_column

__all__ = ["ReliabilityDisplay"]

#: Half the width of a 95 % interval, in standard errors.
_WIDTH = 1.96


class ReliabilityDisplay:
    """Probabilities of a calibrator beside shares of hits.

    Use :meth:`from_estimator` to make one; it draws it, and :meth:`plot` draws it
    again.

    Parameters
    ----------
    predicted : array-like of shape (n_bins,)
        Mean probability of the items of a bin, ascending.
    observed : array-like of shape (n_bins,)
        Share of them that were held out.
    count : array-like of shape (n_bins,)
        Items of a bin.
    brier_score, brier_reference : float, default=None
        Mean squared error of the probabilities, and that of one for all items.

    Attributes
    ----------
    low, high : ndarray of shape (n_bins,)
        Ends of 95 % intervals of `observed`, items taken for independent.
    ax_ : matplotlib Axes
        Axes of the last plot.
    figure_ : matplotlib Figure
        Figure of the last plot.

    See Also
    --------
    skpopsteer.steering.RelevanceCalibrator : Makes the probabilities.

    Notes
    -----
    Both axes are logarithmic, for probabilities of items reach from one in a thousand
    to one in two. Every bin holds an equal share of the expected hits. A bin without
    hits stands at the foot of its interval.

    References
    ----------
    .. [1] M. H. DeGroot and S. E. Fienberg, "The Comparison and Evaluation of
       Forecasters", The Statistician 32, 1983, doi:10.2307/2987588.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from sklearn.decomposition import TruncatedSVD
    >>> from skpopsteer import RelevanceCalibrator, as_recommender
    >>> from skpopsteer.datasets import make_interactions
    >>> from skpopsteer.inspection import ReliabilityDisplay
    >>> from skpopsteer.model_selection import hide_interactions
    >>> X, y = hide_interactions(
    ...     make_interactions(300, 100, random_state=0).X, random_state=0
    ... )
    >>> host = as_recommender(TruncatedSVD(8, random_state=0).fit(X))
    >>> model = RelevanceCalibrator(host, pool_size=50, random_state=0).fit(X, y)
    >>> display = ReliabilityDisplay.from_estimator(model, ax=Figure().subplots())
    >>> len(display.predicted) == len(display.observed)
    True
    """

    def __init__(
        self, predicted, observed, count, *, brier_score=None, brier_reference=None
    ):
        columns = {"predicted": predicted, "observed": observed, "count": count}
        columns = {n: check_column(n, column) for n, column in columns.items()}
        shapes = {column.shape for column in columns.values()}
        if len(shapes) > 1 or (0,) in shapes:
            raise ValueError(
                "`predicted`, `observed` and `count` must be 1-D and equally long, a "
                f"bin at least; got shapes {sorted(shapes)}. "
                "RelevanceCalibrator.reliability_ holds them."
            )
        self.predicted = columns["predicted"].astype(np.float64)
        self.observed = columns["observed"].astype(np.float64)
        self.count = columns["count"]
        _require_within("predicted", self.predicted, (self.predicted > 0).all(), 1)
        _require_within("observed", self.observed, (self.observed >= 0).all(), 1)
        _require_within("count", self.count, (self.count >= 1).all(), np.inf)
        self.brier_score = _check_brier("brier_score", brier_score)
        self.brier_reference = _check_brier("brier_reference", brier_reference)
        # Of the probability, not of the share: no hits are no certainty.
        error = np.sqrt(self.predicted * (1 - self.predicted) / self.count)
        self.low = np.clip(self.observed - _WIDTH * error, 0.0, 1.0)
        self.high = np.clip(self.observed + _WIDTH * error, 0.0, 1.0)

    @classmethod
    def from_estimator(cls, model, *, ax=None):
        """Draw what a calibrator found of users it had not seen.

        Parameters
        ----------
        model : fitted RelevanceCalibrator or SlotPricingRecommender
            The latter holds a calibrator.
        ax : matplotlib Axes, default=None
            Axes to draw on; None makes a figure.

        Returns
        -------
        ReliabilityDisplay
        """
        _plotting.require_matplotlib()
        model = getattr(model, "calibrator_", model)
        if not hasattr(model, "predict_relevance"):
            raise TypeError(
                "`model` must be a fitted RelevanceCalibrator; got "
                f"{type(model).__name__}. Fit one on held-out interactions."
            )
        check_is_fitted(model)
        found = model.reliability_
        display = cls(
            found.predicted, found.observed, found.count,
            brier_score=model.brier_score_, brier_reference=model.brier_reference_,
        )  # fmt: skip
        return display.plot(ax=ax)

    def plot(self, ax=None):
        """Draw the curve.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on; None makes a figure.

        Returns
        -------
        ReliabilityDisplay
            This display.
        """
        (ax,) = _plotting.axes_for(ax, size=(4.8, 4.4))
        style = _plotting.style_of(0)
        shown = np.concatenate([self.predicted, self.observed[self.observed > 0]])
        ends = shown.min() / 1.5, min(shown.max() * 1.5, 1.0)
        ax.plot(ends, ends, color=_plotting.GREY, linewidth=1, label="as often as said")
        floor = np.maximum(self.observed, ends[0])
        ax.errorbar(
            self.predicted, floor,
            yerr=[
                floor - np.maximum(self.low, ends[0]),
                np.maximum(self.high, floor) - floor,
            ],
            color=style["color"], marker=style["marker"], markersize=5, linewidth=1.2,
            capsize=2, label="users not seen, 95 % interval",
        )  # fmt: skip
        ax.set(
            xscale="log", yscale="log", xlim=ends, ylim=ends,
            xlabel="Probability of relevance\n(mean of a bin)",
            ylabel="Share of items that were held out",
        )  # fmt: skip
        if self.brier_score is not None:
            title = f"Brier score {self.brier_score:.4f}"
            if self.brier_reference is not None:
                title += f", {self.brier_reference:.4f} with one for all"
            ax.set_title(title, fontsize="medium")
        _plotting.dismiss_spines(ax)
        ax.legend(frameon=False, fontsize="small")
        self.ax_, self.figure_ = ax, ax.figure
        return self


def _require_within(name, values, is_above, most):
    if not is_above or not (values <= most).all():
        form = "numbers of items" if name == "count" else "shares, above 0 if predicted"
        raise ValueError(
            f"`{name}` must hold {form}; got {values.min():g} to {values.max():g}. "
            "RelevanceCalibrator.reliability_ holds them."
        )


def _check_brier(name, value):
    if value is not None and not is_finite_number(value):
        raise ValueError(
            f"`{name}` must be a number or None; got {value!r}. RelevanceCalibrator "
            "has it under the same name, with an underscore."
        )
    return value
