"""Scripts that die, each in a fork of one process that has imported everything."""

import json
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pytest

#: The scripts know the names that are defined here, those of the prelude, and those
#: that are given with them.
_LOOP = '''
import json, os, random, resource, signal, sys, time, traceback
from pathlib import Path

STEPS = {"open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.listdir"}


def start(work, before=lambda: None):
    """Work in a fork; return its process number."""
    sys.stdout.flush()
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        before()
        work()
        code = 0
    except BaseException as error:
        print(f"{type(error).__name__}: {error}")
    finally:
        sys.stdout.flush()
        os._exit(code)


def end(pid):
    """Return the exit code of a fork, or minus the signal that ended it."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def has_ended(pid):
    """Whether a fork is over; `end` tells how."""
    flags = os.WEXITED | os.WNOHANG | os.WNOWAIT
    return os.waitid(os.P_PID, pid, flags) is not None


def kill_at(step, folder):
    """Let this process kill itself before the nth step it takes in a folder."""
    left = [step]

    def hook(event, arguments):
        if event in STEPS and str(arguments[0]).startswith(str(folder)):
            left[0] -= 1
            if left[0] < 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)


def at_most(n_bytes):
    """Let no file of this process grow beyond some size."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, n_bytes))


def as_nobody():
    """Take the rights of root away from this process."""
    if os.geteuid() == 0:
        os.seteuid(65534)


exec(sys.argv[1])
for line in sys.stdin:
    script, names = json.loads(line)

    def work():
        try:
            exec(script, globals() | names)
        except BaseException:
            print(traceback.format_exc())
            raise

    print("exit", end(start(work)), flush=True)
'''

posix = pytest.mark.skipif(
    sys.platform == "win32", reason="fork and SIGKILL are of POSIX"
)


@contextmanager
def script_runner(prelude):
    """Yield a function that runs a script, and returns the lines it has written."""
    with subprocess.Popen(
        [sys.executable, "-c", _LOOP, prelude],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip

        def run(script, **names):
            process.stdin.write(json.dumps([script, names]) + "\n")
            process.stdin.flush()
            lines = []
            while not (line := process.stdout.readline()).startswith("exit "):
                assert line, "the process that runs scripts is gone"
                lines.append(line.rstrip("\n"))
            assert line == "exit 0\n", "\n".join(lines)
            return lines

        yield run
        process.stdin.close()


@contextmanager
def reachable_folder():
    """Yield a folder that a user who may nothing can get to; pytest's are private."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder
