"""Freezing: nothing trains, copies or changes the caller's model."""

import pickle

import joblib
import numpy as np
import pytest
import torch
from implicit.als import AlternatingLeastSquares
from sklearn.base import clone
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GridSearchCV
from threadpoolctl import threadpool_limits

from skpopsteer import (
    ArrayRecommender,
    DecompositionRecommender,
    ImplicitRecommender,
    SteeredRecommender,
    TorchRecommender,
    as_recommender,
)
from tests.hosts import HOSTS, N_ITEMS, WITH_USER_IDS, snapshot

ADAPTERS = {
    "als": ImplicitRecommender,
    "truncated_svd": DecompositionRecommender,
    "arrays": ArrayRecommender,
    "autoencoder": TorchRecommender,
}


@pytest.fixture
def host():
    return HOSTS["arrays"]()


def _als():
    with threadpool_limits(1, "blas"):
        return AlternatingLeastSquares(factors=4, iterations=2, random_state=0)


@pytest.mark.parametrize("name", ADAPTERS)
def test_every_kind_of_model_gets_its_adapter_frozen(name):
    recommender = HOSTS[name]().recommender
    assert type(recommender) is FrozenEstimator
    assert type(recommender.estimator) is ADAPTERS[name]
    assert clone(recommender) is recommender


@pytest.mark.parametrize("name", HOSTS)
def test_fit_does_nothing(name):
    host = HOSTS[name]()
    before = snapshot(host.model)
    assert host.recommender.fit(host.X, None) is host.recommender
    np.testing.assert_equal(snapshot(host.model), before)


@pytest.mark.parametrize("name", HOSTS)
def test_copies_give_equal_lists(name, tmp_path):
    host = HOSTS[name]()
    ids = host.recommender.recommend(host.X)
    joblib.dump(host.recommender, tmp_path / "host")
    for copied in [
        pickle.loads(pickle.dumps(host.recommender)),
        joblib.load(tmp_path / "host"),
        joblib.load(tmp_path / "host", mmap_mode="r"),
        clone(host.recommender.estimator),
    ]:
        np.testing.assert_array_equal(copied.recommend(host.X), ids)
    assert clone(host.recommender) is host.recommender


def test_freezing_twice_gives_the_same_host(host):
    again = as_recommender(host.recommender)
    assert type(again) is FrozenEstimator
    assert again.estimator is host.recommender.estimator
    adapter = ArrayRecommender(*host.model)
    assert as_recommender(adapter).estimator is adapter
    assert as_recommender(FrozenEstimator(adapter)).estimator is adapter


def test_an_adapter_that_trained_its_model_can_be_frozen(host):
    adapter = ImplicitRecommender(_als()).fit(host.X)
    frozen = as_recommender(adapter)
    np.testing.assert_array_equal(frozen.predict(host.X), adapter.predict(host.X))
    assert clone(frozen) is frozen


def test_the_models_own_arrays_are_held_and_not_copies(host):
    assert host.recommender.estimator.item_embeddings is host.model[1]
    als = HOSTS["als"]()
    assert als.recommender.estimator.model is als.model


@pytest.mark.parametrize(
    "parameter",
    [
        "recommender__regularization",
        "recommender__estimator__regularization",
        "recommender__n_recommendations",
    ],
)
def test_a_grid_over_a_parameter_of_a_frozen_host_is_refused(host, parameter):
    model = SteeredRecommender(
        host.recommender, rule="shift", probe=PCA(2), random_state=0
    )
    adapter = host.recommender.estimator
    before = adapter.get_params()
    search = GridSearchCV(model, {parameter: [2, 3]}, cv=2, error_score="raise")
    with pytest.raises(ValueError, match=r"^You cannot set parameters of the inner"):
        search.fit(host.X, host.X)
    np.testing.assert_equal(adapter.get_params(), before)


