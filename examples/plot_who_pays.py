"""
Who pays for steering
=====================

Steering a recommender away from popularity moves exposure from the head of the
catalogue to its tail. An average over all users hides who pays for it. This example
splits accuracy and exposure by the taste of the users (niche, diverse, blockbuster) and
by the popularity of the items (head, tail), puts intervals around the figures, and
tests the difference to the host, once for a steered recommender and once for a simple
penalty on popularity.

Figures are of one split and one seed: they show the tool, they do not rank methods.
"""

# %%
# The data and the host: implicit ALS, trained as its own documentation says.

import pathlib
import time

import numpy as np
from implicit.als import AlternatingLeastSquares
from scipy.sparse import csr_matrix
from threadpoolctl import threadpool_limits

from skpopsteer import (
    PopularityGroups,
    PopularityPenaltyReranker,
    SparseAutoencoderProbe,
    SteeredRecommender,
    as_recommender,
)
from skpopsteer.datasets import load_movielens
from skpopsteer.metrics import RankingFrame
from skpopsteer.model_selection import hide_interactions

started = time.perf_counter()


def say(text):
    print(f"[{time.perf_counter() - started:5.1f} s] {text}", flush=True)


try:
    root = pathlib.Path(__file__).resolve().parents[1]
except NameError:  # executed by a notebook or a gallery, beside this file
    root = pathlib.Path.cwd().parent

data = load_movielens(root / "data" / "ml-latest-small")
X, y = hide_interactions(data.X, test_size=0.2, random_state=0)
with threadpool_limits(1, "blas"):
    als = AlternatingLeastSquares(
        factors=64, regularization=0.1, alpha=5, iterations=15, random_state=0
    )
    als.fit(csr_matrix(X, dtype=np.float32), show_progress=False)
host = as_recommender(als)
say(f"trained the host on {X.shape[0]} users and {X.shape[1]:,} items")

# %%
# Two ways to lower popularity, turned until both lists hold about the same share of
# head items, 42 % instead of 62 %, at about the same NDCG.

groups = PopularityGroups("mass")
steered = SteeredRecommender(
    host,
    probe=SparseAutoencoderProbe(1024, k=32, random_state=0),
    groups=groups,
    strength=0.5,
    random_state=0,
).fit(X)
penalty = PopularityPenaltyReranker(host, strength=0.09).fit(X)
say("trained the probe, and chose its popularity neurons")

# %%
# One table per recommender, of the same users and groups. What makes a user niche is
# the share of head items in the history that the recommender saw.

metrics = ["ndcg@10", "slot_share@10", "user_popularity_deviation@10"]
models = {"host": host, "steered": steered, "penalty": penalty}
tables = {
    name: RankingFrame.from_estimator(
        model, X, y, metrics, user_ids=np.arange(X.shape[0]), item_groups=groups,
        random_state=0,
    )
    for name, model in models.items()
}  # fmt: skip
say("measured three recommenders, on 1,000 draws of the users each")
print(f"\nHOST\n\n{tables['host']}\n")

# %%
# The largest gaps between groups of users, of every recommender: whom it serves worst.

print("NDCG@10, largest gap between groups of users, with 95 % interval:")
for name, table in tables.items():
    gap = table.difference()["ndcg@10"]
    print(
        f"  {name:8s} {gap.value:.3f} [{gap.low:.3f}, {gap.high:.3f}]  "
        f"{gap.highest} over {gap.lowest}"
    )

# %%
# Who pays: the same users before and after, so that the tests are paired. A column is
# the accuracy on the held-out items of that group; the lists are the same.

print(f"\nSTEERED minus HOST\n\n{tables['host'].compare(tables['steered'])}\n")

# %%
# Of two levers with equal averages, users of different taste pay.

change = tables["penalty"].compare(tables["steered"])
print("STEERED minus PENALTY, p-values adjusted: bootstrap and Wilcoxon")
for metric in ("ndcg@10", "user_popularity_deviation@10"):
    print(f"  {metric}")
    for row, user_group in enumerate(change.user_groups):
        cell = change.metrics.index(metric), row, 0
        print(
            f"    {user_group:12s} {change.difference[cell]:+.3f} "
            f"[{change.low[cell]:+.3f}, {change.high[cell]:+.3f}]  "
            f"{change.p_bootstrap_adjusted[cell]:.3f}  "
            f"{change.p_wilcoxon_adjusted[cell]:.3f}"
        )
print()

# %%
# The same as a picture: by taste of the users, and by the group of the held-out items.

import matplotlib  # noqa: E402

if __name__ == "__main__" and "__file__" in globals():
    matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402

tastes, items = ["niche", "diverse", "blockbuster"], ["head", "mid", "tail"]
panels = [
    ("ndcg@10", [(taste, "all") for taste in tastes], "NDCG@10 (higher is better)"),
    (
        "ndcg@10",
        [("all", item) for item in items],
        "NDCG@10 on held-out items of group",
    ),
    (
        "user_popularity_deviation@10",
        [(taste, "all") for taste in tastes],
        "Distance to own taste (lower is better)",
    ),
]
styles = {
    "host": ("black", "*"),
    "steered": ("#0072b2", "s"),
    "penalty": ("#b35900", "^"),
}
fig, axes = plt.subplots(1, 3, figsize=(11, 3.8), layout="constrained")
for ax, (metric, cells, label) in zip(axes, panels, strict=True):
    for shift, (name, table) in enumerate(tables.items()):
        rows = [table.user_groups.index(user) for user, _ in cells]
        columns = [table.item_groups.index(item) for _, item in cells]
        at = table.metrics.index(metric), rows, columns
        color, marker = styles[name]
        ax.errorbar(
            np.arange(len(cells)) + 0.16 * (shift - 1), table.values[at],
            yerr=[table.values[at] - table.low[at], table.high[at] - table.values[at]],
            fmt=marker, color=color, capsize=3, label=name,
        )  # fmt: skip
    names = [user if item == "all" else item for user, item in cells]
    ax.set_xticks(range(len(cells)), names)
    ax.set_title(label, fontsize=10)
    ax.set_ylim(bottom=0)
    ax.grid(alpha=0.3, axis="y")
axes[0].legend(frameon=False, loc="upper left")
axes[0].set_xlabel("taste of the users")
axes[1].set_xlabel("popularity of the items")
axes[2].set_xlabel("taste of the users")
fig.suptitle("Who pays for less popularity: 95 % bootstrap intervals")
if "__file__" in globals():
    output = root / "output"
    output.mkdir(exist_ok=True)
    fig.savefig(output / "who_pays.png", dpi=150)
    say("saved the picture: output/who_pays.png")
