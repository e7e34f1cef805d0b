"""What the runners share: a process that trains on demand, one job a line.

It runs in the environment of every library, so it needs numpy and torch alone.
"""

import json
import os
import sys
import time
from importlib.metadata import version

import numpy as np
import torch

#: Rows put through a trained model at once when it is evaluated.
BLOCK = 2048


class Clock:
    """Context manager that times its block, the work still queued on a GPU included."""

    def __init__(self, device):
        self.device = device

    def _now(self):
        if self.device == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter()

    def __enter__(self):
        self.start = self._now()
        return self

    def __exit__(self, *error):
        self.seconds = self._now() - self.start


def shuffled_batches(rows, job):
    """Yield the batches of one epoch: one draw of the order, one gather a batch."""
    order = torch.randperm(len(rows), device=rows.device)
    for start in range(0, len(rows), job["batch_size"]):
        yield rows[order[start : start + job["batch_size"]]]


def fraction_unexplained(rows, decoded):
    """Return the fraction of variance unexplained, in float64."""
    rows, decoded = rows.astype(np.float64), decoded.astype(np.float64)
    return float(((rows - decoded) ** 2).sum() / ((rows - rows.mean(0)) ** 2).sum())


def evaluate(reconstruct, rows, k):
    """Return FVU and share of neurons that fire; fail where a code has more than k."""
    decoded, fired = [], False
    for start in range(0, len(rows), BLOCK):
        codes, block = reconstruct(rows[start : start + BLOCK])
        if (n_active := int((codes != 0).sum(axis=1).max())) > k:
            raise RuntimeError(f"a code has {n_active} active neurons, k is {k}")
        decoded.append(block)
        fired = fired | (codes != 0).any(axis=0)
    fvu = fraction_unexplained(rows, np.concatenate(decoded))
    return {"fvu": fvu, "used": float(fired.mean())}


def torch_reconstruct(codes_and_decoded, device):
    """Make a function of numpy rows out of one of torch rows."""

    def reconstruct(rows):
        """Go to torch and back."""
        with torch.no_grad():
            codes, decoded = codes_and_decoded(torch.from_numpy(rows).to(device))
        return codes.cpu().numpy(), decoded.cpu().numpy()

    return reconstruct


def run(train, job):
    """Train once; return the seconds and what the rows held out say."""
    table = np.load(job["data"])
    rows, held_out = table[: job["n_rows"]], table[-job["n_held_out"] :]
    torch.manual_seed(0)
    seconds, reconstruct = train(rows, job)
    reply = {"seconds": seconds}
    if reconstruct is not None:
        reply |= evaluate(reconstruct, held_out, job["k"])
    return reply


def serve(train, package):
    """Answer jobs until the input ends; `train` returns seconds and a reconstruction.

    Libraries print as they like, so the replies have a pipe to themselves.
    """
    replies = os.fdopen(int(os.environ["REPLIES"]), "w")
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    hello = {"version": version(package), "torch": torch.__version__}
    print(json.dumps(hello), file=replies, flush=True)
    for line in sys.stdin:
        try:
            reply = run(train, json.loads(line))
        except Exception as error:  # Reported in the table; the other runs go on.
            reply = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(reply), file=replies, flush=True)
