"""Fit the sides of a steered recommender: which rows, which probe, which selector."""

import copy
import warnings

import numpy as np
from scipy.sparse import issparse
from sklearn.base import clone
from sklearn.utils.validation import check_memory

from skpopsteer._validation import check_per_item
from skpopsteer.metrics import ndcg
from skpopsteer.neurons import PopularityNeuronSelector
from skpopsteer.popularity import PopularityGroups
from skpopsteer.sae import SparseAutoencoderProbe
from skpopsteer.steering._shared import encode_fit_rows
from skpopsteer.steering._side import SteeredSide

__all__ = ["fit_item_side", "fit_user_side", "label_items", "warn_of_pass_through"]

#: Users the pass-through is judged on, and the share of NDCG it has to keep.
_JUDGED_USERS = 256
_KEPT_NDCG = 0.95


def label_items(model, item_groups=None):
    """Return the group of every item, as the caller or the model's `groups` says.

    Parameters
    ----------
    model : SteeredRecommender
        Its `groups` and `item_popularity_` are read.
    item_groups : array-like of shape (n_items,) or (1, n_items), default=None

    Returns
    -------
    ndarray of shape (n_items,), dtype int8
    """
    popularity = model.item_popularity_
    if item_groups is None:
        return (model.groups or PopularityGroups()).label(popularity)
    labels = check_per_item("item_groups", item_groups, len(popularity))
    if not np.isin(labels, (-1, 0, 1)).all():
        strange = labels[~np.isin(labels, (-1, 0, 1))][0]
        raise ValueError(
            f"`item_groups` must hold 1 (head), 0 (mid) and -1 (tail); got {strange!r}."
            " PopularityGroups().label(item_popularity) makes it."
        )
    return labels.astype(np.int8)


def fit_user_side(model, X, user_ids, rng):
    """Train on the embeddings of real users, select on profiles.

    Parameters
    ----------
    model : SteeredRecommender
        Its parameters, fitted host, popularity and groups are read.
    X : csr_array of shape (n_users, n_items)
    user_ids : array-like of shape (n_users,) or None
    rng : numpy.random.Generator

    Returns
    -------
    SteeredSide
    """
    rows, training, group_rows, groups = encode_fit_rows(
        model.memory,
        model.recommender_,
        X,
        user_ids,
        popularity=model.item_popularity_,
        groups=model.item_groups_,
        kind=model.profiles,
        seed=int(rng.integers(np.iinfo(np.int32).max)),
    )
    return _fit_side(
        model, model.probe, model.selector, training, rows, group_rows, groups, rng
    )


def fit_item_side(model, rng):
    """Train on the item embeddings, select on head against tail items.

    Parameters
    ----------
    model : SteeredRecommender
        Its parameters, fitted host and groups are read.
    rng : numpy.random.Generator

    Returns
    -------
    SteeredSide
    """
    rows = np.ascontiguousarray(model.recommender_.item_embeddings_)
    probe = model.probe if model.item_probe is None else model.item_probe
    selector = model.selector if model.item_selector is None else model.item_selector
    return _fit_side(model, probe, selector, rows, rows, rows, model.item_groups_, rng)


def warn_of_pass_through(model, X, y, user_ids):
    """Say so when the autoencoder loses much of the host's accuracy by itself.

    Parameters
    ----------
    model : fitted SteeredRecommender
    X : csr_array of shape (n_users, n_items)
    y : sparse of shape (n_users, n_items) or HeldOut
        Anything else is not held-out interactions for certain, and not looked at.
    user_ids : array-like of shape (n_users,) or None
    """
    y = getattr(y, "y", y)
    if not issparse(y) or y.shape != X.shape:
        return
    rows = np.flatnonzero(np.diff(y.tocsr().indptr))
    # Lists differ little, so that few users tell.
    rows = rows[:: max(1, len(rows) // _JUDGED_USERS)]
    if not len(rows):
        return
    ids = None if user_ids is None else np.asarray(user_ids)[rows]
    X, y, k = X[rows], y.tocsr()[rows], model.n_recommendations
    reconstructed = copy.copy(model)
    reconstructed.set_params(reconstruction="replace", keep_top=0, user_strength=None)
    encoded = reconstructed._encode_to_score(X, ids)
    host, turned = model.recommender_, reconstructed._turn(0.0)
    own = ndcg(y, host._lists(X, encoded.embeddings, None, k, [X])[0])
    kept = ndcg(y, reconstructed._lists(X, encoded, turned, k, [X])[0])
    if kept < _KEPT_NDCG * own:
        warnings.warn(
            "`probe` must keep 95 % of the host's NDCG when nothing is turned; got "
            f"{100 * kept / own:.0f} % ({kept:.3f} of {own:.3f}). Train it longer, or "
            "raise its n_neurons or k.",
            stacklevel=4,
        )


def _fit_side(model, probe, selector, training, rows, group_rows, groups, rng):
    # Drawn whether it is needed or not: a probe given for one side must not change the
    # seed of the other's.
    seed = int(rng.integers(np.iinfo(np.int32).max))
    probe = SparseAutoencoderProbe(random_state=seed) if probe is None else probe
    selector = PopularityNeuronSelector() if selector is None else selector
    memory = check_memory(model.memory)
    return memory.cache(_measure)(
        memory.cache(_train)(clone(probe), training, _items_for(probe, model)),
        clone(selector),
        rows,
        group_rows,
        groups,
        model.shift_scale,
    )


def _items_for(probe, model):
    """Return the host's items for a probe that is trained on predictions."""
    if getattr(probe, "loss", None) != "prediction":
        return None
    return np.asarray(model.recommender_.item_embeddings_)


def _train(probe, rows, item_embeddings):
    """Fit a probe; a function of its own, so that joblib can cache it."""
    if item_embeddings is not None:
        return probe.fit(rows, item_embeddings=item_embeddings)
    # A frozen probe wants the second argument too.
    return probe.fit(rows, None)


def _measure(probe, selector, rows, group_rows, groups, shift_scale):
    """Fit a side; a function of its own, so that joblib can cache it."""
    return SteeredSide.fit(
        probe,
        selector,
        rows=rows,
        group_rows=group_rows,
        groups=groups,
        shift_scale=shift_scale,
    )
