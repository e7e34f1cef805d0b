"""Several recommenders side by side on the same users."""

from dataclasses import dataclass
from html import escape

import numpy as np

from skpopsteer import metrics
from skpopsteer._compat import import_frame_library
from skpopsteer._text_table import align_columns
from skpopsteer._validation import as_interactions
from skpopsteer.inspection._compare_families import has_strengths
from skpopsteer.inspection._compare_levels import compare_levels
from skpopsteer.inspection._display_inputs import check_groups
from skpopsteer.inspection._plotting import check_models
from skpopsteer.metrics._lists import check_split
from skpopsteer.popularity import item_popularity

__all__ = ["Comparison", "compare"]


@dataclass(frozen=True)
class Comparison:
    """Table of :func:`compare`: prints as text, shows as HTML, becomes a frame.

    Parameters
    ----------
    names : list of str
        Rows: the recommenders.
    columns : list of str
        Measures, with the length of the lists.
    values : ndarray of shape (n_recommenders, n_measures)
        The figures.
    convention : str
        What was counted as head and tail, and how users were encoded.
    """

    names: list[str]
    columns: list[str]
    values: np.ndarray
    convention: str

    def __getitem__(self, column):
        """Return one measure of all recommenders, by name."""
        if column not in self.columns:
            raise KeyError(
                f"`column` must be one of {', '.join(self.columns)}; got {column!r}."
            )
        return self.values[:, self.columns.index(column)]

    def __str__(self):
        # Headers of two words stand in two lines: the table then fits a terminal.
        upper, lower = zip(*(_two_lines(name) for name in self.columns), strict=True)
        rows = [
            [name, *row] for name, row in zip(self.names, self._cells(), strict=True)
        ]
        rows = [["", *upper], ["", *lower], *rows]
        lines, rule = align_columns(rows)
        lines.insert(2, rule)
        return "\n".join([*lines, f"({self.convention})"])

    def _repr_html_(self):
        head = "".join(f"<th>{escape(c)}</th>" for c in ["", *self.columns])
        body = "".join(
            f"<tr><th>{escape(name)}</th>{''.join(f'<td>{c}</td>' for c in row)}</tr>"
            for name, row in zip(self.names, self._cells(), strict=True)
        )
        return (
            f"<table><caption>{escape(self.convention)}</caption>"
            f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
        )

    def to_frame(self, backend="pandas"):
        """Return the table as a data frame.

        Parameters
        ----------
        backend : {"pandas", "polars"}, default="pandas"
            Library of the frame.

        Returns
        -------
        DataFrame
            One row per recommender; the first column, ``"recommender"``, is its name.
        """
        frames = import_frame_library(backend)
        columns = dict(zip(self.columns, self.values.T, strict=True))
        return frames.DataFrame({"recommender": self.names, **columns})

    def _cells(self):
        # Average popularity counts interactions; all other measures lie in [0, 1].
        digits = [1 if name.startswith("average") else 4 for name in self.columns]
        return [
            [f"{value:.{n}f}" for value, n in zip(row, digits, strict=True)]
            for row in self.values
        ]


def _two_lines(column):
    first, _, rest = column.partition("_")
    return (first, rest) if rest else ("", first)


