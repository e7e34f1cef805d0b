"""Steered recommenders in every form that a page can repeat, and their lists."""

import numpy as np
from sklearn.decomposition import TruncatedSVD

from skpopsteer import (
    ArrayRecommender,
    ConceptNeuronSelector,
    NeuronUnion,
    PopularityNeuronSelector,
    SparseAutoencoderProbe,
    SteeredRecommender,
    as_recommender,
)
from skpopsteer.datasets import make_interactions
from skpopsteer.inspection import (
    _explorer_budget,
    _explorer_catalogue,
    _explorer_cut,
    _explorer_steering,
)
from skpopsteer.model_selection import hide_interactions

DATA = make_interactions(200, 100, random_state=0)
X, Y = hide_interactions(DATA.X, random_state=0)
PROBE = SparseAutoencoderProbe(48, k=6, max_iter=8, random_state=0)


def host(with_bias=False):
    """A host of two tables; a bias of items that changes the order."""
    svd = TruncatedSVD(8, random_state=0).fit(X)
    if not with_bias:
        return as_recommender(svd)
    V = svd.components_.T
    bias = 0.2 * np.random.default_rng(0).normal(size=len(V))
    return as_recommender(ArrayRecommender(svd.transform(X), V, item_bias=bias))


def union():
    """Popularity and a concept."""
    return NeuronUnion(
        [
            ("popularity", PopularityNeuronSelector()),
            ("concept <0>", ConceptNeuronSelector(0, n_neurons_to_select=3)),
        ]
    )


def fitted(*, with_bias=False, probe=PROBE, concepts=False, **params):
    """Fit a model on the data of these tests."""
    model = SteeredRecommender(
        host(with_bias),
        probe=probe,
        random_state=0,
        n_recommendations=10,
        **({"rule": "shift"} | params),
    )
    features = DATA.item_concepts if concepts else None
    return model.fit(X, item_features=features)


def cut_catalogue(patch, n_items, coarse=1.0):
    """Let a page hold so many items only, whatever they take.

    Of what steers users a quarter of the bytes goes to items that are ruled out one by
    one, each of which takes `coarse` of what an item takes.
    """
    size = 1e12
    patch.setattr(_explorer_steering, "item_costs", lambda **k: 0.0 * k["seen"] + size)
    patch.setattr(_explorer_cut, "coarse_costs", lambda _, s: 0.0 * s + coarse * size)
    patch.setattr(_explorer_budget, "_PAGE", (n_items + 0.5) * size)
    patch.setattr(_explorer_catalogue, "_FEWEST", 1)


def unit_of(model, neuron):
    """Return what turns a knob of one neuron into a push: of offsets, by its spread."""
    if model.rule_ != "offset":
        return 1.0
    side = model._side("item")
    spread = side.probe.transform(side.rows_of(model.recommender_)).std(0)
    return 0.25 * side.score_spread / spread[neuron]


def lists_with_neurons(model, rows, strength, neurons):
    """Return lists with some neurons turned beside the knobs, by the model's parts."""
    push, item_push = model._pushes(strength)
    side = "item" if model.side_ == "item" else "user"
    pushed = (item_push if side == "item" else push).astype(np.float64)
    for neuron, value in neurons.items():
        pushed[neuron] += value * unit_of(model, neuron)
    pushed = pushed.astype(np.float32)
    if side == "item":
        turned = push, model._displace_items(pushed)
    else:
        turned = pushed, None if item_push is None else model._displace_items(item_push)
    encoded = model._encode(X, None)[rows]
    return model._lists(X[rows], encoded, turned, model.n_recommendations, [X[rows]])[0]
