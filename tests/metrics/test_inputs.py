"""What the metrics accept, refuse and leave untouched."""

from types import SimpleNamespace

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy.sparse import coo_array, csc_array, csr_array, csr_matrix

import skpopsteer.metrics
from skpopsteer.metrics import (
    average_popularity,
    average_tail_items,
    coverage,
    entropy,
    gini,
    hit_rate,
    mean_average_precision,
    mrr,
    ndcg,
    novelty,
    popreo,
    poprsp,
    popularity_lift,
    precision,
    recall,
    tail_coverage,
    tail_share,
    user_popularity_deviation,
)

DENSE = np.array([[1, 0, 1, 1, 0], [0, 1, 0, 1, 0], [0, 0, 0, 0, 1]])
LISTS = np.array([[1, 2], [3, 1], [0, -1]])
POPULARITY = np.array([1, 1, 1, 2, 1])
GROUPS = np.array([-1, 0, -1, 1, 0])

WITH_MATRIX = {
    "ndcg": ndcg,
    "recall": recall,
    "precision": precision,
    "hit_rate": hit_rate,
    "mrr": mrr,
    "mean_average_precision": mean_average_precision,
    "popreo": lambda y, lists, **kw: popreo(y, lists, GROUPS, **kw),
    "popreo_seen": lambda X, lists, **kw: popreo(
        csr_array(np.ones((3, 5))), lists, GROUPS, X=X, **kw
    ),
    "poprsp": lambda X, lists, **kw: poprsp(lists, GROUPS, X=X, **kw),
    "popularity_lift": lambda X, lists, **kw: popularity_lift(
        X, lists, POPULARITY, **kw
    ),
    "user_popularity_deviation": lambda X, lists, **kw: user_popularity_deviation(
        X, lists, GROUPS, **kw
    ),
}
OF_LISTS = {
    "average_popularity": lambda lists, **kw: average_popularity(
        lists, POPULARITY, **kw
    ),
    "average_tail_items": lambda lists, **kw: average_tail_items(lists, GROUPS, **kw),
    "coverage": lambda lists, **kw: coverage(lists, 5, **kw),
    "entropy": lambda lists, **kw: entropy(lists, 5, **kw),
    "gini": lambda lists, **kw: gini(lists, 5, **kw),
    "novelty": lambda lists, **kw: novelty(lists, POPULARITY, 3, **kw),
    "tail_coverage": lambda lists, **kw: tail_coverage(lists, GROUPS, **kw),
    "tail_share": lambda lists, **kw: tail_share(lists, GROUPS, **kw),
}
ALL = {
    **OF_LISTS,
    **{
        name: lambda lists, metric=metric, **kw: metric(csr_array(DENSE), lists, **kw)
        for name, metric in WITH_MATRIX.items()
    },
}

with_matrix = pytest.mark.parametrize(
    "metric", WITH_MATRIX.values(), ids=WITH_MATRIX.keys()
)
every_metric = pytest.mark.parametrize("metric", ALL.values(), ids=ALL.keys())
with_groups = pytest.mark.parametrize(
    "metric",
    [
        poprsp,
        tail_coverage,
        tail_share,
        average_tail_items,
        lambda lists, groups: popreo(csr_array(DENSE), lists, groups),
        lambda lists, groups: user_popularity_deviation(
            csr_array(DENSE), lists, groups
        ),
    ],
)
with_popularity = pytest.mark.parametrize(
    "metric",
    [
        average_popularity,
        lambda lists, popularity: novelty(lists, popularity, 3),
        lambda lists, popularity: popularity_lift(csr_array(DENSE), lists, popularity),
    ],
)
of_counts = pytest.mark.parametrize("metric", [gini, coverage, entropy])


def messy():
    """Same interactions: unsorted, one of them in two entries, a stored zero."""
    indptr = np.array([0, 5, 8, 9])
    indices = np.array([3, 0, 2, 3, 1, 3, 0, 1, 4])
    data = np.array([0.5, 2, 1, 7, 0, 1, 0, 3, 1])
    return csr_array((data, indices, indptr), shape=(3, 5))


def int64_indices():
    matrix = csr_array(DENSE)
    matrix.indices = matrix.indices.astype(np.int64)
    matrix.indptr = matrix.indptr.astype(np.int64)
    return matrix


@with_matrix
@pytest.mark.parametrize(
    "matrix",
    [
        csr_matrix(DENSE),
        csr_array(DENSE.astype(bool)),
        csr_array(DENSE * np.float32(0.25)),
        csc_array(DENSE),
        coo_array(DENSE),
        int64_indices(),
        messy(),
    ],
    ids=["matrix", "bool", "float32", "csc", "coo", "int64", "messy"],
)
def test_every_form_of_a_matrix_gives_the_same(metric, matrix):
    expected = metric(csr_array(DENSE), LISTS)
    assert np.isfinite(expected)
    assert metric(matrix, LISTS) == expected


