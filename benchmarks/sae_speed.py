"""How fast the probe trains beside the TopK autoencoders of other libraries.

Every library runs in an environment of its own, made here on the first run, and trains
on the same rows for the same number of samples: ours, then each of the others, then
ours again. Only the training is timed. Written to ``results/sae_speed.md``.

``--quick`` is a short round that writes nothing; ``--tune`` chooses the learning rates
and writes them to ``peers/settings.json``.
"""

import argparse
import contextlib
import json
import os
import pathlib
import platform
import subprocess
import sys
import tempfile

import numpy as np
import torch
from scipy.sparse import csr_array

ROOT = pathlib.Path(__file__).resolve().parents[1]
PEERS = ROOT / "benchmarks" / "peers"
SETTINGS = PEERS / "settings.json"
RESULTS = ROOT / "benchmarks" / "results" / "sae_speed.md"

OURS, FLOOR = "skpopsteer", "floor"
LABELS = {"sparsify": "eai-sparsify", "saelens": "SAELens"}
# torch is installed first, so that nothing else chooses its build.
REQUIREMENTS = {
    "sparsify": ["eai-sparsify==1.3.3"],
    "saelens": ["sae-lens==6.54.12"],
    # overcomplete calls a function that matplotlib 3.9 removed.
    "overcomplete": ["torchvision==0.28.0", "matplotlib==3.8.4", "overcomplete==0.3.0"],
}
TORCH = "torch==2.13.0"
SHAPES = [(64, 1024), (64, 2048), (128, 4096)]
K, BATCH_SIZE = 32, 1024
N_ROWS, N_HELD_OUT, EPOCHS, ROUNDS = 32 * BATCH_SIZE, 4 * BATCH_SIZE, 8, 3
QUICK_EPOCHS = 2
#: An FVU that is worse than the best by more than this is marked.
TOLERANCE = 0.02
#: Settings under which fewer neurons fire are not chosen: with a large learning rate
#: most neurons die, the rest become a basis and its negative, and FVU falls.
MIN_USED = 0.9
#: What `--tune` tries.
GRID = {
    OURS: [
        {"decay": decay, "lr": lr}
        for decay, lr in (
            (0.2, 2e-3),
            (0.5, 2e-3),
            (0.5, 3e-3),
            (0.5, 4e-3),
            (0.5, 5e-3),
        )
    ],
    "sparsify": [
        {"optimizer": "signum", "lr": 1e-2},
        *({"optimizer": "adam", "lr": lr} for lr in (2e-3, 4e-3, 8e-3)),
    ],
    "saelens": [
        {"decay": decay, "lr": lr}
        for decay, lr in (
            (0.2, 2e-3),
            (0.2, 4e-3),
            (0.5, 2e-3),
            (0.5, 3e-3),
            (0.5, 4e-3),
        )
    ],
    "overcomplete": [
        {"decay_to": decay_to, "lr": lr}
        for decay_to, lr in ((1, 2e-3), (1, 4e-3), (0, 4e-3), (0, 8e-3))
    ],
    FLOOR: [{}],
}


class Worker:
    """A runner in its own process, which waits while the others have their turn."""

    def __init__(self, name, python, n_threads, device, logs):
        self.log = pathlib.Path(logs) / f"{name}-{n_threads}.log"
        # Libraries print as they like, so the replies have a pipe to themselves.
        read_end, write_end = os.pipe()
        threads = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
        self.process = subprocess.Popen(
            [python, str(PEERS / f"run_{name}.py")],
            stdin=subprocess.PIPE,
            stdout=self.log.open("w", encoding="utf-8"),
            stderr=subprocess.STDOUT,
            pass_fds=[write_end],
            text=True,
            env=os.environ
            | dict.fromkeys(threads, str(n_threads))
            | ({"CUDA_VISIBLE_DEVICES": ""} if device == "cpu" else {})
            | {"HF_HUB_OFFLINE": "1", "WANDB_MODE": "disabled"}
            | {"REPLIES": str(write_end)},
        )
        os.close(write_end)
        self.replies = os.fdopen(read_end, encoding="utf-8")
        self.hello = self._read()

    def _read(self):
        line = self.replies.readline()
        if line:
            return json.loads(line)
        said = self.log.read_text(encoding="utf-8").strip().splitlines()
        return {"error": f"the process ended: {said[-1] if said else 'no message'}"}

    def run(self, job):
        """Return the reply to one job; an error where the process is gone."""
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.write(json.dumps(job) + "\n")
            self.process.stdin.flush()
        return self._read()

    def close(self):
        """End the process by ending its input."""
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        self.process.wait()
        self.replies.close()


