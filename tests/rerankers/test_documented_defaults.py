"""A reranker that is given nothing but a host does what its docstring says."""

import pytest

import skpopsteer.rerankers
from tests.neurons.documented import differing_defaults, estimators_of

ESTIMATORS = estimators_of(skpopsteer.rerankers)


@pytest.mark.parametrize("name", ESTIMATORS)
def test_defaults_are_the_documented_ones(name):
    assert differing_defaults(ESTIMATORS[name]) == []


def test_estimators_are_found():
    assert {"PopularityPenaltyReranker", "MMRReranker"} <= ESTIMATORS.keys()
