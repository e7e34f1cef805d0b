"""The case of the stored values: lists, some of them short, and what was held out."""

import json
from pathlib import Path

import numpy as np
from scipy.sparse import csr_array

FOLDER = Path(__file__).parent
#: LensKit's script drew it; the others measure the same.
CASE = json.loads((FOLDER / "golden_lenskit.json").read_text())
N_ITEMS = CASE["n_items"]
LISTS = np.array(CASE["recommendations"])
CUTS = [1, 4, 6]


def to_csr(rows):
    """Return lists of items as a row of ones each."""
    users = np.repeat(np.arange(len(rows)), [len(row) for row in rows])
    items = np.concatenate([np.array(row, dtype=int) for row in rows])
    return csr_array((np.ones(len(items)), (users, items)), shape=(len(rows), N_ITEMS))


SEEN, HELD_OUT = to_csr(CASE["seen"]), to_csr(CASE["held_out"])
POPULARITY = np.bincount(SEEN.indices, minlength=N_ITEMS)


def stored(library):
    """Return the values of a library by cut."""
    golden = json.loads((FOLDER / f"golden_{library}.json").read_text())
    return {int(k): values for k, values in golden["values"].items()}


def assert_same_values(found, expected):
    """Compare what a library gives with what is stored of it."""
    assert {int(k) for k in found} == set(expected)
    for k, values in found.items():
        assert values.keys() == expected[int(k)].keys()
        for name, value in values.items():
            got, kept = (
                np.array(one, dtype=float) for one in (value, expected[int(k)][name])
            )
            np.testing.assert_allclose(got, kept, rtol=1e-6, atol=1e-11, err_msg=name)
