"""Files that somebody tampered with, and models that cannot be saved."""

import contextlib
import copy
import io
import json
import os
import pathlib
import stat
import sys
import tracemalloc
import zipfile

import joblib
import numpy as np
import pytest
import skops.io
import torch
from scipy.sparse import csr_array, csr_matrix
from sklearn.base import BaseEstimator
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline
from threadpoolctl import threadpool_limits

from skpopsteer import (
    ArrayRecommender,
    ImplicitRecommender,
    PopularityNeuronSelector,
    PopularityPenaltyReranker,
    SparseAutoencoderProbe,
    SteeredRecommender,
    _whole_file,
    as_recommender,
)
from skpopsteer.neurons import TfidfDescriber
from skpopsteer.persistence import TRUSTED_TYPES, load, save
from skpopsteer.persistence._parts import parts_of
from skpopsteer.persistence._save import without_folders
from tests.hosts import HOSTS

ROOT = pathlib.Path(__file__).parents[1]
TABLES = np.eye(4, 2), np.eye(3, 2)
_GENERATOR = "numpy.random._generator.Generator"


@pytest.fixture
def file(tmp_path):
    return tmp_path / "model.skops"


def _json(value):
    return {
        "__class__": "str",
        "__module__": "builtins",
        "__loader__": "JsonNode",
        "content": json.dumps(value),
    }


def _node(name, loader="FunctionNode", **content):
    module, _, attribute = name.rpartition(".")
    return {
        "__class__": attribute, "__module__": module, "__loader__": loader, **content,
    }  # fmt: skip


def _tuple(*items):
    return _node("builtins.tuple", "TupleNode", content=list(items))


def _dict(**items):
    keys = _node(
        "builtins.list",
        "ListNode",
        content=[_node("builtins.str", "TypeNode")] * len(items),
    )
    return _node("builtins.dict", "DictNode", content=items, key_types=keys)


def tamper(file, node, protocol=None):
    """Write a selector whose score function is another node."""
    with zipfile.ZipFile(file) as archive:
        schema = json.loads(archive.read("schema.json"))
    schema["content"]["content"]["score_func"] = node
    if protocol is not None:
        schema["protocol"] = protocol
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("schema.json", json.dumps(schema))


def hostile_nodes(marker):
    """Return what an attacker may try, each with the name that has to be refused."""
    code = _tuple(_json(f"__import__('os').mkdir({str(marker)!r})"))
    evaluate = _node("builtins.eval", "TypeNode")
    empty = _dict()
    selector = "skpopsteer.neurons._popularity.PopularityNeuronSelector"
    method = {"func": "set_params", "obj": _node(selector, "ObjectNode", content=empty)}
    call = {"func": evaluate, "args": code, "kwds": empty, "namespace": _json(None)}
    generator = {"bit_generator": _dict(bit_generator=_json("seed")), "seed_seq": empty}
    imported = "skpopsteer._compat."
    return {
        "function": (_node("os.system"), "os.system"),
        "type": (evaluate, "builtins.eval"),
        "constructor": (
            _node("builtins.eval", "ConstructorFromReduceNode", content=code),
            "builtins.eval",
        ),
        "object": (_node("subprocess.Popen", "ObjectNode"), "subprocess.Popen"),
        "module": (_node(f"{imported}importlib"), f"{imported}importlib"),
        "function of ours": (
            _node(f"{imported}import_optional"),
            f"{imported}import_optional",
        ),
        "module as a type": (
            _node("skpopsteer.persistence._load.os", "ObjectNode"),
            "skpopsteer.persistence._load.os",
        ),
        "method of a trusted type": (
            _node(selector, "MethodNode", content=method),
            f"{selector}.set_params",
        ),
        "partial": (
            _node("functools.partial", "PartialNode", content=call),
            "builtins.eval",
        ),
        "operator": (
            _node(
                "operator.methodcaller", "OperatorFuncNode", attrs=_tuple(_json("run"))
            ),
            "operator.methodcaller",
        ),
        "loss": (
            _node(
                "builtins.eval", "LossNode", content=empty, __reduce__={"args": code}
            ),
            "builtins.eval",
        ),
        "generator": (
            _node(_GENERATOR, "RandomGeneratorNode", content=generator),
            "numpy.random.seed",
        ),
    }


