"""Popularity of items, its groups, and profiles made of one group only."""

from dataclasses import dataclass
from numbers import Integral, Real

import numpy as np
from scipy.sparse import csr_array
from sklearn.utils import check_random_state

from skpopsteer._validation import as_array, as_interactions, check_popularity

__all__ = ["PopularityGroups", "item_popularity", "synthetic_profiles"]

#: Twins per group at the most, and the longest history, of PopSteer's two versions:
#: 21 batches of 4,096 rows (v1); 10 batches of 2,048 rows of 50 positions (v2).
_PUBLISHED_LIMITS = {"v1": (86_016, None), "v2": (20_480, 50)}


def item_popularity(X) -> np.ndarray:
    """Count the interactions of every item.

    Parameters
    ----------
    X : array-like or sparse of shape (n_users, n_items)
        Interactions; any non-zero value counts once, whatever its weight.

    Returns
    -------
    ndarray of shape (n_items,), dtype int64
        Popularity in interactions per item.

    Notes
    -----
    Time and memory are linear in the number of stored entries.

    Examples
    --------
    >>> from skpopsteer.popularity import item_popularity
    >>> item_popularity([[5, 0, 1], [2, 0, 0]])
    array([2, 0, 1])
    """
    X = as_interactions("X", X)
    return np.bincount(X.indices, minlength=X.shape[1]).astype(np.int64)


@dataclass(frozen=True)
class PopularityGroups:
    """Split items into head, mid and tail, by a named convention.

    Studies cut the catalogue in different ways and get different tail figures from the
    same lists. This object makes the choice explicit and states it in words.

    Parameters
    ----------
    convention : {"count", "mass", "head_mass"}, default="count"
        - ``"count"``: shares of the *items*. Head is the `head` share with most
          interactions, tail the `tail` share with fewest (PopSteer v2 uses .1 and .1).
        - ``"mass"``: shares of the *interactions*. Head is the longest prefix of the
          items by descending popularity that holds at most the `head` share of all
          interactions, tail likewise by ascending popularity (PopSteer v1: .2, .2).
        - ``"head_mass"``: head is the smallest set of items that holds at least the
          `head` share of all interactions; all others are tail (Elliot: .8).
    head : float, default=None
        A share in (0, 1); None means .2, .2 and .8 in the order above, and less for
        ``"count"`` where `tail` leaves less.
    tail : float, default=None
        A share in (0, 1); None means .8 and .2 in the order above, and less for
        ``"count"`` where `head` leaves less; without meaning for ``"head_mass"``.

    Notes
    -----
    Equal popularity is split by position, lower positions counting as more popular.
    Head and tail hold at least one item each. Labelling sorts: O(n_items log n_items).

    References
    ----------
    .. [1] P. Ahmadov and M. Mansoury, "Opening the Black Box: Interpretable Remedies
       for Popularity Bias in Recommender Systems", RecSys 2025, arXiv:2508.17297.
    .. [2] P. Ahmadov and M. Mansoury, "From Insight to Intervention: Interpretable
       Neuron Steering for Controlling Popularity Bias in Recommender Systems", WWW
       2026, arXiv:2601.15122.

    Examples
    --------
    >>> from skpopsteer.popularity import PopularityGroups
    >>> popularity = [50, 30, 10, 5, 5]
    >>> PopularityGroups().label(popularity)
    array([ 1, -1, -1, -1, -1], dtype=int8)
    >>> PopularityGroups("head_mass").label(popularity)
    array([ 1,  1, -1, -1, -1], dtype=int8)
    >>> print(PopularityGroups("mass"))
    head: the most popular items holding at most 20 % of interactions; tail: the least \
popular items holding at most 20 %
    """

    convention: str = "count"
    head: float | None = None
    tail: float | None = None

    def __post_init__(self):
        """Refuse what cannot be a convention, when it is made and not in a long fit."""
        conventions = ("count", "mass", "head_mass")
        if not isinstance(self.convention, str) or self.convention not in conventions:
            raise ValueError(
                "`convention` must be 'count', 'mass' or 'head_mass'; got "
                f"{self.convention!r}. See the docstring of PopularityGroups."
            )
        for name in ("head", "tail"):
            share = getattr(self, name)
            if share is not None and not (isinstance(share, Real) and 0 < share < 1):
                raise ValueError(
                    f"`{name}` must be a share in (0, 1); got {share!r}. "
                    "Write 20 % as 0.2."
                )
        if self.convention == "count" and sum(self._shares()) > 1 + 1e-9:
            raise ValueError(
                "`head` and `tail` must not overlap; got shares "
                f"{self._shares()} that sum to more than 1. Lower one of them."
            )

    def _shares(self):
        defaults = {"count": (0.2, 0.8), "mass": (0.2, 0.2), "head_mass": (0.8, 0.0)}
        head, tail = defaults[self.convention]
        if self.convention == "count":
            # The share that is given pushes the other's default aside.
            head = min(head, 1 - (self.tail or 0.0))
            tail = min(tail, 1 - (self.head or 0.0))
        return (
            head if self.head is None else self.head,
            tail if self.tail is None else self.tail,
        )

    def label(self, popularity) -> np.ndarray:
        """Give every item its group.

        Parameters
        ----------
        popularity : array-like of shape (n_items,)
            Interactions per item.

        Returns
        -------
        ndarray of shape (n_items,), dtype int8
            +1 for head, 0 for mid, -1 for tail.

        Raises
        ------
        ValueError
            With fewer than two items.
        """
        popularity = check_popularity("popularity", popularity)
        n_items = len(popularity)
        if n_items < 2:
            raise ValueError(
                "`popularity` must cover at least 2 items, one for the head and one "
                f"for the tail; got {n_items} item (n_features = {n_items}). "
                "Pass the whole catalogue."
            )
        order = np.argsort(-popularity, kind="stable")
        n_head, n_tail = self._sizes(popularity[order])
        n_head = int(np.clip(n_head, 1, n_items - 1))
        n_tail = int(np.clip(n_tail, 1, n_items - n_head))
        groups = np.zeros(n_items, dtype=np.int8)
        groups[order[:n_head]] = 1
        groups[order[n_items - n_tail :]] = -1
        return groups

    def _sizes(self, descending):
        """Count head and tail items, given the popularity in descending order."""
        head, tail = self._shares()
        n_items = len(descending)
        if self.convention == "count":
            n_head = round(head * n_items)
            # Shares that make a whole leave no item between, whatever the rounding.
            whole = np.isclose(head + tail, 1.0)
            return n_head, n_items - n_head if whole else round(tail * n_items)
        total = descending.sum()
        # A share that is met exactly must not hang on the rounding of .29 * 100.
        margin = 1e-9 * total
        if self.convention == "mass":
            limits = head * total + margin, tail * total + margin
            n_head = np.searchsorted(np.cumsum(descending), limits[0], "right")
            n_tail = np.searchsorted(np.cumsum(descending[::-1]), limits[1], "right")
            return n_head, n_tail
        n_head = np.searchsorted(np.cumsum(descending), head * total - margin) + 1
        return n_head, n_items - n_head

    def __str__(self):
        head, tail = (f"{100 * share:g} %" for share in self._shares())
        if self.convention == "count":
            return (
                f"head: the {head} of items with most interactions; "
                f"tail: the {tail} with fewest"
            )
        if self.convention == "mass":
            return (
                f"head: the most popular items holding at most {head} of interactions; "
                f"tail: the least popular items holding at most {tail}"
            )
        return (
            f"head: the fewest items holding {head} of interactions; "
            "tail: all other items"
        )


