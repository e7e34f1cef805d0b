"""Knobs turned after fit: they agree with each other, and mistakes are seen."""

import copy

import numpy as np
import pytest
from sklearn.decomposition import PCA, TruncatedSVD

import skpopsteer.topk
from skpopsteer import (
    ArrayRecommender,
    SparseAutoencoderProbe,
    SteeredRecommender,
    as_recommender,
)


@pytest.fixture(scope="module")
def host(interactions):
    return as_recommender(TruncatedSVD(8, random_state=0).fit(interactions))


@pytest.fixture(scope="module")
def steered(host, interactions):
    probe = SparseAutoencoderProbe(32, k=4, max_iter=5, random_state=0)
    return SteeredRecommender(host, rule="shift", probe=probe, random_state=0).fit(
        interactions
    )


def at(model, **params):
    return copy.copy(model).set_params(**params)


def test_a_callable_strength_sees_all_rows_whatever_the_block(
    steered, interactions, monkeypatch
):
    def relative_length(X):
        lengths = np.diff(X.indptr)
        return lengths / lengths.mean()

    model = at(steered, user_strength=relative_length)
    expected = model.predict(interactions)
    monkeypatch.setattr(skpopsteer.topk, "BLOCK_SCORES", 700)
    monkeypatch.setattr(skpopsteer.topk, "BLOCK_ROWS", 1)
    assert np.array_equal(model.predict(interactions), expected)
    steered_embeddings = model.transform(interactions)
    scores = model.recommender_.decode(steered_embeddings)
    np.testing.assert_allclose(
        model.decision_function(interactions), scores, rtol=1e-5, atol=1e-6
    )


def test_a_strength_in_the_call_keeps_the_proportions_of_the_others(
    steered, interactions
):
    model = at(steered, strength=2.0, unpopular_strength=0.5)
    same = model.recommend(interactions, strength=2.0)
    assert np.array_equal(same, model.predict(interactions))
    half = at(steered, strength=1.0, unpopular_strength=0.25)
    expected = half.predict(interactions)
    assert np.array_equal(model.recommend(interactions, strength=1.0), expected)
    unsteered = model.recommender_.recommend(interactions)
    assert np.array_equal(model.recommend(interactions, strength=0), unsteered)


def test_a_strength_in_the_call_where_only_unpopular_neurons_were_turned(
    steered, interactions
):
    model = at(steered, strength=0.0, unpopular_strength=0.5)
    expected = at(steered, strength=1.0, unpopular_strength=0.5).predict(interactions)
    assert np.array_equal(model.recommend(interactions, strength=1.0), expected)


def test_fit_transform_uses_the_trained_vectors_it_is_given(interactions):
    U, V = np.random.default_rng(0).normal(size=(2, 200, 6))
    probe = SparseAutoencoderProbe(16, k=2, max_iter=2, random_state=0)
    model = SteeredRecommender(
        as_recommender((U, V[:100])), rule="shift", probe=probe, random_state=0
    )
    ids = np.arange(200)
    together = model.fit_transform(interactions, user_ids=ids)
    assert np.array_equal(together, model.transform(interactions, user_ids=ids))
    assert not np.allclose(together, model.transform(interactions))


@pytest.mark.parametrize(
    "params",
    [
        {"reconstruction": "replce"},
        {"user_strength": "profil"},
        {"keep_top": -3},
        {"rule": "bogus"},
        {"strength": np.nan},
    ],
    ids=lambda params: next(iter(params)),
)
def test_a_knob_set_wrongly_after_fit_is_refused(steered, interactions, params):
    (name,) = params
    with pytest.raises(ValueError, match=f"The '{name}' parameter"):
        at(steered, **params).recommend(interactions)


@pytest.mark.parametrize("strength", ["a", np.nan, np.inf])
def test_a_strength_in_the_call_must_be_a_finite_number(
    steered, interactions, strength
):
    with pytest.raises(ValueError, match="`strength` must be a finite number"):
        steered.recommend(interactions, strength=strength)


def test_a_side_that_was_not_fitted_cannot_be_turned(steered, interactions):
    with pytest.raises(AttributeError, match="`side` must include 'item' when `fit`"):
        at(steered, side="item").recommend(interactions)


