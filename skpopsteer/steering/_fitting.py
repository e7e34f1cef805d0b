"""Fit the sides of a steered recommender: which rows, which probe, which selector."""

import copy
import warnings

import numpy as np
from scipy.sparse import csr_array, eye_array, issparse
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.utils.validation import check_memory

from skpopsteer._validation import check_item_features, check_per_item
from skpopsteer.metrics import ndcg
from skpopsteer.neurons import PopularityNeuronSelector
from skpopsteer.popularity import PopularityGroups
from skpopsteer.sae import SparseAutoencoderProbe
from skpopsteer.sae._interruption import stopping_altogether
from skpopsteer.steering._rules import OFFSET
from skpopsteer.steering._selection import SelectorRows, row_kinds, shares_of_users
from skpopsteer.steering._shared import encode_fit_rows, encode_users
from skpopsteer.steering._side import SteeredSide

__all__ = [
    "choose_form",
    "fit_item_side",
    "fit_user_side",
    "label_items",
    "read_features",
    "warn_of_pass_through",
]

#: Users the pass-through is judged on, and the share of NDCG it has to keep.
_JUDGED_USERS = 256
_KEPT_NDCG = 0.95
#: Items that compete for a list, and at most a tenth of all.
_BEST_ITEMS = 100


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


def fit_user_side(model, X, user_ids, features, rng):
    """Train on the embeddings of real users, select on the rows a selector asks for.

    Parameters
    ----------
    model : SteeredRecommender
        Its parameters, fitted host, popularity and groups are read.
    X : csr_array of shape (n_users, n_items)
    user_ids : array-like of shape (n_users,) or None
    features : tuple of (csr_array of shape (n_items, n_features), names) or None
    rng : numpy.random.Generator

    Returns
    -------
    SteeredSide
    """
    kinds = row_kinds(or_default(model, model.selector))
    rows, training, profiles = encode_fit_rows(
        model.memory,
        model.recommender_,
        X,
        user_ids,
        popularity=model.item_popularity_,
        groups=model.item_groups_,
        kind=model.profiles if "profiles" in kinds else None,
        seed=int(rng.integers(np.iinfo(np.int32).max)),
    )
    selector_rows = SelectorRows(
        profiles=profiles, item_target=_log_popularity(model.item_popularity_)
    )
    if features is not None:
        selector_rows.feature_names = features[1]
    if "items" in kinds:
        selector_rows.items = _encode_items(model), features[0]
    if "users" in kinds:
        selector_rows.users = rows, shares_of_users(X, features[0])
    return _fit_side(
        model, model.probe, model.selector, training, rows, selector_rows, rng
    )


def fit_item_side(model, X, user_ids, features, rng):
    """Train on the item embeddings, select on head against tail items, or on features.

    Parameters
    ----------
    model : SteeredRecommender
        Its parameters, fitted host and groups are read.
    X : csr_array of shape (n_users, n_items)
    user_ids : array-like of shape (n_users,) or None
        Of users whose scores tell the unit of ``rule="offset"``.
    features : tuple of (csr_array of shape (n_items, n_features), names) or None
    rng : numpy.random.Generator

    Returns
    -------
    SteeredSide
    """
    probe = model.probe if model.item_probe is None else model.item_probe
    rows = _item_rows(model, probe)
    selector = model.selector if model.item_selector is None else model.item_selector
    selector_rows = SelectorRows(
        profiles=(rows, model.item_groups_),
        item_target=_log_popularity(model.item_popularity_),
        steers_items=True,
    )
    if "users" in row_kinds(or_default(model, selector)):
        raise ValueError(
            "`selector` must be fitted on items or profiles to steer the item side; "
            "got one with rows='users'. Set rows='items', or give an item_selector."
        )
    if features is not None:
        selector_rows.items = rows, features[0]
        selector_rows.feature_names = features[1]
    side = _fit_side(model, probe, selector, rows, rows, selector_rows, rng, items=rows)
    side.score_spread = _score_spread(model.recommender_, X, user_ids)
    return side


def _item_rows(model, probe):
    """Return what the neurons of items read: embeddings, and a bias that tells more.

    Steered embeddings take the place of the host's, which leaves the bias as it is;
    offsets of scores are of both. A frozen autoencoder has been trained on what it was.
    """
    V, bias = model.recommender_.item_embeddings_, model.recommender_.item_bias_
    of_embeddings = (
        isinstance(probe, FrozenEstimator) and probe.n_features_in_ == V.shape[1]
    )
    if model.rule_ != OFFSET or bias is None or of_embeddings:
        return np.ascontiguousarray(V)
    return np.column_stack([V, bias])


