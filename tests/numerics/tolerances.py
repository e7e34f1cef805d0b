"""How far a step may be from float64: what the table of the guide says."""

import re
from pathlib import Path

import numpy as np

__all__ = ["PAGE", "TOLERANCES", "assert_near", "error_of"]

PAGE = Path(__file__).parents[2] / "docs" / "user_guide" / "numbers.md"
#: By step, from the rows `| step | tolerance | of what |` of the page.
TOLERANCES = {
    name: float(number)
    for name, number in re.findall(
        r"^\| ([^|]+?) \| (\d(?:e-\d+)?) \|", PAGE.read_text(encoding="utf-8"), re.M
    )
}


def error_of(got, expected):
    """Return the largest difference in a row, over the largest number of that row."""
    got, expected = np.asarray(got), np.asarray(expected)
    assert got.shape == expected.shape
    assert expected.dtype == np.float64
    assert np.isfinite(expected).all()
    got, expected = np.atleast_2d(got), np.atleast_2d(expected)
    gap = np.abs(got - expected).max(axis=1)
    size = np.abs(expected).max(axis=1)
    return np.max(gap / np.where(size > 0, size, 1.0))


def assert_near(step, got, expected):
    """Compare with a reference in float64, row by row."""
    assert error_of(got, expected) <= TOLERANCES[step], step
