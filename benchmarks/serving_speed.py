"""How fast steered lists are served, beside un-steered ones of other libraries.

The same vectors and histories for everybody, seen items left out, 10 items a list, 64
dimensions; engines take turns, on one thread and on two. A product of users and items
and nothing else is the floor. RecTools has an environment of its own
(``make test-rectools`` makes it); FAISS is installed by ``pip install faiss-cpu``.
Written to ``results/serving_speed.md``.

``--quick`` is a short round that writes nothing; ``--stream`` serves a million users of
100,000 items to disk, and says what memory that takes.
"""

import argparse
import os
import pathlib
import platform
import resource
import subprocess
import sys
import tempfile
import threading
import time

import numpy as np
from sae_speed import Worker, processor
from scipy.sparse import csr_array

ROOT = pathlib.Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
D, K = 64, 10
#: Seconds between two engines.
PAUSE = 0.3
#: Items, and users that are served in a round.
SIZES = {3_700: 24_000, 27_000: 8_000, 100_000: 3_000}
#: Users at 27,000 items, for the exponent.
MORE_USERS = (2_000, 8_000, 32_000)
HOME = ["floor", "skpopsteer", "steered", "steered users", "exported"]
PEERS = ["implicit", "RecTools", "RecTools, torch", "FAISS flat", "numpy", "torch"]
LABELS = {
    "skpopsteer": "skpopsteer, un-steered",
    "steered": "**skpopsteer, steered** (offsets of items)",
    "steered users": "skpopsteer, users steered (PopSteer's form)",
    "exported": "skpopsteer, steered user vectors exported once",
    "floor": "the product alone",
}


def make_data(folder, n_users, n_items, seed=0):
    """Draw vectors, and histories whose lengths are spread like those of MovieLens."""
    rng = np.random.default_rng(seed)
    folder = pathlib.Path(folder) / f"{n_users}-{n_items}"
    folder.mkdir()
    for name, n in (("U", n_users), ("V", n_items)):
        np.save(folder / f"{name}.npy", rng.standard_normal((n, D), dtype=np.float32))
    X = histories(rng, n_users, n_items)
    for name in ("data", "indices", "indptr"):
        np.save(folder / f"{name}.npy", getattr(X, name))
    return str(folder)


def histories(rng, n_users, n_items):
    """Return a matrix of ones: 48 items in the middle, 10 to 500 of them."""
    lengths = np.clip(rng.lognormal(np.log(48), 0.8, n_users), 10, 500).astype(np.int64)
    # Popular items more often, as everywhere.
    items = (n_items * rng.random(lengths.sum()) ** 3).astype(np.int32)
    users = np.repeat(np.arange(n_users, dtype=np.int32), lengths)
    ones = np.ones(len(items), dtype=np.float32)
    X = csr_array((ones, (users, items)), shape=(n_users, n_items))
    X.sum_duplicates()
    X.data[:] = 1
    return X


def rectools():
    """Return the interpreter of RecTools' environment, or None."""
    python = ROOT / ".venv-rectools" / "bin" / "python"
    if not python.exists():
        subprocess.run(["make", "-C", ROOT, ".venv-rectools/.installed"], check=False)
    return str(python) if python.exists() else None


def start(n_threads, logs):
    """Start a process for every environment; return the one of every engine."""
    home = Worker("serving", sys.executable, n_threads, "cpu", logs)
    workers = dict.fromkeys([*HOME, *PEERS], home)
    python = rectools()
    there = Worker("serving", python, n_threads, "cpu", logs) if python else None
    for name in ("RecTools", "RecTools, torch"):
        workers[name] = there
    return workers


