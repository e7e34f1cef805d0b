"""Run a trainer: epochs, early stopping, resampling, checkpoints."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from skpopsteer.sae._interruption import keeps_what_is_trained
from skpopsteer.sae._resampling import resample

__all__ = ["Run", "run"]


@dataclass
class Run:
    """How far a training has come.

    Attributes
    ----------
    losses, held_out : list of float
        Objective of every epoch, and FVU of the held-out rows after it.
    best : list of ndarray or None
        Parameters with the lowest FVU of the held-out rows.
    interrupted : bool
        Whether somebody has stopped it with Ctrl-C; such a run is never saved.
    """

    losses: list = field(default_factory=list)
    held_out: list = field(default_factory=list)
    best: Any = None
    interrupted: bool = False

    def stopped(self, tol, patience):
        """Whether as many epochs have passed without an improvement by `tol`."""
        curve = self.held_out or self.losses
        best, stale = np.inf, 0
        for value in curve:
            stale = 0 if value < best - tol else stale + 1
            best = min(best, value)
        return stale >= patience


def run(trainer, rows, held_out, probe, checkpoint, fingerprint, update):
    """Train until the epochs are over, nothing improves, or Ctrl-C is pressed.

    Parameters
    ----------
    trainer : Trainer
    rows : ArrayRows or the like
    held_out : ndarray of shape (n, n_features) or None
        Rows that are judged and not trained on.
    probe : SparseAutoencoderProbe
        Its parameters are read.
    checkpoint : Checkpoint or None
        Where to go on from, and where every epoch is saved.
    fingerprint : str
        What a checkpoint must have been made of.
    update : callable
        ``update(loss, n_dead, epoch=)``, called after every epoch; True asks to stop.

    Returns
    -------
    Run
    """
    progress = Run()
    if checkpoint is not None:
        saved = checkpoint.load(fingerprint)
        if saved is not None:
            trainer.resume(saved.pop("trainer"))
            progress = Run(**saved)
    try:
        for loss in _epochs(trainer, rows, held_out, probe, progress):
            n_dead = int(trainer.dead().sum())
            stop = update(loss, n_dead, epoch=len(progress.losses))
            if checkpoint is not None:
                state = {**vars(progress), "trainer": trainer.state()}
                checkpoint.save(state, fingerprint)
            if stop:
                break
    except KeyboardInterrupt:
        if not keeps_what_is_trained():
            raise
        # What is trained so far is worth keeping; another Ctrl-C stops what follows.
        trainer.settle()
        progress.interrupted = True
    if progress.best is not None:
        trainer.restore(progress.best)
    return progress


def _epochs(trainer, rows, held_out, probe, progress):
    """Train epoch by epoch; yield the loss of each."""
    while len(progress.losses) < probe.max_iter and not progress.stopped(
        probe.tol, probe.n_iter_no_change
    ):
        rate = _decaying(len(progress.losses), probe)
        progress.losses.append(trainer.epoch(rows, rate))
        n_epochs, every = len(progress.losses), probe.resample_every
        if held_out is not None:
            _judge(trainer, held_out, progress)
        # Not after the last epoch: what is revived has to learn.
        if every and n_epochs % every == 0 and n_epochs < probe.max_iter:
            resample(trainer, rows)
        yield progress.losses[-1]


def _decaying(n_epochs, probe):
    """Return the learning rate's factor, which falls to 0 over the last epochs.

    That takes the noise of single batches out of the weights.
    """
    n_last = probe.decay * probe.max_iter
    if not n_last:
        return None
    return lambda share: min(1.0, (probe.max_iter - n_epochs - share) / n_last)


def _judge(trainer, held_out, progress):
    fvu = trainer.fvu(held_out)
    if fvu < min(progress.held_out, default=np.inf):
        progress.best = trainer.state()["parameters"]
    progress.held_out.append(fvu)
