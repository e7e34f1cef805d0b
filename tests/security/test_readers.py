"""No file that a user loads runs code, whatever is in it."""

import ast
import json
import os
import pathlib
import pickle
import subprocess
import sys
import zipfile

import joblib
import numpy as np
import pytest
import torch

import skpopsteer
from skpopsteer import SparseAutoencoderProbe
from skpopsteer.adapters._safe_weights import read_checkpoint
from skpopsteer.datasets import load_lastfm, load_movielens
from skpopsteer.persistence import load
from tests.security.pages import EVIL

PACKAGE = pathlib.Path(skpopsteer.__file__).parent
#: Functions that can run what a file says, and the one place that may use one: spans
#: of rows that this process itself has pickled, for its own workers.
RUNS_CODE = {
    "eval", "exec", "compile", "__import__", "pickle.load", "pickle.loads",
    "pickle.Unpickler", "joblib.load", "torch.load", "torch.jit.load", "dill.load",
    "cloudpickle.load", "cloudpickle.loads", "marshal.load", "marshal.loads",
    "shelve.open", "yaml.load", "pandas.read_pickle", "pd.read_pickle", "os.system",
    "os.popen", "subprocess.run", "subprocess.Popen", "subprocess.check_output",
    "runpy.run_path", "np.fromregex", "zipfile.ZipFile.extractall",
}  # fmt: skip
ALLOWED = {("_spans.py", "pickle.loads")}


