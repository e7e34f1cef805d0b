"""How the knobs of a steered recommender become scores."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skpopsteer._post_hoc import PostHocMixin
from skpopsteer._user_strength import user_factors
from skpopsteer.adapters._base import decode_into, encode_rows
from skpopsteer.adapters._export import ExportMixin, bake
from skpopsteer.steering._displacement import displace
from skpopsteer.steering._encoded_users import EncodedUsers
from skpopsteer.steering._rules import OFFSET
from skpopsteer.steering._shared import encode_users

__all__ = ["KnobMixin", "check_user_knob"]

#: Rows from which vectors are displaced, rather than multiplied twice.
_SHARED = 128


def check_user_knob(model, strength):
    """Return the push of the user neurons of a model that does nothing else.

    Parameters
    ----------
    model : fitted SteeredRecommender
    strength : float, dict or None

    Returns
    -------
    ndarray of shape (n_neurons,)
    """
    if not isinstance(model, KnobMixin):
        raise TypeError(
            "`model` must be a fitted SteeredRecommender; got "
            f"{type(model).__name__}. Only neurons can steer an embedding by itself."
        )
    check_is_fitted(model)
    model._validate_params()
    if model.side_ != "user":
        raise ValueError(
            "`side` must be 'user' to steer embeddings by themselves; got "
            f"{model.side_!r}. They tell of nothing else; fit with rule='shift', say, "
            "or serve with recommend."
        )
    for name, only in [("user_strength", None), ("keep_top", 0)]:
        if getattr(model, name) != only:
            raise ValueError(
                f"`{name}` must be {only!r} to steer embeddings by themselves; got "
                f"{getattr(model, name)!r}. They tell of nothing else; set it so, or "
                "serve with recommend."
            )
    push, _ = model._turn_checked(strength)
    return push


class KnobMixin(ExportMixin, PostHocMixin):
    """Mixin of what happens between an embedding and its scores.

    It reads the parameters, the host and the fitted sides of
    :class:`~skpopsteer.steering.SteeredRecommender`.
    """

    def _take_new_items(self, n_new):
        super()._take_new_items(n_new)
        # The new host may be of another kind.
        self._check_decode()
        host, side = self.recommender_, self._item_side
        if side is not None and side.reads_bias(host) and host.item_bias_ is None:
            kind = type(getattr(host, "estimator", host)).__name__
            raise ValueError(
                "`recommender` must have an item bias where the host of fit has one, "
                f"which its neurons read; got {kind} without one. Fit the model on "
                "that host."
            )
        # Nobody has chosen them yet.
        self.item_groups_ = np.pad(self.item_groups_, (0, n_new), constant_values=-1)

    def _per_row(self, X):
        # Factors are made of all rows at once: a callable may compare them.
        return user_factors(
            self.user_strength, X, self.item_popularity_, self._mean_taste
        )

    def _encode(self, X, user_ids):
        embeddings = self.recommender_.encode_users(X, user_ids)
        return EncodedUsers(embeddings, self._per_row(X))

    def _encode_span(self, X, user_ids, per_row):
        return EncodedUsers(encode_rows(self.recommender_, X, user_ids), per_row)

    def _encode_to_score(self, X, user_ids):
        # Searches score every candidate on the same rows; serving never does, and would
        # fill the memory.
        embeddings = encode_users(self.memory, self.recommender_, X, user_ids)
        return EncodedUsers(embeddings, self._per_row(X))

    def _share(self, encoded):
        if self._user_side is None:
            return encoded
        return replace(encoded, codes=self._user_side.codes(encoded.embeddings))

    def _check_strength(self, strength):
        if not isinstance(strength, Mapping):
            super()._check_strength(strength)
            return
        check_is_fitted(self)
        sides = [side for side in (self._user_side, self._item_side) if side]
        names = {n for s in sides for n in getattr(s.selector, "strengths_", ())}
        for name, value in strength.items():
            if name not in names:
                knobs = ", ".join(sorted(names)) or "none: there is only one knob"
                raise ValueError(
                    f"`strength` must name knobs of a NeuronUnion ({knobs}); got "
                    f"{name!r}. A number turns all of them."
                )
            if value is None:
                raise ValueError(
                    f"`strength` must hold finite numbers; got None for {name!r}. "
                    "Leave the knob out to leave it alone."
                )
            super()._check_strength(value)

    def _turn(self, strength):
        """Return the push of the user neurons and the displacement of the items.

        Either is None where that side is not steered, or not moved. With
        ``rule="offset"`` the second is one number per item, which moves its score.
        """
        push, item_push = self._pushes(strength)
        return push, None if item_push is None else self._displace_items(item_push)

    def _pushes(self, strength):
        """Return the push of the user neurons and that of the item neurons.

        Either is None where that side is not steered.
        """
        knobs = None
        if isinstance(strength, Mapping):
            knobs, strength = strength, 1.0
        if self.rule_ == OFFSET and self.side_ != "item":
            raise ValueError(
                "`side` must be 'item' with rule='offset', which adds activations of "
                f"items to their scores; got {self.side_!r}. Set side='item'."
            )
        user, item = self._strengths(strength)
        return tuple(
            self._side(name).push(*strengths, self.rule_, knobs)
            if self.side_ in (name, "both")
            else None
            for name, strengths in (("user", user), ("item", item))
        )

    def _strengths(self, strength):
        """Return (popular, unpopular) strengths of the user side and the item side."""
        popular, unpopular, item = (
            self.strength, self.unpopular_strength, self.item_strength,
        )  # fmt: skip
        if strength is not None:
            # The set strengths keep their proportions: it is one knob.
            ratio = 0.0 if strength == 0 else strength / (self.strength or strength)
            unpopular, item = (s if s is None else s * ratio for s in (unpopular, item))
            popular = strength
        user = (popular, popular if unpopular is None else unpopular)
        return user, user if item is None else (item, item)

    def _set_strength(self, strength):
        (popular, unpopular), (item, _) = self._strengths(strength)
        params = {"unpopular_strength": unpopular, "item_strength": item}
        # What follows the strength goes on following it.
        own = {name: v for name, v in params.items() if getattr(self, name) is not None}
        return self.set_params(strength=popular, **own)

    def _displace_items(self, push):
        host, side = self.recommender_, self._side("item")
        V = np.asarray(host.item_embeddings_)
        rule, reconstruction = self.rule_, self.reconstruction

        def offsets(push):
            return side.offsets(side.rows_of(host), push) if push.any() else None

        def differences(push):
            moved = side.move(V, push, rule=rule, reconstruction=reconstruction)
            return None if moved is V else moved - V

        make = offsets if rule == OFFSET else differences
        tables = [V, host.item_bias_] if side.reads_bias(host) else [V]
        return displace(side, tables, push, make, (rule, reconstruction))

    def _steer_users(self, encoded, push):
        if push is None:
            return encoded.embeddings
        return self._side("user").move(
            encoded.embeddings,
            push,
            rule=self.rule_,
            reconstruction=self.reconstruction,
            factors=encoded.factors,
            codes=encoded.codes,
        )

    def _steer(self, encoded, turned):
        return replace(encoded, steered=self._steer_users(encoded, turned[0]))

    def _scores_tiles(self):
        # What stays of the host's top is looked up wherever it stands.
        return not self.keep_top and not self.recommender_.has_nonlinear_decode

    def _score_tile(self, out, encoded, X, turned, items):
        if self.rule_ != OFFSET or turned[1] is None:
            return super()._score_tile(out, encoded, X, turned, items)
        decode_into(self.recommender_, out, encoded.steered, items)
        return turned[1][items], encoded.factors

    def _score_into(self, out, encoded, X, turned, items=slice(None)):
        U, displacement, factors = encoded.steered, turned[1], encoded.factors
        if displacement is None:
            decode_into(self.recommender_, out, U, items)
            return
        change = displacement[items]
        if change.ndim == 2 and factors is None and len(U) >= _SHARED:
            self.recommender_._multiply_into(out, U, items, change)
            return
        decode_into(self.recommender_, out, U, items)
        if change.ndim == 2:
            change = U @ change.T
        out += change if factors is None else factors[:, None] * change

    def _host_score_into(self, out, encoded):
        decode_into(self.recommender_, out, encoded.embeddings)

    def _baked(self, encoded, turned):
        push, displacement = turned
        U, factors = self._steer_users(encoded, push), encoded.factors
        if displacement is None or displacement.ndim == 2:
            return bake(self.recommender_, U, displacement, factors)
        U, V, bias = bake(self.recommender_, U)
        if factors is None:
            return U, V, displacement if bias is None else bias + displacement
        # One more column: the factor of the user times the offset of the item.
        return np.c_[U, factors], np.c_[V, displacement], bias
