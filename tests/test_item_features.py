import tracemalloc

import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.testing import assert_array_equal
from scipy.sparse import coo_array, csc_array, csr_array

from skpopsteer._validation import check_item_features

TABLE = np.array([[1.0, 0, 2], [0, 0, 0], [0, 3, 0], [4, 0, 0.5]])
NAMES = ["noir", "war", "heist"]


def pandas_frame(dtype=np.float64):
    return pd.DataFrame(TABLE, columns=NAMES).astype(dtype)


FORMS = {
    "list": TABLE.tolist(),
    "array": TABLE,
    "float32": TABLE.astype(np.float32),
    "csc": csc_array(TABLE),
    "coo": coo_array(TABLE),
    "tuple": (TABLE, NAMES),
    "tuple of sparse": (csr_array(TABLE), np.array(NAMES, dtype=object)),
    "tuple of frame": (pandas_frame().set_axis(list("abc"), axis=1), pd.Index(NAMES)),
    "dict": dict(zip(NAMES, TABLE.T, strict=True)),
    "dict of lists": dict(zip(NAMES, TABLE.T.tolist(), strict=True)),
    "dict of series": dict(pandas_frame().items()),
    "pandas": pandas_frame(),
    "pandas nullable": pandas_frame("Float64"),
    "pandas sparse": pandas_frame(pd.SparseDtype(float, 0)),
    "pandas sparse with NaN for a gap": pandas_frame(pd.SparseDtype(float, np.nan)),
    "pandas mixed": pandas_frame().astype({"war": pd.SparseDtype(float, 0)}),
    "polars": pl.DataFrame(TABLE, schema=NAMES),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_matrix(form):
    features, names = check_item_features(FORMS[form], 4)
    assert isinstance(features, csr_array)
    assert features.dtype == np.float64
    assert features.has_canonical_format
    assert features.nnz == 5
    assert_array_equal(features.toarray(), TABLE)
    assert names.dtype == object
    unnamed = form in ("list", "array", "float32", "csc", "coo")
    assert names.tolist() == (["0", "1", "2"] if unnamed else NAMES)
    assert all(type(name) is str for name in names)


def test_every_csr_is_read_and_left_alone(container):
    X = container(csr_array(TABLE))
    before = X.data.copy(), X.indices.copy(), X.indptr.copy()
    features, _ = check_item_features(X, 4)
    assert_array_equal(features.toarray(), TABLE)
    for was, now in zip(before, (X.data, X.indices, X.indptr), strict=True):
        assert_array_equal(was, now)


def test_a_clean_csr_is_not_copied():
    X = csr_array(TABLE)
    assert np.shares_memory(check_item_features(X, 4)[0].data, X.data)


def test_duplicates_zeros_and_disorder_are_cleaned_in_a_copy():
    data, indices = np.array([2.0, 1, 5, 0]), np.array([2, 0, 2, 1])
    X = csr_array((data, indices, [0, 3, 4]), shape=(2, 3))
    features, _ = check_item_features(X, 2)
    assert_array_equal(features.toarray(), [[1, 0, 7], [0, 0, 0]])
    assert features.has_canonical_format
    assert features.nnz == 2
    assert_array_equal(X.data, [2, 1, 5, 0])
    assert_array_equal(X.indices, [2, 0, 2, 1])


@pytest.mark.parametrize(
    "vector",
    [
        [0, 1, 0, 2],
        (0, 1, 0, 2),
        np.array([0, 1, 0, 2], dtype=np.int8),
        pd.Series([0, 1, 0, 2]),
        pd.Series([0, 1, 0, 2], dtype="Sparse[int]"),
        pl.Series([0, 1, 0, 2]),
    ],
    ids=lambda vector: f"{type(vector).__module__}.{type(vector).__name__}",
)
def test_a_vector_is_one_feature(vector):
    features, names = check_item_features(vector, 4)
    assert_array_equal(features.toarray(), [[0], [1], [0], [2]])
    assert names.tolist() == ["0"]


def test_a_sparse_vector_is_one_feature():
    vector = coo_array(np.array([0, 1, 0, 2]))
    if vector.ndim == 2:
        pytest.skip("this scipy has no sparse vectors")
    assert_array_equal(check_item_features(vector, 4)[0].toarray().T, [[0, 1, 0, 2]])


def test_two_numbers_are_a_vector_and_not_a_pair():
    features, names = check_item_features((0, 3), 2)
    assert_array_equal(features.toarray(), [[0], [3]])
    assert names.tolist() == ["0"]


@pytest.mark.parametrize("library", [pd, pl])
def test_a_series_has_a_name(library):
    series = library.DataFrame({"noir": [1, 0]})["noir"]
    assert check_item_features(series, 2)[1].tolist() == ["noir"]


def test_a_series_may_be_named_by_no_string():
    assert check_item_features(pd.Series([1, 0], name=7), 2)[1].tolist() == ["0"]


def test_names_of_columns_become_strings():
    frame = pd.DataFrame({1: [1, 0], 2: [0, 1]})
    assert check_item_features(frame, 2)[1].tolist() == ["1", "2"]
    assert check_item_features((TABLE, [7, 8, 9]), 4)[1].tolist() == ["7", "8", "9"]


@pytest.mark.parametrize("library", [pd, pl])
def test_columns_may_differ_in_type(library):
    frame = library.DataFrame(
        {"bool": [True, False], "int": [0, 3], "float": [0.5, 0.0]}
    )
    features, names = check_item_features(frame, 2)
    assert_array_equal(features.toarray(), [[1, 0, 0.5], [0, 3, 0]])
    assert names.tolist() == ["bool", "int", "float"]


def test_sparse_columns_of_pandas_may_differ_in_type_and_fill():
    frame = pd.DataFrame(
        {
            "bool": pd.arrays.SparseArray([True, False, False]),
            "int": pd.arrays.SparseArray([0, 0, 7]),
            "full": pd.arrays.SparseArray([1.0, 1.0, 0.0], fill_value=1.0),
            "stored": pd.arrays.SparseArray([0.0, 2.0, 0.0], fill_value=np.nan),
        }
    )
    features, _ = check_item_features(frame, 3)
    assert_array_equal(features.toarray(), [[1, 0, 1, 0], [0, 0, 1, 2], [0, 7, 0, 0]])
    assert features.nnz == 5


def test_sparse_columns_of_pandas_are_not_made_dense():
    rng = np.random.default_rng(0)
    places = rng.integers(0, 4000, size=4000), rng.integers(0, 500, size=4000)
    T = csr_array((rng.random(4000), places), shape=(4000, 500))
    frame = pd.DataFrame.sparse.from_spmatrix(T)
    tracemalloc.start()
    features, _ = check_item_features(frame, 4000)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (features != T).nnz == 0
    assert peak < 4000 * 500 * 8 / 4


def test_movielens_tags_pass_as_they_are_loaded():
    tags = csr_array(TABLE), np.array(NAMES, dtype=object)
    assert check_item_features(tags, 4)[1].tolist() == NAMES


# Bad input


@pytest.mark.parametrize(
    ("features", "message"),
    [
        (TABLE[:3], r"have one row per item \(4\); got 3\. Rows go by"),
        ({"a": [1, 0]}, r"have one row per item \(4\); got 2"),
        ([1, 0, 0], r"have one row per item \(4\); got 3"),
        ((TABLE, ["a", "b"]), r"have one name per feature \(3\); got 2"),
        ((TABLE, ["a", "b", "a"]), "have different names; got 'a' 2 times"),
        (
            pd.DataFrame(TABLE, columns=["a", "b", "b"]),
            "have different names; got 'b' 2 times",
        ),
        ((TABLE, [1, "1", 2]), "have different names; got '1' 2 times"),
        (TABLE * -1, r"hold finite numbers >= 0; got -1 in '0'"),
        ((TABLE * [1, -1, 1], NAMES), r"finite numbers >= 0; got -3 in 'war'"),
        (np.where(TABLE == 3, np.nan, TABLE), r"finite numbers >= 0; got nan in '1'"),
        (np.where(TABLE == 3, np.inf, TABLE), r"finite numbers >= 0; got inf in '1'"),
        ({"a": [1, 0, 0, None]}, r"hold numbers; got dtype object in 'a'"),
        (pl.DataFrame({"a": [1, None, 0, 0]}), "finite numbers >= 0; got nan in 'a'"),
        (
            pd.DataFrame({"a": pd.array([1, None, 0, 0], dtype="Int64")}),
            "finite numbers >= 0; got nan in 'a'",
        ),
        (
            pd.DataFrame({"a": pd.arrays.SparseArray([1.0, np.nan, 0, 0])}),
            "finite numbers >= 0; got nan in 'a'",
        ),
        (pd.DataFrame({"a": list("wxyz")}), "hold numbers; got dtype .* in 'a'"),
        (pl.DataFrame({"a": list("wxyz")}), "hold numbers; got dtype .* in 'a'"),
        (
            pd.DataFrame({"a": pd.Categorical(list("wxyz"))}),
            "hold numbers; got dtype category in 'a'",
        ),
        (
            pd.DataFrame({"when": pd.to_datetime(["2020-01-01"] * 4)}),
            r"hold numbers; got dtype datetime64\[.*\] in 'when'",
        ),
        (np.array(list("wxyz")), "hold numbers; got dtype <U1. Encode"),
        (TABLE.astype(complex), "hold numbers; got dtype complex128"),
        (None, "be a matrix, .* got NoneType of shape"),
        (np.ones((4, 2, 2)), r"be a matrix, .* got ndarray of shape \(4, 2, 2\)"),
        ([[1, 0], [1]], "hold one value per item and feature; got lists of"),
        ({"a": [1, 0, 0, 0], "b": [1]}, r"vectors of one length, .* \(1,\) for 'b'"),
        ({"a": TABLE}, r"vectors of one length, .* shape \(4, 3\) for 'a'"),
        ({"a": 1}, r"vectors of one length, .* shape \(\) for 'a'"),
        ({}, "hold at least one feature; got none"),
        (np.empty((4, 0)), "hold at least one feature; got none"),
        (pd.DataFrame(index=range(4)), "hold at least one feature; got none"),
    ],
)
def test_bad_features_get_one_line(features, message):
    with pytest.raises(
        ValueError, match=f"^`item_features` must .*{message}"
    ) as caught:
        check_item_features(features, 4)
    assert "\n" not in str(caught.value)


def test_a_negative_entry_is_seen_though_a_duplicate_covers_it():
    X = csr_array((np.array([3.0, -1]), np.array([0, 0]), [0, 2]), shape=(1, 1))
    with pytest.raises(ValueError, match="got -1 in '0'"):
        check_item_features(X, 1)
