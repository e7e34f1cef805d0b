"""What the caller knows of the items: features, titles, and which stands for a row."""

from collections.abc import Mapping

import numpy as np

from skpopsteer._validation import as_array, check_item_features

__all__ = ["check_items", "check_titles", "count_items", "read_attributes"]


def read_attributes(item_features, n_items):
    """Return which item has which attribute, and their names, or twice None."""
    if item_features is None:
        return None, None
    features, names = check_item_features(item_features, n_items)
    has = features.copy()
    has.data = np.ones(has.nnz)
    return has, names


def check_titles(item_titles, n_items):
    """Return titles as an array of texts, "" where there is none, or None."""
    if item_titles is None:
        return None
    titles = np.asarray(item_titles, dtype=object)
    if titles.shape != (n_items,):
        raise ValueError(
            f"`item_titles` must hold one text per item ({n_items}); got shape "
            f"{titles.shape}. Rows go by the position of the items."
        )
    texts = np.empty(n_items, dtype=object)
    texts[:] = ["" if _is_missing(title) else str(title) for title in titles]
    return texts


def _is_missing(title):
    # By name: comparing NA of pandas with anything has no truth value.
    return not isinstance(title, str) and str(title) in {"None", "nan", "<NA>"}


def check_items(items, n_rows):
    """Return the item of every row of activations, -1 for none."""
    items = as_array("items", items)
    if items.shape != (n_rows,) or items.dtype.kind not in "iu":
        raise ValueError(
            f"`items` must hold one integer item position per row of `Z` ({n_rows}); "
            f"got shape {items.shape} and dtype {items.dtype}. Use -1 for none."
        )
    if items.max(initial=-1) >= 2**31:
        raise ValueError(
            f"`items` must be item positions below 2**31; got {items.max()}. "
            "Map your ids to positions first."
        )
    if items.min(initial=-1) < -1:
        raise ValueError(
            f"`items` must be item positions, or -1 for none; got {items.min()}. "
            "Map your ids to positions first."
        )
    return items.astype(np.int64, copy=False)


def count_items(items, features, titles, popularity):
    """Return the size of the catalogue that the arguments speak of."""
    for name, per_item in (("item_titles", titles), ("item_popularity", popularity)):
        if per_item is not None:
            return _length(name, per_item)
    if features is None:
        return int(items.max(initial=-1)) + 1
    if isinstance(features, tuple) and len(features) == 2:
        features = features[0]
    if isinstance(features, Mapping):
        features = next(iter(features.values()), ())
    return _length("item_features", features)


def _length(name, per_item):
    shape = getattr(per_item, "shape", None)
    if shape is None and hasattr(per_item, "__len__"):
        return len(per_item)
    if not shape:
        raise TypeError(
            f"`{name}` must have an entry per item; got {type(per_item).__name__}. "
            "Entries go by the position of the items."
        )
    return shape[0]
