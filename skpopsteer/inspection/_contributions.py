"""What each neuron adds to the change of a score, and lists with some left alone."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from skpopsteer.sae._standardize import row_statistics
from skpopsteer.steering._rules import OFFSET
from skpopsteer.steering._side import encode
from skpopsteer.topk import forbid, merge_lists, top_k

__all__ = ["PenalisedRow", "Source", "SourceNames", "SteeredRow"]

#: How far a decoder may be from a sum over neurons, by the largest value it decodes.
_AFFINE = 1e-4
#: Activations of the items that are kept while lists are made again: 256 MiB.
_MOST_ACTIVATIONS = 2**26


class Source(NamedTuple):
    """What moved a score.

    Attributes
    ----------
    side : {"user", "item"} or None
        Whose autoencoder; None for what is none.
    neuron : int
        Its number; -1 for what is no neuron: the error of the autoencoder, where its
        reconstruction takes the place of the embedding, or a penalty.
    """

    side: str | None
    neuron: int


@dataclass
class SourceNames:
    """What sources are called; ``names(source)`` says it.

    Attributes
    ----------
    labels : dict of str to dict of int to str
        Labels of the neurons of every side.
    """

    labels: dict

    def __call__(self, source):
        """Return the name of a source."""
        if source.side is None:
            return "popularity"
        whose = "item " if source.side == "item" else ""
        if source.neuron < 0:
            return f"error of the {whose}autoencoder"
        number = f"{whose}neuron {source.neuron}"
        label = self.labels[source.side].get(source.neuron)
        return f"{label} ({number})" if label else number


@dataclass
class PenalisedRow:
    """One user of a reranker that changes scores by one sum per item.

    Attributes
    ----------
    change : ndarray of shape (n_items,)
        New score minus old.
    """

    change: np.ndarray
    factor: float = 1.0

    def contributions(self, items):
        """Return the one source there is, and the change of some items by it."""
        return [Source(None, -1)], self.change[items, None].astype(np.float64)


@dataclass
class SteeredRow:
    """One user of a steered recommender, whose neurons can be left alone.

    Attributes
    ----------
    model : fitted SteeredRecommender
    encoded : EncodedUsers of length 1
    X : csr_array of shape (1, n_items)
        What the user has seen.
    pushes : tuple of (ndarray or None, ndarray or None)
        How far the neurons of users and of items are turned.
    """

    model: Any
    encoded: Any
    X: Any
    pushes: tuple

    @property
    def factor(self):
        """What multiplies the strength for this user."""
        factors = self.encoded.factors
        return 1.0 if factors is None else float(factors[0])

    def contributions(self, items, pushes=None):
        """Split the change of some scores into what each source adds.

        Parameters
        ----------
        items : ndarray of shape (n,)
        pushes : see :class:`SteeredRow`, default=None
            Other than its own.

        Returns
        -------
        sources : list of Source of length n_sources
            Neurons whose activation has changed, and the error of the autoencoder.
        contributions : ndarray of shape (n, n_sources), dtype float64
        """
        user_push, item_push = self.pushes if pushes is None else pushes
        embeddings, factors = self.encoded.embeddings, self.encoded.factors
        V = self.model.recommender_.item_embeddings_[items]
        sources, parts = [], []
        if user_push is not None:
            neurons, delta, directions, error = self._decompose(
                "user", embeddings, user_push, factors
            )
            profiles = V.astype(np.float64) @ directions.T
            sources += [Source("user", int(n)) for n in neurons]
            parts.append(profiles * delta)
            if error is not None:
                sources.append(Source("user", -1))
                parts.append(V.astype(np.float64) @ error.T)
        if item_push is not None and self.model.rule_ == OFFSET:
            side = self.model._side("item")
            rows = side.rows_of(self.model.recommender_)[items]
            active = encode(side.probe, rows).active
            neurons = np.flatnonzero((active != 0).any(axis=0) & (item_push != 0))
            sources += [Source("item", int(n)) for n in neurons]
            parts.append(
                self.factor * active[:, neurons].astype(np.float64) * item_push[neurons]
            )
        elif item_push is not None:
            # Items are displaced under the user as steered, as the model does.
            U = self.model._steer_users(self.encoded, user_push).astype(np.float64)
            neurons, delta, directions, error = self._decompose(
                "item", V, item_push, None
            )
            sources += [Source("item", int(n)) for n in neurons]
            parts.append(self.factor * (U @ directions.T) * delta)
            if error is not None:
                sources.append(Source("item", -1))
                parts.append(self.factor * error @ U.T)
        return sources, np.hstack(parts)

    def _decompose(self, name, rows, push, factors):
        """Return neurons that moved, by how much, whereto, and the error of the rows.

        The first are of shape (n,), (n_rows, n) and (n, d); the error is (n_rows, d),
        or None where it stays in the embedding.
        """
        side = self.model._side(name)
        before, after = side.codes_turned(
            rows, push, rule=self.model.rule_, factors=factors
        )
        directions = _directions(side)
        delta = after.astype(np.float64) - before
        if getattr(side.probe, "standardize_rows", False):
            delta = delta * row_statistics(rows)[1]
        decoded = np.asarray(side._decode(before, rows), dtype=np.float64)
        _require_affine(side, delta @ directions, decoded, after, rows)
        neurons = np.flatnonzero(delta.any(axis=0))
        replaced = self.model.reconstruction == "replace"
        error = decoded - rows if replaced else None
        return neurons, delta[:, neurons], directions[neurons], error

    def list_of(self, pushes, n_items):
        """Return the best unseen items with other pushes.

        Returns
        -------
        ndarray of shape (n_items,)
            Padded with -1.
        """
        turned = self._turned(pushes)
        encoded = self.model._steer(self.encoded, turned)
        scores, own = np.empty((2, *self.X.shape), dtype=np.float32)
        self.model._score_into(scores, encoded, self.X, turned)
        forbid(scores, self.X)
        ids, _ = top_k(scores, n_items)
        if self.model.keep_top:
            self.model._host_score_into(own, self.encoded)
            forbid(own, self.X)
            ids = merge_lists(top_k(own, n_items)[0], ids, self.model.keep_top)
        return ids[0]

    def _turned(self, pushes):
        user_push, item_push = pushes
        if item_push is None:
            return user_push, None
        side = self.model._side("item")
        V = side.rows_of(self.model.recommender_)
        if self.model.rule_ == OFFSET:
            return user_push, self._offsets(side, V, item_push)
        moved = side.move(
            V, item_push, rule=self.model.rule_,
            reconstruction=self.model.reconstruction, codes=self._item_codes(V),
        )  # fmt: skip
        return user_push, None if moved is V else moved - V

    def _offsets(self, side, V, push):
        """Return the offsets of the items: beside the model's own, what differs."""
        if len(V) * len(push) > _MOST_ACTIVATIONS:
            return side.offsets(V, push)
        own = self.pushes[1]
        if not hasattr(self, "_active"):
            self._active = side.activations(V)
            self._own_offsets = side.offsets(V, own)
        (others,) = np.nonzero(push != own)
        return self._own_offsets + self._active[:, others] @ (push - own)[others]

    def _item_codes(self, V):
        """Encode the items once for all lists that are made of this user."""
        if not hasattr(self, "_codes"):
            self._codes = self.model._side("item").codes(V)
        return self._codes

    def needed(self, item, k):
        """Find neurons without which an item is where it was: in the list, or out.

        Parameters
        ----------
        item : int
            In the list of one of the two, and not of the other.
        k : int
            Length of the lists.

        Returns
        -------
        list of Source, or None
            None where no neurons suffice.
        """
        listed = item in self.list_of(self.pushes, k)

        def suffices(alone):
            return listed != (item in self.list_of(self._without(alone), k))

        alone, left = [], self._turned_neurons()
        while left:
            gains = self._gains(item, listed, k, alone)
            left.sort(key=lambda source: -gains.get(source, 0.0))
            last = next(
                (s for s in left if gains.get(s, 0.0) > 0 and suffices([*alone, s])),
                left[0],
            )
            alone.append(last)
            left.remove(last)
            if suffices(alone):
                return _without_superfluous(alone, suffices)
        return None

    def _turned_neurons(self):
        return [
            Source(side, int(neuron))
            for side, push in zip(("user", "item"), self.pushes, strict=True)
            if push is not None
            for neuron in np.flatnonzero(push)
        ]

    def _gains(self, item, listed, k, alone):
        """Tell by how much each neuron keeps an item from where it was.

        Measured against the item it has to change places with.
        """
        pushes = self._without(alone)
        rivals = self.list_of(pushes, k + 1)
        # The last of the list makes room for it, or the next one takes its place.
        rival = rivals[k if listed else k - 1]
        sources, parts = self.contributions(np.array([item, rival]), pushes)
        gains = parts[0] - parts[1] if listed else parts[1] - parts[0]
        return dict(zip(sources, gains.tolist(), strict=True))

    def _without(self, sources):
        """Return the pushes with some neurons left alone."""
        pushes = []
        for side, push in zip(("user", "item"), self.pushes, strict=True):
            if push is not None:
                push = push.copy()
                push[[s.neuron for s in sources if s.side == side]] = 0
            pushes.append(push)
        return tuple(pushes)


