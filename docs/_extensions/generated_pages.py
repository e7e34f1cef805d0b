"""Write the pages that are made of files elsewhere in the repository.

A page for every table in ``benchmarks/results``, which includes it, and the changes
since the last release. A page is only touched when it changes.
"""

import pathlib
import re
import tomllib

DOCS = pathlib.Path(__file__).resolve().parents[1]
ROOT = DOCS.parent
RESULTS = ROOT / "benchmarks" / "results"
TABLES = DOCS / "results" / "tables"
#: Titles of tables that have none of their own.
TITLES = {
    "ablation": "Ablation of single neurons",
    "collaborative_autoencoders": "ELSA and MultVAE with a sparse autoencoder",
    "neuron_meanings": "How many neurons can be told",
    "popsteer_sasrec": "PopSteer on SASRec: all figures",
    "sae_quality": "What few neurons keep of a host",
    "specificity": "What else moves when popularity is steered",
    "strength_grid": "What a search over strengths costs",
    "tag_knobs": "What a knob for a tag costs",
}


def table_page(file):
    """Return the page of a table.

    Parameters
    ----------
    file : pathlib.Path
        In ``benchmarks/results``.

    Returns
    -------
    str
        Markdown that includes the file.
    """
    titled = file.read_text(encoding="utf-8").startswith("# ")
    title = TITLES.get(file.stem, file.stem.replace("_", " ").capitalize())
    lines = [] if titled else [f"# {title}", ""]
    path = pathlib.PurePosixPath("../../..", file.relative_to(ROOT).as_posix())
    # Tables without a title begin with headings of the second level, or with none.
    lines += [f"```{{include}} {path}", "```", ""]
    lines += [f"This page is `{file.relative_to(ROOT).as_posix()}`."]
    lines += ["[How it was measured](../../results.md), and what the columns are.", ""]
    return "\n".join(lines)


def upcoming_changes():
    """Return the changes since the last release, from the fragments of towncrier.

    Returns
    -------
    str
        Markdown, in the order of types of ``pyproject.toml``; empty without fragments.
    """
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    settings = settings["tool"]["towncrier"]
    folder = ROOT / settings["directory"]
    lines = []
    for kind in settings["type"]:
        files = sorted(folder.glob(f"*.{kind['directory']}.md"))
        if files:
            lines += [f"### {kind['name']}", ""]
        for file in files:
            text = file.read_text(encoding="utf-8").strip()
            lines += ["- " + re.sub(r"\n(?=.)", "\n  ", text), ""]
    return "\n".join(["## Not yet released", "", *lines]) if lines else ""


def _write(file, text):
    if not file.exists() or file.read_text(encoding="utf-8") != text:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")


def write_pages(app=None):
    """Write all of them, and delete pages of tables that are gone."""
    tables = {file.stem: file for file in sorted(RESULTS.glob("*.md"))}
    for page in TABLES.glob("*.md"):
        if page.stem not in tables:
            page.unlink()
    for stem, file in tables.items():
        _write(TABLES / f"{stem}.md", table_page(file))
    _write(DOCS / "whats_new" / "upcoming.md", upcoming_changes())


def setup(app):
    """Write the pages before Sphinx looks for them."""
    app.connect("builder-inited", write_pages)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
