"""Runs ``SparseCoder`` of eai-sparsify.

Its trainer takes the activations of a language model and nothing else, so the loop is
written out here with the calls its trainer makes: the decoder's bias starts at the mean
of the first batch, the gradient is projected, the decoder rows are normalised, neurons
that fired are noted, Adam or signum with its schedule.
"""

import os

import torch
from worker import Clock, serve, shuffled_batches, torch_reconstruct

# Float32 like the others: `forward` would choose bfloat16 on a GPU that has it.
torch.cuda.is_bf16_supported = lambda *_, **__: False
if not torch.cuda.is_available():
    os.environ["SPARSIFY_DISABLE_TRITON"] = "1"

from sparsify import SparseCoder, SparseCoderConfig  # noqa: E402


def make_optimizer(sae, job):
    """Return the optimiser and the schedule that the library's trainer would build."""
    lr = job["settings"]["lr"]
    if job["settings"]["optimizer"] == "signum":
        from schedulefree import ScheduleFreeWrapper
        from sparsify.sign_sgd import SignSGD

        optimizer = ScheduleFreeWrapper(SignSGD(sae.parameters(), lr=lr), momentum=0.95)
        optimizer.train()
        return optimizer, None
    adam = torch.optim.Adam(sae.parameters(), lr=lr)
    n_steps = job["epochs"] * job["n_rows"] // job["batch_size"]
    decay = torch.optim.lr_scheduler.LinearLR(adam, 1.0, 0.0, total_iters=n_steps)
    return adam, decay


def step(sae, batch, optimizer, schedule, silent_for):
    """Take one step."""
    sae.set_decoder_norm_to_unit_norm()
    out = sae(batch)
    out.fvu.backward()
    sae.remove_gradient_parallel_to_decoder_directions()
    optimizer.step()
    optimizer.zero_grad()
    if schedule is not None:
        schedule.step()
    silent_for += len(batch)
    silent_for[out.latent_indices.flatten()] = 0


def train(rows, job):
    """Train a TopK coder."""
    config = SparseCoderConfig(num_latents=job["n_neurons"], k=job["k"])
    sae = SparseCoder(rows.shape[1], config, job["device"], torch.float32)
    rows = torch.from_numpy(rows).to(job["device"])
    optimizer, schedule = make_optimizer(sae, job)
    silent_for = torch.zeros(job["n_neurons"], dtype=torch.long, device=job["device"])
    with Clock(job["device"]) as clock:
        sae.b_dec.data = rows[: job["batch_size"]].mean(0)
        for _ in range(job["epochs"]):
            for batch in shuffled_batches(rows, job):
                step(sae, batch, optimizer, schedule, silent_for)
    if schedule is None:
        optimizer.eval()

    def codes_and_decoded(held_out):
        """Encode and decode; the codes are made dense."""
        values, neurons, pre = sae.encode(held_out)
        codes = torch.zeros_like(pre).scatter_(1, neurons, values)
        return codes, sae.decode(values, neurons)

    return clock.seconds, torch_reconstruct(codes_and_decoded, job["device"])


if __name__ == "__main__":
    serve(train, "eai-sparsify")