def test_a_grid_over_the_strength_shares_the_frozen_host(host):
    model = SteeredRecommender(
        host.recommender, rule="shift", probe=PCA(2), random_state=0
    )
    y = host.X.toarray().argmin(axis=1)  # an item that no row holds
    search = GridSearchCV(model, {"strength": [0.0, 1.0]}, cv=2, error_score="raise")
    search.fit(host.X, y)
    assert search.best_estimator_.recommender_ is host.recommender
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


@pytest.mark.parametrize(
    "untrained",
    [
        lambda: _als(),
        lambda: ImplicitRecommender(_als()),
        lambda: TruncatedSVD(4),
        lambda: DecompositionRecommender(TruncatedSVD(4)),
    ],
)
def test_an_untrained_model_is_refused(untrained):
    with pytest.raises(ValueError, match=r"^`model` must be trained; got an untrained"):
        as_recommender(untrained())


def test_a_frozen_untrained_adapter_is_refused():
    with pytest.raises(NotFittedError):
        as_recommender(FrozenEstimator(ImplicitRecommender(_als())))


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (torch.nn.Linear(3, 2), "tell how users are encoded; got a bare torch module"),
        (
            LinearRegression(),
            "be a recommender with embeddings .* got LinearRegression",
        ),
        ("als", "be a recommender with embeddings .* got str"),
        (np.ones((3, 2)), "be a recommender with embeddings .* got ndarray"),
        (None, "be a recommender with embeddings .* got NoneType"),
    ],
)
def test_a_model_without_embeddings_is_refused(model, message):
    with pytest.raises(TypeError, match=f"^`model` must {message}"):
        as_recommender(model)


def test_a_frozen_estimator_of_another_kind_is_refused(host):
    frozen = FrozenEstimator(TruncatedSVD(4).fit(host.X))
    with pytest.raises(
        TypeError, match=r"^`model` must be a recommender .*TruncatedSVD"
    ):
        as_recommender(frozen)


@pytest.mark.parametrize("n_tables", [0, 1, 4])
def test_a_tuple_of_another_length_is_refused(n_tables):
    message = rf"^`model` must be \(user_embeddings, .* got a tuple of {n_tables}"
    with pytest.raises(ValueError, match=message):
        as_recommender((np.ones((3, 2)),) * n_tables)


@pytest.mark.parametrize("name", sorted(set(HOSTS) - set(WITH_USER_IDS)))
def test_user_ids_are_refused_without_a_table_of_users(name):
    host = HOSTS[name]()
    with pytest.raises(ValueError, match=r"^`user_ids` must be None for a host"):
        host.recommender.recommend(host.X[:2], user_ids=[0, 1])


@pytest.mark.parametrize("name", HOSTS)
@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (np.nan, "`X` must hold finite interactions; got 1 NaN or inf"),
        (np.inf, "`X` must hold finite interactions; got 1 NaN or inf"),
        (-2.0, "`X` must hold interactions >= 0; got -2"),
    ],
)
def test_interactions_that_are_no_weights_are_refused(name, bad, message):
    host = HOSTS[name]()
    X = host.X.copy()
    X.data[5] = bad
    for rows in [X, X.toarray()]:
        for method in [host.recommender.recommend, host.recommender.encode_users]:
            with pytest.raises(ValueError, match=f"^{message}"):
                method(rows)


@pytest.mark.parametrize("name", HOSTS)
@pytest.mark.parametrize("n_items", [N_ITEMS - 1, N_ITEMS + 1])
def test_another_number_of_items_is_refused(name, n_items):
    message = rf"^`X` must have one column per item of the host \(100\); got {n_items}"
    with pytest.raises(ValueError, match=message):
        HOSTS[name]().recommender.recommend(np.ones((2, n_items)))


@pytest.mark.parametrize("side", ["user", "item", "both"])
def test_steering_refuses_another_number_of_items(host, side):
    model = SteeredRecommender(host.recommender, probe=PCA(2), side=side)
    with pytest.raises(ValueError, match=r"^`X` must have one column per item"):
        model.fit(host.X[:, :50])
