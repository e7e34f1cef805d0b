"""What a page needs to make the lists of some users at any strength of any knob."""

from dataclasses import dataclass

import numpy as np

from skpopsteer.inspection._explorer_budget import item_costs, n_bytes
from skpopsteer.inspection._explorer_cut import cut_catalogue, is_too_slow
from skpopsteer.inspection._explorer_offsets import (
    offset_numbers,
    offset_rows,
    offset_side,
)
from skpopsteer.inspection._explorer_settings import (
    as_strength,
    checked_settings,
    has_union,
    knobs_of_model,
    neuron_knob,
    steps_of,
)
from skpopsteer.inspection._explorer_sides import (
    Impossible,
    item_codes,
    item_numbers,
    item_rows,
    item_side,
    user_side,
)
from skpopsteer.steering._encoded_users import EncodedUsers
from skpopsteer.steering._rules import OFFSET

__all__ = ["Room", "Sample", "describe_steering", "host_name", "sample_users"]


class Sample:
    """Users whose lists the page makes.

    Parameters
    ----------
    model : fitted SteeredRecommender
    X : csr_array of shape (n_rows, n_items)
        All rows: what multiplies the strength of a user may compare them.
    user_ids : ndarray of shape (n_rows,) or None
    rows : ndarray of shape (n_users,)
        The rows that are sampled.

    Attributes
    ----------
    rows : ndarray of shape (n_users,)
    X : csr_array of shape (n_users, n_items)
    encoded : EncodedUsers
    host_lists, own_lists : ndarray of shape (n_users, n_recommendations)
        Before steering, and at the model's own strength.
    """

    def __init__(self, model, X, user_ids, rows):
        self.model, self.rows, self.X = model, rows, X[rows]
        ids = None if user_ids is None else user_ids[rows]
        host, factors = model.recommender_, model._per_row(X)
        embeddings = host.encode_users(self.X, ids)
        self.encoded = EncodedUsers(
            embeddings, None if factors is None else factors[rows]
        )
        self.host_lists = host.recommend(self.X, model.n_recommendations, user_ids=ids)
        self.own_lists = self.lists(None)

    def lists(self, strength):
        """Return what ``recommend(strength=...)`` gives these users."""
        model = self.model
        turned = model._turn_checked(strength)
        k = model.n_recommendations
        return model._lists(self.X, self.encoded, turned, k, [self.X])[0]


def sample_users(X, held_out_counts, n_users, rng):
    """Choose users at random, of those with a history, and with held-out items if any.

    Parameters
    ----------
    X : csr_array of shape (n_rows, n_items)
    held_out_counts : ndarray of shape (n_rows,) or None
    n_users : int
    rng : Generator

    Returns
    -------
    ndarray of shape (at most n_users,)
        Rows, ascending.
    """
    eligible = np.diff(X.indptr) > 0
    if held_out_counts is not None:
        eligible &= held_out_counts > 0
    rows = np.flatnonzero(eligible)
    if not len(rows):
        raise ValueError(
            "`X` must hold a user with interactions, and held-out items in `y` where "
            "that is given; got none. hide_interactions(X) makes X_seen and y."
        )
    return np.sort(rng.choice(rows, min(n_users, len(rows)), replace=False))


@dataclass
class Room:
    """What a page has left for items, and what names them.

    Attributes
    ----------
    n_bytes : int
        For all that steering takes.
    names : list of str
        Of all items, as the page shows them.
    is_named : ndarray of shape (n_items,), dtype bool
        Items that the page names in any case.
    """

    n_bytes: int
    names: list
    is_named: np.ndarray


