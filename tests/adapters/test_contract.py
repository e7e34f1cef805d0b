"""The recommender contract, on every host of the table."""

import pickle
from functools import cache

import numpy as np
import pytest
from scipy.sparse import csr_array, csr_matrix
from sklearn.base import clone
from sklearn.decomposition import PCA

from skpopsteer import (
    PopularityPenaltyReranker,
    SparseAutoencoderProbe,
    SteeredRecommender,
)
from tests.hosts import HOSTS, LINEAR, N_ITEMS, WAYS, WIDTH, WITH_USER_IDS, snapshot

K = 10
ROWS = np.arange(40)


@pytest.fixture(params=HOSTS)
def host(request):
    return HOSTS[request.param]()


@cache
def _steered(name, side="user"):
    host = HOSTS[name]()
    probe = SparseAutoencoderProbe(32, k=4, max_iter=2, random_state=0)
    return _steer(host, probe, side=side, strength=0).fit(host.X)


def _steer(host, probe, **params):
    params = {"reconstruction": "residual", "random_state": 0, **params}
    return SteeredRecommender(
        host.recommender, probe=probe, **({"rule": "shift"} | params)
    )


def _assert_same_lists(host, way, ids, own_ids):
    """Equal item for item, but for float ties judged by the library's own scores."""
    differ = ids != own_ids
    assert differ.mean() <= 0.01
    scores = host.own_scores(way, ROWS)
    ours = np.take_along_axis(scores, ids, axis=1)[differ]
    theirs = np.take_along_axis(scores, own_ids, axis=1)[differ]
    np.testing.assert_allclose(ours, theirs, rtol=1e-5)


def _seen(X, ids):
    return np.take_along_axis(X.toarray() > 0, np.maximum(ids, 0), axis=1) & (ids >= 0)


@pytest.mark.parametrize("exclude_seen", [True, False])
@pytest.mark.parametrize(("name", "way"), WAYS)
def test_lists_are_the_librarys_own(name, way, exclude_seen):
    host = HOSTS[name]()
    arguments = host.arguments(way, ROWS)
    ids = host.recommender.recommend(**arguments, exclude_seen=exclude_seen)
    own_ids, _ = host.own_lists(way, ROWS, K, exclude_seen=exclude_seen)
    _assert_same_lists(host, way, ids, own_ids)
    assert _seen(host.X[ROWS], ids).any() != exclude_seen


@pytest.mark.parametrize(
    ("name", "way", "side"),
    [(*pair, "user") for pair in WAYS]
    + [
        (*pair, side) for pair in WAYS if pair[0] in LINEAR for side in ("item", "both")
    ],
)
def test_strength_0_gives_the_librarys_own_lists(name, way, side):
    host = HOSTS[name]()
    model, arguments = _steered(name, side), host.arguments(way, ROWS)
    own_ids, _ = host.own_lists(way, ROWS, K)
    _assert_same_lists(host, way, model.recommend(**arguments), own_ids)
    # Or the test would pass for a knob that does nothing.
    assert (model.recommend(**arguments, strength=2.0) != own_ids).mean() > 0.05


@pytest.mark.parametrize(("name", "way"), WAYS)
def test_penalty_of_strength_0_gives_the_librarys_own_lists(name, way):
    host = HOSTS[name]()
    model = PopularityPenaltyReranker(host.recommender, strength=0).fit(host.X)
    ids = model.recommend(**host.arguments(way, ROWS))
    own_ids, _ = host.own_lists(way, ROWS, K)
    _assert_same_lists(host, way, ids, own_ids)
    changed = model.recommend(**host.arguments(way, ROWS), strength=1.0)
    assert (changed != own_ids).mean() > 0.05


def test_lists_have_shape_dtype_and_distinct_unseen_items(host):
    ids, scores = host.recommender.recommend(host.X, 7, return_scores=True)
    assert ids.shape == scores.shape == (host.X.shape[0], 7)
    assert (ids.dtype, scores.dtype) == (np.int64, np.float32)
    assert ids.min() >= 0
    assert ids.max() < N_ITEMS
    assert all(len(set(row)) == 7 for row in ids.tolist())
    assert not _seen(host.X, ids).any()
    assert (np.diff(scores, axis=1) <= 0).all()


def test_embeddings_and_tables_are_float32_of_one_width(host):
    U = host.recommender.encode_users(host.X)
    assert (U.dtype, U.shape) == (np.float32, (host.X.shape[0], WIDTH))
    np.testing.assert_array_equal(host.recommender.transform(host.X), U)
    scores = host.recommender.decode(U)
    assert (scores.dtype, scores.shape) == (np.float32, host.X.shape)
    if host.name in LINEAR:
        V, bias = host.recommender.item_embeddings_, host.recommender.item_bias_
        assert (V.dtype, V.shape) == (np.float32, (N_ITEMS, WIDTH))
        by_hand = U @ V.T + (0 if bias is None else bias)
        np.testing.assert_allclose(scores, by_hand, rtol=1e-4, atol=1e-5)


