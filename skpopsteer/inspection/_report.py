"""The whole picture of a steered recommender in one document."""

import numpy as np
from scipy.sparse import issparse
from sklearn.frozen import FrozenEstimator
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from skpopsteer._validation import as_interactions, check_user_ids
from skpopsteer.inspection._audit_inputs import held_out_of
from skpopsteer.inspection._compare import compare
from skpopsteer.inspection._explorer import NeuronExplorer
from skpopsteer.inspection._popularity_audit import PopularityAudit
from skpopsteer.inspection._report_blocks import clean
from skpopsteer.inspection._report_health import describe_settings, examine_side
from skpopsteer.inspection._report_lists import STEERED, measure_lists
from skpopsteer.inspection._report_result import SteeringReport
from skpopsteer.inspection._report_strengths import find_strengths
from skpopsteer.steering import SteeredRecommender

__all__ = ["steering_report"]

_PENALTY = "log-popularity penalty"
_PENALTY_LEVER = "PopularityPenaltyReranker"
#: Where the search for strengths of the penalty begins.
_FIRST_PENALTY = 0.01
_NO_HELD_OUT = (
    "Nothing was held out, so that accuracy, what it costs and whom, and the "
    "comparison with other methods are missing: pass `y`."
)


def steering_report(
    model,
    X,
    y=None,
    *,
    user_ids=None,
    rivals=None,
    strengths=None,
    item_titles=None,
    user_names=None,
    item_features=None,
    n_users=50,
    random_state=None,
):
    """Gather all there is to know of a steered recommender in one document.

    Where the host keeps popularity, what the model does as it is set and whom that
    costs, how it stands beside other methods at equal accuracy, how sound its
    autoencoder is, and what its neurons are: as a page that can be played with, as
    Markdown, as JSON, or as a model card.

    Parameters
    ----------
    model : SteeredRecommender or TunedSteeringCV
        Fitted; of a search, what it has found. It is left as it is.
    X : sparse of shape (n_users, n_items)
        Interactions the recommender sees; popularity is counted from them.
    y : sparse of shape (n_users, n_items), array-like of shape (n_users,) or HeldOut, \
default=None
        Held-out interactions. Without them nothing about accuracy can be said, and the
        report says so.
    user_ids : array-like of shape (n_users,), default=None
        Positions of trained users. None folds every row in.
    rivals : dict, default=None
        What to compare with, as for :func:`compare`: by name a fitted recommender, or a
        pair ``(recommender, strengths)``, or a list of such. None is
        ``PopularityPenaltyReranker`` around the same host.
    strengths : array-like of float, default=None
        Strengths of the model to choose from in that comparison. None looks for some
        that cover all levels, on the users the audit measures.
    item_titles, user_names : array-like of str, default=None
        What items and users are called in the explorer; None gives them numbers.
    item_features : sparse or array-like of shape (n_items, n_features), tuple, \
data frame or mapping, default=None
        Features of the items that describe neurons, such as genres.
    n_users : int, default=50
        Users whose lists the explorer holds.
    random_state : int, RandomState instance or None, default=None
        Seed of samples and of draws.

    Returns
    -------
    SteeringReport
        Save it with ``report.save("report.html")``.

    Raises
    ------
    TypeError
        For a model that is no SteeredRecommender.
    ValueError
        For `rivals` or `strengths` without `y`, for a rival of the name "steered", and
        where the host finds none of the held-out items.

    See Also
    --------
    PopularityAudit : The first part alone.
    compare : The second.

    Notes
    -----
    Most of the time goes into the audit, which turns every lever some 30 times on 2,000
    users at the most, and into the comparison, which makes the lists of all users at
    some 40 strengths a method. Of a large matrix pass a sample of the rows, with `y`
    and `user_ids` to match.

    Examples
    --------
    >>> from sklearn.decomposition import TruncatedSVD
    >>> from skpopsteer import SparseAutoencoderProbe, SteeredRecommender
    >>> from skpopsteer import as_recommender
    >>> from skpopsteer.datasets import make_interactions
    >>> from skpopsteer.inspection import steering_report
    >>> from skpopsteer.model_selection import hide_interactions
    >>> X, y = hide_interactions(
    ...     make_interactions(200, 100, random_state=0).X, random_state=0
    ... )
    >>> host = as_recommender(TruncatedSVD(8, random_state=0).fit(X))
    >>> probe = SparseAutoencoderProbe(32, k=4, max_iter=5, random_state=0)
    >>> model = SteeredRecommender(host, probe=probe, random_state=0).fit(X)
    >>> report = steering_report(model, X, y, n_users=5, random_state=0)
    >>> [one.name for one in report.lists]
    ['host', 'rebuilt, nothing turned', 'steered']
    >>> report.comparison.names
    ['host', 'steered', 'log-popularity penalty']
    """
    model, X = _check_model(model), as_interactions("X", X)
    y = getattr(y, "y", y)
    if user_ids is not None:
        user_ids = check_user_ids(user_ids, X.shape[0])
    _check_rivals(rivals, strengths, y)
    # Drawn whether they are needed or not.
    seeds = check_random_state(random_state).randint(np.iinfo(np.int32).max, size=3)
    audited, compared, explored = seeds.tolist()
    given = X, y, user_ids
    # The first part looks at what the caller calls things, before the long ones.
    explorer = _explore(
        model, given, explored, item_titles=item_titles, user_names=user_names,
        item_features=item_features, n_users=n_users,
    )  # fmt: skip
    audit = _audit(model, given, audited)
    known = audit.item_popularity_, audit.item_groups_
    lists, costs = measure_lists(model, X, y, user_ids, *known)
    comparison, searched, left_out = None, [], [_NO_HELD_OUT]
    if y is not None:
        comparison, searched = _compare(
            model, audit, given, rivals, strengths, compared
        )
        left_out = []
    settings = describe_settings(model)
    return SteeringReport(
        model=model,
        audit=audit,
        lists=lists,
        costs=costs,
        comparison=comparison,
        rivals=[] if comparison is None else _rival_names(comparison),
        settings=settings,
        health=_examine_sides(model),
        explorer=explorer,
        data=_count(X, y, audit),
        left_out=left_out,
        searched=searched,
        title=f"Steering report: {clean(settings['host'])}",
    )


