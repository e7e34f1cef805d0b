"""An estimator that is given no more than it needs does what its docstring says."""

import pytest

from skpopsteer import neurons, rerankers, steering
from tests.documented import (
    as_documented,
    differing_defaults,
    documented_defaults,
    estimators_of,
)

ESTIMATORS = {
    name: estimator
    for package in (neurons, rerankers, steering)
    for name, estimator in estimators_of(package).items()
}


@pytest.mark.parametrize("name", ESTIMATORS)
def test_defaults_are_the_documented_ones(name):
    assert differing_defaults(ESTIMATORS[name]) == []


def test_defaults_are_found_and_compared():
    def documented():
        """Say something.

        Parameters
        ----------
        first : int
            With default=3 in the text.
        second, third : float or None, default=0.5
            Of both.
        fourth : callable, default=sorted

        Returns
        -------
        fifth : int, default=7
        """

    told = documented_defaults(documented)
    assert told == {"second": "0.5", "third": "0.5", "fourth": "sorted"}
    assert as_documented(0.5, "0.5")
    assert as_documented(sorted, "sorted")
    assert not as_documented(1, "1.0")
    assert not as_documented(0.6, "0.5")
    assert not as_documented(min, "sorted")
    found = {"PopularityNeuronSelector", "MMRReranker", "SteeredRecommender"}
    assert found <= ESTIMATORS.keys()
