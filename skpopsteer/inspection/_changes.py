"""Which items steering moved in or out of a list, and which neurons moved them."""

from collections.abc import Mapping

import numpy as np
from sklearn.frozen import FrozenEstimator
from sklearn.utils.validation import check_is_fitted

from skpopsteer._validation import check_per_item
from skpopsteer.inspection._contributions import PenalisedRow, SourceNames, SteeredRow
from skpopsteer.inspection._list_change import ListChange
from skpopsteer.metrics._lists import check_count
from skpopsteer.rerankers import PopularityPenaltyReranker
from skpopsteer.steering import SteeredRecommender
from skpopsteer.topk import forbid, top_k

__all__ = ["explain_changes"]


def explain_changes(
    model,
    X,
    *,
    user_ids=None,
    n_recommendations=None,
    strength=None,
    item_titles=None,
    neuron_labels=None,
    n_neurons=5,
):
    r"""Explain what steering changed in the lists of some users, neuron by neuron.

    Parameters
    ----------
    model : fitted SteeredRecommender or PopularityPenaltyReranker
        Or a search that has fitted one. A penalty is one source, "popularity".
    X : array-like or sparse of shape (n_users, n_items)
        Interactions of the users to explain.
    user_ids : array-like of shape (n_users,), default=None
        Positions of trained users; None folds every row in.
    n_recommendations : int, default=None
        Length of the lists; None takes the model's own.
    strength : float or dict of str to float, default=None
        Used instead of the model's own, as in ``recommend``.
    item_titles : array-like of str, shape (n_items,), default=None
        What to call items; None calls them by position.
    neuron_labels : dict of int to str, default=None
        What to call neurons of the side that is steered, of the users where both are;
        None takes the `neuron_labels_` of the autoencoder, if it has some.
    n_neurons : int, default=5
        Neurons shown per item; all are in `contributions`.

    Returns
    -------
    list of ListChange of length n_users
        One per row of `X`, also where there is one row only.

    Raises
    ------
    TypeError
        For another kind of model.
    ValueError
        For a host with a non-linear decoder, or an autoencoder whose decoder is no sum
        over neurons: they have no exact contributions.

    See Also
    --------
    steering_specificity : What steering changed for everybody.

    Notes
    -----
    Scores are inner products, so that they are sums over neurons. With activations z of
    the user before and z' after, directions W and item embedding v,

    .. math:: s' - s = \sum_n (z'_n - z_n) \langle W_n, v \rangle ,

    whatever the rule that turns the neurons. With ``reconstruction="replace"`` the
    error of the autoencoder is one more term, also where nothing is turned. Neurons of
    the item side add :math:`f (y'_n - y_n) \langle u', W_n \rangle`, with activations y
    of the item, the user u' as steered and the user's factor f. With
    `standardize_rows` both are multiplied by the deviation of the row.

    A contribution says what a neuron adds, not what would be so without it: a neuron
    that is left alone may push another out of the code.
    :meth:`ListChange.needed_neurons` makes the list again. The cost per user is that of
    the scores, of a sort of them, and of one product of the moved items with the
    neurons that changed.

    References
    ----------
    .. [1] J. Wang et al., "Understanding Internal Representations of Recommendation
       Models with Sparse Autoencoders", 2024, arXiv:2411.06112.
    .. [2] S. Wachter, B. Mittelstadt and C. Russell, "Counterfactual Explanations
       without Opening the Black Box", Harvard Journal of Law & Technology 31(2), 2018,
       arXiv:1711.00399.

    Examples
    --------
    >>> from sklearn.decomposition import TruncatedSVD
    >>> from skpopsteer import SparseAutoencoderProbe, SteeredRecommender
    >>> from skpopsteer import as_recommender
    >>> from skpopsteer.datasets import make_interactions
    >>> from skpopsteer.inspection import explain_changes
    >>> X = make_interactions(200, 100, random_state=0).X
    >>> host = as_recommender(TruncatedSVD(8, random_state=0).fit(X))
    >>> probe = SparseAutoencoderProbe(32, k=4, max_iter=5, random_state=0)
    >>> model = SteeredRecommender(host, probe=probe, random_state=0).fit(X)
    >>> changes = explain_changes(model, X[:3])
    >>> [len(change["left"]) == len(change["entered"]) for change in changes]
    [True, True, True]
    """
    model = _fitted_model(model)
    model._check_strength(strength)
    _check_decode(model)
    n_items = model.n_features_in_
    name_item = _item_names(item_titles, n_items)
    name_source = _source_names(model, neuron_labels)
    n_shown = check_count("n_neurons", n_neurons, "It is how many are shown per item.")
    k = model.n_recommendations
    if n_recommendations is not None:
        advice = "It is the length of every list."
        k = check_count("n_recommendations", n_recommendations, advice)
    used = model.strength if strength is None else strength
    return [
        _change(
            place if user_ids is None else int(np.asarray(user_ids)[place]),
            row, lists, k, name_item, name_source,
            strength=used, n_shown=n_shown, n_held=model.keep_top,
        )
        for place, (row, lists) in enumerate(
            _rows_and_lists(model, X, user_ids, strength)
        )
    ]  # fmt: skip


