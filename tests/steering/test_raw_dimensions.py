"""A transformer that changes nothing steers the dimensions of the embedding itself."""

import numpy as np
import pytest
from sklearn.preprocessing import FunctionTransformer

from skpopsteer import PopularityNeuronSelector, SteeredRecommender
from skpopsteer.neurons import cohens_d
from skpopsteer.popularity import item_popularity, synthetic_profiles
from tests.hosts import HOSTS


def raw(host, X, **params):
    model = SteeredRecommender(
        host, probe=FunctionTransformer(), **({"rule": "shift"} | params)
    )
    return model.fit(X)


def weights_by_hand(popular, unpopular):
    """Divide Cohen's d of every column by the largest of its sign."""
    popular, unpopular = popular.astype(np.float64), unpopular.astype(np.float64)
    n, m = len(popular), len(unpopular)
    pooled = (n - 1) * popular.var(axis=0) + (m - 1) * unpopular.var(axis=0)
    effect = popular.mean(axis=0) - unpopular.mean(axis=0)
    d = effect / np.sqrt(pooled / (n + m - 2))
    return np.where(d > 0, d / d.max(initial=0.0), -d / d.min(initial=0.0))


@pytest.mark.parametrize("name", ["als", "truncated_svd", "mult_vae"])
@pytest.mark.parametrize("strength", [0.5, 2.0, -1.0])
def test_every_dimension_moves_by_its_weight_and_deviation(name, strength):
    host = HOSTS[name]()
    X = host.X
    model = raw(host.recommender, X, profiles="real", strength=strength)
    U = host.recommender.encode_users(X)
    popularity = item_popularity(X)
    means = np.array([popularity[row > 0].mean() for row in X.toarray()])
    order, size = np.argsort(-means, kind="stable"), len(means) // 10
    weights = weights_by_hand(U[order[:size]], U[order[-size:]])
    expected = U - strength * weights * U.std(axis=0, dtype=np.float64)
    np.testing.assert_allclose(model.transform(X), expected, rtol=1e-4, atol=1e-4)
    scores = host.recommender.decode(expected.astype(np.float32))
    np.testing.assert_allclose(model.decision_function(X), scores, rtol=1e-3, atol=1e-3)
    assert not np.allclose(model.transform(X), U, atol=1e-2)


def test_synthetic_profiles_give_the_weights_as_they_do_to_neurons():
    host = HOSTS["als"]()
    model = raw(host.recommender, host.X, random_state=0)
    twins, side = synthetic_profiles(
        host.X, model.item_groups_, n_profiles=2048, version="v1", random_state=7
    )
    d, _ = cohens_d(host.recommender.encode_users(twins), side)
    # Other twins of the same users: close, and not the same.
    np.testing.assert_allclose(model.selector_.scores_, d, rtol=0.1, atol=0.05)
    assert np.abs(d).max() > 1


def test_strength_0_is_the_host_and_popularity_falls_with_it():
    host = HOSTS["als"]()
    model = raw(host.recommender, host.X, random_state=0)
    own = host.recommender.recommend(host.X)
    assert np.array_equal(model.recommend(host.X, strength=0), own)
    values = [
        model.item_popularity_[model.recommend(host.X, strength=t)].mean()
        for t in (-0.5, 0, 0.5, 1)
    ]
    assert (np.diff(values) < 0).all()


def test_the_joint_weighting_of_the_first_version_is_there_too():
    host = HOSTS["als"]()
    selector = PopularityNeuronSelector(weighting="joint")
    model = raw(host.recommender, host.X, selector=selector, random_state=0)
    size = np.abs(model.selector_.scores_)
    expected = (size - size.min()) / (size.max() - size.min())
    np.testing.assert_allclose(
        np.abs(model.selector_.steering_weights_), expected, rtol=1e-6
    )
