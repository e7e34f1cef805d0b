"""Controls keep what a selector has found, but for its direction or its place."""

import numpy as np
import pytest
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.decomposition import TruncatedSVD
from sklearn.exceptions import NotFittedError
from sklearn.utils import get_tags

from skpopsteer import SparseAutoencoderProbe, SteeredRecommender
from skpopsteer.neurons import (
    ConceptNeuronSelector,
    NeuronSubset,
    NeuronUnion,
    PopularityNeuronSelector,
)
from skpopsteer.neurons._control import ControlSelector
from skpopsteer.popularity import item_popularity

WEIGHTS = dict(enumerate([1.0, -0.5, 0.25, 0.75]))
Z = np.random.default_rng(0).normal(size=(40, 12))
GROUPS = np.repeat([1, -1], 20)


def test_signs_are_drawn_for_absolute_weights():
    subset = NeuronSubset(WEIGHTS)
    seen = []
    for seed in range(60):
        control = ControlSelector(subset, random_state=seed).fit(Z)
        weights = control.steering_weights_
        assert np.abs(weights).tolist() == [1, 0.5, 0.25, 0.75, *[0] * 8]
        assert control.get_support().tolist() == [*[True] * 4, *[False] * 8]
        seen.append(np.sign(weights[:4]))
    # Any of the 16 patterns, each sign of a coin: 60 tosses stay within 4 deviations.
    assert len(np.unique(seen, axis=0)) > 10
    assert (np.abs(np.sum(seen, axis=0)) < 32).all()


def test_a_permutation_deals_the_weights_out_anew():
    subset = NeuronSubset(WEIGHTS)
    places = []
    for seed in range(200):
        control = ControlSelector(subset, control="permutation", random_state=seed)
        weights = control.fit(Z).steering_weights_
        assert sorted(weights) == [-0.5, *[0] * 8, 0.25, 0.75, 1]
        assert np.array_equal(control.get_support(), weights != 0)
        places.append(np.argmax(weights))
    assert set(places) == set(range(12))


@pytest.mark.parametrize("control", ["signs", "permutation"])
def test_the_seed_decides(control):
    selector = ControlSelector(
        PopularityNeuronSelector(), control=control, random_state=0
    )
    first = selector.fit(Z, GROUPS).steering_weights_
    assert np.array_equal(clone(selector).fit(Z, GROUPS).steering_weights_, first)
    other = clone(selector).set_params(random_state=1).fit(Z, GROUPS)
    assert not np.array_equal(other.steering_weights_, first)


def test_the_selector_is_cloned_and_keeps_its_own_weights():
    selector = PopularityNeuronSelector(n_neurons_to_select=5)
    control = ControlSelector(selector, random_state=0).fit(Z, GROUPS)
    assert not hasattr(selector, "steering_weights_")
    alone = clone(selector).fit(Z, GROUPS)
    assert np.array_equal(control.selector_.steering_weights_, alone.steering_weights_)
    assert np.array_equal(control.get_support(), alone.get_support())
    assert control.transform(Z).shape == (40, 5)
    assert control.n_features_in_ == 12
    again = clone(control).set_params(selector__n_neurons_to_select=2)
    assert again.fit(Z, GROUPS).get_support().sum() == 2


@pytest.mark.parametrize(
    ("selector", "fits_on", "strength", "needs_profiles", "needs_y"),
    [
        (PopularityNeuronSelector(), "profiles", -1, False, True),
        (NeuronSubset([0]), "rows", 1, False, False),
        (ConceptNeuronSelector(rows="users"), "users", 1, False, True),
        (ConceptNeuronSelector(score_func="output_precision"), "items", 1, True, True),
        (TruncatedSVD(2), "profiles", -1, False, False),
    ],
)
def test_it_asks_for_what_the_selector_asks_for(
    selector, fits_on, strength, needs_profiles, needs_y
):
    control = ControlSelector(selector)
    assert control.fits_on == fits_on
    assert control.default_strength == strength
    assert control.needs_item_profiles is needs_profiles
    assert get_tags(control).target_tags.required is needs_y


def test_what_fit_is_given_reaches_the_selector():
    selector = PopularityNeuronSelector(drop_silent=True)
    firing = np.zeros((1, 12))
    firing[0, 3] = 1
    control = ControlSelector(selector).fit(Z, GROUPS, activations=firing)
    assert np.flatnonzero(control.get_support()).tolist() == [3]
    concepts = csr_array((GROUPS > 0).astype(float)[:, None])
    named = ControlSelector(ConceptNeuronSelector("noir")).fit(
        np.maximum(Z, 0), concepts, feature_names=["noir"]
    )
    assert named.get_support().sum() == 1
    # The subset takes neither, and is not asked.
    subset = ControlSelector(NeuronSubset([0])).fit(Z, GROUPS, activations=firing)
    assert subset.get_support().sum() == 1


