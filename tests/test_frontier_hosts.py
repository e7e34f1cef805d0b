"""Splits, filters and files of the hosts that the frontier table is measured on."""

import numpy as np
import pytest
import torch
from elsa import ELSA
from scipy.sparse import csr_array

from benchmarks.frontier import data, pairs
from benchmarks.frontier.splits import drop_last, random_split
from skpopsteer.datasets import make_interactions


@pytest.fixture
def X():
    """Rows of ten items and more."""
    X = make_interactions(60, 80, random_state=0).X
    return X[np.diff(X.indptr) >= 10]


@pytest.fixture
def hosts(monkeypatch):
    """The module that trains, which imports as a script does."""
    monkeypatch.syspath_prepend(str(data.ROOT / "benchmarks"))
    from frontier import hosts

    return hosts


def test_core_applies_both_limits_in_turn():
    # Item 2 has one row; without it user 2 has one; without that item 1 has one.
    user = np.array([0, 0, 1, 1, 2, 2, 0])
    item = np.array([0, 3, 0, 3, 1, 2, 1])
    kept = data.k_core(user, item, min_user=2, min_item=2)
    np.testing.assert_array_equal(kept, [1, 1, 1, 1, 0, 0, 0])


def test_core_of_nothing_is_nothing():
    one = np.array([0])
    assert not data.k_core(one, one, min_user=2, min_item=1).any()


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("lastfm-hetrec", (1831, 2789)),
        ("ml-1m", (6040, 3416)),
        ("gowalla", (29857, 40981)),
    ],
)
def test_sizes_of_the_data(shared_data, name, shape):
    X, user_ids, item_ids = data.read_interactions(name)
    assert X.shape == shape == (len(user_ids), len(item_ids))
    assert np.diff(X.indptr).min() >= 10
    assert X.sum(axis=0).min() >= 5
    assert (X.data == 1).all()


def test_sequences_are_liked_and_oldest_first():
    read = data.read_sequences("ml-latest-small")
    X = data.load_movielens(data.ROOT / "data" / "ml-latest-small", min_rating=4)
    columns = np.searchsorted(X.item_ids, read.item_ids[read.item])
    times = X.times[np.searchsorted(X.user_ids, read.user_ids[read.user]), columns]
    assert (times > 0).all()
    order = np.lexsort((times, read.user))
    np.testing.assert_array_equal(read.user, read.user[order])
    assert (np.diff(times)[np.diff(read.user) == 0] >= 0).all()
    assert np.bincount(read.user).min() >= 5
    assert np.bincount(read.item).min() >= 5


def test_random_split_takes_every_item_once(X):
    parts = random_split(X, 0)
    assert abs(sum(parts) - X).sum() == 0
    assert sum(part.nnz for part in parts) == X.nnz
    lengths = np.diff(X.indptr)
    for part, share in zip(parts, (0.7, 0.1, 0.2), strict=True):
        found = np.diff(part.indptr)
        assert (found >= 1).all()
        assert (np.abs(found - share * lengths) < 1).all()


def test_random_split_of_ten_items():
    ten = csr_array(np.ones((3, 10)))
    sizes = [np.diff(part.indptr).tolist() for part in random_split(ten, 1)]
    assert sizes == [[7] * 3, [1] * 3, [2] * 3]


def test_random_split_follows_its_seed(X):
    first, again, other = (random_split(X, seed)[2] for seed in (0, 0, 1))
    assert (first != again).nnz == 0
    assert (first != other).nnz > 0


@pytest.mark.parametrize(
    ("n_dropped", "kept"),
    [
        (0, [1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0]),
        (1, [1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0]),
        (2, [0] * 12),
    ],
)
def test_last_rows_and_short_users_are_dropped(n_dropped, kept):
    user = np.repeat([0, 1, 2], [5, 4, 3])
    np.testing.assert_array_equal(drop_last(user, n_dropped), kept)


