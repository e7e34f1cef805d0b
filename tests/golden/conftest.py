"""The Last.fm inputs of PopSteer's authors, for whoever has them."""

import numpy as np
import pytest
from scipy.sparse import csr_array
from sklearn.utils import Bunch

from skpopsteer.adapters import TorchRecommender
from tests.golden.sasrec import load_sasrec

N_ITEMS = 2975


@pytest.fixture(scope="session")
def lastfm_folder(shared_data):
    folder = shared_data / "popsteer-lastfm"
    if not folder.is_dir():
        pytest.skip("the folder popsteer-lastfm is absent from ../shared/data")
    return folder


def _read(path, columns, dtype=np.float64):
    return np.loadtxt(
        path, dtype, comments=None, delimiter=",", quotechar='"', skiprows=1,
        usecols=columns, encoding="utf-8", unpack=True,
    )  # fmt: skip


@pytest.fixture(scope="session")
def sequences(lastfm_folder):
    """Item positions of every user, oldest first."""
    users, items, times = _read(
        lastfm_folder / "interactions_remapped.csv.gz", (0, 1, 3), np.int64
    )
    # RecBole's order: close times collapse in float32 and keep the order of the file.
    span = times.max() - times.min()
    order = np.lexsort((((times - times.min()) / span).astype(np.float32), users))
    borders = np.flatnonzero(np.diff(users[order])) + 1
    return np.split(items[order] - 1, borders)


@pytest.fixture(scope="session")
def training_counts(sequences):
    targets = np.concatenate([items[1:-2] for items in sequences])
    return np.bincount(targets, minlength=N_ITEMS)


@pytest.fixture(scope="session")
def shipped_items(lastfm_folder):
    """Counts and labels of the authors, by position."""
    path = lastfm_folder / "item_popularity_labels_with_titles.csv.gz"
    ids, counts, labels = _read(path, (0, 4, 6), np.int64)
    order = np.argsort(ids)
    assert (ids[order] == np.arange(1, N_ITEMS + 1)).all()
    return Bunch(counts=counts[order], labels=labels[order])


@pytest.fixture(scope="session")
def shipped_neurons(lastfm_folder):
    """Moments of 4,096 neurons over the synthetic groups, and Cohen's d."""
    popular = _read(lastfm_folder / "row_stats_popular.csv.gz", (1, 2))
    unpopular = _read(lastfm_folder / "row_stats_unpopular.csv.gz", (1, 2))
    d = _read(lastfm_folder / "cohens_d.csv.gz", (1,))
    return Bunch(popular=popular, unpopular=unpopular, d=d)


@pytest.fixture(scope="session")
def sasrec_host(lastfm_folder):
    return TorchRecommender(
        load_sasrec(lastfm_folder / "sasrec_weights.npz"),
        encoder="encode",
        item_embeddings="item_embedding.weight",
        inputs="sequences",
        max_length=50,
        padding="first",
    )


@pytest.fixture(scope="session")
def last_seen(sequences):
    """Rows of times without the two held-out items: the rank of an item's last event.

    A matrix holds an item once per row, so its earlier events are lost.
    """
    seen = [items[:-2] for items in sequences]
    users = np.repeat(np.arange(len(seen)), [len(items) for items in seen])
    ranks = np.concatenate([np.arange(1, len(items) + 1) for items in seen])
    X = np.zeros((len(seen), N_ITEMS))
    np.maximum.at(X, (users, np.concatenate(seen)), ranks)
    return csr_array(X)
