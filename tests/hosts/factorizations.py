"""Hosts of implicit, scikit-learn and elsarec, and plain arrays."""

import copy

import numpy as np
import torch
from elsa import ELSA
from implicit.als import AlternatingLeastSquares
from implicit.bpr import BayesianPersonalizedRanking
from implicit.lmf import LogisticMatrixFactorization
from scipy.sparse import csr_matrix
from sklearn.decomposition import NMF, PCA, TruncatedSVD
from threadpoolctl import threadpool_limits

from skpopsteer.adapters import as_recommender
from tests.hosts.host import (
    N_ITEMS,
    WIDTH,
    Host,
    lists_by_hand,
    snapshot,
    weighted_interactions,
)


def implicit_host(name, kind, **params):
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


def decomposition_host(name, kind, **params):
    X = weighted_interactions()
    model = kind(WIDTH, random_state=0, **params).fit(X)
    library = copy.deepcopy(model)

    def own_lists(way, rows, k, exclude_seen=True):
        scores = library.inverse_transform(library.transform(X[rows]))
        return lists_by_hand(scores, X[rows], k, exclude_seen)

    trained = snapshot(model)
    return Host(name, model, trained, as_recommender(model), X, own_lists)


def arrays_host(name, *, with_bias):
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


def elsa_host(name):
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


RECIPES = {
    "als": (
        implicit_host,
        AlternatingLeastSquares,
        {"alpha": 3.0, "regularization": 0.05},
    ),
    "bpr": (implicit_host, BayesianPersonalizedRanking, {"learning_rate": 0.05}),
    "lmf": (implicit_host, LogisticMatrixFactorization, {"learning_rate": 0.5}),
    "truncated_svd": (decomposition_host, TruncatedSVD, {}),
    "nmf": (decomposition_host, NMF, {"init": "nndsvda"}),
    "pca": (decomposition_host, PCA, {"svd_solver": "arpack"}),
    "arrays": (arrays_host, {"with_bias": False}),
    "arrays_with_bias": (arrays_host, {"with_bias": True}),
    "elsa": (elsa_host, {}),
}
WITH_USER_IDS = ["als", "bpr", "lmf", "arrays", "arrays_with_bias"]
WITH_OWN_FOLD_IN = ["als", "truncated_svd", "nmf", "pca", "elsa"]