@with_matrix
def test_many_duplicates_count_once(metric):
    rows = np.repeat(np.arange(3), [600, 400, 200])
    columns = np.concatenate([np.repeat(np.flatnonzero(row), 200) for row in DENSE])
    indptr = np.concatenate([[0], np.cumsum(np.bincount(rows))])
    matrix = csr_array((np.ones(1200, dtype=np.int8), columns, indptr), shape=(3, 5))
    assert metric(matrix, LISTS) == metric(csr_array(DENSE), LISTS)


@with_matrix
def test_the_arrays_of_the_caller_stay_as_they_are(metric):
    matrix, untouched = messy(), messy()
    for array in (matrix.data, matrix.indices, matrix.indptr):
        array.flags.writeable = False
    lists = LISTS.copy()
    lists.flags.writeable = False
    metric(matrix, lists)
    assert_array_equal(matrix.data, untouched.data)
    assert_array_equal(matrix.indices, untouched.indices)
    assert matrix.nnz == 9


@every_metric
@pytest.mark.parametrize("dtype", [np.int8, np.int32, np.int64])
def test_dtype_and_form_of_the_lists_do_not_matter(metric, dtype):
    expected = metric(LISTS)
    assert metric(LISTS.astype(dtype)) == expected
    assert metric(LISTS.tolist()) == expected
    assert metric(np.asfortranarray(LISTS)) == expected
    assert isinstance(expected, float)


@pytest.mark.parametrize("metric", [ndcg, WITH_MATRIX["popreo"]])
@pytest.mark.parametrize("y", [csr_array(DENSE), np.array([2, 3, -1])])
def test_held_out_items_may_be_wrapped(metric, y):
    assert metric(SimpleNamespace(y=y), LISTS) == metric(y, LISTS)


def test_public_names():
    names = skpopsteer.metrics.__all__
    assert len(names) == 25
    assert all(callable(getattr(skpopsteer.metrics, name)) for name in names)


@every_metric
@pytest.mark.parametrize(
    ("lists", "error", "message"),
    [
        (LISTS * 1.0, TypeError, "`recommendations` must be a 2-D .* dtype float64"),
        (LISTS > 0, TypeError, "`recommendations` must be a 2-D .* got dtype bool"),
        (csr_array(LISTS), TypeError, "`recommendations` must be .* sparse"),
        (LISTS[0], ValueError, r"`recommendations` must be a 2-D .* shape \(2,\)"),
        ([[1, 2], [3], [0]], ValueError, "`recommendations` .* Pad them with -1"),
        (LISTS[:, :0], ValueError, "`recommendations` must have at least one column"),
        (LISTS - 1, ValueError, "`recommendations` must hold .* got -2"),
        (LISTS + 2, ValueError, "`recommendations` must hold .* below 5.* got 5"),
    ],
)
def test_bad_lists(metric, lists, error, message):
    with pytest.raises(error, match=f"^{message}") as caught:
        metric(lists)
    assert "\n" not in str(caught.value)


@every_metric
@pytest.mark.parametrize(
    ("k", "error", "message"),
    [
        (3, ValueError, "`k` must be at most 2.* got 3. Recommend longer lists"),
        (0, ValueError, "`k` must be a positive integer; got 0"),
        (1.0, TypeError, "`k` must be a positive integer; got 1.0"),
        (True, TypeError, "`k` must be a positive integer; got True"),
    ],
)
def test_bad_k(metric, k, error, message):
    with pytest.raises(error, match=f"^{message}"):
        metric(LISTS, k=k)


@every_metric
def test_numpy_integers_are_integers(metric):
    assert_array_equal(metric(LISTS, k=np.int64(1)), metric(LISTS, k=1))


@with_matrix
@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        (csr_array(DENSE[:2]), r"must have one row per list .* \(3\); got 2"),
        (csr_array(-DENSE), "must hold finite values >= 0"),
        (csr_array(DENSE * np.nan), "must hold finite values >= 0"),
        (csr_array(np.where(DENSE, np.inf, 0)), "must hold finite values >= 0"),
        pytest.param(
            coo_array(DENSE[0]),
            r"must be 2-D, .* shape \(5,\)",
            marks=pytest.mark.skipif(
                coo_array(DENSE[0]).ndim != 1, reason="scipy has 2-D ones only"
            ),
        ),
    ],
)
def test_bad_matrix(metric, matrix, message):
    with pytest.raises(ValueError, match=f"^`[Xy]` {message}"):
        metric(matrix, LISTS)


@pytest.mark.parametrize("name", ["popreo", "poprsp", "popularity_lift"])
def test_matrix_of_another_catalogue(name):
    message = r"^`[Xy]` must have one column per item \(5\); got 6"
    with pytest.raises(ValueError, match=message):
        WITH_MATRIX[name](csr_array((3, 6)), LISTS)


