"""What steering popularity moves besides popularity, at equal gain of the tail."""

from numbers import Real

import numpy as np
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from skpopsteer import metrics
from skpopsteer._validation import as_interactions
from skpopsteer.inspection._attribute_shares import check_attributes
from skpopsteer.inspection._blind_swaps import BlindSwaps
from skpopsteer.inspection._display_inputs import check_groups
from skpopsteer.inspection._equal_gain import KEPT, Knob
from skpopsteer.inspection._plotting import check_models
from skpopsteer.inspection._specificity_rows import Rows
from skpopsteer.metrics._bootstrap import check_n_boot
from skpopsteer.metrics._lists import check_count, check_split
from skpopsteer.popularity import item_popularity

__all__ = ["steering_specificity"]

#: How far above the common tail share a model may stay, as a share of the gain.
_NEAR = 0.01


def steering_specificity(
    models,
    X,
    y=None,
    *,
    attributes,
    user_ids=None,
    tail_share=None,
    n_recommendations=10,
    groups=None,
    n_boot=1000,
    random_state=None,
):
    r"""Measure what else moves when popularity is steered, at equal gain of the tail.

    Every model is turned until its lists hold the same share of tail items. Then the
    shares of genres, decades or artists in the lists are compared with the host's, and
    with those of random exchanges.

    Parameters
    ----------
    models : dict of str to fitted recommender
        With a strength each, and all on one host.
    X : sparse of shape (n_users, n_items)
        Interactions the recommenders see; popularity is counted from them.
    y : sparse of shape (n_users, n_items) or array-like, default=None
        Held-out interactions, or one held-out item position per user; None leaves NDCG
        out.
    attributes : dict of str to array-like, sparse, data frame, dict or tuple
        What may move, by name: one label per item as a vector (a decade, an artist;
        None, NaN or "" for none), or features of the items as a matrix, a tuple
        ``(matrix, names)``, a data frame, or a dict of names to vectors. An item with
        several features counts for each in proportion.
    user_ids : array-like of shape (n_users,), default=None
        Positions of trained users; None folds every row in.
    tail_share : float, default=None
        The tail share of all lists. None takes the largest that all models reach while
        their lists keep half of the host's items; models that do not raise it at all
        are left out of that.
    n_recommendations : int, default=10
        Length of the lists.
    groups : PopularityGroups, default=None
        What counts as tail; None is ``PopularityGroups()``.
    n_boot : int, default=1000
        Draws of users for the intervals; 0 draws none.
    random_state : int, RandomState instance or None, default=None
        Seed of the draws and of the random exchanges.

    Returns
    -------
    Specificity
        ``strength``, ``tail_share@k``, ``overlap@k`` (share of the host's items kept),
        ``ndcg@k``, and for every attribute ``<name>_all``, the distance between the
        shares in all lists together, and ``<name>_user``, that between the two lists of
        a user, mean over users. NaN, and a note, for a model that does not reach the
        tail share within 64 times its own strength.

    Raises
    ------
    ValueError
        Where no model raises the tail share, for a `tail_share` not above the host's,
        and for models on different hosts.

    See Also
    --------
    explain_changes : What changed for one user, neuron by neuron.
    compare : Accuracy and exposure side by side.

    Notes
    -----
    The distance is that of total variation, the share of slots that would have to
    change their value to turn one mixture into the other,

    .. math:: TV(p, q) = \frac{1}{2} \sum_a |p_a - q_a| .

    It is not 0 for a steering that knows nothing of attributes: tail items are of other
    genres than popular ones, and ten new items of the same mixture are never the same
    ten. Two kinds of random exchange say how much of it any steering pays. The row
    ``<model> (blind)`` exchanges as many items of every list as the model does, as many
    tail items among them, for random unseen ones of the same group: overlap and tail
    share are the model's, attributes are left to chance. ``fewest swaps (blind)``
    exchanges as few items as the tail share asks for, other items for tail items,
    anywhere. Both are means of 10 draws. A model with smaller distances than its blind
    row keeps to the attributes of what it replaces.

    The strength is the least that reaches the tail share: powers of two of the model's
    own are tried, then halves of the interval. Intervals are of a bootstrap over users
    at the strengths found, and do not tell how these would vary. The cost is that of
    some 20 lists per model.

    References
    ----------
    .. [1] A. B. Tsybakov, "Introduction to Nonparametric Estimation", 2009, section
       2.4, doi:10.1007/b13794, on total variation.

    Examples
    --------
    >>> from sklearn.decomposition import TruncatedSVD
    >>> from skpopsteer import PopularityPenaltyReranker, as_recommender
    >>> from skpopsteer.datasets import make_interactions
    >>> from skpopsteer.inspection import steering_specificity
    >>> data = make_interactions(200, 100, random_state=0)
    >>> host = as_recommender(TruncatedSVD(8, random_state=0).fit(data.X))
    >>> model = PopularityPenaltyReranker(host).fit(data.X)
    >>> table = steering_specificity(
    ...     {"penalty": model}, data.X, attributes={"concept": data.item_concepts},
    ...     tail_share=0.7, random_state=0,
    ... )
    >>> table.columns
    ['strength', 'tail_share@10', 'overlap@10', 'concept_all', 'concept_user']
    >>> bool(abs(table["tail_share@10"][1] - 0.7) < 0.01)
    True
    """
    models = _models_with_a_strength(models)
    k = check_count(
        "n_recommendations", n_recommendations, "It is the length of every list."
    )
    n_boot = check_n_boot(n_boot)
    X = as_interactions("X", X)
    attributes = check_attributes(attributes, X.shape[1])
    groups = check_groups(groups)
    item_groups = groups.label(item_popularity(X))
    own = _host_lists(models, X, k, user_ids)
    y = None if y is None else check_split(X, y, own)
    knobs = {
        name: Knob(model, X, own, item_groups, user_ids)
        for name, model in models.items()
    }
    before = metrics.tail_share(own, item_groups)
    target, note = _choose_target(knobs, before, tail_share)
    rng = check_random_state(random_state)
    swaps = BlindSwaps(X, own, item_groups == -1, rng.randint(2**31 - 1))
    rows = Rows(own, item_groups, y, attributes)
    rows.add("host", np.nan, [own])
    for name, knob in knobs.items():
        strength = knob.find(target, near=_NEAR * (target - before))
        if strength is None:
            rows.add(name, np.nan, [])
            most = max(share for share, _ in knob.points.values())
            note += f"; {name} does not reach it, but {most:.4f}"
            continue
        lists = knob.lists(strength)
        rows.add(name, strength, [lists])
        rows.add(f"{name} (blind)", np.nan, swaps.like(lists))
    rows.add("fewest swaps (blind)", np.nan, swaps.fewest(target))
    whose = "folded in from their rows" if user_ids is None else "trained vectors"
    notes = [f"{groups}; users: {whose}", note]
    return rows.table(n_boot, rng.randint(2**31 - 1), notes)


