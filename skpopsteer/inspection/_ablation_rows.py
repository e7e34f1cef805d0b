"""Rows ranked before and after neurons are turned, and what is counted of them."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from scipy.sparse import csr_array

from skpopsteer.metrics import ndcg
from skpopsteer.steering._rules import RULES, Codes
from skpopsteer.steering._side import encode
from skpopsteer.topk import forbid, row_blocks, top_k

__all__ = ["Bench", "Sums", "Turn"]


class Turn(NamedTuple):
    """Some neurons, and how they are turned.

    Attributes
    ----------
    neurons : ndarray of shape (n,)
    rule : {"multiply", "hold"}
    push : float
        Of every neuron, as the rules take it.
    peaks : ndarray of shape (n,)
    """

    neurons: np.ndarray
    rule: str
    push: float
    peaks: np.ndarray

    def activations(self, active):
        """Return the activations of these neurons before and after."""
        before = active[:, self.neurons]
        push = np.full((1, len(self.neurons)), self.push, dtype=np.float32)
        codes = Codes(before, before, lambda pre: pre)
        return before, RULES[self.rule](codes, push, None, self.peaks)

    @property
    def keeps_inactive(self):
        """Whether rows where none of the neurons is active stay as they are."""
        return self.rule == "multiply"


class Sums:
    """Sums over rows, of active rows and of inactive ones."""

    def __init__(self, n_measures, n_items):
        self.n_rows = np.zeros(2, dtype=np.int64)
        #: Rows that count for a measure: NDCG needs held-out items.
        self.counts = np.zeros((2, n_measures), dtype=np.int64)
        self.before, self.after = np.zeros((2, 2, n_measures))
        #: What the neurons add to the scores, where that must be estimated.
        self.added = np.zeros(n_items)

    def means(self):
        """Return means before and after; NaN where no row counts."""
        undefined = np.full(self.before.shape, np.nan)
        return [
            np.divide(sums, self.counts, out=undefined.copy(), where=self.counts > 0)
            for sums in (self.before, self.after)
        ]


@dataclass
class Bench:
    """Rows, the host that scores them, and the probe that reads them.

    Attributes
    ----------
    host : fitted adapter
    probe : fitted autoencoder
    X : csr_array of shape (n_users, n_items)
    embeddings : ndarray of shape (n_users, d)
    y : HeldOut or None
    length : int
        Of the lists.
    features : csr_array of shape (n_items, n_features)
        1 where an item has an attribute.
    feature_names : sequence of str
    """

    host: Any
    probe: Any
    X: csr_array
    embeddings: np.ndarray
    y: Any
    length: int
    features: csr_array
    feature_names: Any

    @property
    def measures(self):
        """Names of what is measured."""
        names = [f"overlap@{self.length}", "top-1 unchanged", "score change"]
        names += [] if self.y is None else [f"ndcg@{self.length}"]
        return names + [f"share of {name}" for name in self.feature_names]

    @cached_property
    def is_exact(self):
        """Whether scores are sums over neurons, each times an inner product."""
        linear = not self.host.has_nonlinear_decode
        return linear and hasattr(self.probe, "decoder_weights_")

    def measure_activity(self):
        """Return the mean activation and the peak of every neuron."""
        total, peaks = 0.0, []
        for _, codes in self._code_blocks():
            if codes.active.min() < 0:
                raise ValueError(
                    "`probe` must have activations that are not negative; got "
                    f"{codes.active.min():g}. Use a SparseAutoencoderProbe."
                )
            total = total + codes.active.sum(axis=0, dtype=np.float64)
            peaks.append(codes.active.max(axis=0))
        return total / len(self.embeddings), np.max(peaks, axis=0)

    def run(self, turns, chosen):
        """Turn neurons, and sum up what is measured.

        Parameters
        ----------
        turns : dict of tuple of int to Turn
            By their neurons.
        chosen : list of tuple of int
            Those whose effect on every item is estimated, if it is not known exactly.

        Returns
        -------
        dict of tuple of int to Sums
        """
        sums = {g: Sums(len(self.measures), self.X.shape[1]) for g in turns}
        for rows, codes in self._code_blocks():
            block = _Block(self, rows, codes)
            for group, turn in turns.items():
                fires = (codes.active[:, turn.neurons] > 0).any(axis=1)
                for kind, some in enumerate((fires, ~fires)):
                    block.add(sums[group], kind, np.flatnonzero(some), turn)
                if not self.is_exact and group in chosen:
                    block.add_effects(sums[group], np.flatnonzero(fires), turn)
        return sums

    def score_changes(self, turn, codes, rows, scores):
        """Return how much every score changes, or None where none does.

        Parameters
        ----------
        turn : Turn
        codes : Codes
        rows : ndarray of shape (n, d)
        scores : ndarray of shape (n, n_items)
            Of the rows as they are.

        Returns
        -------
        ndarray of shape (n, n_items) or None
        """
        displacement = self._displace(turn, codes, rows)
        if not displacement.any():
            return None
        if self.host.has_nonlinear_decode:
            return self.host.decode(rows + displacement) - scores
        return displacement @ self.host.item_embeddings_.T

    def _displace(self, turn, codes, rows):
        before, after = turn.activations(codes.active)
        decoder = getattr(self.probe, "decoder_weights_", None)
        standardized = getattr(self.probe, "standardize_rows", False)
        if decoder is not None and not standardized:
            return (after - before) @ decoder[turn.neurons]
        steered = codes.active.copy()
        steered[:, turn.neurons] = after
        # A probe that standardizes needs the rows to put their own scale back.
        own_scale = (rows,) if standardized else ()
        decode = self.probe.inverse_transform
        return decode(steered, *own_scale) - decode(codes.active, *own_scale)

    def _code_blocks(self):
        n_rows, n_items = self.X.shape
        n_neurons = encode(self.probe, self.embeddings[:1]).active.shape[1]
        for rows in row_blocks(n_rows, max(n_items, n_neurons)):
            yield rows, encode(self.probe, self.embeddings[rows])


class _Block:
    """Some rows as the host ranks them, to be compared with what turning makes."""

    def __init__(self, bench, rows, codes):
        self.bench, self.codes = bench, codes
        self.rows, self.seen = bench.embeddings[rows], bench.X[rows]
        self.y = None if bench.y is None else bench.y[rows]
        self.scores = bench.host.decode(self.rows)
        self.lists = self._rank(self.scores.copy(), self.seen)
        self.ndcg = None if self.y is None else ndcg(self.y, self.lists, per_user=True)

    def add(self, sums, kind, some, turn):
        """Add some of the rows to the sums."""
        if not len(some):
            return
        was, counts = self._measure_before(some)
        now, change = was, None
        if kind == 0 or not turn.keeps_inactive:
            change = self._changes(some, turn)
        if change is not None:
            now = self._measure_after(some, change)
        sums.n_rows[kind] += len(some)
        sums.counts[kind] += counts
        sums.before[kind] += was
        sums.after[kind] += now

    def add_effects(self, sums, some, turn):
        """Add what the neurons contribute to the scores of some of the rows."""
        silenced = turn._replace(rule="multiply", push=-1.0)
        change = self._changes(some, silenced) if len(some) else None
        if change is not None:
            sums.added -= change.sum(axis=0, dtype=np.float64)

    def _measure_before(self, some):
        """Return sums of every measure, and how many rows count for it."""
        lists = self.lists[some]
        n_lists = np.count_nonzero(lists[:, 0] >= 0)
        values, counts = [n_lists, n_lists, 0], [n_lists, n_lists, len(some)]
        if self.y is not None:
            judged = self.ndcg[some][~np.isnan(self.ndcg[some])]
            values.append(judged.sum())
            counts.append(len(judged))
        shares = _sum_shares(lists, self.bench.features)
        counts += [n_lists] * len(shares)
        return np.concatenate([values, shares]), counts

    def _measure_after(self, some, change):
        before = self.lists[some]
        after = self._rank(self.scores[some] + change, self.seen[some])
        stays = (before[:, 0] == after[:, 0]) & (before[:, 0] >= 0)
        sizes = np.abs(change).mean(axis=1, dtype=np.float64)
        values = [_overlap(before, after).sum(), stays.sum(), sizes.sum()]
        if self.y is not None:
            values.append(np.nansum(ndcg(self.y[some], after, per_user=True)))
        return np.concatenate([values, _sum_shares(after, self.bench.features)])

    def _changes(self, some, turn):
        return self.bench.score_changes(
            turn, self.codes.of(some), self.rows[some], self.scores[some]
        )

    def _rank(self, scores, seen):
        forbid(scores, seen)
        return top_k(scores, self.bench.length)[0]


def _overlap(before, after):
    """Return the share of each list that is in the other too; 0 for an empty one."""
    filled = before >= 0
    # One key per row and item, so that a single look-up serves all rows.
    offsets = np.arange(len(before))[:, None] * (max(before.max(), after.max()) + 2)
    stays = np.isin(before + offsets, after + offsets) & filled
    return stays.sum(axis=1) / np.maximum(filled.sum(axis=1), 1)


def _sum_shares(lists, features):
    """Sum over lists the share of their items that has each attribute."""
    filled = lists >= 0
    weights = filled / np.maximum(filled.sum(axis=1, keepdims=True), 1)
    slots = np.bincount(
        lists[filled], weights=weights[filled], minlength=features.shape[0]
    )
    return features.T @ slots
