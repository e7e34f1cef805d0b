"""The main estimator: what steering does to lists, and what it leaves alone."""

import copy

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.frozen import FrozenEstimator

from skpopsteer import (
    PopularityGroups,
    PopularityNeuronSelector,
    SparseAutoencoderProbe,
    SteeredRecommender,
    as_recommender,
)
from skpopsteer.popularity import item_popularity

STRENGTHS = (-2.0, -1.0, 0.0, 0.5, 1.0, 2.0)


@pytest.fixture(scope="module")
def host(interactions):
    return as_recommender(TruncatedSVD(12, random_state=0).fit(interactions))


@pytest.fixture(scope="module")
def steered(host, interactions):
    return SteeredRecommender(
        host,
        rule="shift",
        probe=SparseAutoencoderProbe(64, k=8, max_iter=15, random_state=0),
        random_state=0,
    ).fit(interactions)


def average_popularity(model, X, **params):
    return item_popularity(X)[model.recommend(X, **params)].mean()


def at(model, **params):
    return copy.copy(model).set_params(**params)


@pytest.mark.parametrize("rule", ["shift", "scale", "clamp"])
def test_average_popularity_falls_as_the_knob_is_turned(steered, interactions, rule):
    model = at(steered, rule=rule)
    values = [average_popularity(model, interactions, strength=s) for s in STRENGTHS]
    assert (np.diff(values) <= 0).all(), values
    assert values[0] > values[2] > values[-1]


@pytest.mark.parametrize("side", ["item", "both"])
def test_the_item_side_lowers_popularity_too(host, interactions, side):
    # Shifting all items alike ranks nothing anew: on so few items, scale instead.
    probe = SparseAutoencoderProbe(64, k=8, max_iter=60, random_state=0)
    model = SteeredRecommender(
        host, probe=probe, side=side, rule="scale", random_state=0
    ).fit(interactions)
    before, after, back = (
        average_popularity(model, interactions, strength=s) for s in (0.0, 1.0, -1.0)
    )
    assert after < before < back


def test_a_permuted_weight_vector_hardly_moves_popularity(steered, interactions):
    permuted = copy.deepcopy(steered)
    weights = permuted.selector_.steering_weights_
    rng = np.random.default_rng(0)
    moves = []
    before = average_popularity(steered, interactions, strength=0.0)
    true_move = average_popularity(steered, interactions, strength=1.0) - before
    for _ in range(5):
        permuted.selector_.steering_weights_ = rng.permutation(weights)
        moves.append(average_popularity(permuted, interactions, strength=1.0) - before)
    assert abs(np.mean(moves)) < 0.5 * abs(true_move)


def test_the_published_form_passes_through_the_reconstruction(steered, interactions):
    model = at(steered, reconstruction="replace", strength=0.0)
    U = model.recommender_.encode_users(interactions)
    expected = model.probe_.inverse_transform(model.probe_.transform(U))
    np.testing.assert_allclose(model.transform(interactions), expected, atol=1e-6)
    assert not np.allclose(expected, U, atol=1e-3)


def test_the_error_is_kept_by_default(steered, interactions):
    U = steered.recommender_.encode_users(interactions)
    probe, side = steered.probe_, steered._user_side
    pre = probe.pre_activations(U)
    shifted = pre + side.push(1.0, 1.0) * side.scales
    change = probe.activate(shifted) - probe.activate(pre)
    np.testing.assert_allclose(
        steered.transform(interactions), U + change @ probe.decoder_weights_, atol=1e-5
    )


def test_the_shift_is_the_strength_times_weight_times_real_deviation(
    steered, interactions
):
    U = steered.recommender_.encode_users(interactions)
    side = steered._user_side
    np.testing.assert_allclose(
        side.scales, steered.probe_.pre_activations(U).std(axis=0), rtol=1e-4
    )
    weights = steered.selector_.steering_weights_
    push = side.push(2.0, 0.5)
    np.testing.assert_allclose(push, np.where(weights > 0, -2.0, -0.5) * weights, 1e-6)


