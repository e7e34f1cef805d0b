"""Read the tensors of a torch file without running anything that the file says.

A pickle is a program: it may name any function and have it called. The machine below
follows such a program far enough to see what it holds, and has no opcode that looks a
name up or calls a thing. What the file names becomes a :class:`Named`, what it would
have made a :class:`Made`: two records of what was asked for. The few calls that torch
writes for tensors are recognised by their names, and answered with arrays of numpy.
"""

import math
import pickletools
import zipfile
from dataclasses import dataclass, field
from typing import Any

import numpy as np

__all__ = ["Made", "Named", "read_checkpoint"]

#: Types of torch's storages by name; bfloat16, which numpy lacks, as its upper bits.
_DTYPES = {
    "torch.BFloat16Storage": "u2",
    "torch.BoolStorage": "?",
    "torch.ByteStorage": "u1",
    "torch.DoubleStorage": "f8",
    "torch.FloatStorage": "f4",
    "torch.HalfStorage": "f2",
    "torch.IntStorage": "i4",
    "torch.LongStorage": "i8",
}
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_VALUES = {
    "BINBYTES", "BINBYTES8", "BINFLOAT", "BININT", "BININT1", "BININT2", "BINUNICODE",
    "BINUNICODE8", "LONG1", "LONG4", "SHORT_BINBYTES", "SHORT_BINUNICODE",
}  # fmt: skip
_NEW = {"EMPTY_DICT": dict, "EMPTY_LIST": list, "EMPTY_SET": list, "EMPTY_TUPLE": tuple}
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


@dataclass(frozen=True, eq=False)
class Named:
    """A class or function that the file names; it was not looked up."""

    name: str


@dataclass(eq=False, repr=False)
class Made:
    """An object that the file would have made; nothing was called."""

    callee: Any
    args: Any
    state: Any = None
    items: list = field(default_factory=list)


@dataclass(frozen=True, eq=False)
class _Storage:
    kind: str
    key: str


@dataclass(frozen=True, eq=False, repr=False)
class _Tensor:
    storage: _Storage
    offset: int
    shape: tuple
    strides: tuple


