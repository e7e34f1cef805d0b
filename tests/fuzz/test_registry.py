"""Every public name is tried by some test of this folder."""

import importlib
import inspect
import pathlib
import pkgutil

import pytest

import skpopsteer

FOLDER = pathlib.Path(__file__).parent
PUBLIC = sorted(
    module.name
    for module in pkgutil.iter_modules(skpopsteer.__path__)
    if not module.name.startswith("_")
)
#: What cannot be tried here, and why.
EXEMPT = {
    "adapters.LensKitRecommender": "LensKit has an environment of its own",
    "adapters.RecBoleRecommender": "RecBole has an environment of its own",
    "adapters.RecToolsRecommender": "RecTools has an environment of its own",
    "persistence.TRUSTED_TYPES": "a constant",
}


def _covered():
    names = set()
    for path in FOLDER.glob("test_*.py"):
        if path.stem == "test_registry":
            continue
        module = importlib.import_module(f"tests.fuzz.{path.stem}")
        for _, test in inspect.getmembers(module):
            names.update(getattr(test, "covers", ()))
    return names


COVERED = _covered()


@pytest.mark.parametrize("subpackage", PUBLIC)
def test_public_names_are_tried(subpackage):
    module = importlib.import_module(f"skpopsteer.{subpackage}")
    public = {f"{subpackage}.{name}" for name in module.__all__}
    missing = sorted(public - COVERED - set(EXEMPT))
    assert not missing, f"no test of tests/fuzz covers {', '.join(missing)}"


def test_nothing_is_said_to_be_tried_that_does_not_exist():
    for name in COVERED | set(EXEMPT):
        subpackage, _, public = name.partition(".")
        module = importlib.import_module(f"skpopsteer.{subpackage}")
        assert hasattr(module, public), name


def test_the_root_names_nothing_else():
    elsewhere = set()
    for subpackage in PUBLIC:
        elsewhere.update(importlib.import_module(f"skpopsteer.{subpackage}").__all__)
    assert set(skpopsteer.__all__) - {"__version__"} <= elsewhere
