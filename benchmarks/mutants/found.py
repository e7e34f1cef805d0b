"""The mutants of a file, and what became of them."""

import ast
import difflib
import hashlib
import itertools
import json
import random
import tomllib
from dataclasses import astuple, dataclass

from mutants.copies import ROOT

__all__ = ["Mutant", "find_mutants", "known_equivalents", "sampled", "verdicts"]

EQUIVALENT = ROOT / "benchmarks" / "equivalent_mutants.toml"
#: What mutmut writes of a mutant: exit codes of pytest, and signals.
KILLED, STOPPED = {1, 3}, {-24, -11, -9, 24, 36, 152, 255}


@dataclass(frozen=True)
class Mutant:
    """One change of one function."""

    name: str
    file: str
    function: str
    before: str
    after: str

    @property
    def change(self):
        """What it does, whatever number mutmut gives it."""
        return self.file, self.function, self.before, self.after


def find_mutants(copy, file):
    """Return the mutants of a file that change more than a sentence.

    Parameters
    ----------
    copy : pathlib.Path
    file : str
        Path within the package.

    Returns
    -------
    list of Mutant
    """
    path = copy / "skpopsteer" / file
    code = path.read_text(encoding="utf-8")
    known = copy / "found" / f"{file}.json"
    digest = hashlib.sha256(code.encode()).hexdigest()
    if known.exists():
        of_digest, rows = json.loads(known.read_text(encoding="utf-8"))
        if of_digest == digest:
            return [Mutant(*row) for row in rows]
    found = _find_mutants(path, file, code)
    known.parent.mkdir(parents=True, exist_ok=True)
    rows = [astuple(mutant) for mutant in found]
    known.write_text(json.dumps([digest, rows]), encoding="utf-8")
    return found


def _find_mutants(path, file, code):
    from mutmut.mutation.file_mutation import mutate_file_contents

    made = mutate_file_contents(str(path), code)
    functions = {
        node.name: node
        for node in ast.walk(ast.parse(made.code))
        if isinstance(node, ast.FunctionDef)
    }
    module = "skpopsteer." + file.removesuffix(".py").replace("/", ".")
    found = []
    for name in made.mutant_names:
        original, mutant = (
            functions[which]
            for which in (name.rpartition("__mutmut_")[0] + "__mutmut_orig", name)
        )
        if _without_sentences(original) == _without_sentences(mutant):
            continue
        before, after = _changed_lines(original, mutant)
        function = name.rpartition("__mutmut_")[0].removeprefix("x_")
        function = function.removeprefix("xǁ").replace("ǁ", ".")
        found.append(Mutant(f"{module}.{name}", file, function, before, after))
    return found


def _without_sentences(function):
    # Messages are no formulas; the tests match the part of them that matters.
    body = [
        ast.dump(node)
        for node in ast.walk(function)
        if not isinstance(node, ast.FunctionDef | ast.Module)
        and not any(map(_is_sentence, ast.walk(node)))
    ]
    shape = [
        type(node).__name__ for node in ast.walk(function) if not _is_sentence(node)
    ]
    return body, shape


def _is_sentence(node):
    return (
        isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and " " in node.value
    )


def _changed_lines(original, mutant):
    texts = []
    for function in (original, mutant):
        body = function.body[ast.get_docstring(function) is not None :]
        head = ast.unparse(function.args)
        texts.append([head, *"\n".join(map(ast.unparse, body)).split("\n")])
    changed = [[], []]
    for line in difflib.ndiff(*texts):
        if line[0] in "-+":
            changed[line[0] == "+"].append(line[2:].strip())
    return _around_the_change(*(" ⏎ ".join(lines) for lines in changed))


def _n_alike(one, other):
    pairs = zip(one, other, strict=False)
    return sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs))


def _around_the_change(before, after, margin=32):
    start = _n_alike(before, after)
    end = _n_alike(before[start:][::-1], after[start:][::-1])
    left = max(start - margin, 0)
    shown = []
    for text in (before, after):
        right = min(len(text) - end + margin, len(text))
        cut = text[left:right]
        shown.append("…" * (left > 0) + cut + "…" * (right < len(text)))
    return tuple(shown)


def sampled(mutants, size, seed):
    """Return the mutants of a file that are tried.

    Parameters
    ----------
    mutants : list of Mutant
        Of one file.
    size : int
        How many of them; 0 for all.
    seed : int

    Returns
    -------
    list of Mutant
    """
    if not size or len(mutants) <= size:
        return mutants
    rng = random.Random(f"{seed} {mutants[0].file}")
    places = sorted(rng.sample(range(len(mutants)), size))
    return [mutants[place] for place in places]


def verdicts(copy, file):
    """Return what became of the mutants of a file, by name.

    Parameters
    ----------
    copy : pathlib.Path
    file : str

    Returns
    -------
    dict of str to str
        ``"killed"``, ``"stopped"`` by the limit of time or a crash, ``"survived"``, or
        ``"no test"``.
    """
    meta = copy / "mutants" / "skpopsteer" / f"{file}.meta"
    if not meta.exists():
        return {}
    codes = json.loads(meta.read_text(encoding="utf-8"))["exit_code_by_key"]
    return {
        name: "killed" if code in KILLED
        else "stopped" if code in STOPPED
        else "survived" if code == 0
        else "no test"
        for name, code in codes.items()
        if code is not None
    }  # fmt: skip


def known_equivalents():
    """Return the mutants that mean the same as the code, with reasons.

    Returns
    -------
    dict of tuple to str
    """
    with open(EQUIVALENT, "rb") as file:
        entries = tomllib.load(file)["mutant"]
    return {
        (entry["file"], entry["function"], entry["before"], entry["after"]): entry[
            "why"
        ]
        for entry in entries
    }
