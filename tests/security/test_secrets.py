"""What is written down tells nothing of the machine it was made on."""

import getpass
import os
import pathlib
import re
import socket
import sys
import tempfile
import zipfile

import joblib
import pytest
import torch
from sklearn.decomposition import TruncatedSVD

from skpopsteer import (
    PopularityPenaltyReranker,
    SparseAutoencoderProbe,
    SteeredRecommender,
    as_recommender,
    persistence,
)
from skpopsteer.inspection import PopularityAudit, compare, steering_report
from skpopsteer.persistence import load, save
from tests.golden.recbole import train as recbole

SECRET = "swordfish-7f3a"


def machine(folder):
    """Return texts that only this machine, this user and this session know."""
    texts = {
        "home": str(pathlib.Path.home()),
        "folder": os.getcwd(),
        "temporary files": tempfile.gettempdir(),
        "python": sys.prefix,
        "package": str(pathlib.Path(persistence.__file__).parents[2]),
        "this test": folder.name,
        "host": socket.gethostname(),
        "secret": SECRET,
    }
    return {what: text for what, text in texts.items() if len(text) > 4}


def assert_tells_nothing(text, folder):
    if isinstance(text, bytes):
        text = text.decode("utf-8", "replace")
    for what, known in machine(folder).items():
        # Not as a part of a word, as "/root" may be of "/roots".
        assert not re.search(rf"{re.escape(known)}\b", text), what
    user = re.escape(getpass.getuser())
    assert not re.search(rf"[/\\]{user}[/\\]|\b{user}@", text)
    assert not re.search(r"\b0x[0-9a-f]{8,}", text), "an address in memory"


class ReadsSecrets(TruncatedSVD):
    """Carries what a host should not tell of, wherever one might look."""

    def __repr__(self):
        return f"ReadsSecrets(token={SECRET!r})"

    __str__ = __repr__


@pytest.fixture
def model(split, tmp_path, monkeypatch):
    monkeypatch.setenv("SKPOPSTEER_TOKEN", SECRET)
    folder = tmp_path / "secret-folder"
    folder.mkdir()
    svd = ReadsSecrets(8, random_state=0).fit(split[0])
    svd.checkpoint_path = str(folder / "model.ckpt")
    svd.token = os.environ["SKPOPSTEER_TOKEN"]
    probe = SparseAutoencoderProbe(
        32, k=4, max_iter=3, random_state=0, checkpoint=str(folder / "probe.npz")
    )
    model = SteeredRecommender(
        as_recommender(svd), rule="shift", probe=probe, memory=str(folder / "cache"),
        random_state=0,
    )  # fmt: skip
    return model.fit(split[0])


def test_reports(model, split, tmp_path):
    penalty = PopularityPenaltyReranker(model.recommender_).fit(split[0])
    report = steering_report(
        model, *split, n_users=5, rivals={"penalty": (penalty, [0.05, 0.2])},
        strengths=[0.5, 1.0], random_state=0,
    )  # fmt: skip
    for kind in ("html", "md", "json"):
        path = tmp_path / f"report.{kind}"
        report.save(path)
        assert path.stat().st_size > 2000
        assert_tells_nothing(path.read_bytes(), tmp_path)
    for text in (
        report._repr_html_(), str(report), report.model_card().render(),
        report.explorer.to_html(), str(report.explorer.neuron(0)),
        report.comparison._repr_html_(),
    ):  # fmt: skip
        assert_tells_nothing(text, tmp_path)


def test_tables(model, split, tmp_path):
    table = compare({"model": model}, *split)
    audit = PopularityAudit(model.recommender_, random_state=0).fit(*split)
    for shown in (table, audit):
        assert_tells_nothing(str(shown), tmp_path)
        assert_tells_nothing(shown._repr_html_(), tmp_path)


def test_models_that_are_saved(split, tmp_path):
    folder = tmp_path / "secret-folder"
    probe = SparseAutoencoderProbe(
        32, k=4, max_iter=3, random_state=0, checkpoint=str(folder / "probe.npz")
    )
    folder.mkdir()
    host = as_recommender(TruncatedSVD(8, random_state=0).fit(split[0]))
    model = SteeredRecommender(
        host, rule="shift", probe=probe, memory=joblib.Memory(folder, verbose=0),
        random_state=0,
    ).fit(split[0])  # fmt: skip
    file = tmp_path / "model.skops"
    save(model, file)
    with zipfile.ZipFile(file) as archive:
        for info in archive.infolist():
            assert_tells_nothing(archive.read(info), tmp_path)
            assert_tells_nothing(info.filename, tmp_path)
            # Nor of the time, or of who it was.
            assert info.comment == b""
    assert (load(file).predict(split[0]) == model.predict(split[0])).all()


def test_checkpoints_of_a_training(split, tmp_path, monkeypatch):
    path = tmp_path / "secret-folder" / "probe.npz"
    path.parent.mkdir()
    probe = SparseAutoencoderProbe(
        32, k=4, max_iter=3, batch_size=64, tol=0, random_state=0, checkpoint=path
    )
    rows = TruncatedSVD(8, random_state=0).fit_transform(split[0])
    step, left = torch.optim.Adam.step, [10]

    def pressed(self, *arguments):
        step(self, *arguments)
        left[0] -= 1
        if not left[0]:
            raise KeyboardInterrupt

    monkeypatch.setattr(torch.optim.Adam, "step", pressed)
    with pytest.warns(UserWarning, match="Ctrl-C after 2 of 3 epochs"):
        probe.fit(rows)
    assert_tells_nothing(path.read_bytes(), tmp_path)


def test_a_host_out_of_a_file_does_not_tell_where_it_was(split, tmp_path):
    source = recbole.FOLDER / "BPR.pth"
    path = tmp_path / "secret-folder.pth"
    path.write_bytes(source.read_bytes())
    host = as_recommender(path)
    audit = PopularityAudit(host, random_state=0).fit(recbole.read("BPR")[1])
    for text in (str(audit), audit._repr_html_()):
        assert_tells_nothing(text, tmp_path)


def test_the_search_for_secrets_finds_them(tmp_path):
    for text in machine(tmp_path).values():
        with pytest.raises(AssertionError):
            assert_tells_nothing(f"it was in {text} then", tmp_path)
    for text in ("<Model at 0x7f3a5cd00110>", f"/data/{getpass.getuser()}/x"):
        with pytest.raises(AssertionError):
            assert_tells_nothing(text, tmp_path)
    assert_tells_nothing("NDCG 0.25", tmp_path)