def describe_steering(model, sample, room, rng):
    """Describe the knobs, and all that is needed to turn them.

    Parameters
    ----------
    model : fitted SteeredRecommender
    sample : Sample
    room : Room
    rng : Generator

    Returns
    -------
    steering : dict of str to object
        Arrays and plain values. `reason` tells why the page cannot do it, or is None.
    items : ndarray of int
        Items whose lists the page can make.
    """
    union = has_union(model)
    knobs = knobs_of_model(model, union)
    steering = {
        "reason": None,
        "union": union,
        "knobs": knobs,
        "neuron_knob": neuron_knob(model),
        "rule": model.rule_,
        "reconstruction": model.reconstruction,
        "keep_top": int(model.keep_top),
        "strength": float(model.strength),
        "unpopular_strength": _float(model.unpopular_strength),
        "item_strength": _float(model.item_strength),
        "factors": sample.encoded.factors,
        "rest": None,
    }
    codes = None
    try:
        _refuse_hosts(model)
        if model.side_ != "item":
            steering["user"] = user_side(model, sample.encoded.embeddings, union)
        if model.side_ != "user":
            codes = item_codes(model)
            steering["item"] = (
                offset_side(model, codes, union)
                if model.rule_ == OFFSET
                else item_side(model, union)
            )
    except Impossible as error:
        return {**steering, "reason": str(error)}, np.empty(0, dtype=np.int64)
    steering["checks"] = [
        {"values": values, "lists": sample.lists(as_strength(values, union))}
        for values in checked_settings(knobs)
    ]
    costs = _costs(model, sample, codes, room, steering)
    left = room.n_bytes - n_bytes(steering)
    items = np.arange(sample.X.shape[1])
    if costs.sum() > left or is_too_slow(model, sample):
        steering["knobs"] = knobs_of_model(model, union, steps_of(model))
        items, steering["rest"] = cut_catalogue(
            model, sample, codes, steering, costs, left, rng
        )
    if model.rule_ == OFFSET:
        steering["item"] |= offset_rows(model, codes, items, steering)
    elif model.side_ != "user":
        steering["item"] |= item_rows(model, codes, items)
    return steering | _tables(model, sample, items), items


def _holds_scores(model, sample):
    """Whether scores of the users take fewer numbers than embeddings, and are enough.

    Offsets are added to them, whatever the embedding of the user.
    """
    width = model.recommender_.item_embeddings_.shape[1]
    return model.rule_ == OFFSET and len(sample.rows) < width


def _tables(model, sample, items):
    """Return what scores are made of: embeddings, or the scores themselves."""
    host, embeddings = model.recommender_, sample.encoded.embeddings
    if _holds_scores(model, sample):
        scores = np.empty(sample.X.shape, dtype=np.float32)
        model._host_score_into(scores, sample.encoded)
        return {"item_scores": scores[:, items]}
    bias = host.item_bias_
    return {
        "user_embeddings": embeddings,
        "item_embeddings": host.item_embeddings_[items],
        "item_bias": None if bias is None else bias[items],
    }


def _costs(model, sample, codes, room, steering):
    """Return the bytes that every item takes."""
    host = model.recommender_
    numbers = host.item_embeddings_.shape[1] + (host.item_bias_ is not None)
    if _holds_scores(model, sample):
        numbers = len(sample.rows)
    if model.rule_ == OFFSET:
        numbers += offset_numbers(steering)
        codes = codes[:, steering["item"]["turnable"]]
    elif model.side_ != "user":
        numbers += item_numbers(model)
    seen = np.bincount(sample.X.indices, minlength=sample.X.shape[1])
    return item_costs(
        numbers=numbers, codes=codes, seen=seen, names=room.names,
        is_named=room.is_named,
    )  # fmt: skip


def _refuse_hosts(model):
    host = model.recommender_
    if host.has_nonlinear_decode:
        raise Impossible(
            f"The host ({host_name(host)}) decodes with layers of its own, not by "
            "inner products, and a page cannot run them."
        )


def _float(value):
    return None if value is None else float(value)


def host_name(host):
    """Return what the model in a host is called, or the host itself."""
    adapter = getattr(host, "estimator", host)
    held = next(iter(adapter.get_params(deep=False).values()), None)
    is_model = hasattr(held, "fit") or hasattr(held, "forward")
    return type(held if is_model else adapter).__name__
