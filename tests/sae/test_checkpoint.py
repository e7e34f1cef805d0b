"""A checkpoint is whole or absent, belongs to one run, and is never unpickled."""

import gc
import os
import pickle
import signal
import subprocess
import sys
import zipfile

import numpy as np
import pytest

from skpopsteer import _whole_file
from skpopsteer.sae import _checkpoint
from skpopsteer.sae._checkpoint import Checkpoint


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run.npz"


def _state():
    rng = np.random.default_rng(0)
    return {
        "weights": [rng.normal(size=(5, 3)).astype(np.float32), np.zeros((0, 2))],
        "loss_curve": [0.1, 1 / 3, float("inf")],
        "nested": {"deeper": [{}, [], {"a": None, 3: "ü \n"}]},
        "generator": rng.bit_generator.state,
        "flags": np.array([True, False]),
        "order": np.asfortranarray(np.arange(6).reshape(2, 3))[:, ::2],
        "scalar": np.array(2.5),
        "big_endian": np.arange(3, dtype=">i4"),
        "stale": 3,
        "done": False,
        # Looks like what stands for an array in the file.
        "decoy": ["array", "array_0"],
    }


def _assert_equal(got, expected):
    if isinstance(expected, np.ndarray):
        assert got.dtype == expected.dtype
        assert got.shape == expected.shape
        np.testing.assert_array_equal(got, expected)
        return
    assert type(got) is type(expected)
    if isinstance(expected, dict):
        assert list(got) == list(expected)
        for key, value in expected.items():
            _assert_equal(got[key], value)
    elif isinstance(expected, list):
        assert len(got) == len(expected)
        for one, other in zip(got, expected, strict=True):
            _assert_equal(one, other)
    else:
        assert got == expected


@pytest.mark.parametrize("name", ["run.npz", "run", "[a] *.ckpt"])
def test_a_state_comes_back_as_it_was(tmp_path, name):
    checkpoint = Checkpoint(str(tmp_path / name))
    assert checkpoint.load("f") is None
    checkpoint.save(_state(), "f")
    assert os.listdir(tmp_path) == [name]
    _assert_equal(Checkpoint(tmp_path / name).load("f"), _state())
    checkpoint.remove()
    assert os.listdir(tmp_path) == []
    checkpoint.remove()


def test_only_its_own_unfinished_files_are_removed(tmp_path):
    checkpoint, number = Checkpoint(tmp_path / "[a]*.npz"), "0" * 32
    (tmp_path / f".[a]*.npz.{number}").touch()
    others = {f".a b.npz.{number}", ".[a]*.npz.mine", "[a]*.npz.txt"}
    for name in others:
        (tmp_path / name).touch()
    checkpoint.remove()
    assert set(os.listdir(tmp_path)) == others


def test_a_generator_goes_on_from_its_state(path):
    rng = np.random.default_rng(0)
    rng.random(10)
    Checkpoint(path).save({"generator": rng.bit_generator.state}, "f")
    again = np.random.default_rng(1)
    again.bit_generator.state = Checkpoint(path).load("f")["generator"]
    assert again.random() == rng.random()


def test_numbers_of_numpy_become_numbers_of_python(path):
    Checkpoint(path).save([np.float32(0.5), np.int64(2), np.True_], "f")
    _assert_equal(Checkpoint(path).load("f"), [0.5, 2, True])


def test_the_last_of_several_saves_counts(path):
    checkpoint = Checkpoint(path)
    for epoch in range(3):
        checkpoint.save({"epoch": epoch}, "f")
    assert checkpoint.load("f") == {"epoch": 2}
    assert os.listdir(path.parent) == [path.name]


def test_the_state_is_left_as_it_is(path):
    state = _state()
    Checkpoint(path).save(state, "f")
    _assert_equal(state, _state())


def test_another_fingerprint_is_refused_and_left_there(path):
    Checkpoint(path).save({"epoch": 1}, "these")
    before = path.read_bytes()
    line = r"^`checkpoint` must be of these data and parameters; got '.*run.npz' of oth"
    for action in (
        lambda: Checkpoint(path).load("others"),
        lambda: Checkpoint(path).save({"epoch": 2}, "others"),
    ):
        with pytest.raises(ValueError, match=line) as error:
            action()
        assert str(error.value).endswith(". Delete it or choose another path.")
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == [path.name]


