"""Steer tables of user embeddings that do not fit in memory."""

import copy
import os
from pathlib import Path

import numpy as np

from skpopsteer._compat import import_optional
from skpopsteer._spans import over_parts
from skpopsteer._validation import check_embeddings
from skpopsteer._whole_file import whole_file
from skpopsteer.steering._encoded_users import EncodedUsers
from skpopsteer.steering._knobs import check_user_knob

__all__ = ["steer_blocks"]

#: Rows of a Parquet file that are held at once.
_ROWS = 65_536
#: Bytes of a column that are read at once.
_READ = 2**20


def steer_blocks(model, source, target=None, *, column="embedding", strength=None):
    """Steer user embeddings block by block: dask arrays, or Parquet in, Parquet out.

    Parameters
    ----------
    model : fitted SteeredRecommender
        With ``side="user"``; `user_strength` and `keep_top` must not be set, since an
        embedding tells of neither.
    source : dask array of shape (n_users, d), str or Path
        User embeddings of the host: an array, or a Parquet file, or a folder of such
        files.
    target : str or Path, default=None
        Where the steered files go, under the names they have: a folder for a folder, a
        file for a file. Needed for Parquet only.
    column : str, default="embedding"
        Column of lists of d numbers. All other columns go through as they are.
    strength : float or dict of str to float, default=None
        Used instead of the model's own, as in ``recommend``.

    Returns
    -------
    dask array of shape (n_users, d), dtype float32, or list of Path
        The array is lazy; files are written when this returns, and named.

    Raises
    ------
    ValueError
        For a model whose knob is not in the user embedding alone, embeddings of another
        width, numbers that are not finite, a column that is not there, or a target that
        is the source, or is given for an array.
    TypeError
        For another model, and for a source that is neither.
    ImportError
        Without dask or pyarrow: the extra `distributed` has both.

    See Also
    --------
    SteeredRecommender.transform : Steer rows of interactions.
    SteeredRecommender.export_embeddings : Vectors of users and items, for an index.

    Notes
    -----
    Linear in the rows; of a file 65,536 are held at once, of an array one chunk. Files
    are tasks of ``joblib.parallel_config``; each is written beside its place and moved
    there when it is whole, so that none is ever half: who kills the process finds whole
    files and at the worst hidden unfinished ones, which the next call removes.

    Examples
    --------
    >>> import dask.array as da
    >>> import numpy as np
    >>> from sklearn.decomposition import TruncatedSVD
    >>> from skpopsteer import SparseAutoencoderProbe, SteeredRecommender
    >>> from skpopsteer import as_recommender
    >>> from skpopsteer.datasets import make_interactions
    >>> from skpopsteer.steering import steer_blocks
    >>> X = make_interactions(200, 100, random_state=0).X
    >>> host = as_recommender(TruncatedSVD(8, random_state=0).fit(X))
    >>> probe = SparseAutoencoderProbe(32, k=4, max_iter=5, random_state=0)
    >>> model = SteeredRecommender(host, probe=probe, rule="shift", random_state=0)
    >>> model = model.fit(X)
    >>> users = da.from_array(host.encode_users(X), chunks=(50, 8))
    >>> steered = steer_blocks(model, users)
    >>> bool(np.allclose(steered.compute(), model.transform(X), atol=1e-5))
    True
    """
    push = check_user_knob(model, strength)
    if isinstance(source, str | os.PathLike):
        return _steer_files(model, push, Path(source), target, column)
    if not hasattr(source, "rechunk"):
        raise TypeError(
            "`source` must be a dask array, or the path of a Parquet file or folder; "
            f"got {type(source).__name__}. dask.array.from_array makes one of an array."
        )
    if target is not None:
        raise ValueError(
            f"`target` must be None for a dask array; got {str(target)!r}. The array "
            "that is returned is lazy: store it as any other."
        )
    return _steer_array(model, push, source)


def _steer_array(model, push, source):
    delayed = import_optional("dask", "distributed").delayed
    width = source.shape[1] if source.ndim == 2 else f"{source.ndim} axes"
    _require_width("source", model, width)
    # The model is a node of the graph by itself: it goes to every worker once. Knobs
    # that are set before the graph is computed do not reach this copy.
    return source.rechunk({1: -1}).map_blocks(
        _steer_block,
        knob=delayed((copy.copy(model), push), pure=False, traverse=False),
        dtype=np.float32,
        meta=np.empty((0, 0), dtype=np.float32),
    )