@pytest.mark.parametrize("kind", hostile_nodes(""))
def test_a_hostile_file_is_refused_and_runs_nothing(kind, file, monkeypatch):
    marker = file.parent / "marker"
    node, refused = hostile_nodes(marker)[kind]
    save(PopularityNeuronSelector(), file)
    tamper(file, node)
    calls = []
    # What skops imports by name, for whatever it makes.
    for module in ("_utils", "_general"):
        monkeypatch.setattr(f"skops.io.{module}._import_obj", calls.append)
    with pytest.raises(
        ValueError, match=r"^`file` must hold types of [^\n]*$"
    ) as error:
        load(file)
    assert f"got {refused}. " in str(error.value)
    assert not calls
    assert not marker.exists()


def test_the_tampering_above_would_work_on_a_reader_that_trusts(file):
    marker = file.parent / "marker"
    save(PopularityNeuronSelector(), file)
    tamper(file, hostile_nodes(marker)["constructor"][0])
    skops.io.load(file, trusted=[*TRUSTED_TYPES, "builtins.eval"])
    assert marker.exists()


@pytest.mark.parametrize("protocol", [0, 1])
def test_an_old_protocol_is_read_no_less_strictly(protocol, file):
    save(PopularityNeuronSelector(), file)
    node = _node("skpopsteer.neurons._effect_size.cohens_d")
    node["content"] = {"module_path": "os", "function": "system"}
    tamper(file, node, protocol)
    if protocol == 1:
        # That version reads the audited name and nothing else.
        assert load(file).score_func is PopularityNeuronSelector().score_func
    else:
        with pytest.raises(ValueError, match=r"got os\.system"):
            load(file)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda file: file.write_bytes(b"not a zip"), "not a zip file"),
        (lambda file: file.write_bytes(file.read_bytes()[:-40]), "not a zip file"),
        (lambda file: zipfile.ZipFile(file, "w").close(), "schema.json"),
        (lambda file: tamper(file, {}), "__loader__"),
        (lambda file: tamper(file, _json(None), protocol=99), "protocol 99"),
        (lambda file: tamper(file, _node("a.b", "NoSuchNode")), "NoSuchNode"),
    ],
)
def test_a_broken_file_gives_one_line(damage, said, file):
    save(PopularityNeuronSelector(), file)
    damage(file)
    with pytest.raises(ValueError, match=r"^`file` must be whole [^\n]*$") as error:
        load(file)
    assert said in str(error.value)


def test_a_file_that_is_absent_is_said_to_be(file):
    with pytest.raises(FileNotFoundError, match=r"model\.skops"):
        load(file)


def _als(**changes):
    model = copy.deepcopy(HOSTS["als"]().model)
    vars(model).update(changes)
    return model


def test_solvers_of_implicit_do_not_read_caches_of_the_file(file):
    # The compiled solver would read 64 numbers from an array of one.
    model = ImplicitRecommender(_als(_YtY=np.ones((1, 1), dtype=np.float32)))
    skops.io.dump(model, file)
    X = HOSTS["als"]().X
    expected = HOSTS["als"]().recommender.encode_users(X)
    np.testing.assert_array_equal(load(file).encode_users(X), expected)


@pytest.mark.parametrize(
    "changes",
    [
        {"factors": 64},
        {"item_factors": np.ones((100, 2), dtype=np.float32)},
        {"user_factors": None},
        {"item_factors": np.ones(8, dtype=np.float32)},
        {"item_factors": "tables"},
    ],
)
def test_tables_of_implicit_must_fit_each_other(changes, file):
    skops.io.dump(ImplicitRecommender(_als(**changes)), file)
    with pytest.raises(
        ValueError, match=r"^`file` must hold tables of \d+ factors in A"
    ):
        load(file)


