"""Input handling shared by the metrics: lists, interactions, groups, popularity.

A set of interactions is held as sorted keys ``user * n_items + item``: a slot of a list
is then looked up by bisection, and no array of shape (n_users, n_items) is ever built.
"""

import warnings
from numbers import Integral
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import issparse

from skpopsteer._validation import as_csr_array

FloatArray: TypeAlias = NDArray[np.float64]
IntArray: TypeAlias = NDArray[np.int64]
BoolArray: TypeAlias = NDArray[np.bool_]

#: Above any position or number of things: products of two stay within int64.
_TOO_MANY = 2**31


class Pairs(NamedTuple):
    """Distinct (user, item) pairs, in ascending order of their keys."""

    keys: IntArray
    n_users: int
    n_items: int

    @property
    def users(self) -> IntArray:
        """Row of every pair."""
        return self.keys // self.n_items

    @property
    def items(self) -> IntArray:
        """Column of every pair."""
        return self.keys % self.n_items

    def per_user(self) -> IntArray:
        """Count the pairs of every user."""
        return np.bincount(self.users, minlength=self.n_users)

    def without(self, other: "Pairs") -> "Pairs":
        """Leave out the pairs that `other` holds."""
        kept = np.setdiff1d(self.keys, other.keys, assume_unique=True)
        return self._replace(keys=kept)

    def contain(self, lists: IntArray) -> BoolArray:
        """Mark the slots whose (user, item) is one of the pairs."""
        if not len(self.keys):
            return np.zeros(lists.shape, dtype=bool)
        users = np.arange(len(lists), dtype=np.int64)[:, np.newaxis]
        wanted = users * self.n_items + lists
        place = np.searchsorted(self.keys, wanted)
        found = self.keys[np.minimum(place, len(self.keys) - 1)] == wanted
        # The key of a padded slot is the last item of the user before.
        return found & (lists >= 0)


def as_int_array(name: str, value: Any, n_dims: int, what: str) -> IntArray:
    """Return `value` as an int64 array of `n_dims` dimensions, or say why not."""
    advice = "Pass a numpy array of integers."
    if issparse(value):
        raise TypeError(f"`{name}` must be {what}; got a sparse array. {advice}")
    try:
        array = np.asarray(value)
    except ValueError:
        raise ValueError(
            f"`{name}` must be {what}; got rows of unequal length. Pad them with -1."
        ) from None
    if array.dtype.kind not in "iu":
        raise TypeError(f"`{name}` must be {what}; got dtype {array.dtype}. {advice}")
    if array.ndim != n_dims:
        raise ValueError(f"`{name}` must be {what}; got shape {array.shape}. {advice}")
    if array.dtype.itemsize >= 4 and array.size:
        # Before they are converted: the highest of uint64 would become a -1.
        for extreme in (array.min(), array.max()):
            if not -_TOO_MANY < extreme < _TOO_MANY:
                raise ValueError(
                    f"`{name}` must be {what}; got {extreme}, beyond 2**31. "
                    "Map your ids to positions first."
                )
    return array.astype(np.int64, copy=False)


def check_lists(recommendations: ArrayLike, k: int | None) -> IntArray:
    """Validate the lists and cut them to their first `k` columns."""
    what = "a 2-D array of item positions, one list a row"
    lists = as_int_array("recommendations", recommendations, 2, what)
    n_columns = lists.shape[1]
    if n_columns == 0:
        raise ValueError(
            "`recommendations` must have at least one column; got shape "
            f"{lists.shape}. Recommend at least one item a user."
        )
    if lists.size and lists.min() < -1:
        raise ValueError(
            "`recommendations` must hold item positions, or -1 for an empty slot; got "
            f"{lists.min()}. Map your item ids to positions first."
        )
    _refuse_repeats(lists)
    if k is None:
        return lists
    k = check_count("k", k, "Leave it out to use every column.")
    if k > n_columns:
        raise ValueError(
            f"`k` must be at most {n_columns}, the number of columns of "
            f"`recommendations`; got {k}. Recommend longer lists or lower `k`."
        )
    return lists[:, :k]


def _refuse_repeats(lists: IntArray) -> None:
    ordered = np.sort(lists, axis=1)
    repeated = (ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] >= 0)
    if repeated.any():
        row, column = np.argwhere(repeated)[0]
        raise ValueError(
            "`recommendations` must hold an item once per list; got item "
            f"{ordered[row, column]} twice in row {row}. Drop the repeats."
        )


def check_count(name: str, value: Any, advice: str) -> int:
    """Validate a positive number of things."""
    if not isinstance(value, Integral) or isinstance(value, bool):
        raise TypeError(f"`{name}` must be a positive integer; got {value!r}. {advice}")
    if value < 1:
        raise ValueError(f"`{name}` must be a positive integer; got {value}. {advice}")
    return int(value)


def check_range(lists: IntArray, n_items: int, source: str) -> None:
    """Refuse items beyond the catalogue, whose size `source` tells."""
    highest = lists.max(initial=-1)
    if highest >= n_items:
        raise ValueError(
            f"`recommendations` must hold item positions below {n_items}, {source}; "
            f"got {highest}. Use the same catalogue for both."
        )