def _refused(path):
    before = path.read_bytes()
    line = r"^`checkpoint` must be a whole file that fit wrote; got '.*run.npz' \("
    with pytest.raises(ValueError, match=line) as error:
        Checkpoint(path).load("f")
    assert str(error.value).endswith("). Delete it or choose another path.")
    assert "\n" not in str(error.value)
    assert path.read_bytes() == before


@pytest.mark.parametrize("content", [b"", b"text", b"PK\x05\x06", b"\x93NUMPY\x01"])
def test_a_file_of_another_kind_is_refused(path, content):
    path.write_bytes(content)
    _refused(path)
    with pytest.raises(ValueError, match="must be a whole file"):
        Checkpoint(path).save({}, "f")
    assert path.read_bytes() == content


def test_other_arrays_are_refused(path):
    np.save(path.with_suffix(".npy"), np.ones(3))
    path.with_suffix(".npy").rename(path)
    _refused(path)
    np.savez(path, a=np.ones(3))
    _refused(path)


@pytest.mark.parametrize(
    "structure",
    [
        b"[",
        b"[1]",
        b'[1, "f", ["array", "array_9"]]',
        b'[1, "f", ["dict", [1]]]',
        b'[1, "f", ["code", "import os"]]',
        b'[1, "f", ' + b'["list", [' * 10_000 + b"]]" * 10_000 + b"]",
    ],
)
def test_a_broken_structure_is_refused(path, structure):
    np.savez(path, structure=np.frombuffer(structure, dtype=np.uint8))
    _refused(path)


def test_a_later_layout_is_refused(path):
    structure = np.frombuffer(b'[2, "f", null]', dtype=np.uint8)
    np.savez(path, structure=structure)
    with pytest.raises(ValueError, match="must be of these data and parameters"):
        Checkpoint(path).load("f")


def test_a_file_cut_off_anywhere_is_refused(path):
    Checkpoint(path).save({"weights": np.arange(100.0), "epoch": 3}, "f")
    whole = path.read_bytes()
    for length in range(0, len(whole), 37):
        path.write_bytes(whole[:length])
        _refused(path)


def test_a_wrong_byte_in_the_numbers_is_found(path):
    Checkpoint(path).save({"weights": np.arange(1000.0)}, "f")
    content = bytearray(path.read_bytes())
    content[content.index(np.arange(1000.0).tobytes()) + 4000] ^= 1
    path.write_bytes(content)
    _refused(path)


class _Hostile:
    """Touches a file when it is unpickled."""

    def __init__(self, touched):
        self.touched = touched

    def __reduce__(self):
        return open, (str(self.touched), "w")


@pytest.mark.parametrize("where", ["structure", "array_0", "whole file"])
def test_a_pickle_is_refused_and_not_run(path, where):
    touched = path.with_name("touched")
    payload = np.array([_Hostile(touched)], dtype=object)
    if where == "whole file":
        path.write_bytes(pickle.dumps(_Hostile(touched)))
    else:
        text = b'[1, "f", ["array", "array_0"]]'
        arrays = {"structure": np.frombuffer(text, dtype=np.uint8), where: payload}
        np.savez(path, **arrays)
    _refused(path)
    assert not touched.exists()
    # The file is as dangerous as it should be for this test to say something.
    if where == "array_0":
        with np.load(path, allow_pickle=True) as loaded:
            loaded["array_0"][0].close()
        assert touched.exists()


def test_a_huge_array_that_is_not_there_is_refused(path):
    header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000000,), }"
    header = header.ljust(117) + b"\n"
    with zipfile.ZipFile(path, "w") as archive:
        size = len(header).to_bytes(2, "little")
        archive.writestr("structure.npy", b"\x93NUMPY\x01\x00" + size + header)
    _refused(path)


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ((1, 2), "tuple"),
        ({1, 2}, "set"),
        (np.array([None]), "ndarray"),
        ({1.5: 2}, "dict"),
        (b"bytes", "bytes"),
        (1j, "complex"),
    ],
)
def test_other_values_are_refused_before_anything_is_written(path, value, kind):
    with pytest.raises(TypeError, match=f"^`state` must hold dicts .*; got {kind}"):
        Checkpoint(path).save({"deep": [value]}, "f")
    assert os.listdir(path.parent) == []


