"""Order-aware hosts: rows of times, padded sequences and the module's own ids."""

import numpy as np
import pytest
import torch
from scipy.sparse import csr_array

from skpopsteer import TorchRecommender
from skpopsteer.adapters import rows_to_sequences
from tests.hosts import HOSTS, MAX_LENGTH, N_ITEMS
from tests.hosts.modules import sequences_by_hand


@pytest.fixture
def host():
    return HOSTS["sequence_model"]()


class _Echo(torch.nn.Module):
    """Five items with a row of padding; the encoding is the ids themselves."""

    def __init__(self, padding):
        super().__init__()
        table = torch.arange(5.0)[:, None] + torch.zeros(5, 3)
        absent = torch.full((1, 3), -99.0)
        rows = [absent, table] if padding == "first" else [table, absent]
        self.items = torch.nn.Parameter(torch.cat(rows))
        self.bias = torch.nn.Parameter(self.items[:, 0].detach().clone())

    def encode(self, ids):
        assert ids.dtype == torch.int64
        return ids


def _echo(padding="first", padding_side="right", **params):
    return TorchRecommender(
        _Echo(padding),
        encoder="encode",
        item_embeddings="items",
        item_bias="bias",
        inputs="sequences",
        max_length=3,
        padding=padding,
        padding_side=padding_side,
        **params,
    )


@pytest.mark.parametrize("max_length", [1, 5, 12, 50])
def test_rows_become_sequences_as_sorted_by_hand(host, container, max_length):
    sequences = rows_to_sequences(container(host.X), max_length)
    assert (sequences.dtype, sequences.shape) == (np.int64, (200, max_length))
    expected = sequences_by_hand(host.X, max_length)
    np.testing.assert_array_equal(sequences, expected)


def test_times_order_items_and_ties_keep_positions():
    X = csr_array([[30.0, 10.0, 0.0, 20.0], [7.0, 7.0, 3.0, 7.0], [0.0, 0.0, 0.0, 0.0]])
    expected = [[1, 3, 0, -1], [2, 0, 1, 3], [-1, -1, -1, -1]]
    assert rows_to_sequences(X, 4).tolist() == expected
    assert rows_to_sequences(X, 2).tolist() == [[3, 0], [1, 3], [-1, -1]]


def test_fifty_items_are_kept_unless_told():
    X = csr_array(np.arange(1.0, 81.0)[None, :])
    np.testing.assert_array_equal(rows_to_sequences(X), [np.arange(30, 80)])


def test_times_that_tie_in_float32_keep_their_order():
    X = csr_array([[1.7e9 + 2, 1.7e9 + 1, 1.7e9]])
    assert len(np.unique(X.data.astype(np.float32))) == 1
    assert rows_to_sequences(X, 3).tolist() == [[2, 1, 0]]


def test_unsorted_indices_are_read_by_time():
    X = csr_array(([5.0, 1.0, 3.0], [4, 2, 0], [0, 3]), shape=(1, 5))
    assert rows_to_sequences(X, 3).tolist() == [[2, 0, 4]]
    assert X.indices.tolist() == [4, 2, 0]


@pytest.mark.parametrize(
    ("padding", "padding_side", "expected"),
    [
        ("first", "right", [[3, 1, 0], [4, 5, 1], [0, 0, 0]]),
        ("first", "left", [[0, 3, 1], [4, 5, 1], [0, 0, 0]]),
        ("last", "right", [[2, 0, 5], [3, 4, 0], [5, 5, 5]]),
        ("last", "left", [[5, 2, 0], [3, 4, 0], [5, 5, 5]]),
    ],
)
def test_the_module_reads_its_own_ids(padding, padding_side, expected):
    host = _echo(padding, padding_side)
    sequences = [[2, 0, -1, -1], [1, 3, 4, 0], [-1, -1, -1, -1]]
    assert host.encode_sequences(sequences).tolist() == expected
    X = np.array([[9.0, 0, 8, 0, 0], [7, 1, 0, 2, 3], [0, 0, 0, 0, 0]])
    assert host.encode_users(X).tolist() == expected


@pytest.mark.parametrize("padding", ["first", "last"])
def test_the_row_of_padding_is_left_out_of_the_items(padding):
    host = _echo(padding)
    assert host.item_embeddings_[:, 0].tolist() == [0, 1, 2, 3, 4]
    assert host.item_bias_.tolist() == [0, 1, 2, 3, 4]


def test_sequences_keep_repeats_and_their_last_items():
    host = _echo()
    assert host.encode_sequences([[1, 1, 2, 1]]).tolist() == [[2, 3, 2]]
    assert host.encode_sequences([[1, 1]]).tolist() == [[2, 2, 0]]


def test_padding_at_either_end_means_the_same():
    host = _echo()
    expected = [[3, 1, 0]]
    for sequence in [[2, 0, -1, -1], [-1, -1, 2, 0], [2, -1, -1, 0], [2, 0]]:
        assert host.encode_sequences([sequence]).tolist() == expected


def test_the_longest_sequence_may_be_longer_than_any_row(host):
    expected = host.recommender.encode_users(host.X)
    wider = np.full((200, 2 * N_ITEMS), -1)
    wider[:, -MAX_LENGTH:] = sequences_by_hand(host.X, MAX_LENGTH)
    np.testing.assert_array_equal(host.recommender.encode_sequences(wider), expected)


def test_repeats_reach_a_trained_module(host):
    once = host.recommender.encode_sequences([[3, 8, 5]])
    twice = host.recommender.encode_sequences([[3, 8, 8, 5]])
    assert np.abs(once - twice).max() > 1e-3


def test_the_order_of_times_matters(host):
    X = host.X.copy()
    X.data = 4e9 - X.data
    before = host.recommender.recommend(host.X)
    assert (host.recommender.recommend(X) != before).mean() > 0.05


def test_only_hosts_of_sequences_encode_sequences(host):
    assert hasattr(host.recommender, "encode_sequences")
    ordered = {"sequence_model", "recbole_sasrec", "recbole_gru4rec", "sasrec"}
    for name in set(HOSTS) - ordered - {"bert4rec"}:
        assert not hasattr(HOSTS[name]().recommender, "encode_sequences"), name


@pytest.mark.parametrize(
    ("sequences", "message"),
    [
        ([[0, 5]], "hold item positions 0 to 4, or -1 for padding; got 5"),
        ([[0, -2]], "hold item positions 0 to 4, or -1 for padding; got -2"),
        ([[0.0, 1.0]], "be a 2-D array of integer item positions; .* float64"),
        ([0, 1], r"be a 2-D array of integer item positions; got shape \(2,\)"),
    ],
)
def test_bad_sequences_give_one_clear_line(sequences, message):
    with pytest.raises(ValueError, match=f"^`sequences` must {message}"):
        _echo().encode_sequences(sequences)
