"""Films people rated, a host trained on them, and autoencoders of its users."""

import numpy as np
import pytest
from sklearn.decomposition import TruncatedSVD

from skpopsteer import SparseAutoencoderProbe, as_recommender
from skpopsteer.datasets import load_movielens
from skpopsteer.model_selection import hide_interactions
from tests.conftest import ROOT

#: What an autoencoder may be told, by a name of its own.
PROBES = {
    "topk": {},
    "batch_topk": {"activation": "batch_topk"},
    "jumprelu": {"activation": "jumprelu"},
    "relu": {"activation": "relu"},
    "standardized": {"standardize_rows": True},
    "cosine": {"loss": "cosine"},
}


def new_probe(**params):
    return SparseAutoencoderProbe(256, k=16, max_iter=8, random_state=0, **params)


@pytest.fixture(scope="session")
def films():
    """610 users and 3,650 films, the latest fifth of every history held out."""
    folder = ROOT / "data" / "ml-latest-small"
    data = load_movielens(folder, min_item_interactions=5)
    return hide_interactions(data.X, times=data.times, random_state=0)


@pytest.fixture(scope="session")
def film_host(films):
    return as_recommender(TruncatedSVD(32, random_state=0).fit(films[0]))


@pytest.fixture(scope="session")
def users(film_host, films):
    U = film_host.encode_users(films[0])
    assert U.dtype == np.float32
    return U


@pytest.fixture(scope="session")
def probes(users):
    return {name: new_probe(**params).fit(users) for name, params in PROBES.items()}


@pytest.fixture(params=PROBES)
def probe(probes, request):
    return probes[request.param]
