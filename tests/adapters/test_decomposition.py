"""What is particular about decompositions of scikit-learn."""

import numpy as np
import pytest
from sklearn import config_context
from sklearn.base import clone
from sklearn.decomposition import (
    NMF,
    PCA,
    IncrementalPCA,
    KernelPCA,
    SparsePCA,
    TruncatedSVD,
)
from sklearn.exceptions import NotFittedError

from skpopsteer import DecompositionRecommender, as_recommender
from tests.hosts import HOSTS

NAMES = ["truncated_svd", "nmf", "pca"]


@pytest.mark.parametrize("name", NAMES)
def test_scores_are_the_reconstruction(name):
    host = HOSTS[name]()
    codes = host.model.transform(host.X)
    U = host.recommender.encode_users(host.X)
    np.testing.assert_allclose(U, codes, rtol=1e-5, atol=1e-6)
    expected = host.model.inverse_transform(codes)
    scores = host.recommender.decision_function(host.X)
    np.testing.assert_allclose(scores, expected, rtol=1e-4, atol=1e-5)


def test_only_a_centring_decomposition_has_a_bias():
    host = HOSTS["pca"]()
    mean = np.asarray(host.X.mean(axis=0))
    np.testing.assert_allclose(host.recommender.item_bias_, mean, rtol=1e-6)
    assert HOSTS["truncated_svd"]().recommender.item_bias_ is None
    assert HOSTS["nmf"]().recommender.item_bias_ is None


@pytest.mark.parametrize("name", NAMES)
def test_items_are_the_columns_of_the_components(name):
    host = HOSTS[name]()
    V = host.recommender.item_embeddings_
    np.testing.assert_allclose(V, host.model.components_.T, rtol=1e-6)


@pytest.mark.parametrize(
    "untrained",
    [
        TruncatedSVD(4, random_state=0),
        NMF(4, random_state=0),
        PCA(4, svd_solver="arpack", random_state=0),
    ],
)
def test_fit_trains_a_clone(untrained, interactions):
    X = interactions.toarray()
    host = DecompositionRecommender(untrained).fit(X)
    assert not hasattr(untrained, "components_")
    own = clone(untrained).fit(X)
    V = host.decomposition_.components_
    np.testing.assert_allclose(V, own.components_, rtol=1e-6, atol=1e-9)
    assert host.decomposition_ is not untrained


def test_an_untrained_host_must_be_fitted_first(interactions):
    host = DecompositionRecommender(TruncatedSVD(4))
    for method in [host.predict, host.decision_function, host.encode_users]:
        with pytest.raises(
            NotFittedError, match=r"^This DecompositionRecommender inst"
        ):
            method(interactions)


@pytest.mark.parametrize("name", NAMES)
def test_a_trained_host_refuses_to_be_fitted(name):
    host = HOSTS[name]()
    with pytest.raises(ValueError, match=r"^`fit` must be called on an untrained host"):
        DecompositionRecommender(host.model).fit(host.X)


@pytest.mark.parametrize("name", NAMES)
def test_a_clone_shares_the_trained_decomposition(name):
    host = HOSTS[name]()
    adapter = DecompositionRecommender(host.model)
    copied = clone(adapter).set_params(n_recommendations=3)
    assert copied is not adapter
    assert copied.decomposition is host.model
    assert adapter.n_recommendations == 10


@pytest.mark.parametrize("kind", [PCA, IncrementalPCA])
def test_a_whitening_decomposition_is_refused(kind, interactions):
    X = interactions.toarray()
    message = "^`decomposition` must not whiten"
    with pytest.raises(ValueError, match=message):
        DecompositionRecommender(kind(4, whiten=True)).fit(X)
    # Its scores would silently be another ranking than its reconstruction's.
    with pytest.raises(ValueError, match=message):
        as_recommender(kind(4, whiten=True).fit(X))


def test_a_decomposition_without_components_is_refused(interactions):
    X = interactions.toarray()
    message = "^`decomposition` must have components_"
    with pytest.raises(ValueError, match=message):
        DecompositionRecommender(KernelPCA(4)).fit(X)
    with pytest.raises(ValueError, match=message):
        as_recommender(KernelPCA(4).fit(X))


@pytest.mark.parametrize("name", NAMES)
def test_data_frames_as_output_change_nothing(name):
    host = HOSTS[name]()
    ids = host.recommender.recommend(host.X)
    with config_context(transform_output="pandas"):
        U = host.recommender.encode_users(host.X)
        assert type(U) is np.ndarray
        np.testing.assert_array_equal(host.recommender.recommend(host.X), ids)


def test_parameters_of_a_trained_decomposition_are_out_of_reach(interactions):
    svd = TruncatedSVD(4, random_state=0).fit(interactions)
    adapter = DecompositionRecommender(svd)
    message = "^`decomposition__n_components` must not be set on an adapter that holds"
    with pytest.raises(ValueError, match=message):
        adapter.set_params(decomposition__n_components=2)
    assert svd.n_components == 4


class _Tempered(TruncatedSVD):
    def inverse_transform(self, X):
        return np.tanh(super().inverse_transform(X))


def test_components_that_do_not_reconstruct_are_refused(interactions):
    model = _Tempered(4, random_state=0).fit(interactions)
    with pytest.raises(ValueError, match=r"^`decomposition` must reconstruct by a"):
        as_recommender(model)


def test_a_decomposition_that_wants_dense_rows_gets_one_clear_line(interactions):
    model = SparsePCA(2, max_iter=2, random_state=0).fit(interactions.toarray()[:, :20])
    host = as_recommender(model)
    with pytest.raises(TypeError, match=r"^`decomposition` must transform sparse rows"):
        host.predict(interactions[:, :20])
