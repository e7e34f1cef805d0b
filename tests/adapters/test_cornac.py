"""What is particular about models of Cornac."""

import copy
import pickle
import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("cornac")

import torch
from cornac.data import Dataset
from cornac.eval_methods import RatioSplit
from cornac.models import (
    BPR,
    EASE,
    HPF,
    IBPR,
    MF,
    MMMF,
    NMF,
    PMF,
    SVD,
    VAECF,
    WBPR,
    WMF,
    BaselineOnly,
    BiVAECF,
    ItemKNN,
    MostPop,
    RecVAE,
)
from scipy.sparse import csr_array, issparse
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator

from skpopsteer.adapters import CornacRecommender, as_recommender
from skpopsteer.adapters._cornac_models import copied_to_cpu
from skpopsteer.persistence import save
from tests.hosts import HOSTS, N_ITEMS, N_USERS, WIDTH
from tests.hosts.cornac_models import copy_of, module_of, train, train_set

EVERYONE = np.arange(N_USERS)
CORNAC = ["cornac_mf", "cornac_bpr", "cornac_vaecf", "cornac_bivaecf", "cornac_recvae"]
AUTOENCODERS = ["cornac_vaecf", "cornac_bivaecf", "cornac_recvae"]
TABLES = {
    "MF": (MF, {"learning_rate": 0.05, "seed": 0}),
    "MF without bias": (MF, {"use_bias": False, "learning_rate": 0.05, "seed": 0}),
    "MF of torch": (MF, {"backend": "pytorch", "max_iter": 3, "seed": 0}),
    "SVD": (SVD, {"learning_rate": 0.05, "seed": 0}),
    "PMF": (PMF, {"max_iter": 20, "learning_rate": 0.01, "seed": 0}),
    "linear PMF": (PMF, {"variant": "linear", "max_iter": 20, "seed": 0}),
    "NMF": (NMF, {"max_iter": 20, "seed": 0}),
    "NMF with bias": (NMF, {"use_bias": True, "max_iter": 20, "seed": 0}),
    "BPR": (BPR, {"learning_rate": 0.05, "max_iter": 20, "seed": 0}),
    "BPR without bias": (BPR, {"use_bias": False, "max_iter": 20, "seed": 0}),
    "WBPR": (WBPR, {"learning_rate": 0.05, "max_iter": 20, "seed": 0}),
    "MMMF": (MMMF, {"max_iter": 20, "seed": 0}),
    "HPF": (HPF, {"max_iter": 20, "seed": 0}),
    "IBPR": (IBPR, {"max_iter": 2}),
}
NO_BIAS = {"MF without bias", "BPR without bias", "NMF", "PMF", "linear PMF"}
NO_BIAS |= {"HPF", "IBPR", "WMF"}


@pytest.fixture
def X():
    return csr_array(train_set().matrix)


def model_of(name):
    return HOSTS[name]().recommender.model


def own_scores(model, users=EVERYONE):
    return np.stack([np.asarray(model.score(user), np.float64) for user in users])


def state_of(value):
    """Copy everything a model holds, down to arrays, weights, modes and generators."""
    if isinstance(value, torch.nn.Module):
        parts = {**vars(value), **value.state_dict()}
        inner = {name: part for name, part in parts.items() if torch.is_tensor(part)}
        modes = {name: part.training for name, part in value.named_modules()}
        grads = {name: part.grad for name, part in value.named_parameters()}
        return state_of(inner), modes, grads
    if torch.is_tensor(value):
        return value.detach().numpy().copy()
    if isinstance(value, np.random.RandomState):
        return state_of(value.get_state(legacy=False))
    if issparse(value):
        return value.toarray()
    if isinstance(value, Dataset):
        return state_of(vars(value))
    if isinstance(value, dict):
        return {name: state_of(held) for name, held in value.items()}
    return copy.deepcopy(value)


def test_a_trained_model_gets_its_adapter_frozen():
    for name in CORNAC:
        host = HOSTS[name]().recommender
        assert type(host) is FrozenEstimator
        assert type(host.estimator) is CornacRecommender


@pytest.mark.parametrize("name", TABLES)
def test_lists_of_every_model_of_two_tables_are_those_of_rank(name, X, capfd):
    kind, params = TABLES[name]
    model = train(kind, k=WIDTH, **params)
    host = as_recommender(model)
    if name == "NMF with bias":
        # It adds a float64 mean to a float32 bias and wants float32, which was so once.
        if np.lib.NumpyVersion(np.__version__) >= "2.0.0":
            with pytest.raises(ValueError, match="Buffer dtype mismatch"):
                model.score(0)
        model.global_mean = np.float32(model.global_mean)
    own = own_scores(model)
    assert own.std(axis=1).min() > 1e-4
    ids = host.recommend(X, user_ids=EVERYONE, exclude_seen=False)
    ranked = np.stack([model.rank(user)[0][:10] for user in EVERYONE])
    differ = ids != ranked
    assert differ.mean() < 0.01
    at_ids, at_ranked = (np.take_along_axis(own, i, axis=1) for i in (ids, ranked))
    np.testing.assert_allclose(at_ids[differ], at_ranked[differ], rtol=1e-5)
    # What is missing is one number a user.
    missing = own - host.decision_function(X, user_ids=EVERYONE)
    spread = np.ptp(missing, axis=1)
    np.testing.assert_allclose(spread, 0, atol=2e-5 * np.abs(own).max())
    assert (host.item_bias_ is None) == (name in NO_BIAS)
    assert host.item_embeddings_.shape == (N_ITEMS, WIDTH)
    assert host.user_embeddings_.shape == (N_USERS, WIDTH)


def test_wmf_is_two_tables_whoever_trained_them(X):
    # Cornac trains it with TensorFlow, and takes tables that were trained before.
    pmf = train(PMF, k=WIDTH, max_iter=20, seed=0)
    tables = {"U": pmf.U, "V": pmf.V}
    wmf = train(WMF, k=WIDTH, trainable=False, init_params=tables, verbose=False)
    ids = as_recommender(wmf).recommend(X, user_ids=EVERYONE, exclude_seen=False)
    ranked = np.stack([wmf.rank(user)[0][:10] for user in EVERYONE])
    assert (ids != ranked).mean() < 0.01


def test_the_item_bias_is_no_column_of_the_embeddings():
    for name in ("cornac_mf", "cornac_bpr"):
        host, model = HOSTS[name]().recommender, model_of(name)
        # Cornac's own vectors hold it, behind the factors.
        assert model.get_item_vectors().shape == (N_ITEMS, WIDTH + 1)
        np.testing.assert_array_equal(host.item_embeddings_, model.i_factors)
        np.testing.assert_array_equal(host.user_embeddings_, model.u_factors)
        np.testing.assert_array_equal(host.item_bias_, model.i_biases)
        assert host.item_bias_.dtype == np.float32
        assert host.item_bias_.std() > 0.01


def test_what_mf_adds_besides_is_the_mean_and_the_bias_of_the_user(X):
    host, model = HOSTS["cornac_mf"]().recommender, model_of("cornac_mf")
    missing = own_scores(model) - host.decision_function(X, user_ids=EVERYONE)
    added = model.global_mean + model.u_biases[:, np.newaxis]
    assert np.ptp(added) > 0.1
    np.testing.assert_allclose(missing, np.tile(added, N_ITEMS), atol=1e-4)


@pytest.mark.parametrize("regularization", [0.0, 1.0])
def test_tables_fold_rows_in_by_ridge_at_the_median_length(regularization, X):
    model = model_of("cornac_bpr")
    host = CornacRecommender(model, regularization=regularization)
    V = model.i_factors.astype(np.float64)
    penalty = regularization * (V**2).sum() / WIDTH
    U = np.linalg.solve(V.T @ V + penalty * np.eye(WIDTH), V.T @ X.toarray().T).T
    lengths = np.linalg.norm(model.u_factors, axis=1)
    U *= np.median(lengths) / np.linalg.norm(U, axis=1, keepdims=True)
    np.testing.assert_allclose(host.encode_users(X), U, rtol=1e-3, atol=1e-4)


def test_vaecf_is_the_mean_of_the_encoder_and_the_scores_before_the_softmax(X):
    host, vae = HOSTS["cornac_vaecf"]().recommender, model_of("cornac_vaecf").vae
    with torch.no_grad():
        mean, _ = vae.encode(torch.tensor((X.toarray() > 0).astype(np.float32)))
        shares = vae.decode(mean).numpy()
    U = host.encode_users(X)
    np.testing.assert_allclose(U, mean.numpy(), rtol=1e-5, atol=1e-6)
    assert host.has_nonlinear_decode
    scores = host.decode(U).astype(np.float64)
    by_hand = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(by_hand, shares, rtol=1e-4)
    np.testing.assert_allclose(shares, own_scores(model_of("cornac_vaecf")), rtol=1e-4)
    assert host.user_embeddings_ is host.item_bias_ is None
    names = host.estimator.get_feature_names_out()
    assert len(names) == WIDTH


def test_items_of_a_deep_decoder_are_refused():
    host = HOSTS["cornac_vaecf"]().recommender.estimator
    message = r"^`item_embeddings_` must come from .* hidden layers \[20\]"
    with pytest.raises(AttributeError, match=message):
        _ = host.item_embeddings_


@pytest.mark.parametrize("likelihood", ["mult", "bern"])
def test_a_decoder_of_one_layer_is_a_product_with_a_bias(likelihood, X):
    model = train(
        VAECF, k=WIDTH, autoencoder_structure=[], likelihood=likelihood, seed=0,
        learning_rate=0.01, n_epochs=30,
    )  # fmt: skip
    host = as_recommender(model)
    assert not host.has_nonlinear_decode
    weight, bias = (part.detach().numpy() for part in model.vae.decoder.parameters())
    np.testing.assert_array_equal(host.item_embeddings_, weight)
    np.testing.assert_array_equal(host.item_bias_, bias)
    ids = host.recommend(X, exclude_seen=False)
    ranked = np.stack([model.rank(user)[0][:10] for user in EVERYONE])
    assert (ids != ranked).mean() < 0.01


def test_bivaecf_encodes_trained_rows_as_it_did_and_scores_before_the_sigmoid(X):
    host, model = HOSTS["cornac_bivaecf"]().recommender, model_of("cornac_bivaecf")
    np.testing.assert_allclose(
        host.encode_users(X), host.user_embeddings_, rtol=1e-4, atol=1e-5
    )
    np.testing.assert_array_equal(host.user_embeddings_, model.bivae.mu_theta)
    np.testing.assert_array_equal(host.item_embeddings_, model.bivae.mu_beta)
    scores = host.decision_function(X).astype(np.float64)
    sigmoid = 1 / (1 + np.exp(-scores))
    np.testing.assert_allclose(sigmoid, own_scores(model), rtol=1e-4)
    assert host.item_bias_ is None


def test_recvae_is_evaluated_without_the_noise_cornac_leaves_on(X):
    host, model = HOSTS["cornac_recvae"]().recommender, model_of("cornac_recvae")
    assert model.recvae_model.training
    with torch.random.fork_rng(devices=[]):
        assert (own_scores(model, [0]) != own_scores(model, [0])).any()
    quiet = own_scores(copy_of(model))
    np.testing.assert_allclose(host.decision_function(X), quiet, rtol=1e-3, atol=1e-4)
    assert model.recvae_model.training
    decoder = model.recvae_model.decoder
    np.testing.assert_array_equal(host.item_embeddings_, decoder.weight.detach())
    np.testing.assert_array_equal(host.item_bias_, decoder.bias.detach())


@pytest.mark.parametrize(
    ("name", "reads_values"),
    [("cornac_vaecf", False), ("cornac_bivaecf", False), ("cornac_recvae", True)],
)
def test_which_autoencoders_read_the_values_of_a_row(name, reads_values, X):
    host = HOSTS[name]().recommender
    difference = np.abs(host.encode_users(X) - host.encode_users(X > 0)).max()
    assert (difference > 1e-3) == reads_values


