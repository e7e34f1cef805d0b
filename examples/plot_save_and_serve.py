"""
Save a steered recommender, and serve it without skpopsteer
===========================================================

Three ways to bring a steered model to where it serves: a file that holds all of it and
runs no code when it is loaded, plain vectors for any search by inner products, and a
model of implicit that takes the place of the one in service. Their lists are compared
with those of the model itself.

Saving needs ``pip install "skpopsteer[persistence]"``.
"""

# %%
# The host: implicit ALS on MovieLens, and its users steered away from popularity.

import pathlib
import tempfile
import time

import numpy as np
from implicit.cpu.als import AlternatingLeastSquares
from scipy.sparse import csr_matrix
from threadpoolctl import threadpool_limits

from skpopsteer import SparseAutoencoderProbe, SteeredRecommender, as_recommender
from skpopsteer.datasets import load_movielens
from skpopsteer.persistence import load, save
from skpopsteer.popularity import item_popularity

started = time.perf_counter()


def say(text):
    print(f"[{time.perf_counter() - started:5.1f} s] {text}", flush=True)


try:
    root = pathlib.Path(__file__).resolve().parents[1]
except NameError:  # executed by a notebook or a gallery, beside this file
    root = pathlib.Path.cwd().parent

data = load_movielens(root / "data" / "ml-latest-small")
X = data.X
users = np.arange(X.shape[0])
seen = csr_matrix(X, dtype=np.float32)
with threadpool_limits(1, "blas"):
    als = AlternatingLeastSquares(factors=64, alpha=5, random_state=0)
    als.fit(seen, show_progress=False)
say(f"trained implicit ALS on {X.shape[0]} users and {X.shape[1]:,} items")

model = SteeredRecommender(
    as_recommender(als),
    probe=SparseAutoencoderProbe(512, k=32, max_iter=30, random_state=0),
    strength=1.0,
    random_state=0,
).fit(X, user_ids=users)
expected = model.predict(X, user_ids=users)
say("steered it by its popularity neurons")

# %%
# One file for everything: the host, the autoencoder, the neurons and the knobs. The
# strength can still be turned after loading. ``load`` accepts a short list of types and
# refuses any other, so a file from elsewhere cannot bring code along, as a pickle can.

workplace = tempfile.TemporaryDirectory()
folder = pathlib.Path(workplace.name)
save(model, folder / "model.skops")
loaded = load(folder / "model.skops")
size = (folder / "model.skops").stat().st_size / 1e6
say(f"saved and loaded one file of {size:.1f} MB")

# %%
# Plain vectors: row i belongs to row i of ``X``. Any index for inner products can serve
# them; here numpy does.

vectors = model.export_embeddings(X, users)
scores = vectors.user_embeddings @ vectors.item_embeddings.T
scores[X.nonzero()] = -np.inf
from_vectors = np.argsort(-scores, axis=1, kind="stable")[:, :10]
np.savez(folder / "vectors.npz", **{k: v for k, v in vectors.items() if v is not None})
say(
    f"exported {vectors.user_embeddings.shape} user and "
    f"{vectors.item_embeddings.shape} item vectors"
)

# %%
# A model of implicit, of the class that is in service already: what serves it stays as
# it is, ``recommend`` and ``load`` included.

model.to_implicit(X, users).save(str(folder / "als.npz"))
served = AlternatingLeastSquares.load(str(folder / "als.npz"))
from_implicit, _ = served.recommend(users, seen, N=10)
say("exported an AlternatingLeastSquares, and loaded it with implicit alone")

# %%
# Do they all recommend the same? The host's own lists show that there was something to
# get wrong.

own, _ = als.recommend(users, seen, N=10)
popularity = item_popularity(X)
print(f"\n{'lists of':34s}{'same as steered':>16s}{'mean popularity':>17s}")
for name, lists in {
    "the steered model": expected,
    "the file, loaded": loaded.predict(X, user_ids=users),
    "plain vectors, numpy": from_vectors,
    "AlternatingLeastSquares, loaded": from_implicit,
    "the host, not steered": own,
}.items():
    same = (lists == expected).mean()
    print(f"{name:34s}{same:16.2%}{popularity[lists].mean():17.1f}")
print(
    "\nA position that differs in one of the exports would be a tie within float32.\n"
    "Mean popularity: ratings per recommended film.\n"
)

# %%
# Users who come later are exported again: folding them in on steered vectors would give
# lists that are not steered, so the exported ALS refuses it.

try:
    served.recommend([0], seen[[0]], recalculate_user=True)
except ValueError as error:
    print(f"recalculate_user=True is refused, by implicit's solver: {error}")
again = model.to_implicit(X[[0]], [0])
print("one user exported anew:", again.recommend(0, seen[[0]], N=5)[0].tolist())
print("the steered model:     ", expected[0, :5].tolist())
workplace.cleanup()
