"""What the caller of a table by groups hands over: metrics, data and groups."""

from collections.abc import Callable, Iterable, Mapping
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import issparse
from sklearn.utils import check_random_state

from skpopsteer._validation import as_array, as_interactions, check_popularity
from skpopsteer.metrics._arguments import parameters
from skpopsteer.metrics._bootstrap import check_n_boot
from skpopsteer.metrics._lists import (
    BoolArray,
    FloatArray,
    IntArray,
    check_count,
    check_groups,
    check_lists,
    check_range,
    check_split,
)
from skpopsteer.metrics._user_groups import NO_HISTORY, TASTES, taste_groups
from skpopsteer.metrics.scorers import ALIASES, LOSSES, SCORES
from skpopsteer.popularity import PopularityGroups

__all__ = [
    "check_numbers", "fitted_params", "name_metrics", "read_data", "read_item_groups",
    "read_popularity", "read_user_groups", "seed_of", "wants",
]  # fmt: skip

Metric = tuple[Callable[..., Any], int | None]
ITEM_GROUPS = {"head": 1, "mid": 0, "tail": -1}


def slot_share(
    recommendations: ArrayLike, *, k: int | None = None, per_user: bool = False
) -> float | FloatArray:
    """Share of the slots asked for that are filled: by a group of items, its exposure.

    Parameters
    ----------
    recommendations, k, per_user : see :func:`~skpopsteer.metrics.tail_share`
        As there.

    Returns
    -------
    float or ndarray of shape (n_users,)
        In [0, 1].
    """
    values = (check_lists(recommendations, k) >= 0).mean(axis=1)
    return values if per_user else float(values.mean())


#: A loss needs no sign here: this is an assessment, and no search.
_FUNCTIONS: dict[str, Any] = {**SCORES, **LOSSES, "slot_share": slot_share}


def name_metrics(metrics: Any) -> dict[str, Metric]:
    """Turn names and callables into functions and lengths of lists, by name."""
    if isinstance(metrics, str) or callable(metrics):
        metrics = [metrics]
    # An array without dimensions has an iterator, which raises.
    if not isinstance(metrics, Iterable) or getattr(metrics, "ndim", 1) == 0:
        raise TypeError(
            "`metrics` must be names, callables, or a dict of them; got "
            f"{metrics!r}. Write ['ndcg@10', 'gini@10']."
        )
    if isinstance(metrics, Mapping):
        named = [(str(name), _parse(metric)) for name, metric in metrics.items()]
    else:
        named = [(_name(metric), _parse(metric)) for metric in metrics]
    names = [name for name, _ in named]
    if not names or len(set(names)) < len(names):
        raise ValueError(
            f"`metrics` must have at least one name, each once; got {names}. "
            "A dict {name: callable} names what has the same name."
        )
    return dict(named)


def _name(metric: Any) -> str:
    return str(getattr(metric, "__name__", metric))


def _parse(metric: Any) -> Metric:
    if callable(metric):
        return metric, None
    if isinstance(metric, tuple) and len(metric) == 2 and callable(metric[0]):
        function, k = metric
        advice = "Leave it out to use every column."
        return function, None if k is None else check_count("k", k, advice)
    base, at, length = str(metric).lower().partition("@")
    name = ALIASES.get(base, base)
    if name not in _FUNCTIONS:
        plain = base.removeprefix("neg_")
        advice = (
            f"Write {plain + at + length!r}: a table needs no sign."
            if plain in _FUNCTIONS or plain in ALIASES
            else "Add the length as in 'ndcg@10'."
        )
        raise ValueError(
            f"`metrics` must be among {', '.join(sorted(_FUNCTIONS))}, or callables; "
            f"got {metric!r}. {advice}"
        )
    if at and (not length.isdecimal() or int(length) < 1):
        raise ValueError(
            f"`metrics` must have a length >= 1 behind the @; got {metric!r}. "
            "Write 'ndcg@10'."
        )
    return _FUNCTIONS[name], int(length) if length else None


def wants(metrics: Mapping[str, Metric], argument: str) -> list[str]:
    """List the metrics that ask for an argument."""
    return [name for name, (f, _) in metrics.items() if argument in parameters(f)]


def read_popularity(item_popularity: Any, n_items: int) -> FloatArray:
    """Validate interactions per item against the catalogue."""
    popularity = check_popularity("item_popularity", item_popularity)
    _one_per_item("item_popularity", popularity, n_items, "item_popularity(X)")
    return popularity


