"""Hosts of LensKit, which has an environment of its own: `make test-lenskit`."""

import copy
import os
import warnings
from unittest.mock import patch

import numpy as np
import pandas as pd
import torch
from lenskit.als import BiasedMFScorer, ImplicitMFScorer
from lenskit.basic import TopNRanker
from lenskit.data import ItemList, RecQuery, from_interactions_df
from lenskit.flexmf import FlexMFExplicitScorer, FlexMFImplicitScorer
from lenskit.funksvd import FunkSVDScorer
from lenskit.hpf import HPFScorer
from lenskit.implicit import ALS, BPR
from lenskit.sklearn.nmf import NMFScorer
from lenskit.sklearn.svd import BiasedSVDScorer
from lenskit.training import TrainingOptions

from skpopsteer.adapters import as_recommender
from tests.hosts.host import (
    N_ITEMS,
    N_USERS,
    WIDTH,
    Host,
    snapshot,
    weighted_interactions,
)

#: Ids that are no positions; their order is that of the columns and rows.
ITEM_IDS = 1000 + 7 * np.arange(N_ITEMS)
USER_IDS = np.array([f"user{row:03}" for row in range(N_USERS)])


def dataset(X, user_ids=USER_IDS, item_ids=ITEM_IDS):
    """Return rows of ratings as a data set of LensKit."""
    X = X.tocoo()
    return from_interactions_df(
        pd.DataFrame(
            {
                "user_id": np.asarray(user_ids)[X.row],
                "item_id": np.asarray(item_ids)[X.col],
                "rating": X.data,
            }
        )
    )


def train(model, data):
    """Train a scorer or a pipeline; the warnings are the library's, and torch's."""
    options = TrainingOptions(rng=0, device="cpu")
    # Those of scikit-learn draw from the global generator; it is put back.
    state = np.random.get_state()  # noqa: NPY002
    np.random.seed(0)  # noqa: NPY002
    # Compiling takes longer than training.
    not_compiled = patch.dict(os.environ, LK_TORCH_COMPILE="0")
    with warnings.catch_warnings(), not_compiled:
        warnings.simplefilter("ignore")
        model.train(data, options)
    np.random.set_state(state)  # noqa: NPY002
    return model


def history_of(row, rated=True):
    """Return a row of ratings as the history of a query."""
    ratings = {"rating": row.data} if rated else {}
    return ItemList(item_ids=ITEM_IDS[row.indices], **ratings)


def query_of(way, X, row):
    """Return a query that names a trained user, or one with a history alone."""
    if way == "user_ids":
        return RecQuery(user_id=str(USER_IDS[row]))
    return RecQuery(history_items=history_of(X[[row]]))


def own_lists_of(scorer, X):
    """Return the function of a `Host` that asks the library's scorer and ranker."""
    ranker = TopNRanker()

    def own_lists(way, rows, k, exclude_seen=True):
        lists = []
        for row in rows:
            seen = X[[row]].indices if exclude_seen else []
            items = ItemList(item_ids=np.delete(ITEM_IDS, seen))
            with warnings.catch_warnings():
                # FlexMF gives torch arrays of pyarrow, which are read-only.
                warnings.simplefilter("ignore", UserWarning)
                scored = scorer(query_of(way, X, row), items)
            lists.append(ranker(items=scored, n=k))
        ids = np.stack([np.searchsorted(ITEM_IDS, items.ids()) for items in lists])
        return ids, np.stack([items.scores() for items in lists])

    return own_lists


def arrays_of(part):
    """Return all arrays a part of LensKit holds, however deep."""
    if isinstance(part, np.ndarray):
        return (part,)
    parts = getattr(part, "__dict__", {}).values()
    return tuple(array for held in parts for array in arrays_of(held))


def lenskit_host(name, kind, **params):
    X = weighted_interactions()
    model = train(kind(**params), dataset(X))
    library = copy.deepcopy(model)
    # The rest does not compare: tests/adapters/test_lenskit.py looks at it.
    module = getattr(model, "model", None)
    state = module if isinstance(module, torch.nn.Module) else arrays_of(model)
    recommender = as_recommender(model)
    return Host(name, state, snapshot(state), recommender, X, own_lists_of(library, X))


SIZE = {"embedding_size": WIDTH}
TORCH = {**SIZE, "epochs": 20, "learning_rate": 0.05, "batch_size": 512}
RECIPES = {
    "lenskit_biased_mf": (lenskit_host, BiasedMFScorer, SIZE),
    "lenskit_implicit_mf": (lenskit_host, ImplicitMFScorer, {**SIZE, "weight": 3.0}),
    "lenskit_funk_svd": (
        lenskit_host,
        FunkSVDScorer,
        {**SIZE, "learning_rate": 0.05, "regularization": 0.1},
    ),
    "lenskit_biased_svd": (lenskit_host, BiasedSVDScorer, SIZE),
    "lenskit_nmf": (lenskit_host, NMFScorer, SIZE),
    "lenskit_hpf": (
        lenskit_host,
        HPFScorer,
        {
            **SIZE,
            "count_attribute": None,
            "maxiter": 30,
            "verbose": False,
            "random_seed": 0,
        },
    ),
    "lenskit_als": (lenskit_host, ALS, {"factors": WIDTH, "random_state": 0}),
    "lenskit_bpr": (
        lenskit_host,
        BPR,
        {"factors": WIDTH, "learning_rate": 0.05, "iterations": 20, "random_state": 0},
    ),
    "lenskit_flexmf_explicit": (lenskit_host, FlexMFExplicitScorer, TORCH),
    "lenskit_flexmf_implicit": (lenskit_host, FlexMFImplicitScorer, TORCH),
    "lenskit_lightgcn": (
        lenskit_host,
        FlexMFImplicitScorer,
        {**TORCH, "preset": "lightgcn"},
    ),
}
WITH_USER_IDS = list(RECIPES)
WITH_OWN_FOLD_IN = ["lenskit_biased_mf", "lenskit_implicit_mf"]
