"""What Ctrl-C means to a training."""

from contextlib import contextmanager
from contextvars import ContextVar

__all__ = ["keeps_what_is_trained", "stopping_altogether"]

_keeps = ContextVar("keeps", default=True)


def keeps_what_is_trained():
    """Return whether a training that is interrupted ends early, as a whole one does."""
    return _keeps.get()


@contextmanager
def stopping_altogether():
    """Let Ctrl-C through, for whoever trains a probe as a part of something else.

    Half a training must be neither cached nor built upon, and who presses Ctrl-C wants
    all of it to stop.

    Yields
    ------
    None
    """
    token = _keeps.set(False)
    try:
        yield
    finally:
        _keeps.reset(token)
