"""The floor: one dense product with the encoder a batch, and nothing else."""

import numpy as np
import torch
from worker import Clock, serve

#: Batches multiplied; the seconds are scaled to the samples of a training.
N_BATCHES = 200


def time_torch(batch, weights, device):
    """Return the seconds of the products with torch, output allocated once."""
    batch = torch.from_numpy(batch).to(device)
    weights = torch.from_numpy(weights).to(device)
    bias = torch.zeros(weights.shape[1], device=device)
    out = torch.addmm(bias, batch, weights)
    with Clock(device) as clock:
        for _ in range(N_BATCHES):
            torch.addmm(bias, batch, weights, out=out)
    return clock.seconds


def time_numpy(batch, weights):
    """Return the seconds of the products with numpy, bias left out."""
    out = batch @ weights
    with Clock("cpu") as clock:
        for _ in range(N_BATCHES):
            np.matmul(batch, weights, out=out)
    return clock.seconds


def train(rows, job):
    """Return the seconds of the faster of the two, for as many samples as the rest."""
    shape = rows.shape[1], job["n_neurons"]
    weights = np.random.default_rng(0).standard_normal(shape, dtype=np.float32)
    batch = rows[: job["batch_size"]]
    seconds = time_torch(batch, weights, job["device"])
    if job["device"] == "cpu":
        seconds = min(seconds, time_numpy(batch, weights))
    n_samples = job["epochs"] * job["n_rows"]
    return seconds * n_samples / (N_BATCHES * len(batch)), None


if __name__ == "__main__":
    serve(train, "torch")