def make_environment(name):
    """Return the interpreter of a library's environment, or why there is none."""
    folder = ROOT / f".venv-bench-{name}"
    python, marker = folder / "bin" / "python", folder / ".installed"
    wanted = "\n".join([TORCH, *REQUIREMENTS[name]])
    if marker.exists() and marker.read_text(encoding="utf-8") == wanted:
        return str(python), None
    print(f"Installing {name} into {folder.name} ...", flush=True)
    pip = [str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    for command in (
        [sys.executable, "-m", "venv", "--clear", str(folder)],
        [*pip, TORCH],
        [*pip, TORCH, *REQUIREMENTS[name]],
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            said = (done.stderr or done.stdout).strip().splitlines()
            return None, f"not installed: {said[-1] if said else 'no message'}"
    marker.write_text(wanted, encoding="utf-8")
    return str(python), None


def make_rows(n_features, seed=0):
    """Plant a dictionary: 4 of 4 times `n_features` directions a row, and noise.

    A tenth of the variance is noise; centred and scaled, so that no library gains by
    doing it or loses by not.
    """
    rng = np.random.default_rng(seed)
    n_rows, n_atoms, n_active = N_ROWS + N_HELD_OUT, 4 * n_features, 4
    atoms = rng.standard_normal((n_atoms, n_features))
    atoms /= np.linalg.norm(atoms, axis=1, keepdims=True)
    chosen = rng.integers(n_atoms, size=n_rows * n_active)
    weights = rng.exponential(size=n_rows * n_active)
    indptr = np.arange(0, chosen.size + 1, n_active)
    rows = csr_array((weights, chosen, indptr), shape=(n_rows, n_atoms)) @ atoms
    rows += rng.standard_normal(rows.shape) * rows.std() / 3
    rows -= rows.mean(axis=0)
    return (rows / rows.std()).astype(np.float32)


def write_data(folder):
    """Write the rows of every width once; return the paths."""
    paths = {}
    for n_features in {shape[0] for shape in SHAPES}:
        paths[n_features] = str(pathlib.Path(folder) / f"rows-{n_features}.npy")
        np.save(paths[n_features], make_rows(n_features))
    return paths


def make_job(shape, data, epochs, device="cpu", settings=None):
    """Describe one training."""
    return {
        "data": data[shape[0]],
        "n_rows": N_ROWS,
        "n_held_out": N_HELD_OUT,
        "n_neurons": shape[1],
        "k": K,
        "batch_size": BATCH_SIZE,
        "epochs": epochs,
        "device": device,
        "settings": settings,
    }


def start_workers(environments, n_threads, device, logs):
    """Start a runner for every library that has an environment."""
    return {
        name: Worker(name, python, n_threads, device, logs)
        for name, (python, _) in environments.items()
        if python
    }


def measure(workers, shape, job, settings, n_rounds):
    """Return the replies of every library to its rounds, in turn within a round."""
    replies = {name: [] for name in workers}
    for n_round in range(n_rounds + 1):
        for name, worker in workers.items():
            chosen = settings.get(f"{shape[0]}x{shape[1]}", {}).get(name, GRID[name][0])
            extra = {"settings": chosen}
            if n_round == 0:  # Imports and buffers: a short run that does not count.
                extra |= {"n_rows": 4 * BATCH_SIZE, "epochs": 1}
            reply = worker.run(job | extra)
            if n_round or "error" in reply:
                replies[name].append(reply)
    return replies


def summarize(replies, n_samples):
    """Return samples a second of every round, FVU and error of every library."""
    summary = {}
    for name, answers in replies.items():
        errors = [answer["error"] for answer in answers if "error" in answer]
        summary[name] = {"error": errors[0]} if errors else {
            "rates": np.array([n_samples / answer["seconds"] for answer in answers]),
            "fvu": answers[0].get("fvu"),
            "used": answers[0].get("used"),
        }  # fmt: skip
    return summary


def spread(values):
    """Format a median and, of several values, their range."""
    text = f"{np.median(values):.2f}"
    if len(values) > 1:
        text += f" ({min(values):.2f} to {max(values):.2f})"
    return text


def table_rows(shape, summary, missing):
    """Return the lines of one shape."""
    shape = f"{shape[0]} → {shape[1]:,}"
    good = {name: one for name, one in summary.items() if "error" not in one}
    fvus = [one["fvu"] for one in good.values() if one["fvu"] is not None]
    ours = good.get(OURS, {}).get("rates")
    lines = []
    for name in [*summary, *missing]:
        label = LABELS.get(name, name)
        if name not in good:
            reason = summary[name]["error"] if name in summary else missing[name]
            lines.append(f"| {shape} | {label} | {reason.replace('|', '/')} | | | |")
            continue
        one = good[name]
        fvu = "" if one["fvu"] is None else f"{one['fvu']:.4f}"
        used = "" if one["used"] is None else f"{one['used']:.0%}"
        if fvu and one["fvu"] > (1 + TOLERANCE) * min(fvus):
            fvu += f" (+{one['fvu'] / min(fvus) - 1:.0%})"
        ratio = "" if ours is None or name == OURS else spread(ours / one["rates"])
        rate = f"{np.median(one['rates']):,.0f}"
        lines.append(f"| {shape} | {label} | {rate} | {fvu} | {used} | {ratio} |")
    return lines


def headline(shape, summary):
    """Return our ratio to the fastest of the others, round by round."""
    peers = [
        one["rates"]
        for name, one in summary.items()
        if name not in {OURS, FLOOR} and "error" not in one
    ]
    if not peers or "error" in summary.get(OURS, {"error": ""}):
        return f"{shape[0]} → {shape[1]:,}: nothing to compare"
    ratios = summary[OURS]["rates"] / np.max(peers, axis=0)
    return f"{shape[0]} → {shape[1]:,}: {spread(ratios)}"


def make_table(title, results, missing):
    """Return one table, with the ratio to the fastest peer above it."""
    lines = [f"## {title}", "", "Times the fastest of the others: "]
    lines[-1] += "; ".join(headline(*one) for one in results.items()) + "."
    lines += ["", "| shape | library | samples/s | FVU | neurons used | ours / this |"]
    lines += ["|---|---|--:|--:|--:|--:|"]
    for shape, summary in results.items():
        lines += table_rows(shape, summary, missing)
    return "\n".join(lines) + "\n"


def processor():
    """Return the name of the processor."""
    info = pathlib.Path("/proc/cpuinfo")
    names = [
        line.partition(":")[2].strip()
        for line in (info.read_text().splitlines() if info.exists() else [])
        if line.startswith("model name")
    ]
    return names[0] if names else platform.processor()


def make_note(hellos, epochs, n_rounds):
    """Return what was run, where, and how to read it."""
    versions = ", ".join(
        f"{LABELS.get(name, name)} {hello['version']} (torch {hello['torch']})"
        for name, hello in hellos.items()
        if "error" not in hello and name != FLOOR
    )
    return f"""TopK autoencoders, float32, k = {K}, batch {BATCH_SIZE:,}, \
{epochs * N_ROWS:,} samples: {epochs} epochs of {N_ROWS:,} rows with a planted sparse \
dictionary and noise. Median of {n_rounds} interleaved rounds, range in brackets.

FVU and the neurons used are of {N_HELD_OUT:,} rows held out; (+n %) marks an FVU \
more than {TOLERANCE:.0%} above the best of its shape. Every library runs its own \
trainer and optimiser with the settings in `peers/settings.json`: of a small grid, \
those with the lowest FVU that leave {MIN_USED:.0%} of the neurons in use. \
eai-sparsify runs the steps of its trainer, which itself takes language models only. \
The floor is one product of a batch with the encoder and nothing else.

{processor()}, {os.cpu_count()} cores, Python {platform.python_version()}. {versions}.
"""


def run_table(environments, data, settings, args, n_threads, device):
    """Return the results of all shapes, and what the runners said of themselves."""
    epochs = QUICK_EPOCHS if args.quick else EPOCHS
    n_rounds = 1 if args.quick else ROUNDS
    workers = start_workers(environments, n_threads, device, args.logs)
    hellos = {name: worker.hello for name, worker in workers.items()}
    results = {}
    for shape in SHAPES:
        job = make_job(shape, data, epochs, device)
        replies = measure(workers, shape, job, settings, n_rounds)
        results[shape] = summarize(replies, epochs * N_ROWS)
        print(*table_rows(shape, results[shape], {}), sep="\n", flush=True)
    for worker in workers.values():
        worker.close()
    return results, hellos


def tune(environments, data, args):
    """Try the grid of every library once, and keep the settings of the lowest FVU."""
    workers = start_workers(environments, 2, "cpu", args.logs)
    settings = {}
    for shape in SHAPES:
        best = settings[f"{shape[0]}x{shape[1]}"] = {}
        for name, worker in workers.items():
            if name == FLOOR:
                continue
            tried = []
            for choice in GRID[name]:
                reply = worker.run(make_job(shape, data, EPOCHS, settings=choice))
                few = reply.get("used", 0.0) < MIN_USED
                tried.append(((few, reply.get("fvu", np.inf)), choice))
                print(shape, name, choice, reply, flush=True)
            best[name] = min(tried, key=lambda one: one[0])[1]
    SETTINGS.write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")


def benchmark(environments, data, args):
    """Run all tables and write the results."""
    settings = {}
    if SETTINGS.exists():
        settings = json.loads(SETTINGS.read_text(encoding="utf-8"))
    missing = {name: why for name, (python, why) in environments.items() if not python}
    text = ""
    for n_threads, title in ((1, "One thread"), (2, "Two threads")):
        results, hellos = run_table(
            environments, data, settings, args, n_threads, "cpu"
        )
        text += make_table(title, results, missing) + "\n"
    if torch.cuda.is_available():
        results, _ = run_table(environments, data, settings, args, 1, "cuda")
        text += make_table(torch.cuda.get_device_name(), results, missing) + "\n"
    else:
        text += "There was no GPU.\n\n"
    epochs, n_rounds = (QUICK_EPOCHS, 1) if args.quick else (EPOCHS, ROUNDS)
    text = f"# Training speed\n\n{text}{make_note(hellos, epochs, n_rounds)}"
    print(f"\n{text}")
    if not args.quick:
        RESULTS.write_text(text, encoding="utf-8")


def main():
    """Make what is missing, then tune or measure."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="one short round")
    parser.add_argument("--tune", action="store_true", help="choose learning rates")
    args = parser.parse_args()
    environments = {OURS: (sys.executable, None)}
    environments |= {name: make_environment(name) for name in REQUIREMENTS}
    environments[FLOOR] = (sys.executable, None)
    with tempfile.TemporaryDirectory() as folder:
        args.logs = folder
        data = write_data(folder)
        (tune if args.tune else benchmark)(environments, data, args)


if __name__ == "__main__":
    main()
