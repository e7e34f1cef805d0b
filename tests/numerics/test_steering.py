"""Steered vectors, scores and lists, against the same steps in float64."""

import copy

import numpy as np
import pytest

from skpopsteer import SteeredRecommender
from skpopsteer.steering._rules import RULES
from tests.numerics import plain
from tests.numerics.conftest import PROBES, new_probe
from tests.numerics.tolerances import TOLERANCES, assert_near

STRENGTH = 0.5


@pytest.fixture(scope="session")
def fitted(film_host, films, probes):
    """One model with neurons of both sides, for each kind of autoencoder."""
    return {
        name: SteeredRecommender(
            film_host, probe=new_probe(**PROBES[name]), side="both", rule="shift",
            strength=STRENGTH, random_state=0,
        ).fit(films[0])
        for name in ("topk", "jumprelu", "standardized")
    }  # fmt: skip


def side_in_float64(side, rows, rule):
    """Return the push, the scales and the peaks of a fitted side."""
    P = plain.pre_activations(side.probe, rows)
    weights = plain.as_float64(side.selector.steering_weights_)
    # A popularity selector turns its neurons down.
    push = -STRENGTH * weights
    if rule == "interpolate":
        raised = np.maximum(push, 0)
        # All of equal weight would get strength / their number.
        push = np.minimum(push, 0) + raised * (STRENGTH / raised.sum())
    return push, P.std(axis=0), plain.activations(side.probe, P).max(axis=0)


def clear_rows(probe, rows, rule, push, scales):
    """Mark rows whose neurons are the same before and after, whatever is rounded."""
    P = plain.pre_activations(probe, rows)
    tolerance = TOLERANCES["pre-activations"]
    clear = plain.clear_choice(probe, P, tolerance)
    if rule == "shift":
        clear &= plain.clear_choice(probe, P + push * scales, tolerance)
    return clear


@pytest.mark.parametrize("name", ["topk", "jumprelu"])
@pytest.mark.parametrize("side", ["user", "item"])
def test_scales_and_peaks(fitted, users, film_host, name, side):
    side, rows = {
        "user": (fitted[name]._user_side, users),
        "item": (fitted[name]._item_side, film_host.item_embeddings_),
    }[side]
    _, scales, peaks = side_in_float64(side, rows, "shift")
    assert_near("spread of pre-activations", side.scales, scales)
    assert_near("largest activations", side.peaks, peaks)


@pytest.mark.parametrize("rule", RULES)
def test_a_push_is_strength_times_weights(fitted, users, rule):
    side = fitted["topk"]._user_side
    expected, _, _ = side_in_float64(side, users, rule)
    weights = side.selector.steering_weights_
    if rule == "interpolate":
        raised = expected > 0
        largest = np.abs((-STRENGTH * weights)[raised] / weights[raised]).max()
        assert largest == pytest.approx(STRENGTH)
    assert_near("pushes", side.push(STRENGTH, STRENGTH, rule), expected)


@pytest.mark.parametrize("factors", [False, True])
@pytest.mark.parametrize("reconstruction", ["residual", "replace"])
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("name", ["topk", "jumprelu"])
def test_moved_rows(fitted, users, name, rule, reconstruction, factors):
    side = fitted[name]._user_side
    push, scales, peaks = side_in_float64(side, users, rule)
    factors = np.linspace(0.2, 2, len(users)).astype("f4") if factors else None
    turned = push if factors is None else push * factors[:, None]
    clear = clear_rows(side.probe, users, rule, turned, scales)
    assert clear.mean() > 0.95
    got = side.move(
        users, side.push(STRENGTH, STRENGTH, rule), rule=rule,
        reconstruction=reconstruction, factors=factors,
    )  # fmt: skip
    expected = plain.moved(
        side.probe, users, push, scales, peaks, rule, reconstruction, factors
    )
    assert_near("steered rows", got[clear], expected[clear])
    # Turning does something, and more than the tolerance.
    assert np.abs(expected - users).max() > 100 * TOLERANCES["steered rows"]


@pytest.mark.parametrize("rule", RULES)
def test_moved_rows_of_a_refined_probe(fitted, users, rule):
    side = copy.copy(fitted["topk"]._user_side)
    side.probe = copy.copy(side.probe).set_params(refine=3)
    push, scales, peaks = side_in_float64(side, users, rule)
    clear = clear_rows(side.probe, users, rule, push, scales)
    pre = plain.pre_activations(side.probe, users)
    Z = plain.refined(side.probe, plain.activations(side.probe, pre), users)
    steered = [
        plain.RULES[rule](side.probe, p, z, push, scales, peaks)
        for p, z in zip(pre, Z, strict=True)
    ]
    expected = users + (np.array(steered) - Z) @ side.probe.decoder_weights_
    got = side.move(
        users, side.push(STRENGTH, STRENGTH, rule), rule=rule, reconstruction="residual"
    )
    assert_near("steered rows", got[clear], expected[clear])


def test_moved_rows_at_their_own_scale(fitted, users):
    side = fitted["standardized"]._user_side
    push, scales, _ = side_in_float64(side, users, "shift")
    clear = clear_rows(side.probe, users, "shift", push, scales)
    pre = plain.pre_activations(side.probe, users)
    before, after = (
        plain.decoded(side.probe, plain.activations(side.probe, P))
        for P in (pre, pre + push * scales)
    )
    X = plain.as_float64(users)
    expected = X + (after - before) * X.std(axis=1)[:, None]
    got = side.move(
        users, side.push(STRENGTH, STRENGTH), rule="shift", reconstruction="residual"
    )
    assert_near("steered rows", got[clear], expected[clear])


def steered_model(fitted, side, rule):
    return copy.copy(fitted["topk"]).set_params(side=side, rule=rule)


def scores_in_float64(model, users, side, rule):
    """Return scores, and the users and items whose choice of neurons is clear."""
    U = plain.as_float64(users)
    V = plain.as_float64(model.recommender_.item_embeddings_)
    clear_users, clear_items = np.full(len(U), True), np.full(len(V), True)
    sides = {"user": (model._user_side, users), "item": (model._item_side, V)}
    for name in ("user", "item"):
        if side not in (name, "both"):
            continue
        one, rows = sides[name]
        push, scales, peaks = side_in_float64(one, rows, rule)
        clear = clear_rows(one.probe, rows, rule, push, scales)
        moved = plain.moved(one.probe, rows, push, scales, peaks, rule, "residual")
        if name == "user":
            U, clear_users = moved, clear
        else:
            V, clear_items = moved, clear
    return U @ V.T, clear_users, clear_items


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("side", ["user", "item", "both"])
def test_scores(fitted, films, users, side, rule):
    model = steered_model(fitted, side, rule)
    expected, clear_users, clear_items = scores_in_float64(model, users, side, rule)
    assert min(clear_users.mean(), clear_items.mean()) > 0.95
    got = model.decision_function(films[0])
    cells = np.ix_(clear_users, clear_items)
    assert_near("steered scores", got[cells], expected[cells])


def test_scores_with_offsets_of_items(fitted, films, users):
    model = steered_model(fitted, "item", "offset")
    side, host = model._item_side, model.recommender_
    V = plain.as_float64(host.item_embeddings_)
    own = plain.as_float64(users) @ V.T
    Z = plain.activations(side.probe, plain.pre_activations(side.probe, V))
    weights = plain.as_float64(side.selector.steering_weights_)
    # The spread of every fifth user's hundred best, as the page of the rule says.
    best = -np.sort(-own, axis=1)[:: len(own) // 100, :100]
    unit = 0.25 * side.score_spread / (Z @ weights).std()
    assert best.std(axis=1).mean() == pytest.approx(side.score_spread, rel=0.2)
    expected = own - STRENGTH * unit * (Z @ weights)
    assert_near("steered scores", model.decision_function(films[0]), expected)


def test_scores_of_the_host(film_host, films, users):
    expected = plain.as_float64(users) @ plain.as_float64(film_host.item_embeddings_).T
    assert_near("scores", film_host.decision_function(films[0]), expected)


@pytest.mark.parametrize("side", ["user", "item"])
def test_lists_are_those_of_float64_but_for_equal_scores(fitted, films, users, side):
    X, k = films[0], 20
    model = steered_model(fitted, side, "add")
    expected, _, _ = scores_in_float64(model, users, side, "add")
    size = np.abs(expected).max(axis=1)
    expected[X.nonzero()] = -np.inf
    ids, values = model.recommend(X, k, return_scores=True)
    best = -np.sort(-expected, axis=1)[:, :k]
    listed = np.take_along_axis(expected, ids, axis=1)
    room = 2 * TOLERANCES["steered scores"] * size[:, None]
    assert (np.abs(listed - best) <= room).all()
    assert (np.abs(listed - values) <= room).all()
    # All but a few places, then, hold the very item.
    exact = np.array([plain.top_items(row, k) for row in expected[:100].tolist()])
    assert (ids[:100] == exact).mean() > 0.999


def test_equal_vectors_have_equal_scores_and_the_lower_position_comes_first():
    from skpopsteer import as_recommender

    rng = np.random.default_rng(0)
    U = rng.normal(size=(70, 24)).astype("f4")
    V = np.repeat(rng.normal(size=(101, 24)), 3, axis=0).astype("f4")
    host = as_recommender((U, V))
    X = np.zeros((70, 303))
    ids, values = host.recommend(X, 30, user_ids=np.arange(70), return_scores=True)
    expected = plain.as_float64(U) @ plain.as_float64(V).T
    listed = np.take_along_axis(expected, ids, axis=1)
    assert_near("scores", values, listed)
    room = 2 * TOLERANCES["scores"] * np.abs(expected).max(axis=1)
    assert (np.diff(listed, axis=1) <= room[:, None]).all()
    # Equal in float32 is equal: by position.
    tied = np.diff(values, axis=1) == 0
    assert tied.mean() > 0.3
    assert (np.diff(ids, axis=1)[tied] > 0).all()