@pytest.mark.parametrize("name", AUTOENCODERS)
def test_a_row_is_encoded_from_what_it_holds_wherever_it_stands(name, X):
    host = HOSTS[name]().recommender
    U = host.encode_users(X)
    backwards = host.encode_users(X[EVERYONE[::-1]])
    np.testing.assert_allclose(backwards[::-1], U, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["cornac_vaecf", "cornac_recvae"])
def test_user_ids_are_refused_without_a_table_of_users(name, X):
    with pytest.raises(ValueError, match=r"^`user_ids` must be None for a host with"):
        HOSTS[name]().recommender.predict(X, user_ids=EVERYONE)


@pytest.mark.parametrize("name", CORNAC)
def test_positions_are_turned_into_the_callers_ids_and_back(name, X):
    host, model = HOSTS[name]().recommender, model_of(name)
    # Items are numbered as they appear: positions are not the order of the ids.
    assert host.item_ids_[0] != "item0"
    for ids, positions in [
        (host.item_ids_, model.iid_map),
        (host.user_ids_, model.uid_map),
    ]:
        assert ids.dtype.kind == "U"
        assert [positions[own] for own in ids] == list(range(len(ids)))


def test_lists_in_ids_are_those_the_library_recommends(X):
    host = HOSTS["cornac_mf"]().recommender
    library = copy_of(model_of("cornac_mf"))
    user = library.uid_map["user17"]
    ids = host.recommend(X[[user]], 10, user_ids=[user])[0]
    own = library.recommend(
        "user17", k=10, remove_seen=True, train_set=library.train_set
    )
    assert host.item_ids_[ids].tolist() == own


@pytest.mark.parametrize(
    ("users", "kind"),
    [([7, 3, 9], "i"), ([("a", 1), ("b", 2), ("c", 3)], "O"), (["a", 5, 2.5], "O")],
)
def test_ids_keep_their_type(users, kind):
    rows = [(user, i, 1.0) for user in users for i in (30, 10, 20)]
    host = as_recommender(PMF(k=2, max_iter=1, seed=0).fit(Dataset.from_uir(rows)))
    assert host.user_ids_.tolist() == users
    assert host.user_ids_.dtype.kind == kind
    assert host.user_ids_.shape == (3,)
    assert host.item_ids_.tolist() == [30, 10, 20]


def test_items_and_users_of_the_test_set_alone_are_left_out():
    rows = [(f"u{u}", f"i{i}", 1.0) for u in range(12) for i in range(u, u + 4)]
    split = RatioSplit(rows, test_size=0.4, exclude_unknowns=False, seed=3)
    train_set = split.train_set
    model = BPR(k=4, max_iter=5, seed=0).fit(train_set)
    assert len(model.i_factors) > train_set.num_items
    host = as_recommender(model)
    assert host.item_embeddings_.shape == (train_set.num_items, 4)
    assert host.user_embeddings_.shape == (train_set.num_users, 4)
    assert host.item_bias_.shape == host.item_ids_.shape == (train_set.num_items,)
    users = np.arange(train_set.num_users)
    ids = host.recommend(train_set.matrix, 5, user_ids=users, exclude_seen=False)
    own = [model.rank(user)[0][:5] for user in users]
    np.testing.assert_array_equal(ids, own)
    assert set(host.item_ids_) == {
        item for item, n in train_set.iid_map.items() if n < train_set.num_items
    }


@pytest.mark.parametrize("name", CORNAC)
def test_nothing_of_the_model_is_changed(name, X, capfd):
    model = model_of(name)
    torch_state = torch.random.get_rng_state()
    numpy_state = np.random.get_state()  # noqa: NPY002
    before = state_of(vars(model))
    host = as_recommender(model)
    host.predict(X)
    host.decision_function(X)
    if host.user_embeddings_ is not None:
        host.recommend(X, user_ids=EVERYONE)
    for table in (host.item_ids_, host.user_ids_, host.encode_users(X)):
        table[:] = table[0]
    pickle.dumps(host)
    host.estimator._content_key()
    np.testing.assert_equal(state_of(vars(model)), before)
    assert torch.equal(torch.random.get_rng_state(), torch_state)
    np.testing.assert_equal(np.random.get_state(), numpy_state)  # noqa: NPY002
    assert capfd.readouterr() == ("", "")


