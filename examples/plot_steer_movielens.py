"""
Steer a trained recommender away from popularity
=================================================

Somebody has trained implicit ALS on MovieLens and will not retrain it. This example
wraps the trained model, finds the neurons that carry popularity, turns them, and puts
what that gains and costs beside the host and beside a one-line penalty.

Figures are of one split and one seed: they show the tool, they do not rank methods.
"""

# %%
# The data: half a thousand users, real titles. A fifth of every history is hidden; the
# lists are judged on it.

import copy
import logging
import pathlib
import sys
import time

import numpy as np
from implicit.als import AlternatingLeastSquares
from scipy.sparse import csr_matrix
from threadpoolctl import threadpool_limits

from skpopsteer import (
    PopularityGroups,
    PopularityNeuronSelector,
    PopularityPenaltyReranker,
    SparseAutoencoderProbe,
    SteeredRecommender,
    as_recommender,
    compare,
)
from skpopsteer.datasets import load_movielens
from skpopsteer.model_selection import hide_interactions
from skpopsteer.popularity import item_popularity

started = time.perf_counter()


def say(text):
    print(f"[{time.perf_counter() - started:5.1f} s] {text}", flush=True)


try:
    root = pathlib.Path(__file__).resolve().parents[1]
except NameError:  # executed by a notebook or a gallery, beside this file
    root = pathlib.Path.cwd().parent

data = load_movielens(root / "data" / "ml-latest-small")
X, y = hide_interactions(data.X, test_size=0.2, random_state=0)
say(
    f"MovieLens latest-small: {X.shape[0]} users, {X.shape[1]:,} items, "
    f"{X.nnz:,} interactions seen, {y.nnz:,} hidden"
)

# %%
# The host: implicit ALS, trained as its own documentation says. skpopsteer has no part
# in this.

with threadpool_limits(1, "blas"):
    als = AlternatingLeastSquares(
        factors=64, regularization=0.1, alpha=5, iterations=15, random_state=0
    )
    als.fit(csr_matrix(X, dtype=np.float32), show_progress=False)
host = as_recommender(als)
say(f"trained the host: {als.factors} factors")

# %%
# The probe and the neurons. Neurons are chosen as PopSteer v2 does: synthetic users
# with items of the most, or of the least popular tenth only, Cohen's d per neuron.

logging.basicConfig(format="          %(message)s", stream=sys.stdout)
logging.getLogger("skpopsteer").setLevel(logging.INFO)
say("training the sparse autoencoder on the host's user embeddings ...")
model = SteeredRecommender(
    host,
    probe=SparseAutoencoderProbe(1024, k=32, random_state=0, verbose=1),
    selector=PopularityNeuronSelector(),
    groups=PopularityGroups("count", head=0.1, tail=0.1),
    random_state=0,
).fit(X)
selector, probe = model.selector_, model.probe_
scores = selector.scores_
say(
    f"{probe.n_neurons} neurons explain {1 - probe.fvu_:.1%} of the variance; "
    f"{int(probe.dead_neurons_.sum())} never fire"
)
say(
    f"{(scores > 0).sum()} neurons are higher for popular profiles "
    f"(d up to {scores.max():.2f}), {(scores < 0).sum()} for unpopular ones "
    f"(d down to {scores.min():.2f})"
)

# %%
# One table. ``reconstruction`` and ``strength`` are knobs of the fitted model: nothing
# is trained again.


def at(model, **params):
    """Copy the shell of a fitted model, with other knobs and the same fitted parts."""
    return copy.copy(model).set_params(**params)


published = at(model, reconstruction="replace")
kept = at(model, reconstruction="residual")
strengths, penalties = (0.25, 0.5, 1.0, 2.0), (0.02, 0.04, 0.06, 0.08)
penalty = PopularityPenaltyReranker(host).fit(X)
users = np.arange(X.shape[0])
table = compare(
    {
        "host (implicit ALS)": host,
        "probe's pass-through": at(published, strength=0.0),
        **{f"PopSteer, published  {s}": at(published, strength=s) for s in strengths},
        **{f"PopSteer, error kept {s}": at(kept, strength=s) for s in strengths},
        **{f"log-pop penalty     {s}": at(penalty, strength=s) for s in penalties},
    },
    X,
    y,
    user_ids=users,
)
say("recommended to every user with every row of the table")
print(f"\n{table}\n")
print(
    "PopSteer, published: v2's selection and shift, the reconstruction replaces the\n"
    "embedding. Error kept: the same shift, but what the autoencoder cannot explain\n"
    "stays, so that strength 0 is the host itself. Numbers: strength, or the penalty.\n"
)

