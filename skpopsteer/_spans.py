"""Spans of rows, through whatever pool of workers joblib has been given."""

import itertools
import pickle
import uuid

import joblib
import numpy as np
from joblib.parallel import get_active_backend

__all__ = ["over_parts", "over_spans", "spans"]

#: Rows of a task. It depends on nothing, so that rows are cut alike, and results are
#: equal to the last bit, however many workers there are.
SPAN_ROWS = 1024
#: How often spans are handed out whose worker was lost.
_ROUNDS = 4
#: What this process unpickled last: tasks of one call come one after the other.
_UNPACKED: dict = {}


def spans(n_rows):
    """Cut rows into spans.

    Parameters
    ----------
    n_rows : int

    Yields
    ------
    slice
        Consecutive rows, in order; of no rows, one empty span.
    """
    for start in range(0, max(n_rows, 1), SPAN_ROWS):
        yield slice(start, min(start + SPAN_ROWS, n_rows))


def over_spans(call, context, *columns):
    """Call a function for every span of some rows.

    Parameters
    ----------
    call : callable
        ``call(context, *parts)``, parts being the rows of a span of every column; a
        function of a module.
    context : object
        What all spans share, such as an estimator. It is pickled once a call, and
        travels once to every worker.
    *columns : array-like of shape (n_rows, ...) or None
        What is cut into spans, the first of them an array; None stays None.

    Returns
    -------
    list
        Results, in the order of the rows; of no rows, that of one empty span.

    Notes
    -----
    Without ``joblib.parallel_config`` this is a loop. Under one, spans are tasks of its
    backend. What `call` raises is raised here; spans that a lost worker takes with it
    are handed out again.
    """

    def cut(span):
        return [None if column is None else column[span] for column in columns]

    n_rows = columns[0].shape[0]
    if n_rows <= SPAN_ROWS or joblib.effective_n_jobs(None) == 1:
        return [call(context, *cut(span)) for span in spans(n_rows)]
    return over_parts(call, context, [cut(span) for span in spans(n_rows)])


def over_parts(call, context, parts):
    """Call a function for every part of a task, through the active backend of joblib.

    Parameters
    ----------
    call, context : see :func:`over_spans`
    parts : list of tuple
        The other arguments of every call.

    Returns
    -------
    list
        Results, in the order of the parts.
    """
    if len(parts) == 1 or joblib.effective_n_jobs(None) == 1:
        return [call(context, *part) for part in parts]
    backend, _ = get_active_backend()
    if getattr(backend, "supports_sharedmem", False):
        n_rounds, attempt, common = 1, _attempt, (call, context)
    else:
        n_rounds, attempt, common = _ROUNDS, _attempt_parcel, _parcel(call, context)
    results: dict = {}
    for _ in range(n_rounds):
        lost = _hand_out(attempt, common, parts, results)
        if len(results) == len(parts):
            return [results[i] for i in range(len(parts))]
    raise lost or RuntimeError(
        f"the backend of joblib must give a result for each of {len(parts)} tasks; got "
        f"{len(results)} in {n_rounds} rounds. Look at the logs of its workers."
    )


def _parcel(call, context):
    """Return what many parts need as workers unpack it, and a key to know it by."""
    # Hosts hold functions of notebooks, which plain pickle refuses.
    whole = joblib.wrap_non_picklable_objects((call, context), keep_wrapper=False)
    # An array is what every backend ships well: loky maps it, dask scatters it.
    return uuid.uuid4().hex, np.frombuffer(pickle.dumps(whole, protocol=5), np.uint8)


def _hand_out(attempt, common, parts, results):
    """Hand out the tasks that have no result yet, and raise what one of them raised.

    Returns what the backend raised, or None: tasks that were lost with their worker can
    be handed out again.
    """
    missing = [i for i in range(len(parts)) if i not in results]
    errors: dict = {}
    lost = None
    # After an error no more tasks are handed out, and those that run come to their end:
    # a worker that is stopped on its way may leave half a file behind.
    numbers = itertools.takewhile(lambda _: not errors, missing)
    tasks = (joblib.delayed(attempt)(*common, i, parts[i]) for i in numbers)
    try:
        answers = joblib.Parallel(return_as="generator_unordered")(tasks)
        # Nothing comes of a task that was cancelled with its worker.
        for number, result, error in filter(None, answers):
            if error is None:
                results[number] = result
            else:
                errors[number] = error
    except Exception as error:
        lost = error
    if errors:
        raise errors[min(errors)]
    return lost


def _attempt(call, context, number, part):
    """Run one part; return its number, its result and its error."""
    try:
        return number, call(context, *part), None
    except Exception as error:
        return number, None, error


def _attempt_parcel(key, parcel, number, part):
    """Run one part in a worker, which unpacks what many parts need once."""
    try:
        call, context = _unpack(key, parcel)
    except Exception as error:
        return number, None, error
    return _attempt(call, context, number, part)


def _unpack(key, parcel):
    unpacked = _UNPACKED.get(key)
    if unpacked is None:
        unpacked = pickle.loads(parcel)
        _UNPACKED.clear()
        _UNPACKED[key] = unpacked
    return unpacked
