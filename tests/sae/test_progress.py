"""Progress is shown where it is asked for, and callbacks of scikit-learn are told."""

import logging
import pickle
import subprocess
import sys
import threading

import numpy as np
import pytest
import sklearn
from sklearn.base import BaseEstimator, clone
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.fixes import parse_version

from skpopsteer._callbacks import CallbackSupportMixin, fit_task, run_task
from skpopsteer._compat import _fit_context
from skpopsteer.sae import _progress
from skpopsteer.sae._progress import track

HAS_CALLBACKS = parse_version(sklearn.__version__) >= parse_version("1.9")
needs_callbacks = pytest.mark.skipif(
    not HAS_CALLBACKS, reason="scikit-learn has callbacks since 1.9"
)


class Tiny(CallbackSupportMixin, BaseEstimator):
    """Trains as the probe does: several runs of several epochs."""

    _parameter_constraints: dict = {}  # noqa: RUF012

    def __init__(self, max_iter=5, *, n_init=1, last=None, verbose=0):
        self.max_iter = max_iter
        self.n_init = n_init
        self.last = last
        self.verbose = verbose

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X=None, y=None):
        with fit_task(self, self.n_init):
            for start in range(self.n_init):
                self._run(start)
            self.fitted_ = True
        return self

    def transform(self, X):
        return X

    def score(self, X, y=None):
        return self.n_iter_

    def _run(self, start):
        with track(
            self, self.max_iter, verbose=self.verbose, description=f"start {start}"
        ) as update:
            for epoch in range(1, self.max_iter + 1):
                self.n_iter_ = epoch
                stop = update(1 / epoch, epoch, attributes=lambda: {"fitted_": True})
                if stop or epoch == self.last:
                    break


@pytest.fixture
def silent():
    """The logger as it is when nobody has set logging up, whatever pytest does."""
    logger = _progress.logger
    level, propagate = logger.level, logger.propagate
    logger.propagate = False
    yield logger
    logger.setLevel(level)
    logger.propagate = propagate


# --- lines and bars ---------------------------------------------------------------


def test_nothing_is_shown_at_verbosity_0(capfd, caplog, monkeypatch):
    caplog.set_level("INFO", logger="skpopsteer.sae")
    # A bar would fail now, because it is not even imported.
    monkeypatch.setitem(sys.modules, "tqdm", None)
    Tiny().fit()
    assert not caplog.records
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(("verbose", "epochs"), [(1, [1, 11, 21]), (2, range(1, 26))])
def test_lines_are_logged_where_somebody_listens(capfd, caplog, verbose, epochs):
    caplog.set_level("INFO", logger="skpopsteer.sae")
    Tiny(25, verbose=verbose).fit()
    expected = [f"epoch {n}/25: loss {1 / n:.4f}, dead neurons {n}" for n in epochs]
    assert caplog.messages == expected
    assert {record.name for record in caplog.records} == {"skpopsteer.sae"}
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("verbose", [1, 2, True])
@pytest.mark.parametrize("level", ["WARNING", "INFO"])
def test_a_bar_is_drawn_where_nobody_listens(
    capfd, silent, level, verbose, monkeypatch
):
    # A level without a handler shows nothing either; pytest has put its own there.
    silent.setLevel(level)
    monkeypatch.setattr(silent, "handlers", [])
    Tiny(25, verbose=verbose).fit()
    out, err = capfd.readouterr()
    assert out == ""
    last = err.rstrip().rpartition("\r")[2]
    assert last.startswith("start 0: 100%")
    assert "25/25" in last
    assert "loss=0.0400, dead=25" in last


def test_a_handler_alone_gets_no_lines_and_leaves_the_bar(capfd, silent):
    silent.setLevel("WARNING")
    handler = logging.NullHandler()
    silent.addHandler(handler)
    try:
        Tiny(verbose=1).fit()
    finally:
        silent.removeHandler(handler)
    assert "5/5" in capfd.readouterr().err


def test_every_start_has_a_bar_and_an_early_end_is_seen(capfd, silent):
    Tiny(5, n_init=2, last=2, verbose=1).fit()
    err = capfd.readouterr().err
    for start in range(2):
        assert f"start {start}:  40%" in err
    assert "5/5" not in err


def test_a_bar_in_a_file_has_few_states(capfd, silent):
    Tiny(2000, verbose=1).fit()
    # The empty one and the full one, not a state every tenth of a second.
    assert capfd.readouterr().err.count("\r") <= 3


def test_the_bar_is_closed_after_an_error(capfd, silent):
    def train():
        with track(Tiny(), 5, verbose=1, description="run") as update:
            update(0.5, 1)
            raise RuntimeError("stop here")

    with pytest.raises(RuntimeError, match="stop here"):
        train()
    err = capfd.readouterr().err
    assert "1/5" in err
    assert err.endswith("\n")


def test_lines_are_logged_without_tqdm(silent, monkeypatch, capfd):
    monkeypatch.setitem(sys.modules, "tqdm", None)
    lines = []
    monkeypatch.setattr(silent, "info", lambda line, *args: lines.append(line % args))
    Tiny(verbose=1).fit()
    assert lines == ["epoch 1/5: loss 1.0000, dead neurons 1"]
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("verbose", [1, 2])
def test_counting_goes_on_from_a_checkpoint(caplog, verbose):
    caplog.set_level("INFO", logger="skpopsteer.sae")
    with track(Tiny(), 30, verbose=verbose, description="run") as update:
        update(0.5, 0, epoch=20)
        update(0.5, 0)
        update(0.5, 0)
    epochs = [record.args[0] for record in caplog.records]
    assert epochs == ([21] if verbose == 1 else [20, 21, 22])