def test_decision_function_agrees_with_the_scores_of_the_lists(host):
    scores = host.recommender.decision_function(host.X)
    assert (scores.dtype, scores.shape) == (np.float32, host.X.shape)
    ids, listed = host.recommender.recommend(host.X, return_scores=True)
    at_ids = np.take_along_axis(scores, ids, axis=1)
    np.testing.assert_allclose(at_ids, listed, rtol=1e-5, atol=1e-6)
    scores[host.X.nonzero()] = -np.inf
    np.testing.assert_allclose(scores.max(axis=1), listed[:, 0], rtol=1e-5, atol=1e-6)


def test_predict_is_recommend_of_the_length_set(host):
    ids = host.recommender.predict(host.X)
    np.testing.assert_array_equal(ids, host.recommender.recommend(host.X, K))
    short = clone(host.recommender.estimator).set_params(n_recommendations=3)
    np.testing.assert_array_equal(short.predict(host.X), ids[:, :3])


def test_empty_row_gets_a_full_list(host):
    X = host.X[ROWS].tolil()
    X[3] = 0
    ids, scores = host.recommender.recommend(csr_array(X), return_scores=True)
    assert len(set(ids[3].tolist())) == K
    assert ids.min() >= 0
    assert np.isfinite(scores).all()


@pytest.mark.parametrize("name", WITH_USER_IDS)
def test_user_ids_look_up_by_id_and_not_by_row(name):
    host = HOSTS[name]()
    ids = host.recommender.recommend(host.X, user_ids=np.arange(host.X.shape[0]))
    backwards = ROWS[::-1]
    some = host.recommender.recommend(host.X[backwards], user_ids=backwards.tolist())
    np.testing.assert_array_equal(some, ids[backwards])


def test_short_supply_is_padded_behind_the_items(host):
    seen = host.X[[0]].indices
    unseen = np.setdiff1d(np.arange(N_ITEMS), seen)[:3]
    ids, scores = host.recommender.recommend(
        host.X[[0]], 5, candidates=[*unseen, seen[0]], return_scores=True
    )
    assert sorted(ids[0, :3]) == unseen.tolist()
    assert np.isfinite(scores[0, :3]).all()
    assert ids[0, 3:].tolist() == [-1, -1]
    assert (scores[0, 3:] == -np.inf).all()
    longer = host.recommender.recommend(host.X[[0]], N_ITEMS + 5)
    assert (longer >= 0).sum() == N_ITEMS - len(seen)


def test_candidates_mean_the_same_in_every_form(host):
    X, positions = host.X[ROWS], [5, 70, 3, 44, 12, 90, 61]
    ids = host.recommender.recommend(X, candidates=positions)
    assert set(np.unique(ids)) <= {-1, *positions}
    assert (ids[:, 0] >= 0).all()
    mask = np.zeros(X.shape)
    mask[:, positions] = 0.5
    same = [np.array(positions), [positions] * len(ROWS), csr_array(mask)]
    for candidates in [*same, csr_matrix(mask), csr_array(mask > 0)]:
        again = host.recommender.recommend(X, candidates=candidates)
        np.testing.assert_array_equal(again, ids)


def test_candidates_may_differ_by_row(host):
    X = host.X[:3]
    ids = host.recommender.recommend(
        X, 2, candidates=[[50], [], [7, 8, 9]], exclude_seen=False
    )
    assert ids[0].tolist() == [50, -1]
    assert ids[1].tolist() == [-1, -1]
    assert set(ids[2]) < {7, 8, 9}


def test_excluding_a_list_gives_the_next_one(host):
    X = host.X[ROWS]
    both = host.recommender.recommend(X, 2 * K)
    first = host.recommender.recommend(X, K)
    first[0, -3:] = -1
    mask = np.zeros(X.shape)
    np.put_along_axis(mask, both[:, :K], 1, axis=1)
    mask[0, both[0, K - 3 : K]] = 0
    for exclude in [first, first.tolist(), csr_array(mask), csr_matrix(mask)]:
        ids = host.recommender.recommend(X, K, exclude=exclude)
        np.testing.assert_array_equal(ids[1:], both[1:, K:])
        np.testing.assert_array_equal(ids[0], both[0, K - 3 : 2 * K - 3])


