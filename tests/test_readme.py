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