def read_checkpoint(path, arrays_of=("state_dict", "other_parameter")):
    """Read a dict that ``torch.save`` wrote.

    Parameters
    ----------
    path : str or path-like
        A file of torch >= 1.6, which is a zip archive.
    arrays_of : tuple of str, default=("state_dict", "other_parameter")
        Entries of the dict whose tensors are read; the others' stay on the disk.

    Returns
    -------
    dict
        Numbers, texts, lists, dicts, and :class:`Named` and :class:`Made` for whatever
        else the file asks for. Sets become lists. The tensors of those entries become
        arrays of numpy, float32 for half precision.

    Raises
    ------
    FileNotFoundError
        Without a file of that name.
    ValueError
        For anything else than such a file.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            folder = _folder(archive)
            content = _run(_member(archive, f"{folder}/data.pkl"))
            if not isinstance(content, dict):
                raise ValueError("it does not hold a dict")
            arrays = {
                name: {
                    key: _to_array(archive, folder, value)
                    if isinstance(value, _Tensor)
                    else value
                    for key, value in content[name].items()
                }
                for name in arrays_of
                if isinstance(content.get(name), dict)
            }
    except FileNotFoundError:
        raise FileNotFoundError(
            f"`checkpoint` must name a file; got {str(path)!r}, and there is none. "
            "RecBole writes them to the folder `checkpoint_dir` of its settings."
        ) from None
    except zipfile.BadZipFile as error:
        raise ValueError(
            "`checkpoint` must be a zip archive, as torch.save writes them since 1.6; "
            f"got a file that is none ({error}). Save it anew with a newer torch."
        ) from None
    # Whatever a damaged or hostile file makes of the stack below.
    except (
        AttributeError, EOFError, IndexError, KeyError, NotImplementedError,
        OverflowError, RuntimeError, TypeError, ValueError,
    ) as error:  # fmt: skip
        raise ValueError(
            "`checkpoint` must be a file of torch.save holding a dict; got one that "
            f"cannot be read ({error}). Save it anew."
        ) from None
    return {**content, **arrays}


def _folder(archive):
    """Return the one folder of the archive that all lies in."""
    found = [name for name in archive.namelist() if name.endswith("/data.pkl")]
    if len(found) != 1:
        raise ValueError(f"it has {len(found)} entries named data.pkl")
    return found[0].removesuffix("/data.pkl")


def _member(archive, name):
    info = archive.getinfo(name)
    # torch compresses nothing, so that what is read is never more than the file has.
    if info.compress_type != zipfile.ZIP_STORED:
        raise ValueError("it is compressed, which torch's files are not")
    return archive.read(info)


def _to_array(archive, folder, tensor):
    """Read one tensor."""
    kind = tensor.storage.kind
    if kind not in _DTYPES:
        raise ValueError(f"it holds numbers of the kind {kind}")
    order = "<"
    if f"{folder}/byteorder" in archive.namelist():
        order = {b"little": "<", b"big": ">"}[_member(archive, f"{folder}/byteorder")]
    dtype = np.dtype(order + _DTYPES[kind])
    content = _member(archive, f"{folder}/data/{tensor.storage.key}")
    # Overlapping rows could ask for any amount of memory.
    if math.prod(tensor.shape) * dtype.itemsize > len(content):
        raise ValueError("a tensor is larger than its storage")
    # numpy refuses whatever would reach out of the content.
    array = np.ndarray(
        tensor.shape,
        dtype,
        content,
        tensor.offset * dtype.itemsize,
        tuple(stride * dtype.itemsize for stride in tensor.strides),
    )
    if kind == "torch.BFloat16Storage":
        return (array.astype(np.uint32) << 16).view(np.float32)
    if kind == "torch.HalfStorage":
        return array.astype(np.float32)
    return array.astype(dtype.newbyteorder("="), order="C")


def _run(program):
    """Follow a pickle, and return what it ends with."""
    stack, below, memo = [], [], {}
    for opcode, argument, _ in pickletools.genops(program):
        name = opcode.name
        if name in ("PROTO", "FRAME"):
            continue
        elif name == "STOP":
            return stack.pop()
        elif name == "MARK":
            below.append(stack)
            stack = []
        elif name in ("TUPLE", "POP_MARK"):
            marked, stack = stack, below.pop()
            if name == "TUPLE":
                stack.append(tuple(marked))
        elif name in ("APPENDS", "SETITEMS", "ADDITEMS", "FROZENSET"):
            marked, stack = stack, below.pop()
            if name == "FROZENSET":
                stack.append(marked)
            else:
                _extend(stack[-1], marked)
        elif name in ("MEMOIZE", "BINPUT", "LONG_BINPUT"):
            memo[len(memo) if name == "MEMOIZE" else argument] = stack[-1]
        elif name in ("BINGET", "LONG_BINGET"):
            stack.append(memo[argument])
        elif name in _VALUES:
            stack.append(argument)
        elif name in _CONSTANTS:
            stack.append(_CONSTANTS[name])
        elif name in _NEW:
            stack.append(_NEW[name]())
        else:
            _step(name, argument, stack)
    raise ValueError("it ends too early")


def _step(name, argument, stack):
    """Take the step of one opcode that needs nothing but the stack."""
    if name in _TUPLES:
        parts = tuple(_pop(stack, _TUPLES[name]))
        stack.append(parts)
    elif name == "APPEND":
        _extend(stack[-2], _pop(stack, 1))
    elif name == "SETITEM":
        _extend(stack[-3], _pop(stack, 2))
    elif name == "POP":
        stack.pop()
    elif name == "GLOBAL":
        stack.append(Named(argument.replace(" ", ".")))
    elif name == "STACK_GLOBAL":
        module, attribute = _pop(stack, 2)
        stack.append(Named(f"{module!s}.{attribute!s}"))
    elif name in ("REDUCE", "NEWOBJ"):
        stack.append(_made(*_pop(stack, 2)))
    elif name == "NEWOBJ_EX":
        callee, args, _ = _pop(stack, 3)
        stack.append(Made(callee, args))
    elif name == "BUILD":
        (state,) = _pop(stack, 1)
        # A plain dict stands for an OrderedDict: the state of one is of no use here.
        if isinstance(stack[-1], Made):
            stack[-1].state = state
        elif not isinstance(stack[-1], dict):
            raise ValueError("it sets the state of what is no object")
    elif name == "BINPERSID":
        what, kind, key, *_ = stack.pop()
        if what != "storage" or type(key) is not str or not isinstance(kind, Named):
            raise ValueError("it refers to something else than a storage")
        stack.append(_Storage(kind.name, key))
    else:
        raise ValueError(f"it uses {name}, which torch's files do not")


def _pop(stack, n):
    if len(stack) < n:
        raise ValueError("it takes more than it has put down")
    parts = stack[-n:]
    del stack[-n:]
    return parts


def _extend(target, values):
    """Put values into a list, or pairs of them into a dict."""
    if isinstance(target, list):
        target.extend(values)
    elif isinstance(target, Made):
        target.items.extend(values)
    elif isinstance(target, dict):
        keys = values[::2]
        # Tuples are left out: hashing a deep one overflows the stack of C.
        if not all(isinstance(key, str | int | float | Made | None) for key in keys):
            raise ValueError("it has a dict with keys that are no names or numbers")
        target.update(zip(keys, values[1::2], strict=True))
    else:
        raise ValueError("it adds to what is no list or dict")


def _made(callee, args):
    """Record a call, or answer it where it is one of torch's for tensors."""
    name = callee.name if isinstance(callee, Named) else None
    if name == "collections.OrderedDict" and not args:
        return {}
    if name == "torch._utils._rebuild_parameter" and isinstance(args[0], _Tensor):
        return args[0]
    if name == "torch._utils._rebuild_tensor_v2":
        storage, offset, shape, strides = args[:4]
        numbers = (offset, *shape, *strides)
        if not isinstance(storage, _Storage) or not all(
            type(number) is int and 0 <= number < 2**62 for number in numbers
        ):
            raise ValueError("a tensor is not described as torch does")
        return _Tensor(storage, offset, shape, strides)
    return Made(callee, args)
