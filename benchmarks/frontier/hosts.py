"""Train ALS, BPR and ELSA of other libraries, settings chosen on validation.

Every host is a generator that trains on and yields its vectors after every round, so
that the number of rounds is chosen as the other settings are.
"""

import time
from collections.abc import Callable
from itertools import islice
from typing import NamedTuple

import numpy as np
import torch
from implicit.als import AlternatingLeastSquares
from scipy.sparse import csr_array, csr_matrix
from threadpoolctl import threadpool_limits
from torch.nn.functional import embedding_bag, normalize

from frontier.data import read_interactions
from frontier.pairs import HostPair, load_pair, versions
from frontier.splits import random_split
from skpopsteer import as_recommender

WIDTH = 64
#: The split on whose validation the settings of a data set are chosen.
CHOSEN_ON = 0
#: Users at most that judge a setting; Gowalla has more.
N_JUDGES = 5_000


class Vectors(NamedTuple):
    """What is stored of a host: rows to user embeddings, items and their bias."""

    encode: Callable[[csr_array], np.ndarray]
    V: np.ndarray
    item_bias: np.ndarray | None = None


def als(X, seed, *, alpha, regularization):
    """Train implicit's ALS, five iterations a round."""
    model = AlternatingLeastSquares(
        WIDTH, alpha=alpha, regularization=regularization, iterations=5, num_threads=1,
        random_state=seed,
    )  # fmt: skip
    rows = csr_matrix(X)
    while True:
        with threadpool_limits(1, "blas"):
            model.fit(rows, show_progress=False)
        yield Vectors(lambda _: model.user_factors, model.item_factors)


def bpr(X, seed, *, learning_rate, decay, lambda_reg):
    """Train Cornac's BPR, ten epochs a round; `decay` turns its steps down in between.

    It draws negatives uniformly among all items, where implicit draws in proportion to
    popularity, and learns a bias of items.
    """
    from cornac.data import Dataset
    from cornac.models import BPR

    n_users, n_items = X.shape
    ids = [{position: position for position in range(n)} for n in X.shape]
    pairs = np.repeat(np.arange(n_users), np.diff(X.indptr)), X.indices, X.data
    dataset = Dataset(n_users, n_items, *ids, pairs)
    rng, tables = np.random.default_rng(seed), None
    while True:
        # A seed makes it train in one thread; what is trained is trained on.
        model = BPR(
            k=WIDTH, max_iter=10, learning_rate=learning_rate, lambda_reg=lambda_reg,
            init_params=tables, seed=int(rng.integers(2**31)),
        ).fit(dataset)  # fmt: skip
        learning_rate *= decay
        tables = {"U": model.u_factors, "V": model.i_factors, "Bi": model.i_biases}
        yield Vectors(lambda _, U=model.u_factors: U, tables["V"], tables["Bi"])


def elsa(X, seed, *, lr, batch_size):
    """Train elsarec's ELSA by its loss and optimiser, one epoch a round.

    Its own ``fit`` makes rows of scores, a minute an epoch on Gowalla; `elsa_loss` is
    the same function of the embeddings without them.
    """
    from elsa import ELSA

    torch.manual_seed(seed)
    model = ELSA(X.shape[1], WIDTH, device=torch.device("cpu"))
    (weights,) = model.parameters()
    optimiser = torch.optim.NAdam([weights], lr=lr)
    while True:
        for users in torch.randperm(X.shape[0]).split(batch_size):
            loss = elsa_loss(normalize(weights, dim=1), X[users.numpy()])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        host = as_recommender(model)
        yield Vectors(host.encode_users, host.item_embeddings_)