def test_exclude_as_a_flat_list_holds_for_everybody(host):
    popular = np.unique(host.recommender.recommend(host.X, 1))
    ids = host.recommender.recommend(host.X, exclude=[-1, *popular])
    assert ids.min() >= 0
    assert not np.isin(ids, popular).any()


def test_every_container_gives_equal_lists(host, container):
    ids = host.recommender.recommend(host.X)
    np.testing.assert_array_equal(host.recommender.recommend(container(host.X)), ids)


@pytest.mark.parametrize("dtype", [np.float64, np.int64])
def test_dense_rows_give_equal_lists(host, dtype):
    ids = host.recommender.recommend(host.X)
    dense = host.X.toarray().astype(dtype)
    np.testing.assert_array_equal(host.recommender.recommend(dense), ids)


# Times in seconds tie in float32.
@pytest.mark.parametrize("name", sorted(set(HOSTS) - {"sequence_model"}))
def test_float32_rows_give_the_scores_of_float64(name):
    host = HOSTS[name]()
    scores = host.recommender.decision_function(host.X)
    again = host.recommender.decision_function(host.X.astype(np.float32))
    # Iterative solvers stop elsewhere in single precision.
    atol = 0.05 if host.name == "nmf" else 1e-4
    np.testing.assert_allclose(again, scores, atol=atol)


def _messy(X):
    """Make of every entry a zero at the next item and, behind it, two parts."""
    data = np.stack([np.zeros(X.nnz), 0.25 * X.data, 0.75 * X.data], axis=1)
    indices = np.stack([(X.indices + 1) % N_ITEMS, X.indices, X.indices], axis=1)
    return csr_array((data.ravel(), indices.ravel(), 3 * X.indptr), shape=X.shape)


def test_unsorted_indices_duplicates_and_stored_zeros_change_nothing(host):
    messy = _messy(host.X)
    assert not messy.has_sorted_indices
    ids = host.recommender.recommend(host.X)
    np.testing.assert_array_equal(host.recommender.recommend(messy), ids)


def test_copies_of_a_steered_host_give_equal_lists(host):
    model = _steered(host.name)
    ids = model.recommend(host.X, strength=2.0)
    restored = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(restored.recommend(host.X, strength=2.0), ids)
    assert clone(model).recommender is host.recommender
    assert model.recommender_ is host.recommender


def _use_everything(host, X):
    # A linear probe, which trains at once: what matters here is what it is given.
    side = "both" if host.name in LINEAR else "user"
    steered = _steer(host, PCA(4, random_state=0), side=side, keep_top=1)
    penalty = PopularityPenaltyReranker(host.recommender, keep_top=2)
    unseen = host.X.toarray().argmin(axis=1)
    for model in [host.recommender, steered, penalty]:
        model.fit(X, None)
        model.predict(X)
        model.recommend(X, exclude=[1], candidates=np.arange(30))
        model.decision_function(X)
        model.score(X, unseen)
    host.recommender.transform(X)
    pickle.dumps(clone(host.recommender.estimator))


def test_host_is_unchanged_by_everything(host):
    _use_everything(host, host.X)
    # Not only this test: nothing before it has changed the model either.
    np.testing.assert_equal(snapshot(host.model), host.trained)


@pytest.mark.parametrize("kind", [csr_matrix, _messy, np.asarray])
def test_callers_matrix_is_unchanged_and_may_be_read_only(host, kind):
    X = kind(host.X.toarray() if kind is np.asarray else host.X.copy())
    buffers = [X] if kind is np.asarray else [X.data, X.indices, X.indptr]
    for buffer in buffers:
        buffer.flags.writeable = False
    before = [(buffer.dtype, buffer.tobytes()) for buffer in buffers]
    _use_everything(host, X)
    after = [X] if kind is np.asarray else [X.data, X.indices, X.indptr]
    assert [(buffer.dtype, buffer.tobytes()) for buffer in after] == before


def test_results_do_not_depend_on_the_size_of_blocks(host, monkeypatch):
    def lists_and_scores():
        steered = _steered(host.name)
        return [
            *host.recommender.recommend(host.X, return_scores=True),
            host.recommender.decision_function(host.X),
            *steered.recommend(host.X, strength=2.0, return_scores=True),
        ]

    expected = lists_and_scores()
    monkeypatch.setattr("skpopsteer.topk.BLOCK_SCORES", 7 * N_ITEMS)
    monkeypatch.setattr("skpopsteer.topk.BLOCK_ROWS", 1)
    for got, values in zip(lists_and_scores(), expected, strict=True):
        if values.dtype == np.int64:
            assert (got != values).mean() <= 0.01
        else:
            np.testing.assert_allclose(got, values, rtol=1e-5, atol=1e-5)
