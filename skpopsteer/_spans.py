"""Spans of rows, through whatever pool of workers joblib has been given."""

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
        return joblib.Parallel()(joblib.delayed(call)(context, *part) for part in parts)
    return _over_processes(call, context, parts)


def _over_processes(call, context, parts):
    # Hosts hold functions of notebooks, which plain pickle refuses.
    whole = joblib.wrap_non_picklable_objects((call, context), keep_wrapper=False)
    # An array is what every backend ships well: loky maps it, dask scatters it.
    parcel = np.frombuffer(pickle.dumps(whole, protocol=5), dtype=np.uint8)
    key = uuid.uuid4().hex
    results: dict = {}
    for n_round in range(_ROUNDS):
        missing = [i for i in range(len(parts)) if i not in results]
        tasks = (joblib.delayed(_attempt)(key, parcel, i, parts[i]) for i in missing)
        try:
            answers = joblib.Parallel(return_as="generator_unordered")(tasks)
            # Nothing comes of a task that was cancelled with its worker.
            for answer in filter(None, answers):
                number, result, error = answer
                if error is not None:
                    raise _Raised(error)
                results[number] = result
        except _Raised as raised:
            raise raised.error from None
        except Exception:
            # `call` raises nothing in a worker: it was the worker that failed.
            if n_round == _ROUNDS - 1:
                raise
        if len(results) == len(parts):
            return [results[i] for i in range(len(parts))]
    raise RuntimeError(
        f"the backend of joblib must give a result for each of {len(parts)} tasks; got "
        f"{len(results)} in {_ROUNDS} rounds. Look at the logs of its workers."
    )


class _Raised(Exception):
    """Carries what a task raised past the handler of lost workers."""

    def __init__(self, error):
        super().__init__(str(error))
        self.error = error


def _attempt(key, parcel, number, part):
    """Run one span in a worker; return its number, its result and its error."""
    try:
        call, context = _unpack(key, parcel)
        return number, call(context, *part), None
    except Exception as error:
        return number, None, error


def _unpack(key, parcel):
    unpacked = _UNPACKED.get(key)
    if unpacked is None:
        unpacked = pickle.loads(parcel)
        _UNPACKED.clear()
        _UNPACKED[key] = unpacked
    return unpacked