def elsa_loss(A, X):
    """Return ELSA's loss: the squared distance of rows and scores, both of length 1.

    Scores are ``x @ A @ A.T - x``. Of ``z = x @ A`` and ones in x, their square is
    ``z @ A.T @ A @ z - 2 z @ z + n``, and their product with x is ``z @ z - n``.

    Parameters
    ----------
    A : Tensor of shape (n_items, d)
        Rows of length 1.
    X : csr_array of shape (n_users, n_items)
        Ones.
    """
    items, starts = torch.as_tensor(X.indices), torch.as_tensor(X.indptr[:-1])
    Z = embedding_bag(items, A, starts.to(items.dtype), mode="sum")
    n, squares = torch.as_tensor(np.diff(X.indptr)), Z.square().sum(1)
    lengths = ((Z @ (A.T @ A) * Z).sum(1) - 2 * squares + n).clamp_min(1e-8).sqrt()
    return (2 - 2 * (squares - n) / (lengths * n.sqrt())).mean()


#: Generator, library, epochs of a round, rounds at most, and settings to choose from.
HOSTS = {
    "als": (als, "implicit", 5, 6, [
        {"alpha": alpha, "regularization": regularization}
        for alpha in (2, 5, 15, 40) for regularization in (1, 10, 30, 100)
    ]),
    "bpr": (bpr, "cornac", 10, 25, [
        {"learning_rate": 0.1, "decay": 0.85, "lambda_reg": reg}
        for reg in (0.005, 0.01)
    ]),
    "elsa": (elsa, "elsarec", 1, 40, [
        {"lr": lr, "batch_size": batch_size}
        for lr, batch_size in ((0.01, 256), (0.03, 256), (0.1, 1024))
    ]),
}  # fmt: skip
#: Rounds without a better NDCG@10 on validation that end a training.
PATIENCE = 4


def as_pair(vectors, interactions, parts, info):
    """Return a pair of what a round yielded."""
    X, y_valid, y_test = parts
    return HostPair(
        U_valid=vectors.encode(X).copy(), U_test=vectors.encode(X + y_valid).copy(),
        V=vectors.V.copy(), item_bias=vectors.item_bias,
        X_train=X, y_valid=y_valid, y_test=y_test,
        user_ids=interactions.user_ids, item_ids=interactions.item_ids, info=info,
    )  # fmt: skip


def choose(host, interactions, parts):
    """Return settings with the best NDCG@10 on validation, and all that was tried."""
    rounds, _, epochs, most, grid = HOSTS[host]
    n_users = len(interactions.user_ids)
    judges = np.random.default_rng(0).permutation(n_users)[:N_JUDGES]
    tried = []
    for settings in grid:
        curve = []
        for vectors in islice(rounds(parts[0], 0, **settings), most):
            pair = as_pair(vectors, interactions, parts, {})
            curve.append(pair.ndcg("valid", users=judges))
            best = int(np.argmax(curve))
            if len(curve) - 1 - best >= PATIENCE:
                break
        tried.append({**settings, "epochs": epochs * (best + 1), "ndcg": curve[best]})
        print(f"  {host}: {tried[-1]}", flush=True)
    chosen = dict(max(tried, key=lambda one: one["ndcg"]))
    del chosen["ndcg"]
    return chosen, tried


def train(host, data, split):
    """Return a trained pair; one split of a data set chooses for all.

    Test interactions are read by nothing here.
    """
    rounds, library, epochs, _, _ = HOSTS[host]
    interactions = read_interactions(data)
    parts = random_split(interactions.X, split)
    info = {
        "host": host, "data": data, "split": split,
        "versions": versions(library, "numpy", "scipy"),
    }  # fmt: skip
    if split == CHOSEN_ON:
        info["settings"], info["tried"] = choose(host, interactions, parts)
    else:
        info["settings"] = load_pair(host, data, CHOSEN_ON).info["settings"]
    settings = dict(info["settings"])
    n_rounds = settings.pop("epochs") // epochs
    start = time.perf_counter()
    training = rounds(parts[0], split, **settings)
    vectors = next(islice(training, n_rounds - 1, None))
    info["seconds"] = time.perf_counter() - start
    pair = as_pair(vectors, interactions, parts, info)
    info["ndcg_valid"] = pair.ndcg("valid")
    return pair
