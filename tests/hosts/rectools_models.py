"""Hosts of RecTools, which has an environment of its own: `make test-rectools`."""

import warnings
from functools import cache

import numpy as np
import pandas as pd
import torch
from rectools.dataset import Dataset
from rectools.models import BERT4RecModel, SASRecModel
from rectools.models.nn.item_net import IdEmbeddingsItemNet
from scipy.sparse import csr_array, vstack

from skpopsteer.adapters import as_recommender
from tests.hosts.host import (
    MAX_LENGTH,
    N_ITEMS,
    N_USERS,
    WIDTH,
    Host,
    snapshot,
    timed_interactions,
)


@cache
def short_times():
    """Return `timed_interactions`, from second 1 on, so that float32 holds them."""
    X = timed_interactions().copy()
    X.data -= X.data.min() - 1
    return X


def frame_of(X, item_ids):
    """Return rows of times as RecTools reads them, equal times in order of position."""
    X = csr_array(X)
    rows = np.repeat(np.arange(X.shape[0]), np.diff(X.indptr))
    return pd.DataFrame(
        {
            "user_id": rows,
            "item_id": np.asarray(item_ids)[X.indices],
            "weight": 1.0,
            "datetime": pd.to_datetime(X.data, unit="s"),
        }
    )


def train(kind, X, item_ids, **params):
    """Train a tiny model; the warnings are the library's, of itself and of pandas."""
    params = {
        "n_factors": WIDTH, "n_blocks": 1, "n_heads": 2, "epochs": 3, "lr": 0.01,
        "session_max_len": MAX_LENGTH, "item_net_block_types": (IdEmbeddingsItemNet,),
        **params,
    }  # fmt: skip
    # The initial weights come from the global generators; they are put back.
    state = np.random.get_state()  # noqa: NPY002
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.manual_seed(0)
        np.random.seed(0)  # noqa: NPY002
        model = kind(**params)
        model.fit(Dataset.construct(frame_of(X, item_ids)))
    np.random.set_state(state)  # noqa: NPY002
    model.torch_model.zero_grad()
    return model


def own_lists_of(model, X):
    """Return the function of a `Host` that asks the library's own ``recommend``."""
    item_ids = np.asarray(model.data_preparator.get_known_item_ids())
    position = {item: place for place, item in enumerate(item_ids)}

    def own_lists(way, rows, k, exclude_seen=True):
        modes = [(part, part.training) for part in model.lightning_model.modules()]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            lists = model.recommend(
                users=np.arange(len(rows)),
                dataset=Dataset.construct(frame_of(X[rows], item_ids)),
                k=k,
                filter_viewed=exclude_seen,
            )
        # The library leaves the model in evaluation mode.
        for part, training in modes:
            part.training = training
        ids = np.full((len(rows), k), -1)
        scores = np.full((len(rows), k), -np.inf)
        place = lists["user_id"].to_numpy(), lists["rank"].to_numpy() - 1
        ids[place] = lists["item_id"].map(position)
        scores[place] = lists["score"]
        return ids, scores

    return own_lists


def transformer_host(name, kind, **params):
    X = short_times()
    # External ids that are no positions, in another order.
    item_ids = 1000 + np.random.default_rng(0).permutation(N_ITEMS)
    # The library keeps a user's last items only, so that rare ones need further users.
    items = np.arange(N_ITEMS).reshape(-1, 10)
    further = np.zeros((len(items), N_ITEMS))
    np.put_along_axis(further, items, items + 1.0, axis=1)
    model = train(kind, vstack([X, csr_array(further)]), item_ids, **params)
    trained = snapshot(model.lightning_model)
    recommender = as_recommender(model)
    place = {item: i for i, item in enumerate(item_ids)}
    X = csr_array(X[:, [place[item] for item in recommender.item_ids_]])
    X.sort_indices()
    assert X.shape == (N_USERS, N_ITEMS)
    return Host(
        name, model.lightning_model, trained, recommender, X, own_lists_of(model, X)
    )


RECIPES = {
    "sasrec": (transformer_host, SASRecModel, {}),
    "bert4rec": (transformer_host, BERT4RecModel, {"mask_prob": 0.3}),
}
WITH_OWN_FOLD_IN = list(RECIPES)