def test_a_new_fit_forgets_the_side_it_does_not_steer(host, interactions):
    probe = SparseAutoencoderProbe(16, k=2, max_iter=1, random_state=0)
    model = SteeredRecommender(host, probe=probe, side="both", random_state=0)
    model.fit(interactions)
    assert hasattr(model, "item_probe_")
    model.set_params(side="user").fit(interactions)
    assert not hasattr(model, "item_probe_")


@pytest.mark.parametrize("rule", ["scale", "clamp"])
def test_signed_activations_can_only_be_shifted(host, interactions, rule):
    model = SteeredRecommender(host, probe=PCA(4), rule=rule, random_state=0)
    model.fit(interactions)
    with pytest.raises(ValueError, match="`rule` must be 'shift' for a probe whose"):
        model.predict(interactions)
    assert at(model, rule="shift").predict(interactions).shape == (200, 10)


class _HalfAProbe(PCA):
    def pre_activations(self, X):
        return 1000 * self.transform(X)


def test_a_probe_with_half_of_the_two_steps_is_refused(host, interactions):
    model = SteeredRecommender(host, rule="shift", probe=_HalfAProbe(4), random_state=0)
    with pytest.raises(TypeError, match="`probe` must have both pre_activations and"):
        model.fit(interactions)


def test_a_host_that_only_looks_up_gives_frames_too(interactions):
    U, V = np.random.default_rng(0).normal(size=(2, 200, 6))
    probe = SparseAutoencoderProbe(16, k=2, max_iter=2, random_state=0)
    model = SteeredRecommender(
        as_recommender(ArrayRecommender(U, V[:100], fold_in=None)),
        rule="shift",
        probe=probe,
        profiles="real",
        random_state=0,
    ).set_output(transform="pandas")
    ids = np.arange(200)
    frame = model.fit(interactions, user_ids=ids).transform(interactions, user_ids=ids)
    assert frame.shape == (200, 6)


def test_the_item_side_may_have_a_strength_of_its_own(host, interactions):
    probe = SparseAutoencoderProbe(32, k=4, max_iter=5, random_state=0)
    model = SteeredRecommender(
        host, side="both", rule="scale", probe=probe, random_state=0
    ).fit(interactions)
    push, displacement = at(model, strength=1.0, item_strength=0.25)._turn(None)
    np.testing.assert_array_equal(push, model._turn(1.0)[0])
    np.testing.assert_array_equal(displacement, model._turn(0.25)[1])
    assert not np.array_equal(displacement, model._turn(1.0)[1])
    # One knob: what is set keeps its proportion.
    halved = at(model, strength=1.0, item_strength=0.25)._turn(0.5)[1]
    np.testing.assert_array_equal(halved, model._turn(0.125)[1])


def test_codes_before_and_after_are_what_is_decoded(host, interactions):
    probe = SparseAutoencoderProbe(32, k=4, max_iter=5, random_state=0)
    model = SteeredRecommender(host, rule="scale", probe=probe, random_state=0)
    side = model.fit(interactions)._side("user")
    U, push = host.encode_users(interactions), model._turn(1.0)[0]
    factors = np.linspace(0, 2, len(U), dtype=np.float32)
    for each in (None, factors):
        before, after = side.codes_turned(U, push, rule="scale", factors=each)
        moved = side.move(
            U, push, rule="scale", reconstruction="residual", factors=each
        )
        change = (after - before) @ side.probe.decoder_weights_
        np.testing.assert_allclose(moved, U + change, atol=1e-5)
        assert np.abs(change).max() > 0.01
    for nothing in (0 * push, push):
        before, after = side.codes_turned(U, nothing, rule="scale", factors=0 * factors)
        np.testing.assert_array_equal(before, after)


@pytest.mark.parametrize("side", ["user", "item"])
def test_scores_of_some_items_are_those_of_all(host, interactions, side):
    probe = SparseAutoencoderProbe(32, k=4, max_iter=5, random_state=0)
    model = SteeredRecommender(
        host, rule="scale", side=side, probe=probe, random_state=0
    ).fit(interactions)
    encoded, turned = model._encode(interactions, None), model._turn(1.0)
    encoded = model._steer(encoded, turned)
    whole = np.empty(interactions.shape, dtype=np.float32)
    model._score_into(whole, encoded, interactions, turned)
    some = slice(10, 25)
    part = np.empty_like(whole[:, some])
    model._score_into(part, encoded, interactions, turned, some)
    np.testing.assert_allclose(part, whole[:, some], rtol=1e-5, atol=1e-6)
