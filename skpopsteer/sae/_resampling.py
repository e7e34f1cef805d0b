"""Give dead neurons new directions: those of rows that are reconstructed badly."""

import torch
from torch.nn import functional

__all__ = ["resample"]

#: Length of a new encoder row, in mean lengths of those that are alive. The paper's 0.2
#: is for ReLU; where neurons compete for a place, so short a row would never get one.
_LENGTH = {"relu": 0.2}
_N_ROWS = 8_192


def resample(trainer, rows):
    """Start dead neurons anew.

    Parameters
    ----------
    trainer : Trainer
        Its parameters and the state of its optimiser are changed.
    rows : ArrayRows or the like

    Notes
    -----
    A row is drawn with a probability proportional to its squared loss, and what is left
    of it becomes the direction. O(n_sampled · n_neurons · n_features).

    References
    ----------
    .. [1] T. Bricken et al., "Towards Monosemanticity: Decomposing Language Models With
       Dictionary Learning", Transformer Circuits, 2023, appendix on resampling.
    """
    dead = trainer.dead()
    if not bool(dead.any()):
        return
    with torch.no_grad():
        batch = trainer.scaled(rows.sample(_N_ROWS, trainer.order))
        residual = batch - trainer.reconstruct(batch)
        loss = residual.pow(2).sum(1).double()
        weights = loss.square().cpu().numpy()
        if not weights.sum() > 0:
            return
        n_dead = int(dead.sum())
        chosen = trainer.order.choice(len(batch), n_dead, p=weights / weights.sum())
        directions = functional.normalize(residual[torch.from_numpy(chosen)], dim=1)
        alive = trainer.encoder[~dead]
        length = float(alive.norm(dim=1).mean()) if len(alive) else 1.0
        trainer.decoder[dead] = directions
        length *= _LENGTH.get(trainer.settings.activation, 1.0)
        trainer.encoder[dead] = length * directions
        trainer.encoder_bias[dead] = 0.0
        trainer.silent_for[dead] = 0
        for parameter in (trainer.encoder, trainer.encoder_bias, trainer.decoder):
            for name in ("exp_avg", "exp_avg_sq"):
                trainer.optimizer.state[parameter][name][dead] = 0.0
