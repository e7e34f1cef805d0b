"""The door to scikit-learn's callbacks, which came with 1.9 and are experimental.

Before 1.9 there are none: an estimator then has no ``set_callbacks``, and nothing here
does anything. `_fit_context` of 1.9 takes the callbacks down after every fit.
"""

from contextlib import contextmanager

try:
    from sklearn.callback import CallbackSupportMixin
except ModuleNotFoundError:

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Stand-in of scikit-learn before 1.9, without any method."""


__all__ = ["CallbackSupportMixin", "fit_task", "run_task"]


@contextmanager
def fit_task(estimator, n_runs):
    """Tell the callbacks of an estimator that its fit begins, and that it is over.

    Parameters
    ----------
    estimator : estimator
        With `CallbackSupportMixin`, in a ``fit`` under `_fit_context`, which takes the
        callbacks down in the end, after an error too. It is fitted when this is left.
    n_runs : int
        How often :func:`run_task` will be entered at most.

    Notes
    -----
    Once a fit: a second context would set the callbacks up twice.
    """
    if not hasattr(estimator, "_init_callback_context"):
        yield
        return
    context = estimator._init_callback_context(max_subtasks=n_runs)
    context.call_on_fit_task_begin(estimator=estimator)
    yield
    # Nothing to add to the estimator: it is fitted as it stands.
    context.call_on_fit_task_end(estimator=estimator, reconstruction_attributes={})


@contextmanager
def run_task(estimator, n_steps, name):
    """Tell the callbacks about one run of several steps, inside of :func:`fit_task`.

    Parameters
    ----------
    estimator : estimator
        As there. Outside of it, in ``partial_fit`` say, callbacks hear of nothing.
    n_steps : int
        Steps at the most.
    name : str
        What to call the run.

    Yields
    ------
    callable
        ``end_step(attributes)``, to be called after every step. `attributes` is None,
        or a function that returns the fitted attributes as they would be if training
        stopped here; it is called only if a callback asks. True comes back when a
        callback asks for a stop. A step is told as begun when it ends: whether there
        will be another one is not known before.
    """
    parent = getattr(estimator, "_callback_fit_ctx", None)
    if parent is None:
        yield _never_stop
        return
    context = parent.subcontext(task_name=name, max_subtasks=n_steps)
    context.call_on_fit_task_begin(estimator=estimator)

    def end_step(attributes):
        step = context.subcontext(task_name="epoch")
        step.call_on_fit_task_begin(estimator=estimator)
        return step.call_on_fit_task_end(
            estimator=estimator, reconstruction_attributes=attributes
        )

    yield end_step
    context.call_on_fit_task_end(estimator=estimator)


def _never_stop(attributes):
    return False