def read_item_groups(
    item_groups: Any, popularity: FloatArray
) -> tuple[IntArray, dict[str, BoolArray], str]:
    """Label the items; return masks of the groups that hold some, and the convention.

    Returns
    -------
    labels : ndarray of shape (n_items,)
    masks : dict of str to ndarray of shape (n_items,), dtype bool
        In the order head, mid, tail.
    convention : str
    """
    by_rule = item_groups is None or isinstance(item_groups, PopularityGroups)
    if by_rule:
        rule = PopularityGroups() if item_groups is None else item_groups
        labels = check_groups(rule.label(popularity))
    else:
        labels = check_groups(item_groups)
    maker = "PopularityGroups().label(popularity)"
    _one_per_item("item_groups", labels, len(popularity), maker)
    masks = {name: labels == label for name, label in ITEM_GROUPS.items()}
    masks = {name: mask for name, mask in masks.items() if mask.any()}
    sizes = ", ".join(f"{name} {mask.sum():,}" for name, mask in masks.items())
    return labels, masks, f"{rule if by_rule else 'labels given'} (items: {sizes})"


def _one_per_item(name: str, values: Any, n_items: int, maker: str) -> None:
    if len(values) != n_items:
        raise ValueError(
            f"`{name}` must hold one value per item of `X` ({n_items}); got "
            f"{len(values)}. {maker} makes them."
        )


def read_user_groups(
    user_groups: Any, X: Any, item_groups: IntArray
) -> tuple[list[str], IntArray, str]:
    """Give every user the number of a group, from 0.

    Returns
    -------
    names : list of str
        Tastes in their order, other labels sorted.
    numbers : ndarray of shape (n_users,)
        The group of every user.
    convention : str
    """
    convention = "labels given"
    if user_groups is None:
        user_groups = taste_groups(X, item_groups)
        convention = (
            "niche and blockbuster: the 20 % with the lowest and the highest share of "
            "head items in their histories, and their equals; diverse: all others"
        )
    labels = as_array("user_groups", user_groups)
    if labels.shape != (X.shape[0],):
        raise ValueError(
            f"`user_groups` must be 1-D with one label per row of `X` ({X.shape[0]}); "
            f"got shape {labels.shape}. taste_groups(X, item_groups) makes them."
        )
    if labels.dtype == object:
        labels = labels.astype(str)
    found, numbers = np.unique(labels, return_inverse=True)
    names = [str(label) for label in found]
    if "all" in names:
        raise ValueError(
            "`user_groups` must not hold the label 'all', which names all users "
            "together; got it. Rename the group."
        )
    wanted = (*TASTES, NO_HISTORY)
    if set(names) <= set(wanted):
        order = sorted(range(len(names)), key=lambda g: wanted.index(names[g]))
        names = [names[g] for g in order]
        numbers = np.argsort(order)[numbers]
    return names, numbers, convention


def check_numbers(n_boot: Any, confidence: float) -> tuple[int, float]:
    """Validate the number of draws and the width of intervals."""
    n_boot = check_n_boot(n_boot)
    if not isinstance(confidence, Real) or not 0 < confidence < 1:
        raise ValueError(
            f"`confidence` must be a number in (0, 1); got {confidence!r}. "
            "Write 95 % as 0.95."
        )
    return n_boot, float(confidence)


def seed_of(random_state: Any) -> int:
    """Turn any random state into a seed, so that draws can be made again."""
    if isinstance(random_state, Integral):
        return int(random_state)
    return int(check_random_state(random_state).randint(2**31 - 1))


def read_data(
    named: Mapping[str, Metric], X: Any, y: Any, recommendations: Any
) -> dict[str, Any]:
    """Validate what holds a row per user, as metrics ask for it by name."""
    X = as_interactions("X", X)
    lists = check_lists(recommendations, None)
    check_range(lists, X.shape[1], "the number of columns of `X`")
    if X.shape[0] != len(lists) or not len(lists):
        raise ValueError(
            f"`recommendations` must hold one list per row of `X` ({X.shape[0]}), at "
            f"least one; got {len(lists)}. Pass the same users in the same order."
        )
    known = {"X": X, "recommendations": lists, "n_items": X.shape[1]}
    known["n_users"] = X.shape[0]
    readers = wants(named, "y")
    if y is None and readers:
        raise ValueError(
            f"`y` must hold held-out interactions for {', '.join(readers)}; got None. "
            "hide_interactions(X) makes X_seen and y."
        )
    if y is not None:
        y = getattr(check_split(X, y, lists), "y", y)
        known["y"] = y.tocsr() if issparse(y) else np.asarray(y)
    return known


def fitted_params(estimator: Any, params: dict[str, Any]) -> dict[str, Any]:
    """Complete the parameters of a table by what an estimator was fitted with."""
    popularity = getattr(estimator, "item_popularity_", None)
    groups = getattr(estimator, "item_groups_", None)
    found: dict[str, Any] = {}
    if popularity is not None and "item_popularity" not in params:
        found["item_popularity"] = popularity
        found["n_train_users"] = getattr(estimator, "n_users_", None)
    if groups is not None:
        rule = getattr(estimator, "groups", None) or PopularityGroups()
        found["item_groups"] = groups
        if popularity is not None and isinstance(rule, PopularityGroups):
            # The rule can say in words what the labels mean.
            made = np.array_equal(rule.label(popularity), groups)
            found["item_groups"] = rule if made else groups
    return found | params
