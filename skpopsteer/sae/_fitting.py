"""Fit a probe: which rows, how many starts, which of them, and what to store."""

import warnings
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import joblib
import numpy as np
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state

from skpopsteer._validation import as_array, check_embeddings
from skpopsteer.sae._matching import match_directions, stability
from skpopsteer.sae._rows import ArrayRows
from skpopsteer.sae._standardize import StandardizedRows, standardize

__all__ = ["Trained", "fit_once", "fit_rows", "warn_of_dead"]

#: Share of dead neurons that is too many.
_TOO_MANY_DEAD = 0.05


@dataclass
class Trained:
    """What a probe stores of a training: see its attributes."""

    weights: Any
    losses: list
    fvu: float
    l0: float
    dead: np.ndarray
    state: dict
    stability: Any = None
    matching: Any = None


def fit_rows(probe, rows, item_embeddings, resume):
    """Train from all starts, and keep the best.

    Parameters
    ----------
    probe : SparseAutoencoderProbe
        Its parameters are read, and its state with `resume`.
    rows : ArrayRows or BlockRows
    item_embeddings : array-like or None
    resume : bool
        Go on from the last fit, from this one start.

    Returns
    -------
    Trained
        As far as it has come when Ctrl-C is pressed, and with a warning then.
    """
    # Imported here: only training needs torch's optimisers.
    from skpopsteer.sae._checkpoint import Checkpoint

    settings = _settings(probe, rows, item_embeddings)
    held_out, rows_to_fit = _hold_out(probe, rows)
    seeds = _seeds(probe, 1 if resume else int(probe.n_init))
    fitted, checkpoints, interrupted = [], [], False
    for start, seed in enumerate(seeds):
        checkpoint = None
        if probe.checkpoint is not None:
            name = f"{probe.checkpoint}.{start}" if start else probe.checkpoint
            checkpoint = Checkpoint(name)
            checkpoints.append(checkpoint)
        trainer, done = _train(
            probe, rows_to_fit, held_out, settings, seed, checkpoint, resume
        )
        fitted.append(_measure(probe, trainer, rows, done.losses))
        if resume:
            _keep_identities(probe, fitted[-1])
        if interrupted := done.interrupted:
            break
    best = min(range(len(fitted)), key=lambda i: fitted[i].fvu)
    decoders = [one.weights.decoder for one in fitted]
    fitted[best].stability = stability(decoders, best)
    if interrupted:
        _warn_of_interruption(probe, len(done.losses))
        return fitted[best]
    for checkpoint in checkpoints:
        checkpoint.remove()
    return fitted[best]


def fit_once(probe, rows, item_embeddings, *, resume):
    """Go over rows once, from the start or from where the last call ended."""
    from skpopsteer.sae._training import Trainer

    settings = _settings(probe, rows, item_embeddings)
    prepared = StandardizedRows(rows) if probe.standardize_rows else rows
    (seed,) = _seeds(probe, 1)
    trainer = Trainer(prepared, settings, seed)
    if resume:
        _resume(trainer, probe)
    return _measure(probe, trainer, rows, [trainer.epoch(prepared)])


def warn_of_dead(dead):
    """Say what to do when many neurons never fire."""
    share = dead.mean()
    if share > _TOO_MANY_DEAD:
        warnings.warn(
            f"`dead_neurons_` must stay below 5 % for a dictionary in good health; got "
            f"{100 * share:.0f} % of {len(dead)} neurons. Lower n_neurons, raise k, "
            "train longer, or set resample_every=5.",
            stacklevel=4,
        )


def _warn_of_interruption(probe, n_epochs):
    remedy = "set `checkpoint` to go on where a fit has stopped"
    if probe.checkpoint is not None:
        remedy = f"call fit again to go on from {str(probe.checkpoint)!r}"
    warnings.warn(
        f"`fit` must run to its end to give what its parameters ask for; got Ctrl-C "
        f"after {n_epochs} of {probe.max_iter} epochs. Use the probe as far as it is "
        f"trained, or {remedy}.",
        stacklevel=5,
    )


def _settings(probe, rows, item_embeddings):
    from skpopsteer.sae._training import Settings

    if probe.k > probe.n_neurons:
        raise ValueError(
            f"`k` must be at most `n_neurons` ({probe.n_neurons}); got {probe.k}. "
            "Lower k or raise n_neurons."
        )
    if (probe.loss == "prediction") != (item_embeddings is not None):
        raise ValueError(
            "`item_embeddings` must be given for loss='prediction', and for no other; "
            f"got {'none' if item_embeddings is None else 'some'} for {probe.loss!r}. "
            "They are the host's item_embeddings_."
        )
    if item_embeddings is not None:
        item_embeddings = check_embeddings(
            "item_embeddings", item_embeddings, n_columns=rows.n_features
        )
    return Settings(
        n_neurons=probe.n_neurons,
        k=int(probe.k),
        activation=probe.activation,
        loss=probe.loss,
        aux_penalty=probe.aux_penalty,
        sparsity_penalty=_sparsity_penalty(probe),
        sizes=_sizes(probe),
        center=probe.center,
        learning_rate=probe.learning_rate,
        batch_size=int(probe.batch_size),
        device=_device(probe.device),
        item_embeddings=item_embeddings,
    )


def _sparsity_penalty(probe):
    if probe.sparsity_penalty is not None:
        return probe.sparsity_penalty
    return {"relu": 0.1, "jumprelu": 1.0}.get(probe.activation, 0.0)