def _models_with_a_strength(models):
    models = check_models("models", models)
    models = {
        name: getattr(model, "best_estimator_", model) for name, model in models.items()
    }
    for model in models.values():
        if not hasattr(model, "_lister"):
            raise TypeError(
                "`models` must be fitted recommenders with a strength; got "
                f"{type(model).__name__}. Wrap a host in SteeredRecommender and fit it."
            )
        check_is_fitted(model)
    return models


def _host_lists(models, X, k, user_ids):
    """Return the lists of the host, if it is one and the same."""
    hosts = {id(model.recommender_): model.recommender_ for model in models.values()}
    own, *others = (host.recommend(X, k, user_ids=user_ids) for host in hosts.values())
    if any((other != own).any() for other in others):
        raise ValueError(
            "`models` must be fitted on one host; got hosts with different lists. "
            "Compare them in calls of their own."
        )
    return own


def _choose_target(knobs, before, wanted):
    """Return the tail share all models are turned to, and words for it."""
    if wanted is not None:
        if not isinstance(wanted, Real) or not before < wanted <= 1:
            raise ValueError(
                f"`tail_share` must be a share above the host's ({before:.4f}), at "
                f"most 1; got {wanted!r}. None chooses one that all models reach."
            )
        return float(wanted), f"tail share {wanted:.4f}, of the host {before:.4f}"
    reaches = {name: knob.reach() for name, knob in knobs.items()}
    raised = {name: reach for name, reach in reaches.items() if reach > before}
    if not raised:
        raise ValueError(
            "`models` must raise the tail share while lists keep half of the host's "
            f"items; got {before:.4f} at every strength. Widen the tail by `groups`."
        )
    weakest = min(raised, key=raised.get)
    return raised[weakest], (
        f"tail share {raised[weakest]:.4f}, the most that {weakest} reaches with "
        f"{KEPT:.0%} of the host's items kept, of the host {before:.4f}"
    )
