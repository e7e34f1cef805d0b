"""What is known of pinned packages is found, and no answer is no clean audit."""

import json
import subprocess
import sys
import zipfile

import pytest

from tests.security import audit


def advisory(name, *, ranges=(), versions=(), **more):
    package = {"package": {"ecosystem": "PyPI", "name": name}, "versions": versions}
    package["ranges"] = [{"type": "ECOSYSTEM", "events": events} for events in ranges]
    return {"id": f"PYSEC-{name}", "affected": [package], **more}


def ends(*pairs):
    return [[dict([pair]) for pair in pairs]]


@pytest.fixture
def run(tmp_path, capsys):
    pins = tmp_path / "constraints.txt"
    pins.write_text(
        "# pins\nnumpy==2.4.6\nScikit_Learn==1.9.1  # as the index has it\n"
    )

    def run(*advisories):
        archive = tmp_path / "all.zip"
        with zipfile.ZipFile(archive, "w") as zipped:
            for number, one in enumerate(advisories):
                zipped.writestr(f"{number}.json", json.dumps(one))
        code = audit.main([str(pins), "--advisories", str(archive)])
        return code, *capsys.readouterr()

    return run


@pytest.mark.parametrize(
    ("found", "events"),
    [
        (True, ends(("introduced", "0"))),
        (True, ends(("introduced", "2.4.6"))),
        (True, ends(("introduced", "0"), ("fixed", "2.4.7"))),
        (False, ends(("introduced", "0"), ("fixed", "2.4.6"))),
        (False, ends(("introduced", "2.10"))),
        (True, ends(("introduced", "0"), ("last_affected", "2.4.6"))),
        (False, ends(("introduced", "0"), ("last_affected", "2.4.5"))),
        # Out of order, and twice.
        (True, ends(("fixed", "1"), ("introduced", "0"), ("introduced", "2"))),
    ],
)
def test_ranges(run, found, events):
    code, out, _ = run(advisory("numpy", ranges=events), advisory("unknown"))
    assert code == found
    assert ("numpy 2.4.6: PYSEC-numpy" in out) == found


def test_versions_names_and_withdrawals(run):
    code, out, _ = run(advisory("scikit-learn", versions=["1.9.1", "not a version"]))
    assert (code, out.splitlines()[0]) == (1, "scikit-learn 1.9.1: PYSEC-scikit-learn")
    assert run(advisory("numpy", versions=["2.4.5"]))[0] == 0
    assert run(advisory("numpy", versions=["2.4.6"], withdrawn="2026"))[0] == 0


def test_an_archive_of_nothing_is_no_clean_audit(run, tmp_path, capsys):
    code, _, line = run()
    assert code == 2
    assert line.startswith("audit: --advisories must hold advisories; got ")
    assert line.count("\n") == 1
    (tmp_path / "all.zip").write_bytes(b"<html>")
    command = [str(tmp_path / "constraints.txt"), "--advisories"]
    assert audit.main([*command, str(tmp_path / "all.zip")]) == 2
    assert audit.main([*command, str(tmp_path / "absent.zip")]) == 2
    assert capsys.readouterr().err.count("\n") == 2


def _answer(monkeypatch, stdout, stderr=""):
    def run(command, **_):
        assert command[0] == sys.executable
        return subprocess.CompletedProcess(command, 1, stdout, stderr)

    monkeypatch.setattr(audit.subprocess, "run", run)


@pytest.mark.parametrize(
    ("stdout", "stderr", "said"),
    [
        ("", "Traceback\nrequests.exceptions.ConnectionError: a.b.example", "Connecti"),
        ("", "", "it said nothing"),
        ('{"dependencies": [{"name": "numpy", "skip_reason": "?"}]}', "", "1 of 1"),
        ('{"dependencies": []}', "", "0 of 0"),
    ],
)
def test_a_service_that_does_not_answer(
    stdout, stderr, said, tmp_path, monkeypatch, capsys
):
    (tmp_path / "pins").write_text("numpy==2.4.6\n")
    _answer(monkeypatch, stdout, stderr)
    assert audit.main([str(tmp_path / "pins")]) == 2
    line = capsys.readouterr().err
    assert said in line
    assert line.count("\n") == 1
    assert "example" not in line


def test_what_the_service_knows_is_said(tmp_path, monkeypatch, capsys):
    (tmp_path / "pins").write_text("numpy==2.4.6\njinja2==3.1.6\n")
    known = [{"id": "PYSEC-1", "fix_versions": ["2.4.7"]}]
    packages = [
        {"name": "numpy", "version": "2.4.6", "vulns": known},
        {"name": "jinja2", "version": "3.1.6", "vulns": []},
    ]
    _answer(monkeypatch, json.dumps({"dependencies": packages}))
    assert audit.main([str(tmp_path / "pins")]) == 1
    out = capsys.readouterr().out
    assert out.splitlines()[0] == "numpy 2.4.6: PYSEC-1, fixed in 2.4.7"
    assert "2 packages looked up, 1 advisories." in out