def test_two_strengths_turn_popular_and_unpopular_neurons_apart(steered, interactions):
    only_popular = at(steered, strength=1.0, unpopular_strength=0.0)
    only_unpopular = at(steered, strength=0.0, unpopular_strength=1.0)
    U = steered.recommender_.encode_users(interactions)
    pushes = [m._turn(None)[0] for m in (only_popular, only_unpopular)]
    assert not (pushes[0] * pushes[1]).any()
    np.testing.assert_allclose(sum(pushes), steered._turn(1.0)[0])
    assert not np.allclose(only_popular.transform(interactions), U)
    assert not np.allclose(only_unpopular.transform(interactions), U)


def test_a_strength_in_the_call_is_the_strength_of_the_estimator(steered, interactions):
    for strength in (0.5, 2.0):
        model = at(steered, strength=strength)
        expected = steered.recommend(interactions, strength=strength)
        assert np.array_equal(model.predict(interactions), expected)


def test_a_profile_strength_turns_further_for_niche_users(steered, interactions):
    model = at(steered, user_strength="profile")
    factors = model._encode(interactions, None).factors
    popularity = np.log(np.maximum(item_popularity(interactions), 1))
    mean = np.array([popularity[interactions[[u]].indices].mean() for u in range(200)])
    expected = popularity.max() - mean
    np.testing.assert_allclose(factors, expected / expected.mean(), rtol=1e-5)
    assert factors.mean() == pytest.approx(1, rel=1e-5)


def test_a_callable_strength_of_zero_leaves_that_user_alone(steered, interactions):
    model = at(steered, user_strength=lambda X: (np.arange(X.shape[0]) % 2) * 2.0)
    host_ids = model.recommender_.recommend(interactions)
    ids = model.predict(interactions)
    assert np.array_equal(ids[::2], host_ids[::2])
    double = steered.recommend(interactions, strength=2.0)
    assert np.array_equal(ids[1::2], double[1::2])


def test_a_callable_strength_of_another_length_is_refused(steered, interactions):
    model = at(steered, user_strength=lambda X: np.ones(3))
    with pytest.raises(ValueError, match="`user_strength` must return one finite"):
        model.predict(interactions)


def test_the_item_factor_multiplies_the_displacement(host, interactions):
    probe = SparseAutoencoderProbe(32, k=4, max_iter=5, random_state=0)
    model = SteeredRecommender(host, probe=probe, side="item", random_state=0)
    model.fit(interactions)
    plain = model.decision_function(interactions)
    unsteered = host.decision_function(interactions)
    half = at(model, user_strength=lambda X: np.full(X.shape[0], 0.5))
    np.testing.assert_allclose(
        half.decision_function(interactions), (plain + unsteered) / 2, atol=1e-4
    )


def test_the_host_is_never_changed(interactions):
    svd = TruncatedSVD(8, random_state=0).fit(interactions)
    before = copy.deepcopy(svd.__dict__)
    probe = SparseAutoencoderProbe(16, k=2, max_iter=2, random_state=0)
    model = SteeredRecommender(
        as_recommender(svd), probe=probe, side="both", random_state=0
    )
    model.fit(interactions).predict(interactions)
    assert model.recommender_.estimator.decomposition is svd
    for name, value in before.items():
        assert np.array_equal(getattr(svd, name), value), name
    assert not hasattr(probe, "decoder_weights_")


def test_real_profiles_are_the_users_with_extreme_histories(host, interactions):
    probe = SparseAutoencoderProbe(64, k=8, max_iter=15, random_state=0)
    model = SteeredRecommender(
        host, rule="shift", probe=probe, profiles="real", random_state=0
    )
    model.fit(interactions)
    before = average_popularity(model, interactions, strength=0.0)
    assert average_popularity(model, interactions, strength=1.0) < before


