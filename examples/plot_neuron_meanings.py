"""
What the neurons mean, and how far to believe it
================================================

A neuron is described from items for which it fires, and the description is then asked
about other items: does it fire for those too? How often that is right is the confidence
in the description. It stands beside what chance gives, and beside what the same
descriptions give for other neurons.

Figures are of one probe and one seed.
"""

# %%
# A host and a probe. The probe learns from users and from single films, each film shown
# to the host as a user who has seen nothing else; all embeddings have length 1, so that
# short histories count as much as long ones.

import pathlib
import re

import numpy as np
from scipy.sparse import csr_array, eye
from scipy.stats import binom
from sklearn.decomposition import TruncatedSVD
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, normalize

from skpopsteer import SparseAutoencoderProbe, as_recommender
from skpopsteer.datasets import load_movielens
from skpopsteer.neurons import CallableDescriber, NeuronInterpreter

try:
    root = pathlib.Path(__file__).resolve().parents[1]
except NameError:  # executed by a notebook or a gallery, beside this file
    root = pathlib.Path.cwd().parent

data = load_movielens(root / "data" / "ml-latest-small", min_item_interactions=5)
X = data.X
host = as_recommender(TruncatedSVD(32, random_state=0).fit(X))
single_films = csr_array(eye(X.shape[1], format="csr"))
users, films = (normalize(host.encode_users(rows)) for rows in (X, single_films))
probe = SparseAutoencoderProbe(64, k=8, max_iter=200, random_state=0)
probe.fit(np.vstack([users, films]))

# %%
# Which films light a neuron up, by genre: five films describe it, five others check the
# description, and as many each for which it is silent. No film appears twice.

activations, which_film = probe.transform(films), np.arange(X.shape[1])
genres = (data.item_genres, data.genre_names)
by_genre = NeuronInterpreter(n_permutations=5, random_state=0)
by_genre.fit_activations(activations, which_film, item_features=genres)
print(by_genre.concepts_)

# %%
# Labels that may be believed name the columns of the probe.

believed = np.flatnonzero(by_genre.interpretable_)
probe.label_neurons({n: by_genre.labels_[n] for n in believed if n in by_genre.labels_})
print("\nnamed:", "; ".join(probe.get_feature_names_out()[believed]))

# %%
# Any function can describe: one that asks a language model or a person, or a rule. This
# one looks at nothing but the years of the films. What it cannot tell is missing, and
# counts neither as right nor as wrong.


def year(case):
    found = re.search(r"\((\d{4})", case.title)
    return int(found.group(1)) if found else None


def describe(cases):
    years = [year(case) for case in cases if case.level and year(case)]
    return f"{min(years)} to {max(years)}"


def predict(concept, case):
    first, last = (int(word) for word in concept.split(" to "))
    return year(case) and 10 * (first <= year(case) <= last)


by_year = NeuronInterpreter(
    describer=CallableDescriber(describe, predict), n_permutations=5, random_state=0
)
by_year.fit_activations(activations, which_film, item_titles=data.item_titles)
print("\nby year: ", by_year.concepts_.summary)

# %%
# The same neurons, asked which film the host recommends first to a user in whom they
# fire. The interpreter encodes the rows itself: a pipeline stands for the probe. So few
# users see so few different films that hardly anything can be told.

by_recommendation = NeuronInterpreter(
    host,
    make_pipeline(FunctionTransformer(normalize), probe),
    n_permutations=5,
    random_state=0,
).fit(X, item_features=genres)
print("\nby recommendation: ", by_recommendation.concepts_.summary)

# %%
# The same as a picture. What a toss-up per case gives is known exactly.

import matplotlib  # noqa: E402

if __name__ == "__main__" and "__file__" in globals():
    matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402

panels = {
    "single films, by genre": by_genre,
    "single films, by year": by_year,
    "recommended films, by genre": by_recommendation,
}
steps = np.linspace(0, 1, 11)
fig, axes = plt.subplots(1, 3, figsize=(11, 3.6), layout="constrained", sharey=True)
for ax, (name, interpreter) in zip(axes, panels.items(), strict=True):
    confidence = interpreter.confidence_[np.isfinite(interpreter.confidence_)]
    shares = [np.mean(confidence >= step - 1e-9) for step in steps]
    ax.plot(steps, shares, color="#0072b2", marker="o", label="described")
    null = interpreter.null_interpretable_share_
    ax.plot(0.8, null, "x", color="#b35900", ms=9, mew=2, label="permuted, at 0.8")
    chance = binom.sf(10 * steps - 1e-6, 10, 0.5)
    ax.plot(steps, chance, color="black", ls=":", label="toss-up")
    ax.axvline(0.8, color="gray", lw=0.8)
    ax.set_title(f"{name} ({len(confidence)} neurons)", fontsize=10)
    ax.set_xlabel("confidence of at least")
    ax.grid(alpha=0.3)
axes[0].set_ylabel("share of the verified neurons")
axes[0].legend(frameon=False, loc="lower left")
fig.suptitle("How many neurons are described, beside what chance gives")
if "__file__" in globals():
    output = root / "output"
    output.mkdir(exist_ok=True)
    fig.savefig(output / "neuron_meanings.png", dpi=150)
    print("\nsaved the picture: output/neuron_meanings.png")
