"""Blocks of rows that are opened one after the other, and checked."""

import os
from collections.abc import Sequence
from tokenize import TokenError

import numpy as np
from numpy.lib.format import MAGIC_PREFIX

from skpopsteer._validation import as_array

__all__ = ["Blocks"]


class Blocks:
    """Blocks as 2-D arrays of one width, gone through as often as needed.

    Parameters
    ----------
    source : iterable or callable
        Blocks of shape (any, n_features): arrays, memmaps, frames, or paths of ``.npy``
        files, which are mapped. It is a list, an object whose ``iter`` can be taken
        again, or a function without arguments that returns an iterator.
    name : str
        What to call `source` in a message.

    Attributes
    ----------
    n_rows, n_features : int
        Known after one pass at the start, which looks at every number: O(n_rows ·
        n_features) time, one block of memory.
    """

    def __init__(self, source, name):
        self._source, self._name = source, name
        self.n_rows = self.n_features = None
        self._is_function = callable(source) and not hasattr(source, "__iter__")
        if not self._is_function:
            self._refuse_what_ends()
        n_rows = 0
        for block in self:
            self._check_finite(block)
            n_rows += len(block)
            del block
        if not n_rows:
            self._refuse("hold at least one row", "none", "Pass blocks with rows")
        self.n_rows = n_rows

    def __iter__(self):
        """Yield the blocks in order."""
        return self._opened(self._call() if self._is_function else self._source)

    def shuffled(self, order_rng):
        """Yield the blocks of a sequence in random order, others as they come."""
        if not isinstance(self._source, Sequence):
            return iter(self)
        order = order_rng.permutation(len(self._source))
        return self._opened(self._source[i] for i in order)

    def _call(self):
        returned = self._source()
        try:
            return iter(returned)
        except TypeError:
            form = "return an iterator of blocks where it is a function"
            self._refuse(form, type(returned).__name__, "Write a generator")

    def _opened(self, source):
        n_rows = 0
        # Through map, which does not hold a block while the next one is made.
        for rows in map(self._open, source):
            n_rows += len(rows)
            yield rows
            del rows
        if self.n_rows not in (None, n_rows):
            form = f"give the same {self.n_rows} rows at every pass"
            self._refuse(form, n_rows, "Pass a function that starts anew at every call")

    def _open(self, block):
        if isinstance(block, str | os.PathLike):
            block = self._map(block)
        elif hasattr(block, "to_numpy"):
            block = block.to_numpy()
        rows = as_array(self._name, block)
        if rows.ndim != 2 or rows.dtype.kind not in "biuf":
            got = f"shape {rows.shape} and dtype {rows.dtype}"
            self._refuse("hold 2-D arrays of numbers", got, "Pass embeddings in rows")
        if self.n_features is None:
            self.n_features = rows.shape[1]
        if rows.shape[1] != self.n_features:
            form = f"hold blocks of one width ({self.n_features})"
            self._refuse(form, rows.shape[1], "Pass blocks of the same table")
        return rows

    def _map(self, path):
        got = repr(os.fspath(path))
        try:
            with open(path, "rb") as stream:
                # What else numpy reads, archives and pickles, it may leave open.
                begins = stream.read(len(MAGIC_PREFIX)) == MAGIC_PREFIX
            if begins:
                return np.load(path, mmap_mode="r", allow_pickle=False)
        except (OSError, OverflowError, SyntaxError, TokenError, ValueError) as error:
            # A damaged header is code that does not parse. Some of numpy's complaints
            # go on with advice that is not for here.
            reason = str(error).partition("\n")[0]
            got = f"{got} ({reason})"
        self._refuse("hold paths of .npy files of numbers", got, "Save with numpy.save")

    def _check_finite(self, block):
        step = max(1, 2**22 // max(1, block.shape[1]))
        for start in range(0, len(block), step):
            # As float32, in which a larger number would be infinite too.
            with np.errstate(over="ignore"):
                rows = block[start : start + step].astype(np.float32, copy=False)
            if not np.isfinite(rows).all():
                form = "hold finite numbers of float32"
                self._refuse(form, "NaN, infinity or more", "Drop or scale these rows")

    def _refuse_what_ends(self):
        kind = type(self._source).__name__
        if isinstance(self._source, str | os.PathLike):
            raise TypeError(
                f"`{self._name}` must be several blocks; got one path. Pass [path]."
            )
        try:
            # An array without dimensions, and a class, only look as if they could.
            iterator = iter(self._source)
        except TypeError:
            raise TypeError(
                f"`{self._name}` must be a list of blocks or a function that returns "
                f"an iterator of them; got {kind}. Pass a list."
            ) from None
        if iterator is self._source:
            raise TypeError(
                f"`{self._name}` must last for every epoch; got a {kind}, which is "
                "empty after one. Pass a function that returns a new one."
            )

    def _refuse(self, requirement, got, remedy):
        raise ValueError(f"`{self._name}` must {requirement}; got {got}. {remedy}.")
