"""Copies of the repository that mutmut changes."""

import json
import pathlib
import shutil

__all__ = ["FOLDERS", "ROOT", "copy_repository", "settings"]

ROOT = pathlib.Path(__file__).resolve().parents[2]
FOLDERS = ("metrics", "neurons", "rerankers", "steering")
#: Tests of the files that take least time first: most mutants fall to them.
ORDER = """
import collections, json, pathlib

def pytest_collection_modifyitems(items):
    file = pathlib.Path("mutmut-stats.json")
    if file.exists():
        took = json.loads(file.read_text())["duration_by_test"]
        whole = collections.Counter()
        for item in items:
            whole[item.location[0]] += took.get(item.nodeid, 0.0)
        items.sort(key=lambda item: whole[item.location[0]])
"""


def settings(folder, tests=None):
    """Return the section of ``pyproject.toml`` that mutmut reads in the copy.

    Parameters
    ----------
    folder : str
    tests : list of str, default=None
        Paths; None takes all of the folder.

    Returns
    -------
    str
    """
    if tests is None:
        tests = [f"tests/{folder}", f"skpopsteer/{folder}"]
        if folder != "metrics":
            tests += ["tests/golden", "tests/test_documented_defaults.py"]
    arguments = ["-p", "quick_first", "-p", "no:cacheprovider", "-p", "no:xdist"]
    # Every mutant has the doctests of its function; one of them is enough.
    arguments += ["-k", "not __mutmut_", "-m", "not slow and not network and not gpu"]
    lines = {
        "source_paths": ["skpopsteer"],
        "only_mutate": [f"skpopsteer/{folder}/*"],
        "also_copy": ["data", "quick_first.py"],
        "process_isolation": "forkserver",
        "pytest_add_cli_args": arguments,
        "pytest_add_cli_args_test_selection": tests,
        "timeout_multiplier": 4.0,
        "timeout_constant": 5.0,
    }
    section = [f"{key} = {json.dumps(value)}" for key, value in lines.items()]
    return "\n[tool.mutmut]\n" + "\n".join(section) + "\n"


def copy_repository(copy):
    """Bring a copy up to date, where files that did not change keep their verdicts.

    Parameters
    ----------
    copy : pathlib.Path
    """
    copy.mkdir(parents=True, exist_ok=True)
    for link, target in [
        (copy / "shared", ROOT.parent / "shared"),
        (copy / "benchmarks", ROOT / "benchmarks"),
    ]:
        link.unlink(missing_ok=True)
        if target.exists():
            link.symlink_to(target)
    for name in ("skpopsteer", "tests", "data"):
        _synchronise(ROOT / name, copy / name)
    shutil.rmtree(copy / "mutants" / "tests", ignore_errors=True)
    shutil.copy(ROOT / "setup.cfg", copy)
    (copy / "quick_first.py").write_text(ORDER, encoding="utf-8")


def _synchronise(source, target):
    kept = set()
    for file in source.rglob("*"):
        if file.is_dir() or "__pycache__" in file.parts:
            continue
        other = target / file.relative_to(source)
        kept.add(other)
        content = file.read_bytes()
        if source.name == "skpopsteer" and file.suffix == ".py":
            # Compiled loops run as plain Python: mutmut leaves decorated ones alone.
            content = content.replace(b"\n@compiled\n", b"\n")
        if not other.exists() or other.read_bytes() != content:
            other.parent.mkdir(parents=True, exist_ok=True)
            other.write_bytes(content)
    for other in target.rglob("*"):
        if other.is_file() and "__pycache__" not in other.parts and other not in kept:
            other.unlink()
