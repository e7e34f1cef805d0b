"""The table of the guide and the tests of its steps belong together."""

import re
from pathlib import Path

import numpy as np
import pytest

from tests.numerics.tolerances import PAGE, TOLERANCES, assert_near, error_of

TESTS = Path(__file__).parent


def test_every_step_of_the_table_is_tested_and_no_other():
    named = set()
    for file in TESTS.glob("test_*.py"):
        text = file.read_text(encoding="utf-8")
        named |= set(re.findall(r'assert_near\(\s*"([^"]+)"', text))
    assert named == set(TOLERANCES)
    assert len(TOLERANCES) >= 20


def test_every_line_of_the_table_is_read():
    table = PAGE.read_text(encoding="utf-8").split("| step | tolerance |")[1]
    lines = table.split("\n\n")[0].splitlines()[2:]
    assert len(lines) == len(TOLERANCES)
    assert all(0 <= value < 0.01 for value in TOLERANCES.values())


def test_what_is_beyond_the_tolerance_fails():
    expected = np.array([[1.0, -2.0], [0.0, 0.5]])
    got = expected + np.array([[0, 2e-6], [0, 0]])
    assert error_of(got, expected) == pytest.approx(1e-6)
    assert_near("scores", expected * (1 + 4e-6), expected)
    with pytest.raises(AssertionError, match="scores"):
        assert_near("scores", expected * (1 + 6e-6), expected)
    with pytest.raises(AssertionError, match="scores"):
        assert_near("scores", expected * np.nan, expected)
