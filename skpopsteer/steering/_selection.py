"""Fit selectors, each on the rows it asks for."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.sparse import csr_array, diags_array, vstack
from sklearn.utils.validation import has_fit_parameter

from skpopsteer.neurons import NeuronUnion

__all__ = [
    "ItemActivations",
    "ItemProfiles",
    "SelectorRows",
    "fit_selector",
    "row_kinds",
    "shares_of_users",
]


@dataclass
class SelectorRows:
    """Embeddings that selectors are fitted on, and what is known of them.

    Attributes
    ----------
    profiles : tuple of (embeddings, groups) or None
        Twins or users of one group each: +1 popular, -1 unpopular.
    items, users : tuple of (embeddings, features) or None
        Items as users of one item, or real users; features are sparse, per row.
    feature_names : ndarray of shape (n_features,) or None
    item_target : ndarray of shape (n_items,) or None
        What a selection in score space lowers: log popularity.
    steers_items : bool
        Whether the rows that are steered are the items.
    """

    profiles: Any = None
    items: Any = None
    users: Any = None
    feature_names: Any = None
    item_target: Any = None
    steers_items: bool = False


@dataclass
class ItemProfiles:
    """Scores that the direction of every neuron gives to the items, made in blocks.

    Attributes
    ----------
    directions : ndarray of shape (n_neurons, d)
    item_embeddings : ndarray of shape (n_items, d)
    """

    directions: np.ndarray
    item_embeddings: np.ndarray
    shape: tuple = field(init=False)

    def __post_init__(self):
        self.shape = len(self.directions), len(self.item_embeddings)

    def __getitem__(self, neurons):
        """Return the profiles of some neurons, of shape (n, n_items)."""
        return self.directions[neurons] @ self.item_embeddings.T


@dataclass
class ItemActivations:
    """What a unit of turning every neuron of items adds to scores, made in blocks.

    Attributes
    ----------
    shape : tuple of int
        Numbers of neurons and items.
    blocks : callable
        Yields the activations of all items in order, as (n, n_neurons).
    """

    shape: tuple
    blocks: Callable


def row_kinds(selector):
    """Return what rows a selector, or any of a union, is fitted on."""
    if isinstance(selector, NeuronUnion):
        pairs = [pair for pair in selector.selectors if isinstance(pair, tuple)]
        return {kind for *_, one in pairs for kind in row_kinds(one)}
    return {getattr(selector, "fits_on", "profiles")}


def shares_of_users(X, features):
    """Return how much of every history each feature holds.

    Parameters
    ----------
    X : csr_array of shape (n_users, n_items)
        Interactions, of which the weights are not looked at.
    features : csr_array of shape (n_items, n_features)

    Returns
    -------
    csr_array of shape (n_users, n_features)
        Shares of the items of a history with the feature, in [0, 1].
    """
    ones = csr_array((np.ones(X.nnz), X.indices, X.indptr), shape=X.shape)
    has = csr_array(features)
    has.data = (has.data > 0).astype(np.float64)
    lengths = np.maximum(np.diff(ones.indptr), 1)
    return csr_array(diags_array(1 / lengths) @ (ones @ has))


def fit_selector(
    selector, rows, *, pre, peaks, encode_blocks, item_profiles, turned_profiles
):
    """Fit a selector, or each of a union, on its rows.

    Parameters
    ----------
    selector : unfitted selector
    rows : SelectorRows
    pre : ndarray of shape (n, n_neurons) or None
        Pre-activations of the profiles.
    peaks : ndarray of shape (n_neurons,)
        Largest activations seen, which tell what fires.
    encode_blocks : callable
        Yields the codes of embeddings, block by block.
    item_profiles : ItemProfiles or None
        None where the host does not score by inner products, or the neurons have no
        directions.
    turned_profiles : ItemProfiles, ItemActivations or None
        The same of one unit of turning: a standard deviation of the neurons of users,
        and the activation of the neurons of items.

    Returns
    -------
    fitted selector
    """
    encode = _encode_once(encode_blocks)
    known = rows, pre, peaks, encode, item_profiles, turned_profiles
    if isinstance(selector, NeuronUnion):
        return selector.fit_each(lambda one: _fit_one(one, *known))
    return _fit_one(selector, *known)


def _encode_once(encode_blocks):
    """Return a function from embeddings to activations that remembers them."""
    known = {}

    def encode(embeddings):
        if id(embeddings) not in known:
            blocks = [csr_array(codes.active) for codes in encode_blocks(embeddings)]
            known[id(embeddings)] = vstack(blocks, format="csr")
        return known[id(embeddings)]

    return encode


def _fit_one(selector, rows, pre, peaks, encode, item_profiles, turned_profiles):
    (kind,) = row_kinds(selector)
    if kind == "rows":
        known = {}
        if getattr(selector, "needs_item_profiles", False):
            _require_profiles(selector, turned_profiles)
            known = {
                "item_profiles": turned_profiles, "item_target": rows.item_target,
            }  # fmt: skip
        return selector.fit(peaks[None, :], **known)
    if kind == "profiles":
        _, groups = rows.profiles
        seen = {"activations": peaks[None, :]}
        return selector.fit(pre, groups, **_read_by(selector, seen))
    embeddings, features = getattr(rows, kind)
    Z = encode(embeddings)
    known = {"feature_names": rows.feature_names}
    if getattr(selector, "needs_item_profiles", False):
        _require_profiles(selector, item_profiles)
        known["item_profiles"] = item_profiles
    return selector.fit(Z, features, **_read_by(selector, known))


def _require_profiles(selector, item_profiles):
    if item_profiles is None:
        raise ValueError(
            "`selector` must score neurons by what they fire for: this host or this "
            "probe has no inner products of directions and items; got "
            f"{selector!r}. Use another score_func."
        )


def _read_by(selector, params):
    """Keep what the selector's ``fit`` takes."""
    return {n: value for n, value in params.items() if has_fit_parameter(selector, n)}
