"""Where training rows come from: one table, in memory or on disk, or many blocks."""

import mmap

import numpy as np

from skpopsteer.sae._blocks import Blocks

__all__ = ["ArrayRows", "BlockRows"]

#: A table on disk is shuffled inside windows of this many rows, or of fewer if they
#: are so wide that the window would take more than this many bytes.
WINDOW_ROWS = 2**16
WINDOW_BYTES = 2**27


class _Rows:
    """What both sources share; a subclass has ``blocks`` and ``_stretches``.

    Attributes
    ----------
    n_features : int
        Width of a row.
    """

    def __init__(self, n_rows, n_features):
        self._n_rows, self.n_features = n_rows, n_features

    def __len__(self):
        return self._n_rows

    def epoch(self, order_rng, batch_size):
        """Yield every row once, in random order.

        Parameters
        ----------
        order_rng : Generator of numpy
            Its state alone decides the order.
        batch_size : int
            Rows in every batch but the last.

        Yields
        ------
        ndarray of shape (at most batch_size, n_features), dtype float32
            New arrays, the caller's to change. O(n_rows · n_features) in all.
        """
        size = min(batch_size, len(self))
        filled = 0
        for rows, order in self._stretches(order_rng):
            start = 0
            while start < len(order):
                if not filled:
                    batch = np.empty((size, self.n_features), dtype=np.float32)
                taken = order[start : start + size - filled]
                batch[filled : filled + len(taken)] = rows[taken]
                start += len(taken)
                filled = (filled + len(taken)) % size
                if not filled:
                    yield batch
            # Or this stretch would be in memory while the next one is read.
            del rows, order
        if filled:
            yield batch[:filled]

    def sample(self, n, rng):
        """Draw rows without replacement.

        Parameters
        ----------
        n : int
            How many; all rows if there are fewer.
        rng : Generator of numpy
            Decides which, and their order.

        Returns
        -------
        ndarray of shape (min(n, n_rows), n_features), dtype float32
            A new array. Of a table only these rows are read; blocks are all opened.
        """
        chosen = rng.choice(len(self), size=min(n, len(self)), replace=False)
        # Read forwards, which is what disks are good at, and put in drawn order.
        ascending = np.argsort(chosen)
        drawn = np.empty((len(chosen), self.n_features), dtype=np.float32)
        seen = done = 0
        for rows in self.blocks():
            upto = np.searchsorted(chosen, seen + len(rows), sorter=ascending)
            here = ascending[done:upto]
            drawn[here] = rows[chosen[here] - seen]
            seen, done = seen + len(rows), upto
            del rows
        return drawn


class ArrayRows(_Rows):
    """The rows of one table, which is never copied whole.

    Parameters
    ----------
    X : ndarray or memmap of shape (n_rows, n_features), dtype float32
        Finite, which is not checked; left as it is. In memory its order is drawn at
        once, 8 bytes a row. A file is read in long stretches: rows are shuffled inside
        windows, one of which is in memory, and the windows are taken in random order.

    Attributes
    ----------
    on_disk : bool
        Whether it lies in a mapped file, itself or as a view of one.
    """

    def __init__(self, X):
        if not isinstance(X, np.ndarray) or X.ndim != 2 or X.dtype != np.float32:
            kind = f"{np.ndim(X)}-D {getattr(X, 'dtype', type(X).__name__)}"
            raise TypeError(
                f"`X` must be a 2-D array of float32; got {kind}. Convert it first."
            )
        super().__init__(*X.shape)
        self._X, self.on_disk = X, _on_disk(X)

    @property
    def X(self):
        """The table itself, not to be written to."""
        return self._X

    def blocks(self, size=2**16):
        """Yield views of at most `size` consecutive rows, in order."""
        for start in range(0, len(self), size):
            yield self._X[start : start + size]

    def _stretches(self, order_rng):
        return _shuffled(self._X, order_rng)


class BlockRows(_Rows):
    """The rows of many blocks, of which one is in memory at a time.

    Parameters
    ----------
    blocks : iterable or callable
        As :class:`~skpopsteer.sae._blocks.Blocks` takes them: gone through once at the
        start, to count and check the rows, and once an epoch. Those of a sequence are
        taken in random order, and rows are shuffled inside each; a block on disk is
        read as :class:`ArrayRows` reads it.
    name : str, default="blocks"
        What to call `blocks` in a message.
    """

    def __init__(self, blocks, *, name="blocks"):
        self._blocks = Blocks(blocks, name)
        super().__init__(self._blocks.n_rows, self._blocks.n_features)

    def blocks(self, size=2**16):
        """Yield float32 stretches of at most `size` rows of one block, in order.

        They may be views: one that is kept keeps its block in memory.
        """
        for block in self._blocks:
            for start in range(0, len(block), size):
                yield np.asarray(block[start : start + size], dtype=np.float32)
            del block

    def _stretches(self, order_rng):
        for block in self._blocks.shuffled(order_rng):
            yield from _shuffled(block, order_rng)
            del block


def _shuffled(X, order_rng):
    """Yield pairs of consecutive rows and a random order of them, each row once."""
    if not _on_disk(X):
        yield X, order_rng.permutation(len(X))
        return
    width = max(1, X.shape[1] * X.itemsize)
    step = max(1, min(WINDOW_ROWS, WINDOW_BYTES // width))
    # Other borders every epoch, so that other rows meet in a window.
    starts = np.arange(-order_rng.integers(step), len(X), step)
    for start in order_rng.permutation(starts):
        # Copied, in one stretch: in the mapping every row would be its own seek.
        rows = np.array(X[max(start, 0) : start + step])
        yield rows, order_rng.permutation(len(rows))
        del rows


def _on_disk(X):
    """Follow the views of an array down to a mapped file, if there is one."""
    while isinstance(X, np.ndarray):
        if isinstance(X, np.memmap):
            return True
        X = X.base
    return isinstance(X, mmap.mmap)
