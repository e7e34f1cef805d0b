"""A file to go on from when training is cut off: whole or not there, and no pickle."""

import json
import os
import pathlib

import numpy as np

from skpopsteer._whole_file import sweep, whole_file

__all__ = ["Checkpoint"]

#: Version of the layout, so that a later one can tell.
LAYOUT = 1
#: Entry with the structure of the state; the arrays are entries beside it.
STRUCTURE = "structure"


class Checkpoint:
    """State of one training run in a file.

    Parameters
    ----------
    path : str or path-like
        The file, in a folder that exists. It is an uncompressed ``.npz``, whatever its
        name ends in.

    Notes
    -----
    A file is written beside `path`, forced to the disk and renamed: who kills the
    process at any moment finds the state before or the state after, and at the worst a
    hidden unfinished file, which :meth:`remove` and the next :meth:`save` delete where
    the system has locks. Time is linear in the bytes of the arrays, and nothing is
    copied in memory to save them.
    """

    def __init__(self, path):
        if not isinstance(path, str | os.PathLike):
            raise TypeError(
                f"`checkpoint` must be a path; got {type(path).__name__}. Name a file."
            )
        self.path = pathlib.Path(path)
        if not self.path.parent.is_dir() or self.path.is_dir():
            raise ValueError(
                "`checkpoint` must be a file in a folder that exists; got "
                f"{str(path)!r}. Make the folder, and name a file in it."
            )

    def save(self, state, fingerprint):
        """Replace the file by one with this state, or leave it as it is.

        Parameters
        ----------
        state : dict or list
            Nested dicts (keys str or int) and lists of arrays without objects, numbers,
            strings and None. Left as it is.
        fingerprint : str
            Of the data and the parameters the state belongs to.

        Raises
        ------
        TypeError
            For other values in `state`.
        ValueError
            If there is a file already which is broken, or of another fingerprint.
        """
        if self.path.exists():
            self._read(fingerprint, header_only=True)
        arrays = {}
        content = [LAYOUT, fingerprint, _encode(state, arrays)]
        text = json.dumps(content).encode()
        arrays[STRUCTURE] = np.frombuffer(text, dtype=np.uint8)
        # By its name it would get an ending.
        with whole_file(self.path) as unfinished, open(unfinished, "wb") as stream:
            try:
                np.savez(stream, **arrays)
            except ValueError as error:
                # Of an array that Ctrl-C cut off, the archive says it cannot be closed.
                if isinstance(error.__context__, KeyboardInterrupt):
                    raise error.__context__ from None
                raise

    def load(self, fingerprint):
        """Return the state, or None if there is no file.

        Parameters
        ----------
        fingerprint : str
            Of the data and the parameters at hand.

        Returns
        -------
        dict or list or None
            As it was saved; scalars of numpy are numbers of Python, and a view of an
            array is an array of its own.

        Raises
        ------
        ValueError
            For a file that is broken, or of another fingerprint. It is left there.
        """
        if not self.path.exists():
            return None
        return self._read(fingerprint, header_only=False)

    def remove(self):
        """Delete the file, and what a killed process left unfinished beside it."""
        self.path.unlink(missing_ok=True)
        sweep(self.path)

    def _read(self, fingerprint, *, header_only):
        try:
            with open(self.path, "rb") as stream:
                arrays = np.load(stream, allow_pickle=False)
                layout, belongs_to, node = json.loads(arrays[STRUCTURE].tobytes())
                state = None
                if (layout, belongs_to) == (LAYOUT, fingerprint) and not header_only:
                    state = _decode(node, arrays)
        # Whatever is wrong with it, from one bit to a hostile hand: it is no state.
        except Exception as error:
            reason = f"{type(error).__name__} {error}".splitlines()[0]
            raise ValueError(
                f"`checkpoint` must be a whole file that fit wrote; got "
                f"{str(self.path)!r} ({reason}). Delete it or choose another path."
            ) from error
        if (layout, belongs_to) != (LAYOUT, fingerprint):
            raise ValueError(
                "`checkpoint` must be of these data and parameters; got "
                f"{str(self.path)!r} of others. Delete it or choose another path."
            )
        return state


def _encode(value, arrays):
    """Return `value` for JSON; put its arrays, which JSON cannot hold, aside.

    A dict or a list becomes a pair of its kind and its items, so that nothing in the
    state can be taken for what stands for an array.
    """
    if isinstance(value, np.ndarray) and not value.dtype.hasobject:
        name = f"array_{len(arrays)}"
        arrays[name] = value
        return ["array", name]
    if isinstance(value, np.bool_ | np.integer | np.floating):
        return value.item()
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if type(value) is list:
        return ["list", [_encode(held, arrays) for held in value]]
    if type(value) is dict and all(type(key) in (str, int) for key in value):
        return ["dict", [[key, _encode(held, arrays)] for key, held in value.items()]]
    kind = type(value).__name__
    raise TypeError(
        "`state` must hold dicts with keys of str or int, lists, arrays without "
        f"objects, numbers, strings and None; got {kind}. Convert it first."
    )


def _decode(node, arrays):
    if not isinstance(node, list):
        return node
    kind, held = node
    if kind == "array":
        return arrays[held]
    if kind == "list":
        return [_decode(one, arrays) for one in held]
    if kind == "dict":
        return {key: _decode(one, arrays) for key, one in held}
    raise ValueError(f"unknown kind {kind!r}")
