"""What is particular about hosts made of two tables."""

import pickle

import numpy as np
import pytest
from sklearn.base import clone

from skpopsteer import ArrayRecommender, as_recommender
from tests.hosts import HOSTS, N_ITEMS, N_USERS, WIDTH


@pytest.fixture
def X():
    return HOSTS["arrays"]().X


@pytest.fixture
def tables():
    return HOSTS["arrays_with_bias"]().model


def _with(table, value):
    table = np.array(table)
    table[3, ...] = value
    return table


def _ridge(X, V, regularization):
    """Solve least squares with rows of penalty below: no normal equations."""
    penalty = regularization * (V**2).sum() / V.shape[1]
    stacked = np.vstack([V, np.sqrt(penalty) * np.eye(V.shape[1])])
    targets = np.vstack([X.toarray().T, np.zeros((V.shape[1], X.shape[0]))])
    return np.linalg.lstsq(stacked, targets, rcond=None)[0].T


@pytest.mark.parametrize("regularization", [0.0, 0.1, 2.0])
def test_ridge_equals_a_direct_solve(X, tables, regularization):
    U, V, bias = tables
    expected = _ridge(X, V, regularization)
    params = {"item_bias": bias, "regularization": regularization}
    plain = ArrayRecommender(None, V, **params).encode_users(X)
    np.testing.assert_allclose(plain, expected, rtol=1e-4, atol=1e-5)
    # With trained users the direction stays, and the length is theirs.
    median = np.median(np.linalg.norm(U, axis=1))
    expected *= median / np.linalg.norm(expected, axis=1, keepdims=True)
    scaled = ArrayRecommender(U, V, **params).encode_users(X)
    np.testing.assert_allclose(scaled, expected, rtol=1e-4, atol=1e-5)


def test_ridge_without_penalty_survives_a_small_catalogue():
    V = np.array([[1.0, 0.0, 2.0], [0.0, 1.0, 0.0]])
    host = ArrayRecommender(None, V, regularization=0.0)
    ids = host.recommend(np.array([[1.0, 0.0]]), 2, exclude_seen=False)
    assert ids.tolist() == [[0, 1]]


def test_an_empty_row_is_ranked_by_the_bias_alone(tables):
    host = ArrayRecommender(*tables[:2], item_bias=tables[2])
    ids = host.recommend(np.zeros((1, N_ITEMS)), N_ITEMS)
    expected = np.argsort(-tables[2].astype(np.float32), kind="stable")
    np.testing.assert_array_equal(ids[0], expected)


def test_bias_is_added_to_scores_and_kept_out_of_embeddings(X, tables):
    U, V, bias = tables
    host = ArrayRecommender(U, V, item_bias=bias)
    everyone = np.arange(N_USERS)
    np.testing.assert_array_equal(host.encode_users(X, everyone), U.astype(np.float32))
    scores = host.decision_function(X, everyone)
    np.testing.assert_allclose(scores, U @ V.T + bias, rtol=1e-4, atol=1e-4)
    without = ArrayRecommender(U, V).decision_function(X, everyone)
    np.testing.assert_allclose(scores - without, np.tile(bias, (200, 1)), atol=1e-4)


def test_a_callable_folds_in(X, tables):
    rows_seen = []

    def fold_in(rows):
        rows_seen.append(rows)
        return rows @ tables[1]

    host = ArrayRecommender(None, tables[1], fold_in=fold_in)
    U = host.encode_users(X)
    assert U.dtype == np.float32
    np.testing.assert_allclose(U, X @ tables[1], rtol=1e-5, atol=1e-5)
    assert [rows.shape for rows in rows_seen] == [X.shape]


@pytest.mark.parametrize(
    ("result", "message"),
    [
        (np.ones((N_USERS, WIDTH + 1)), rf"`fold_in\(X\)` must have {WIDTH} columns"),
        (np.full((N_USERS, WIDTH), np.nan), r"`fold_in\(X\)` must hold finite"),
    ],
)
def test_what_a_callable_returns_is_checked(X, tables, result, message):
    host = ArrayRecommender(None, tables[1], fold_in=lambda rows: result)
    with pytest.raises(ValueError, match=f"^{message}"):
        host.predict(X)


def test_a_look_up_host_needs_ids(X, tables):
    host = as_recommender(ArrayRecommender(*tables[:2], fold_in=None))
    assert not host.folds_in
    with pytest.raises(ValueError, match=r"^`user_ids` must be given: this host only"):
        host.recommend(X)
    ids = host.recommend(X[:2], user_ids=[7, 3])
    folds_in = ArrayRecommender(*tables[:2])
    np.testing.assert_array_equal(ids, folds_in.recommend(X[:2], user_ids=[7, 3]))


def test_trained_users_are_not_needed_where_rows_are_folded_in(X, tables):
    host = as_recommender(ArrayRecommender(None, tables[1]))
    assert host.recommend(X).shape == (N_USERS, 10)
    with pytest.raises(ValueError, match=r"^`user_ids` must be None for a host"):
        host.recommend(X[:2], user_ids=[0, 1])


