"""What a describer is shown: items that stand for rows, and the cases of a neuron."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

__all__ = ["NeuronCase", "NeuronCases", "ShownItems"]


@dataclass(frozen=True, eq=False)
class NeuronCase:
    """One row and the item that stands for it.

    Parameters
    ----------
    row : int
        Position of the row in the matrix that was encoded.
    item : int
        Position of the item.
    title : str
        Its title; empty without titles.
    attributes : tuple of str
        Names of the features the item has; empty without features.
    level : float or None
        Activation from 1 to 10, the decile of the activation among the rows for which
        the neuron fires; 0 where it does not. None where the level is to be predicted.
    history : ndarray of int
        Other items of the row, oldest first where their times are known, else by
        position; empty where only activations were given.

    Examples
    --------
    >>> from skpopsteer.neurons import NeuronCase
    >>> case = NeuronCase(row=3, item=7, title="Alien (1979)", attributes=("Horror",))
    >>> case.level is None
    True
    """

    row: int
    item: int
    title: str = ""
    attributes: tuple[str, ...] = ()
    level: float | None = None
    history: np.ndarray = field(default_factory=lambda: np.empty(0, dtype=np.int64))


@dataclass(frozen=True, eq=False)
class ShownItems:
    """Items that stand for the rows, and what is known of them. No activations.

    Parameters
    ----------
    rows, items : ndarray of shape (n,), dtype int64
        Rows that have an item, and that item.
    item_features : csr_array of shape (n_items, n_attributes), dtype float64, or None
        1 where an item has the attribute.
    feature_names : ndarray of shape (n_attributes,), dtype object, or None
        Names of the attributes.
    item_titles : ndarray of shape (n_items,), dtype object, or None
        Titles, "" where there is none.
    seen, times : csr_array of shape (n_rows, n_items), or None
        Interactions of the rows, and their times.
    """

    rows: np.ndarray
    items: np.ndarray
    item_features: Any = None
    feature_names: np.ndarray | None = None
    item_titles: np.ndarray | None = None
    seen: Any = None
    times: Any = None

    def __len__(self):
        return len(self.items)

    def title(self, item):
        """Return the title of an item, or an empty string."""
        return "" if self.item_titles is None else self.item_titles[item]

    def attributes(self, item):
        """Return the names of the attributes of an item."""
        if self.item_features is None or self.feature_names is None:
            return ()
        start, stop = self.item_features.indptr[item : item + 2]
        return tuple(self.feature_names[self.item_features.indices[start:stop]])

    def history(self, place):
        """Return the other items of a row, oldest first where times are known."""
        matrix = self.seen if self.times is None else self.times
        if matrix is None:
            return np.empty(0, dtype=np.int64)
        start, stop = matrix.indptr[self.rows[place] : self.rows[place] + 2]
        items = matrix.indices[start:stop].astype(np.int64)
        if self.times is not None:
            items = items[np.argsort(matrix.data[start:stop], kind="stable")]
        return items[items != self.items[place]]


class NeuronCases(Sequence):
    """Cases of one neuron: a sequence of :class:`NeuronCase`, and the same as arrays.

    Parameters
    ----------
    shown : ShownItems
        Where the cases are taken from.
    places : ndarray of shape (n,)
        Which of them.
    levels : ndarray of shape (n,), default=None
        Activation levels, 0 to 10; None where they are to be predicted.

    Attributes
    ----------
    items : ndarray of shape (n,), dtype int64
        Positions of the items.
    levels : ndarray of shape (n,), or None
        See the parameter.

    Examples
    --------
    >>> import numpy as np
    >>> from skpopsteer.neurons import NeuronCases
    >>> from skpopsteer.neurons._cases import ShownItems
    >>> shown = ShownItems(rows=np.arange(3), items=np.array([4, 2, 4]))
    >>> cases = NeuronCases(shown, np.array([2, 1]), levels=np.array([9, 0]))
    >>> cases.items, cases[1].row, cases[1].level
    (array([4, 2]), 1, 0.0)
    """

    def __init__(self, shown, places, levels=None):
        self._shown = shown
        self._places = places
        self.items = shown.items[places]
        self.levels = levels

    def __len__(self):
        return len(self._places)

    def __getitem__(self, index):
        if isinstance(index, slice):
            levels = None if self.levels is None else self.levels[index]
            return NeuronCases(self._shown, self._places[index], levels)
        place, item = self._places[index], int(self.items[index])
        return NeuronCase(
            row=int(self._shown.rows[place]),
            item=item,
            title=self._shown.title(item),
            attributes=self._shown.attributes(item),
            level=None if self.levels is None else float(self.levels[index]),
            history=self._shown.history(place),
        )