def _device(device):
    import torch

    if device != "auto":
        return device
    return "cuda" if torch.cuda.is_available() else "cpu"


def _sizes(probe):
    if probe.nested_sizes is None:
        return ()
    given = as_array("nested_sizes", probe.nested_sizes)
    whole = given.ndim == 1 and (given.dtype.kind in "iu" or not len(given))
    sizes = given.tolist() if whole else [0]
    sizes += [] if sizes and sizes[-1] == probe.n_neurons else [probe.n_neurons]
    if sizes != sorted(set(sizes)) or sizes[0] < 1:
        raise ValueError(
            "`nested_sizes` must ascend from 1 or more to at most `n_neurons` "
            f"({probe.n_neurons}); got {probe.nested_sizes!r}. "
            "For example [64, 256, 1024]."
        )
    if probe.activation not in ("topk", "batch_topk"):
        raise ValueError(
            "`nested_sizes` must be None for an activation with a penalty; got some "
            f"for {probe.activation!r}. Use 'topk' or 'batch_topk'."
        )
    return tuple(sizes)


def _seeds(probe, n_seeds):
    seeds = check_random_state(probe.random_state).randint(
        np.iinfo(np.int32).max, size=n_seeds
    )
    return [int(seed) for seed in seeds]


def _hold_out(probe, rows):
    """Return held-out rows, or None, and the rows to train on."""
    prepared = StandardizedRows if probe.standardize_rows else (lambda rows: rows)
    if not probe.early_stopping:
        return None, prepared(rows)
    if not isinstance(rows, ArrayRows):
        raise ValueError(
            "`early_stopping` must be False for blocks of rows; got True. Fit on an "
            "array or a memory-mapped one."
        )
    (seed,) = _seeds(probe, 1)
    if rows.on_disk:
        # In place: the last rows, for a random choice would be a copy.
        n_kept = max(1, round((1 - probe.validation_fraction) * len(rows)))
        kept, held_out = rows.X[:n_kept], np.array(rows.X[n_kept:])
    else:
        kept, held_out = train_test_split(
            rows.X, test_size=probe.validation_fraction, random_state=seed
        )
    held_out = standardize(held_out) if probe.standardize_rows else held_out
    return held_out, prepared(ArrayRows(kept))


def _train(probe, rows, held_out, settings, seed, checkpoint, resume):
    from skpopsteer.sae._progress import track
    from skpopsteer.sae._run import run
    from skpopsteer.sae._training import Trainer

    trainer = Trainer(rows, settings, seed)
    if resume:
        _resume(trainer, probe)
    fingerprint = ""
    if checkpoint is not None:
        fingerprint = _fingerprint(probe, trainer, rows, settings, resume)
    with track(
        probe, probe.max_iter, verbose=probe.verbose, description="autoencoder"
    ) as update:
        done = run(trainer, rows, held_out, probe, checkpoint, fingerprint, update)
    return trainer, done


def _fingerprint(probe, trainer, rows, settings, resume):
    """Hash what the result depends on; the rows by their number, centre and spread."""
    params = probe.get_params(deep=False)
    for name in ("checkpoint", "sparse_output", "verbose"):
        del params[name]
    if not isinstance(params["random_state"], Integral):
        # Drawn anew by every call: what was saved goes on with the seed it had.
        params["random_state"] = None
    return joblib.hash(
        (params, settings, len(rows), trainer.shift, trainer.scale, resume)
    )


def _resume(trainer, probe):
    n_trained = len(probe.encoder_bias_)
    if n_trained != probe.n_neurons:
        raise ValueError(
            f"`n_neurons` must stay {n_trained} to go on from the last fit; got "
            f"{probe.n_neurons}. Set warm_start=False to start anew."
        )
    trainer.resume(probe._training_state)


def _measure(probe, trainer, rows, losses):
    weights = trainer.weights()
    if probe.loss == "cosine":
        # A cosine leaves the length open.
        weights = weights.lengthened(_best_length(probe, weights, rows))
    fvu, l0, dead = probe._evaluate(weights, rows.blocks())
    return Trained(weights, losses, fvu, l0, dead, trainer.state())


def _best_length(probe, weights, rows):
    """Least squares of the rows on their reconstructions."""
    product = square = 0.0
    for block in rows.blocks():
        for X in np.array_split(block, -(-len(block) // 4096)):
            X = probe._standardized(X)
            P = weights.pre_activations(X)
            Z = probe._activate(P, weights.threshold, sparse=True)
            decoded = weights.reconstruct(Z).astype(np.float64)
            product += float((decoded * X).sum())
            square += float((decoded**2).sum())
    return np.float32(product / square if square else 1.0)


def _keep_identities(probe, trained):
    """Give every neuron the number of the one it has come from."""
    order, trained.matching = match_directions(
        trained.weights.decoder, probe.decoder_weights_
    )
    if probe.nested_sizes is not None or (order == np.arange(len(order))).all():
        return
    weights, state = trained.weights, trained.state
    for name in ("encoder", "encoder_bias", "decoder", "threshold"):
        value = getattr(weights, name)
        if value is not None and value.ndim:
            setattr(weights, name, value[order])
    for values in [state["parameters"], *map(dict.values, state["moments"])]:
        for value in values:
            if value.ndim and len(value) == len(order):
                value[:] = value[order]
    state["silent_for"] = state["silent_for"][order]
    trained.dead = trained.dead[order]