# Cornac leaves the files it reads and writes to the garbage collector.
@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")
@pytest.mark.parametrize("name", CORNAC)
def test_a_model_cornac_has_saved_and_loaded_gives_equal_lists(name, X, tmp_path):
    model = copy_of(model_of(name))
    file = model.save(str(tmp_path))
    loaded = type(model).load(file)
    assert not hasattr(loaded, "train_set")
    host = as_recommender(loaded)
    expected = HOSTS[name]().recommender
    np.testing.assert_array_equal(host.predict(X), expected.predict(X))
    assert host._content_key() == expected._content_key()
    np.testing.assert_array_equal(host.item_ids_, expected.item_ids_)


def test_another_model_has_another_content_key():
    host = HOSTS["cornac_bpr"]().recommender
    for change in ("i_factors", "u_factors"):
        model = copy_of(host.model)
        getattr(model, change)[3, 1] += 1
        assert as_recommender(model)._content_key() != host._content_key()
    other = CornacRecommender(host.model, regularization=2.0)
    assert other._content_key() != host._content_key()
    for name in AUTOENCODERS:
        host = HOSTS[name]().recommender
        model = copy_of(host.model)
        with torch.no_grad():
            next(module_of(model).parameters())[0, 0] += 1
        assert as_recommender(model)._content_key() != host._content_key()


def test_weights_that_were_trained_on_are_read_again():
    model = copy_of(model_of("cornac_recvae"))
    # Of another precision, for a table of float32 is the memory of the model itself.
    model.recvae_model.double()
    host = CornacRecommender(model)
    first = host.item_embeddings_.copy()
    with torch.no_grad():
        model.recvae_model.decoder.weight.add_(1.0)
    np.testing.assert_allclose(host.item_embeddings_, first + 1, rtol=1e-5)


@pytest.mark.parametrize("name", AUTOENCODERS)
def test_a_copy_on_the_cpu_shares_no_weights_and_gives_equal_lists(name, X):
    model = model_of(name)
    copied = copied_to_cpu(model)
    assert copied.device == torch.device("cpu")
    expected = HOSTS[name]().recommender.predict(X)
    np.testing.assert_array_equal(as_recommender(copied).predict(X), expected)
    own = {part.data_ptr() for part in module_of(model).parameters()}
    assert own.isdisjoint(part.data_ptr() for part in module_of(copied).parameters())


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
@pytest.mark.parametrize("kind", [VAECF, BiVAECF])
def test_a_model_on_a_gpu_stays_there_and_is_pickled_without_it(kind, X, monkeypatch):
    model = train(kind, k=WIDTH, n_epochs=2, use_gpu=True, seed=0)
    host = as_recommender(model)
    ids, content = host.predict(X), pickle.dumps(host)
    assert next(module_of(model).parameters()).is_cuda
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    loaded = pickle.loads(content)
    assert not next(module_of(loaded.model).parameters()).is_cuda
    assert (loaded.predict(X) != ids).mean() < 0.01
    assert np.isfinite(own_scores(loaded.model)).all()


def test_a_clone_shares_the_model_and_not_the_parameters(X):
    host = CornacRecommender(model_of("cornac_bpr"), regularization=0.3)
    copied = clone(host).set_params(n_recommendations=3)
    assert copied.model is host.model
    assert (host.n_recommendations, copied.regularization) == (10, 0.3)
    assert copied.predict(X).shape == (N_USERS, 3)


@pytest.mark.parametrize("name", CORNAC)
def test_fit_is_refused(name, X):
    with pytest.raises(ValueError, match=r"^`fit` must be called on an untrained"):
        CornacRecommender(model_of(name)).fit(X)