def _steer_block(block, knob):
    model, push = knob
    if not block.size:
        return block.astype(np.float32)
    return _steer(model, push, block, "source")


def _steer(model, push, rows, name):
    rows = check_embeddings(name, rows)
    return np.array(model._steer_users(EncodedUsers(rows, None), push))


def _require_width(name, model, width):
    if width != model._n_features_out:
        raise ValueError(
            f"`{name}` must hold embeddings of width {model._n_features_out}, which "
            f"the model was fitted on; got {width}. Pass those of the same host."
        )


def _steer_files(model, push, source, target, column):
    import_optional("pyarrow.parquet", "distributed")
    if target is None:
        raise ValueError(
            "`target` must be a path when the source is one; got None. "
            "Name the file or folder that the steered embeddings go to."
        )
    target = Path(target)
    if source.is_dir():
        files = sorted(file for file in source.glob("*.parquet") if file.is_file())
        pairs = [(file, target / file.name) for file in files]
    else:
        pairs = [(source, target)] if source.is_file() else []
    if not pairs:
        raise ValueError(
            f"`source` must be a Parquet file, or a folder that holds some; got "
            f"{str(source)!r}, where there is none. Check the path."
        )
    if target.exists() and target.is_dir() != source.is_dir():
        raise ValueError(
            "`target` must be a folder for a folder, and a file for a file; got "
            f"{str(target)!r} for {str(source)!r}. Name another."
        )
    for read, written in pairs:
        if written.exists() and written.samefile(read):
            raise ValueError(
                f"`target` must not be the source; got {str(target)!r} for both. "
                "Write elsewhere, and replace the source when you have looked at it."
            )
        # Before anything is written: a column may be missing in the last file.
        _check_schema(model, read, column)
    pairs[0][1].parent.mkdir(parents=True, exist_ok=True)
    return over_parts(_steer_file, (model, push, column), pairs)


def _check_schema(model, path, column):
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        schema = pq.read_schema(path)
    except pa.ArrowInvalid as error:
        raise ValueError(
            f"`source` must hold Parquet files; got {path.name}, which is none. {error}"
        ) from None
    if schema.names.count(column) != 1:
        raise ValueError(
            f"`column` must be one column of {path.name}; got {column!r}. It has "
            f"{', '.join(schema.names)}."
        )
    kind = schema.field(column).type
    is_list = isinstance(kind, pa.ListType | pa.LargeListType | pa.FixedSizeListType)
    value = kind.value_type if is_list else pa.null()
    if not (pa.types.is_integer(value) or pa.types.is_floating(value)):
        raise ValueError(
            f"`column` must hold lists of numbers; got {kind} in {path.name}. "
            "Store one list of d numbers a row."
        )
    size = getattr(kind, "list_size", None)
    if size is not None:
        _require_width("column", model, size)


def _steer_file(context, read, written):
    """Steer one file, and return where it was written."""
    try:
        # Who reads the folder as one table passes over hidden files: none is seen that
        # is unfinished.
        with whole_file(written) as unfinished:
            _write_steered(context, read, unfinished)
    except ValueError as error:
        error.add_note(f"In {read}.")
        raise
    return written


def _write_steered(context, read, written):
    import pyarrow as pa
    import pyarrow.parquet as pq

    model, push, column = context
    kind = pa.list_(pa.float32(), model._n_features_out)
    # By default whole row groups are held, several at once.
    with pq.ParquetFile(read, pre_buffer=False, buffer_size=_READ) as file:
        schema = file.schema_arrow
        place = schema.get_field_index(column)
        schema = schema.set(place, schema.field(column).with_type(kind))
        with pq.ParquetWriter(written, schema) as writer:
            for batch in file.iter_batches(_ROWS):
                rows = _to_rows(model, batch.column(place))
                rows = _steer(model, push, rows, "column")
                steered = pa.FixedSizeListArray.from_arrays(
                    pa.array(rows.ravel()), rows.shape[1]
                )
                batch = batch.set_column(place, schema.field(place), steered)
                writer.write_batch(batch)


def _to_rows(model, lists):
    if lists.null_count:
        raise ValueError(
            f"`column` must hold a list in every row; got {lists.null_count} of "
            f"{len(lists)} rows without one. Drop those rows."
        )
    lengths = np.unique(lists.value_lengths().to_numpy(zero_copy_only=False))
    for width in lengths:
        _require_width("column", model, width)
    flat = lists.flatten().to_numpy(zero_copy_only=False)
    return flat.reshape(len(lists), model._n_features_out)