def _pair(X, bias):
    parts = random_split(X.astype(np.float32), 0)
    rng = np.random.default_rng(0)
    U, V = rng.normal(size=(X.shape[0], 4)), rng.normal(size=(X.shape[1], 4))
    return pairs.HostPair(
        U.astype(np.float32), 2 * U.astype(np.float32), V.astype(np.float32), bias,
        *parts, np.arange(X.shape[0]) + 7, np.arange(X.shape[1]) + 9,
        {"host": "als", "data": "made", "split": 2},
    )  # fmt: skip


@pytest.mark.parametrize("with_bias", [True, False])
def test_stored_pairs_are_read_back(X, tmp_path, monkeypatch, with_bias):
    monkeypatch.setattr(pairs, "STORED", tmp_path / "new")
    bias = np.arange(X.shape[1], dtype=np.float32) if with_bias else None
    stored = _pair(X, bias)
    pairs.save_pair(stored)
    assert [path.name for path in pairs.STORED.iterdir()] == ["als-made-2.npz"]
    read = pairs.load_pair("als", "made", 2)
    assert read.info == stored.info
    for name in ("U_valid", "U_test", "V", "item_bias", "user_ids", "item_ids"):
        np.testing.assert_array_equal(getattr(read, name), getattr(stored, name))
    for name in ("X_train", "y_valid", "y_test"):
        assert (getattr(read, name) != getattr(stored, name)).nnz == 0
        assert getattr(read, name).shape == X.shape


def test_absent_pair_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setattr(pairs, "STORED", tmp_path)
    with pytest.raises(FileNotFoundError, match="make bench-hosts"):
        pairs.load_pair("als", "ml-1m", 0)


@pytest.mark.parametrize("name", ["valid", "test"])
def test_lists_mask_what_the_part_has_seen(X, name):
    bias = np.linspace(-3, 3, X.shape[1], dtype=np.float32)
    pair = _pair(X, bias)
    U, seen = pair.U_valid, pair.X_train.toarray()
    if name == "test":
        U, seen = pair.U_test, seen + pair.y_valid.toarray()
    scores = np.where(seen > 0, -np.inf, U @ pair.V.T + bias)
    by_hand = np.argsort(-scores, axis=1)[:, :10]
    np.testing.assert_array_equal(pair.lists(name), by_hand)
    users = np.array([5, 2])
    np.testing.assert_array_equal(pair.lists(name, users=users), by_hand[users])


def test_loss_of_elsa_is_that_of_its_library(X, hosts):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = ELSA(X.shape[1], 8, device=torch.device("cpu"))
    rows = torch.as_tensor(X.toarray(), dtype=torch.float32)
    unit = torch.nn.functional.normalize
    squares = torch.nn.MSELoss(reduction="sum")
    (weights,) = model.parameters()
    (squares(unit(model(rows)), unit(rows)) / len(rows)).backward()
    expected, weights.grad = weights.grad, None
    hosts.elsa_loss(unit(weights, dim=1), X).backward()
    torch.testing.assert_close(weights.grad, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("host", ["als", "bpr", "elsa"])
def test_rounds_learn_and_repeat(X, hosts, host):
    rounds, _, _, _, grid = hosts.HOSTS[host]
    X = X.astype(np.float32)
    parts = random_split(X, 0)
    made = data.Interactions(X, np.arange(X.shape[0]), np.arange(X.shape[1]))
    found = []
    for _ in range(2):
        training = rounds(parts[0], 3, **grid[0])
        found.append([hosts.as_pair(next(training), made, parts, {}) for _ in range(3)])
    first, last = found[0][0], found[0][-1]
    assert last.V.shape == (X.shape[1], hosts.WIDTH)
    # Rounds go on from one another, and what was taken of one stays.
    assert not np.array_equal(first.V, last.V)
    assert np.corrcoef(first.V.ravel(), last.V.ravel())[0, 1] > 0.5
    np.testing.assert_array_equal(last.V, found[1][-1].V)
    np.testing.assert_array_equal(last.U_test, found[1][-1].U_test)
    # Only ELSA encodes what is new at the test.
    assert np.array_equal(last.U_valid, last.U_test) == (host != "elsa")
    assert (last.item_bias is not None) == (host == "bpr")
