"""Runs ``TopKSAE`` of overcomplete with its ``train_sae``."""

import torch
from worker import Clock, serve, shuffled_batches, torch_reconstruct

if torch.version.cuda is None:
    # The compiled part of torchvision needs CUDA. Nothing here uses it, but importing
    # torchvision fails unless these two operators are declared.
    declared = torch.library.Library("torchvision", "DEF")
    for name in ("nms", "qnms"):
        declared.define(f"{name}(Tensor dets, Tensor scores, float iou) -> Tensor")

from overcomplete.sae import CosineScheduler, TopKSAE, train_sae


class Loader:
    """What ``train_sae`` iterates over once an epoch; far cheaper than a DataLoader."""

    def __init__(self, rows, job):
        self.rows, self.job = rows, job

    def __iter__(self):
        return shuffled_batches(self.rows, self.job)


def mean_squared_error(x, x_hat, pre_codes, codes, dictionary):
    """Return the loss of the library's TopK example."""
    return (x - x_hat).square().mean()


def train(rows, job):
    """Train a TopK autoencoder without monitoring, which is the fastest."""
    device = job["device"]
    sae = TopKSAE(rows.shape[1], job["n_neurons"], top_k=job["k"], device=device)
    lr = job["settings"]["lr"]
    adam = torch.optim.Adam(sae.parameters(), lr=lr)
    n_steps = job["epochs"] * job["n_rows"] // job["batch_size"]
    schedule = CosineScheduler(adam, lr, job["settings"]["decay_to"] * lr, n_steps)
    loader = Loader(torch.from_numpy(rows).to(device), job)
    with Clock(device) as clock:
        train_sae(
            sae,
            loader,
            mean_squared_error,
            adam,
            schedule,
            nb_epochs=job["epochs"],
            monitoring=0,
            device=device,
        )
    sae.eval()

    def codes_and_decoded(held_out):
        """Encode and decode."""
        _, codes = sae.encode(held_out)
        return codes, sae.decode(codes)

    return clock.seconds, torch_reconstruct(codes_and_decoded, device)


if __name__ == "__main__":
    serve(train, "overcomplete")
