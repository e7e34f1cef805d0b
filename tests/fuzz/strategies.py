"""Inputs, good and bad, in every form a caller may hold.

A strategy draws the form and a seed; numpy fills in the numbers, which is fast and
still shrinks to small shapes. ``good_...`` must be answered, ``bad_...`` refused.
"""

import warnings

import numpy as np
from hypothesis import strategies as st
from scipy.sparse import (
    bsr_array,
    bsr_matrix,
    coo_array,
    coo_matrix,
    csc_array,
    csc_matrix,
    csr_array,
    csr_matrix,
    dia_array,
    dia_matrix,
    dok_array,
    dok_matrix,
    lil_array,
    lil_matrix,
)

__all__ = [
    "bad_counts",
    "bad_groups",
    "bad_lists",
    "bad_matrices",
    "bad_per_item",
    "bad_shares",
    "bad_tables",
    "bad_user_ids",
    "dense_forms",
    "generators",
    "good_groups",
    "good_lists",
    "good_popularity",
    "good_tables",
    "histories",
    "nonsense",
    "random_states",
    "shape_of",
    "shapes",
    "sparse_forms",
    "strange_forms",
    "vector_forms",
]

#: Compressed and coordinates, which are built entry by entry and can be out of order.
PLAIN = (csr_array, csr_matrix, csc_array, csc_matrix, coo_array, coo_matrix)
SPARSE = (
    *PLAIN,
    *(bsr_array, bsr_matrix, dia_array, dia_matrix),
    *(lil_array, lil_matrix, dok_array, dok_matrix),
)
#: Values of interactions: counts, ratings, times, and the ends of what floats hold.
VALUES = ("ones", "counts", "ratings", "times", "huge", "tiny", "largest", "subnormal")
#: Types that numbers of the caller may have, where they hold them.
DTYPES = (
    *("float64", "float32", "float16", "longdouble"),
    *("int64", "int32", "int8", "uint64", "uint8", "bool"),
)
#: What is no number, no array and no estimator.
NONSENSE = (
    None,
    "text",
    "",
    b"bytes",
    1.5,
    -1,
    0,
    True,
    float("nan"),
    float("inf"),
    10**30,
    1j,
    (),
    [],
    {},
    {"a": 1},
    {1, 2},
    object(),
    object,
    print,
    np.datetime64("2020"),
    np.array(3.0),
    np.array("text"),
    np.array([None]),
    np.array([]),
    range(0),
    np.zeros((0, 0)),
    np.zeros((2, 2, 2)),
    [[1], [1, 2]],
    ["a", "b"],
)


def shape_of(value):
    """Shape of anything; that of a single thing where rows are of unequal length."""
    try:
        return np.shape(value)
    except ValueError:
        return ()


def nonsense(*but):
    """Things of the wrong kind, without those of the types in `but`."""
    return st.sampled_from([n for n in NONSENSE if not _is_of(n, but)])


def _is_of(value, kinds):
    return any(
        value is None if kind is None else isinstance(value, kind) for kind in kinds
    )


def generators():
    """A numpy generator with a seed of its own."""
    return st.integers(0, 2**32 - 1).map(np.random.default_rng)


def random_states():
    """Every form of random_state that repeats itself."""
    seeds = st.integers(0, 2**32 - 1)
    return st.one_of(seeds, seeds.map(np.int64), seeds.map(np.uint32))


@st.composite
def shapes(draw, min_users=0, min_items=1, max_users=7, max_items=9):
    """Few users and items, down to one and none."""
    return (
        draw(st.integers(min_users, max_users)),
        draw(st.integers(min_items, max_items)),
    )


