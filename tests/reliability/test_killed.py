"""Who is killed at any moment leaves whole files or none, and can go on."""

from tests.reliability.forked import posix

pytestmark = posix

FIT_KILLED_AT_RANDOM = """
folder = Path(folder)
path = folder / "training.npz"
expected = digest(training().fit(U))


def fit():
    # In one piece, or it may be killed before the end of the line.
    sys.stdout.write(digest(training(path).fit(U)) + "\\n")


rng, n_killed, n_whole, longest = random.Random(0), 0, 0, seconds_of(fit)
while n_killed < 10 or n_whole < 5:
    pid = start(fit)
    time.sleep(longest * rng.random())
    os.kill(pid, signal.SIGKILL)
    if end(pid) == 0:
        # Too late: it begins anew, and has less time.
        longest *= 0.5
        continue
    n_killed += 1
    files = list(folder.glob("training.npz*"))
    for file in files:
        # Whole: every array of it can be read and has its checksum.
        with np.load(file) as arrays:
            assert [arrays[name] for name in arrays.files]
    n_whole += len(files)
    longest *= 0.9 if files else 1.2
assert end(start(fit)) == 0
assert os.listdir(folder) == [], os.listdir(folder)
print("done", n_killed, n_whole, expected)
"""


def test_a_fit_killed_at_random_ends_as_if_it_had_not_been(run, tmp_path):
    first, *lines, last = run(FIT_KILLED_AT_RANDOM, folder=str(tmp_path))
    done, n_killed, n_whole, expected = last.split()
    assert done == "done"
    assert {first, *lines} == {expected}
    assert int(n_killed) >= 10
    assert int(n_whole) >= 5


FIT_KILLED_AT_EVERY_STEP = """
folder = Path(folder)
path = folder / "training.npz"
short = training(path).set_params(max_iter=3, n_init=1)
expected = digest(short.set_params(checkpoint=None).fit(U))
short.set_params(checkpoint=path)


def fit():
    print(digest(short.fit(U)))


step, n_unfinished = 0, 0
while (code := end(start(fit, lambda: kill_at(step, folder)))) == -signal.SIGKILL:
    n_unfinished += any(name.startswith(".") for name in os.listdir(folder))
    assert end(start(fit)) == 0
    assert os.listdir(folder) == [], (step, os.listdir(folder))
    step += 1
assert code == 0
print("done", step, n_unfinished, expected)
"""


def test_a_fit_killed_at_every_step_ends_as_if_it_had_not_been(run, tmp_path):
    *lines, last = run(FIT_KILLED_AT_EVERY_STEP, folder=str(tmp_path))
    done, n_steps, n_unfinished, expected = last.split()
    assert done == "done"
    assert set(lines) == {expected}
    # Three epochs, each a file opened and renamed, and one removed in the end.
    assert int(n_steps) >= 7
    assert int(n_unfinished) >= 3


SAVE_KILLED = """
folder = Path(folder)
file = folder / "model.skops"
old, new = model.recommend(X, strength=0.0), model.recommend(X)
versions = []
for strength in (0.0, 1.0):
    model.set_params(strength=strength)
    save(model, folder / "whole")
    versions.append(joblib.hash(load(folder / "whole").recommend(X)))
    os.remove(folder / "whole")


def write():
    save(model, file)


def found():
    if not file.exists():
        return None
    return versions.index(joblib.hash(load(file).recommend(X)))


assert versions[0] != versions[1]
counts, n_left = {}, 0
for earlier in (None, 0):
    # At every step, and at random between them.
    step, rng = 0, random.Random(0)
    duration = seconds_of(write)
    while step is not None or rng.random() < 0.85:
        file.unlink(missing_ok=True)
        if earlier is not None:
            model.set_params(strength=0.0)
            write()
            model.set_params(strength=1.0)
        if step is None:
            pid = start(write)
            time.sleep(duration * rng.random())
            os.kill(pid, signal.SIGKILL)
            end(pid)
        elif end(start(write, lambda: kill_at(step, folder))) == 0:
            step = None
            continue
        else:
            step += 1
        after = found()
        assert after in (earlier, 1), after
        counts[earlier, after] = counts.get((earlier, after), 0) + 1
        left = [name for name in os.listdir(folder) if name != "model.skops"]
        n_left += len(left)
        assert len(left) <= 1, left
        # The next one clears up.
        write()
        assert found() == 1
        assert os.listdir(folder) == ["model.skops"]
print("done", n_left, len(counts))
"""


