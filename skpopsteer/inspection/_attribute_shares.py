"""What lists are made of: shares of genres, decades, artists, and how they move."""

from collections.abc import Mapping

import numpy as np
from scipy.sparse import csr_array, diags_array, hstack, issparse

from skpopsteer._validation import as_array, check_item_features

__all__ = ["Attribute", "check_attributes"]

#: What items without any value of an attribute are counted as.
NONE = "(none)"


class Attribute:
    """One attribute of the items, every item counting as one in all.

    Parameters
    ----------
    name : str
    values : see :func:`check_attributes`
        Of one attribute.
    n_items : int

    Attributes
    ----------
    names : ndarray of shape (n_values,), dtype object
        Values; ``"(none)"`` last, where an item has none.
    weights : csr_array of shape (n_items, n_values)
        Rows sum to 1.
    """

    def __init__(self, name, values, n_items):
        self.name = str(name)
        if _is_vector(values):
            features, names = _one_hot(self.name, values, n_items)
        else:
            features, names = check_item_features(values, n_items)
        totals = np.asarray(features.sum(axis=1)).ravel()
        has_any = totals > 0
        scale = np.divide(1.0, totals, out=np.zeros(n_items), where=has_any)
        self.weights, self.names = csr_array(diags_array(scale) @ features), names
        if not has_any.all():
            rest = csr_array((~has_any).astype(np.float64)[:, None])
            self.weights = csr_array(hstack([self.weights, rest]))
            self.names = np.append(names, NONE)

    def counts(self, lists):
        """Count the slots of every list by value.

        Parameters
        ----------
        lists : ndarray of shape (n_users, k)
            Padded with -1.

        Returns
        -------
        csr_array of shape (n_users, n_values)
            An item of several values is shared out among them.
        """
        users, slots = np.nonzero(lists >= 0)
        shape = len(lists), self.weights.shape[0]
        held = csr_array((np.ones(len(users)), (users, lists[users, slots])), shape)
        return csr_array(held @ self.weights)


def check_attributes(attributes, n_items):
    """Validate attributes of the items.

    Parameters
    ----------
    attributes : dict of str to array-like, sparse, data frame, dict or tuple
        A vector holds the one value of every item, None, NaN or "" for none; all else
        is as :func:`~skpopsteer._validation.check_item_features` takes it.
    n_items : int

    Returns
    -------
    list of Attribute
    """
    if not isinstance(attributes, Mapping) or not attributes:
        raise ValueError(
            "`attributes` must be a dict of names to attributes of the items, not "
            f"empty; got {type(attributes).__name__}. Write {{'genre': item_genres}}."
        )
    return [Attribute(name, values, n_items) for name, values in attributes.items()]


def _is_vector(values):
    if isinstance(values, Mapping | tuple) or issparse(values):
        return False
    shape = getattr(values, "shape", None)
    return len(as_array("attributes", values).shape if shape is None else shape) == 1


def _one_hot(name, values, n_items):
    labels = np.asarray(values)
    if len(labels) != n_items:
        raise ValueError(
            f"`attributes` must have one value per item ({n_items}); got {len(labels)} "
            f"for {name!r}. Items go by their position, which is their column in `X`."
        )
    words = np.array([_word(label) for label in labels.tolist()], dtype=object)
    items = np.flatnonzero(words != "")
    names, columns = np.unique(words[items].astype(str), return_inverse=True)
    ones = np.ones(len(items))
    features = csr_array((ones, (items, columns)), shape=(n_items, len(names)))
    return features, names.astype(object)


def _word(label):
    """Return a label as a string, the empty one for a label that is missing."""
    if label is None or label != label:
        return ""
    whole = isinstance(label, float) and label.is_integer()
    return str(int(label)) if whole else str(label)