@pytest.mark.parametrize("kind", [MF, BPR, VAECF, BiVAECF, RecVAE])
def test_an_untrained_model_is_refused(kind, X):
    message = rf"^`model` must be trained; got an untrained {kind.__name__}\. Train"
    for use in (as_recommender, lambda model: CornacRecommender(model).predict(X)):
        with pytest.raises(ValueError, match=message):
            use(kind())


def test_an_autoencoder_that_was_never_trained_is_refused_though_it_was_fitted():
    # Cornac takes it as trained before, and it holds no weights.
    with pytest.raises(ValueError, match=r"^`model` must be trained; got an untrained"):
        as_recommender(train(VAECF, trainable=False))


@pytest.mark.parametrize("kind", [EASE, ItemKNN, MostPop, BaselineOnly])
def test_models_without_embeddings_are_named(kind):
    model = train(kind)
    message = (
        rf"^`model` must be a model of Cornac with embeddings.*got {kind.__name__}"
    )
    with pytest.raises(TypeError, match=message):
        as_recommender(model)


class Distances(PMF):
    """Score by distance, as COE of Cornac does, which is too old for this numpy."""

    def score(self, user_idx, item_idx=None):
        return np.linalg.norm(self.V - self.U[user_idx], axis=1)


class ShortScores(PMF):
    """Score some of the items."""

    def score(self, user_idx, item_idx=None):
        return super().score(user_idx)[:50]


@pytest.mark.parametrize("kind", [Distances, ShortScores])
def test_a_model_whose_scores_are_no_products_is_named(kind, X):
    host = CornacRecommender(train(kind, k=WIDTH, max_iter=5, seed=0))
    with pytest.raises(TypeError, match=r"^`model` must score by the product of its"):
        as_recommender(host)
    with pytest.raises(TypeError, match=rf"got {kind.__name__}, whose score does not"):
        host.predict(X)


def test_a_model_that_cannot_score_is_named():
    # Cornac's compiled product wants float32, also of tables trained elsewhere.
    tables = {"U": np.ones((N_USERS, WIDTH)), "V": np.eye(N_ITEMS, WIDTH)}
    model = train(MF, k=WIDTH, trainable=False, init_params=tables)
    with pytest.raises(ValueError, match="Buffer dtype mismatch"):
        model.score(0)
    message = r"^`model` must be able to score [^\n]* got MF, .* Wrap its tables"
    with pytest.raises(ValueError, match=message):
        as_recommender(model)


def test_a_model_of_an_older_version_is_named():
    model = copy_of(model_of("cornac_mf"))
    # Versions below 2.0 have no such attribute.
    del model.is_fitted
    with pytest.raises(ValueError, match=r"^`model` must come from Cornac 2\.0 or"):
        as_recommender(model)


@pytest.mark.parametrize("table", ["u_factors", "i_factors", "i_biases"])
def test_tables_that_are_no_numbers_give_one_clear_line(table, X):
    model = copy_of(model_of("cornac_mf"))
    getattr(model, table)[-1] = np.nan
    with pytest.raises(ValueError, match=r"^`\w+` must [^\n]*it may have diverged"):
        as_recommender(model)


def test_a_negative_penalty_and_a_matrix_of_other_items_are_refused(X):
    host = CornacRecommender(model_of("cornac_bpr"), regularization=-1.0)
    with pytest.raises(ValueError, match=r"^The 'regularization' parameter of Cornac"):
        host.predict(X)
    with pytest.raises(ValueError, match=r"^`X` must have one column per item of the"):
        HOSTS["cornac_vaecf"]().recommender.predict(X[:, :50])
    with pytest.raises(ValueError, match=r"^The 'model' parameter of CornacRecommen"):
        CornacRecommender(torch.nn.Linear(3, 2)).predict(X)


@pytest.mark.parametrize("name", CORNAC)
def test_it_is_not_saved_without_pickle(name, tmp_path):
    with pytest.raises(ValueError, match=r"^`model` must [^\n]*(joblib)"):
        save(HOSTS[name]().recommender, tmp_path / "host.skops")


def test_the_bridge_is_imported_without_the_library():
    code = "import sys, skpopsteer.adapters; sys.exit('cornac' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
