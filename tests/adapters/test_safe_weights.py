"""Files that ask for code to be run, and tensors of every kind."""

import builtins
import contextlib
import copyreg
import io
import os
import pickle
import struct
import subprocess
import sys
import tarfile
import zipfile

import numpy as np
import pytest
import torch

from skpopsteer.adapters._safe_weights import Made, Named, read_checkpoint
from tests.golden.recbole import train as recbole

TABLE = torch.arange(12.0).reshape(4, 3)


class Asks:
    """Whatever unpickles this calls a function."""

    def __init__(self, function, *args, state=None):
        self.parts = (function, args) if state is None else (function, args, state)

    def __reduce__(self):
        return self.parts


def touching(canary):
    return f"__import__('pathlib').Path({str(canary)!r}).touch()"


def save(path, **entries):
    torch.save({"state_dict": {"table": TABLE}, **entries}, path)
    return path


def save_program(path, program):
    """Make an archive of torch with another pickle in it."""
    save(path)
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in parts.items():
            own = program if name.endswith("/data.pkl") else content
            archive.writestr(name, own)
    return path


def text(value):
    return b"X" + struct.pack("<I", len(value)) + value.encode()


# Files that torch would run


def by_system(path, canary):
    return save(path, config=Asks(os.system, f"touch {canary}"))


def by_eval(path, canary):
    return save(path, config=Asks(builtins.eval, touching(canary)))


def among_the_weights(path, canary):
    evil = Asks(builtins.eval, touching(canary))
    return save(path, state_dict={"table": TABLE, "item_embedding.weight": evil})


def as_a_key(path, canary):
    evil = Asks(builtins.eval, f"{touching(canary)} or 'key'")
    return save(path, state_dict={"table": TABLE, evil: 1})


def nested(path, canary):
    evil = Asks(builtins.eval, f"{touching(canary)} or 0")
    inner = Asks(
        torch._utils._rebuild_parameter, TABLE, True, Asks(dict, [("k", evil)])
    )
    return save(path, config=[({"deep": inner},)])


def as_a_state(path, canary):
    evil = Asks(builtins.eval, f"{touching(canary)} or {{}}")
    return save(path, config=Asks(Bystander, state=evil))


class Bystander:
    """A class of ours, whose state would be set."""


def by_a_setstate(path, canary):
    return save(path, config=Asks(Setter, state=str(canary)))


class Setter:
    def __setstate__(self, state):
        open(state, "w").close()


def by_a_call_to_a_call(path, canary):
    # getattr(pathlib.Path(canary), "touch")(): the thing called is itself made.
    program = (
        b"\x80\x02cbuiltins\ngetattr\ncpathlib\nPath\n"
        + text(str(canary)) + b"\x85R" + text("touch") + b"\x86R)R."
    )  # fmt: skip
    return save_program(path, program)


def by_an_old_opcode(path, canary):
    program = b"\x80\x02(" + text(touching(canary)) + b"ibuiltins\neval\n."
    return save_program(path, program)


def by_another_old_opcode(path, canary):
    program = b"\x80\x02(cbuiltins\neval\n" + text(touching(canary)) + b"o."
    return save_program(path, program)


def by_an_extension(path, canary):
    program = b"\x80\x02\x82\x7f" + text(touching(canary)) + b"\x85R."
    return save_program(path, program)


def by_a_new_object(path, canary):
    program = (
        b"\x80\x04ctests.adapters.test_safe_weights\nMaker\n"
        + text(str(canary)) + b"\x85\x81."
    )  # fmt: skip
    return save_program(path, program)


class Maker:
    def __new__(cls, path):
        open(path, "w").close()
        return super().__new__(cls)


def in_the_format_before_zip(path, canary):
    evil = Asks(builtins.eval, touching(canary))
    torch.save({"config": evil}, path, _use_new_zipfile_serialization=False)
    return path


def in_a_bare_pickle(path, canary):
    path.write_bytes(pickle.dumps({"config": Asks(builtins.eval, touching(canary))}))
    return path


REFUSED = [
    by_an_old_opcode, by_another_old_opcode, by_an_extension, in_the_format_before_zip,
    in_a_bare_pickle, by_a_call_to_a_call, by_a_new_object,
]  # fmt: skip
READ = [
    by_system, by_eval, among_the_weights, as_a_key, nested, as_a_state, by_a_setstate,
]  # fmt: skip


def run_by_torch(path):
    if path.name == "in_a_bare_pickle.pth":
        pickle.loads(path.read_bytes())
    else:
        torch.load(path, weights_only=False)


