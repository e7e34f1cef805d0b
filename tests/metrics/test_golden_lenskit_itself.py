"""What is stored of LensKit is what LensKit gives, where it is installed."""

import pytest

from tests.metrics.golden_case import CASE, assert_same_values, stored
from tests.metrics.make_golden_lenskit import make_case, measure


def test_the_case_is_the_one_that_was_drawn():
    lists, seen, held_out = make_case()
    assert lists == CASE["recommendations"]
    assert (seen, held_out) == (CASE["seen"], CASE["held_out"])


@pytest.mark.filterwarnings("ignore")
def test_the_stored_values_are_those_of_the_library():
    pytest.importorskip("lenskit")
    found = measure(CASE["recommendations"], CASE["seen"], CASE["held_out"])
    assert_same_values(found, stored("lenskit"))
