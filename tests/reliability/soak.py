"""Serve from several models for an hour, and watch that nothing changes or grows.

Threads and processes call ``recommend``, ``predict``, ``transform``, ``save`` and
``load`` at random, for random users. Every answer is compared with the one the same
model gave alone, to the last bit. Memory, open files and threads of every process are
watched. One line is printed a minute; the exit code is 1 for any difference, error or
growth.

    python -m tests.reliability.soak --seconds 3600
"""

import argparse
import faulthandler
import gc
import multiprocessing
import os
import random
import sys
import tempfile
import threading
import time
import traceback
from pathlib import Path

import numpy as np
from sklearn.decomposition import TruncatedSVD

from skpopsteer import (
    PopularityPenaltyReranker,
    SparseAutoencoderProbe,
    SteeredRecommender,
    as_recommender,
)
from skpopsteer.datasets import make_interactions
from skpopsteer.persistence import load, save

N_THREADS, N_PROCESSES, N_USERS = 3, 2, 150
STRENGTHS = (0.0, 0.5, 2.0)
#: What an allocator may keep beyond what it had after a sixth of the time.
MOST_BYTES = 24 * 2**20


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=3600)
    parser.add_argument("--every", type=float, default=60, help="seconds of a line")
    arguments = parser.parse_args()
    faulthandler.enable()
    models = fitted_models()
    context = multiprocessing.get_context("fork")
    reports = context.Queue()
    end = time.monotonic() + arguments.seconds
    processes = [
        context.Process(target=serve, args=(models, seed, end, arguments, reports))
        for seed in range(N_PROCESSES)
    ]
    write(
        f"{len(models)} models, {N_PROCESSES} processes of {N_THREADS} threads, "
        f"{arguments.seconds:g} seconds"
    )
    for process in processes:
        process.start()
    failures, n_over = [], 0
    while n_over < N_PROCESSES:
        line, failed, is_over = reports.get()
        write(line)
        failures += failed
        n_over += is_over
    for process in processes:
        process.join()
    failures += [f"exit code {one.exitcode}" for one in processes if one.exitcode]
    for failure in failures:
        write(failure)
    write("differences or growth" if failures else "no difference, no growth")
    return bool(failures)


def write(line):
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def fitted_models():
    """Return models by name, with all their answers."""
    X = make_interactions(N_USERS, 300, random_state=0).X
    svd = TruncatedSVD(16, random_state=0).fit(X)
    tables = svd.transform(X), svd.components_.T
    models = {}
    for name, host in (
        ("svd", as_recommender(svd)),
        ("tables", as_recommender(tables)),
    ):
        users = {"user_ids": np.arange(N_USERS)} if name == "tables" else {}
        profiles = "real" if name == "tables" else "synthetic"
        for rule in ("shift", None):
            probe = SparseAutoencoderProbe(64, k=8, max_iter=10, random_state=0)
            model = SteeredRecommender(
                host, probe=probe, rule=rule, profiles=profiles, random_state=0
            )
            models[f"{name} {rule}"] = model.fit(X, **users), X, users
        rival = PopularityPenaltyReranker(host, strength=0.3)
        models[f"{name} penalty"] = rival.fit(X, **users), X, users
    return {name: (*held, answers(*held)) for name, held in models.items()}


def answers(model, X, users):
    """Return what a model says of every user, asked alone."""
    rows = [one_user(X, users, user) for user in range(X.shape[0])]
    found = {"predict": [model.predict(**row) for row in rows]}
    found["recommend"] = [model.recommend(**row, return_scores=True) for row in rows]
    if hasattr(model, "transform"):
        found["transform"] = [model.transform(**row) for row in rows]
        for strength in STRENGTHS:
            found[strength] = [
                model.recommend(**row, strength=strength) for row in rows
            ]
    return found


def one_user(X, users, user):
    row = {"X": X[[user]]}
    return row | {name: ids[[user]] for name, ids in users.items()}


def same(got, expected):
    if isinstance(expected, tuple):
        return all(map(same, got, expected))
    return np.array_equal(got, expected)


def serve(models, seed, end, arguments, reports):
    """Let threads of one process ask, and report on them."""
    failures, counts = [], {}
    threads = [
        threading.Thread(
            target=ask, args=(models, 100 * seed + n, end, failures, counts)
        )
        for n in range(N_THREADS)
    ]
    began, first = time.monotonic(), None
    # The queue has a thread of its own, from the first thing that is put in.
    reports.put((f"process {seed} begins", [], False))
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        wait_until(min(time.monotonic() + arguments.every, end), threads)
        gc.collect()
        now, state = time.monotonic() - began, state_of_the_process()
        if first is None and now >= arguments.seconds / 6:
            first = state
        reports.put((say(seed, now, counts, state), [], False))
        if failures:
            break
        if now >= arguments.seconds:
            for thread in threads:
                thread.join()
    state = state_of_the_process()
    if first is None:
        failures.append(f"process {seed}: too short to see growth")
    else:
        failures += growth(seed, first, state)
    last = say(seed, time.monotonic() - began, counts, state)
    reports.put((f"{last}, over", failures, True))


def wait_until(moment, threads):
    while time.monotonic() < moment and any(thread.is_alive() for thread in threads):
        time.sleep(0.2)


def say(seed, now, counts, state):
    total = sum(counts.values())
    resident, n_files, n_threads = state
    return (
        f"{now:6.0f} s  process {seed}  {total:,} calls, {counts.get('save', 0):,} of "
        f"them saved and loaded  {resident / 2**20:.1f} MiB, {n_files} files, "
        f"{n_threads} threads"
    )


def growth(seed, first, last):
    """Say what has grown; the threads that ask are over by then."""
    found = []
    if last[0] - first[0] > MOST_BYTES:
        found.append(f"process {seed}: {(last[0] - first[0]) / 2**20:.1f} MiB more")
    if last[1] > first[1] + 2 * N_THREADS:
        found.append(f"process {seed}: {last[1] - first[1]} files more")
    if last[2] > first[2]:
        found.append(f"process {seed}: {last[2] - first[2]} threads more")
    return found


def state_of_the_process():
    """Return resident bytes, open files and threads."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    n_files, n_threads = (len(os.listdir(f"/proc/self/{d}")) for d in ("fd", "task"))
    return pages * os.sysconf("SC_PAGE_SIZE"), n_files, n_threads


def ask(models, seed, end, failures, counts):
    """Ask at random, until the time is over or an answer differs."""
    rng = random.Random(seed)
    names = sorted(models)
    with tempfile.TemporaryDirectory() as folder:
        try:
            while time.monotonic() < end and not failures:
                name = rng.choice(names)
                model, X, users, expected = models[name]
                what = rng.choice(["save", *expected] * 5 + [*expected] * 45)
                if what == "save":
                    # All threads of a process know one file, and of others none.
                    file = Path(folder) / f"{name}.skops"
                    save(model, file)
                    model, what = load(file), rng.choice(list(expected))
                    counts["save"] = counts.get("save", 0) + 1
                user = rng.randrange(X.shape[0])
                got = call(model, what, one_user(X, users, user))
                if not same(got, expected[what][user]):
                    failures.append(f"{name}: {what!r} of user {user} differs")
                counts[what] = counts.get(what, 0) + 1
        except Exception:
            failures.append(traceback.format_exc())


def call(model, what, row):
    if what == "recommend":
        return model.recommend(**row, return_scores=True)
    if what in STRENGTHS:
        return model.recommend(**row, strength=what)
    return getattr(model, what)(**row)


if __name__ == "__main__":
    sys.exit(main())
