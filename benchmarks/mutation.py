"""Tell whether tests notice a wrong line in metrics, neurons, rerankers or steering.

mutmut changes one operator, number, argument or condition at a time, in a copy of the
repository, and runs the tests that pass through the changed function. A mutant that no
test fails on has survived. Written to ``results/mutation.md``.

``--sample 25`` mutants are drawn from every file, always the same ones for a seed;
``--sample 0`` takes all of them (hours). ``--only 'metrics/*'`` takes some files, and
what is known of the others stays, in the tables too where the sample is the same.
``--tests`` takes some of the tests: what they kill is killed; a run with other tests
begins anew. Mutants that cannot be told from the code itself are listed, with the
reason, in ``equivalent_mutants.toml``.
"""

import argparse
import fnmatch
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

from mutants.copies import FOLDERS, ROOT, copy_repository, settings
from mutants.found import find_mutants, known_equivalents, sampled, verdicts
from mutants.report import report

RESULTS = ROOT / "benchmarks" / "results" / "mutation.md"


def main():
    """Try the mutants that are not killed yet, and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--sample", type=int, default=25, help="mutants a file; 0: all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="*", default=["*"], help="files, as metrics/*")
    parser.add_argument("--tests", nargs="*", help="these alone, as tests/metrics")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--minutes", type=float, help="try no more after so long")
    parser.add_argument("--again", action="store_true", help="forget all verdicts")
    parser.add_argument("--report", action="store_true", help="only write the tables")
    parser.add_argument("--folder", default=str(ROOT / "build" / "mutation"))
    args = parser.parse_args()
    copies = pathlib.Path(args.folder).resolve()
    if args.again:
        shutil.rmtree(copies, ignore_errors=True)
    files = {folder: [] for folder in FOLDERS}
    for folder in FOLDERS:
        copy = copies / folder
        copy_repository(copy)
        os.chdir(copy)
        for path in sorted((copy / "skpopsteer" / folder).glob("*.py")):
            files[folder].append(f"{folder}/{path.name}")
        asked = [file for file in files[folder] if is_asked(file, args)]
        if asked or not pathlib.Path("pyproject.toml").exists():
            toml = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
            toml += settings(folder, args.tests)
            pathlib.Path("pyproject.toml").write_text(toml, encoding="utf-8")
        try_mutants(copy, asked, args)
    by_file = {}
    for folder in FOLDERS:
        for file in files[folder]:
            if found := find_mutants(copies / folder, file):
                by_file[file] = found, sampled(found, args.sample, args.seed)
    known = "" if args.again else RESULTS.read_text(encoding="utf-8")
    text = report(copies, by_file, args.sample, args.seed, known)
    print(text)
    RESULTS.write_text(text, encoding="utf-8")


def is_asked(file, args):
    """Tell whether mutants of a file are to be tried.

    Parameters
    ----------
    file : str
    args : argparse.Namespace

    Returns
    -------
    bool
    """
    asked = any(fnmatch.fnmatch(file, pattern) for pattern in args.only)
    return asked and not args.report


def try_mutants(copy, files, args):
    """Run mutmut on what has no verdict yet, or has survived so far.

    Parameters
    ----------
    copy : pathlib.Path
    files : list of str
        Of the folder that is mutated in the copy.
    args : argparse.Namespace
    """
    equivalents = known_equivalents()
    names = []
    for file in files:
        became = verdicts(copy, file)
        names += [
            mutant.name
            for mutant in sampled(find_mutants(copy, file), args.sample, args.seed)
            if became.get(mutant.name) not in ("killed", "stopped")
            and mutant.change not in equivalents
        ]
    if not names:
        return
    program = pathlib.Path(sys.executable).with_name("mutmut")
    command = [str(program), "run", "--max-children", str(args.jobs), *names]
    threads = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    start, log = time.perf_counter(), copy / "mutmut.log"
    with log.open("w", encoding="utf-8") as output:
        process = subprocess.Popen(
            command,
            cwd=copy,
            env=os.environ | threads,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            code = process.wait(args.minutes and 60 * args.minutes)
        except (subprocess.TimeoutExpired, KeyboardInterrupt):
            # Its workers are children of its server, and would stay.
            os.killpg(process.pid, signal.SIGKILL)
            code = process.wait() and 0
            print("Stopped; the next run goes on from here.")
    if code:
        raise SystemExit(f"mutmut failed; {log} says why.")
    print(f"{len(names)} mutants, {time.perf_counter() - start:,.0f} s")


if __name__ == "__main__":
    main()
