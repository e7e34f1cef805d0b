"""One table of trained hosts, each from the real library, with that library's lists."""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import numpy as np
import torch
from elsa import ELSA
from implicit.als import AlternatingLeastSquares
from implicit.bpr import BayesianPersonalizedRanking
from implicit.lmf import LogisticMatrixFactorization
from scipy.sparse import csr_array, csr_matrix
from sklearn.decomposition import NMF, PCA, TruncatedSVD
from threadpoolctl import threadpool_limits

from skpopsteer.adapters import TorchRecommender, as_recommender
from skpopsteer.datasets import make_interactions

N_USERS, N_ITEMS, WIDTH, MAX_LENGTH = 200, 100, 8, 12


@dataclass(frozen=True)
class Host:
    """A trained host.

    `model` is what the foreign library trained, `trained` its :func:`snapshot` before
    anything of ours touched it, and `recommender` what ``as_recommender`` made of it.
    ``own_lists(way, rows, k, exclude_seen=True)`` gives ids and scores of the foreign
    library for some rows of `X`, where `way` is "user_ids" or "fold_in".
    """

    name: str
    model: Any
    trained: Any
    recommender: Any
    X: csr_array
    own_lists: Callable

    def arguments(self, way, rows):
        """Return what our methods take for the same rows."""
        ids = {"user_ids": rows} if way == "user_ids" else {}
        return {"X": self.X[rows], **ids}

    def own_scores(self, way, rows):
        """Return the library's own score of every item."""
        ids, values = self.own_lists(way, rows, N_ITEMS, exclude_seen=False)
        scores = np.full(ids.shape, np.nan)
        np.put_along_axis(scores, ids, values, axis=1)
        return scores


@cache
def weighted_interactions():
    X = make_interactions(N_USERS, N_ITEMS, random_state=0).X
    X.data = np.random.default_rng(0).integers(1, 6, X.nnz).astype(np.float64)
    return X


