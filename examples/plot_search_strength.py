"""
Choose a strength by cross-validation
=====================================

A steered recommender is an estimator: scikit-learn's searches turn its knobs, its
scorers are names, and what is fitted is fitted once per fold. What needs care is how
interactions are hidden, for the rows of a recommender are users.

Figures are of one data set and one seed: they show the tool, they do not rank methods.
"""

# %%
# From a table of events to ``X`` and ``y``. One moment for everybody: the recommender
# knows what was before, and its lists are judged on what came after.

import pathlib
import tempfile

import pandas as pd
from sklearn.decomposition import TruncatedSVD
from sklearn.model_selection import GridSearchCV, cross_validate

from skpopsteer import (
    SparseAutoencoderProbe,
    SteeredRecommender,
    as_recommender,
    steering_path,
)
from skpopsteer.datasets import load_movielens, split_events
from skpopsteer.metrics import get_scorer
from skpopsteer.model_selection import (
    HeldOut,
    best_subject_to,
    hide_interactions,
    interaction_folds,
    knee,
)

try:
    root = pathlib.Path(__file__).resolve().parents[1]
except NameError:  # executed by a notebook or a gallery, beside this file
    root = pathlib.Path.cwd().parent

data = load_movielens(root / "data" / "ml-latest-small")
rows, columns = data.X.nonzero()
events = pd.DataFrame(
    {
        "user": data.user_ids[rows],
        "item": data.item_ids[columns],
        "time": pd.to_datetime(data.times.data, unit="s"),
    }
)
before_2017 = split_events(events, cutoff="2017-01-01")
print(
    f"{len(events):,} ratings; before 2017: {before_2017.X.nnz:,}; "
    f"from then on, and new to their users: {before_2017.y.nnz:,}"
)

# %%
# Or a share of every user's history, the latest part of it. A search can only slice
# rows, and rows are users, so this split is made once, before the search.

X, y = hide_interactions(data.X, times=data.times, random_state=0)
host = as_recommender(TruncatedSVD(32, random_state=0).fit(X))

# %%
# Twenty strengths, three folds of users, three metrics of the same lists. With
# ``memory`` the autoencoder is trained three times in all, once a fold, and every fold
# is encoded once; without, sixty times. ``refit`` takes the lowest Gini among the
# strengths that keep 95 % of the best NDCG.

metrics = ["ndcg@10", "neg_gini@10", "tail_share@10"]
probe = SparseAutoencoderProbe(256, k=16, max_iter=30, random_state=0)
workplace = tempfile.TemporaryDirectory()
model = SteeredRecommender(
    host, probe=probe, rule="scale", memory=workplace.name, random_state=0
)
grid = {"strength": [0.25 * i for i in range(20)]}
search = GridSearchCV(
    model,
    grid,
    cv=3,
    scoring=get_scorer(metrics),
    refit=best_subject_to("neg_gini@10", within={"ndcg@10": 0.05}),
)
search.fit(X, y)
results = pd.DataFrame(search.cv_results_)
shown = ["param_strength", *(f"mean_test_{name}" for name in metrics)]
print(results[shown].iloc[::3].round(4).to_string(index=False))
print("\nlowest Gini within 5 % of the best NDCG:", search.best_params_)
print(
    "where accuracy starts to pay for exposure:",
    results["params"][knee("ndcg@10", "neg_gini@10")(search.cv_results_)],
)

# %%
# Every user in every fold. ``interaction_folds`` stacks one copy of the users per fold,
# each without another fifth of their histories, and returns the ``cv`` that pairs each
# copy with itself. It goes to the functions that refuse a sparse ``y`` inside
# ``HeldOut``.

X_folds, y_folds, cv = interaction_folds(X, n_splits=3, random_state=0)
best = model.set_params(**search.best_params_)
scores = cross_validate(
    best, X_folds, HeldOut(y_folds), cv=cv, scoring=get_scorer(metrics)
)
for name in metrics:
    values = scores[f"test_{name}"]
    print(f"{name:14s} {values.mean():8.4f} +/- {values.std():.4f} over folds")

# %%
# The whole curve of one fitted model, in one pass: nothing is fitted, and the host
# encodes the users once.

path = steering_path(search.best_estimator_, X, y, [0, 1, 2, 4, 8], scoring=metrics)
print(pd.DataFrame({"strength": path.strengths, **path.scores}).round(4).to_string())
workplace.cleanup()