def synthetic_profiles(
    X,
    item_groups,
    *,
    n_profiles: int | None = None,
    version: str = "v2",
    as_sequences: bool = False,
    random_state=None,
):
    """Make users who like popular items only, and users who like unpopular ones only.

    Every profile is the twin of a real row: it has that row's length and values, but
    its items are drawn uniformly from the head, or from the tail.

    Parameters
    ----------
    X : CSR array or matrix of shape (n_users, n_items)
        Real interactions, the source of lengths and values.
    item_groups : array-like of shape (n_items,)
        +1 head, 0 mid, -1 tail, as :meth:`PopularityGroups.label` gives.
    n_profiles : int, default=None
        Twins per group. None means one per non-empty row, but at least 2,048 (rows are
        used again) and at most what `version` used.
    version : {"v1", "v2"}, default="v2"
        PopSteer's first version keeps every length and takes up to 86,016 twins a
        group; the second cuts histories at 50 and takes up to 20,480.
    as_sequences : bool, default=False
        Return item sequences with repeats, drawn with replacement as published, instead
        of matrix rows. A matrix row cannot hold an item twice, so there the draw is
        without replacement; a row longer than its group gets the whole group.
    random_state : int, RandomState instance or None, default=None
        Seed of the draws.

    Returns
    -------
    profiles : csr_array of shape (2 * n_profiles, n_items) or ndarray of int64
        Popular twins first. Sequences are padded with -1 at the end.
    groups : ndarray of shape (2 * n_profiles,), dtype int8
        +1 for a popular twin, -1 for an unpopular one.

    Raises
    ------
    ValueError
        When there is no interaction, or one of the two groups is empty.

    Notes
    -----
    Linear in the number of interactions drawn.

    References
    ----------
    .. [1] P. Ahmadov and M. Mansoury, arXiv:2508.17297 (v1) and arXiv:2601.15122 (v2).

    Examples
    --------
    >>> import numpy as np
    >>> from scipy.sparse import csr_array
    >>> from skpopsteer.popularity import synthetic_profiles
    >>> X = csr_array(np.array([[1, 1, 0, 0], [1, 0, 1, 0]]))
    >>> profiles, groups = synthetic_profiles(
    ...     X, [1, 0, -1, -1], n_profiles=1, random_state=0
    ... )
    >>> profiles.toarray()
    array([[1, 0, 0, 0],
           [0, 0, 1, 1]])
    >>> groups
    array([ 1, -1], dtype=int8)
    """
    if not isinstance(version, str) or version not in _PUBLISHED_LIMITS:
        raise ValueError(
            f"`version` must be 'v1' or 'v2'; got {version!r}. "
            "They name PopSteer's two papers."
        )
    X = as_interactions("X", X)
    head, tail = _group_members(item_groups, X.shape[1])
    rng = np.random.default_rng(
        check_random_state(random_state).randint(np.iinfo(np.int32).max)
    )
    twins = _choose_twins(X, n_profiles, version, rng)
    max_length = _PUBLISHED_LIMITS[version][1]
    lengths = np.diff(X.indptr)[twins]
    if max_length is not None:
        lengths = np.minimum(lengths, max_length)
    groups = np.repeat(np.array([1, -1], dtype=np.int8), len(twins))
    if as_sequences:
        drawn = [_draw_sequences(g, lengths, rng) for g in (head, tail)]
        return np.vstack(drawn), groups
    drawn = [_draw_rows(g, lengths, X, twins, rng) for g in (head, tail)]
    return _stack(drawn, X.shape[1]), groups


