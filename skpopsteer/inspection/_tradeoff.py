"""What one metric costs in another, at every strength."""

from types import SimpleNamespace

from skpopsteer.inspection import _frontier, _plotting
from skpopsteer.inspection import _tradeoff_drawing as drawing
from skpopsteer.inspection import _tradeoff_scores as scoring
from skpopsteer.inspection._display_inputs import check_mapping, check_number
from skpopsteer.metrics._bootstrap import check_n_boot

__all__ = ["TradeOffDisplay"]


class TradeOffDisplay:
    r"""Trade-off of two metrics along the strength of a recommender.

    The points of a curve that no other point of it beats are joined, those that are
    beaten are grey. Use :meth:`from_estimator`, :meth:`from_predictions` or
    :meth:`from_search` to make one; each draws it, and :meth:`plot` draws it again
    without computing anything.

    Parameters
    ----------
    curves : dict of str to dict
        The recommender first, then its baselines. Each holds `points` of shape
        (n_points,), what was turned; `x` and `y` of shape (n_points,), scores;
        and, or None, `x_interval` and `y_interval` of shape (2, n_points), low and
        high ends.
    x_metric, y_metric : str
        Names of the metrics as of :func:`~skpopsteer.metrics.get_scorer`. Scores are
        as scorers give them: higher is better, losses are negative. Axes show losses
        positive, and say in words which end is which.
    host : dict, default=None
        The recommender that nothing was done to: `x`, `y` of shape (1,), and
        intervals, as in `curves`.
    reference : tuple of float, default=None
        Scores (x, y) that the hypervolume is measured from. None is the worst `x` and
        the worst `y` among all points of the display: then volumes compare the curves
        of this display only.
    point_name : str, default="strength"
        What `points` hold.
    interval_name : str, default=None
        What the intervals are, for the legend.
    marked : int, default=None
        Position of the chosen point in the first curve.

    Attributes
    ----------
    dominated : dict of str to ndarray of shape (n_points,), dtype bool
        True where another point of the same curve is at least as good at both metrics
        and better at one.
    hypervolume : dict of str to float
        Of each curve, see Notes.
    ax_ : matplotlib Axes
        Axes of the last plot.
    figure_ : matplotlib Figure
        Figure of the last plot.
    lines_ : dict of str to Line2D
        The joined points of each curve.
    dominated_ : dict of str to Line2D
        The grey points of each curve.
    bands_ : dict of str to PathPatch
        The intervals of each curve that has some.
    host_ : Line2D or None
        The host.
    mark_ : Line2D or None
        The ring around the chosen point.

    See Also
    --------
    skpopsteer.steering.steering_path : The same scores as arrays.

    Notes
    -----
    The hypervolume of points :math:`P` over the reference :math:`r` is the area of
    what they beat [1]_,

    .. math::
        HV(P, r) = \lambda\Big(\bigcup_{p \in P,\; p > r}
            [r_x, p_x] \times [r_y, p_y]\Big),

    in units of one metric times those of the other; points not above `r` in both add
    nothing. A curve with a larger one offers more of both.

    Intervals are 95 % of `n_boot` draws of the users with replacement, the same users
    for every point and curve, shifted to have the estimate as their mean; around a
    search, one standard error over its folds. The band joins the boxes of both
    intervals, so that it holds both metrics at once in at least 90 % of samples. Users
    are the same for all curves: two curves may differ surely where their bands overlap.

    References
    ----------
    .. [1] E. Zitzler and L. Thiele, "Multiobjective Evolutionary Algorithms: A
       Comparative Case Study and the Strength Pareto Approach", IEEE Transactions on
       Evolutionary Computation 3(4), 1999, doi:10.1109/4235.797969.
    .. [2] B. Efron and R. J. Tibshirani, "An Introduction to the Bootstrap", 1993,
       doi:10.1201/9780429246593.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from sklearn.decomposition import TruncatedSVD
    >>> from skpopsteer.adapters import as_recommender
    >>> from skpopsteer.datasets import make_interactions
    >>> from skpopsteer.inspection import TradeOffDisplay
    >>> from skpopsteer.model_selection import hide_interactions
    >>> from skpopsteer.rerankers import PopularityPenaltyReranker
    >>> X, y = hide_interactions(
    ...     make_interactions(200, 100, random_state=0).X, random_state=0
    ... )
    >>> host = as_recommender(TruncatedSVD(8, random_state=0).fit(X))
    >>> display = TradeOffDisplay.from_estimator(
    ...     PopularityPenaltyReranker(host).fit(X), X, y, strengths=[0, 0.1, 0.3],
    ...     n_boot=0, reference=(0, 0), ax=Figure().subplots(),
    ... )
    >>> display.dominated
    {'PopularityPenaltyReranker': array([False, False, False])}
    >>> display.to_frame().shape
    (4, 10)
    """

    def __init__(
        self,
        curves,
        *,
        x_metric,
        y_metric,
        host=None,
        reference=None,
        point_name="strength",
        interval_name=None,
        marked=None,
    ):
        curves = check_mapping("curves", curves, "curves")
        self.curves = {n: scoring.check_curve("curves", c) for n, c in curves.items()}
        for metric in (x_metric, y_metric):
            if not isinstance(metric, str):
                raise TypeError(
                    "`x_metric` and `y_metric` must be names of metrics; got "
                    f"{metric!r}. Write 'tail_share@10'."
                )
        self.x_metric = x_metric
        self.y_metric = y_metric
        self.host = None
        if host is not None:
            self.host = scoring.check_curve("host", host, has_points=False)
        drawn = [*self.curves.values(), *([] if host is None else [self.host])]
        self.reference = scoring.check_reference(reference, drawn)
        self.point_name = str(point_name)
        self.interval_name = None if interval_name is None else str(interval_name)
        if marked is not None:
            n_points = len(next(iter(self.curves.values())).x)
            if check_number("marked", marked) >= n_points:
                raise ValueError(
                    f"`marked` must be a position in the first curve, below {n_points};"
                    f" got {marked}. None marks no point."
                )
        self.marked = marked
        self.dominated = {
            name: _frontier.dominated(curve.x, curve.y)
            for name, curve in self.curves.items()
        }
        self.hypervolume = {
            name: _frontier.hypervolume(curve.x, curve.y, self.reference)
            for name, curve in self.curves.items()
        }

    @classmethod
    def from_estimator(
        cls,
        model,
        X,
        y,
        *,
        strengths,
        x_metric="tail_share",
        y_metric="ndcg",
        baselines=None,
        groups=None,
        name=None,
        mark=None,
        reference=None,
        n_boot=200,
        user_ids=None,
        random_state=None,
        ax=None,
    ):
        """Score a fitted model and its baselines at many strengths, and draw that.

        Parameters
        ----------
        model : fitted recommender with a strength
            A :class:`~skpopsteer.steering.SteeredRecommender` or a reranker. Its
            popularity and its groups of items are the yardstick of all curves.
        X : array-like or sparse of shape (n_users, n_items)
            Interactions the recommenders see.
        y : sparse of shape (n_users, n_items), array-like of shape (n_users,) or \
HeldOut
            Held-out interactions.
        strengths : array-like of shape (n_strengths,)
            Used as in ``recommend(strength=...)``.
        x_metric, y_metric : str or RecommenderScorer, default="tail_share" and "ndcg"
            Metrics of the axes; without a length, that of the model's own lists.
        baselines : dict of str to tuple, default=None
            Names to ``(model, strengths)``: what the curve is compared with.
        groups : PopularityGroups, default=None
            What counts as head and tail for all curves; None takes the model's own.
        name : str, default=None
            What to call the model; None is its class.
        mark : float, default=None
            The one of `strengths` that was chosen.
        reference : tuple of float, default=None
            Of the hypervolume, as in the class.
        n_boot : int, default=200
            Draws of users behind the bands; 0 draws none.
        user_ids : array-like of shape (n_users,), default=None
            Positions of trained users, for all recommenders; None folds every row in.
        random_state : int, RandomState instance or None, default=None
            Seed of the draws.
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.

        Returns
        -------
        TradeOffDisplay
            Drawn.

        Notes
        -----
        Each model encodes the rows once for all its strengths, and the host once more.
        The bootstrap costs `n_boot` looks at the lists per point.
        """
        _plotting.require_matplotlib()
        n_boot = check_n_boot(n_boot)
        name = type(model).__name__ if name is None else name
        paths = scoring.check_paths(name, (model, strengths), baselines)
        marked = scoring.position_of(mark, paths[str(name)][1])
        length = model.n_recommendations
        scorer = scoring.pair_scorer(x_metric, y_metric, groups, length)
        length = scorer.length(model)
        lists = {
            key: scoring.path_lists(*path, X, length, user_ids)
            for key, path in paths.items()
        }
        host = getattr(model, "recommender_", None)
        if host is not None:
            host = host.recommend(X, length, user_ids=user_ids)
        curves, host = scoring.curves_of_lists(
            scorer, model, X, y, lists, host, n_boot, random_state
        )
        return cls._of_users(scorer, curves, host, reference, marked, n_boot).plot(ax)

    @classmethod
    def from_predictions(
        cls,
        X,
        y,
        recommendations,
        *,
        x_metric="tail_share",
        y_metric="ndcg",
        baselines=None,
        host=None,
        item_popularity=None,
        groups=None,
        name="recommender",
        mark=None,
        reference=None,
        n_boot=200,
        random_state=None,
        ax=None,
    ):
        """Score lists that have been made already, and draw that.

        Parameters
        ----------
        X, y : see :meth:`from_estimator`
            As there.
        recommendations : dict of float to array-like of int, shape (n_users, n)
            Lists at each strength: item positions, best first; -1 pads short lists.
        x_metric, y_metric : see :meth:`from_estimator`
            Without a length, that of the lists.
        baselines : dict of str to dict, default=None
            Names to what `recommendations` is.
        host : array-like of int, shape (n_users, n), default=None
            Lists of the host.
        item_popularity : array-like of shape (n_items,), default=None
            Interactions per item; None counts them in `X`.
        groups : PopularityGroups, default=None
            What counts as head and tail; None is ``PopularityGroups()``.
        name : str, default="recommender"
            What to call `recommendations`.
        mark, reference, n_boot, random_state, ax : see :meth:`from_estimator`
            As there.

        Returns
        -------
        TradeOffDisplay
            Drawn.
        """
        _plotting.require_matplotlib()
        n_boot = check_n_boot(n_boot)
        lists = scoring.with_baselines(name, recommendations, baselines)
        width = scoring.width_of(recommendations)
        scorer = scoring.pair_scorer(x_metric, y_metric, groups, width)
        yardstick = SimpleNamespace(n_recommendations=width)
        if item_popularity is not None:
            known = _plotting.popularity_of(X, item_popularity)
            yardstick.item_popularity_ = known
        marked = scoring.position_of(mark, list(recommendations))
        curves, host = scoring.curves_of_lists(
            scorer, yardstick, X, y, lists, host, n_boot, random_state
        )
        return cls._of_users(scorer, curves, host, reference, marked, n_boot).plot(ax)

    @classmethod
    def from_search(cls, search, *, x_metric, y_metric, reference=None, ax=None):
        """Draw the candidates of a search that scored several metrics.

        Parameters
        ----------
        search : fitted search of scikit-learn
            Such as ``GridSearchCV(model, grid, scoring=get_scorer([...]), refit=...)``;
            its chosen candidate is marked.
        x_metric, y_metric : str
            Two of its metrics, by the names it knows them by.
        reference, ax : see :meth:`from_estimator`
            As there.

        Returns
        -------
        TradeOffDisplay
            Drawn. Intervals are one standard error over the folds, around the means.
        """
        _plotting.require_matplotlib()
        curve, point_name = scoring.scores_of_search(search, x_metric, y_metric)
        return cls(
            {type(search.estimator).__name__: curve},
            x_metric=x_metric,
            y_metric=y_metric,
            reference=reference,
            point_name=point_name,
            interval_name=f"± 1 standard error over {search.n_splits_} folds",
            marked=getattr(search, "best_index_", None),
        ).plot(ax)

    def plot(self, ax=None, *, annotate=True):
        """Draw what has been computed.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.
        annotate : bool, default=True
            Write the strength beside the joined points of the first curve.

        Returns
        -------
        self : TradeOffDisplay
            With `ax_`, `figure_` and the artists.
        """
        (self.ax_,) = _plotting.axes_for(ax, size=(6.4, 4.8))
        self.figure_ = self.ax_.figure
        sign = drawing.signs(self)
        self.lines_, self.dominated_, self.bands_ = {}, {}, {}
        for position, (name, curve) in enumerate(self.curves.items()):
            self.lines_[name], self.dominated_[name], band = drawing.draw_curve(
                self.ax_, curve, self.dominated[name], sign, position=position,
                label=f"{name} (HV {self.hypervolume[name]:#.3g})",
            )  # fmt: skip
            if band is not None:
                self.bands_[name] = band
        self.host_ = self.mark_ = None
        if self.host is not None:
            self.host_ = drawing.draw_host(self.ax_, self.host, sign)
        drawing.finish(self, sign, annotate)
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
            One row per point: the recommender, what was turned, both metrics as
            scorers give them, with the ends of their intervals, and whether the point
            is dominated or marked. The host comes last.
        """
        return _plotting.frame(backend, drawing.columns(self))

    @classmethod
    def _of_users(cls, scorer, curves, host, reference, marked, n_boot):
        x_metric, y_metric = scorer.metrics
        return cls(
            curves,
            x_metric=x_metric,
            y_metric=y_metric,
            host=host,
            reference=reference,
            interval_name="95 % interval, bootstrap over users" if n_boot else None,
            marked=marked,
        )
