"""The tables of mutation testing."""

import collections
import re
from importlib.metadata import version

from mutants.copies import FOLDERS
from mutants.found import known_equivalents, verdicts

__all__ = ["report"]

#: Files of formulas, and a folder of them, where no mutant of the sample may survive.
FORMULAS = (
    "rerankers",
    "metrics/_bootstrap.py", "metrics/_paired_comparison.py", "metrics/accuracy.py",
    "metrics/calibration.py", "metrics/exposure.py", "metrics/fairness.py",
    "metrics/tail.py", "neurons/_concept_scores.py", "neurons/_effect_size.py",
    "neurons/_enriched_attributes.py", "neurons/_monosemanticity.py",
    "neurons/_popularity.py", "neurons/_score_space.py",
    "steering/_gradient_directions.py", "steering/_gradient_sums.py",
    "steering/_knobs.py", "steering/_path.py", "steering/_relevance_calibrator.py",
    "steering/_relevance_features.py", "steering/_rules.py", "steering/_side.py",
    "steering/_slot_prices.py", "steering/_slot_programme.py",
    "steering/_strength_search.py",
)  # fmt: skip
#: A row of a file: what was tried, killed, stopped, equivalent and survived.
_ROW = r"^\| `(\w+/\w+\.py)` \| 1 \| \d+" + 5 * r" \| (\d+)" + r" \| "


def report(copies, by_file, size, seed, known=""):
    """Return the tables.

    Parameters
    ----------
    copies : pathlib.Path
        Folder of the copies.
    by_file : dict of str to tuple
        The mutants of every file, and those of them that are tried.
    size, seed : int
    known : str, default=""
        The tables as they are: what they say of files without a verdict here stays.

    Returns
    -------
    str
    """
    counts, alive, same = _count(copies, by_file)
    drawn = f"{size} a file, drawn with seed {seed}" if size else "all of them"
    # Figures of another sample do not go into one table with these.
    stays = _carry_over(counts, by_file, known if f": {drawn}." in known else "")
    waiting = [f"`{file}`" for file in by_file if not counts[file]["tried"]]
    header = [
        "| | files | possible | tried | killed | stopped | equivalent | survived | "
        "score |",
        "|---|" + 8 * "--:|",
    ]
    # What stands between the comments is included on another page.
    lines = ["# Mutation testing", "", "<!-- scores -->", "", *header]
    lines += [_row(f"`{group}`", counts[group]) for group in FOLDERS]
    lines += [_row("all", counts["all"]), _row("files of formulas", counts["formulas"])]
    lines += [
        "",
        "<!-- end of scores -->",
        "",
        f"Mutants of mutmut {version('mutmut')}: {drawn}. Those that only change a "
        "sentence are left out. *Killed*: a test fails. *Stopped*: by the limit of "
        "time, or a crash. *Equivalent*: means the same as the code; "
        "`benchmarks/equivalent_mutants.toml` says why. *Score*: killed or stopped, of "
        "those tried that are not equivalent. Tests: of the folder itself, its "
        "doctests and, but for `metrics`, `tests/golden` and the documented defaults; "
        "what some kill the others do not try. Functions below a decorator, as "
        "properties and some `fit`, are not mutated. Files that a run does not try "
        "keep their figures of a run before. "
        "Survivors in files of formulas have been given a test, so that this sample is "
        "no longer a fair one for them: another `--seed` is.",
        "",
        "## Files of formulas",
        "",
        *header,
        *(
            _row(f"`{file}`", counts[file])
            for file in by_file
            if _has_formulas(file) and counts[file]["tried"]
        ),
        "",
        "## Other files",
        "",
        *header,
        *(
            _row(f"`{file}`", counts[file])
            for file in by_file
            if not _has_formulas(file) and counts[file]["tried"]
        ),
        "",
        *(["Not tried yet: " + ", ".join(waiting) + ".", ""] if waiting else []),
    ]
    for title, shown in [
        ("Survivors", [_change(mutant, "") for mutant in alive]),
        ("Equivalent mutants", [_change(mutant, why) for mutant, why in same]),
    ]:
        if shown := shown + stays[title]:
            lines += [f"## {title}", "", *sorted(shown), ""]
    return "\n".join(lines)


def _count(copies, by_file):
    """Return counts by file and folder, mutants that survived, and equivalent ones."""
    equivalents = known_equivalents()
    counts = collections.defaultdict(collections.Counter)
    alive, same = [], []
    for file, (mutants, tried) in by_file.items():
        became = verdicts(copies / file.partition("/")[0], file)
        found = collections.Counter(
            {"files": 1, "possible": len(mutants), "tried": 0, "without": 0}
        )
        if not any(mutant.name in became for mutant in tried):
            tried = []
        for mutant in tried:
            verdict = became.get(mutant.name)
            if mutant.change in equivalents:
                verdict = verdict or "survived"
            if verdict is None:
                continue
            found["tried"] += 1
            if mutant.change in equivalents and verdict != "killed":
                verdict = "equivalent"
                same.append((mutant, equivalents[mutant.change]))
            elif verdict in ("survived", "no test"):
                alive.append(mutant)
            found[verdict] += 1
        for group in _groups(file):
            counts[group].update(found)
    return counts, alive, same


def _carry_over(counts, by_file, known):
    """Add what is known of files without a verdict; return the lines on their mutants.

    Parameters
    ----------
    counts : dict of str to Counter
        Changed.
    by_file : dict of str to tuple
    known : str
        Tables of before.

    Returns
    -------
    dict of str to list of str
        By the title of a section.
    """
    carried = set()
    columns = ("tried", "killed", "stopped", "equivalent", "survived")
    for file, *values in re.findall(_ROW, known, re.M):
        if file in by_file and not counts[file]["tried"]:
            carried.add(file)
            for group in _groups(file):
                counts[group].update(dict(zip(columns, map(int, values), strict=True)))
    lines = {}
    for title in ("Survivors", "Equivalent mutants"):
        section = known.partition(f"## {title}\n")[2].partition("\n## ")[0]
        lines[title] = [
            line
            for line in section.splitlines()
            if any(line.startswith(f"- `{file}`") for file in carried)
        ]
    return lines


def _groups(file):
    """Return what a file is counted in: itself, its folder, all, files of formulas."""
    groups = [file, file.partition("/")[0], "all"]
    return [*groups, "formulas"] if _has_formulas(file) else groups


def _has_formulas(file):
    return file in FORMULAS or file.partition("/")[0] in FORMULAS


def _row(label, found):
    counted = found["tried"] - found["equivalent"]
    caught = found["killed"] + found["stopped"]
    score = f"{100 * caught / counted:.1f} %" if counted else ""
    alive = found["survived"] + found["no test"]
    values = [found["files"], found["possible"], found["tried"], found["killed"]]
    values += [found["stopped"], found["equivalent"], alive, score]
    return f"| {label} | " + " | ".join(map(str, values)) + " |"


def _change(mutant, why):
    end = f" — {why}" if why else ""
    return (
        f"- `{mutant.file}`, `{mutant.function}`: ``{mutant.before or 'nothing'}`` → "
        f"``{mutant.after or 'nothing'}``{end}"
    )
