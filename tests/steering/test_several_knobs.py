"""Knobs of chosen neurons: one, several, their closed form and their strengths."""

import copy

import numpy as np
import pytest
from sklearn.base import BaseEstimator, clone

from skpopsteer import SparseAutoencoderProbe, SteeredRecommender
from skpopsteer.neurons import NeuronSubset, NeuronUnion, PopularityNeuronSelector
from skpopsteer.steering import _side

PROBE = SparseAutoencoderProbe(64, k=8, max_iter=15, random_state=0)


def fit(host, X, selector, probe=PROBE, **params):
    return SteeredRecommender(
        host, probe=probe, selector=selector, random_state=0, **params
    ).fit(X)


@pytest.fixture(scope="module")
def interpolated(host, interactions):
    return fit(host, interactions, NeuronSubset([3, 5]), rule="interpolate")


def codes_of(model, X):
    U = model.recommender_.encode_users(X)
    return U, model.probe_.transform(U).astype(np.float64)


@pytest.mark.parametrize("strength", [0.1, 0.3, 1.0, 4.0])
def test_the_published_form_is_a_blend_with_one_ranking_of_the_items(
    interpolated, interactions, strength
):
    """Section 1.6 of the paper, with a linear decoder: r_n is the same for all."""
    model = copy.copy(interpolated).set_params(reconstruction="replace")
    _, Z = codes_of(model, interactions)
    V = model.recommender_.item_embeddings_.astype(np.float64)
    W, b = model.probe_.decoder_weights_, model.probe_.decoder_bias_
    alpha = min(strength, 1.0)
    own = model.set_params(strength=0.0).decision_function(interactions)
    ranking = V @ W[[3, 5]].mean(axis=0)
    expected = (1 - alpha) * own + alpha * (V @ b) + alpha * np.outer(Z.sum(1), ranking)
    scores = model.set_params(strength=strength).decision_function(interactions)
    np.testing.assert_allclose(scores, expected, atol=1e-5)


@pytest.mark.parametrize("standardize_rows", [False, True])
@pytest.mark.parametrize("factors", [None, "profile"])
def test_the_closed_form_is_the_pass_through_the_decoder(
    host, interactions, standardize_rows, factors
):
    probe = clone(PROBE).set_params(standardize_rows=standardize_rows)
    model = fit(
        host, interactions, NeuronSubset({3: 1.0, 9: 0.5}), probe,
        rule="interpolate", user_strength=factors, strength=0.7,
    )  # fmt: skip
    moved = model.transform(interactions)
    U, Z = codes_of(model, interactions)
    multipliers = np.ones(len(U))
    if factors:
        multipliers = model._encode(model._check_rows(interactions, None)[0], None)
        multipliers = multipliers.factors
        assert multipliers.std() > 0.01
    share = np.minimum(0.7 * multipliers, 1)[:, None]
    weights = np.zeros(64)
    weights[[3, 9]] = 2 / 3, 1 / 3
    steered = (1 - share) * Z + share * Z.sum(1, keepdims=True) * weights
    change = (steered - Z) @ model.probe_.decoder_weights_
    if standardize_rows:
        change *= U.std(axis=1, keepdims=True)
    np.testing.assert_allclose(moved, U + change, atol=1e-5)


def test_the_closed_form_is_what_serves(interpolated, interactions, monkeypatch):
    def refuse(*_):
        raise AssertionError("the whole code was steered")

    expected = interpolated.recommend(interactions, strength=0.4)
    monkeypatch.setitem(_side.RULES, "interpolate", refuse)
    again = interpolated.recommend(interactions, strength=0.4)
    np.testing.assert_array_equal(again, expected)


def test_strength_zero_is_the_host(interpolated, interactions):
    lists = interpolated.recommend(interactions, strength=0)
    np.testing.assert_array_equal(
        lists, interpolated.recommender.recommend(interactions)
    )


def test_a_profile_may_not_be_negative(interpolated, interactions):
    model = copy.copy(interpolated).set_params(
        user_strength=lambda X: -np.ones(X.shape[0])
    )
    with pytest.raises(
        ValueError, match=r"^`user_strength` must not be negative with "
    ):
        model.predict(interactions)


def union(strengths=None, **popularity):
    return NeuronUnion(
        [
            ("chosen", NeuronSubset([3])),
            ("popularity", PopularityNeuronSelector(**popularity)),
        ],
        strengths=strengths,
    )