@st.composite
def histories(draw, shape, values=VALUES):
    """A dense matrix of interactions: what the sparse forms stand for."""
    rng = draw(generators())
    density = draw(st.sampled_from([0.4, 0.1, 0.8, 0.0, 1.0]))
    kind = draw(st.sampled_from(values))
    numbers = {
        "ones": np.ones(shape),
        "counts": rng.integers(1, 100, shape).astype(float),
        "ratings": rng.integers(1, 11, shape) / 2,
        "times": rng.integers(10**9, 2 * 10**9, shape).astype(float),
        "huge": np.full(shape, 1e30),
        "tiny": np.full(shape, 1e-30),
        "largest": np.full(shape, 1e300),
        "subnormal": np.full(shape, 5e-324),
    }[kind]
    held = rng.random(shape) < density
    if shape[0] and draw(st.booleans()):
        held[rng.integers(shape[0])] = False
    if shape[1] and draw(st.booleans()):
        held[:, rng.integers(shape[1])] = False
    return np.where(held, numbers, 0.0)


@st.composite
def sparse_forms(draw, dense, formats=SPARSE):
    """The same matrix in any sparse form, canonical or not, on memory of any kind."""
    rng = draw(generators())
    container = draw(st.sampled_from(formats))
    rows, columns = np.nonzero(dense)
    data = dense[rows, columns].astype(np.float64)
    if draw(st.booleans()) and dense.size:
        # Explicit zeros, and entries whose value is stored in two halves.
        n_zeros = int(rng.integers(0, 4))
        halved = (rng.random(len(data)) < 0.5) & (data / 2 + data / 2 == data)
        data = np.where(halved, data / 2, data)
        rows = np.concatenate(
            [rows, rows[halved], rng.integers(dense.shape[0], size=n_zeros)]
        )
        columns = np.concatenate(
            [columns, columns[halved], rng.integers(dense.shape[1], size=n_zeros)]
        )
        data = np.concatenate([data, data[halved], np.zeros(n_zeros)])
    order = rng.permutation(len(data))
    rows, columns, data = rows[order], columns[order], data[order]
    data = data.astype(_a_dtype_that_holds(draw, data))
    matrix = _stored(container, dense.shape, rows, columns, data)
    index_type = draw(st.sampled_from([np.int32, np.int64]))
    _retype(matrix, index_type)
    if container in PLAIN and draw(st.booleans()):
        matrix.data = _spread(matrix.data, draw(st.sampled_from([2, -1])))
    if draw(st.booleans()):
        _lock(matrix)
    return matrix


def _a_dtype_that_holds(draw, data):
    fitting = [np.float64]
    for dtype in DTYPES:
        if dtype == "float16":  # scipy's matrices know none
            continue
        with np.errstate(all="ignore"):
            if (data.astype(dtype).astype(np.float64) == data).all():
                fitting.append(dtype)
    # Duplicates of bool are one value, and halves of it are whole.
    return draw(st.sampled_from(fitting))


def _stored(container, shape, rows, columns, data):
    """Build a matrix without scipy putting it in order."""
    if container in (coo_array, coo_matrix):
        return container((data, (rows, columns)), shape=shape)
    if container not in PLAIN:
        return container(coo_array((data, (rows, columns)), shape=shape))
    major, minor = (rows, columns) if "csr" in container.__name__ else (columns, rows)
    n_major = shape[0] if "csr" in container.__name__ else shape[1]
    order = np.argsort(major, kind="stable")
    indptr = np.concatenate([[0], np.cumsum(np.bincount(major, minlength=n_major))])
    return container((data[order], minor[order], indptr), shape=shape)


def _retype(matrix, index_type):
    for name in ("indices", "indptr", "row", "col", "offsets"):
        if hasattr(matrix, name):
            setattr(matrix, name, getattr(matrix, name).astype(index_type))


def _lock(matrix):
    for name in ("data", "indices", "indptr", "row", "col", "offsets"):
        if isinstance(getattr(matrix, name, None), np.ndarray):
            getattr(matrix, name).flags.writeable = False


def _spread(vector, step):
    """Lay numbers out at every other place of memory, or backwards."""
    wide = np.zeros(len(vector) * abs(step), dtype=vector.dtype)
    wide[::step] = vector
    return wide[::step]


