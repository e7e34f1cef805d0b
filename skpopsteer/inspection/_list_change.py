"""What steering changed in the list of one user, and which neurons did it."""

from dataclasses import dataclass, field
from html import escape
from typing import Any

import numpy as np

from skpopsteer._compat import import_frame_library

__all__ = ["ListChange"]

_HEADINGS = {"left": "left the list", "entered": "entered the list"}


@dataclass(frozen=True, repr=False, eq=False)
class ListChange:
    """List of one user before and after steering, made by :func:`explain_changes`.

    Prints as text, shows as HTML, becomes a frame.

    Parameters
    ----------
    user : int
        The user's id, or row.
    items : ndarray of shape (n,), dtype int64
        Items of the host's list and of the steered one.
    titles : list of str of length n
        What they are called.
    status : ndarray of shape (n,), dtype object
        ``"entered"``, ``"left"``, ``"stayed"``, or ``"held"`` for items that `keep_top`
        leaves where they were.
    old_ranks, new_ranks : ndarray of shape (n,), dtype int64
        Place among all unseen items, from 1, of the host and of the steered model.
    old_scores, new_scores : ndarray of shape (n,), dtype float32
        Scores of both.
    sources : list of str of length n_sources
        What moved the scores: neurons, the error of the autoencoder where the
        reconstruction takes the place of the embedding, or a penalty on popularity.
    neurons : list of tuple of (str, int) of length n_sources
        Side and number of the neuron, ``(None, -1)`` for a penalty, and a number of -1
        for the error of the autoencoder.
    contributions : ndarray of shape (n, n_sources), dtype float64
        What each source adds to the score; the sum over sources is the new score minus
        the old.
    strength : float or dict of str to float
        How far the knob was turned.
    factor : float
        What `user_strength` multiplies the strength by for this user.
    length : int
        Length of the lists.
    n_shown : int
        Sources shown per item in text and HTML.
    row : object, default=None
        The user and the model, which :meth:`needed_neurons` turns again.
    names : callable, default=None
        Gives neurons their names there.

    See Also
    --------
    explain_changes : Makes one for every row.

    Examples
    --------
    The most popular item makes room for the least popular one.

    >>> import numpy as np
    >>> from skpopsteer import PopularityPenaltyReranker, as_recommender
    >>> from skpopsteer.inspection import explain_changes
    >>> X = np.array([[0, 0, 0], [1, 1, 0], [1, 1, 0], [1, 0, 1]])
    >>> host = as_recommender((np.ones((4, 1)), [[0.9], [0.8], [0.7]]))
    >>> model = PopularityPenaltyReranker(host, strength=0.5, n_recommendations=2)
    >>> (change,) = explain_changes(model.fit(X), X[[0]], user_ids=[0])
    >>> print(change)
    user 0: 1 of 2 items changed at strength 0.5
    left the list
      item 0  rank 1 -> 3  score 0.9 -> 0.351
          -0.549  popularity
    entered the list
      item 2  rank 3 -> 1  score 0.7 -> 0.7
    """

    user: int
    items: np.ndarray
    titles: list[str]
    status: np.ndarray
    old_ranks: np.ndarray
    new_ranks: np.ndarray
    old_scores: np.ndarray
    new_scores: np.ndarray
    sources: list[str]
    neurons: list[tuple]
    contributions: np.ndarray
    strength: float | dict[str, float]
    factor: float
    length: int
    n_shown: int
    row: Any = field(default=None)
    names: Any = field(default=None)

    def __getitem__(self, status):
        """Return the positions of the items that entered, left, stayed or were held."""
        if status not in ("entered", "left", "stayed", "held"):
            raise KeyError(
                "`status` must be 'entered', 'left', 'stayed' or 'held'; got "
                f"{status!r}."
            )
        return self.items[self.status == status]

    def needed_neurons(self, item):
        """Find neurons that, had they not been turned, would have kept the item.

        Parameters
        ----------
        item : int
            Position of an item that left the list, or of one that entered it: then
            neurons without which it would have stayed outside.

        Returns
        -------
        dict of str to tuple of (str, int), or None
            Names of the neurons, with side and number as in `neurons`, in the order
            they were found. None where no neurons are enough, which is so where the
            reconstruction itself moved the item.

        Raises
        ------
        ValueError
            For an item that neither left nor entered, and for a model without neurons.

        Notes
        -----
        The list is made again with a neuron left alone, for every neuron that keeps the
        item from where it was, the one that does so most first, until the item is back.
        If none is enough, the first is left alone for good, and the others are tried
        with it. In the end each of them is turned again, and stays so where the item
        does not move: no neuron of the answer is superfluous, but a smaller set of
        others may exist. A neuron that is left alone may take another's place among the
        k that fire, which the contributions cannot tell and the list does. The cost is
        one list per neuron tried; on the item side each encodes all items, but with
        ``rule="offset"``, where up to 2**26 activations are kept.
        """
        moved = self.items[np.isin(self.status, ("entered", "left"))]
        if item not in moved:
            raise ValueError(
                "`item` must have left the list or entered it; got "
                f"{item!r}. These did: {moved.tolist()}."
            )
        if not hasattr(self.row, "needed"):
            raise ValueError(
                "`needed_neurons` must be asked of a model that turns neurons; got one "
                "that changes scores by a penalty. Lower its strength instead."
            )
        found = self.row.needed(int(item), self.length)
        if found is None:
            return None
        return {self.names(source): tuple(source) for source in found}

    def to_frame(self, backend="pandas"):
        """Return the contributions as a data frame.

        Parameters
        ----------
        backend : {"pandas", "polars"}, default="pandas"
            Library of the frame.

        Returns
        -------
        DataFrame
            One row per item and source that moved it, the largest contributions of an
            item first.
        """
        frames = import_frame_library(backend)
        rows, columns = [], []
        for row, parts in enumerate(self.contributions):
            order = np.argsort(-np.abs(parts), kind="stable")
            order = order[parts[order] != 0]
            rows += [row] * len(order)
            columns += order.tolist()
        rows, columns = (np.array(one, dtype=np.int64) for one in (rows, columns))
        return frames.DataFrame(
            {
                "user": np.full(len(rows), self.user),
                "item": self.items[rows],
                "title": [self.titles[row] for row in rows],
                "status": self.status[rows].tolist(),
                "old_rank": self.old_ranks[rows],
                "new_rank": self.new_ranks[rows],
                "old_score": self.old_scores[rows],
                "new_score": self.new_scores[rows],
                "source": [self.sources[column] for column in columns],
                "side": [self.neurons[column][0] for column in columns],
                "neuron": [self.neurons[column][1] for column in columns],
                "contribution": self.contributions[rows, columns],
            }
        )

    def __repr__(self):
        counts = (f"{name}={len(self[name])}" for name in ("left", "entered"))
        return f"ListChange(user={self.user}, {', '.join(counts)})"

    def __str__(self):
        lines = [self._summary()]
        for status, heading in _HEADINGS.items():
            rows = np.flatnonzero(self.status == status)
            lines += [heading] if len(rows) else []
            width = max((len(self.titles[row]) for row in rows), default=0)
            for row in rows:
                rank, score = self._places(row)
                title = self.titles[row].ljust(width)
                lines.append(f"  {title}  rank {rank}  score {score}")
                lines += [f"      {part}  {name}" for name, part in self._why(row)]
        held = [self.titles[row] for row in np.flatnonzero(self.status == "held")]
        lines += [f"held in place: {', '.join(held)}"] if held else []
        return "\n".join(lines)

    def _repr_html_(self):
        head = "".join(f"<th>{name}</th>" for name in ("", "item", "rank", "score"))
        body = []
        for status in (*_HEADINGS, "held"):
            for row in np.flatnonzero(self.status == status):
                why = "<br>".join(
                    f"{part} {escape(name)}" for name, part in self._why(row)
                )
                cells = (status, escape(self.titles[row]), *self._places(row), why)
                cells = "".join(f"<td>{cell}</td>" for cell in cells)
                body.append(f"<tr>{cells}</tr>")
        return (
            f"<table><caption>{escape(self._summary())}</caption><thead><tr>{head}"
            f"<th>by</th></tr></thead><tbody>{''.join(body)}</tbody></table>"
        )

    def _summary(self):
        times = "" if self.factor == 1 else f", times {self.factor:.3g} for this user"
        return (
            f"user {self.user}: {len(self['entered'])} of {self.length} items changed "
            f"at strength {_strength(self.strength)}{times}"
        )

    def _places(self, row):
        """Word the ranks and the scores of an item."""
        return (
            f"{self.old_ranks[row]} -> {self.new_ranks[row]}",
            f"{self.old_scores[row]:.3g} -> {self.new_scores[row]:.3g}",
        )

    def _why(self, row):
        """Yield names and contributions, the largest first, the others as one."""
        parts = self.contributions[row]
        order = np.argsort(-np.abs(parts), kind="stable")
        order = order[parts[order] != 0]
        for column in order[: self.n_shown]:
            yield self.sources[column], self._number(parts[column])
        others = order[self.n_shown :]
        if len(others):
            yield f"{len(others)} others", self._number(parts[others].sum())

    def _number(self, contribution):
        """Write a contribution with the digits that three of the largest take."""
        largest = np.abs(self.contributions).max()
        digits = int(np.clip(2 - np.floor(np.log10(largest)), 0, 9))
        return f"{contribution:+.{digits}f}"


def _strength(strength):
    if not isinstance(strength, dict):
        return f"{strength:g}"
    return ", ".join(f"{name} {value:g}" for name, value in strength.items()) or "0"