def test_the_bar_goes_on_from_a_checkpoint(capfd, silent):
    with track(Tiny(), 30, verbose=1, description="run") as update:
        update(0.5, 0, epoch=20)
        update(0.5, 0)
    assert "21/30" in capfd.readouterr().err


def test_tqdm_is_not_imported_for_nothing():
    code = (
        "import sys\n"
        "from skpopsteer.sae._progress import track\n"
        "with track(None, 3, verbose=0, description='run') as update:\n"
        "    assert update(0.5, 1) is False\n"
        "sys.exit('tqdm' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# --- callbacks of scikit-learn ------------------------------------------------------


class Recorder:
    """A callback that writes down what it is told."""

    def __init__(self, stop_after=None):
        self.told = []
        self.stop_after = stop_after

    def setup(self, estimator, context):
        self.told.append("setup")

    def teardown(self, estimator, context):
        self.told.append("teardown")

    def on_fit_task_begin(self, estimator, context):
        self.told.append(("begin", context.task_name, context.task_id))

    def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
        fitted = getattr(fitted_estimator, "fitted_", None)
        self.told.append(("end", context.task_name, context.task_id, fitted))
        return context.task_name == "epoch" and context.task_id + 1 == self.stop_after


def _run(start, n_epochs):
    yield "begin", f"start {start}", start
    for epoch in range(n_epochs):
        yield "begin", "epoch", epoch
        yield "end", "epoch", epoch, True
    yield "end", f"start {start}", start, None


@needs_callbacks
@pytest.mark.parametrize("verbose", [0, 1])
def test_callbacks_hear_of_the_fit_its_runs_and_their_epochs(verbose, caplog):
    recorder = Recorder()
    Tiny(3, n_init=2, verbose=verbose).set_callbacks(recorder).fit()
    assert recorder.told == [
        "setup",
        ("begin", "fit", 0),
        *_run(0, 3),
        *_run(1, 3),
        ("end", "fit", 0, True),
        "teardown",
    ]


@needs_callbacks
def test_a_callback_can_stop_the_training():
    recorder = Recorder(stop_after=2)
    assert Tiny(5).set_callbacks(recorder).fit().n_iter_ == 2
    assert [told for told in recorder.told if told[1] == "epoch"] == [
        told for told in _run(0, 2) if told[1] == "epoch"
    ]


@needs_callbacks
def test_callbacks_are_taken_down_after_an_error_and_a_fit_is_a_new_one():
    recorder = Recorder()
    tiny = Tiny("five").set_callbacks(recorder)
    with pytest.raises(TypeError):
        tiny.fit()
    assert recorder.told[-1] == "teardown"
    recorder.told.clear()
    tiny.set_params(max_iter=1).fit()
    assert recorder.told.count("setup") == recorder.told.count("teardown") == 1
    # Nothing of the fit stays with the estimator but what was there before.
    assert set(vars(clone(tiny))) | {"n_iter_", "fitted_"} == set(vars(tiny))


@needs_callbacks
def test_a_pipeline_passes_its_callbacks_on():
    class Passed(Recorder):
        max_propagation_depth = None

    passed = Passed()
    X = np.ones((3, 2))
    pipeline = make_pipeline(StandardScaler(), Tiny(2)).set_callbacks(passed)
    pipeline.fit(X)
    epochs = [told for told in passed.told if told[:2] == ("begin", "epoch")]
    assert epochs == [("begin", "epoch", 0), ("begin", "epoch", 1)]
    assert passed.told.count("teardown") == 1


@needs_callbacks
def test_the_scoring_monitor_of_scikit_learn_sees_every_epoch():
    from sklearn.callback import ScoringMonitor

    monitor = ScoringMonitor(scoring=None)
    Tiny(4, n_init=2).set_callbacks(monitor).fit()
    log = monitor.get_logs()
    names = [row["task_name"] for row in log.data]
    assert names == ["fit"] + ["epoch"] * 8


@needs_callbacks
def test_the_progress_bar_of_scikit_learn_is_filled(capfd):
    pytest.importorskip("rich")
    from sklearn.callback import ProgressBar

    Tiny(4, n_init=2).set_callbacks(ProgressBar()).fit()
    out = capfd.readouterr().out
    assert "Tiny - fit" in out
    for start in range(2):
        line = next(line for line in out.splitlines() if f"start {start}" in line)
        assert "100%" in line
    # Taken down: the thread that draws has ended.
    threads = {type(thread).__name__ for thread in threading.enumerate()}
    assert "RichProgressMonitor" not in threads


@needs_callbacks
def test_a_fitted_estimator_with_callbacks_can_be_copied():
    tiny = Tiny(2).set_callbacks(Recorder()).fit()
    assert pickle.loads(pickle.dumps(tiny)).fit().n_iter_ == 2
    assert clone(tiny).fit().n_iter_ == 2


def test_without_callbacks_nothing_is_left_behind():
    tiny = Tiny(3, n_init=2).fit()
    assert tiny.n_iter_ == 3
    assert vars(tiny) == {**tiny.get_params(), "n_iter_": 3, "fitted_": True}
    assert hasattr(tiny, "set_callbacks") == HAS_CALLBACKS


def test_a_run_outside_of_a_fit_tells_nobody():
    tiny = Tiny()
    if HAS_CALLBACKS:
        tiny.set_callbacks(recorder := Recorder())
    with run_task(tiny, 3, "run") as end_step:
        assert end_step(None) is False
    if HAS_CALLBACKS:
        assert recorder.told == []