def test_a_path_must_be_a_file_in_a_folder_that_exists(tmp_path):
    for path in (tmp_path, tmp_path / "no" / "run.npz"):
        with pytest.raises(ValueError, match="`checkpoint` must be a file in a folder"):
            Checkpoint(path)
    with pytest.raises(TypeError, match="`checkpoint` must be a path; got int"):
        Checkpoint(3)


@pytest.mark.parametrize("function", ["np.savez", "os.fsync", "os.replace"])
def test_a_failure_leaves_the_state_before(path, monkeypatch, function):
    checkpoint = Checkpoint(path)
    checkpoint.save({"epoch": 1}, "f")

    def fail(*args, **kwargs):
        raise OSError("No space left on device")

    module, _, name = function.partition(".")
    monkeypatch.setattr(getattr(_checkpoint, module), name, fail)
    with pytest.raises(OSError, match="No space left"):
        checkpoint.save({"epoch": 2}, "f")
    monkeypatch.undo()
    assert os.listdir(path.parent) == [path.name]
    assert checkpoint.load("f") == {"epoch": 1}


#: Saves ever larger numbers until it is killed. Modules are loaded from their files:
#: importing the whole package would take most of the time of the test.
SAVE_FOR_EVER = """
import importlib.util, itertools, sys
import numpy as np
for name, file in zip(("skpopsteer._whole_file", "checkpoint"), sys.argv[3:]):
    spec = importlib.util.spec_from_file_location(name, file)
    sys.modules[name] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
checkpoint = module.Checkpoint(sys.argv[1])
sys.stdout.write("ready\\n")
sys.stdout.flush()
for epoch in itertools.count(int(sys.argv[2])):
    state = {"epoch": epoch, "weights": [np.full(200_000, float(epoch))] * 2}
    checkpoint.save(state, "f")
"""


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL is of POSIX")
def test_a_process_killed_while_saving_leaves_a_whole_file_or_none(path):
    checkpoint, rng = Checkpoint(path), np.random.default_rng(0)
    unfinished, epoch = 0, -1
    for n_killed in range(200):
        if n_killed >= 25 and unfinished >= 6 and epoch >= 5:
            break
        files = [_whole_file.__file__, _checkpoint.__file__]
        arguments = [str(path), str(epoch + 1), *files]
        with subprocess.Popen(
            [sys.executable, "-c", SAVE_FOR_EVER, *arguments], stdout=subprocess.PIPE
        ) as process:
            process.stdout.readline()
            with pytest.raises(subprocess.TimeoutExpired):
                # A busy machine gets more time, in the end.
                process.wait(timeout=(0.05 + 0.002 * n_killed) * rng.random())
            process.send_signal(signal.SIGKILL)
        assert process.returncode == -signal.SIGKILL
        state = checkpoint.load("f")
        if state is not None:
            # A new state or the last one, and all of it.
            assert state["epoch"] >= epoch
            epoch = state["epoch"]
            for weights in state["weights"]:
                np.testing.assert_array_equal(weights, np.full(200_000, float(epoch)))
        unfinished += len(os.listdir(path.parent)) > path.exists()
    # It was cut off in the middle of a file, too, and got ahead nevertheless.
    assert unfinished >= 6
    assert epoch >= 5
    checkpoint.remove()
    assert os.listdir(path.parent) == []


# What is left of the archive cannot be closed: its file is.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_ctrl_c_while_an_array_is_begun_is_ctrl_c(path, monkeypatch):
    begin, begun = zipfile.ZipFile.open, []

    def interrupted(archive, *args, **kwargs):
        # While it is there the archive cannot be closed.
        begun.append(begin(archive, *args, **kwargs))
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(zipfile.ZipFile, "open", interrupted)
        with pytest.raises(KeyboardInterrupt):
            Checkpoint(path).save({"n": np.arange(2)}, "of this")
    assert not any(path.parent.iterdir())
    begun.clear()
    gc.collect()