def measure(workers, folder, names, n_rounds):
    """Return seconds of every round and the last reply of every engine."""
    seconds, replies = {name: [] for name in names}, {}
    for n_round in range(n_rounds + 1):
        for name in names:
            if workers[name] is None:
                replies[name] = {"error": "not installed"}
                continue
            # Threads of BLAS wait busily for a while when a product is done.
            time.sleep(PAUSE)
            reply = workers[name].run({"folder": folder, "engine": name})
            replies[name] = reply
            # The first makes the model and warms the caches.
            if n_round and "seconds" in reply:
                seconds[name].append(reply["seconds"])
    return {name: np.array(each) for name, each in seconds.items()}, replies


def agreement(replies, name):
    """Return the share of listed items that are those of our un-steered lists."""
    ours = replies["skpopsteer"].get("lists")
    theirs = replies[name].get("lists")
    if ours is None or theirs is None:
        return None
    return float((np.load(ours) == np.load(theirs)).mean())


def table(n_items, n_users, seconds, replies):
    """Return the lines of one size."""
    lines = [
        f"### {n_items:,} items",
        "",
        "| | users a second | steered / this | of the floor | same items |",
        "|---|--:|--:|--:|--:|",
    ]
    for name in [*HOME[1:], *PEERS, "floor"]:
        label = LABELS.get(name, name)
        if "error" in replies[name] or not len(seconds[name]):
            lines.append(f"| {label} | {replies[name].get('error', '')} | | | |")
            continue
        rate = np.median(n_users / seconds[name])
        ratio = np.median(seconds[name] / seconds["steered"])
        share = np.median(seconds["floor"] / seconds[name])
        same = agreement(replies, name) if name in PEERS else None
        lines.append(
            f"| {label} | {rate:,.0f} | {ratio:.2f} | {share:.2f} | "
            f"{'' if same is None else f'{same:.2%}'} |"
        )
    items, users, once = (
        np.median(seconds[name] / seconds["skpopsteer"]) - 1
        for name in ("steered", "steered users", "exported")
    )
    lines += [
        "",
        f"Steering costs {items:.0%} over un-steered, {users:.0%} where every user is "
        f"encoded and steered anew, {once:.0%} where that was done once.",
        "",
    ]
    return lines


def exponent(sizes, seconds):
    """Return the slope of log time over log size."""
    return float(np.polyfit(np.log(list(sizes)), np.log(seconds), 1)[0])


