"""No call of a public name leaves anything of the process changed."""

import doctest
import importlib
import pkgutil
import re

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure

import skpopsteer
from skpopsteer import PopularityPenaltyReranker
from skpopsteer.inspection import (
    ExposureDisplay,
    PopularityAudit,
    compare,
    steering_report,
)
from skpopsteer.persistence import load, save
from tests.hosts import HOSTS
from tests.reliability.forked import posix
from tests.reliability.process_state import changes, state_of_the_process
from tests.reliability.test_shared_objects import steered
from tests.reliability.traces import TRACES

#: Their examples need a library that has an environment of its own.
ELSEWHERE = {"LensKitRecommender", "RecBoleRecommender", "RecToolsRecommender"}
MAKES_MODULES = re.compile(r"torch\.nn|import torch|ELSA\(|nn\.Module")
FLAGS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS


def _examples():
    """Return the examples of every public name, by its name."""
    found = {}
    for module in pkgutil.iter_modules(skpopsteer.__path__):
        if module.name.startswith("_"):
            continue
        public = importlib.import_module(f"skpopsteer.{module.name}")
        for name in public.__all__:
            if callable(thing := getattr(public, name)):
                examples = doctest.DocTestFinder().find(thing, name, globs={})
                found[name] = [one for one in examples if one.examples]
    return found


EXAMPLES = _examples()


def test_there_are_examples_to_run():
    """Every public name has one, as tests/test_docstrings.py demands."""
    assert len(EXAMPLES) > 90
    assert sum(map(bool, EXAMPLES.values())) > 85


@pytest.mark.parametrize("name", sorted(set(EXAMPLES) - ELSEWHERE))
def test_examples_of_a_public_name_leave_no_trace(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    mpl.use("agg")
    # As in scikit-learn, None as `random_state` asks for numpy's own generator. Here it
    # gets another one, so that whoever uses numpy's for anything else is found.
    monkeypatch.setattr(np.random.mtrand, "_rand", np.random.RandomState(0))
    source = "".join(one.source for test in EXAMPLES[name] for one in test.examples)
    # Modules are made with numbers of torch's generator, and these make some.
    its_own = {"torch's generator"} if MAKES_MODULES.search(source) else set()

    def run():
        before = state_of_the_process()
        for example in EXAMPLES[name]:
            runner = doctest.DocTestRunner(verbose=False, optionflags=FLAGS)
            written = []
            names = dict(example.globs)
            result = runner.run(example, out=written.append)
            example.globs = names
            assert not result.failed, "".join(written)
        return before, state_of_the_process()

    before, after = run()
    assert set(changes(before, after, imports_may=True)) <= its_own
    if changes(before, after):
        # What was imported at the first call may stay; there is a second one.
        assert set(changes(*run())) <= its_own


LEAVE = """
from tests.reliability.process_state import changes, state_of_the_process
from tests.reliability.traces import TRACES

for name, leave in TRACES.items():

    def work():
        before = state_of_the_process()
        leave()
        print(name, *changes(before, state_of_the_process()), sep=", ", flush=True)
        os._exit(0)

    end(start(work))
"""


@posix
def test_traces_would_be_found(run):
    lines = [line.split(", ") for line in run(LEAVE)]
    assert [name for name, *_ in lines] == list(TRACES)
    for name, *found in lines:
        assert name in found


@pytest.mark.parametrize("name", ["als", "truncated_svd", "autoencoder"])
def test_a_models_whole_life_leaves_no_trace(name, tmp_path):
    mpl.use("agg")
    # Once before: what is imported and started at the first call may stay.
    for measured in (False, True):
        before = state_of_the_process()
        model, arguments = steered(name)
        X = arguments["X"]
        y = X[np.roll(np.arange(X.shape[0]), 1)]
        y = (y - y.multiply(X > 0)).tocsr()
        y.eliminate_zeros()
        y.data[:] = 1
        model.recommend(X, strength=2.0)
        model.decision_function(X)
        model.transform(X)
        model.score(X, y)
        rival = PopularityPenaltyReranker(HOSTS[name]().recommender).fit(X)
        compare({"steered": model, "penalty": rival}, X, y)
        ExposureDisplay.from_estimator(model, X, ax=Figure().subplots(1, 2))
        if name == "truncated_svd":
            PopularityAudit(HOSTS[name]().recommender, random_state=0).fit(X)
            save(model, tmp_path / "model.skops")
            load(tmp_path / "model.skops").recommend(X)
            report = steering_report(model, X, y, n_users=5, random_state=0)
            for kind in ("html", "md", "json"):
                report.save(tmp_path / f"report.{kind}")
        with pytest.raises(ValueError, match="strength"):
            model.recommend(X, strength=np.nan)
        after = state_of_the_process()
        assert not changes(before, after, imports_may=not measured)
