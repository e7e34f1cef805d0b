"""
Neurons as features, in a pipeline
==================================

The host embeds, the probe writes embeddings as neurons, a selector keeps those that
tell popular taste from niche taste. Each is a transformer, so that they stand in a
pipeline, beside other columns, and in front of any other estimator.
"""

# %%
# A pipeline of three, fitted with one number per user: how popular the films are that
# somebody watches.

import pathlib

import numpy as np
from sklearn import config_context
from sklearn.decomposition import TruncatedSVD
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline

from skpopsteer import (
    PopularityNeuronSelector,
    SparseAutoencoderProbe,
    as_recommender,
)
from skpopsteer.datasets import load_movielens
from skpopsteer.popularity import item_popularity

try:
    root = pathlib.Path(__file__).resolve().parents[1]
except NameError:  # executed by a notebook or a gallery, beside this file
    root = pathlib.Path.cwd().parent

data = load_movielens(root / "data" / "ml-latest-small")
X = (data.X > 0).astype(float)
host = as_recommender(TruncatedSVD(32, random_state=0).fit(X))
taste = (X @ item_popularity(X)) / X.sum(axis=1)

pipeline = Pipeline(
    [
        ("embed", host),
        ("probe", SparseAutoencoderProbe(64, k=8, max_iter=100, random_state=0)),
        ("select", PopularityNeuronSelector(n_neurons_to_select=16)),
    ]
).set_output(transform="pandas")
pipeline.fit(X, taste)

# %%
# What a neuron means to a person: films that light it up, each shown to the probe as a
# user who has seen nothing else. Its label then names its column.

probe, scores = pipeline["probe"], pipeline["select"].scores_
watched = np.argsort(-item_popularity(X))[:500]  # rare films light up by chance
one_film_each = np.eye(X.shape[1], dtype=np.float32)[watched]
activations = pipeline[:2].transform(one_film_each).to_numpy()
ends = [*np.argsort(-scores)[:3], *np.argsort(scores)[:3]]
labels = {}
for neuron in ends:
    films = data.item_titles[watched[np.argsort(-activations[:, neuron])]]
    films = [film for film in films if film not in labels.values()]
    labels[neuron] = films[0]
    print(f"d = {scores[neuron]:+.2f}  neuron {neuron:3d}  {'; '.join(films[:3])}")
probe.label_neurons(labels)
columns = probe.get_feature_names_out()[ends]
users = pipeline[:2].transform(X)[columns]
print("\nhow strongly they fire for the users they fire for most:")
print(users.iloc[[users[name].argmax() for name in columns]].round(1).T.to_string())

# %%
# Beside the embedding itself, in front of another estimator: who has rated more than
# five films from before 1960?

years = np.array([title.rstrip()[-5:-1] for title in data.item_titles])
from_before = np.char.isdigit(years) & (years < "1960")
sees_old_films = (X @ from_before.astype(float)) > 5
neurons = make_pipeline(
    host, SparseAutoencoderProbe(64, k=8, max_iter=100, random_state=0)
)
for name, features in {
    "embedding": host,
    "neurons": neurons,
    "both": FeatureUnion([("embedding", host), ("neurons", neurons)]),
}.items():
    classifier = make_pipeline(features, LogisticRegression(max_iter=2000))
    accuracy = cross_val_score(
        classifier, X, sees_old_films, cv=3, scoring="balanced_accuracy"
    )
    print(f"{name:10s} balanced accuracy {accuracy.mean():.3f}")

# %%
# Positions of trained users reach the host inside a pipeline by metadata routing.

with config_context(enable_metadata_routing=True):
    trained = as_recommender((host.transform(X), host.item_embeddings_))
    trained.set_transform_request(user_ids=True)
    probe = SparseAutoencoderProbe(32, k=8, max_iter=20, random_state=0)
    looked_up = make_pipeline(trained, probe)
    users = np.arange(X.shape[0])
    Z = looked_up.fit(X, None, user_ids=users).transform(X, user_ids=users)
print("\nlooked up and encoded:", Z.shape)