def test_a_union_is_controlled_one_by_one():
    union = NeuronUnion([("first", NeuronSubset([0]))])
    with pytest.raises(TypeError, match=r"^`selector` must be one selector of neurons"):
        ControlSelector(union).fit(Z, GROUPS)
    within = NeuronUnion(
        [
            ("popularity", ControlSelector(PopularityNeuronSelector(), random_state=0)),
            ("subset", ControlSelector(NeuronSubset(WEIGHTS), random_state=1)),
        ]
    ).fit(Z, GROUPS)
    assert within.strengths_ == {"popularity": -1.0, "subset": 1.0}
    parts = within.named_selectors_
    assert np.array_equal(
        within.steering_weights_,
        parts.subset.steering_weights_ - parts.popularity.steering_weights_,
    )


@pytest.mark.parametrize(
    ("params", "line"),
    [
        ({"selector": 3}, "The 'selector' parameter"),
        ({"control": "noise"}, "The 'control' parameter"),
        ({"random_state": "seed"}, "The 'random_state' parameter"),
    ],
)
def test_bad_parameters_are_named(params, line):
    with pytest.raises(ValueError, match=line):
        ControlSelector(**{"selector": NeuronSubset([0]), **params}).fit(Z, GROUPS)


def test_it_must_be_fitted():
    with pytest.raises(NotFittedError):
        ControlSelector(NeuronSubset([0])).get_support()


def steered(host, X, selector, **params):
    probe = SparseAutoencoderProbe(32, k=4, max_iter=3, random_state=0)
    model = SteeredRecommender(
        host, probe=probe, selector=selector, random_state=0, **params
    )
    return model.fit(X)


@pytest.mark.parametrize("control", ["signs", "permutation"])
def test_it_steers_as_its_weights_say(control, host, split):
    X, _ = split
    inner = PopularityNeuronSelector()
    selector = ControlSelector(inner, control=control, random_state=0)
    model, plain = (
        steered(host, X, one, side="both", strength=2.0) for one in (selector, inner)
    )
    for name, push in zip(("user", "item"), model._pushes(None), strict=True):
        fitted, alone = (one._side(name).selector for one in (model, plain))
        found = alone.steering_weights_
        assert np.array_equal(fitted.selector_.steering_weights_, found)
        kept = np.abs if control == "signs" else np.sort
        weights = fitted.steering_weights_
        assert np.array_equal(kept(weights), kept(found))
        np.testing.assert_allclose(push, -2.0 * weights, rtol=1e-6)
    assert not np.allclose(model.decision_function(X), plain.decision_function(X))
    again = steered(host, X, clone(selector), side="both", strength=2.0)
    assert np.array_equal(again.predict(X), model.predict(X))


def test_a_concept_is_controlled_with_its_features(host, split):
    X, _ = split
    concepts = np.random.default_rng(0).integers(0, 2, (100, 2))
    selector = ControlSelector(
        ConceptNeuronSelector("b", n_neurons_to_select=3), control="permutation",
        random_state=0,
    )  # fmt: skip
    model = SteeredRecommender(
        host,
        probe=SparseAutoencoderProbe(32, k=4, max_iter=5, random_state=0),
        selector=selector,
        random_state=0,
    ).fit(X, item_features=(concepts, ["a", "b"]))
    assert model.selector_.get_support().sum() == 3
    assert model.selector_.selector_.get_support().sum() == 3


@pytest.mark.parametrize("shift_scale", ["own", "opposite"])
def test_scales_of_a_group_follow_the_signs_of_the_control(shift_scale, host, split):
    selector = ControlSelector(PopularityNeuronSelector(), random_state=0)
    model = steered(host, split[0], selector, shift_scale=shift_scale)
    assert model.predict(split[0]).shape == (200, 10)


def test_the_direction_found_does_more_than_the_controls(host, split):
    X, _ = split
    inner = PopularityNeuronSelector()
    selectors = [inner] + [
        ControlSelector(inner, control=control, random_state=seed)
        for control in ("signs", "permutation")
        for seed in range(3)
    ]
    popularity = item_popularity(X)
    reached, *controls = (
        popularity[steered(host, X, one).predict(X)].mean() for one in selectors
    )
    assert reached < min(controls)
    assert reached < popularity[host.recommend(X)].mean()
