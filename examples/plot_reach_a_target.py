"""
Reach a target with the least loss
==================================

"A tenth of all slots to the long tail, at the least loss of accuracy", or "the lowest
Gini within 3 % of NDCG": ``TunedSteeringCV`` finds the strength, says how sure it is,
and says so when neurons cannot do it.

Figures are of one split and one seed: they show the tool, they do not rank methods.
"""

# %%
# The host, and users nothing is tuned on: a quarter of them is set aside.

import pathlib
import warnings

import numpy as np
from implicit.als import AlternatingLeastSquares
from scipy.sparse import csr_matrix
from sklearn.model_selection import train_test_split
from threadpoolctl import threadpool_limits

from skpopsteer import (
    PopularityPenaltyReranker,
    SparseAutoencoderProbe,
    SteeredRecommender,
    TunedSteeringCV,
    as_recommender,
)
from skpopsteer.datasets import load_movielens
from skpopsteer.metrics import get_scorer
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
tuning, held_out = train_test_split(np.arange(X.shape[0]), random_state=0)
metrics = get_scorer(["ndcg@10", "neg_gini@10", "tail_share@10"])


def report(name, model):
    """Print the scores of users nothing was tuned on, and an interval of one."""
    rows = X[held_out], y[held_out]
    scores = metrics(model, *rows)
    lists = model.recommend(X[held_out], 10)
    draws = metrics.bootstrap_lists(model, *rows, lists, random_state=0)
    low, high = np.quantile(draws["tail_share@10"], [0.025, 0.975])
    print(
        f"{name:28s}{scores['ndcg@10']:9.4f}{-scores['neg_gini@10']:9.4f}"
        f"{scores['tail_share@10']:12.4f}   [{low:.4f}, {high:.4f}]"
    )


# %%
# A target, and the lever that reaches it. The tail is the 80 % of items with the fewest
# interactions; the host gives it one slot in a thousand.

penalty = TunedSteeringCV(PopularityPenaltyReranker(host), target=0.1, cv=2)
penalty.fit(X[tuning], y[tuning])
print(
    f"tail share {penalty.constraint_score_:.4f} at strength "
    f"{penalty.best_strength_:.4f}, 95 % of draws of these users in "
    f"[{penalty.interval_[0]:.4f}, {penalty.interval_[1]:.4f}]"
)

# %%
# The same target by neurons. On this host it is out of reach, and the nearest strength
# is named rather than passed off as the answer.

probe = SparseAutoencoderProbe(256, k=16, max_iter=20, random_state=0)
model = SteeredRecommender(host, probe=probe, rule="scale", random_state=0)
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    neurons = TunedSteeringCV(model, target=0.1, cv=2).fit(X[tuning], y[tuning])
print("reached:", neurons.reached_)
for warning in caught:
    print(warning.message)

# %%
# The other question: what neurons can do for exposure at a loss of 3 %. ``param_grid``
# compares rules and strengths per user by cross-validation, each at the strength that
# suits it; what they have in common is trained once.

cheap = TunedSteeringCV(
    model,
    objective="neg_gini@10",
    constraint="ndcg@10",
    within=0.03,
    param_grid={"rule": ["shift", "scale"], "user_strength": [None, "profile"]},
    cv=2,
)
cheap.fit(X[tuning], y[tuning])
print("chosen:", cheap.best_params_)
for params, gini in zip(
    cheap.cv_results_["params"], cheap.cv_results_["mean_test_objective"], strict=True
):
    print(f"    Gini of held-out folds {-gini:.4f}  {params}")

# %%
# What users get that nothing was tuned on.

print(f"\n{'':28s}{'NDCG@10':>9s}{'Gini':>9s}{'tail share':>12s}   95 % interval")
report("host", host)
report("penalty, tail share 0.1", penalty)
report("neurons, nearest to 0.1", neurons)
report("neurons, within 3 % of NDCG", cheap)
