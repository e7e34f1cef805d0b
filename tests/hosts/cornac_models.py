"""Hosts of Cornac: factorisations with biases, and autoencoders."""

import copy
from functools import cache

import numpy as np
import torch
from cornac.data import Dataset
from cornac.models import BPR, MF, VAECF, BiVAECF, RecVAE
from scipy.sparse import csr_array

from skpopsteer.adapters import as_recommender
from tests.hosts.host import WIDTH, Host, lists_by_hand, snapshot, weighted_interactions

AUTOENCODERS = {"BiVAECF": "bivae", "RecVAE": "recvae_model", "VAECF": "vae"}


@cache
def train_set():
    """Interactions under ids of their own, which Cornac numbers as they appear."""
    X = weighted_interactions().tocoo()
    triplets = zip(X.row, X.col, X.data, strict=True)
    rows = [(f"user{u}", f"item{i}", value) for u, i, value in triplets]
    return Dataset.from_uir(rows, seed=0)


def train(kind, **params):
    # Torch's generator and numpy's are global; they are put back.
    state = np.random.get_state()  # noqa: NPY002
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = kind(**params).fit(train_set())
    np.random.set_state(state)  # noqa: NPY002
    if module_of(model) is not None:
        module_of(model).zero_grad()
    return model


def module_of(model):
    return getattr(model, AUTOENCODERS.get(type(model).__name__, ""), None)


def copy_of(model):
    """Copy a model with its data set, which Cornac's own copies leave out."""
    copied = copy.deepcopy(model)
    vars(copied).update(train_set=model.train_set, val_set=None)
    if module_of(model) is not None:
        module_of(copied).eval()
    return copied


def _cornac(name, kind, **params):
    X = csr_array(train_set().matrix)
    model = train(kind, **params)
    library = copy_of(model)
    # The rest of a model does not compare: tests/adapters/test_cornac.py looks at it.
    arrays = tuple(v for v in vars(model).values() if isinstance(v, np.ndarray))
    state = arrays if module_of(model) is None else module_of(model)

    def own_lists(way, rows, k, exclude_seen=True):
        scores = np.stack([library.score(row) for row in rows])
        if exclude_seen:
            unseen = [np.flatnonzero(X[[row]].toarray() == 0) for row in rows]
            lists = zip(rows, unseen, strict=True)
            ids = np.stack([library.rank(row, items)[0][:k] for row, items in lists])
            return ids, np.take_along_axis(scores, ids, axis=1)
        return lists_by_hand(scores, X[rows], k, False)

    return Host(name, state, snapshot(state), as_recommender(model), X, own_lists)


RECIPES = {
    "cornac_mf": (_cornac, MF, {"k": WIDTH, "learning_rate": 0.05, "seed": 0}),
    "cornac_bpr": (_cornac, BPR, {"k": WIDTH, "learning_rate": 0.05, "seed": 0}),
    "cornac_vaecf": (_cornac, VAECF, {"k": WIDTH, "learning_rate": 0.01, "seed": 0}),
    "cornac_bivaecf": (
        _cornac,
        BiVAECF,
        {"k": WIDTH, "learning_rate": 0.01, "use_gpu": False, "seed": 0},
    ),
    "cornac_recvae": (
        _cornac,
        RecVAE,
        {
            "hidden_dim": 16,
            "latent_dim": WIDTH,
            "lr": 0.01,
            "n_epochs": 5,
            "use_gpu": False,
        },
    ),
}
WITH_USER_IDS = ["cornac_mf", "cornac_bpr", "cornac_bivaecf"]
WITH_OWN_FOLD_IN = ["cornac_vaecf", "cornac_bivaecf", "cornac_recvae"]
NONLINEAR = ["cornac_vaecf"]
