"""Read models from files, and run nothing out of them."""

import io
import os
import struct
import zipfile
import zlib

from skpopsteer._compat import import_optional
from skpopsteer.adapters._export import CACHES
from skpopsteer.adapters._implicit import count_extra_columns
from skpopsteer.persistence._parts import OF_ONE_MACHINE, is_implicit, parts_of
from skpopsteer.persistence._paths import path_of
from skpopsteer.persistence._trusted import TRUSTED_TYPES, untrusted_types

__all__ = ["load"]

#: How often its own size an archive within the file may hold: skops has scipy deflate
#: sparse matrices, which makes nothing smaller than that.
_DEFLATED = 1100
#: What skops raises for a file that is cut off, or that no version of it wrote.
_BROKEN = (
    AttributeError,
    EOFError,
    LookupError,
    OverflowError,
    RuntimeError,
    TypeError,
    ValueError,
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
)


def load(file):
    """Load a model that :func:`save` wrote, running no code out of the file.

    Parameters
    ----------
    file : str or path-like
        The file.

    Returns
    -------
    estimator
        It recommends as the saved one did. Loading needs neither a GPU nor torch.

    Raises
    ------
    ValueError
        For a file that holds a type that is not trusted, before anything of it is
        imported or made, for one that would unpack to far more than it is, and for one
        that is broken.

    Warns
    -----
    UserWarning
        When other versions of skpopsteer or scikit-learn saved the file.

    See Also
    --------
    save : Write the file.

    Notes
    -----
    Trusted are the names in `TRUSTED_TYPES` and, by skops, the arrays of numpy and the
    estimators of scikit-learn; what the file says about trust is not asked. `memory`
    and `checkpoint` are always None, so that no file can name a folder of pickles to
    read from, or a path to write to. For types of your own there is
    ``skops.io.load(file, trusted=[*TRUSTED_TYPES, ...])``, which checks the types
    alone. Time and memory are linear in the size of the file.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from skpopsteer import PopularityNeuronSelector
    >>> from skpopsteer.persistence import load, save
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save(PopularityNeuronSelector(fdr=0.1), pathlib.Path(folder) / "a.skops")
    ...     load(pathlib.Path(folder) / "a.skops")
    PopularityNeuronSelector(fdr=0.1)
    """
    skops_io = import_optional("skops.io", "persistence")
    file = path_of(file)
    if not file.is_file():
        raise FileNotFoundError(
            f"`file` must be a file that save wrote; got {str(file)!r}, where there is "
            f"{'a folder' if file.is_dir() else 'none'}. Look at the path."
        )
    try:
        _refuse_bomb(file)
        untrusted = untrusted_types(skops_io, file)
        if not untrusted:
            model = skops_io.load(file, trusted=list(TRUSTED_TYPES))
    except _BROKEN as error:
        raise ValueError(
            f"`file` must be whole and written by save; got {str(file)!r}, of which "
            f"skops says: {error}. Save the model again."
        ) from error
    if untrusted:
        raise ValueError(
            f"`file` must hold types of TRUSTED_TYPES only; got {untrusted[0]}. Ask "
            "who made it: a file with other types may run code when it is loaded."
        )
    for part in parts_of(model):
        _make_safe(part)
    return model


def _refuse_bomb(file):
    """Refuse a file that unpacks to far more than it is; `save` compresses nothing."""
    with zipfile.ZipFile(file) as archive:
        _require_size(archive, os.path.getsize(file))
        for info in archive.infolist():
            if info.filename.endswith(".npz"):
                with zipfile.ZipFile(io.BytesIO(archive.read(info))) as inner:
                    _require_size(inner, _DEFLATED * info.file_size)


def _require_size(archive, most_bytes):
    n_bytes = sum(info.file_size for info in archive.infolist())
    if n_bytes > most_bytes:
        raise ValueError(f"it unpacks to {n_bytes} bytes, more than {most_bytes}")


def _make_safe(part):
    """Take from a loaded part what the content of a file must not decide."""
    if hasattr(part, "check_format"):
        # Compiled products read and write wherever the positions point.
        try:
            part.check_format(full_check=True)
        except ValueError as error:
            raise ValueError(
                f"`file` must hold sparse matrices that are in order; got one of which "
                f"scipy says: {error}. Save the model again."
            ) from error
    for name in OF_ONE_MACHINE:
        if vars(part).get(name) is not None:
            setattr(part, name, None)
    if not is_implicit(part):
        return
    # The compiled solvers of implicit trust these to fit each other, and read beyond
    # the end of an array that does not.
    for name in CACHES:
        if hasattr(part, name):
            setattr(part, name, None)
    tables = [vars(part).get(name) for name in ("user_factors", "item_factors")]
    if all(table is None for table in tables):
        return
    width = vars(part).get("factors", 0) + count_extra_columns(part)
    widths = [getattr(table, "shape", ())[1:] for table in tables]
    if widths != [(width,), (width,)]:
        raise ValueError(
            f"`file` must hold tables of {width} factors in {type(part).__name__}; got "
            f"{widths}. Save the model again."
        )