def compare(
    models,
    X,
    y,
    *,
    validation=None,
    levels=(0.99, 0.97, 0.95, 0.9, 0.8),
    host=None,
    n_recommendations=10,
    groups=None,
    attributes=None,
    user_ids=None,
    n_boot=200,
    random_state=None,
):
    r"""Measure accuracy and exposure of several recommenders on the same users.

    Of fitted recommenders as they are it makes one table with a row each. Where some
    have strengths to try, methods are compared at equal accuracy: at every level of the
    host's NDCG that is to be kept, each has the setting that does best.

    Parameters
    ----------
    models : dict of str to fitted recommender, tuple or list
        The rows of the table, in order: a recommender as it is; a pair ``(model,
        strengths)``, of which the best strength is chosen; or a list of such, the
        settings of one method, such as pairs that differ in ``keep_top``.
    X : sparse of shape (n_users, n_items)
        Interactions the recommenders see; popularity is counted from them.
    y : sparse of shape (n_users, n_items) or array-like of shape (n_users,)
        Held-out interactions.
    validation : tuple, default=None
        ``(X, y)`` or ``(X, y, user_ids)`` that settings are chosen on; figures are of
        the other `X` and `y`. For a slot pricing, users it was fitted on are
        optimistic: it keeps less accuracy on all others. None cuts the users in two
        random halves: each half gets the settings chosen on the other.
    levels : float or iterable of float, default=(0.99, 0.97, 0.95, 0.9, 0.8)
        Shares of the host's NDCG that are to be kept, in (0, 1].
    host : fitted recommender, default=None
        What accuracy is a share of; None is the `recommender_` of the models, which
        must be the same for all.
    n_recommendations : int, default=10
        Length of the lists, the same for all.
    groups : PopularityGroups, default=None
        What counts as tail; None is ``PopularityGroups()``. The table says it in words.
    attributes : dict, default=None
        Of the items, as for :func:`steering_specificity`: how far their shares move.
    user_ids : array-like of shape (n_users,), default=None
        Positions of trained users, for all recommenders. None folds every row in, which
        the table says: for BPR and LMF that is another recommender than the trained
        one.
    n_boot : int, default=200
        Draws of users for the intervals of methods with strengths; 0 draws none.
    random_state : int, RandomState instance or None, default=None
        Seed of the draws and of the halves.

    Returns
    -------
    Comparison or LevelComparison
        Without strengths: NDCG and recall (higher is more accurate), Gini (higher is
        less equal), coverage, tail coverage and tail share (higher is more of the
        catalogue, or of its tail), and average popularity in interactions per item.
        With strengths: NDCG kept, Gini, tail coverage at 1, 5 and 10 exposures, and
        tail share at every level, with intervals and paired tests; hypervolumes; NDCG
        kept by thirds of the users; what else moves.

    Raises
    ------
    ValueError
        For held-out items that are in `X` too. For models with strengths on different
        hosts, unless `host` is given, and where the host finds nothing. For
        `validation`, `host` or `attributes` where no model has strengths.

    See Also
    --------
    TradeOffDisplay : Whole curves of two metrics.
    steering_specificity : What else moves, at equal tail share.

    Notes
    -----
    With strengths. The accuracy of setting :math:`s` is its share of the host's,
    :math:`a_s = \mathrm{NDCG}_s / \mathrm{NDCG}_{host}`. For every method, level
    :math:`\ell` and measure :math:`m` the setting is :math:`\arg\max_s m_s` (of
    Gini, the lowest) among those with :math:`a_s \ge \ell` on the users it is chosen
    on; of equals that with the higher NDCG. Where there is none, the host's own lists
    stand in, and are marked. On the users that are reported the accuracy may then lie
    below the level: look at it in the table. A recommender without strengths is a
    method of one setting.

    Halves instead of `validation`: nobody's held-out items choose their own lists, and
    all users are reported, with lists of two settings at the most. The choice rests on
    half of the users only, and with few of them misses levels by more.

    Thirds of the users are those of the mean popularity of their histories ("niche",
    "mixed", "popular"), and of their lengths ("light", "medium", "heavy").

    Intervals are of a bootstrap over users, at the settings chosen: they do not tell
    how these would vary. Their draws are shared by all rows, so that differences are
    paired.

    Every recommender makes its lists once, at every strength; the measures read only
    those. With `validation` the settings chosen make lists once more.

    Examples
    --------
    >>> from sklearn.decomposition import TruncatedSVD
    >>> from skpopsteer.adapters import as_recommender
    >>> from skpopsteer.datasets import make_interactions
    >>> from skpopsteer.inspection import compare
    >>> from skpopsteer.model_selection import hide_interactions
    >>> from skpopsteer.rerankers import PopularityPenaltyReranker
    >>> X, y = hide_interactions(
    ...     make_interactions(200, 100, random_state=0).X, random_state=0
    ... )
    >>> host = as_recommender(TruncatedSVD(8, random_state=0).fit(X))
    >>> compare({"host": host}, X, y).columns[:2]
    ['ndcg@10', 'recall@10']

    At equal accuracy, with and without the host's first three items kept.

    >>> def penalty(keep_top):
    ...     model = PopularityPenaltyReranker(host, keep_top=keep_top).fit(X)
    ...     return model, [0.02, 0.05, 0.1, 0.2]
    >>> table = compare(
    ...     {"penalty": penalty(0), "host's first 3 kept": [penalty(3)]}, X, y,
    ...     levels=[0.95, 0.9], random_state=0,
    ... )
    >>> table["gini"].shape  # levels; the host and two methods
    (2, 3)
    """
    if not isinstance(models, dict) or not models:
        raise ValueError(
            "`models` must be a dict of names to fitted recommenders, not empty; got "
            f"{type(models).__name__}. Write {{'host': model}}."
        )
    if has_strengths(models):
        return compare_levels(
            models, X, y, validation=validation, levels=levels, host=host,
            n_recommendations=n_recommendations, groups=groups, attributes=attributes,
            user_ids=user_ids, n_boot=n_boot, random_state=random_state,
        )  # fmt: skip
    models = check_models("models", models)
    _refuse_unused(validation=validation, host=host, attributes=attributes)
    popularity = item_popularity(X)
    groups = check_groups(groups)
    labels = groups.label(popularity)
    lists = [
        model.recommend(X, n_recommendations, user_ids=user_ids)
        for model in models.values()
    ]
    check_split(as_interactions("X", X), y, lists[0])
    rows = [_measure(one, y, popularity, labels) for one in lists]
    k = n_recommendations
    return Comparison(
        names=[str(name) for name in models],
        columns=[
            f"ndcg@{k}", f"recall@{k}", f"gini@{k}", f"coverage@{k}",
            f"tail_coverage@{k}", f"tail_share@{k}", f"average_popularity@{k}",
        ],
        values=np.array(rows),
        convention=f"{groups}; users: {_whose(user_ids)}",
    )  # fmt: skip


def _refuse_unused(**given):
    for name, value in given.items():
        if value is not None:
            raise ValueError(
                f"`{name}` must be None where no model has strengths; got "
                f"{type(value).__name__}. Write (model, [0, 0.1]) in `models`."
            )


def _whose(user_ids):
    # For hosts without a fold-in of their own these are two recommenders.
    return "folded in from their rows" if user_ids is None else "trained vectors"


def _measure(ids, y, popularity, labels):
    n_items = len(popularity)
    return [
        metrics.ndcg(y, ids),
        metrics.recall(y, ids),
        metrics.gini(ids, n_items),
        metrics.coverage(ids, n_items),
        metrics.tail_coverage(ids, labels),
        metrics.tail_share(ids, labels),
        metrics.average_popularity(ids, popularity),
    ]
