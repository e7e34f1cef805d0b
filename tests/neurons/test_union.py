"""Several selectors as one: their names, strengths and rows."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from skpopsteer.neurons import NeuronSubset, NeuronUnion, PopularityNeuronSelector

Z = np.array([[2.0, 0, 1], [3, 0, 2], [0, 2, 1], [0, 3, 2]])
GROUPS = [1, 1, -1, -1]


def union(**params):
    return NeuronUnion(
        [("third", NeuronSubset([2])), ("popularity", PopularityNeuronSelector())],
        **params,
    )


def test_every_knob_has_the_strength_it_has_alone():
    fitted = union().fit_each(lambda one: one.fit(Z, GROUPS))
    assert fitted.strengths_ == {"third": 1.0, "popularity": -1.0}
    assert fitted.steering_weights_.tolist() == [-1, 1, 1]
    assert fitted.get_support().all()


def test_strengths_are_given_by_name():
    fitted = union(strengths={"third": -0.5}).fit_each(lambda one: one.fit(Z, GROUPS))
    assert fitted.strengths_ == {"third": -0.5, "popularity": -1.0}
    assert fitted.steering_weights_.tolist() == [-1, 1, -0.5]
    assert fitted.named_selectors_.third.steering_weights_.tolist() == [0, 0, 1]


def test_selectors_are_cloned():
    model = union()
    model.fit_each(lambda one: one.fit(Z, GROUPS))
    for _, selector in model.selectors:
        assert not hasattr(selector, "steering_weights_")


def test_it_transforms_to_the_neurons_of_any():
    fitted = NeuronUnion([("a", NeuronSubset([0])), ("b", NeuronSubset([2]))]).fit(
        Z, None
    )
    assert fitted.transform(Z).shape == (4, 2)
    assert fitted.get_feature_names_out().tolist() == ["x0", "x2"]


def test_it_is_cloned_and_set_as_any_estimator():
    model = union().set_params(popularity__threshold=0.5, third__neurons=[1])
    again = clone(model)
    assert again.get_params()["popularity__threshold"] == 0.5
    assert dict(again.selectors)["third"].neurons == [1]
    assert "NeuronUnion" in repr(again)


def test_it_must_be_fitted():
    with pytest.raises(NotFittedError):
        union().get_support()
    with pytest.raises(NotFittedError):
        union().named_selectors_  # noqa: B018


@pytest.mark.parametrize(
    ("selectors", "strengths", "line"),
    [
        ([], None, r"^`selectors` must be a list of \(name, selector\), with one"),
        ([NeuronSubset([0])], None, r"^`selectors` must be a list of \(name, sele"),
        ([("a", NeuronSubset([0])), ("a", NeuronSubset([1]))], None, "not unique"),
        ([("a__b", NeuronSubset([0]))], None, "must not contain __"),
        ([("strengths", NeuronSubset([0]))], None, "conflict with constructor"),
        ([("a", 3)], None, r"^`selectors` must hold selectors of neurons, no unions; "),
        ([("a", NeuronUnion([]))], None, r"^`selectors` must hold selectors of neuro"),
        ([("a", NeuronSubset([0]))], {"b": 1}, r"^`strengths` must name selectors \(a"),
        ([("a", NeuronSubset([0]))], {"a": np.nan}, r"^`strengths` must hold finite n"),
        ([("a", NeuronSubset([0]))], {"a": "up"}, r"^`strengths` must hold finite num"),
    ],
)
def test_what_makes_no_union_is_named(selectors, strengths, line):
    with pytest.raises((TypeError, ValueError), match=line):
        NeuronUnion(selectors, strengths=strengths).fit(Z, GROUPS)


def test_selectors_of_different_probes_do_not_join():
    widths = iter([3, 2])
    with pytest.raises(ValueError, match=r"^`selectors` must be fitted on the neurons"):
        NeuronUnion([("a", NeuronSubset([0])), ("b", NeuronSubset([1]))]).fit_each(
            lambda one: one.fit(Z[:, : next(widths)])
        )
