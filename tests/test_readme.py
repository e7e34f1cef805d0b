"""The code of the README runs as it stands."""

import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).parents[1]


def _blocks(path):
    return re.findall(r"```python\n(.*?)```", path.read_text(encoding="utf-8"), re.S)


def test_the_ten_lines_of_the_readme_run(monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    (code,) = _blocks(ROOT / "README.md")
    names = {}
    exec(compile(code, "README.md", "exec"), names)
    table = capsys.readouterr().out
    assert re.search(r"^host +0\.\d{4}", table, re.M)
    assert names["lists"].shape == (610, 10)
    users = {"user_ids": names["users"]}
    unsteered = names["model"].recommend(names["X"], strength=0, **users)
    assert (unsteered == names["host"].recommend(names["X"], **users)).all()


@pytest.mark.parametrize("path", [ROOT / "README.md", *sorted(ROOT.glob("docs/*.md"))])
def test_files_named_in_documents_exist(path):
    for name in re.findall(
        r"`((?:docs|data|tests|examples)/[\w./-]+)`", path.read_text()
    ):
        assert (ROOT / name).exists(), name


def test_the_table_of_the_readme_is_that_of_the_benchmark():
    results = (ROOT / "benchmarks" / "results" / "frontier.md").read_text("utf-8")
    readme = (ROOT / "README.md").read_text("utf-8")
    (header,) = re.findall(r"^\| \| host \|(.*)\|$", readme, re.M)
    methods = [name.strip() for name in header.split("|")]
    for host in ("ALS", "BPR", "ELSA", "SASRec"):
        (cells,) = re.findall(rf"^\| {host} \|(.*)\|$", readme, re.M)
        first, *others = [cell.strip(" *") for cell in cells.split("|")]
        section = results.split(f"## {host} · ML-1M")[1].split("\n## ")[0]
        own = re.search(r"Host: NDCG@10 [\d.]+, (.*)\.", section)[1].split(" / ")
        assert first.split(" / ") == [own[0][1:], own[3][1:]]
        for method, cell in zip(methods, others, strict=True):
            (row,) = re.findall(rf"^\| {method} \|(.*)\|$", section, re.M)
            figures = row.split("|")[2].split("(")[0].strip().split(" / ")
            assert cell.split(" / ") == [figures[0][1:], figures[3][1:]], method