def test_several_knobs_push_by_the_sum(host, interactions):
    alone = fit(host, interactions, PopularityNeuronSelector())._user_side
    both = fit(host, interactions, union({"chosen": 0.3, "popularity": -0.5}))
    side = both._user_side
    chosen = np.eye(64)[3]
    expected = 2.0 * 0.3 * chosen + 0.5 * alone.push(2.0, 2.0)
    np.testing.assert_allclose(side.push(2.0, 2.0), expected, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(
        both.selector_.steering_weights_,
        0.3 * chosen - 0.5 * alone.selector.steering_weights_,
    )
    assert both.selector_.get_support()[3]


def test_without_strengths_knobs_turn_as_they_do_alone(host, interactions):
    both = fit(host, interactions, union())._user_side
    alone = fit(host, interactions, PopularityNeuronSelector())._user_side
    expected = np.eye(64)[3] + alone.push(1.0, 1.0)
    np.testing.assert_allclose(both.push(1.0, 1.0), expected, rtol=1e-5, atol=1e-7)


def test_the_strength_of_unpopular_neurons_stays_its_own(host, interactions):
    side = fit(host, interactions, union())._user_side
    weights = side.selector.named_selectors_.popularity.steering_weights_
    expected = 2.0 * np.eye(64)[3] - np.where(weights > 0, 2.0, 0.5) * weights
    np.testing.assert_allclose(side.push(2.0, 0.5), expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("rule", ["shift", "scale", "clamp", "interpolate", "multiply"])
def test_popularity_falls_whatever_turns_beside_it(host, interactions, rule):
    model = fit(
        host, interactions, union({"chosen": 0.1, "popularity": -0.5}), rule=rule
    )
    popularity = model.item_popularity_
    before, after = (
        popularity[model.recommend(interactions, strength=s)].mean() for s in (0, 1)
    )
    assert after < before


def test_interpolating_popularity_keeps_the_mass_of_every_row(host, interactions):
    model = fit(host, interactions, None, rule="interpolate", strength=0.3)
    side = model._user_side
    _, Z = codes_of(model, interactions)
    push = side.push(0.3, 0.3, "interpolate")
    # All unpopular neurons share the strength, popular ones lose theirs of themselves.
    np.testing.assert_allclose(push[push > 0].sum(), 0.3, rtol=1e-5)
    np.testing.assert_allclose(push.min(), -0.3, rtol=1e-5)
    steered = _side.RULES["interpolate"](
        _side.encode(side.probe, model.recommender_.encode_users(interactions)),
        push[None], side.scales, side.peaks,
    )  # fmt: skip
    np.testing.assert_allclose(steered.sum(axis=1), Z.sum(axis=1), rtol=1e-5)


def test_parameters_of_a_knob_are_reached_by_name(host, interactions):
    model = SteeredRecommender(host, probe=PROBE, selector=union(), random_state=0)
    model.set_params(selector__popularity__n_neurons_to_select=2)
    assert model.get_params()["selector__popularity__n_neurons_to_select"] == 2
    fitted = clone(model).fit(interactions)
    assert fitted.selector_.named_selectors_.popularity.get_support().sum() == 2
    model.set_params(selector__chosen=NeuronSubset([7]))
    assert model.fit(interactions).selector_.get_support()[7]


class Custom(BaseEstimator):
    """A selector of somebody else's, with nothing but weights."""

    def fit(self, Z, y):
        self.steering_weights_ = np.ones(Z.shape[1])
        return self


def test_a_selector_of_somebody_elses_lowers_what_it_weighs(host, interactions):
    side = fit(host, interactions, Custom())._user_side
    np.testing.assert_allclose(side.push(0.5, 0.5), -0.5)


def test_profiles_are_only_made_where_a_selector_reads_them(host, interactions):
    # A look-up host cannot fold profiles in, and with chosen neurons need not.
    from skpopsteer import as_recommender

    tables = as_recommender(
        (host.encode_users(interactions), host.item_embeddings_)
    )  # fmt: skip
    ids = np.arange(interactions.shape[0])
    model = SteeredRecommender(
        tables, probe=PROBE, selector=NeuronSubset([3]), random_state=0
    ).fit(interactions, user_ids=ids)
    assert model.predict(interactions, user_ids=ids).shape == (len(ids), 10)


@pytest.mark.parametrize("scale", ["own", "opposite"])
def test_deviations_of_a_group_need_popularity_alone(host, interactions, scale):
    for selector in (union(), NeuronSubset([3])):
        with pytest.raises(
            ValueError, match=r"^`shift_scale` must be 'real' unless a "
        ):
            fit(host, interactions, selector, shift_scale=scale)


def test_strengths_by_name_in_a_call_are_those_of_the_union(host, interactions):
    own = {"chosen": 0.3, "popularity": -0.5}
    model = fit(host, interactions, union(own), rule="interpolate")
    expected = model.recommend(interactions)
    other = fit(host, interactions, union(), rule="interpolate", strength=7.0)
    np.testing.assert_array_equal(other.recommend(interactions, strength=own), expected)
    np.testing.assert_array_equal(
        other.recommend(interactions, strength={}), host.recommend(interactions)
    )
    alone = fit(
        host, interactions, union({"chosen": 0.4, "popularity": 0}), rule="interpolate"
    )
    np.testing.assert_array_equal(
        other.recommend(interactions, strength={"chosen": 0.4}),
        alone.recommend(interactions),
    )


def test_strengths_by_name_reach_both_sides_and_exports(host, interactions):
    model = fit(host, interactions, union(), rule="scale", side="both")
    own = {"popularity": -0.5}
    scores = model.recommend(interactions, strength=own, return_scores=True)[1]
    vectors = model.export_embeddings(interactions, strength=own)
    again = vectors.user_embeddings @ vectors.item_embeddings.T
    again[interactions.nonzero()] = -np.inf
    np.testing.assert_allclose(-np.sort(-again)[:, :10], scores, atol=1e-4)


@pytest.mark.parametrize(
    ("selector", "strength", "line"),
    [
        (union(), {"nothing": 1.0}, r"^`strength` must name knobs of a NeuronUnion "),
        (None, {"popularity": 1.0}, r"\(none: there is only one knob\); got 'popular"),
        (union(), {"chosen": np.nan}, r"^`strength` must be a finite number or None"),
        (union(), {"chosen": None}, r"^`strength` must hold finite numbers; got None"),
    ],
)
def test_strengths_that_name_no_knob_are_refused(
    host, interactions, selector, strength, line
):
    model = fit(host, interactions, selector)
    with pytest.raises(ValueError, match=line):
        model.recommend(interactions, strength=strength)