def _without_superfluous(alone, suffices):
    """Drop neurons until all of those that are left are needed."""
    while len(alone) > 1:
        subsets = ([other for other in alone if other != one] for one in alone)
        fewer = next(filter(suffices, subsets), None)
        if fewer is None:
            break
        alone = fewer
    return alone


def _directions(side):
    """Return what one unit of every neuron adds to an embedding (n_neurons, d)."""
    decoder = getattr(side.probe, "decoder_weights_", None)
    if decoder is None:
        units = np.eye(len(side.scales), dtype=np.float32)
        decoder = side.probe.inverse_transform(units)
        decoder = decoder - side.probe.inverse_transform(np.zeros_like(units[:1]))
    return np.asarray(decoder, dtype=np.float64)


def _require_affine(side, change, decoded, after, rows):
    own = np.asarray(side._decode(after, rows), dtype=np.float64)
    size = max(np.abs(decoded).max(initial=0.0), np.abs(own).max(initial=0.0))
    if np.abs(own - decoded - change).max(initial=0.0) > _AFFINE * size:
        raise ValueError(
            "`model` must have a probe that decodes by a sum over its neurons; got "
            f"{type(side.probe).__name__}, whose inverse_transform does not. Its lists "
            "can be compared, but not split into neurons."
        )