def _check_model(model):
    model = getattr(model, "best_estimator_", model)
    if not isinstance(model, SteeredRecommender):
        raise TypeError(
            "`model` must be a fitted SteeredRecommender; got "
            f"{type(model).__name__}. Only that has neurons to report on."
        )
    check_is_fitted(model)
    if isinstance(model.recommender_, FrozenEstimator):
        return model
    # Frozen, a host is never trained again, and is one and the same in every part.
    return model.with_host(FrozenEstimator(model.recommender_))


def _check_rivals(rivals, strengths, y):
    for name, value in [("rivals", rivals), ("strengths", strengths)]:
        if value is not None and y is None:
            raise ValueError(
                f"`{name}` must be None without `y`; got {type(value).__name__}. "
                "Methods are compared at equal accuracy: pass held-out interactions."
            )
    if rivals is None:
        return
    if not isinstance(rivals, dict) or not rivals:
        raise ValueError(
            "`rivals` must be a dict of names to fitted recommenders, not empty; got "
            f"{type(rivals).__name__}. Write {{'penalty': (model, [0.1, 0.2])}}."
        )
    if STEERED in map(str, rivals):
        raise ValueError(
            f"`rivals` must have names of their own; got {STEERED!r}, as the model is "
            "called. Choose another name."
        )


def _explore(model, given, seed, **shown):
    X, y, user_ids = given
    return NeuronExplorer.from_model(
        model, X, y, user_ids=user_ids, random_state=seed, **shown
    )


def _audit(model, given, seed):
    X, y, user_ids = given
    audit = PopularityAudit(
        model.recommender_, steered=model, groups=model.groups,
        n_recommendations=model.n_recommendations, random_state=seed,
    )  # fmt: skip
    return audit.fit(X, y, user_ids=user_ids)


def _compare(model, audit, given, rivals, strengths, seed):
    """Compare with other methods at equal accuracy, and say what was searched for.

    Strengths are searched for on the users of the audit; all users are compared.
    """
    X, y, user_ids = given
    rows = audit.user_rows_
    ids = None if user_ids is None else user_ids[rows]
    judged = X[rows], held_out_of(y, rows), ids
    methods, searched = _methods(model, audit, judged, rivals, strengths)
    comparison = compare(
        methods, X, y, host=model.recommender_, groups=model.groups,
        n_recommendations=model.n_recommendations, user_ids=user_ids, random_state=seed,
    )  # fmt: skip
    return comparison, searched


def _examine_sides(model):
    sides = [examine_side(model, side) for side in ("user", "item")]
    return [side for side in sides if side is not None]


def _methods(model, audit, judged, rivals, strengths):
    """Name what is compared, and say whose strengths were searched for."""
    lowest, searched = min(audit.levels_), []
    if strengths is None:
        first = float(model.strength) or 1.0
        strengths = find_strengths(model, *judged, lowest, first)
        searched.append(STEERED)
    methods = {STEERED: (model, strengths)}
    if rivals is None:
        penalty = audit.levers_[_PENALTY_LEVER]
        found = find_strengths(penalty, *judged, lowest, _FIRST_PENALTY)
        rivals = {_PENALTY: (penalty, found)}
        searched.append(_PENALTY)
    return methods | {str(name): rival for name, rival in rivals.items()}, searched


def _rival_names(comparison):
    return [name for name in comparison.names[1:] if name != STEERED]


def _count(X, y, audit):
    held_out = None
    if y is not None:
        held_out = int(y.nnz if issparse(y) else (np.asarray(y) >= 0).sum())
    labels = audit.item_groups_
    return {
        "users": int(X.shape[0]),
        "items": int(X.shape[1]),
        "interactions": int(X.nnz),
        "held_out_interactions": held_out,
        "users_of_the_audit": len(audit.user_rows_),
        "head_items": int((labels == 1).sum()),
        "tail_items": int((labels == -1).sum()),
    }
