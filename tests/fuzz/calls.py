"""How a call may end: with an answer, or with one clear line; its inputs as they were.

Python's and numpy's own complaints count as failures, and so do warnings that are not
ours, calls that do not come back, and arguments that are not what they were, byte by
byte.
"""

import re
import signal
import traceback
import warnings
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from scipy.sparse import issparse
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning, NotFittedError

from skpopsteer._compat import InvalidParameterError

__all__ = ["Refusal", "answer", "attempt", "refusal", "snapshot"]

#: A call on inputs this small takes milliseconds, and seconds where it compiles. This
#: much of the processor's time is too long, and ten times as much on the clock: other
#: processes may take their turns, and what waits for ever uses no time.
SECONDS = 120
_OURS = re.compile(r"`[^`]+`.* (must|has no) ", re.DOTALL)
_KINDS = {
    ValueError,
    TypeError,
    InvalidParameterError,
    NotFittedError,
    ImportError,
    FileNotFoundError,
    NotADirectoryError,
    OSError,
}


#: Whose objects hold arrays that a call must leave alone; axes are drawn on.
_LOOKED_INTO = {"skpopsteer", "sklearn", "implicit"}


@dataclass(frozen=True)
class Refusal:
    """One clear line instead of an answer."""

    message: str


def attempt(call, /, *args, **kwargs):
    """Call, and return the answer or a :class:`Refusal`; anything else fails."""
    owner = getattr(call, "__self__", None)
    inputs = (args, kwargs, _parameters(owner))
    before = snapshot(inputs)
    with _no_longer_than(SECONDS), warnings.catch_warnings(record=True) as raised:
        warnings.simplefilter("always")
        try:
            result = call(*args, **kwargs)
        except Exception as error:
            _require_clear(error)
            result = Refusal(str(error))
    for warning in raised:
        _require_known(warning)
    assert snapshot(inputs) == before, "the call changed its input"
    return result


def answer(call, /, *args, **kwargs):
    """Call with good input: there must be an answer."""
    result = attempt(call, *args, **kwargs)
    assert not isinstance(result, Refusal), f"good input refused: {result.message}"
    return result


def refusal(call, /, *args, **kwargs):
    """Call with bad input: there must be a refusal, whose line is returned."""
    result = attempt(call, *args, **kwargs)
    assert isinstance(result, Refusal), f"bad input answered: {result!r}"
    return result.message


def _require_clear(error):
    if type(error) not in _KINDS:
        raise error
    last = [
        frame.filename
        for frame in traceback.extract_tb(error.__traceback__)
        if "/sklearn/" in frame.filename or "/skpopsteer/" in frame.filename
    ][-1:]
    message = str(error)
    if last and "/sklearn/" in last[0]:
        clear = bool(message.strip())
    else:
        # An array that is quoted has lines of its own.
        one_line = "\n" not in message or "array(" in message
        clear = one_line and _OURS.search(message) is not None
    if not clear:
        raise AssertionError(f"unclear refusal: {message!r}") from error


def _require_known(warning):
    ours = issubclass(warning.category, UserWarning) and _OURS.search(
        str(warning.message)
    )
    of_sklearn = issubclass(warning.category, ConvergenceWarning) or (
        warning.category is UserWarning and "/sklearn/" in warning.filename
    )
    # implicit's advice on the number of threads, of its constructors alone.
    of_implicit = "OpenBLAS is configured to use" in str(warning.message)
    assert ours or of_sklearn or of_implicit, f"stray warning: {warning}"


@contextmanager
def _no_longer_than(seconds):
    def stop(*_):
        raise AssertionError(f"the call did not come back within {seconds} s")

    clocks = (
        (signal.ITIMER_PROF, signal.SIGPROF, seconds),
        (signal.ITIMER_REAL, signal.SIGALRM, 10 * seconds),
    )
    former = [signal.signal(alarm, stop) for _, alarm, _ in clocks]
    for clock, _, most in clocks:
        signal.setitimer(clock, most)
    try:
        yield
    finally:
        for (clock, alarm, _), handler in zip(clocks, former, strict=True):
            signal.setitimer(clock, 0)
            signal.signal(alarm, handler)


def _parameters(owner):
    return owner.get_params(deep=False) if isinstance(owner, BaseEstimator) else None


def snapshot(value, _depth=0):
    """Return the bytes of all arrays in a value, however deep, in comparable form."""
    if isinstance(value, np.ndarray):
        objects = value.dtype.hasobject
        held = snapshot(value.tolist(), _depth + 1) if objects else value.tobytes()
        return value.dtype.str, value.shape, value.strides, value.flags.writeable, held
    if issparse(value):
        names = "data", "rows", "indices", "indptr", "row", "col", "coords", "offsets"
        arrays = {n: getattr(value, n, None) for n in names}
        if value.format == "dok":
            arrays["items"] = dict(value.items())
        return type(value).__name__, value.shape, snapshot(arrays, _depth + 1)
    if _depth > 8:
        return "deep"
    if isinstance(value, dict):
        return [(repr(k), snapshot(v, _depth + 1)) for k, v in value.items()]
    if isinstance(value, list | tuple):
        return [type(value).__name__, *(snapshot(v, _depth + 1) for v in value)]
    if isinstance(value, np.random.RandomState | np.random.Generator):
        return "consumed by intent"
    if type(value).__module__.startswith("matplotlib"):
        return "drawn on by intent"
    public = getattr(value, "__dict__", None)
    if public and type(value).__module__.partition(".")[0] in _LOOKED_INTO:
        return snapshot({k: v for k, v in public.items() if k[:1] != "_"}, _depth + 1)
    return repr(value)