@cache
def timed_interactions():
    """Times in seconds of this century, of which every tenth ties with another."""
    X = make_interactions(N_USERS, N_ITEMS, random_state=1).X
    rng = np.random.default_rng(1)
    X.data = 1.6e9 + rng.integers(0, 10 * X.nnz, X.nnz).astype(np.float64)
    tied = rng.choice(X.nnz - 1, X.nnz // 10, replace=False)
    X.data[tied] = X.data[tied + 1]
    return X


def lists_by_hand(scores, X, k, exclude_seen):
    """Sort all scores with numpy; seen items go to the end, and are cut off."""
    scores = np.array(scores, dtype=np.float64)
    if exclude_seen:
        scores[X.nonzero()] = -np.inf
    ids = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    values = np.take_along_axis(scores, ids, axis=1)
    return np.where(values == -np.inf, -1, ids), values


def _implicit(name, kind, **params):
    X = weighted_interactions()
    with threadpool_limits(1, "blas"):
        model = kind(
            factors=WIDTH, iterations=20, num_threads=1, random_state=0, **params
        )
        model.fit(csr_matrix(X, dtype=np.float32), show_progress=False)
    library = copy.deepcopy(model)

    def own_lists(way, rows, k, exclude_seen=True):
        with threadpool_limits(1, "blas"):
            return library.recommend(
                rows,
                csr_matrix(X[rows], dtype=np.float32),
                N=k,
                filter_already_liked_items=exclude_seen,
                recalculate_user=way == "fold_in",
            )

    trained = snapshot(model)
    return Host(name, model, trained, as_recommender(model), X, own_lists)


def _decomposition(name, kind, **params):
    X = weighted_interactions()
    model = kind(WIDTH, random_state=0, **params).fit(X)
    library = copy.deepcopy(model)

    def own_lists(way, rows, k, exclude_seen=True):
        scores = library.inverse_transform(library.transform(X[rows]))
        return lists_by_hand(scores, X[rows], k, exclude_seen)

    trained = snapshot(model)
    return Host(name, model, trained, as_recommender(model), X, own_lists)


def _arrays(name, *, with_bias):
    X = weighted_interactions()
    U, S, Vt = np.linalg.svd(X.toarray() - X.mean(), full_matrices=False)
    U, V = U[:, :WIDTH] * S[:WIDTH], Vt[:WIDTH].T
    bias = np.random.default_rng(0).normal(size=N_ITEMS)
    model = (U, V, bias) if with_bias else (U, V)
    scores = U @ V.T + (bias if with_bias else 0)

    def own_lists(way, rows, k, exclude_seen=True):
        return lists_by_hand(scores[rows], X[rows], k, exclude_seen)

    trained = snapshot(model)
    return Host(name, model, trained, as_recommender(model), X, own_lists)


def _elsa(name):
    X = weighted_interactions()
    rows = X.toarray().astype(np.float32)
    # The library draws from the global generator; it is put back.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = ELSA(N_ITEMS, WIDTH, device=torch.device("cpu"))
        model.fit(rows, batch_size=64, epochs=20, verbose=False)
    model.zero_grad()
    library, trained = copy.deepcopy(model), snapshot(model)

    def own_lists(way, users, k, exclude_seen=True):
        # The library subtracts what it was given, from items that are seen.
        scores = library.predict(rows[users], batch_size=64).numpy() + rows[users]
        return lists_by_hand(scores, X[users], k, exclude_seen)

    return Host(name, model, trained, as_recommender(model), X, own_lists)


class Autoencoder(torch.nn.Module):
    """Linear encoder, linear decoder with a bias."""

    def __init__(self):
        super().__init__()
        self.encoder = torch.nn.Linear(N_ITEMS, WIDTH)
        self.dropout = torch.nn.Dropout(0.5)
        self.decoder = torch.nn.Linear(WIDTH, N_ITEMS)

    def encode(self, rows):
        return self.encoder(self.dropout(rows))

    def forward(self, rows):
        return self.decoder(self.encode(rows))


class MultVAE(torch.nn.Module):
    """Normalised rows, dropout, two-layer encoder and decoder."""

    def __init__(self):
        super().__init__()
        self.dropout = torch.nn.Dropout(0.5)
        self.hidden = torch.nn.Linear(N_ITEMS, 16)
        self.mean = torch.nn.Linear(16, WIDTH)
        self.decoder = torch.nn.Sequential(
            torch.nn.Linear(WIDTH, 16), torch.nn.Tanh(), torch.nn.Linear(16, N_ITEMS)
        )

    def encode(self, rows):
        rows = self.dropout(torch.nn.functional.normalize(rows))
        return self.mean(torch.tanh(self.hidden(rows)))

    def decode(self, U):
        return self.decoder(U)

    def forward(self, rows):
        return self.decode(self.encode(rows))


class SequenceModel(torch.nn.Module):
    """GRU over sequences padded on the right with 0; item i has the id i + 1."""

    def __init__(self):
        super().__init__()
        self.items = torch.nn.Embedding(N_ITEMS + 1, WIDTH, padding_idx=0)
        self.dropout = torch.nn.Dropout(0.2)
        self.gru = torch.nn.GRU(WIDTH, WIDTH, batch_first=True)

    def encode(self, sequences):
        states, _ = self.gru(self.dropout(self.items(sequences)))
        last = ((sequences > 0).sum(1) - 1).clamp(min=0)
        return states[torch.arange(len(states)), last]

    def forward(self, sequences):
        return self.encode(sequences) @ self.items.weight[1:].T


def _train(kind, inputs, targets):
    # The initial weights come from the global generator; it is put back.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = kind()
        optimizer = torch.optim.Adam(module.parameters(), lr=0.02)
        for _ in range(30):
            optimizer.zero_grad()
            log_shares = torch.log_softmax(module(inputs), dim=1)
            (-(log_shares * targets).sum(1).mean()).backward()
            optimizer.step()
    optimizer.zero_grad()
    return module


def _torch(name, module, X, tensor, **params):
    library, trained = copy.deepcopy(module).eval(), snapshot(module)
    recommender = as_recommender(TorchRecommender(module, encoder="encode", **params))

    @torch.no_grad()
    def own_lists(way, rows, k, exclude_seen=True):
        scores = library(tensor[torch.as_tensor(rows)]).numpy()
        return lists_by_hand(scores, X[rows], k, exclude_seen)

    return Host(name, module, trained, recommender, X, own_lists)


def _autoencoder(name, kind, **params):
    X = weighted_interactions()
    rows = torch.as_tensor(X.toarray().astype(np.float32))
    module = _train(kind, rows, rows).eval()
    # Not the mode of the whole: module.train(was_training) would lose it.
    module.dropout.train()
    return _torch(name, module, X, rows, **params)


def sequences_by_hand(X, max_length):
    """Sort every row by time, equal times by position, and keep the last items."""
    sequences = np.full((X.shape[0], max_length), -1)
    for user, row in enumerate(X.toarray()):
        items = sorted(np.flatnonzero(row), key=lambda item, row=row: (row[item], item))
        items = items[-max_length:]
        sequences[user, : len(items)] = items
    return sequences


def _sequence_model(name):
    X = timed_interactions()
    ids = torch.as_tensor(sequences_by_hand(X, MAX_LENGTH) + 1)
    targets = torch.as_tensor((X.toarray() > 0).astype(np.float32))
    return _torch(
        name,
        _train(SequenceModel, ids, targets).train(),
        X,
        ids,
        item_embeddings=item_table,
        inputs="sequences",
        max_length=MAX_LENGTH,
    )


def item_table(module):
    return module.items.weight


_RECIPES = {
    "als": (_implicit, AlternatingLeastSquares, {"alpha": 3.0, "regularization": 0.05}),
    "bpr": (_implicit, BayesianPersonalizedRanking, {"learning_rate": 0.05}),
    "lmf": (_implicit, LogisticMatrixFactorization, {"learning_rate": 0.5}),
    "truncated_svd": (_decomposition, TruncatedSVD, {}),
    "nmf": (_decomposition, NMF, {"init": "nndsvda"}),
    "pca": (_decomposition, PCA, {"svd_solver": "arpack"}),
    "arrays": (_arrays, {"with_bias": False}),
    "arrays_with_bias": (_arrays, {"with_bias": True}),
    "elsa": (_elsa, {}),
    "autoencoder": (
        _autoencoder,
        Autoencoder,
        {"item_embeddings": "decoder.weight", "item_bias": "decoder.bias"},
    ),
    "mult_vae": (_autoencoder, MultVAE, {"decoder": "decode", "n_items": N_ITEMS}),
    "sequence_model": (_sequence_model, {}),
}
#: Factories by name; what they train is kept for the session.
HOSTS = {
    name: cache(partial(build, name, *args, **params))
    for name, (build, *args, params) in _RECIPES.items()
}
WITH_USER_IDS = ["als", "bpr", "lmf", "arrays", "arrays_with_bias"]
#: Hosts whose library encodes rows of interactions itself.
WITH_OWN_FOLD_IN = [
    "als", "truncated_svd", "nmf", "pca", "elsa", "autoencoder", "mult_vae",
    "sequence_model",
]  # fmt: skip
LINEAR = [name for name in HOSTS if name != "mult_vae"]
WAYS = [(name, "user_ids") for name in WITH_USER_IDS]
WAYS += [(name, "fold_in") for name in WITH_OWN_FOLD_IN]


def snapshot(model):
    """Copy all state of a foreign model, to be compared with assert_equal of numpy."""
    if isinstance(model, torch.nn.Module):
        return {
            "weights": {k: v.numpy().copy() for k, v in model.state_dict().items()},
            "modes": {name: part.training for name, part in model.named_modules()},
            "gradients": {
                name: (part.requires_grad, part.grad)
                for name, part in model.named_parameters()
            },
        }
    return copy.deepcopy(model if isinstance(model, tuple) else vars(model))