def _score_spread(host, X, user_ids):
    """Return how much the scores of a user's best items vary, on average."""
    if user_ids is None and not host.folds_in:
        return None
    rows = np.flatnonzero(np.diff(X.indptr))
    rows = rows[:: max(1, len(rows) // _JUDGED_USERS)]
    ids = None if user_ids is None else np.asarray(user_ids)[rows]
    k = min(_BEST_ITEMS, max(2, X.shape[1] // 10))
    # Seen ones too: a user may have seen all there are.
    _, scores = host.recommend(
        X[rows], k, exclude_seen=False, user_ids=ids, return_scores=True
    )
    spreads = scores.std(axis=1, dtype=np.float64)
    return float(spreads[np.isfinite(spreads)].mean()) or 1.0


def read_features(model, item_features, n_items):
    """Return the features that a selector reads, or None where none does.

    Parameters
    ----------
    model : SteeredRecommender
        Its selectors are read.
    item_features : array-like, sparse, data frame, tuple, mapping or None
    n_items : int

    Returns
    -------
    tuple of (csr_array of shape (n_items, n_features), names) or None
    """
    selectors = [model.selector] if model.side_ != "item" else []
    if model.side_ != "user":
        both = model.selector if model.item_selector is None else model.item_selector
        selectors.append(both)
    kinds = set().union(*(row_kinds(or_default(model, one)) for one in selectors))
    reads = bool(kinds & {"items", "users"})
    if reads and item_features is None:
        raise ValueError(
            "`item_features` must be given: a selector here reads them; got None. Pass "
            "fit(X, item_features=(matrix, names)), one row per item."
        )
    if not reads and item_features is not None:
        raise ValueError(
            "`item_features` must be None: no selector here reads them; got "
            f"{type(item_features).__name__}. Leave it out, or use a "
            "ConceptNeuronSelector."
        )
    return check_item_features(item_features, n_items) if reads else None


def _encode_items(model):
    """Return the embeddings of users of one item each."""
    host = model.recommender_
    if not host.folds_in:
        raise ValueError(
            "`selector` must be fitted on users for a host that only looks users up: "
            "nobody has trained a user of one item; got one that reads items. Set "
            "rows='users'."
        )
    n_items = len(model.item_popularity_)
    return encode_users(model.memory, host, csr_array(eye_array(n_items)), None)


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
    X, y = X[rows], y.tocsr()[rows]
    # Longer lists are padding.
    k = min(int(model.n_recommendations), X.shape[1])
    reconstructed = copy.copy(model)
    reconstructed.set_params(reconstruction="replace", keep_top=0, user_strength=None)
    encoded = reconstructed._encode_to_score(X, ids)
    host, turned = model.recommender_, reconstructed._turn(0.0)
    own = ndcg(y, host._lists(X, encoded.embeddings, None, k, [X])[0])
    kept = ndcg(y, reconstructed._lists(X, encoded, turned, k, [X])[0])
    if kept < _KEPT_NDCG * own:
        warnings.warn(
            "`probe` must keep 95 % of the host's NDCG when nothing is turned; got "
            f"{100 * kept / own:.1f} % ({kept:.3f} of {own:.3f}). Train it longer, or "
            "raise its n_neurons or k.",
            stacklevel=4,
        )


def _log_popularity(popularity):
    # As PopularityPenaltyReranker has it, so that strengths mean the same.
    return np.log(np.maximum(popularity, 1.0))


def or_default(model, selector):
    """Return a selector, or the one that suits the rule of a model."""
    if selector is not None:
        return selector
    if model.rule_ == OFFSET:
        return PopularityNeuronSelector("score_omp", n_neurons_to_select="all")
    return PopularityNeuronSelector()


def _default_probe(model, selector, seed):
    """Return the autoencoder that suits what a selector makes of its neurons."""
    if model.rule_ != OFFSET or not _takes_all(selector):
        return SparseAutoencoderProbe(random_state=seed)
    # Of a few neurons that fire, offsets of like items differ by chance: who takes all
    # of them does not read them, and is better off with many.
    return SparseAutoencoderProbe(2048, k=1024, max_iter=10, random_state=seed)


def _takes_all(selector):
    """Whether a selector, or what a control permutes, weighs all neurons."""
    inner = getattr(selector, "selector", selector)
    every = getattr(inner, "n_neurons_to_select", None) == "all"
    return selector is None or (every and getattr(inner, "needs_item_profiles", False))


def choose_form(model):
    """Return the side and the rule of a model, where it leaves them open.

    Parameters
    ----------
    model : SteeredRecommender
        Its parameters and fitted host are read.

    Returns
    -------
    side, rule : str
        What is given stays. Nothing given, selectors neither, is the strongest form:
        offsets of items, for a host that has item embeddings.
    """
    side, rule = model.side, model.rule
    own = (model.selector, model.item_selector, side, rule)
    if own == (None,) * 4 and not model.recommender_.has_nonlinear_decode:
        return "item", OFFSET
    side = side or ("item" if rule == OFFSET else "user")
    return side, rule or "shift"


def _fit_side(
    model, probe, selector, training, rows, selector_rows, rng, *, items=None
):
    # Drawn whether it is needed or not: a probe given for one side must not change the
    # seed of the other's.
    seed = int(rng.integers(np.iinfo(np.int32).max))
    probe = _default_probe(model, selector, seed) if probe is None else probe
    memory = check_memory(model.memory)
    if items is None and not model.recommender_.has_nonlinear_decode:
        items = np.asarray(model.recommender_.item_embeddings_)
    return memory.cache(_measure)(
        memory.cache(_train)(clone(probe), training, _items_for(probe, model, items)),
        clone(or_default(model, selector)),
        rows,
        selector_rows,
        model.shift_scale,
        items,
    )


def _items_for(probe, model, items):
    """Return the host's items for a probe that is trained on predictions."""
    if getattr(probe, "loss", None) != "prediction":
        return None
    return np.asarray(model.recommender_.item_embeddings_) if items is None else items


def _train(probe, rows, item_embeddings):
    """Fit a probe; a function of its own, so that joblib can cache it."""
    with stopping_altogether():
        if item_embeddings is not None:
            return probe.fit(rows, item_embeddings=item_embeddings)
        # A frozen probe wants the second argument too.
        return probe.fit(rows, None)


def _measure(probe, selector, rows, selector_rows, shift_scale, items):
    """Fit a side; a function of its own, so that joblib can cache it."""
    return SteeredSide.fit(
        probe,
        selector,
        rows=rows,
        selector_rows=selector_rows,
        shift_scale=shift_scale,
        items=items,
    )
