"""Fixtures that several folders of tests share."""

import pathlib
from importlib.util import find_spec

import numpy as np
import pytest
from scipy.sparse import csr_array, csr_matrix
from sklearn.decomposition import TruncatedSVD

from skpopsteer.adapters import as_recommender
from skpopsteer.datasets import make_interactions
from skpopsteer.model_selection import hide_interactions

ROOT = pathlib.Path(__file__).parents[1]
#: Tables of hosts whose library has an environment of its own.
collect_ignore = [
    f"hosts/{module}.py"
    for module, library in [
        ("lenskit_models", "lenskit"),
        ("rectools_models", "rectools"),
    ]
    if find_spec(library) is None
]


@pytest.fixture(scope="session")
def shared_data():
    """Folder of data sets that may be used but not redistributed."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the folder ../shared/data beside the repository is absent")
    return folder


@pytest.fixture(scope="session")
def interactions():
    """200 users and 100 items with a long tail."""
    return make_interactions(200, 100, random_state=0).X


@pytest.fixture(scope="session")
def split(interactions):
    """Those interactions, a fifth of every row held out."""
    return hide_interactions(interactions, random_state=0)


@pytest.fixture(scope="session")
def host(split):
    """A frozen host trained on what is seen."""
    return as_recommender(TruncatedSVD(8, random_state=0).fit(split[0]))


def _with_int64_indices(X):
    X = csr_array(X, copy=True)
    X.indices, X.indptr = X.indices.astype(np.int64), X.indptr.astype(np.int64)
    return X


@pytest.fixture(params=[csr_matrix, csr_array, _with_int64_indices])
def container(request):
    """Every kind of CSR a caller may hold."""
    return request.param
