"""The training loop: minibatches, Adam, unit decoder rows, dead neurons counted.

Gradients are written out rather than left to autograd: after the encoder's product
everything touches the kept activations only, which autograd would spread out again.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from skpopsteer.sae._activations import ACTIVATIONS
from skpopsteer.sae._centre import geometric_median, moments
from skpopsteer.sae._codes import SparseCodes
from skpopsteer.sae._losses import CosineLoss, SquaredLoss
from skpopsteer.sae._matryoshka import reconstruct_nested
from skpopsteer.sae._weights import SparseWeights

__all__ = ["Settings", "Trainer"]

#: Batches at the least over which a neuron must stay silent to count as dead.
MIN_WINDOW = 10
#: Learning rate of the directions, in units of the other weights'. They are kept at
#: unit length, so that nothing but the rate decides how far they turn; at the same rate
#: they lag behind the encoder, and FVU after as many steps is higher.
DECODER_RATE = 4.0


@dataclass(frozen=True)
class Settings:
    """What a trainer is told, as :class:`~skpopsteer.sae.SparseAutoencoderProbe` is.

    Attributes
    ----------
    sizes : tuple of int
        Nested dictionaries, the last of all neurons.
    item_embeddings : ndarray of shape (n_items, n_features) or None
        Of a prediction-aware loss.
    """

    n_neurons: int
    k: int
    activation: str = "topk"
    loss: str = "squared"
    aux_penalty: float = 1 / 32
    sparsity_penalty: float = 0.0
    sizes: tuple = ()
    center: str = "mean"
    learning_rate: float = 1e-3
    batch_size: int = 1024
    device: str = "cpu"
    item_embeddings: Any = None


class Trainer:
    """Trains one autoencoder on rows that are centred and scaled on the fly.

    Parameters
    ----------
    rows : ArrayRows or the like
        Used for the centre, the scale and the start of the weights.
    settings : Settings
    seed : int
        Seed of generators of its own; torch's global one is not touched.
    """

    def __init__(self, rows, settings, seed):
        self.settings = settings
        self.order = np.random.default_rng(seed)
        self.sizes = settings.sizes or (settings.n_neurons,)
        self.shift, variance = moments(rows)
        if settings.center == "median":
            median = geometric_median(rows)
            variance += float(((median - self.shift) ** 2).sum())
            self.shift = median
        n_features = len(self.shift)
        self.scale = float(np.sqrt(variance / n_features)) or 1.0
        self.window = max(len(rows), MIN_WINDOW * settings.batch_size)
        self.loss = self._make_loss(rows)
        self.activation = ACTIVATIONS[settings.activation](
            settings.k, settings.sparsity_penalty, n_features
        )
        with torch.no_grad():
            self._start(rows, np.random.default_rng([seed, 1]))
        self.silent_for = torch.zeros(
            settings.n_neurons, dtype=torch.int64, device=settings.device
        )

    def _make_loss(self, rows):
        # After scaling there is one unit of variance per feature; and one in all where
        # all rows are equal and nothing varies.
        n_features, settings = len(self.shift), self.settings
        if settings.loss == "cosine":
            offset = torch.tensor(self.shift / self.scale, dtype=torch.float32)
            return CosineLoss(offset.to(settings.device))
        if settings.loss == "squared":
            return SquaredLoss(float(n_features))
        V = np.asarray(settings.item_embeddings, dtype=np.float64)
        metric = V.T @ V
        metric *= n_features / (np.trace(metric) or 1.0)
        total = sum(
            float((((b - self.shift) @ metric) * (b - self.shift)).sum())
            for b in rows.blocks()
        )
        variance = total / len(rows) / self.scale**2 or 1.0
        metric = torch.tensor(metric, dtype=torch.float32, device=settings.device)
        return SquaredLoss(variance, metric)

    def _start(self, rows, rng):
        """Random unit directions; the encoder is their transpose at the best scale."""
        settings, n_features = self.settings, len(self.shift)
        decoder = rng.standard_normal(
            (settings.n_neurons, n_features), dtype=np.float32
        )
        self.decoder = functional.normalize(self._tensor(decoder), dim=1)
        sample = self.scaled(rows.sample(4 * settings.batch_size, rng))
        pre = sample @ self.decoder.T
        self.activation.start(pre)
        guess = self.activation.select(pre).decode(self.decoder)
        # Least squares of x on its first reconstruction: without it the first hundred
        # steps only correct the length of the output.
        norm = float(guess.pow(2).sum())
        factor = max(float((guess * sample).sum()) / norm if norm > 0 else 1.0, 1e-3)
        self.encoder = factor * self.decoder
        self.activation.start(factor * pre)
        self.encoder_bias = self.decoder.new_zeros(settings.n_neurons)
        # Zero on centred rows: the bias starts at the centre of the data.
        self.decoder_bias = self.decoder.new_zeros(n_features)
        self._make_optimizer()

    def _make_optimizer(self):
        self.parameters = [
            self.encoder, self.encoder_bias, self.decoder, self.decoder_bias,
            *self.activation.parameters,
        ]  # fmt: skip
        rest = [p for p in self.parameters if p is not self.decoder]
        self.optimizer = torch.optim.Adam(
            [{"params": rest, "factor": 1.0},
             {"params": [self.decoder], "factor": DECODER_RATE}],
            lr=self.settings.learning_rate, weight_decay=0.0, fused=True,
        )  # fmt: skip

    def _tensor(self, array):
        return torch.from_numpy(array).to(self.settings.device)

    def scaled(self, rows):
        """Centre and scale rows, as a tensor."""
        # In float32 after the subtraction only: a large common offset loses nothing.
        return self._tensor(((rows - self.shift) / self.scale).astype(np.float32))

    def epoch(self, rows, rate=None):
        """Pass over the rows once, in random order; return the mean loss.

        Parameters
        ----------
        rows : ArrayRows or the like
        rate : callable, default=None
            ``rate(share)`` multiplies the learning rate when this share of the rows is
            done; None is 1.

        Returns
        -------
        float
        """
        total, n_done = 0.0, 0
        with torch.no_grad():
            for batch in rows.epoch(self.order, self.settings.batch_size):
                self._set_rate(1.0 if rate is None else rate(n_done / len(rows)))
                total += self.step(self.scaled(batch)) * len(batch)
                n_done += len(batch)
        return total / len(rows)

    def _set_rate(self, factor):
        for group in self.optimizer.param_groups:
            group["lr"] = factor * group["factor"] * self.settings.learning_rate

    def step(self, batch):
        """Take one step of Adam on one batch; return its loss."""
        centred = batch - self.decoder_bias
        pre = torch.addmm(self.encoder_bias, centred, self.encoder.T)
        codes = self.activation.select(pre)
        for parameter in self.parameters:
            parameter.grad = None
        loss = self._learn(batch, centred, pre, codes)
        # The part along a direction would only change its length, which stays 1.
        along = (self.decoder.grad * self.decoder).sum(1, keepdim=True)
        self.decoder.grad -= along * self.decoder
        self.optimizer.step()
        functional.normalize(self.decoder, dim=1, out=self.decoder)
        self.silent_for += len(batch)
        self.silent_for[codes.fired(self.settings.n_neurons)] = 0
        return loss

    def _learn(self, batch, centred, pre, codes):
        """Sum up the gradients of all parts of the objective; return its value."""
        parts, losses, by_output, self.output = reconstruct_nested(
            batch, codes, self.sizes, self.decoder, self.decoder_bias, self.loss
        )
        for part, gradient in zip(parts, by_output, strict=True):
            by_value = part.products(gradient, self.decoder)
            if len(parts) == 1:
                added, extra = self.activation.learn(part, pre, by_value)
                losses += added
                by_value = by_value if extra is None else by_value + extra
            self._back(part, by_value, gradient, centred)
        # Every nested reconstruction has the bias, and the first sum is of them all.
        self.decoder_bias.grad = by_output[0].sum(0)
        if self.settings.aux_penalty:
            losses += self._revive(batch, centred, pre, codes)
        # The bias is subtracted in front of the encoder, too.
        self.decoder_bias.grad -= self.encoder_bias.grad @ self.encoder
        return losses

    def _back(self, codes, by_value, by_output, centred):
        """Add the gradients of codes whose gradient by value is known."""
        n_neurons = self.settings.n_neurons
        # ReLU passes nothing back where it gave zero.
        by_value = torch.where(codes.values > 0, by_value, 0.0)
        _add(self.decoder, codes.accumulate(codes.values, by_output, n_neurons))
        _add(self.encoder, codes.accumulate(by_value, centred, n_neurons))
        _add(self.encoder_bias, codes.sum_per_neuron(by_value, n_neurons))

    def _revive(self, batch, centred, pre, codes):
        r"""Let dead neurons explain what the living ones left over.

        ``AUX = c · Σ‖ê − e‖² / TV`` with ``e = x − x̂`` held constant, ``ê`` the
        decoding of the k_aux = min(2d, n_dead) largest activations among the dead,
        without bias, and ``c = min(n_dead / 2d, 1)``.

        The published code of PopSteer differs in four ways, all of which defeat its
        purpose: its target is x̂ − x, the negative of what is missing; it adds the
        decoder bias to ê; gradients flow into the target; and a neuron counts as alive
        when TopK picks a zero of it.
        """
        (dead,) = torch.nonzero(self.dead(), as_tuple=True)
        if not len(dead):
            return 0.0
        n_features = batch.shape[1]
        coefficient = min(len(dead) / (2 * n_features), 1.0) * self.settings.aux_penalty
        k = min(2 * n_features, len(dead))
        values, places = pre[:, dead].topk(k, dim=1, sorted=False)
        offsets = torch.arange(0, values.numel() + 1, k, device=values.device)
        codes = SparseCodes(
            values.relu().view(-1), dead[places].view(-1), offsets
        )  # fmt: skip
        error = codes.decode(self.decoder) - (batch - self.output)
        scale = coefficient / (len(batch) * n_features)
        gradient = error * (2 * scale)
        by_value = codes.products(gradient, self.decoder)
        self._back(codes, by_value, gradient, centred)
        return float(error.pow(2).sum()) * scale

    def reconstruct(self, batch):
        """Reconstruct scaled rows with the whole dictionary, as in training."""
        pre = torch.addmm(
            self.encoder_bias, batch - self.decoder_bias, self.encoder.T
        )  # fmt: skip
        before = self.activation.state()
        output = self.activation.select(pre).decode(self.decoder) + self.decoder_bias
        # Looking on must not move a running threshold.
        self.activation.resume(before)
        return output

    def fvu(self, rows):
        """Fraction of the variance of some rows that is unexplained."""
        with torch.no_grad():
            batches = np.array_split(rows, -(-len(rows) // self.settings.batch_size))
            batches = [self.scaled(batch) for batch in batches]
            error = sum(float((b - self.reconstruct(b)).pow(2).sum()) for b in batches)
            total = sum(float(b.pow(2).sum()) for b in batches)
        return error / total if total else float(error > 0)

    def settle(self):
        """Make of a step that was cut off anywhere what a whole one leaves."""
        with torch.no_grad():
            functional.normalize(self.decoder, dim=1, out=self.decoder)

    def restore(self, parameters):
        """Put parameters back, of `state`."""
        for parameter, value in zip(self.parameters, parameters, strict=True):
            parameter.copy_(torch.from_numpy(value))

    def dead(self):
        """Mask of neurons without a positive kept value over the window."""
        return self.silent_for >= self.window

    def weights(self):
        """Return the weights as numpy arrays, in the units of the data."""
        arrays = [p.cpu().numpy().copy() for p in self.parameters[:4]]
        threshold = self.activation.threshold
        return SparseWeights(
            *arrays, threshold=None if threshold is None else np.array(threshold)
        ).rescaled(np.float32(self.scale), self.shift.astype(np.float32))

    def state(self):
        """Return all that training needs to go on, as numpy arrays."""
        moments = [self.optimizer.state[p] for p in self.parameters]
        return {
            "parameters": [p.cpu().numpy().copy() for p in self.parameters],
            "moments": [
                {name: value.cpu().numpy().copy() for name, value in moment.items()}
                for moment in moments
            ],
            "activation": self.activation.state(),
            "silent_for": self.silent_for.cpu().numpy().copy(),
            "shift": np.array(self.shift),
            "scale": self.scale,
            "order": self.order.bit_generator.state,
        }

    def resume(self, state):
        """Go on from what `state` returned, in the units it was trained in."""
        self.restore(state["parameters"])
        for parameter, moment in zip(self.parameters, state["moments"], strict=True):
            self.optimizer.state[parameter] = {
                # Fused steps want their count where the parameters are.
                name: torch.tensor(value, device=self.settings.device)
                for name, value in moment.items()
            }
        self.activation.resume(state["activation"])
        self.silent_for = torch.tensor(state["silent_for"], device=self.settings.device)
        self.shift, self.scale = state["shift"], state["scale"]
        self.order.bit_generator.state = state["order"]


def _add(parameter, gradient):
    if parameter.grad is None:
        parameter.grad = gradient
    else:
        parameter.grad += gradient