@pytest.mark.parametrize("shift_scale", ["own", "opposite"])
def test_group_deviations_are_of_the_right_group(host, interactions, shift_scale):
    probe = SparseAutoencoderProbe(32, k=4, max_iter=5, random_state=0)
    model = SteeredRecommender(
        host,
        probe=probe,
        selector=PopularityNeuronSelector(weighting="joint"),
        groups=PopularityGroups("mass"),
        profiles="real",
        shift_scale=shift_scale,
        random_state=0,
    ).fit(interactions)
    popularity = item_popularity(interactions)
    means = (interactions @ popularity) / np.diff(interactions.indptr)
    order = np.argsort(-means, kind="stable")
    pre = model.probe_.pre_activations(host.encode_users(interactions))
    head, tail = pre[order[:20]].std(axis=0), pre[order[-20:]].std(axis=0)
    # Of weights: the smallest score of all has none, and is not steered.
    own = np.where(model.selector_.steering_weights_ > 0, head, tail)
    opposite = np.where(model.selector_.steering_weights_ > 0, tail, head)
    expected = own if shift_scale == "own" else opposite
    np.testing.assert_allclose(model._user_side.scales, expected, rtol=1e-3)


def test_any_transformer_with_an_inverse_is_a_probe(host, interactions):
    model = SteeredRecommender(
        host, rule="shift", probe=PCA(6, random_state=0), random_state=0
    )
    model.fit(interactions)
    before = average_popularity(model, interactions, strength=0.0)
    assert np.array_equal(
        model.recommend(interactions, strength=0), host.recommend(interactions)
    )
    assert average_popularity(model, interactions, strength=0.5) < before


def test_a_frozen_probe_is_not_trained_again(host, interactions):
    U = host.encode_users(interactions)
    probe = SparseAutoencoderProbe(32, k=4, max_iter=2, random_state=0).fit(U)
    weights = probe.decoder_weights_
    model = SteeredRecommender(
        host, rule="shift", probe=FrozenEstimator(probe), random_state=0
    )
    model.fit(interactions)
    assert model.probe_.decoder_weights_ is weights


def test_memory_trains_the_probe_once(host, interactions, tmp_path):
    probe = SparseAutoencoderProbe(16, k=2, max_iter=3, random_state=0, verbose=1)
    model = SteeredRecommender(
        host,
        rule="shift",
        probe=probe,
        memory=str(tmp_path),
        strength=0.5,
        random_state=0,
    )
    first = clone(model).fit(interactions)
    stored = set(tmp_path.rglob("output.pkl"))
    again = clone(model).set_params(strength=1.0).fit(interactions)
    assert set(tmp_path.rglob("output.pkl")) == stored
    assert len([path for path in stored if path.parts[-3] == "_train"]) == 1
    assert np.array_equal(again.probe_.decoder_weights_, first.probe_.decoder_weights_)


def test_a_planted_popularity_direction_is_what_the_neurons_find(interactions):
    """Users and items with one coordinate that is popularity and nothing else."""
    rng = np.random.default_rng(0)
    n_users, n_items = 600, 120
    popularity = np.sort(rng.pareto(1.2, n_items) + 1)[::-1]
    V = rng.normal(size=(n_items, 10)) * 0.3
    V[:, 0] = np.log(popularity) - np.log(popularity).mean()
    U = rng.normal(size=(n_users, 10))
    U[:, 0] = np.abs(U[:, 0]) + 0.5
    host = as_recommender((U, V))
    scores = U @ V.T
    X = np.zeros((n_users, n_items))
    np.put_along_axis(X, np.argsort(-scores, axis=1)[:, :15], 1.0, axis=1)
    probe = SparseAutoencoderProbe(40, k=5, max_iter=30, random_state=0)
    model = SteeredRecommender(host, rule="shift", probe=probe, random_state=0)
    model.fit(X, user_ids=np.arange(n_users))
    strongest = np.argsort(-np.abs(model.selector_.scores_))[:5]
    directions = np.abs(model.probe_.decoder_weights_[strongest])
    assert np.median(directions[:, 0]) > 2 * np.median(directions[:, 1:])
    assert model.selector_.p_values_[strongest].max() < 1e-6