@st.composite
def strange_forms(draw, dense):
    """The same matrix in a form that may be refused, but not be read otherwise."""
    kind = draw(
        st.sampled_from(["object", "text", "bytes", "complex", "matrix", "masked"])
    )
    if kind == "text":
        return dense.astype(str)
    if kind == "bytes":
        return dense.astype(str).astype(bytes)
    if kind == "matrix":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", PendingDeprecationWarning)
            return np.asmatrix(dense)
    if kind == "masked":
        return np.ma.masked_array(dense, mask=False)
    if kind == "complex":
        made = draw(st.sampled_from([np.asarray, csr_array, coo_matrix]))
        return made(dense.astype(complex))
    array = dense.astype(object)
    return array.tolist() if draw(st.booleans()) else array


@st.composite
def dense_forms(draw, dense, dtypes=DTYPES):
    """The same matrix as an array of any order, a view, or lists of lists."""
    with np.errstate(all="ignore"):
        fitting = [
            d for d in dtypes if (dense.astype(d).astype(np.float64) == dense).all()
        ]
    array = dense.astype(draw(st.sampled_from(fitting or ["float64"])))
    form = draw(st.sampled_from(["C", "F", "view", "reversed", "locked", "lists"]))
    if form == "F":
        return np.asfortranarray(array)
    if form == "view":
        wide = np.zeros(tuple(2 * n for n in array.shape), dtype=array.dtype)
        view = wide[tuple(slice(None, None, 2) for _ in array.shape)]
        view[...] = array
        return view
    if form == "reversed":
        return array[::-1].copy()[::-1]
    if form == "locked":
        array.flags.writeable = False
        return array
    return array.tolist() if form == "lists" and array.size else array


def vector_forms(vector, dtypes=DTYPES[:-1]):
    """The same vector as an array of any type, a view, or a list."""
    return dense_forms(np.asarray(vector), dtypes)


@st.composite
def good_lists(draw, n_users, n_items, min_columns=1, max_columns=6, padded=True):
    """Lists without repeats, padded anywhere, in every form; and as plain int64."""
    rng = draw(generators())
    n_columns = draw(st.integers(min_columns, max_columns))
    lists = np.full((n_users, n_columns), -1)
    for row in lists:
        n = min(n_columns, n_items)
        n = int(rng.integers(0, n + 1)) if padded else n
        row[:n] = rng.permutation(n_items)[:n]
        if draw(st.booleans()):
            rng.shuffle(row)
    return draw(dense_forms(lists, ("int64", "int32", "int8", "uint64"))), lists


@st.composite
def bad_lists(draw, n_users, n_items):
    """What must not be taken for lists of items of this catalogue."""
    rng = draw(generators())
    shape = (max(n_users, 1), 2)
    lists = np.tile(np.arange(2), (shape[0], 1))
    row = int(rng.integers(shape[0]))

    def with_entry(value, dtype=None):
        changed = lists.astype(dtype) if dtype else lists.copy()
        changed[row, 1] = value
        return changed

    return draw(
        st.sampled_from(
            [
                with_entry(0),
                with_entry(-2),
                with_entry(-(2**63)),
                with_entry(n_items),
                with_entry(2**62),
                with_entry(2**63 - 1),
                with_entry(2**64 - 1, np.uint64),
                with_entry(2**63, np.uint64),
                with_entry(np.nan, float),
                lists.astype(float),
                lists.astype(str),
                lists.astype(object),
                lists.astype(bool),
                lists.astype(complex),
                lists[0],
                lists[np.newaxis],
                lists[:, :0],
                np.vstack([lists, lists]),
                csr_array(lists),
                [[0, 1], [0]] if n_users == 2 else [[0], [0, 1], [0]],
                "01",
                None,
                5,
                {0: [0, 1]},
                object(),
            ]
        )
    )


