"""
See what steering does
======================

Four pictures of one steered recommender: what every strength gains and costs, which
neurons are turned, who gets the slots, and whose lists become less popular. Each
display computes once, hands out its numbers, and can be drawn again.

Figures are of one split and one seed: they show the tool, they do not rank methods.
"""

# %%
# The data, the host and the neurons: as in the first example, with a smaller
# autoencoder.

import pathlib

import matplotlib
import numpy as np
from implicit.als import AlternatingLeastSquares
from scipy.sparse import csr_matrix
from sklearn.model_selection import GridSearchCV
from threadpoolctl import threadpool_limits

from skpopsteer import (
    PopularityGroups,
    PopularityPenaltyReranker,
    SparseAutoencoderProbe,
    SteeredRecommender,
    as_recommender,
)
from skpopsteer.datasets import load_movielens
from skpopsteer.inspection import (
    EffectSizeDisplay,
    ExposureDisplay,
    PopularityLiftDisplay,
    TradeOffDisplay,
)
from skpopsteer.metrics import get_scorer
from skpopsteer.model_selection import best_subject_to, hide_interactions

if __name__ == "__main__" and "__file__" in globals():
    matplotlib.use("Agg")

try:
    root = pathlib.Path(__file__).resolve().parents[1]
except NameError:  # executed by a notebook or a gallery, beside this file
    root = pathlib.Path.cwd().parent


def keep(display, name):
    """Save a picture where this file is run as a script."""
    if "__file__" in globals():
        output = root / "output"
        output.mkdir(exist_ok=True)
        display.figure_.savefig(output / f"display_{name}.png", dpi=150)
        print(f"saved output/display_{name}.png")


data = load_movielens(root / "data" / "ml-latest-small")
X, y = hide_interactions(data.X, test_size=0.2, random_state=0)
users = np.arange(X.shape[0])
with threadpool_limits(1, "blas"):
    als = AlternatingLeastSquares(
        factors=64, regularization=0.1, alpha=5, iterations=15, random_state=0
    )
    als.fit(csr_matrix(X, dtype=np.float32), show_progress=False)
host = as_recommender(als)
model = SteeredRecommender(
    host,
    probe=SparseAutoencoderProbe(512, k=32, max_iter=50, random_state=0),
    groups=PopularityGroups("count", head=0.1, tail=0.1),
    random_state=0,
).fit(X)
penalty = PopularityPenaltyReranker(host).fit(X)

# %%
# What each strength gains and costs. Losses such as Gini stand on the axis with their
# usual sign. A line joins what no other strength beats; the band says how much of it
# may be chance of who the users are.

strengths = [0, 0.25, 0.5, 1, 1.5, 2]
tradeoff = TradeOffDisplay.from_estimator(
    model,
    X,
    y,
    strengths=strengths,
    x_metric="neg_gini@10",
    y_metric="ndcg@10",
    baselines={"log-popularity penalty": (penalty, [0, 0.02, 0.04, 0.06, 0.08])},
    name="neuron steering",
    mark=0.5,
    user_ids=users,
    random_state=0,
)
keep(tradeoff, "tradeoff")
print(tradeoff.to_frame().round(4).to_string(index=False), end="\n\n")

# %%
# The same from a search of scikit-learn, here for the penalty. Its folds are parts of
# the users, and the chosen candidate keeps 97 % of the best NDCG.

search = GridSearchCV(
    penalty,
    {"strength": [0, 0.02, 0.04, 0.06, 0.08, 0.1, 0.15]},
    scoring=get_scorer(["ndcg@10", "tail_share@10"]),
    refit=best_subject_to("tail_share@10", within={"ndcg@10": 0.03}),
    cv=5,
).fit(X, y)
candidates = TradeOffDisplay.from_search(
    search, x_metric="tail_share@10", y_metric="ndcg@10"
)
keep(candidates, "search")

# %%
# Which neurons are turned. Those that are higher for popular profiles are turned down,
# those that are higher for unpopular ones up.

effects = EffectSizeDisplay.from_estimator(model)
keep(effects, "effect_sizes")
print(effects.to_frame().head(3).to_string(index=False), end="\n\n")

# %%
# Who gets the slots: ten in each user's list. The left picture is about all items, the
# right one about head, mid and tail. Lists are made once for this and the last picture.

lists = {
    "host": host.recommend(X, 10, user_ids=users),
    "steering 1": model.recommend(X, 10, strength=1.0, user_ids=users),
    "penalty 0.06": penalty.recommend(X, 10, strength=0.06, user_ids=users),
}
exposure = ExposureDisplay.from_predictions(
    X, lists, groups=PopularityGroups("mass", head=0.2, tail=0.2)
)
keep(exposure, "exposure")
print(exposure.to_frame().round(4).to_string(index=False), end="\n\n")

# %%
# Whose lists become less popular: niche users have the fewest popular items in their
# histories, blockbuster users the most.

lift = PopularityLiftDisplay.from_predictions(X, lists, random_state=0)
keep(lift, "popularity_lift")
print(lift.to_frame().round(2).to_string(index=False))