@pytest.mark.parametrize("kind", [str, joblib.Memory])
@pytest.mark.parametrize("nested", [False, True])
def test_the_folder_of_a_cache_is_left_out(kind, nested, file, interactions, tmp_path):
    folder = tmp_path / "cache"
    memory = str(folder) if kind is str else joblib.Memory(folder, verbose=0)
    host = HOSTS["truncated_svd"]().recommender
    inner = SteeredRecommender(
        host, rule="shift", probe=PCA(4), memory=memory, random_state=0
    )
    inner.fit(interactions)
    model = make_pipeline(inner, memory=memory) if nested else inner
    save(model, file)
    assert model.memory is memory
    assert inner.memory is memory
    with zipfile.ZipFile(file) as archive:
        content = b"".join(archive.read(name) for name in archive.namelist())
        names = archive.namelist()
    for private in (tmp_path, pathlib.Path.home(), ROOT, sys.prefix):
        assert str(private).encode() not in content
        assert not any(str(private) in name for name in names)
    loaded = load(file)
    assert loaded.memory is None
    loaded = loaded[-1] if nested else loaded
    assert loaded.memory is None
    expected = inner.predict(interactions)
    np.testing.assert_array_equal(loaded.predict(interactions), expected)


@pytest.mark.parametrize("kind", [str, pathlib.Path])
def test_the_path_of_a_checkpoint_is_left_out(kind, file, interactions, tmp_path):
    checkpoint = kind(tmp_path / "secret-folder" / "training.npz")
    host = HOSTS["truncated_svd"]().recommender
    probe = SparseAutoencoderProbe(16, k=4, max_iter=1, random_state=0)
    model = SteeredRecommender(host, rule="shift", probe=probe, random_state=0)
    model.fit(interactions)
    # The fitted one is held by the model, and by the side that it steers.
    probe.checkpoint = model.probe_.checkpoint = checkpoint
    side = next(part for part in parts_of(model) if hasattr(part, "peaks"))
    assert side.probe is model.probe_
    candidates = {"first": [probe], "second": (model,)}
    for one in (model, probe, PopularityPenaltyReranker(model), Holder(candidates)):
        with contextlib.suppress(ValueError):  # no type of ours is Holder
            save(one, file)
        written = _content(without_folders(one, {}), file)
        assert b"training.npz" not in written
        assert b"secret-folder" not in written
    assert probe.checkpoint is checkpoint
    assert side.probe.checkpoint is checkpoint
    save(model, file)
    loaded = load(file)
    assert loaded.probe.checkpoint is None
    assert loaded.probe_.checkpoint is None
    np.testing.assert_array_equal(
        loaded.predict(interactions), model.predict(interactions)
    )


class Holder(BaseEstimator):
    """Holds estimators somewhere inside."""

    def __init__(self, held):
        self.held = held


def _content(model, file):
    skops.io.dump(model, file)
    with zipfile.ZipFile(file) as archive:
        return b"".join(archive.read(name) for name in archive.namelist())


def test_no_file_can_name_a_folder_of_pickles_or_a_path_to_write_to(file, tmp_path):
    host = as_recommender(TABLES)
    target = tmp_path / "somebody-else's.txt"
    probe = SparseAutoencoderProbe(4, k=2, max_iter=1, checkpoint=str(target))
    model = SteeredRecommender(host, rule="shift", probe=probe, memory=str(tmp_path))
    skops.io.dump(model, file)
    loaded = load(file)
    assert loaded.memory is None
    assert loaded.probe.checkpoint is None
    loaded.probe.fit(np.eye(4))
    assert not target.exists()


def _bomb(file, name):
    """Write a small file of 50 MB of zeros, as an array of its own or in a matrix."""
    content = bytes(50_000_000)
    if name == "deflated":
        with zipfile.ZipFile(file, "a", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("bomb.npy", content)
    elif name == "matrix":
        inner = io.BytesIO()
        with zipfile.ZipFile(inner, "w", zipfile.ZIP_BZIP2) as archive:
            archive.writestr("data.npy", content)
        with zipfile.ZipFile(file, "a") as archive:
            archive.writestr("bomb.npz", inner.getvalue())


@pytest.mark.parametrize("kind", ["deflated", "matrix"])
def test_a_file_that_unpacks_to_far_more_than_it_is(kind, file):
    save(PopularityNeuronSelector(), file)
    _bomb(file, kind)
    assert file.stat().st_size < 200_000
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=r"says: it unpacks to 5\d{7} bytes, more"):
            load(file)
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
    finally:
        tracemalloc.stop()


