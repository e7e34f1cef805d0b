"""Whatever stops a download leaves nothing half, and the next call works."""

import os
import socket
import subprocess
import sys
import threading

import pytest

from skpopsteer.datasets import _archives, load_movielens
from skpopsteer.datasets._fetch import fetch_movielens
from tests.datasets.archive_server import FILES, SHIPPED, make_zip, serving, sha256
from tests.reliability.forked import posix, reachable_folder, script_runner

PATH = "/datasets/movielens/ml-latest-small.zip"
CONTENT = make_zip({f"ml-latest-small/{name}": text for name, text in FILES.items()})


@pytest.fixture
def server(monkeypatch):
    with serving({PATH: CONTENT}) as server:
        archive = _archives.ARCHIVES["ml-latest-small"]._replace(sha256=sha256(CONTENT))
        monkeypatch.setitem(_archives.ARCHIVES, "ml-latest-small", archive)
        monkeypatch.setattr(_archives, "TIMEOUT", 0.5)
        monkeypatch.setenv("SKPOPSTEER_MIRROR", server.url)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        yield server


def fails(kind, home, parts):
    """The call fails in one line and leaves nothing."""
    with pytest.raises(kind) as caught:
        fetch_movielens(data_home=home)
    message = str(caught.value)
    assert "\n" not in message
    assert message.endswith(".")
    for part in parts:
        assert part in message
    assert not home.is_dir() or os.listdir(home) == []


def works(home):
    assert fetch_movielens(data_home=home).X.nnz == load_movielens(SHIPPED).X.nnz
    assert os.listdir(home) == ["ml-latest-small"]


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("missing", "got HTTP status 404"),
        ("cut off", "got no connection ("),
        ("silent", "got no connection (ReadTimeout)"),
    ],
)
def test_a_server_that_fails(server, tmp_path, fault, reason):
    server.fault = fault
    by_hand = f"download it by hand to {str(tmp_path / 'ml-latest-small.zip')!r}."
    url = f"{server.url}/movielens/ml-latest-small.zip must be within reach; "
    fails(ConnectionError, tmp_path, [url, reason, by_hand])
    server.fault = None
    works(tmp_path)


@pytest.mark.parametrize("fault", ["changed", "endless"])
def test_another_file_than_the_one_that_is_known(server, tmp_path, fault):
    server.fault = fault
    fails(OSError, tmp_path, ["must have the SHA-256", "got another", "Call again"])
    server.fault = None
    works(tmp_path)