@pytest.mark.parametrize(
    ("user_ids", "message"),
    [
        ([0, N_USERS], r"positions of trained users, 0 to 199; got unknown \[200\]"),
        ([-1, 0], r"positions of trained users, 0 to 199; got unknown \[-1\]"),
        ([0], r"name one user per row of `X` \(2\); got 1"),
        ([0, 1, 2], r"name one user per row of `X` \(2\); got 3"),
        ([0.0, 1.0], "a 1-D array of integer user positions; .* float64"),
        ([True, False], "a 1-D array of integer user positions; .* bool"),
        ([[0, 1]], r"a 1-D array of integer user positions; .* \(1, 2\)"),
        (["ann", "bob"], "a 1-D array of integer user positions"),
    ],
)
def test_bad_user_ids_give_one_clear_line(X, tables, user_ids, message):
    host = as_recommender(tables)
    message = f"^`user_ids` must (be )?{message}"
    for method in [host.recommend, host.decision_function, host.encode_users]:
        with pytest.raises(ValueError, match=message):
            method(X[:2], user_ids=user_ids)


def _bad_tables():
    rng = np.random.default_rng(0)
    U, V, bias = rng.normal(size=(5, 3)), rng.normal(size=(4, 3)), np.zeros(4)
    return [
        (U, _with(V, np.nan), None, "`item_embeddings` must hold finite numbers"),
        (U, _with(V, np.inf), None, "`item_embeddings` must hold finite numbers"),
        (_with(U, np.nan), V, None, "`user_embeddings` must hold finite numbers"),
        (U[:, :2], V, None, "`user_embeddings` must have 3 columns"),
        (U, V[:, 0], None, "`item_embeddings` must be a 2-D table"),
        (U, V[:0], None, "`item_embeddings` must be a 2-D table"),
        (U, V.astype(str), None, "`item_embeddings` must be a 2-D table"),
        (U, V, bias[:3], r"`item_bias` must hold one finite number per item \(4\)"),
        (U, V, bias[:, None], "`item_bias` must hold one finite number per item"),
        (U, V, _with(bias, np.nan), "`item_bias` must hold one finite number"),
    ]


@pytest.mark.parametrize(("U", "V", "bias", "message"), _bad_tables())
def test_bad_tables_give_one_clear_line(U, V, bias, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        as_recommender((U, V) if bias is None else (U, V, bias))
    host = ArrayRecommender(U, V, item_bias=bias)
    with pytest.raises(ValueError, match=f"^{message}"):
        host.recommend(np.ones((1, 4)), user_ids=[0])


@pytest.mark.parametrize(
    "params", [{"fold_in": "rigde"}, {"regularization": -1.0}, {"regularization": "1"}]
)
def test_bad_parameters_are_refused_by_name(X, tables, params):
    host = ArrayRecommender(*tables[:2], **params)
    for use in [as_recommender, lambda host: host.recommend(X)]:
        with pytest.raises(ValueError, match=f"^The '{next(iter(params))}' parameter"):
            use(host)


def test_integer_tables_and_lists_are_accepted():
    host = as_recommender(([[1, 0]], [[0, 1], [2, 0], [1, 0]], [0, 0, 3]))
    ids, scores = host.recommend(np.zeros((1, 3)), 3, user_ids=[0], return_scores=True)
    assert ids.tolist() == [[2, 1, 0]]
    assert scores.tolist() == [[4.0, 2.0, 0.0]]


def test_tables_are_float32_whatever_was_given(tables):
    host = as_recommender(tables)
    for table in [host.item_embeddings_, host.user_embeddings_, host.item_bias_]:
        assert table.dtype == np.float32


def test_fit_is_refused(X, tables):
    with pytest.raises(ValueError, match=r"^`fit` must be called on an untrained host"):
        ArrayRecommender(*tables[:2]).fit(X)


def test_a_clone_shares_the_arrays_and_not_the_parameters(X, tables):
    host = ArrayRecommender(*tables[:2], regularization=0.5)
    before = host.predict(X)
    copied = clone(host)
    assert copied.user_embeddings is tables[0]
    assert copied.item_embeddings is tables[1]
    copied.set_params(regularization=100.0, item_embeddings=-tables[1])
    assert host.regularization == 0.5
    np.testing.assert_array_equal(host.predict(X), before)


def test_tables_put_in_later_are_the_ones_that_count(X, tables):
    host = ArrayRecommender(*tables[:2])
    host.predict(X)
    host.set_params(item_embeddings=tables[1][::-1], item_bias=tables[2])
    expected = ArrayRecommender(tables[0], tables[1][::-1], item_bias=tables[2])
    np.testing.assert_array_equal(host.predict(X), expected.predict(X))


def test_embeddings_handed_out_are_not_the_table(X, tables):
    host = ArrayRecommender(*(table.astype(np.float32) for table in tables[:2]))
    before = host.recommend(X, user_ids=np.arange(N_USERS))
    host.encode_users(X, np.arange(N_USERS))[:] = 0
    after = host.recommend(X, user_ids=np.arange(N_USERS))
    np.testing.assert_array_equal(after, before)


def test_a_pickle_holds_the_tables_once(X, tables):
    host = ArrayRecommender(*tables[:2])
    size = len(pickle.dumps(host))
    host.recommend(X, user_ids=np.arange(N_USERS))
    assert len(pickle.dumps(host)) == size


def test_tables_are_handed_out_read_only(tables):
    host = as_recommender(tables)
    for table in [host.item_embeddings_, host.user_embeddings_, host.item_bias_]:
        with pytest.raises(ValueError, match="read-only"):
            table *= 2
    assert tables[0].flags.writeable
    assert tables[1].flags.writeable
