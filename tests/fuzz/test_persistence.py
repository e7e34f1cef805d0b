"""Models come back as they were; other files and objects get one clear line."""

from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from skpopsteer import persistence
from tests.fuzz.budget import examples
from tests.fuzz.calls import answer, attempt, refusal
from tests.fuzz.covering import covers
from tests.fuzz.models import RERANKERS, TRAIN, fitted
from tests.fuzz.strategies import nonsense

pytest.importorskip("skops")
NAMES = [
    next(name for name in sorted(RERANKERS) if name.endswith(kind))
    for kind in ("PenaltyReranker", "SteeredRecommender", "GradientPopularityAdjuster")
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("models")


@cache
def _saved(folder, name):
    persistence.save(fitted(name), folder / name)
    return (folder / name).read_bytes()


@covers("persistence.save", "persistence.load")
@pytest.mark.parametrize("name", NAMES)
@examples(3, times_longer=20)
@given(data=st.data())
def test_models_come_back(name, folder, data):
    whole = _saved(folder, name)
    model = answer(persistence.load, folder / name)
    assert_array_equal(model.recommend(TRAIN), fitted(name).recommend(TRAIN))
    # A file that was cut off somewhere.
    part = folder / "part"
    part.write_bytes(whole[: data.draw(st.integers(0, len(whole) - 1))])
    refusal(persistence.load, part)
    # One whose bytes changed somewhere, as on a bad disk.
    changed = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 5))):
        place = data.draw(st.integers(0, len(whole) - 1))
        changed[place] = data.draw(st.integers(0, 255))
    part.write_bytes(changed)
    attempt(persistence.load, part)


@examples(20, times_longer=20)
@given(odd=nonsense(), junk=st.binary(max_size=40))
def test_other_files_and_models_are_refused(odd, junk, folder):
    (folder / "junk").write_bytes(junk)
    refusal(persistence.load, folder / "junk")
    refusal(persistence.save, odd, folder / "never")
    refusal(persistence.save, fitted(NAMES[0]), folder / "no such folder" / "model")
    assert not (folder / "never").exists()
    if not isinstance(odd, str):
        refusal(persistence.save, fitted(NAMES[0]), odd)
    refusal(persistence.save, fitted(NAMES[0]), folder)
    for file in (odd, folder, folder / "no such file", "a\0b"):
        refusal(persistence.load, file)
