"""Two budgets of examples, and their number at the end of a run.

"bounded" is what ``make test`` does: the same examples every time. "long" looks for new
ones: ``--hypothesis-profile=long``, or ``SKPOPSTEER_FUZZ=long`` in the environment.
"""

import functools
import pathlib
from collections import Counter

import pytest

from tests.fuzz.budget import TRIED

FOLDER = pathlib.Path(__file__).parent
#: What the workers of pytest-xdist report to the process that prints.
_OF_WORKERS: Counter[str] = Counter()


def pytest_collection_modifyitems(items):
    for item in items:
        if FOLDER in item.path.parents and hasattr(item.obj, "hypothesis"):
            _count(item.obj.hypothesis)


def _count(handle):
    inner = handle.inner_test
    if hasattr(inner, "counts_examples"):
        return

    @functools.wraps(inner)
    def counted(*args, **kwargs):
        TRIED[inner.__name__] += 1
        return inner(*args, **kwargs)

    counted.counts_examples = True
    handle.inner_test = counted


def pytest_sessionfinish(session):
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["fuzz_examples"] = dict(TRIED)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node):
    _OF_WORKERS.update(getattr(node, "workeroutput", {}).get("fuzz_examples", {}))


def pytest_terminal_summary(terminalreporter):
    tried = TRIED + _OF_WORKERS
    if tried:
        most = ", ".join(f"{name} {n:,}" for name, n in tried.most_common(5))
        terminalreporter.write_sep("-", "bad input")
        terminalreporter.write_line(f"{tried.total():,} examples tried; most: {most}")
