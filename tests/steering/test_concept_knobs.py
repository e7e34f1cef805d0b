"""Knobs for concepts: more of a tag, less of it, beside popularity, on any host."""

import numpy as np
import pytest
from scipy.sparse import csr_array
from sklearn.decomposition import TruncatedSVD
from sklearn.model_selection import GridSearchCV

from skpopsteer import SparseAutoencoderProbe, SteeredRecommender, as_recommender
from skpopsteer.adapters import ArrayRecommender, TorchRecommender
from skpopsteer.datasets import make_interactions
from skpopsteer.metrics import get_scorer
from skpopsteer.model_selection import HeldOut, hide_interactions
from skpopsteer.neurons import (
    ConceptNeuronSelector,
    NeuronUnion,
    PopularityNeuronSelector,
)

CONCEPT = 2
PROBE = SparseAutoencoderProbe(64, k=8, max_iter=40, random_state=0)


@pytest.fixture(scope="module")
def data():
    return make_interactions(400, 120, n_concepts=5, random_state=0)


@pytest.fixture(scope="module")
def host(data):
    return as_recommender(TruncatedSVD(12, random_state=0).fit(data.X))


@pytest.fixture(scope="module")
def tags(data):
    names = [f"concept {c}" for c in range(5)]
    return csr_array(data.item_concepts), names


def fit(host, X, tags, selector=None, **params):
    selector = selector or ConceptNeuronSelector(f"concept {CONCEPT}")
    params = {"probe": PROBE, "rule": "interpolate", **params}
    return SteeredRecommender(host, selector=selector, random_state=0, **params).fit(
        X, item_features=tags
    )


def share(model, data, **params):
    lists = model.recommend(data.X, **params)
    return data.item_concepts[lists, CONCEPT].mean()


@pytest.mark.parametrize("rows", ["items", "users"])
@pytest.mark.parametrize("score_func", ["point_biserial", "output_precision", "f1"])
def test_more_of_a_concept(data, host, tags, rows, score_func):
    if rows == "users" and score_func == "output_precision":
        pytest.skip("profiles of items say nothing of users")
    selector = ConceptNeuronSelector(CONCEPT, rows=rows, score_func=score_func)
    model = fit(host, data.X, tags, selector)
    shares = [share(model, data, strength=s) for s in (0.0, 0.15, 0.3, 0.6)]
    assert (np.diff(shares) > 0).all(), shares
    assert shares[-1] > 1.3 * shares[0]


@pytest.mark.parametrize("rule", ["interpolate", "shift", "multiply", "scale"])
def test_less_of_a_concept(data, host, tags, rule):
    selector = ConceptNeuronSelector(CONCEPT, n_neurons_to_select=3)
    model = fit(host, data.X, tags, selector, rule=rule)
    assert share(model, data, strength=-0.9) < share(model, data, strength=0)


@pytest.mark.parametrize("rule", ["interpolate", "shift"])
def test_a_concept_and_popularity_at_once(data, host, tags, rule):
    selector = NeuronUnion(
        [
            ("taste", ConceptNeuronSelector(f"concept {CONCEPT}")),
            ("popularity", PopularityNeuronSelector()),
        ],
        strengths={"taste": 0.3, "popularity": -0.5},
    )
    model = fit(host, data.X, tags, selector, rule=rule)
    popularity = model.item_popularity_
    assert share(model, data) > share(model, data, strength=0)
    lists = model.predict(data.X)
    assert popularity[lists].mean() < popularity[host.predict(data.X)].mean()
    alone = model.recommend(data.X, strength={"taste": 0.3})
    assert popularity[lists].mean() < popularity[alone].mean()


def test_a_concept_of_the_item_side(data, host, tags):
    model = fit(host, data.X, tags, side="item", rule="scale")
    shares = [share(model, data, strength=s) for s in (-1.0, 0.0, 1.0)]
    assert shares[0] < shares[1] < shares[2]