# %%
# Which lever to use: the lowest Gini of each that keeps 97 % of the host's NDCG.

methods = ["PopSteer, published", "PopSteer, error kept", "log-pop penalty"]
floor = 0.97 * table["ndcg@10"][0]
best = {}
for method in methods:
    rows = [i for i, name in enumerate(table.names) if name.startswith(method)]
    rows = [i for i in rows if table["ndcg@10"][i] >= floor]
    if rows:
        best[method] = min(table["gini@10"][i] for i in rows)
print(f"Lowest Gini at 97 % of the host's NDCG (host: {table['gini@10'][0]:.4f}):")
for method in sorted(best, key=best.get):
    print(f"  {best[method]:.4f}  {method}")
print()

# %%
# One user, before and after: which titles left, which came, and how popular they are.

strength = 1.0
steered = at(kept, strength=strength)
popularity = item_popularity(X)
n_hidden = np.diff(y.indptr)
user = int(np.argsort(n_hidden, kind="stable")[len(n_hidden) // 2])
row, ids = X[[user]], [user]
before = host.recommend(row, user_ids=ids)[0]
after = steered.recommend(row, user_ids=ids)[0]
hits = set(y[[user]].indices.tolist())


def describe(item):
    mark = "*" if item in hits else " "
    return f"{mark} {data.item_titles[item][:34]:34s} {popularity[item]:4d}"


print(
    f"User {data.user_ids[user]}: {row.nnz} films seen, {len(hits)} hidden. "
    f"Strength {strength}; * = hidden film found; number = ratings seen"
)
print(f"{'before':43s}after")
for rank, (old, new) in enumerate(zip(before, after, strict=True), 1):
    moved = (
        "new" if new not in before else f"was {int(np.where(before == new)[0][0]) + 1}"
    )
    print(f"{rank:2d} {describe(old)}  {describe(new)}  {moved}")
left = [data.item_titles[i] for i in before if i not in after]
print(f"left the list: {'; '.join(left) or 'nothing'}")
print(
    f"average popularity {popularity[before].mean():.0f} -> "
    f"{popularity[after].mean():.0f} ratings\n"
)

# %%
# The trade-off as a picture. Better is down and right, then up and right.

import matplotlib  # noqa: E402

if __name__ == "__main__" and "__file__" in globals():
    matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402

fig, axes = plt.subplots(1, 2, figsize=(10, 4.2), layout="constrained", sharex=True)
styles = [("#b35900", "o"), ("#0072b2", "s"), ("#555555", "^")]
for ax, column, label in [
    (axes[0], "gini@10", "Gini of exposure (lower is more equal)"),
    (axes[1], "coverage@10", "Share of the catalogue recommended"),
]:
    for name, (color, marker) in zip(methods, styles, strict=True):
        rows = [i for i, row in enumerate(table.names) if row.startswith(name)]
        start = 1 if name.endswith("published") else 0
        rows = [start, *rows]
        ax.plot(
            table["ndcg@10"][rows], table[column][rows], marker + "-",
            color=color, label=name, markersize=5,
        )  # fmt: skip
        # Two of the curves nearly coincide: one of them carries the strengths.
        offset = (6, 3) if name.startswith("log") else (-4, -14)
        for i in rows[1:] if not name.endswith("kept") else []:
            ax.annotate(
                table.names[i].split()[-1], (table["ndcg@10"][i], table[column][i]),
                xytext=offset, textcoords="offset points", fontsize=8, color=color,
            )  # fmt: skip
    ax.plot(
        table["ndcg@10"][0], table[column][0], "*", color="black", markersize=13,
        label="host",
    )  # fmt: skip
    ax.set(xlabel="NDCG@10 (higher is more accurate)", ylabel=label)
    ax.grid(alpha=0.3)
axes[0].legend(frameon=False)
fig.suptitle("What turning the popularity neurons gains and costs")
if "__file__" in globals():
    output = root / "output"
    output.mkdir(exist_ok=True)
    fig.savefig(output / "steer_movielens.png", dpi=150)
    say("saved the trade-off plot: output/steer_movielens.png")