def _fitted_model(model):
    model = model.estimator if isinstance(model, FrozenEstimator) else model
    model = getattr(model, "best_estimator_", model)
    if not isinstance(model, SteeredRecommender | PopularityPenaltyReranker):
        raise TypeError(
            "`model` must be a SteeredRecommender or a PopularityPenaltyReranker; got "
            f"{type(model).__name__}. Wrap a host in one of them, and fit it."
        )
    return model


def _check_decode(model):
    check_is_fitted(model)
    if isinstance(model, PopularityPenaltyReranker):
        for name in ("pool_size", "user_strength"):
            if getattr(model, name) is not None:
                raise ValueError(
                    f"`{name}` must be None to tell what a penalty changes; got "
                    f"{getattr(model, name)!r}. Set it to None, or compare the lists."
                )
    steers = isinstance(model, SteeredRecommender)
    if steers and model.recommender_.has_nonlinear_decode:
        raise ValueError(
            "`model` must score by inner products, or neurons have no exact "
            "contributions; got a host with a non-linear decoder. Compare its lists."
        )


def _item_names(titles, n_items):
    """Return what each item is called, by position."""
    if titles is None:
        return [f"item {item}" for item in range(n_items)]
    return [str(title) for title in check_per_item("item_titles", titles, n_items)]


def _source_names(model, labels):
    """Return a function from sources to names."""
    own = {}
    if isinstance(model, SteeredRecommender):
        sides = {"user": ["user"], "item": ["item"], "both": ["user", "item"]}
        for name in sides[model.side_]:
            own[name] = getattr(model._side(name).probe, "neuron_labels_", {})
        if labels is not None:
            own[next(iter(own))] = labels
    if labels is not None and not isinstance(labels, Mapping):
        raise TypeError(
            "`neuron_labels` must be a dict of neurons to labels; got "
            f"{type(labels).__name__}. Write {{17: 'noir'}}."
        )
    return SourceNames(own)


def _rows_and_lists(model, X, user_ids, strength):
    """Yield every row by itself, and its ranked items and scores, old and new."""
    X, encoded, turned = model._prepare(X, user_ids, strength)
    steers = isinstance(model, SteeredRecommender)
    pushes = model._pushes(strength) if steers else None
    # As `recommend` cuts them: the same products, to the last bit.
    for rows, block in model._steered_blocks(X, encoded, turned):
        seen = X[rows]

        def allow(scores, seen=seen):
            forbid(scores, seen)
            return scores

        own, memory = np.empty((2, *seen.shape), dtype=np.float32)
        model._host_score_into(own, block)
        n_items = X.shape[1]
        old = top_k(allow(own), n_items)
        new = model._block_lists(memory, block, seen, turned, n_items, allow)
        for i in range(seen.shape[0]):
            one = slice(i, i + 1)
            if steers:
                row = SteeredRow(model, block[one], seen[one], pushes)
            else:
                # What a penalty makes of scores of 0 is all it does to others.
                change = np.zeros((1, model.n_features_in_), dtype=np.float32)
                model._rescore(change, slice(None), turned)
                row = PenalisedRow(change[0])
            yield row, [(ids[i], scores[i]) for ids, scores in (old, new)]


def _change(user, row, lists, k, titles, name, *, n_held, **shown):
    """Put together what is known of one user."""
    (old_ids, _), (new_ids, _) = lists
    old, new = (ids[:k][ids[:k] >= 0] for ids in (old_ids, new_ids))
    entered, left = np.setdiff1d(new, old), np.setdiff1d(old, new)
    # In the order of the lists: those that left by their old place, others by the new.
    items = np.concatenate(
        [new[np.isin(new, entered)], old[np.isin(old, left)], new[np.isin(new, old)]]
    )
    status = np.full(len(items), "stayed", dtype=object)
    status[np.isin(items, old[:n_held])] = "held"
    status[np.isin(items, entered)] = "entered"
    status[np.isin(items, left)] = "left"
    places = [_look_up(items, ids, scores) for ids, scores in lists]
    sources, contributions = row.contributions(items)
    return ListChange(
        user=user,
        items=items,
        titles=[titles[item] for item in items],
        status=status,
        old_ranks=places[0][0],
        new_ranks=places[1][0],
        old_scores=places[0][1],
        new_scores=places[1][1],
        sources=[name(source) for source in sources],
        neurons=[tuple(source) for source in sources],
        contributions=contributions,
        factor=row.factor,
        length=k,
        row=row,
        names=name,
        **shown,
    )


def _look_up(items, ids, scores):
    """Return the ranks, from 1, and the scores of some items."""
    place = np.empty(len(ids), dtype=np.int64)
    ranked = np.flatnonzero(ids >= 0)
    place[ids[ranked]] = ranked
    return place[items] + 1, scores[place[items]]