def registered(write):
    """Make the code of an extension known, as some application might."""
    if write is by_an_extension:
        copyreg.add_extension("builtins", "eval", 0x7F)


@pytest.fixture(autouse=True)
def _no_extension_stays():
    yield
    with contextlib.suppress(ValueError):
        copyreg.remove_extension("builtins", "eval", 0x7F)


@pytest.mark.parametrize("write", [*READ, *REFUSED], ids=lambda write: write.__name__)
def test_nothing_a_file_asks_for_is_run(write, tmp_path):
    registered(write)
    canary = tmp_path / "canary"
    path = write(tmp_path / f"{write.__name__}.pth", canary)
    # Or the file would be harmless, and the test with it.
    with contextlib.suppress(TypeError, AttributeError, pickle.UnpicklingError):
        run_by_torch(path)
    assert canary.exists()
    canary.unlink()
    if write in READ:
        content = read_checkpoint(path)
        np.testing.assert_array_equal(content["state_dict"]["table"], TABLE)
    else:
        with pytest.raises(ValueError, match=r"^`checkpoint` must be"):
            read_checkpoint(path)
    assert not canary.exists()


def test_reading_imports_looks_up_and_runs_nothing(tmp_path):
    """Python itself reports what is done: only the files are opened."""
    canary = tmp_path / "canary"
    paths = [write(tmp_path / f"{write.__name__}.pth", canary) for write in
             (*READ, *REFUSED)]  # fmt: skip
    paths += [recbole.FOLDER / f"{name}.pth" for name in recbole.SETTINGS]
    code = """
import encodings.cp437, sys, skpopsteer.adapters
from skpopsteer.adapters._safe_weights import read_checkpoint
seen, paths = [], sys.argv[1:]
def read(path):
    try:
        read_checkpoint(path)
    except ValueError:
        pass
read(paths[-1])
before = set(sys.modules)
sys.addaudithook(lambda event, args: seen.append((event, args[0] if args else None)))
for path in paths:
    read(path)
assert set(sys.modules) == before, set(sys.modules) - before
print([entry for entry in seen if entry not in [("open", path) for path in paths]])
"""
    command = [sys.executable, "-c", code, *map(str, paths)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")
    assert not canary.exists()


def test_a_module_that_acts_when_imported_is_not_imported(tmp_path, monkeypatch):
    canary = tmp_path / "canary"
    source = f"{touching(canary)}\nclass Config: pass\n"
    (tmp_path / "acts_when_imported.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    import acts_when_imported

    path = save(tmp_path / "file.pth", config=acts_when_imported.Config())
    for _ in range(2):
        del sys.modules["acts_when_imported"]
        canary.unlink()
        content = read_checkpoint(path)
        assert not canary.exists()
        assert "acts_when_imported" not in sys.modules
        assert isinstance(content["config"], Made)
        assert content["config"].callee.name == "acts_when_imported.Config"
        torch.load(path, weights_only=False)
        assert canary.exists()


def test_no_function_of_torch_is_changed(tmp_path):
    # Sets an attribute of a function that an unpickler would have to trust.
    program = (
        b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\nN}"
        + text("__defaults__") + b"K\x01\x85s\x86b."
    )  # fmt: skip
    path = save_program(tmp_path / "file.pth", program)
    function = torch._utils._rebuild_tensor_v2
    before = function.__defaults__
    try:
        torch.load(path, weights_only=False)
        assert function.__defaults__ == (1,)
    finally:
        function.__defaults__ = before
    with pytest.raises(ValueError, match=r"sets the state of what is no object"):
        read_checkpoint(path)
    assert function.__defaults__ == before


def test_what_was_asked_for_is_told_and_not_done(tmp_path):
    path = save(tmp_path / "file.pth", config=Asks(os.system, "false"), kind=Bystander)
    content = read_checkpoint(path)
    assert content["config"].callee.name.endswith(".system")
    assert content["config"].args == ("false",)
    assert isinstance(content["kind"], Named)
    assert content["kind"].name == "tests.adapters.test_safe_weights.Bystander"


# Damaged files

HEAD = b"\x80\x02}("
STORAGE = (
    b"(" + text("storage") + b"ctorch\nFloatStorage\n" + text("0") + text("cpu")
    + b"K\x0ctQ"
)  # fmt: skip


def tensor(offset=0, shape=(4, 3), strides=(3, 1), storage=STORAGE):
    def number(n):
        return b"\x8a\x08" + struct.pack("<q", n)

    def numbers(values):
        return b"(" + b"".join(map(number, values)) + b"t"

    return (
        b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + number(offset)
        + numbers(shape) + numbers(strides) + b"\x89}tR"
    )  # fmt: skip


def with_tensor(part):
    return HEAD + text("state_dict") + b"}" + text("table") + part + b"su."


def test_tensors_by_hand_are_read(tmp_path):
    path = save_program(tmp_path / "file.pth", with_tensor(tensor(1, (2, 2), (6, 1))))
    table = read_checkpoint(path)["state_dict"]["table"]
    np.testing.assert_array_equal(table, [[1, 2], [7, 8]])


@pytest.mark.parametrize(
    "program",
    [
        with_tensor(tensor(shape=(5, 3))),
        with_tensor(tensor(offset=1)),
        with_tensor(tensor(offset=10**15)),
        with_tensor(tensor(shape=(2, 2), strides=(11, 1))),
        with_tensor(tensor(strides=(10**15, 1))),
        with_tensor(tensor(strides=(2**61, 1))),
        with_tensor(tensor(shape=(10**9, 10**6), strides=(0, 0))),
        with_tensor(tensor(offset=-1)),
        with_tensor(tensor(offset=11, shape=(4,), strides=(-1,))),
        with_tensor(tensor(shape=(4, 3), strides=(1,))),
        with_tensor(tensor(shape=(1,) * 70, strides=(1,) * 70)),
        with_tensor(tensor(storage=STORAGE.replace(b"0", b"9"))),
        with_tensor(tensor(storage=STORAGE.replace(b"FloatS", b"ComplexFloatS"))),
        with_tensor(tensor(storage=STORAGE.replace(text("storage"), text("system!")))),
        with_tensor(tensor(storage=b"K\x01")),
        with_tensor(b"ctorch._utils\n_rebuild_parameter\n)R"),
        with_tensor(b"ctorch._utils\n_rebuild_tensor_v2\nNR"),
        b"",
        b".",
        b"\x80\x02}",
        b"\x80\x02].",
        b"\x80\x02}K\x01a.",
        b"\x80\x02K\x01K\x02a.",
        b"\x80\x02h\x05.",
        b"\x80\x02u.",
        b"\x80\x02t.",
        b"\x80\x02\x86.",
        b"\x80\x02b.",
        b"\x80\x02K\x01Q.",
        b"\x80\x02}]K\x01s.",
        b"\x80\x02}(K\x01u.",
        b"\x80\x02}" + b"(" + b")" + b"\x85" * 200_000 + b"K\x01u.",
        b"\x80\x02\x8e" + struct.pack("<Q", 2**62) + b".",
        b"\x80\x04K\x01K\x02\x93.",
        b"\xff\xff",
    ],
)  # fmt: skip
def test_damaged_files_are_refused_in_one_line(program, tmp_path):
    path = save_program(tmp_path / "file.pth", program)
    with pytest.raises(ValueError, match=r"^`checkpoint` must be a file of") as caught:
        read_checkpoint(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("n_bytes", [0, 1, 100, 700, 1100])
def test_a_file_cut_short_is_refused(n_bytes, tmp_path):
    path = save(tmp_path / "file.pth")
    assert path.stat().st_size > n_bytes
    path.write_bytes(path.read_bytes()[:n_bytes])
    with pytest.raises(ValueError, match=r"^`checkpoint` must be a zip archive, as"):
        read_checkpoint(path)


def test_changed_content_is_refused(tmp_path):
    path = save(tmp_path / "file.pth")
    numbers = TABLE.numpy().tobytes()
    content = path.read_bytes()
    assert numbers in content
    path.write_bytes(content.replace(numbers, bytes(len(numbers))))
    with pytest.raises(ValueError, match=r"^`checkpoint` must be a zip .*CRC"):
        read_checkpoint(path)


def test_a_compressed_archive_is_refused(tmp_path):
    """It could grow to any size."""
    path = tmp_path / "file.pth"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("file/data.pkl", b"\x80\x02}." + bytes(10**6))
    with pytest.raises(ValueError, match=r"cannot be read \(it is compressed"):
        read_checkpoint(path)


@pytest.mark.parametrize("names", [[], ["a/data.pkl", "b/data.pkl"], ["data.pkl"]])
def test_archives_of_something_else_are_refused(names, tmp_path):
    path = tmp_path / "file.pth"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("something", b"else")
        for name in names:
            archive.writestr(name, b"\x80\x02}.")
    with pytest.raises(ValueError, match=r"cannot be read \(it has . entries named"):
        read_checkpoint(path)


def test_a_tar_archive_is_refused(tmp_path):
    with tarfile.open(tmp_path / "file.pth", "w") as archive:
        archive.addfile(tarfile.TarInfo("pickle"), io.BytesIO(b""))
    with pytest.raises(ValueError, match=r"^`checkpoint` must be a zip archive"):
        read_checkpoint(tmp_path / "file.pth")


def test_a_missing_file_is_told(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"^`checkpoint` must name a file; got"):
        read_checkpoint(tmp_path / "none.pth")


# Tensors

TENSORS = {
    "rows": TABLE,
    "transposed": TABLE.T,
    "part": TABLE[1:3, 1:],
    "every_other": TABLE[::2],
    "row_of_a_column": TABLE[:, 1],
    "scalar": torch.tensor(2.5),
    "empty": torch.zeros(0, 3),
    "parameter": torch.nn.Parameter(TABLE.clone()),
    "double": TABLE.double() / 7,
    "long": torch.tensor([-(2**40), 3]),
    "int": torch.tensor([1, -2], dtype=torch.int32),
    "byte": torch.tensor([1, 255], dtype=torch.uint8),
    "bool": torch.tensor([True, False]),
}


@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_tensors_of_every_kind_are_read_as_torch_reads_them(protocol, tmp_path):
    path = tmp_path / "file.pth"
    torch.save({"state_dict": TENSORS}, path, pickle_protocol=protocol)
    read = read_checkpoint(path)["state_dict"]
    assert list(read) == list(TENSORS)
    for name, own in TENSORS.items():
        own = own.detach().numpy()
        assert read[name].dtype == own.dtype
        np.testing.assert_array_equal(read[name], own, strict=True)
        assert read[name].flags.writeable


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_becomes_float32(dtype, tmp_path):
    own = torch.linspace(-3, 300, 12).reshape(4, 3).T.to(dtype)
    path = save(tmp_path / "file.pth", state_dict={"table": own})
    table = read_checkpoint(path)["state_dict"]["table"]
    np.testing.assert_array_equal(table, own.float().numpy(), strict=True)


def test_the_other_byte_order_is_read(tmp_path):
    path = save(tmp_path / "file.pth")
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in parts.items():
            if name.endswith("/byteorder"):
                assert content == b"little"
                content = b"big"
            if name.endswith("/data/0"):
                content = np.frombuffer(content, "<f4").astype(">f4").tobytes()
            archive.writestr(name, content)
    table = read_checkpoint(path)["state_dict"]["table"]
    np.testing.assert_array_equal(table, TABLE.numpy(), strict=True)


def test_plain_content_is_what_was_saved(tmp_path):
    plain = {
        "numbers": [1, -1, 300, 70_000, 2**40, -(2**70), 1.5, float("inf")],
        "texts": ["", "a", "é" * 300],
        "others": (None, True, False, (), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4), b"x"),
        "dict": {1: "a", "b": {}, None: [[]]},
    }
    plain["shared"] = plain["dict"]
    for protocol in (2, 4, 5):
        path = tmp_path / "file.pth"
        torch.save(plain, path, pickle_protocol=protocol)
        read = read_checkpoint(path)
        if protocol == 2:
            # Bytes are a call there.
            plain["others"] = plain["others"][:-1]
            assert isinstance(read["others"][-1], Made)
            read["others"] = read["others"][:-1]
        assert read == plain
        assert read["shared"] is read["dict"]
    own = {"set": {3}, "frozen": frozenset([3]), "recursive": []}
    own["recursive"].append((own["recursive"],))
    torch.save(own, path, pickle_protocol=4)
    read = read_checkpoint(path)
    assert (read["set"], read["frozen"]) == ([3], [3])
    assert read["recursive"][0][0] is read["recursive"]


def test_state_dicts_of_modules_and_optimisers_are_read(tmp_path):
    module = torch.nn.Linear(3, 2)
    optimizer = torch.optim.Adam(module.parameters())
    module(TABLE).sum().backward()
    optimizer.step()
    path = tmp_path / "file.pth"
    torch.save(
        {"state_dict": module.state_dict(), "optimizer": optimizer.state_dict()}, path
    )
    read = read_checkpoint(path, ("state_dict", "absent"))
    np.testing.assert_array_equal(read["state_dict"]["weight"], module.weight.detach())
    assert read["optimizer"]["param_groups"][0]["lr"] == 1e-3
    # What nobody asked for is not read.
    assert not isinstance(read["optimizer"]["state"][0]["exp_avg"], np.ndarray)