@pytest.mark.parametrize("name", ["poprsp", "popularity_lift"])
def test_profiles_must_be_sparse(name):
    with pytest.raises(TypeError, match=r"^`X` must be a sparse .* got ndarray"):
        WITH_MATRIX[name](DENSE, LISTS)


@pytest.mark.parametrize("metric", [ndcg, WITH_MATRIX["popreo"]])
@pytest.mark.parametrize(
    ("y", "error", "message"),
    [
        ([1, 2], ValueError, r"must have one row per list .* \(3\); got 2"),
        ([1.0, 2, 3], TypeError, "must be a sparse .* got dtype float64"),
        (DENSE, ValueError, r"must be a sparse .* got shape \(3, 5\)"),
        ([1, 2, -2], ValueError, "must hold item positions, or -1 .* got -2"),
        (None, TypeError, "must be a sparse .* got dtype object"),
    ],
)
def test_bad_held_out_items(metric, y, error, message):
    with pytest.raises(error, match=f"^`y` {message}"):
        metric(y, LISTS)


def test_held_out_items_beyond_the_groups():
    with pytest.raises(ValueError, match=r"^`y` must hold .* below 5; got 5"):
        popreo([1, 2, 5], LISTS, GROUPS)


@with_groups
@pytest.mark.parametrize(
    ("groups", "error", "message"),
    [
        (GROUPS * 1.0, TypeError, "must be a 1-D .* got dtype float64"),
        ([GROUPS], ValueError, r"must be a 1-D .* got shape \(1, 5\)"),
        (GROUPS * 2, ValueError, "must be a 1-D .* got -2"),
        (GROUPS[:0], ValueError, "must be a 1-D .* got an empty one"),
    ],
)
def test_bad_groups(metric, groups, error, message):
    with pytest.raises(error, match=f"^`item_groups` {message}"):
        metric(LISTS, groups)


@with_groups
def test_groups_of_a_smaller_catalogue(metric):
    message = "below 3, the length of `item_groups`; got 3"
    with pytest.raises(ValueError, match=message):
        metric(LISTS, GROUPS[:3])


@pytest.mark.parametrize("metric", [tail_coverage, tail_share, average_tail_items])
def test_the_tail_must_hold_an_item(metric):
    with pytest.raises(ValueError, match=r"^`item_groups` must mark at least one tail"):
        metric(LISTS, np.abs(GROUPS))


@with_popularity
@pytest.mark.parametrize(
    ("popularity", "error", "message"),
    [
        ([1, 1, np.nan, 1, 1], ValueError, "must hold finite numbers >= 0; got nan"),
        ([1, 1, np.inf, 1, 1], ValueError, "must hold finite numbers >= 0; got inf"),
        ([1, 1, -1, 1, 1], ValueError, "must hold finite numbers >= 0; got -1"),
        ([POPULARITY], ValueError, r"must be a 1-D .* got shape \(1, 5\)"),
        ([], ValueError, r"must be a 1-D .* got shape \(0,\)"),
        (list("abcde"), TypeError, "must be a 1-D .* got dtype <U1"),
    ],
)
def test_bad_popularity(metric, popularity, error, message):
    with pytest.raises(error, match=f"^`item_popularity` {message}"):
        metric(LISTS, popularity)


@with_popularity
def test_popularity_of_a_smaller_catalogue(metric):
    message = "below 3, the length of `item_popularity`; got 3"
    with pytest.raises(ValueError, match=message):
        metric(LISTS, POPULARITY[:3])


@of_counts
@pytest.mark.parametrize(
    ("n_items", "error"), [(0, ValueError), (5.0, TypeError), (True, TypeError)]
)
def test_bad_n_items(metric, n_items, error):
    with pytest.raises(error, match=r"^`n_items` must be a positive integer; got"):
        metric(LISTS, n_items)


def test_novelty_needs_the_users_behind_the_popularity():
    with pytest.raises(
        ValueError, match=r"^`n_users` must be at least .* \(2\); got 1"
    ):
        novelty(LISTS, POPULARITY, 1)
    with pytest.raises(TypeError, match=r"^`n_users` must be a positive integer"):
        novelty(LISTS, POPULARITY, 3.0)


def test_large_keys_do_not_overflow():
    # User and item numbers whose product exceeds 32 bits.
    n_users, n_items = 70_000, 1_000_000
    last = csr_array(([1], ([n_users - 1], [n_items - 1])), shape=(n_users, n_items))
    lists = np.full((n_users, 1), -1, dtype=np.int32)
    lists[-1] = n_items - 1
    assert hit_rate(last, lists) == 1


def test_an_item_twice_in_one_list_is_refused():
    message = "^`recommendations` must hold an item once per list; got item 3 twice"
    with pytest.raises(ValueError, match=message):
        ndcg([3, 0], [[1, 2, 4], [3, 0, 3]])
    assert ndcg([3, 0], [[3, -1, -1], [0, -1, -1]]) == 1