def test_a_model_that_is_saved_is_the_old_or_the_new_one(run, tmp_path):
    (line,) = run(SAVE_KILLED, folder=str(tmp_path))
    done, n_left, n_kinds = line.split()
    assert done == "done"
    # Some were killed with a file unfinished.
    assert int(n_left) >= 4
    # Nothing yet, the old one still, and the new one already: it was cut off in time.
    assert int(n_kinds) >= 3


SAVES_AT_ONCE = """
folder = Path(folder)
file = folder / "model.skops"
versions = []
for strength in (0.0, 1.0, 2.0):
    model.set_params(strength=strength)
    save(model, folder / "whole")
    versions.append(joblib.hash(load(folder / "whole").recommend(X)))
os.remove(folder / "whole")


def saver(strength):
    def keep_saving():
        model.set_params(strength=strength)
        for _ in range(15):
            save(model, file)

    return keep_saving


rng, n_killed = random.Random(0), 0
while n_killed < 4:
    savers = [start(saver(strength)) for strength in (0.0, 1.0)]
    victim = start(saver(2.0))
    time.sleep(0.02 + 0.3 * rng.random())
    os.kill(victim, signal.SIGKILL)
    n_killed += end(victim) != 0
    # Nobody's file is swept away while he writes it, dead or alive the third.
    assert [end(pid) for pid in savers] == [0, 0]
    assert joblib.hash(load(file).recommend(X)) in versions
    # A file that was left when the last ones began is gone.
    save(model, file)
    assert os.listdir(folder) == ["model.skops"], os.listdir(folder)
print("done")
"""


def test_savers_do_not_sweep_each_others_files(run, tmp_path):
    assert run(SAVES_AT_ONCE, folder=str(tmp_path)) == ["done"]


STEER_KILLED = """
folder = Path(folder)
source, whole, target = (folder / name for name in ("source", "whole", "target"))
source.mkdir()
rng = np.random.default_rng(0)
for n in range(3):
    rows = rng.normal(size=(3000 + n, 8)).astype(np.float32)
    ids = pa.array(np.arange(len(rows)))
    lists = pa.FixedSizeListArray.from_arrays(pa.array(rows.ravel()), 8)
    table = pa.table({"id": ids, "embedding": lists})
    pq.write_table(table, source / f"part-{n}.parquet", row_group_size=1000)
steer_blocks(model, source, whole)
expected = {path.name: pq.read_table(path) for path in whole.iterdir()}
assert len(expected) == 3
assert expected["part-0.parquet"] != pq.read_table(source / "part-0.parquet")


def steer():
    steer_blocks(model, source, target)


def check(n_files=None):
    names = [path.name for path in target.glob("*.parquet")] if target.exists() else []
    for name in names:
        assert pq.read_table(target / name) == expected[name]
    assert n_files in (None, len(names))
    if names:
        # Who reads the folder as one table finds whole files only.
        n_rows = sum(expected[name].num_rows for name in names)
        assert pq.read_table(target).num_rows == n_rows, os.listdir(target)
    return len(names)


step, counts = 0, []
while (code := end(start(steer, lambda: kill_at(step, target)))) == -signal.SIGKILL:
    counts.append(check())
    assert end(start(steer)) == 0
    check(n_files=3)
    # It clears up, too.
    assert not list(target.glob(".*"))
    for path in target.iterdir():
        path.unlink()
    target.rmdir()
    step += 1
assert code == 0
duration, chance = seconds_of(steer), random.Random(0)
for _ in range(6):
    for path in target.iterdir():
        path.unlink()
    pid = start(steer)
    time.sleep(duration * chance.random())
    os.kill(pid, signal.SIGKILL)
    end(pid)
    counts.append(check())
steer()
check(n_files=3)
print("done", step, *sorted(set(counts)))
"""


def test_tables_that_are_steered_are_whole_or_absent(run, tmp_path):
    (line,) = run(STEER_KILLED, folder=str(tmp_path))
    done, n_steps, *n_files = line.split()
    assert done == "done"
    # A folder made, and three files opened and renamed.
    assert int(n_steps) >= 7
    assert {"0", "1", "2"} <= set(n_files)