@st.composite
def good_popularity(draw, n_items):
    """Interactions per item, in every form; and as plain float64."""
    rng = draw(generators())
    kind = draw(st.sampled_from(["counts", "constant", "zero", "shares", "steep"]))
    popularity = {
        "counts": rng.integers(0, 50, n_items).astype(float),
        "constant": np.full(n_items, 7.0),
        "zero": np.zeros(n_items),
        "shares": rng.integers(1, 9, n_items) / 16,
        "steep": 10.0 ** rng.integers(0, 9, n_items),
    }[kind]
    return draw(vector_forms(popularity)), popularity


@st.composite
def bad_per_item(draw, n_items):
    """What must not be taken for one finite, non-negative number an item."""
    good = np.arange(1.0, n_items + 1)

    def with_entry(value):
        changed = good.copy()
        changed[-1] = value
        return changed

    return draw(
        st.sampled_from(
            [
                with_entry(np.nan),
                with_entry(np.inf),
                with_entry(-1),
                with_entry(1e308),
                with_entry(5e-324),
                good.astype(str),
                good.astype(object),
                good.astype(complex),
                good > 0,
                good[np.newaxis, np.newaxis],
                good[:, np.newaxis, np.newaxis],
                good[:0],
                csr_array(good[np.newaxis]),
                "text",
                None,
                3,
                {0: 1},
                object(),
            ]
        )
    )


@st.composite
def good_groups(draw, n_items, n_groups=1):
    """Labels of items, with at least one tail item where there is any item."""
    rng = draw(generators())
    groups = rng.integers(-1, 2, n_items)
    if n_groups > 1:
        groups[: min(2, n_items)] = [-1, 1][: min(2, n_items)]
    if n_items:
        groups[0] = -1
    return draw(vector_forms(groups, ("int64", "int8", "int32"))), groups


@st.composite
def bad_groups(draw, n_items):
    """What must not be taken for a label -1, 0 or 1 an item."""
    good = np.where(np.arange(n_items) % 2, 1, -1)

    def with_entry(value, dtype=None):
        changed = good.astype(dtype) if dtype else good.copy()
        changed[-1] = value
        return changed

    return draw(
        st.sampled_from(
            [
                with_entry(2),
                with_entry(-2),
                with_entry(2**62),
                with_entry(-(2**63)),
                with_entry(np.nan, float),
                with_entry("head", object),
                good.astype(float),
                good.astype(str),
                good.astype(bool),
                good[:0],
                good[np.newaxis, np.newaxis],
                csr_array(good[np.newaxis]),
                "text",
                3,
                {0: 1},
                object(),
            ]
        )
    )


@st.composite
def bad_matrices(draw, shape, allow_dense=True):
    """What must not be taken for interactions of this shape."""
    n_users, n_items = shape
    good = np.ones((max(n_users, 1), max(n_items, 1)))

    def with_entry(value, dtype=None):
        changed = good.astype(dtype) if dtype else good.copy()
        changed[-1, -1] = value
        return changed

    strange = [with_entry(v) for v in (np.nan, np.inf, -np.inf, -1.0, -5e-324)]
    strange += [with_entry(1j, complex), with_entry(-1, np.int8)]
    strange += [with_entry(v, np.float32) for v in (np.nan, np.inf, -1e-45)]
    # Beyond what float64 holds.
    strange += [with_entry(np.longdouble("1e4000"), np.longdouble)]
    kinds = [*SPARSE]
    if allow_dense:
        kinds += [np.asarray, np.ndarray.tolist, np.asfortranarray]
    made = draw(st.sampled_from(kinds))(draw(st.sampled_from(strange)))
    if allow_dense and draw(st.booleans()):
        made = with_entry(draw(st.sampled_from([np.nan, np.inf, -1])), np.float16)
    others = [
        *_sparse_of_other_dimensions(good),
        np.ma.masked_invalid(with_entry(np.nan)),
        with_entry(np.nan, object),
        with_entry(-1, object),
        good[0],
        good[np.newaxis],
        np.full(good.shape, "x"),
        [*good.tolist(), [None]],
        "text",
        None,
        3,
        {0: 1},
        object(),
        np.array([[np.datetime64("2020")]]),
    ]
    return made if draw(st.booleans()) else draw(st.sampled_from(others))


