"""How far training has come: lines in the log, a bar, or scikit-learn's callbacks."""

import logging
import sys
from contextlib import contextmanager

from skpopsteer._callbacks import run_task

__all__ = ["track"]

#: The name users know; it stays when modules are moved about.
logger = logging.getLogger("skpopsteer.sae")

#: Epochs between two lines of the log at verbosity 1.
LOG_EVERY = 10
#: Seconds between two states of the bar where it is not drawn over the last one.
FILE_INTERVAL = 10.0


@contextmanager
def track(estimator, n_total, *, verbose, description):
    """Show the progress of a training.

    Parameters
    ----------
    estimator : estimator
        Its callbacks are told, whatever `verbose` is, inside of
        :func:`~skpopsteer._callbacks.fit_task`.
    n_total : int
        Epochs at the most.
    verbose : int
        0 shows nothing. Otherwise the log gets every tenth epoch, and from 2 on every
        epoch, if somebody listens: the logger ``skpopsteer.sae`` is enabled for INFO
        and has a handler. If nobody does, a bar is drawn on stderr instead.
    description : str
        What the bar, and the callbacks, call the run.

    Yields
    ------
    callable
        ``update(loss, dead, *, epoch=None, attributes=None)``, to be called after every
        epoch with its loss and the number of dead neurons. `epoch` is its number, from
        1, where it is not the next one: after going on from a checkpoint. `attributes`
        is for callbacks, see :func:`~skpopsteer._callbacks.run_task`. It returns True
        when a callback asks to stop.
    """
    with (
        run_task(estimator, n_total, description) as end_step,
        _display(n_total, verbose, description) as show,
    ):
        n_done = 0

        def update(loss, dead, *, epoch=None, attributes=None):
            nonlocal n_done
            n_done = n_done + 1 if epoch is None else epoch
            show(n_done, loss, dead)
            return end_step(attributes)

        yield update


@contextmanager
def _display(n_total, verbose, description):
    """Yield ``show(epoch, loss, dead)``."""
    if not verbose:
        yield _show_nothing
        return
    # A bar would be torn by lines on the same terminal, and who has set up logging
    # wants lines.
    listened_to = logger.isEnabledFor(logging.INFO) and logger.hasHandlers()
    tqdm = None if listened_to else _import_tqdm()
    if tqdm is None:
        yield _log_lines(n_total, 1 if verbose > 1 else LOG_EVERY)
        return
    drawn_over = sys.stderr.isatty()
    with tqdm(
        total=n_total,
        desc=description,
        unit="epoch",
        file=sys.stderr,
        mininterval=0.1 if drawn_over else FILE_INTERVAL,
    ) as bar:

        def show(epoch, loss, dead):
            bar.set_postfix({"loss": f"{loss:.4f}", "dead": int(dead)}, refresh=False)
            bar.update(epoch - bar.n)

        yield show


def _log_lines(n_total, every):
    def show(epoch, loss, dead):
        if (epoch - 1) % every == 0:
            line = "epoch %d/%d: loss %.4f, dead neurons %d"
            logger.info(line, epoch, n_total, loss, dead)

    return show


def _show_nothing(epoch, loss, dead):
    pass


def _import_tqdm():
    try:
        # Here: only a bar needs it, and it comes with implicit, not by our own wish.
        from tqdm import tqdm
    except ModuleNotFoundError:
        return None
    return tqdm
