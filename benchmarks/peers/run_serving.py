"""Serve lists on demand, one job a line: the engines of the benchmark of serving.

It runs in the environment of RecTools too, so that only numpy, scipy and threadpoolctl
are imported before an engine is asked for.
"""

import json
import os
import pathlib
import sys
import time
from importlib.metadata import version

import numpy as np
from scipy.sparse import csr_matrix
from threadpoolctl import threadpool_limits

K = 10
#: Rows whose scores are held at once by engines that leave that to their caller.
SCORES = 2**22


def blocks(n_users, n_items):
    """Yield slices of users."""
    step = max(32, SCORES // n_items)
    return (slice(i, min(i + step, n_users)) for i in range(0, n_users, step))


def floor(data):
    """Make the product alone, into memory that is there already."""
    U, V = data["U"], data["V"]
    out = np.empty((max(32, SCORES // len(V)), len(V)), dtype=np.float32)

    def serve():
        for rows in blocks(len(U), len(V)):
            np.matmul(U[rows], V.T, out=out[: rows.stop - rows.start])

    return serve


def with_numpy(data):
    """Product, mask, argpartition, sort."""
    U, V, X = data["U"], data["V"], data["X"]

    def serve():
        lists = []
        for rows in blocks(len(U), len(V)):
            scores = U[rows] @ V.T
            scores[X[rows].nonzero()] = -np.inf
            best = np.argpartition(-scores, K, axis=1)[:, :K]
            order = np.argsort(-np.take_along_axis(scores, best, axis=1), axis=1)
            lists.append(np.take_along_axis(best, order, axis=1))
        return np.vstack(lists)

    return serve


def with_torch(data):
    """Product, mask and topk of torch."""
    import torch

    torch.set_num_threads(data["n_threads"])
    U, V, X = torch.from_numpy(data["U"]), torch.from_numpy(data["V"]), data["X"]

    def serve():
        lists = []
        with torch.inference_mode():
            for rows in blocks(len(U), len(V)):
                scores = U[rows] @ V.T
                users, items = X[rows].nonzero()
                scores[torch.from_numpy(users), torch.from_numpy(items)] = -np.inf
                lists.append(scores.topk(K, dim=1).indices.numpy())
        return np.vstack(lists)

    return serve


def with_faiss(data):
    """Ask a flat index for as many as the longest history of a batch has, and K."""
    import faiss

    faiss.omp_set_num_threads(data["n_threads"])
    U, V, X = data["U"], data["V"], data["X"]
    index = faiss.IndexFlatIP(V.shape[1])
    index.add(V)
    # Users of like histories together, so that few are asked for too many.
    order = np.argsort(np.diff(X.indptr), kind="stable")
    # Ascending, since rows are sorted.
    keys = np.repeat(np.arange(len(U)), np.diff(X.indptr)) * len(V) + X.indices

    def serve():
        lists = np.empty((len(U), K), dtype=np.int64)
        for start in range(0, len(U), 1024):
            users = order[start : start + 1024]
            longest = int(np.diff(X.indptr)[users].max())
            _, found = index.search(U[users], min(K + longest, len(V)))
            wanted = found + users[:, None] * len(V)
            place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
            seen = keys[place] == wanted
            first = np.argsort(seen, axis=1, kind="stable")[:, :K]
            lists[users] = np.take_along_axis(found, first, axis=1)
        return lists

    return serve


def with_implicit(data):
    """``recommend`` of a trained model of implicit with these factors."""
    from implicit.als import AlternatingLeastSquares

    model = AlternatingLeastSquares(
        factors=data["V"].shape[1], num_threads=data["n_threads"]
    )
    model.user_factors, model.item_factors = data["U"], data["V"]
    users, X = np.arange(len(data["U"])), data["X"]
    return lambda: model.recommend(users, X, N=K)[0]


def with_rectools(data):
    """RecTools' ranker that all its models of vectors use on a CPU."""
    from rectools.models.rank import Distance, ImplicitRanker

    ranker = ImplicitRanker(
        Distance.DOT, data["U"], data["V"], num_threads=data["n_threads"]
    )
    users = np.arange(len(data["U"]))

    def serve():
        _, items, _ = ranker.rank(users, k=K, filter_pairs_csr=data["X"])
        return np.asarray(items).reshape(len(users), K)

    return serve


def with_torch_ranker(data):
    """RecTools' ranker on torch."""
    import torch
    from rectools.models.rank import Distance, TorchRanker

    torch.set_num_threads(data["n_threads"])
    ranker = TorchRanker(Distance.DOT, "cpu", data["U"], data["V"], batch_size=128)
    users = np.arange(len(data["U"]))

    def serve():
        _, items, _ = ranker.rank(users, k=K, filter_pairs_csr=data["X"])
        return np.asarray(items).reshape(len(users), K)

    return serve


def _ours(data, model, **arguments):
    """Serve with a recommender of this package, on as many threads as the others."""
    import joblib

    users, X = np.arange(len(data["U"])), data["X"]

    def serve():
        if data["n_threads"] == 1:
            return model.recommend(X, user_ids=users, **arguments)
        # Blocks on threads, each with a product of its own.
        with (
            threadpool_limits(1, "blas"),
            joblib.parallel_config("threading", n_jobs=data["n_threads"]),
        ):
            return model.recommend(X, user_ids=users, **arguments)

    return serve


def unsteered(data):
    """``recommend`` of the host."""
    from skpopsteer import as_recommender

    return _ours(data, as_recommender((data["U"], data["V"])))


def _steered_model(data, **form):
    from skpopsteer import SparseAutoencoderProbe, SteeredRecommender, as_recommender

    host = as_recommender((data["U"], data["V"]))
    # Popularity is a matter of the histories; how good the probe is, costs nothing.
    probe = SparseAutoencoderProbe(max_iter=2, random_state=0)
    model = SteeredRecommender(host, probe=probe, random_state=0, **form)
    return model.fit(data["X"], user_ids=np.arange(len(data["U"])))


def steered(data):
    """``recommend`` with offsets of the items, the rule of the default form."""
    return _ours(data, _steered_model(data))


def steered_users(data):
    """``recommend`` with the neurons of every user turned, as PopSteer does it."""
    return _ours(data, _steered_model(data, rule="shift"))


def exported(data):
    """Serve user vectors that were steered once, by ``export_embeddings``."""
    from skpopsteer import as_recommender

    model = _steered_model(data, rule="shift")
    vectors = model.export_embeddings(data["X"], np.arange(len(data["U"])))
    return _ours(data, as_recommender(tuple(vectors.values())))


ENGINES = {
    "floor": floor,
    "skpopsteer": unsteered,
    "steered": steered,
    "steered users": steered_users,
    "exported": exported,
    "implicit": with_implicit,
    "RecTools": with_rectools,
    "RecTools, torch": with_torch_ranker,
    "FAISS flat": with_faiss,
    "numpy": with_numpy,
    "torch": with_torch,
}
#: Engines that give the lists of the host, and those packages that they are of.
PACKAGES = {
    "implicit": "implicit",
    "RecTools": "rectools",
    "RecTools, torch": "rectools",
    "FAISS flat": "faiss-cpu",
    "torch": "torch",
    "numpy": "numpy",
}


def load(folder, n_threads):
    """Read the vectors and histories of one size."""
    folder = pathlib.Path(folder)
    data = {name: np.load(folder / f"{name}.npy") for name in ("U", "V")}
    parts = [np.load(folder / f"{name}.npy") for name in ("data", "indices", "indptr")]
    data["X"] = csr_matrix(tuple(parts), shape=(len(data["U"]), len(data["V"])))
    return data | {"n_threads": n_threads}


def main():
    """Answer jobs until the input ends."""
    replies = os.fdopen(int(os.environ["REPLIES"]), "w")
    n_threads = int(os.environ["OMP_NUM_THREADS"])
    print(json.dumps({"python": sys.version}), file=replies, flush=True)
    held, made = None, {}
    for line in sys.stdin:
        job = json.loads(line)
        try:
            if held != job["folder"]:
                held, made = job["folder"], {}
                data = load(held, n_threads)
            name = job["engine"]
            if name not in made:
                made[name] = ENGINES[name](data)
            start = time.perf_counter()
            lists = made[name]()
            reply = {"seconds": time.perf_counter() - start}
            if lists is not None:
                path = pathlib.Path(held) / f"lists-{name}.npy"
                np.save(path, np.asarray(lists, dtype=np.int64))
                reply["lists"] = str(path)
            if name in PACKAGES:
                reply["version"] = version(PACKAGES[name])
        except Exception as error:  # Reported in the table; the other runs go on.
            reply = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(reply), file=replies, flush=True)


if __name__ == "__main__":
    main()