def test_no_connection(server, tmp_path, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    monkeypatch.setenv("SKPOPSTEER_MIRROR", f"http://127.0.0.1:{port}/datasets/")
    fails(ConnectionError, tmp_path, ["no connection (ConnectionError)", "by hand to"])
    monkeypatch.setenv("SKPOPSTEER_MIRROR", f"{server.url}/")
    works(tmp_path)


@pytest.mark.parametrize("below", ["file", "file/home"])
def test_a_home_that_can_be_no_folder(server, tmp_path, below):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(OSError, match=r"^`data_home` must be a folder") as error:
        fetch_movielens(data_home=tmp_path / below)
    assert "\n" not in str(error.value)
    assert str(error.value).endswith("Name another, or set SKPOPSTEER_DATA.")
    assert (tmp_path / "file").read_text() == "mine"


def test_many_threads_at_once(server, tmp_path):
    results = []

    def fetch():
        results.append(fetch_movielens(data_home=tmp_path).X.nnz)

    threads = [threading.Thread(target=fetch) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [100_836] * 6
    assert os.listdir(tmp_path) == ["ml-latest-small"]


PRELUDE = """
import shutil
import pooch, requests
from skpopsteer.datasets import _archives

name = "ml-latest-small"
pooch.get_logger().setLevel("ERROR")


def use(*given):
    global home, folder, expected_sizes
    home, mirror, sha256, expected_sizes = given
    folder = os.path.join(home, name)
    os.environ["SKPOPSTEER_MIRROR"] = mirror
    os.environ["NO_PROXY"] = "127.0.0.1"
    archive = _archives.ARCHIVES[name]._replace(sha256=sha256)
    _archives.ARCHIVES[name] = archive


def fetch():
    _archives.fetch_folder(name, home, True)


def assert_whole_or_absent():
    found = os.listdir(home) if os.path.isdir(home) else []
    visible = [entry for entry in found if not entry.startswith(".")]
    assert visible in ([], [name]), visible
    if visible:
        assert_whole()


def assert_whole():
    sizes = {e.name: e.stat().st_size for e in os.scandir(folder)}
    assert sizes == expected_sizes, sizes


def assert_next_call_works():
    assert end(start(fetch)) == 0
    assert_whole()
"""

KILLED_AT_EVERY_STEP = """
n, left_over = 0, 0
while (code := end(start(fetch, lambda: kill_at(n, home)))) == -signal.SIGKILL:
    assert_whole_or_absent()
    was_there = os.path.isdir(folder)
    left_over += any(entry.startswith(".") for entry in os.listdir(home))
    assert_next_call_works()
    # What the killed one left is cleared away by the next one that downloads.
    assert was_there or os.listdir(home) == [name], os.listdir(home)
    shutil.rmtree(home)
    os.mkdir(home)
    n += 1
assert code == 0, code
print("done", n, left_over)
"""

KILLED_AT_RANDOM = """
rng, n_unfinished, longest = random.Random(0), 0, 0.15
while n_unfinished < 10:
    pid = start(fetch)
    time.sleep(longest * rng.random())
    os.kill(pid, signal.SIGKILL)
    assert end(pid) in (0, -signal.SIGKILL)
    assert_whole_or_absent()
    if os.path.isdir(folder):
        # Too late: the next one has less time.
        longest *= 0.8
        shutil.rmtree(folder)
    else:
        n_unfinished += 1
assert_next_call_works()
assert os.listdir(home) == [name]
print("done")
"""

INTERRUPTED = """
rng, n_interrupted, longest = random.Random(0), 0, 0.1
while n_interrupted < 5:
    pid = start(fetch)
    time.sleep(0.02 + longest * rng.random())
    os.kill(pid, signal.SIGINT)
    if end(pid) == 0:
        longest *= 0.8
        shutil.rmtree(folder)
        continue
    # Even the unfinished files are gone: it had the time to clear up.
    assert not os.path.exists(home) or set(os.listdir(home)) <= {name}
    n_interrupted += 1
    shutil.rmtree(folder, ignore_errors=True)
assert_next_call_works()
print("done")
"""

AT_ONCE = """
for _ in range(10):
    pids = [start(fetch) for _ in range(4)]
    assert [end(pid) for pid in pids] == [0] * 4
    assert_whole()
    assert os.listdir(home) == [name], os.listdir(home)
    shutil.rmtree(folder)
print("done")
"""

NO_ROOM = """
for n_bytes in N_BYTES:
    assert end(start(fetch, lambda: at_most(n_bytes))) == 1
    assert os.listdir(home) == [], os.listdir(home)
assert_next_call_works()
print("done")
"""

NOT_ALLOWED = """
os.chmod(home, 0o555)
assert end(start(fetch, as_nobody)) == 1
assert os.listdir(home) == []
os.chmod(home, 0o755)
assert_next_call_works()
os.chmod(home, 0o555)
assert end(start(fetch, as_nobody)) == 0
print("done")
"""


@pytest.fixture(scope="module")
def run_script():
    with script_runner(PRELUDE) as run:
        yield run


@pytest.fixture
def run(run_script, server, tmp_path):
    """Run a script with a folder for sets; return the lines it has written."""

    def run(script, home=tmp_path / "home"):
        home.mkdir()
        sizes = {name: len(content) for name, content in FILES.items()}
        given = [str(home), server.url, sha256(CONTENT), sizes]
        set_up = "use(*given)\nhome, folder = given[0], os.path.join(given[0], name)\n"
        return run_script(set_up + script, given=given)

    return run


@posix
def test_a_process_killed_at_every_step(run, server, tmp_path):
    *_, last = run(KILLED_AT_EVERY_STEP)
    done, n_steps, n_left_over = last.split()
    # It was cut off before, within and after each of these: a folder made, the
    # download opened and moved, five files unpacked, a folder renamed, one removed.
    assert done == "done"
    assert int(n_steps) >= 12
    assert int(n_left_over) >= 8


@posix
def test_a_process_killed_while_it_downloads(run, server, tmp_path):
    server.fault = "slow"
    assert run(KILLED_AT_RANDOM) == ["done"]


@posix
def test_an_interrupted_process_clears_up(run, server, tmp_path):
    server.fault = "slow"
    *lines, last = run(INTERRUPTED)
    assert last == "done"
    assert all(line.startswith("KeyboardInterrupt") for line in lines)


@posix
def test_several_processes_at_once(run, server, tmp_path):
    assert run(AT_ONCE) == ["done"]
    # All of them have asked, or this was no race.
    assert len(server.requests) > 20


@posix
def test_no_room_on_the_disk(run, server, tmp_path):
    home = tmp_path / "home"
    # In the middle of the download, at its end, and within the largest file.
    sizes = [1 << 14, len(CONTENT) - 1, len(CONTENT) + 1000]
    assert max(map(len, FILES.values())) > sizes[-1]
    *lines, last = run(NO_ROOM.replace("N_BYTES", repr(sizes)))
    assert last == "done"
    assert lines == [
        "OSError: `data_home` must be a folder that can be written to, with room for 6 "
        f"MB; got {str(home)!r}: File too large. Name another, or set SKPOPSTEER_DATA."
    ] * len(sizes)


@posix
def test_a_folder_that_may_not_be_written_to(run):
    with reachable_folder() as folder:
        home = folder / "home"
        line, last = run(NOT_ALLOWED, home)
        home.chmod(0o755)
    assert last == "done"
    assert line == (
        "OSError: `data_home` must be a folder that can be written to, with room for 6 "
        f"MB; got {str(home)!r}: Permission denied. Name another, or set "
        "SKPOPSTEER_DATA."
    )


@pytest.mark.skipif(sys.platform != "linux", reason="tmpfs is of Linux")
def test_a_full_disk(server, tmp_path):
    home = tmp_path / "disk"
    home.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={len(CONTENT) // 4096 + 20}k", "x"]
    try:
        done = subprocess.run([*mount, str(home)], capture_output=True, check=False)
    except FileNotFoundError:
        pytest.skip("there is no mount")
    if done.returncode:
        pytest.skip("file systems may not be mounted here")
    try:
        fails(
            OSError, home, ["`data_home` must be a folder", "No space left on device"]
        )
    finally:
        subprocess.run(["umount", str(home)], check=True)
    works(home)
