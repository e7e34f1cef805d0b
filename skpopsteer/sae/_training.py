"""The training loop: minibatches, Adam, unit decoder rows, dead neurons counted."""

import logging

import numpy as np
import torch
from torch.nn import functional

from skpopsteer.sae._objective import (
    auxiliary_loss,
    decode_sparse,
    reconstruction_loss,
)
from skpopsteer.sae._weights import SparseWeights

__all__ = ["Trainer"]

logger = logging.getLogger(__name__)

#: Epochs in a row without an improvement by `tol` after which training stops.
PATIENCE = 10
#: Epochs between two lines of the log at verbosity 1.
LOG_EVERY = 10
#: Batches at the least over which a neuron must stay silent to count as dead.
MIN_WINDOW = 10


class Trainer:
    """Trains one autoencoder on rows that are centred and scaled on the fly.

    Parameters
    ----------
    rows : ndarray of shape (n_rows, n_features)
        Used for the centre, the scale and the start of the weights.
    n_neurons, k, aux_penalty, learning_rate, batch_size
        As in :class:`~skpopsteer.sae.SparseAutoencoderProbe`.
    device : str
        ``"cpu"`` or ``"cuda"``.
    seed : int
        Seed of a generator of its own; torch's global one is not touched.
    """

    def __init__(
        self,
        rows,
        *,
        n_neurons,
        k,
        aux_penalty,
        learning_rate,
        batch_size,
        device,
        seed,
    ):
        self.k, self.aux_penalty, self.batch_size = k, aux_penalty, batch_size
        self.device = device
        self.generator = torch.Generator().manual_seed(seed)
        self.shift = rows.mean(axis=0, dtype=np.float64)
        deviation = rows - self.shift
        self.scale = float(np.sqrt(np.mean(deviation**2))) or 1.0
        self.window = max(len(rows), MIN_WINDOW * batch_size)
        # One per feature after scaling; 1 when all rows are equal and nothing varies.
        self.variance = float(rows.shape[1])
        self._start(rows, n_neurons)
        self.optimizer = torch.optim.Adam(
            self.parameters, lr=learning_rate, weight_decay=0.0, fused=True
        )
        self.silent_for = torch.zeros(n_neurons, dtype=torch.int64, device=device)

    def _start(self, rows, n_neurons):
        """Random unit directions; the encoder is their transpose at the best scale."""
        n_features = rows.shape[1]
        decoder = torch.randn(n_neurons, n_features, generator=self.generator)
        decoder = functional.normalize(decoder, dim=1)
        sample = self._scaled(rows[: 4 * self.batch_size])
        values, neurons = (sample @ decoder.T.to(self.device)).topk(self.k, dim=1)
        guess = decode_sparse(values.clamp(min=0), neurons, decoder.to(self.device))
        # Least squares of x on its first reconstruction: without it the first hundred
        # steps only correct the length of the output.
        norm = float(guess.pow(2).sum())
        factor = float((guess * sample).sum()) / norm if norm > 0 else 1.0
        self.encoder = (max(factor, 1e-3) * decoder).to(self.device).requires_grad_()
        self.decoder = decoder.clone().to(self.device).requires_grad_()
        zeros = {"device": self.device, "requires_grad": True}
        self.encoder_bias = torch.zeros(n_neurons, **zeros)
        # Zero on centred rows: the bias starts at the mean of the data.
        self.decoder_bias = torch.zeros(n_features, **zeros)
        self.parameters = [
            self.encoder, self.encoder_bias, self.decoder, self.decoder_bias,
        ]  # fmt: skip

    def _scaled(self, rows):
        rows = ((rows - self.shift) / self.scale).astype(np.float32)
        return torch.from_numpy(rows).to(self.device)

    def run(self, rows, max_iter, tol, verbose):
        """Train for at most `max_iter` epochs; return the loss of every epoch."""
        losses, best, stale = [], np.inf, 0
        for epoch in range(max_iter):
            losses.append(self.epoch(rows))
            if verbose > 1 or (verbose and epoch % LOG_EVERY == 0):
                logger.info(
                    "epoch %d/%d: loss %.4f, dead neurons %d",
                    epoch + 1, max_iter, losses[-1], int(self.dead().sum()),
                )  # fmt: skip
            stale = 0 if losses[-1] < best - tol else stale + 1
            best = min(best, losses[-1])
            if stale >= PATIENCE:
                break
        return losses

    def epoch(self, rows):
        """Pass over the rows once, in random order; return the mean loss."""
        order = torch.randperm(len(rows), generator=self.generator).numpy()
        total = 0.0
        for start in range(0, len(rows), self.batch_size):
            batch = rows[order[start : start + self.batch_size]]
            total += self.step(self._scaled(batch)) * len(batch)
        return total / len(rows)

    def step(self, batch):
        """Take one step of Adam on one batch; return its loss."""
        pre = functional.linear(
            batch - self.decoder_bias, self.encoder, self.encoder_bias
        )
        values, neurons = pre.topk(self.k, dim=1)
        values = torch.relu(values)
        decoded = decode_sparse(values, neurons, self.decoder) + self.decoder_bias
        residual = batch - decoded
        loss = reconstruction_loss(residual, self.variance)
        if self.aux_penalty:
            loss = loss + self.aux_penalty * auxiliary_loss(
                pre, residual, self.decoder, self.dead(), self.variance
            )
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        with torch.no_grad():
            self.decoder.copy_(functional.normalize(self.decoder, dim=1))
            self.silent_for += len(batch)
            # Kept and positive: a zero that TopK picked explains nothing.
            self.silent_for[neurons[values > 0]] = 0
        return float(loss.detach())

    def dead(self):
        """Mask of neurons without a positive kept value over the window."""
        return self.silent_for >= self.window

    def weights(self):
        """Return the weights as numpy arrays, in the units of the data."""
        arrays = [p.detach().cpu().numpy().copy() for p in self.parameters]
        return SparseWeights(*arrays).rescaled(
            np.float32(self.scale), self.shift.astype(np.float32)
        )

    def state(self):
        """Return all that training needs to go on, as numpy arrays."""
        moments = [self.optimizer.state[p] for p in self.parameters]
        return {
            "parameters": [p.detach().cpu().numpy().copy() for p in self.parameters],
            "moments": [
                {name: value.cpu().numpy().copy() for name, value in moment.items()}
                for moment in moments
            ],
            "silent_for": self.silent_for.cpu().numpy().copy(),
            "shift": self.shift,
            "scale": self.scale,
            "generator": self.generator.get_state().numpy().copy(),
        }

    def resume(self, state):
        """Go on from what `state` returned, in the units it was trained in."""
        with torch.no_grad():
            for parameter, value in zip(
                self.parameters, state["parameters"], strict=True
            ):
                parameter.copy_(torch.from_numpy(value))
        for parameter, moment in zip(self.parameters, state["moments"], strict=True):
            self.optimizer.state[parameter] = {
                name: torch.tensor(
                    value, device="cpu" if name == "step" else self.device
                )
                for name, value in moment.items()
            }
        self.silent_for = torch.tensor(state["silent_for"], device=self.device)
        self.shift, self.scale = state["shift"], state["scale"]
        self.generator.set_state(torch.tensor(state["generator"]))
