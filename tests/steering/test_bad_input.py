"""One clear line for everything that cannot be steered."""

import numpy as np
import pytest
from implicit.als import AlternatingLeastSquares
from scipy.sparse import csr_array
from sklearn.decomposition import TruncatedSVD
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from skpopsteer import (
    ArrayRecommender,
    SparseAutoencoderProbe,
    SteeredRecommender,
    TorchRecommender,
    as_recommender,
)


def model(host, **params):
    probe = SparseAutoencoderProbe(8, k=2, max_iter=1, random_state=0)
    return SteeredRecommender(
        host, **{"rule": "shift", "probe": probe, "random_state": 0, **params}
    )


@pytest.fixture(scope="module")
def host(interactions):
    return as_recommender(TruncatedSVD(4, random_state=0).fit(interactions))


def test_a_bare_model(interactions):
    with threadpool_limits(1, "blas"):
        als = AlternatingLeastSquares(factors=4)
    with pytest.raises(
        TypeError, match=r"`recommender` must be a host .*as_recommender"
    ):
        model(als).fit(interactions)


def test_a_trained_host_that_is_not_frozen(interactions):
    host = ArrayRecommender(None, np.ones((100, 2)))
    with pytest.raises(ValueError, match="`fit` must be called on an untrained host"):
        model(host).fit(interactions)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -1.0])
def test_interactions_that_are_no_counts(host, interactions, bad):
    X = interactions.copy()
    X.data[3] = bad
    with pytest.raises(ValueError, match="`X` must hold"):
        model(host).fit(X)


def test_no_interaction_at_all(host):
    with pytest.raises(ValueError, match="`X` must hold at least one interaction"):
        model(host).fit(csr_array((5, 100)))


def test_one_item_only():
    host = as_recommender((np.ones((3, 2)), np.ones((1, 2))))
    with pytest.raises(ValueError, match="`popularity` must cover at least 2 items"):
        model(host).fit(np.ones((3, 1)))


def test_another_catalogue_than_the_hosts(host):
    with pytest.raises(ValueError, match="`X` must have one column per item"):
        model(host).fit(np.ones((5, 99)))


def test_another_catalogue_than_in_fit(host, interactions):
    fitted = model(host).fit(interactions)
    with pytest.raises(ValueError, match="`X` must have one column per item"):
        fitted.predict(interactions[:, :50])


def test_unknown_users(interactions):
    U, V = np.random.default_rng(0).normal(size=(2, 200, 3))
    host = as_recommender((U, V[:100]))
    with pytest.raises(
        ValueError, match="`user_ids` must be positions of trained users"
    ):
        model(host).fit(interactions, user_ids=np.arange(1, 201))


def test_a_host_that_only_looks_up_needs_ids_and_real_profiles(interactions):
    U, V = np.random.default_rng(0).normal(size=(2, 200, 3))
    host = as_recommender(ArrayRecommender(U, V[:100], fold_in=None))
    users = np.arange(200)
    with pytest.raises(ValueError, match="`user_ids` must be given"):
        model(host).fit(interactions)
    with pytest.raises(ValueError, match="`profiles` must be 'real'"):
        model(host).fit(interactions, user_ids=users)
    fitted = model(host, profiles="real").fit(interactions, user_ids=users)
    assert fitted.predict(interactions, user_ids=users).shape == (200, 10)


def test_the_item_side_of_a_nonlinear_decoder(interactions):
    import torch

    module = torch.nn.ModuleDict(
        {"encode": torch.nn.Linear(100, 4), "decode": torch.nn.Linear(4, 100)}
    )
    host = as_recommender(
        TorchRecommender(
            module,
            encoder=lambda module, rows: module["encode"](rows),
            decoder=lambda module, U: torch.tanh(module["decode"](U)),
            n_items=100,
        )
    )
    with pytest.raises(ValueError, match="`side` must be 'user'"):
        model(host, side="item").fit(interactions)
    assert model(host).fit(interactions).predict(interactions).shape == (200, 10)


def test_a_selector_without_weights(host, interactions):
    with pytest.raises(TypeError, match="`selector` must have steering_weights_"):
        model(host, selector=StandardScaler()).fit(interactions)


def test_item_features_that_nothing_reads(host, interactions):
    with pytest.raises(ValueError, match="`item_features` must be None"):
        model(host).fit(interactions, item_features=np.ones((100, 2)))


def test_more_kept_than_neurons(host, interactions):
    probe = SparseAutoencoderProbe(4, k=5)
    with pytest.raises(ValueError, match="`k` must be at most `n_neurons`"):
        model(host, probe=probe).fit(interactions)


def test_a_side_that_is_not_steered_has_no_probe(host, interactions):
    fitted = model(host).fit(interactions)
    assert not hasattr(fitted, "item_probe_")
    with pytest.raises(AttributeError, match="`side` must include 'item'"):
        _ = fitted.item_probe_


@pytest.mark.parametrize(
    "params",
    [
        {"rule": "turn"},
        {"strength": np.inf},
        {"keep_top": -1},
        {"side": "users"},
        {"reconstruction": "kept"},
        {"profiles": "fake"},
        {"n_recommendations": 0},
    ],
    ids=lambda params: next(iter(params)),
)
def test_parameters_outside_their_range(host, interactions, params):
    (name,) = params
    with pytest.raises(ValueError, match=f"The '{name}' parameter of SteeredRec"):
        model(host, **params).fit(interactions)


def test_real_profiles_of_one_user(host, interactions):
    with pytest.raises(ValueError, match="`X` must hold at least 2 users with"):
        model(host, profiles="real").fit(interactions[[0]])