def test_features_come_in_any_form(data, host, tags):
    matrix, names = tags
    expected = fit(host, data.X, tags).selector_.steering_weights_
    dense = matrix.toarray()
    for form in (
        (dense, names),
        dict(zip(names, dense.T, strict=True)),
    ):
        weights = fit(host, data.X, form).selector_.steering_weights_
        np.testing.assert_array_equal(weights, expected)
    by_number = fit(host, data.X, matrix, ConceptNeuronSelector(CONCEPT))
    np.testing.assert_array_equal(by_number.selector_.steering_weights_, expected)


def test_a_non_linear_host(data, tags):
    import torch

    torch_state = torch.random.get_rng_state()
    generator = torch.Generator().manual_seed(0)
    module = torch.nn.Sequential(torch.nn.Linear(120, 16), torch.nn.Linear(16, 120))
    for parameter in module.parameters():
        parameter.data = 0.3 * torch.randn(parameter.shape, generator=generator)
    torch.random.set_rng_state(torch_state)
    host = as_recommender(
        TorchRecommender(
            module,
            encoder=lambda module, rows: module[0](rows),
            decoder=lambda module, U: torch.softmax(module[1](torch.tanh(U)), dim=1),
            n_items=120,
        )
    )
    model = fit(host, data.X, tags)
    np.testing.assert_array_equal(
        model.recommend(data.X, strength=0), host.recommend(data.X)
    )
    assert (model.predict(data.X) != host.predict(data.X)).any()
    with pytest.raises(ValueError, match=r"^`selector` must score neurons by what t"):
        fit(
            host, data.X, tags,
            ConceptNeuronSelector(CONCEPT, score_func="output_precision"),
        )  # fmt: skip


def test_users_that_are_only_looked_up_tell_of_concepts_too(data, host, tags):
    tables = as_recommender(
        ArrayRecommender(host.encode_users(data.X), host.item_embeddings_, fold_in=None)
    )
    ids = np.arange(400)
    model = SteeredRecommender(
        tables,
        probe=PROBE,
        selector=ConceptNeuronSelector(CONCEPT, rows="users"),
        rule="interpolate",
        random_state=0,
    ).fit(data.X, item_features=tags, user_ids=ids)
    assert share(model, data, strength=0.5, user_ids=ids) > share(
        model, data, strength=0, user_ids=ids
    )
    model.set_params(selector=ConceptNeuronSelector(CONCEPT))
    with pytest.raises(ValueError, match=r"^`selector` must be fitted on users for a "):
        model.fit(data.X, item_features=tags, user_ids=ids)


def test_a_search_hands_features_on_whole(data, host, tags):
    X, y = hide_interactions(data.X, random_state=0)
    model = SteeredRecommender(
        host,
        probe=PROBE,
        selector=ConceptNeuronSelector(CONCEPT),
        rule="interpolate",
        random_state=0,
    )
    search = GridSearchCV(
        model, {"strength": [0.0, 0.2]}, scoring=get_scorer("ndcg@10"), cv=2
    ).fit(X, HeldOut(y), item_features=tags)
    assert search.best_params_["strength"] == 0.0


@pytest.mark.parametrize(
    ("features", "selector", "line"),
    [
        (None, ConceptNeuronSelector(0), "`item_features` must be given: a selector"),
        (
            np.ones((7, 2)),
            ConceptNeuronSelector(0),
            "`item_features` must have one r",
        ),
        (
            np.eye(120),
            PopularityNeuronSelector(),
            "`item_features` must be None: no s",
        ),
        (np.eye(120), ConceptNeuronSelector("noir"), "`concept` must "),
        (np.zeros((120, 2)), ConceptNeuronSelector(1), "`concept` must "),
    ],
)
def test_bad_features_are_named(data, host, features, selector, line):
    with pytest.raises(ValueError, match="^" + line):
        fit(host, data.X, features, selector)


def test_users_say_nothing_of_the_item_side(data, host, tags):
    with pytest.raises(ValueError, match=r"^`selector` must be fitted on items or pro"):
        fit(
            host, data.X, tags, ConceptNeuronSelector(0, rows="users"), side="both",
        )  # fmt: skip