def _calls(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


@pytest.mark.parametrize(
    "path", sorted(PACKAGE.rglob("*.py")), ids=lambda p: str(p.relative_to(PACKAGE))
)
def test_no_reader_could_run_code(path):
    for name, node in _calls(path):
        assert name not in RUNS_CODE or (path.name, name) in ALLOWED, node.lineno
        assert not name.endswith((".extractall", ".extract")), node.lineno
        if name in ("np.load", "numpy.load"):
            (allowed,) = (k.value for k in node.keywords if k.arg == "allow_pickle")
            assert allowed.value is False
        if name.endswith(("yaml_load", "read_hdf")):
            raise AssertionError(name)


def test_such_a_reader_would_be_found(tmp_path):
    bad = tmp_path / "bad.py"
    bad.write_text("import pickle\nx = pickle.load(open('x', 'rb'))\n")
    assert "pickle.load" in {name for name, _ in _calls(bad)}
    with pytest.raises(AssertionError):
        test_no_reader_could_run_code(bad)
    bad.write_text("import numpy as np\nx = np.load('x')\n")
    with pytest.raises(ValueError, match="not enough values"):
        test_no_reader_could_run_code(bad)


class Touches:
    """Makes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def pickled(path, marker):
    path.write_bytes(pickle.dumps(Touches(marker)))


def by_joblib(path, marker):
    joblib.dump(Touches(marker), path)


def by_torch(path, marker):
    torch.save({"state_dict": Touches(marker)}, path)


def in_npy(path, marker):
    with open(path, "wb") as file:
        np.save(file, np.array([Touches(marker)]), allow_pickle=True)


def in_npz(path, marker):
    with open(path, "wb") as file:
        np.savez(file, structure=np.array([Touches(marker)]))


def in_skops(path, marker):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("schema.json", json.dumps({"__loader__": "JsonNode"}))
        archive.writestr("a.npy", pickle.dumps(Touches(marker)))


def by_checkpoint(path):
    SparseAutoencoderProbe(4, k=2, max_iter=1, checkpoint=path).fit(np.eye(4))


def by_blocks(path):
    SparseAutoencoderProbe(4, k=2, max_iter=1).fit_blocks(
        [str(path.rename(path.with_suffix(".npy")))]
    )


FILES = [pickled, by_joblib, by_torch, in_npy, in_npz, in_skops]
READERS = [load, read_checkpoint, by_checkpoint, by_blocks]


def run_it(path):
    """Do what a careless reader would."""
    for read in (
        lambda: pickle.loads(path.read_bytes()),
        lambda: torch.load(path, weights_only=False),
        lambda: np.load(path, allow_pickle=True),
        lambda: np.load(path, allow_pickle=True)["structure"],
        lambda: pickle.loads(zipfile.ZipFile(path).read("a.npy")),
    ):
        try:
            read()
        except Exception:
            # One of them is for this kind of file.
            continue


@pytest.mark.parametrize("read", READERS, ids=lambda read: read.__name__)
@pytest.mark.parametrize("write", FILES, ids=lambda write: write.__name__)
def test_every_reader_and_every_kind_of_pickle(write, read, tmp_path):
    path, marker = tmp_path / "file.npz", tmp_path / "marker"
    write(path, marker)
    run_it(path)
    assert marker.exists(), "this file is harmless"
    marker.rmdir()
    if write is by_torch and read is read_checkpoint:
        # Of this kind: it is read, and what it asks for is told and not done.
        assert read(path)["state_dict"].callee.name.endswith(".mkdir")
    else:
        with pytest.raises((ValueError, TypeError)) as caught:
            read(path)
        assert "\n" not in str(caught.value)
    assert not marker.exists()


def _movielens(folder):
    folder.mkdir()
    title = EVIL.replace('"', '""')
    folder.joinpath("movies.csv").write_text(
        f'movieId,title,genres\n1,"{title}",=cmd|x!A1\n2,"{title} (1990)",{"a" * 9}\n'
    )
    folder.joinpath("ratings.csv").write_text(
        "userId,movieId,rating,timestamp\n1,1,4.0,1\n1,2,4.0,2\n2,1,3.0,3\n"
    )
    folder.joinpath("tags.csv").write_text(
        f'userId,movieId,tag,timestamp\n1,1,"{title}",1\n'
    )


def test_hostile_titles_and_tags_are_text(tmp_path):
    _movielens(tmp_path / "set")
    data = load_movielens(tmp_path / "set")
    assert data.item_titles[0] == EVIL
    assert data.item_titles[1].startswith(EVIL)
    assert any("x-evil" in str(tag) for tag in data.tag_names)


@pytest.mark.parametrize(
    "row",
    ["1,1,__import__('os').mkdir('x'),1", "1,1,nan,1", "1,1,1e999,1", "1,1,4,4,4",
     "1" * 5000 + ",1,4,1", "1,\x00,4,1", "0x1,1,4,1", "1_0,1,4,1"],
)  # fmt: skip
def test_hostile_numbers_are_one_line(row, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    _movielens(tmp_path / "set")
    with open(tmp_path / "set" / "ratings.csv", "a") as file:
        file.write(row + "\n")
    with pytest.raises(ValueError, match=r"ratings\.csv") as caught:
        load_movielens(tmp_path / "set")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400
    assert os.listdir(tmp_path) == ["set"]


def test_a_folder_with_a_hostile_name_is_one_line(tmp_path):
    for read in (load_movielens, load_lastfm):
        with pytest.raises(FileNotFoundError) as caught:
            read(tmp_path / "<b>\n$(touch x)")
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "content",
    ["[" * 100_000, '{"a": ' * 50_000, '{"content": 1e99999}', "null", "[]", '"x"',
     '{"__loader__": ["JsonNode"]}', '{"__loader__": "JsonNode", "content": "NaN"}'],
)  # fmt: skip
def test_hostile_json_in_a_model_is_one_line(content, tmp_path):
    file = tmp_path / "model.skops"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("schema.json", content)
    with pytest.raises(ValueError, match=r"^`file` must [^\n]*$"):
        load(file)


@pytest.mark.skipif(sys.platform == "win32", reason="links of POSIX")
def test_names_in_an_archive_of_a_model_are_not_paths(tmp_path):
    """What is in it is read by its name, and nothing is written."""
    file = tmp_path / "model.skops"
    schema = {
        "__class__": "ndarray", "__module__": "numpy", "__loader__": "NdArrayNode",
        "type": "numpy", "file": "../../etc/passwd", "protocol": 2,
    }  # fmt: skip
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("schema.json", json.dumps(schema))
        archive.writestr("../escaped", b"1")
    with pytest.raises(ValueError, match=r"^`file` must be whole"):
        load(file)
    assert os.listdir(tmp_path) == ["model.skops"]


def test_loading_imports_nothing_of_the_file(tmp_path):
    """A name that is not trusted is not even imported."""
    (tmp_path / "acts.py").write_text("open('imported', 'w')\nclass A: pass\n")
    held = {
        "__class__": "dict", "__module__": "builtins", "__loader__": "DictNode",
        "content": {}, "key_types": {},
    }  # fmt: skip
    schema = {
        "__class__": "A", "__module__": "acts", "__loader__": "ObjectNode",
        "content": held,
    }  # fmt: skip
    with zipfile.ZipFile(tmp_path / "model.skops", "w") as archive:
        archive.writestr("schema.json", json.dumps(schema))
    code = "from skpopsteer.persistence import load; load('model.skops')"
    paths = os.pathsep.join([str(tmp_path), str(PACKAGE.parent)])
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False,
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": paths},
    )  # fmt: skip
    assert "ValueError: `file` must" in done.stderr
    assert not (tmp_path / "imported").exists()
