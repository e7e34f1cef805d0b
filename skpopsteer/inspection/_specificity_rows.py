"""Measure lists against the host's: the rows of a table of specificity."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.sparse import csr_array, diags_array

from skpopsteer.inspection._equal_gain import overlaps
from skpopsteer.inspection._specificity_table import Specificity, interval
from skpopsteer.metrics import ndcg, tail_share
from skpopsteer.metrics._bootstrap import draw_weights

__all__ = ["Rows"]


@dataclass
class Rows:
    """Rows of measures; a row may be the mean over several lists of a user.

    Attributes
    ----------
    own : ndarray of shape (n_users, k)
        Lists of the host.
    item_groups : ndarray of shape (n_items,)
    y : held-out interactions or None
    attributes : list of Attribute
    """

    own: np.ndarray
    item_groups: np.ndarray
    y: Any
    attributes: list
    names: list = field(default_factory=list)
    strengths: list = field(default_factory=list)
    parts: list = field(default_factory=list)

    def __post_init__(self):
        """Count what the host recommends, once."""
        self.own_counts = [one.counts(self.own) for one in self.attributes]

    def add(self, name, strength, versions):
        """Add a row.

        Parameters
        ----------
        name : str
        strength : float
            NaN where there is none.
        versions : list of ndarray of shape (n_users, k)
            Lists whose measures are averaged; none gives NaN.
        """
        self.names.append(name)
        self.strengths.append(strength)
        self.parts.append([self._take_apart(lists) for lists in versions])

    def table(self, n_boot, seed, notes):
        """Measure all users, and draws of them."""
        everybody = np.ones((1, len(self.own)))
        values, own_shares, changes = self._measure(everybody)
        blocks = [values[:0]]
        if n_boot:
            weights = draw_weights(len(self.own), n_boot, seed)
            blocks = [self._measure(block)[0] for block in weights]
        values, draws = values[0], np.concatenate(blocks)
        # The strengths were searched on all users.
        values[:, 0], draws[:, :, 0] = self.strengths, np.nan
        ends = [interval(draws[:, row], values[row]) for row in range(len(values))]
        low, high = np.moveaxis(np.array(ends), 1, 0)
        names = [one.name for one in self.attributes]
        return Specificity(
            names=self.names,
            columns=self._columns(),
            values=values,
            low=low,
            high=high,
            changes=dict(zip(names, changes, strict=True)),
            value_names={one.name: one.names for one in self.attributes},
            own_shares=dict(zip(names, own_shares, strict=True)),
            draws=draws,
            notes=notes,
        )

    def _columns(self):
        k = self.own.shape[1]
        columns = ["strength", f"tail_share@{k}", f"overlap@{k}"]
        columns += [] if self.y is None else [f"ndcg@{k}"]
        return columns + [
            f"{one.name}_{what}" for one in self.attributes for what in ("all", "user")
        ]

    def _take_apart(self, lists):
        """Return what is a mean over users, one column each, and counts of values."""
        counts = [one.counts(lists) for one in self.attributes]
        columns = [
            tail_share(lists, self.item_groups, per_user=True),
            overlaps(self.own, lists),
        ]
        if self.y is not None:
            columns.append(ndcg(self.y, lists, per_user=True))
        for own, new in zip(self.own_counts, counts, strict=True):
            gap = abs(_as_shares(new) - _as_shares(own)).sum(axis=1)
            columns.append(np.asarray(gap).ravel() / 2)
        return np.column_stack(columns), counts

    def _measure(self, weights):
        """Measure every row on draws of users.

        Returns
        -------
        values : ndarray of shape (n_draws, n_rows, n_columns)
        own_shares : list of ndarray of shape (n_values,)
            Of the first draw, as what follows.
        changes : list of ndarray of shape (n_rows, n_values)
        """
        own = [_shares(counts, weights) for counts in self.own_counts]
        n_columns = len(self._columns())
        values = np.full((len(weights), len(self.names), n_columns), np.nan)
        changes = [np.full((len(self.names), one.shape[1]), np.nan) for one in own]
        for row, versions in enumerate(self.parts):
            if not versions:
                continue
            measured = np.zeros((len(weights), n_columns))
            moved = [np.zeros(one.shape[1]) for one in own]
            for per_user, counts in versions:
                means = _means(per_user, weights)
                n_means = means.shape[1] - len(own)
                measured[:, 1 : 1 + n_means] += means[:, :n_means]
                for place, (before, after) in enumerate(zip(own, counts, strict=True)):
                    gap = _shares(after, weights) - before
                    column = 1 + n_means + 2 * place
                    measured[:, column] += np.abs(gap).sum(axis=1) / 2
                    measured[:, column + 1] += means[:, n_means + place]
                    moved[place] += gap[0]
            values[:, row] = measured / len(versions)
            for change, one in zip(changes, moved, strict=True):
                change[row] = one / len(versions)
        return values, [one[0] for one in own], changes


def _as_shares(counts):
    """Divide the counts of every list by their sum."""
    totals = np.asarray(counts.sum(axis=1)).ravel()
    scale = np.divide(1.0, totals, out=np.zeros(len(totals)), where=totals > 0)
    return csr_array(diags_array(scale) @ counts)


def _shares(counts, weights):
    """Return the shares of values in all lists together (n_draws, n_values)."""
    totals = np.asarray((counts.T @ weights.T).T)
    sums = totals.sum(axis=1, keepdims=True)
    return np.divide(totals, sums, out=np.zeros_like(totals), where=sums > 0)


def _means(per_user, weights):
    """Return means over users, those without a value left out (n_draws, n_means)."""
    defined = ~np.isnan(per_user)
    sums = weights @ np.where(defined, per_user, 0.0)
    numbers = weights @ defined.astype(np.float64)
    means = np.full(sums.shape, np.nan)
    return np.divide(sums, numbers, out=means, where=numbers > 0)
