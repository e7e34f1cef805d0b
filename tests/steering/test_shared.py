"""What candidates of a search share through `memory`, and what they must not."""

import copy

import numpy as np
import pytest
from joblib import Memory
from sklearn.base import clone
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.model_selection import GridSearchCV

from skpopsteer import SteeredRecommender, as_recommender
from skpopsteer.adapters import ArrayRecommender, DecompositionRecommender
from skpopsteer.metrics import get_scorer
from skpopsteer.steering._shared import encode_users
from tests.hosts import HOSTS

#: Whose content can be named: all but a host with a fold-in of the caller's own.
NAMED = sorted(HOSTS)


@pytest.fixture
def encoded_rows(monkeypatch):
    """Count the rows every adapter encodes."""
    counts = []

    def watch(host):
        kind = type(host.estimator)
        encode = kind._encode

        def counting(self, X, user_ids, *args):
            counts.append(X.shape[0])
            return encode(self, X, user_ids, *args)

        monkeypatch.setattr(kind, "_encode", counting)
        return counts

    return watch


def steered(host, memory, **params):
    return SteeredRecommender(
        host,
        probe=PCA(2, random_state=0),
        memory=memory,
        random_state=0,
        **({"rule": "shift"} | params),
    )


def test_candidates_of_a_grid_encode_the_rows_of_a_fold_once(
    host, split, tmp_path, encoded_rows
):
    counts = encoded_rows(host)
    X, y = split

    def rows_encoded(strengths):
        counts.clear()
        memory = str(tmp_path / str(len(strengths)))
        grid = {"strength": strengths}
        scoring = get_scorer(["ndcg@5", "neg_gini@5"])
        search = GridSearchCV(
            steered(host, memory), grid, cv=3, scoring=scoring, refit=False
        )
        search.fit(X, y)
        return sum(counts), search.cv_results_

    few, _ = rows_encoded([0.5])  # the rows judged for the pass-through included
    many, shared = rows_encoded([0.0, 0.5, 1.0, 2.0])
    assert many == few > 0
    apart = GridSearchCV(
        steered(host, None), {"strength": [0.0, 0.5, 1.0, 2.0]}, cv=3,
        scoring=get_scorer(["ndcg@5", "neg_gini@5"]), refit=False,
    ).fit(X, y)  # fmt: skip
    for name in ("mean_test_ndcg@5", "mean_test_neg_gini@5"):
        np.testing.assert_array_equal(shared[name], apart.cv_results_[name])


def test_serving_leaves_the_memory_alone(host, split, tmp_path):
    X, _ = split
    model = steered(host, str(tmp_path)).fit(X)
    stored = set(tmp_path.rglob("*"))
    model.recommend(X[:7])
    model.decision_function(X[:7])
    model.transform(X[:7])
    assert set(tmp_path.rglob("*")) == stored


@pytest.mark.parametrize("name", NAMED)
def test_a_host_is_known_again_by_its_content(name):
    host = HOSTS[name]().recommender
    key = host._content_key()
    assert isinstance(key, str)
    assert key == host._content_key() == clone(host)._content_key()


@pytest.mark.parametrize("name", ["als", "bpr", "lmf"])
def test_a_retrained_model_of_implicit_is_another_host(name):
    made = HOSTS[name]()
    key = made.recommender._content_key()
    other = copy.deepcopy(made.model)
    assert as_recommender(other)._content_key() == key
    other.item_factors[0, 0] += 1
    assert as_recommender(other)._content_key() != key


def test_settings_of_the_fold_in_make_another_host():
    als = copy.deepcopy(HOSTS["als"]().model)
    key = as_recommender(als)._content_key()
    als.regularization *= 2
    assert as_recommender(als)._content_key() != key
    U, V = np.eye(3), np.ones((4, 3))
    keys = {
        ArrayRecommender(U, V, regularization=r, fold_in=f)._content_key()
        for r in (1.0, 2.0)
        for f in ("ridge", None)
    }
    assert len(keys) == 4


def test_a_fold_in_of_the_callers_own_is_never_shared(interactions, tmp_path):
    V = np.random.default_rng(0).normal(size=(100, 4))
    weight = [1.0]
    host = as_recommender(
        ArrayRecommender(None, V, fold_in=lambda X: weight[0] * (X @ V))
    )
    assert host._content_key() is None
    first = encode_users(str(tmp_path), host, interactions, None)
    weight[0] = 2.0
    again = encode_users(str(tmp_path), host, interactions, None)
    np.testing.assert_allclose(again, 2 * first, rtol=1e-6)


def test_a_torch_module_that_trains_on_is_another_host():
    import torch

    # A copy: other tests have the host that is kept.
    made = copy.deepcopy(HOSTS["sequence_model"]())
    host = made.recommender
    key = host._content_key()
    with torch.no_grad():
        next(made.model.parameters()).add_(1.0)
    assert host._content_key() != key
    # Another object may have trained apart from this one: names do not travel.
    other = copy.deepcopy(host.estimator)
    assert other._content_key() != host._content_key()


def test_rows_of_two_hosts_are_told_apart(interactions, tmp_path):
    memory = Memory(tmp_path, verbose=0)
    for seed in (0, 1):
        svd = TruncatedSVD(4, random_state=seed).fit(interactions[: 100 + 50 * seed])
        host = as_recommender(DecompositionRecommender(svd))
        U = encode_users(memory, host, interactions, None)
        np.testing.assert_array_equal(U, host.encode_users(interactions))
