"""One fitted object gives the same lists, however rows are cut and work is done."""

import pickle

import numpy as np
import pytest
import torch
from threadpoolctl import threadpool_limits

from skpopsteer import PopularityPenaltyReranker
from skpopsteer.persistence import load, save
from tests.hosts import HOSTS
from tests.reliability.test_shared_objects import NAMES, steered

#: Hosts that skops may hold.
SAVED = ["als", "truncated_svd", "arrays"]


def lists(model, arguments, rows=None):
    if rows is not None:
        arguments = {name: value[rows] for name, value in arguments.items()}
    return model.recommend(**arguments, return_scores=True)


def assert_same_lists(got, expected):
    """Lists are equal, but for items whose scores are equal to the last bits."""
    ids, values = got
    np.testing.assert_allclose(values, expected[1], rtol=2e-5, atol=2e-6)
    # Where an item is not in its place, a neighbour has all but the same score.
    for row, place in zip(*np.nonzero(ids != expected[0]), strict=True):
        scores = expected[1][row]
        near = np.abs(scores - scores[place]) < 1e-5 * max(1, abs(scores[place]))
        assert near.sum() > 1, (row, place)


def splits(n_rows):
    yield from ([[row] for row in range(n_rows)], [range(n_rows)])
    for size in (2, 7, 64):
        yield [range(n, min(n + size, n_rows)) for n in range(0, n_rows, size)]
    yield [np.random.default_rng(0).permutation(n_rows)]


@pytest.mark.parametrize("kind", ["shift", None, "penalty"])
@pytest.mark.parametrize("name", NAMES)
def test_any_split_of_the_rows(name, kind):
    model, arguments = steered(name, None if kind == "penalty" else kind)
    if kind == "penalty":
        host = HOSTS[name]().recommender
        model = PopularityPenaltyReranker(host, strength=0.5).fit(**arguments)
    n_rows = 60
    expected = lists(model, arguments, np.arange(n_rows))
    for parts in splits(n_rows):
        ids, values = np.empty_like(expected[0]), np.empty_like(expected[1])
        for rows in map(np.array, parts):
            ids[rows], values[rows] = lists(model, arguments, rows)
        assert_same_lists((ids, values), expected)


@pytest.mark.parametrize("name", NAMES)
def test_one_thread_and_two(name):
    model, arguments = steered(name)
    n_threads = torch.get_num_threads()
    found = []
    try:
        for n in (1, 2):
            torch.set_num_threads(n)
            with threadpool_limits(n):
                found.append(lists(model, arguments))
    finally:
        torch.set_num_threads(n_threads)
    assert_same_lists(*found)


@pytest.mark.parametrize("name", NAMES)
def test_after_pickling(name):
    model, arguments = steered(name)
    expected = lists(model, arguments)
    again = pickle.loads(pickle.dumps(model))
    for got in (
        lists(again, arguments),
        lists(pickle.loads(pickle.dumps(again)), arguments),
    ):
        for one, other in zip(got, expected, strict=True):
            np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("name", SAVED)
def test_after_saving(name, tmp_path):
    model, arguments = steered(name)
    expected = lists(model, arguments)
    for _ in range(2):
        save(model, tmp_path / "model.skops")
        model = load(tmp_path / "model.skops")
        for one, other in zip(lists(model, arguments), expected, strict=True):
            np.testing.assert_array_equal(one, other)
