"""How well embeddings of a real recommender are written as a few neurons."""

import numpy as np
import pytest
from implicit.als import AlternatingLeastSquares
from scipy.sparse import csr_array, csr_matrix
from sklearn.decomposition import PCA
from threadpoolctl import threadpool_limits

from skpopsteer import SparseAutoencoderProbe, as_recommender
from skpopsteer.metrics import ndcg
from skpopsteer.model_selection import hide_interactions


@pytest.fixture(scope="module")
def movielens(shared_data):
    """ALS with 64 factors on ML-1M, its users, and what is hidden of them."""
    path = shared_data / "ml-1m" / "interactions.npz"
    if not path.is_file():
        pytest.skip("ml-1m is not beside the repository, in ../shared/data")
    with np.load(path) as arrays:
        pairs = arrays["user"], arrays["item"]
    X, y = hide_interactions(
        csr_array((np.ones(len(pairs[0])), pairs)), random_state=0
    )  # fmt: skip
    with threadpool_limits(1, "blas"):
        als = AlternatingLeastSquares(factors=64, alpha=5, random_state=0)
        als.fit(csr_matrix(X, dtype=np.float32), show_progress=False)
    host = as_recommender(als)
    return host, X, y, host.encode_users(X)


def lists_of(host, X, U):
    scores = host.decode(U)
    scores[X.nonzero()] = -np.inf
    return np.argsort(-scores, axis=1, kind="stable")[:, :10]


def overlap(first, second):
    pairs = zip(first, second, strict=True)
    return np.mean([len(np.intersect1d(a, b)) / 10 for a, b in pairs])


def test_32_of_2048_neurons_say_nearly_all(movielens):
    host, X, y, U = movielens
    probe = SparseAutoencoderProbe(2048, k=32, random_state=0).fit(U)
    assert probe.fvu_ <= 0.10
    assert probe.dead_neurons_.mean() <= 0.02
    own = lists_of(host, X, U)
    passed = lists_of(host, X, probe.inverse_transform(probe.transform(U)))
    assert overlap(own, passed) >= 0.8
    assert ndcg(y, passed) >= 0.98 * ndcg(y, own)


def test_ten_recommendations_hardly_notice_a_well_trained_probe(movielens):
    host, X, _, U = movielens
    probe = SparseAutoencoderProbe(
        2048, k=32, refine=3, max_iter=600, n_iter_no_change=600, learning_rate=4e-3,
        decay=0.5, random_state=0,
    ).fit(U)  # fmt: skip
    assert probe.dead_neurons_.mean() <= 0.02
    own = lists_of(host, X, U)
    passed = lists_of(host, X, probe.inverse_transform(probe.transform(U)))
    assert overlap(own, passed) >= 0.93


def test_8_neurons_say_more_than_8_components(movielens):
    *_, U = movielens
    probe = SparseAutoencoderProbe(1024, k=8, random_state=0).fit(U)
    pca = PCA(8, random_state=0).fit(U)
    assert probe.fvu_ < 0.8 * (1 - pca.explained_variance_ratio_.sum())
    assert probe.dead_neurons_.mean() < 0.15