def _group_members(item_groups, n_items):
    item_groups = as_array("item_groups", item_groups)
    if item_groups.shape != (n_items,):
        raise ValueError(
            f"`item_groups` must hold one group per item ({n_items}); got shape "
            f"{item_groups.shape}. PopularityGroups().label(popularity) makes it."
        )
    head, tail = np.flatnonzero(item_groups == 1), np.flatnonzero(item_groups == -1)
    if not len(head) or not len(tail):
        raise ValueError(
            "`item_groups` must hold at least one head item (1) and one tail item "
            f"(-1); got {len(head)} and {len(tail)}. "
            "PopularityGroups().label makes both."
        )
    return head, tail


def _choose_twins(X, n_profiles, version, rng):
    """Choose the real rows to copy: each once or evenly often, in random order."""
    rows = np.flatnonzero(np.diff(X.indptr))
    if not len(rows):
        raise ValueError(
            "`X` must hold at least one interaction; got none. "
            "Profiles are made in the likeness of real rows."
        )
    if n_profiles is not None and (
        not isinstance(n_profiles, Integral)
        or isinstance(n_profiles, bool)
        or not 1 <= n_profiles < 2**31
    ):
        raise ValueError(
            "`n_profiles` must be an integer >= 1, below 2**31, or None; got "
            f"{n_profiles!r}. It is the number of twins in each group."
        )
    if n_profiles is None:
        n_profiles = max(2_048, min(len(rows), _PUBLISHED_LIMITS[version][0]))
    full, rest = divmod(n_profiles, len(rows))
    return np.concatenate([np.tile(rows, full), rng.permutation(rows)[:rest]])


def _draw_sequences(group, lengths, rng):
    width = int(lengths.max(initial=0))
    drawn = group[rng.integers(len(group), size=(len(lengths), width))]
    return np.where(np.arange(width) < lengths[:, None], drawn, -1).astype(np.int64)


def _draw_rows(group, lengths, X, twins, rng):
    lengths = np.minimum(lengths, len(group))
    drawn = [np.sort(group[rng.choice(len(group), n, replace=False)]) for n in lengths]
    values = [
        X.data[X.indptr[t] : X.indptr[t] + n]
        for t, n in zip(twins, lengths, strict=True)
    ]
    return drawn, values


def _stack(parts, n_items):
    drawn = [row for items, _ in parts for row in items]
    values = [row for _, rows in parts for row in rows]
    indptr = np.concatenate([[0], np.cumsum([len(row) for row in drawn])])
    return csr_array(
        (np.concatenate(values), np.concatenate(drawn), indptr),
        shape=(len(drawn), n_items),
    )
