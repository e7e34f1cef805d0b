"""Which rows describe a neuron, and which others check the description."""

from typing import NamedTuple

import numpy as np

__all__ = ["Selection", "activation_levels", "select_cases"]

#: Rows of at least this level count as cases in which a neuron fires.
STRONG = 5
#: Inactive rows looked at for every one that is matched on popularity.
_POOL = 20


class Selection(NamedTuple):
    """Cases of several neurons, as places among the shown items.

    In both matrices the first `n_cases` columns are rows where the neuron fires, the
    others rows where it does not. A neuron with too few of them has -1 everywhere, and
    a reason.
    """

    construction: np.ndarray
    verification: np.ndarray
    levels: np.ndarray
    n_active: np.ndarray
    reasons: list[str]


def activation_levels(activations):
    """Turn positive activations of one neuron into levels 1 to 10, their deciles.

    Parameters
    ----------
    activations : ndarray of shape (n_active,)
        Those above 0, in any order.

    Returns
    -------
    ndarray of shape (n_active,), dtype int64
        ``ceil(10 r / n_active)`` with r the number of activations that are not higher,
        so that equal ones share a level and the strongest always has level 10.
    """
    n_active = len(activations)
    rank = np.searchsorted(np.sort(activations), activations, side="right")
    return -(-10 * rank // max(n_active, 1))


def select_cases(Z, shown, neurons, n_cases, *, distinct_items, popularity, seed):
    """Choose cases for construction and for verification, disjoint in rows.

    Parameters
    ----------
    Z : csc_array of shape (len(shown), n_neurons)
        Activations, stored where positive.
    shown : ShownItems
        Items that stand for the rows.
    neurons : ndarray of shape (m,)
        Neurons to choose cases for.
    n_cases : int
        Active rows for each of the two purposes, and as many inactive ones.
    distinct_items : bool
        No item appears twice among the cases of a neuron.
    popularity : ndarray of shape (n_items,) or None
        Where given, every active row is paired with an inactive one whose item is about
        as popular; None draws inactive rows evenly.
    seed : int
        The cases of a neuron depend on it and on the neuron's number, not on which
        other neurons are asked for.

    Returns
    -------
    Selection
    """
    order = np.random.default_rng(seed).permutation(len(shown))
    chooser = _Chooser(shown.items, order, n_cases, distinct_items, popularity)
    shape = (len(neurons), 2 * n_cases)
    construction, verification = np.full(shape, -1), np.full(shape, -1)
    levels = np.zeros(shape)
    n_active, reasons = np.diff(Z.indptr)[neurons], []
    for i, neuron in enumerate(neurons):
        rng = np.random.default_rng((seed, int(neuron)))
        column = slice(Z.indptr[neuron], Z.indptr[neuron + 1])
        cases, reason = chooser.choose(Z.indices[column], Z.data[column], rng)
        reasons.append(reason)
        if not reason:
            construction[i], verification[i], levels[i] = cases
    return Selection(construction, verification, levels, n_active, reasons)


class _Chooser:
    """Chooses the cases of one neuron after the other."""

    def __init__(self, items, order, n_cases, distinct_items, popularity):
        self.items, self.order = items, order
        self.n_cases, self.distinct_items = n_cases, distinct_items
        self.log_popularity = None if popularity is None else np.log1p(popularity)
        self.excluded = np.zeros(len(items), dtype=bool)

    def choose(self, active, activations, rng):
        """Return (construction, verification, levels), or why there are none."""
        n = self.n_cases
        levels = activation_levels(activations)
        best, reason = self._strongest(active, activations, levels)
        if reason:
            return None, reason
        strong, strong_levels = active[best], levels[best]
        weak = self._inactive(active, strong, rng)
        if len(weak) < 2 * n:
            return None, f"{len(weak)} of {2 * n} inactive rows"
        half = rng.permutation(2 * n)
        # Strongest first, for whoever reads the cases.
        first, second = np.sort(half[:n]), np.sort(half[n:])
        construction = np.concatenate([strong[first], weak[first]])
        verification = np.concatenate([strong[second], weak[second]])
        shown_levels = np.concatenate([strong_levels[first], np.zeros(n)])
        return (construction, verification, shown_levels), ""

    def _strongest(self, active, activations, levels):
        """Return where the 2N strongest rows of level 5 and more are, or a reason."""
        wanted = 2 * self.n_cases
        if not len(active):
            return None, "never fires"
        # Equal activations go to the row of the lower position.
        best = np.lexsort((active, -activations))
        best = best[levels[best] >= STRONG]
        if len(best) < wanted:
            return None, f"{len(best)} of {wanted} active rows"
        if self.distinct_items:
            best = best[self._first_of_each_item(active[best])]
            if len(best) < wanted:
                return None, f"{len(best)} of {wanted} distinct items"
        return best[:wanted], ""

    def _inactive(self, active, strong, rng):
        """Draw rows where the neuron is silent, one for each of the strong ones."""
        wanted = len(strong)
        start = int(rng.integers(len(self.order)))
        if self.log_popularity is None:
            return self._walk(active, strong, start, wanted)
        pool = self._walk(active, strong, start, _POOL * wanted)
        if len(pool) < wanted:
            return pool
        distance = np.abs(
            self.log_popularity[self.items[strong]][:, np.newaxis]
            - self.log_popularity[self.items[pool]]
        )
        partners = []
        for row in distance:
            partners.append(int(row.argmin()))
            distance[:, partners[-1]] = np.inf
        return pool[partners]

    def _walk(self, active, strong, start, wanted):
        """Go round the shuffled rows from a random start until enough are silent."""
        self.excluded[active] = True
        n_rows, size = len(self.order), 0
        while size < n_rows:
            size = min(max(4 * size, 8 * wanted), n_rows)
            places = self.order[np.arange(start, start + size) % n_rows]
            places = places[~self.excluded[places]]
            if self.distinct_items:
                shown = np.isin(self.items[places], self.items[strong])
                places = places[~shown]
                places = places[self._first_of_each_item(places)]
            if len(places) >= wanted:
                break
        self.excluded[active] = False
        return places[:wanted]

    def _first_of_each_item(self, places):
        return np.sort(np.unique(self.items[places], return_index=True)[1])