def check_interactions(
    name: str, matrix: Any, n_users: int, n_items: int | None = None
) -> Pairs:
    """Take the distinct positive entries of a sparse matrix."""
    if not issparse(matrix):
        raise TypeError(
            f"`{name}` must be a sparse array or matrix; got {type(matrix).__name__}. "
            "scipy.sparse.csr_array makes one."
        )
    if matrix.dtype.kind not in "biuf":
        raise TypeError(
            f"`{name}` must hold numbers; got dtype {matrix.dtype}. "
            "Convert it by astype(np.float64)."
        )
    if matrix.ndim != 2:
        raise ValueError(
            f"`{name}` must be 2-D, users in rows and items in columns; got shape "
            f"{matrix.shape}. Reshape it to (n_users, n_items)."
        )
    _check_n_users(name, matrix.shape[0], n_users)
    if n_items is not None and matrix.shape[1] != n_items:
        raise ValueError(
            f"`{name}` must have one column per item ({n_items}); got "
            f"{matrix.shape[1]}. Use the same catalogue for all arguments."
        )
    csr = as_csr_array(matrix)
    # NaN fails the comparison as a negative number does.
    if not (csr.data >= 0).all() or np.isinf(csr.data).any():
        raise ValueError(
            f"`{name}` must hold finite values >= 0; got a negative, NaN or infinite "
            "one. Drop those entries: what is not stored is no interaction."
        )
    users = np.repeat(np.arange(n_users, dtype=np.int64), np.diff(csr.indptr))
    positive = csr.data > 0
    return _pairs(users[positive], csr.indices[positive], n_users, csr.shape[1])


def check_held_out(y: Any, lists: IntArray, n_items: int | None = None) -> Pairs:
    """Read held-out items: a sparse matrix, a 1-D array, or an object with ``.y``."""
    y = getattr(y, "y", y)
    if issparse(y):
        pairs = check_interactions("y", y, len(lists), n_items)
        check_range(lists, pairs.n_items, "the number of columns of `y`")
        return pairs
    what = "a sparse (n_users, n_items) matrix or one held-out item position per user"
    items = as_int_array("y", y, 1, what)
    _check_n_users("y", len(items), len(lists))
    if items.min(initial=-1) < -1:
        raise ValueError(
            f"`y` must hold item positions, or -1 for none; got {items.min()}. "
            "Map your item ids to positions first."
        )
    if n_items is not None and items.max(initial=-1) >= n_items:
        raise ValueError(
            f"`y` must hold item positions below {n_items}; got {items.max()}. "
            "Use the same catalogue for all arguments."
        )
    if n_items is None:
        n_items = 1 + int(max(items.max(initial=0), lists.max(initial=0)))
    (users,) = np.nonzero(items >= 0)
    return _pairs(users, items[users], len(lists), n_items)


def check_split(X: Any, y: Any, lists: IntArray) -> Any:
    """Refuse held-out items that are none, or that the recommender was shown."""
    seen = check_interactions("X", X, len(lists))
    held_out = check_held_out(y, lists, seen.n_items)
    if not len(held_out.keys):
        raise ValueError(
            "`y` must hold at least one held-out interaction; got none. "
            "hide_interactions(X) makes X_seen and y."
        )
    both = np.intersect1d(seen.keys, held_out.keys, assume_unique=True)
    if len(both):
        message = (
            f"`y` must not overlap `X`; got {len(both)} of {len(held_out.keys)} "
            "held-out interactions in both. Seen items are never recommended: "
            "hide_interactions(X) makes X_seen and y."
        )
        if issparse(getattr(y, "y", y)):
            raise ValueError(message)
        # A 1-D y may be the labels that scikit-learn's own tools hand to `score`.
        warnings.warn(message, stacklevel=2)
    return y


def _check_n_users(name: str, n_rows: int, n_users: int) -> None:
    if n_rows != n_users:
        raise ValueError(
            f"`{name}` must have one row per list of `recommendations` ({n_users}); "
            f"got {n_rows}. Pass the same users in the same order."
        )


def _pairs(users: IntArray, items: IntArray, n_users: int, n_items: int) -> Pairs:
    keys = users * np.int64(n_items) + items
    if (keys[1:] <= keys[:-1]).any():
        keys = np.unique(keys)
    return Pairs(keys, n_users, n_items)


def check_groups(item_groups: ArrayLike, *, need_tail: bool = False) -> IntArray:
    """Validate the popularity groups of the items."""
    what = "a 1-D array of -1 (tail), 0 (mid) and 1 (head), one per item"
    groups = as_int_array("item_groups", item_groups, 1, what)
    strange = groups[np.abs(groups) > 1]
    if len(strange):
        raise ValueError(
            f"`item_groups` must be {what}; got {strange[0]}. Relabel the groups."
        )
    if not len(groups):
        raise ValueError(
            f"`item_groups` must be {what}; got an empty one. Label every item."
        )
    if need_tail and not (groups == -1).any():
        raise ValueError(
            "`item_groups` must mark at least one tail item with -1; got none. "
            "Widen the tail."
        )
    return groups


def mean_per_list(lists: IntArray, item_values: FloatArray | BoolArray) -> FloatArray:
    """Average a number of the items over the slots of every list; NaN if empty."""
    filled = lists >= 0
    # The value looked up for a -1 is that of the last item; `where` drops it.
    totals = item_values[lists].sum(axis=1, where=filled, dtype=np.float64)
    return divide(totals, filled.sum(axis=1))


def divide(numerator: ArrayLike, denominator: ArrayLike) -> FloatArray:
    """Divide, giving NaN where the denominator is zero."""
    numerator = np.asarray(numerator, dtype=np.float64)
    denominator = np.asarray(denominator, dtype=np.float64)
    undefined = np.full(np.broadcast(numerator, denominator).shape, np.nan)
    return np.divide(numerator, denominator, out=undefined, where=denominator > 0)


def mean_of_defined(values: FloatArray) -> float:
    """Average what is not NaN; NaN if nothing is left."""
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if len(defined) else float("nan")
