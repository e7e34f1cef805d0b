"""Runs ``TopKTrainingSAE`` of SAELens with its ``SAETrainer``."""

import torch
from sae_lens import TopKTrainingSAE, TopKTrainingSAEConfig
from sae_lens.config import LoggingConfig, SAETrainerConfig
from sae_lens.training.sae_trainer import SAETrainer
from worker import Clock, serve, shuffled_batches, torch_reconstruct


def endless(rows, job):
    """Yield batches for as long as the trainer asks."""
    while True:
        yield from shuffled_batches(rows, job)


def make_trainer(sae, rows, job):
    """Return the library's trainer, without logging; the rate decays at the end."""
    n_samples = job["epochs"] * job["n_rows"]
    config = SAETrainerConfig(
        total_training_samples=n_samples,
        train_batch_size_samples=job["batch_size"],
        lr=job["settings"]["lr"],
        lr_end=job["settings"]["lr"],
        lr_decay_steps=int(n_samples // job["batch_size"] * job["settings"]["decay"]),
        device=job["device"],
        logger=LoggingConfig(log_to_wandb=False),
    )
    return SAETrainer(config, sae, endless(rows, job))


def train(rows, job):
    """Train a TopK autoencoder."""
    config = TopKTrainingSAEConfig(
        d_in=rows.shape[1],
        d_sae=job["n_neurons"],
        k=job["k"],
        dtype="float32",
        device=job["device"],
    )
    sae = TopKTrainingSAE(config)
    rows = torch.from_numpy(rows).to(job["device"])
    trainer = make_trainer(sae, rows, job)
    with Clock(job["device"]) as clock:
        trainer.fit()
    sae.eval()

    def codes_and_decoded(held_out):
        """Encode and decode."""
        codes = sae.encode(held_out)
        return codes, sae.decode(codes)

    return clock.seconds, torch_reconstruct(codes_and_decoded, job["device"])


if __name__ == "__main__":
    serve(train, "sae-lens")
