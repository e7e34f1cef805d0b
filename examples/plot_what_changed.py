"""
What steering changed, and by which neuron
==========================================

A list after steering is another list. This example asks two questions about the
difference. For one user: which items left and which entered, and which neurons moved
them? And for everybody: how much else than popularity moved, such as genres and
decades, beside a penalty on popularity that is turned to the same gain of the tail?

Figures are of one split and one seed: they show the tool, they do not rank methods.
"""

# %%
# The host, and the two ways to lower the popularity of its lists.

import pathlib
import re

import numpy as np
from implicit.als import AlternatingLeastSquares
from scipy.sparse import csr_matrix
from threadpoolctl import threadpool_limits

from skpopsteer import (
    PopularityNeuronSelector,
    PopularityPenaltyReranker,
    SparseAutoencoderProbe,
    SteeredRecommender,
    as_recommender,
)
from skpopsteer.datasets import load_movielens
from skpopsteer.inspection import explain_changes, steering_specificity
from skpopsteer.model_selection import hide_interactions

try:
    root = pathlib.Path(__file__).resolve().parents[1]
except NameError:  # executed by a notebook or a gallery, beside this file
    root = pathlib.Path.cwd().parent

data = load_movielens(root / "data" / "ml-latest-small")
X, y = hide_interactions(data.X, random_state=0)
with threadpool_limits(1, "blas"):
    als = AlternatingLeastSquares(factors=64, alpha=5, random_state=0)
    als.fit(csr_matrix(X, dtype=np.float32), show_progress=False)
host = as_recommender(als)
steered = SteeredRecommender(
    host,
    probe=SparseAutoencoderProbe(256, k=16, max_iter=50, random_state=0),
    selector=PopularityNeuronSelector(n_neurons_to_select=40),
    random_state=0,
).fit(X)
penalty = PopularityPenaltyReranker(host, strength=0.05).fit(X)

# %%
# A number says little, so every neuron is called by the genre that is most
# over-represented among the 50 films it promotes most.

directions = steered.probe_.decoder_weights_ @ host.item_embeddings_.T
has_genre = data.item_genres.toarray() > 0
promoted = np.argsort(-directions, axis=1)[:, :50]
lift = has_genre[promoted].mean(axis=1) / has_genre.mean(axis=0)
lift[:, has_genre.sum(axis=0) < 300] = 0  # rare genres are over-represented by chance
steered.probe_.label_neurons(
    {n: f"{data.genre_names[g]}" for n, g in enumerate(lift.argmax(axis=1))}
)

# %%
# One user. A contribution is exact: those of an item sum to the change of its score.

users = np.arange(100)
changes = explain_changes(steered, X[users], item_titles=data.item_titles, n_neurons=3)
change = max(changes, key=lambda one: len(one["left"]) if len(one["left"]) < 6 else 0)
print(change)

# %%
# The counterfactual: which neurons, had they not been turned, would have kept a film in
# the list? The answer is checked by making the list again.

print()
titles = dict(zip(change.items.tolist(), change.titles, strict=True))
for item in change["left"]:
    neurons = ", ".join(change.needed_neurons(item))
    print(f"{titles[item]} would have stayed without {neurons}")
needed = [len(one.needed_neurons(i)) for one in changes[:10] for i in one["left"]]
print(
    f"of {len(needed)} films that left the lists of 10 users, "
    f"{np.mean(np.array(needed) == 1):.0%} would have stayed without one neuron, "
    f"{np.mean(np.array(needed) <= 3):.0%} without three at most"
)

# %%
# The penalty explains itself alike, with one source.

rivals = explain_changes(penalty, X[users], item_titles=data.item_titles)
print(f"\nPENALTY\n{rivals[change.user]}\n")

# %%
# Everybody: both models are turned to one tail share. Rows called blind exchange as
# many items, of the same popularity groups, for random ones: what any list pays that
# looks at popularity only.

decade = [re.search(r"\((\d{3})\d\)\s*$", title) for title in data.item_titles]
table = steering_specificity(
    {"neurons": steered, "penalty": penalty},
    X,
    y,
    attributes={
        "genre": (data.item_genres, data.genre_names),
        "decade": [match.group(1) + "0s" if match else "" for match in decade],
    },
    n_boot=200,
    random_state=0,
)
print(table)
value, low, high = table.difference("neurons", "penalty")["genre_all"]
print(f"genres, neurons minus penalty: {value:+.3f} [{low:+.3f}, {high:+.3f}]")

# %%
# The same as a picture: how one film fell, and which genres moved.

import matplotlib  # noqa: E402

if __name__ == "__main__" and "__file__" in globals():
    matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402

row = np.flatnonzero(change.status == "left")[0]
parts = change.contributions[row]
order = np.argsort(-np.abs(parts))[:8]
names = [change.sources[n] for n in order] + [f"{len(parts) - 8} others"]
steps = np.append(parts[order], parts.sum() - parts[order].sum())
ends = change.old_scores[row] + np.cumsum(steps)
tenth = change.new_scores[np.flatnonzero(change.new_ranks == 10)[0]]

fig, (left, right) = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained")
colors = np.where(steps < 0, "#0072b2", "#d55e00")
left.barh(range(len(steps)), steps, left=ends - steps, color=colors)
left.set_yticks(range(len(steps)), names)
left.invert_yaxis()
edges = np.concatenate([ends, ends - steps])
left.set_xlim(edges.min() - 0.02, edges.max() + 0.02)
left.axvline(change.old_scores[row], color="black", linewidth=1, label="score before")
left.axvline(
    change.new_scores[row], color="black", linewidth=1, linestyle="--", label="after"
)
left.axvline(tenth, color="#8c8c8c", linestyle=":", label="last place of the new list")
left.set(
    xlabel="Score (orange: raised, blue: lowered by the neuron)",
    title=f"Why it left the list of user {change.user}:\n{change.titles[row]}",
)
left.legend(fontsize=8, loc="lower right", framealpha=1)

genres = table.value_names["genre"]
most = np.argsort(-np.abs(table.changes["genre"]).max(axis=0))[:8]
styles = {
    "neurons": {"color": "#0072b2"},
    "neurons (blind)": {"color": "white", "edgecolor": "#0072b2", "hatch": "//"},
    "penalty": {"color": "#b35900"},
    "penalty (blind)": {"color": "white", "edgecolor": "#b35900", "hatch": "//"},
}
for shift, (name, style) in enumerate(styles.items()):
    moved = 100 * table.changes["genre"][table.names.index(name), most]
    right.barh(np.arange(8) + 0.2 * (shift - 1.5), moved, 0.2, label=name, **style)
right.set_yticks(range(8), genres[most])
right.invert_yaxis()
right.axvline(0, color="black", linewidth=0.8)
share = table["tail_share@10"][-1]
right.set(
    xlabel="Change of the share of all slots, in percentage points",
    title=f"What else moved, at a tail share of {share:.1%}",
)
right.legend(fontsize=8)
if "__file__" in globals():
    output = root / "output"
    output.mkdir(exist_ok=True)
    fig.savefig(output / "what_changed.png", dpi=120)
    print("saved output/what_changed.png")