def run(n_threads, n_rounds, scale, folder):
    """Measure all sizes on some threads; return lines of text and versions."""
    workers = start(n_threads, folder)
    lines = [f"## {'One thread' if n_threads == 1 else f'{n_threads} threads'}", ""]
    a_user, versions = {}, {}
    for n_items, n_users in SIZES.items():
        n_users //= scale
        data = make_data(folder, n_users, n_items)
        seconds, replies = measure(workers, data, [*HOME, *PEERS], n_rounds)
        lines += table(n_items, n_users, seconds, replies)
        a_user[n_items] = np.median(seconds["steered"]) / n_users
        versions |= {n: r["version"] for n, r in replies.items() if "version" in r}
        print("\n".join(lines[-18:]), flush=True)
    users = {}
    for n_users in MORE_USERS:
        data = make_data(folder, n_users // scale, 27_001)
        seconds, _ = measure(workers, data, ["steered"], n_rounds)
        users[n_users] = np.median(seconds["steered"])
    lines += [
        f"Time of steered lists grows with the number of items to the power "
        f"{exponent(a_user, list(a_user.values())):.2f} (3,700 to 100,000), with that "
        f"of users to the power {exponent(users, list(users.values())):.2f} "
        f"({MORE_USERS[0]:,} to {MORE_USERS[-1]:,}).",
        "",
    ]
    for worker in {id(w): w for w in workers.values() if w}.values():
        worker.close()
    return lines, versions


def stream(n_users=1_000_000, n_items=100_000):
    """Serve many users to a file on disk; return what it took."""
    from skpopsteer import SparseAutoencoderProbe, SteeredRecommender, as_recommender

    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        shape = (n_users, D)
        path = pathlib.Path(folder)
        U = np.lib.format.open_memmap(path / "U.npy", "w+", np.float32, shape)
        for first in range(0, n_users, 50_000):
            U[first : first + 50_000] = rng.standard_normal((50_000, D))
        U.flush()
        V = rng.standard_normal((n_items, D), dtype=np.float32)
        host = as_recommender((np.load(path / "U.npy", mmap_mode="r"), V))
        some = histories(rng, 10_000, n_items)
        probe = SparseAutoencoderProbe(max_iter=2, random_state=0)
        model = SteeredRecommender(host, rule="shift", probe=probe, random_state=0)
        model.fit(some, user_ids=np.arange(10_000))
        lists = np.lib.format.open_memmap(
            path / "lists.npy", "w+", np.int32, (n_users, K)
        )
        before, begun = anonymous_memory(), time.perf_counter()
        seen, done = [before], threading.Event()
        watch = threading.Thread(target=watch_memory, args=(seen, done))
        watch.start()
        for first in range(0, n_users, 10_000):
            rows = slice(first, first + 10_000)
            X = histories(np.random.default_rng(first), 10_000, n_items)
            lists[rows] = model.recommend(X, user_ids=np.arange(n_users)[rows])
        done.set()
        watch.join()
        took = time.perf_counter() - begun
        assert (np.load(path / "lists.npy", mmap_mode="r")[::1000] >= 0).all()
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
    return (
        f"{n_users:,} users of {n_items:,} items, 10,000 at a time, vectors and lists "
        f"in files: {took:,.0f} s on one thread, with the histories drawn on the way; "
        f"memory that is not of files, looked at ten times a second, grew from "
        f"{before:,.0f} to {max(seen):,.0f} MiB, of which a block of scores is 12 (all "
        f"scores would be {4 * n_users * n_items / 2**30:,.0f} GiB) and drawing the "
        f"histories takes some; most ever resident, mapped files included: "
        f"{most:,.0f} MiB."
    )


def watch_memory(seen, done):
    """Note the memory held, until it is done."""
    while not done.wait(0.1):
        seen.append(anonymous_memory())


def anonymous_memory():
    """Return the MiB that this process holds beside mapped files."""
    lines = pathlib.Path("/proc/self/status").read_text().splitlines()
    (line,) = [line for line in lines if line.startswith("RssAnon")]
    return int(line.split()[1]) / 2**10


def main():
    """Measure, or stream, and write what came of it."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="one short round")
    parser.add_argument("--stream", action="store_true", help="a million users")
    args = parser.parse_args()
    if args.stream:
        text = "# A million users\n\n" + stream() + "\n"
        print(text)
        (RESULTS / "serving_memory.md").write_text(text, encoding="utf-8")
        return
    text, versions = ["# Serving speed", ""], {}
    for n_threads in (1, 2):
        with tempfile.TemporaryDirectory() as folder:
            rounds, scale = (1, 8) if args.quick else (5, 1)
            lines, found = run(n_threads, rounds, scale, folder)
        text, versions = text + lines, versions | found
    peers = ", ".join(f"{name} {which}" for name, which in versions.items())
    text += [
        f"Users of {D} dimensions, 48 seen items each in the middle (10 to 500), "
        f"which are left out, {K} items a list, float32. Median of interleaved rounds; "
        "ratios are taken round by round. Steered: 1,024 neurons, k = 32. On two "
        "threads our rows run on `joblib.parallel_config('threading')` with one thread "
        "of BLAS each; the floor uses both threads of BLAS. FAISS is "
        "asked for as many items more as the longest history of a batch of alike ones "
        "has, and what was seen is left out then. Lists may differ where scores are "
        "equal to rounding.",
        "",
        f"{processor()}, {os.cpu_count()} cores, Python {platform.python_version()}. "
        f"{peers}.",
        "",
    ]
    if not args.quick:
        (RESULTS / "serving_speed.md").write_text("\n".join(text), encoding="utf-8")


if __name__ == "__main__":
    main()