def _sparse_of_other_dimensions(good):
    """Sparse vectors and stacks, where scipy knows such."""
    made = []
    for dense in (good[0], good[np.newaxis]):
        try:
            made.append(coo_array(dense))
        except (TypeError, ValueError):
            continue
    return [one for one in made if one.ndim != 2]


@st.composite
def good_tables(draw, n_rows, n_columns, dtypes=DTYPES[:-1]):
    """Embeddings, well spread or degenerate; and as plain float64."""
    rng = draw(generators())
    kind = draw(
        st.sampled_from(
            ["normal", "equal", "zero", "one column", "ties", "large", "subnormal"]
        )
    )
    table = {
        "normal": rng.normal(size=(n_rows, n_columns)),
        "equal": np.ones((n_rows, n_columns)),
        "zero": np.zeros((n_rows, n_columns)),
        "one column": np.eye(1, n_columns) * rng.normal(size=(n_rows, 1)),
        "ties": rng.integers(-1, 2, (n_rows, n_columns)).astype(float),
        "large": 1e6 * rng.normal(size=(n_rows, n_columns)),
        "subnormal": 1e-45 * rng.integers(0, 3, (n_rows, n_columns)),
    }[kind].astype(np.float32)
    table = table.astype(np.float64)
    return draw(dense_forms(table, dtypes)), table


@st.composite
def bad_tables(draw, n_rows, n_columns):
    """What must not be taken for a table of finite numbers."""
    good = np.ones((max(n_rows, 1), max(n_columns, 1)))

    def with_entry(value):
        changed = good.copy()
        changed[-1, -1] = value
        return changed

    return draw(
        st.sampled_from(
            [
                with_entry(np.nan),
                with_entry(np.inf),
                with_entry(1e300),
                with_entry(np.nan).astype(np.float16),
                with_entry(np.inf).astype(np.longdouble),
                good[0],
                good[np.newaxis],
                good[:0],
                good[:, :0],
                good.astype(str) + "x",
                good.astype(complex),
                csr_array(good),
                [[1.0], [1.0, 2.0]],
                "text",
                None,
                3,
                {0: 1},
                object(),
            ]
        )
    )


def bad_user_ids(n_rows, n_users):
    """What must not be taken for the positions of trained users."""
    ids = np.arange(n_rows)

    def with_entry(value, dtype=None):
        changed = ids.astype(dtype) if dtype else ids.copy()
        changed[-1] = value
        return changed

    return st.sampled_from(
        [
            with_entry(-1),
            with_entry(n_users),
            with_entry(2**62),
            with_entry(2**64 - 1, np.uint64),
            with_entry(2**63, np.uint64),
            ids.astype(float),
            ids.astype(str),
            ids.astype(object),
            ids.astype(bool),
            ids[:-1],
            np.concatenate([ids, ids]),
            ids[np.newaxis],
            [[0], [0, 1]],
            csr_array(ids[np.newaxis]),
            "text",
            3,
            {0: 1},
            object(),
        ]
    )


def bad_counts(*more):
    """What is no positive number of things; None is for the caller to add."""
    return st.sampled_from(
        [
            0,
            -1,
            1.0,
            2.5,
            True,
            False,
            "3",
            float("nan"),
            float("inf"),
            -(10**30),
            [3],
            (3,),
            np.array([3]),
            np.array(3.0),
            np.float64(3),
            {},
            object(),
            1j,
            b"3",
            *more,
        ]
    )


def bad_shares(*more):
    """What is no share in (0, 1)."""
    return st.sampled_from(
        [
            0,
            1,
            0.0,
            1.0,
            -0.2,
            1.2,
            20,
            "0.2",
            float("nan"),
            float("inf"),
            [0.2],
            np.array([0.2]),
            {},
            object(),
            1j,
            True,
            b"0.2",
            *more,
        ]
    )
