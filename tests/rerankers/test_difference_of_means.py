"""The direction by hand, on every kind of host, and where it leads."""

import numpy as np
import pytest
from scipy.sparse import csr_array
from sklearn.frozen import FrozenEstimator

from skpopsteer import (
    ArrayRecommender,
    PopularityGroups,
    PopularityPenaltyReranker,
    as_recommender,
)
from skpopsteer.popularity import item_popularity, synthetic_profiles
from skpopsteer.rerankers import DifferenceOfMeansReranker
from tests.hosts import HOSTS


def fitted(name, **params):
    host = HOSTS[name]()
    params = {"random_state": 0, **params}
    return DifferenceOfMeansReranker(host.recommender, **params).fit(host.X), host.X


def tenths(X):
    """Return the users with the most and the least popular histories."""
    popularity = item_popularity(X)
    means = np.array([popularity[row > 0].mean() for row in X.toarray()])
    order = np.argsort(-means, kind="stable")
    return order[: len(means) // 10], order[-(len(means) // 10) :]


def test_the_direction_of_real_users_is_the_difference_of_their_means():
    model, X = fitted("als", profiles="real")
    popular, unpopular = tenths(X)
    U = model.recommender_.encode_users(X).astype(np.float64)
    expected = U[popular].mean(axis=0) - U[unpopular].mean(axis=0)
    np.testing.assert_allclose(model.direction_, expected, rtol=1e-4, atol=1e-6)
    assert model.direction_.dtype == np.float32


def test_trained_vectors_are_taken_for_real_users():
    host = HOSTS["als"]()
    ids = np.arange(host.X.shape[0])[::-1].copy()
    model = DifferenceOfMeansReranker(host.recommender, profiles="real")
    model.fit(host.X, user_ids=ids)
    popular, unpopular = (ids[users] for users in tenths(host.X))
    U = host.recommender.user_embeddings_.astype(np.float64)
    expected = U[popular].mean(axis=0) - U[unpopular].mean(axis=0)
    np.testing.assert_allclose(model.direction_, expected, rtol=1e-4, atol=1e-6)


def test_the_direction_of_synthetic_users_is_the_difference_of_their_means():
    groups = PopularityGroups("count", head=0.1, tail=0.1)
    model, X = fitted("als", groups=groups, random_state=3)
    labels = groups.label(item_popularity(X))
    assert np.array_equal(model.item_groups_, labels)
    twins, side = synthetic_profiles(
        X, labels, n_profiles=2048, version="v1", random_state=3
    )
    U = model.recommender_.encode_users(twins).astype(np.float64)
    expected = U[side == 1].mean(axis=0) - U[side == -1].mean(axis=0)
    np.testing.assert_allclose(model.direction_, expected, rtol=1e-4, atol=1e-6)


def test_the_direction_of_a_sequence_host_is_that_of_sequences():
    model, X = fitted("sequence_model")
    twins, side = synthetic_profiles(
        X, model.item_groups_, n_profiles=2048, version="v1", as_sequences=True,
        random_state=0,
    )  # fmt: skip
    U = model.recommender_.encode_sequences(twins).astype(np.float64)
    expected = U[side == 1].mean(axis=0) - U[side == -1].mean(axis=0)
    np.testing.assert_allclose(model.direction_, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["als", "bpr", "pca", "sequence_model", "mult_vae"])
@pytest.mark.parametrize("user_strength", [None, "profile"])
def test_scores_are_those_of_shifted_users(name, user_strength):
    model, X = fitted(name, strength=0.8, user_strength=user_strength)
    host = model.recommender_
    factors = 1 if user_strength is None else model._per_row(X)[:, None]
    expected = host.decode(host.encode_users(X) - 0.8 * factors * model.direction_)
    scores = model.decision_function(X)
    np.testing.assert_allclose(scores, expected, rtol=1e-4, atol=1e-4)
    assert not np.allclose(scores, host.decision_function(X), atol=1e-3)
    ids = model.recommend(X, 5)
    values = np.where(X.toarray() > 0, -np.inf, expected)
    best = np.take_along_axis(values, ids, axis=1)
    np.testing.assert_allclose(best, -np.sort(-values)[:, :5], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ["als", "mult_vae"])
def test_strength_0_is_the_host(name):
    model, X = fitted(name)
    host = model.recommender_
    assert np.array_equal(model.recommend(X, strength=0), host.recommend(X))


@pytest.mark.parametrize("profiles", ["synthetic", "real"])
@pytest.mark.parametrize("name", ["als", "truncated_svd", "mult_vae"])
def test_popularity_falls_with_the_strength(name, profiles):
    model, X = fitted(name, profiles=profiles)
    values = [
        model.item_popularity_[model.recommend(X, strength=t)].mean()
        for t in (-0.5, 0, 0.5, 1)
    ]
    assert (np.diff(values) < 0).all()


def test_the_seed_decides_and_nothing_else():
    first, second = fitted("als")[0], fitted("als")[0]
    assert np.array_equal(first.direction_, second.direction_)
    other = fitted("als", random_state=1)[0]
    assert not np.array_equal(first.direction_, other.direction_)


@pytest.mark.parametrize("user_strength", [None, "profile"])
def test_vectors_hold_the_shift_of_every_user(user_strength):
    model, X = fitted("als", strength=0.6, user_strength=user_strength)
    vectors = model.export_embeddings(X)
    assert vectors.item_bias is None
    np.testing.assert_allclose(
        vectors.user_embeddings @ vectors.item_embeddings.T,
        model.decision_function(X),
        atol=1e-4,
    )
    # Without a bias the model of implicit is of the host's own kind.
    served = model.to_implicit(X)
    assert type(served) is type(model.recommender_.model)


def test_a_grown_catalogue_is_penalised_along_the_same_direction():
    rng = np.random.default_rng(0)
    U, V = rng.normal(size=(50, 4)), rng.normal(size=(30, 4))
    X = csr_array((rng.random((50, 30)) < 0.2).astype(float))
    model = DifferenceOfMeansReranker(as_recommender((U, V[:25])), random_state=0)
    model.fit(csr_array(X[:, :25]))
    again = model.with_host(as_recommender((U, V)))
    ids = np.arange(50)
    np.testing.assert_allclose(
        again.decision_function(X, user_ids=ids),
        (U - 0.3 * model.direction_) @ V.T,
        atol=1e-5,
    )
    assert again.item_groups_.tolist() == [*model.item_groups_, *[-1] * 5]
    assert len(model.item_groups_) == 25


def test_hosts_it_cannot_work_with_are_refused(interactions):
    rng = np.random.default_rng(0)
    tables = rng.normal(size=(200, 4)), rng.normal(size=(100, 4))
    look_up = as_recommender(ArrayRecommender(*tables, fold_in=None))
    with pytest.raises(ValueError, match=r"^`profiles` must be 'real' for a host that"):
        DifferenceOfMeansReranker(look_up).fit(interactions)
    model = DifferenceOfMeansReranker(look_up, profiles="real")
    model.fit(interactions, user_ids=np.arange(200))
    assert model.direction_.any()
    inner = PopularityPenaltyReranker(as_recommender(tables)).fit(interactions)
    with pytest.raises(TypeError, match=r"^`recommender` must be a host .*; got Popul"):
        DifferenceOfMeansReranker(FrozenEstimator(inner), pool_size=5).fit(interactions)


def test_a_decoder_that_is_not_linear_serves_no_pool():
    model, X = fitted("mult_vae")
    model.set_params(pool_size=20)
    with pytest.raises(ValueError, match=r"^`pool_size` must be None for a .* got 20"):
        model.recommend(X)
    host = HOSTS["mult_vae"]()
    with pytest.raises(ValueError, match=r"^`pool_size` must be None for a .* got 20"):
        DifferenceOfMeansReranker(host.recommender, pool_size=20).fit(host.X)


def test_one_user_has_no_two_ends():
    host = as_recommender((np.ones((2, 1)), np.ones((4, 1))))
    model = DifferenceOfMeansReranker(host, profiles="real")
    with pytest.raises(ValueError, match=r"^`X` must hold at least 2 users with"):
        model.fit([[1, 0, 0, 0], [0, 0, 0, 0]])


@pytest.mark.parametrize(
    ("params", "line"),
    [
        ({"groups": "head"}, "The 'groups' parameter"),
        ({"profiles": "both"}, "The 'profiles' parameter"),
        ({"random_state": "seed"}, "The 'random_state' parameter"),
    ],
)
def test_bad_parameters_are_named(params, line):
    with pytest.raises(ValueError, match=line):
        fitted("als", **params)