def test_an_array_that_says_it_is_huge(file):
    """It is not taken for granted: what is not there is not waited for."""
    save(as_recommender(TABLES), file)
    with zipfile.ZipFile(file) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    name = next(name for name in parts if name.endswith(".npy"))
    header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (100000000, 9), }"
    header = header.ljust(117) + b"\n"
    parts[name] = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    with pytest.raises(ValueError, match=r"^`file` must be whole [^\n]*$"):
        load(file)


def test_arrays_of_objects_are_not_unpickled(file, tmp_path):
    marker = tmp_path / "marker"
    save(as_recommender(TABLES), file)
    hostile = io.BytesIO()
    np.save(hostile, np.array([Touches(marker)]), allow_pickle=True)
    with zipfile.ZipFile(file) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in parts.items():
            content = hostile.getvalue() if name.endswith(".npy") else content
            archive.writestr(name, content)
    with pytest.raises(ValueError, match=r"^`file` must be whole [^\n]*$"):
        load(file)
    assert not marker.exists()
    # Or the file would be harmless, and the test with it.
    hostile.seek(0)
    np.load(hostile, allow_pickle=True)[0].close()
    assert marker.exists()


class Touches:
    """Makes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


@pytest.mark.parametrize("position", [10**9, -1])
def test_positions_of_sparse_matrices_are_within_them(position, file):
    # Compiled products would read there, and transposing would write there.
    matrix = csr_array(np.eye(3))
    matrix.indices[1] = position
    model = TfidfDescriber()
    model._texts = matrix
    skops.io.dump(model, file)
    with pytest.raises(ValueError, match=r"^`file` must hold sparse matrices [^\n]*$"):
        load(file)


def fold_in(X):
    return X[:, :2].toarray()


def weigh(X):
    return np.ones(X.shape[0])


def _refused():
    torch_host = HOSTS["mult_vae"]().recommender
    own = as_recommender(ArrayRecommender(*TABLES, fold_in=fold_in))
    plain = as_recommender(TABLES)
    tensors = as_recommender(tuple(torch.tensor(table) for table in TABLES))
    return {
        "torch host": (torch_host, "must hold no torch module .*export_embeddings"),
        "steered torch host": (
            PopularityPenaltyReranker(torch_host),
            "must hold no torch module .*export_embeddings",
        ),
        "fold_in": (
            PopularityPenaltyReranker(own),
            r"`fold_in` must be of a type that load trusts; got \S+\.fold_in\. ",
        ),
        "user_strength": (
            SteeredRecommender(plain, rule="shift", user_strength=weigh),
            r"`user_strength` must be of a type that load trusts; got \S+\.weigh\. ",
        ),
        "lambda": (
            SteeredRecommender(
                plain, rule="shift", user_strength=lambda X: np.ones(X.shape[0])
            ),
            r"`user_strength` .*<lambda>",
        ),
        "method": (
            SteeredRecommender(
                plain, rule="shift", user_strength=plain.estimator.predict
            ),
            "must be of parts that skops can save",
        ),
        "tensors": (tensors, "must be of parts that skops can save"),
    }


@pytest.mark.parametrize("kind", _refused())
def test_what_cannot_be_loaded_is_not_saved(kind, file):
    model, message = _refused()[kind]
    file.write_text("what was there before")
    with pytest.raises(ValueError, match=rf"^[^\n]*{message}[^\n]*$"):
        save(model, file)
    assert file.read_text() == "what was there before"
    assert list(file.parent.iterdir()) == [file]


@pytest.mark.parametrize("step", ["os.fsync", "os.replace"])
def test_a_file_is_written_whole_or_not_at_all(step, file, monkeypatch):
    save(PopularityNeuronSelector(fdr=0.1), file)

    def fail(*arguments):
        raise OSError("no space left")

    with monkeypatch.context() as patch:
        patch.setattr(step, fail)
        with pytest.raises(OSError, match="no space left"):
            save(PopularityNeuronSelector(fdr=0.2), file)
    assert load(file).fdr == 0.1
    assert list(file.parent.iterdir()) == [file]


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
def test_a_saved_file_has_the_permissions_of_any_other(file):
    save(PopularityNeuronSelector(), file)
    other = file.with_name("other")
    other.touch()
    assert stat.S_IMODE(file.stat().st_mode) == stat.S_IMODE(other.stat().st_mode)


def test_bad_arguments_give_one_line(tmp_path):
    with pytest.raises(TypeError, match=r"^`model` must be an estimator; got Alternat"):
        save(HOSTS["als"]().model, tmp_path / "a.skops")
    with pytest.raises(ValueError, match=r"^`file` must lie in a folder that exists; "):
        save(PopularityNeuronSelector(), tmp_path / "absent" / "a.skops")


def test_the_extra_is_named_where_skops_is_absent(file, monkeypatch):
    monkeypatch.setitem(sys.modules, "skops.io", None)
    for use in (lambda: save(PopularityNeuronSelector(), file), lambda: load(file)):
        with pytest.raises(ImportError, match=r"skpopsteer\[persistence\]"):
            use()


def test_saving_leaves_the_model_as_it_is(file):
    X = HOSTS["als"]().X
    als = _als()
    with threadpool_limits(1, "blas"):
        als.recommend([0], csr_matrix(X[[0]], dtype=np.float32), recalculate_user=True)
    assert als._YtY is not None
    model = PopularityPenaltyReranker(as_recommender(als)).fit(X)
    before = copy.deepcopy(vars(als))
    save(model, file)
    np.testing.assert_equal(vars(als), before)
    assert model.recommender_.model is als


def assert_saved_whole(file):
    save(PopularityNeuronSelector(fdr=0.3), file)
    assert load(file).fdr == 0.3
    assert list(file.parent.iterdir()) == [file]


@pytest.mark.skipif(os.name != "posix", reason="locks of POSIX")
def test_a_file_that_is_swept_before_it_is_locked_is_begun_anew(file, monkeypatch):
    lock, swept = _whole_file._lock, []

    def late(stream):
        if not swept:
            swept.append(stream.name)
            _whole_file.sweep(file)
        return lock(stream)

    monkeypatch.setattr(_whole_file, "_lock", late)
    assert_saved_whole(file)
    assert len(swept) == 1


@pytest.mark.skipif(os.name != "posix", reason="locks of POSIX")
def test_a_file_that_is_being_swept_is_begun_anew(file, monkeypatch):
    lock, swept = _whole_file._lock, []

    def late(stream):
        if not swept:
            swept.append(pathlib.Path(stream.name))
            with open(swept[0], "r+b") as sweeper:
                assert lock(sweeper)
                try:
                    return lock(stream)
                finally:
                    swept[0].unlink()
        return lock(stream)

    monkeypatch.setattr(_whole_file, "_lock", late)
    assert_saved_whole(file)
    assert len(swept) == 1


def test_only_its_own_unfinished_files_are_swept(file):
    of_others = [".model.skops.part", ".other.skops." + "0" * 32, "model.skops.1"]
    for name in [*of_others, f".model.skops.{'0' * 32}"]:
        file.with_name(name).touch()
    save(PopularityNeuronSelector(), file)
    expected = {*of_others, "model.skops"}
    assert {path.name for path in file.parent.iterdir()} == expected


def test_without_locks_nothing_is_swept(file, monkeypatch):
    monkeypatch.setitem(sys.modules, "fcntl", None)
    left = file.with_name(f".model.skops.{'0' * 32}")
    left.touch()
    save(PopularityNeuronSelector(), file)
    assert {path.name for path in file.parent.iterdir()} == {left.name, file.name}
