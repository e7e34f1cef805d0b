"""The oldest versions that are tried are those that pyproject.toml allows."""

import re
import tomllib

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from tests.test_readme import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))[
    "project"
]


def requirements(extra=None):
    """Return what the package or an extra asks for, extras within it included."""
    texts = (
        PROJECT["optional-dependencies"][extra] if extra else PROJECT["dependencies"]
    )
    found = []
    for requirement in map(Requirement, texts):
        if requirement.name == PROJECT["name"]:
            for other in requirement.extras:
                found += requirements(other)
        else:
            found.append(requirement)
    return found


def pins(name):
    """Return the pins of a file, those before the first empty line alone."""
    text = (ROOT / name).read_text(encoding="utf-8").split("\n\n")[0]
    found = re.findall(r"^([\w.-]+)==(\S+)$", text, re.M)
    assert len(found) == len(dict(found))
    return {canonicalize_name(package): Version(pin) for package, pin in found}


def minimum(requirement):
    """Return the version behind ``>=``, the one condition there is."""
    (condition,) = requirement.specifier
    assert condition.operator == ">="
    return Version(condition.version)


OLDEST = pins("constraints-oldest.txt")
ASKED = {canonicalize_name(r.name): r for r in (*requirements(), *requirements("test"))}


@pytest.mark.parametrize("name", sorted(ASKED))
def test_the_oldest_version_is_of_the_release_that_is_asked_for(name):
    least, pin = minimum(ASKED[name]), OLDEST[name]
    assert pin >= least
    # A later patch where the first was withdrawn: never a later release.
    assert pin.release[: len(least.release)] == least.release


def test_nothing_else_is_pinned():
    # dask brings distributed, which must be of its version.
    assert set(OLDEST) - set(ASKED) == {"distributed"}
    assert OLDEST["distributed"] == OLDEST["dask"]
    assert len(OLDEST) > 25


def test_what_is_asked_for_twice_is_asked_for_alike():
    for requirement in (*requirements(), *requirements("test")):
        other = ASKED[canonicalize_name(requirement.name)]
        assert minimum(requirement) == minimum(other), requirement.name


def test_the_newest_pins_are_allowed():
    newest = pins("constraints.txt")
    for name in set(newest) & set(ASKED):
        assert newest[name] in ASKED[name].specifier
        assert newest[name] >= OLDEST[name]


def test_the_page_of_versions_says_the_same():
    page = (ROOT / "docs" / "versions.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| ([^|]+) \| [^|]+ \| ([^|]+) \|$", page, re.M))
    least = {name: minimum(requirement) for name, requirement in ASKED.items()}
    python = PROJECT["requires-python"].removeprefix(">=")
    assert rows["Python"].startswith(f"{python} and later")
    assert rows["scikit-learn"].startswith(f"{least['scikit-learn']} and later")
    assert rows["torch"].startswith(f"{least['torch']} and later")
    arrays = f"numpy {least['numpy']}, 1.26 and 2; scipy {least['scipy']}"
    assert rows["numpy, scipy"] == arrays
    others = ["implicit", "numba", "joblib", "threadpoolctl"]
    shown = ", ".join(str(least[name]) for name in others)
    assert rows[", ".join(others)] == shown


def test_the_page_of_versions_says_what_is_tried():
    page = (ROOT / "docs" / "versions.md").read_text(encoding="utf-8")
    tried = page.split("### Tried")[1]
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in tried.splitlines()
        if line.startswith("| 3.")
    ]
    names = ["numpy", "scipy", "scikit-learn", "torch"]
    by_command = {row[-1].strip("`"): row[1:5] for row in rows}
    assert by_command["make test-oldest"] == [str(OLDEST[name]) for name in names]
    newest = pins("constraints.txt")
    assert by_command["make test"] == [str(newest[name]) for name in names]
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    versions = re.search(r"^SKLEARN_VERSIONS \?= (.*)$", makefile, re.M)[1].split()
    others = by_command["make test-sklearn"][2].split(", ")
    assert [*others, str(newest["scikit-learn"])] == versions
    targets = set(re.findall(r"^([\w-]+):", makefile, re.M))
    assert {command.split()[1] for command in by_command} <= targets
