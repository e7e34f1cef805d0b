"""Every recommender on one small host, fitted once a process."""

import warnings
from functools import cache

import numpy as np
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.decomposition import TruncatedSVD

from skpopsteer.adapters import as_recommender
from tests.instances import ESTIMATORS

__all__ = [
    "HELD_OUT",
    "N_ITEMS",
    "N_USERS",
    "RECOMMENDERS",
    "RERANKERS",
    "SELECTORS",
    "SHAPE",
    "TRAIN",
    "fitted",
    "table_host",
    "with_host",
]

SHAPE = N_USERS, N_ITEMS = 20, 15


def _interactions():
    rng = np.random.default_rng(0)
    steep = 1 / np.arange(1, N_ITEMS + 1)
    X = (rng.random(SHAPE) < 1.6 * steep).astype(float)
    X[np.arange(N_USERS), rng.integers(0, N_ITEMS, N_USERS)] = 1
    y = np.where(X > 0, 0, rng.random(SHAPE) < 0.15).astype(float)
    y[0, X[0] == 0] = 1
    return csr_array(X), csr_array(y)


TRAIN, HELD_OUT = _interactions()


@cache
def table_host():
    """A host of two tables, which looks users up and folds them in."""
    rng = np.random.default_rng(1)
    return as_recommender(
        (rng.normal(size=(N_USERS, 4)), rng.normal(size=(N_ITEMS, 4)))
    )


@cache
def decomposition_host():
    """A host that folds rows in, and has no table of users."""
    return as_recommender(TruncatedSVD(4, random_state=0).fit(TRAIN))


#: Instances that recommend, those of them that rerank or steer a host, and selectors.
RECOMMENDERS = {
    f"{number}-{type(instance).__name__}": instance
    for number, instance in enumerate(ESTIMATORS)
    if hasattr(instance, "recommend")
}
RERANKERS = {
    name: instance
    for name, instance in RECOMMENDERS.items()
    if "recommender" in instance.get_params(deep=False)
}
SELECTORS = {
    f"{number}-{type(instance).__name__}": instance
    for number, instance in enumerate(ESTIMATORS)
    if hasattr(instance, "get_support")
}


def with_host(name, **params):
    """Clone an instance, around the table host where it is one that takes a host."""
    model = clone(RECOMMENDERS[name])
    if name in RERANKERS and _takes_tables(name):
        params = {"recommender": table_host()} | params
    return model.set_params(**params)


def _takes_tables(name):
    # An item bias is asked for, or implicit's own model.
    return "ItemBias" not in name


@cache
def fitted(name):
    """One instance, fitted on the training rows."""
    model = with_host(name)
    with warnings.catch_warnings():
        # Twenty users are few for a calibrator, which says so.
        warnings.filterwarnings("ignore", "`y` must have hits to learn from")
        return model.fit(TRAIN, HELD_OUT)
