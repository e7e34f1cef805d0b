"""What is particular about checkpoints of RecBole.

The checkpoints in tests/golden/recbole were trained by the real RecBole, which also
gave the scores beside them. Where it is installed (make test-recbole), it trains more.
"""

import pathlib
import pickle
import shutil
import subprocess
import sys

import joblib
import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator

from skpopsteer import SteeredRecommender
from skpopsteer.adapters import (
    RecBoleRecommender,
    as_recommender,
    rows_to_sequences,
)
from skpopsteer.adapters._recbole_modules import build
from skpopsteer.adapters._safe_weights import read_checkpoint
from skpopsteer.persistence import save
from tests.golden.recbole import train as recbole
from tests.golden.recbole.train import FOLDER, N_ITEMS, N_USERS, SEQUENTIAL
from tests.golden.sasrec import load_sasrec

TABLES = ("BPR", "LightGCN")
ONES = np.ones((3, 3), dtype=np.float32)


def saved(name):
    """Return the parts of a kept checkpoint, to be changed and saved again."""
    content = read_checkpoint(FOLDER / f"{name}.pth")
    return {
        "config": content["config"].state["final_config_dict"].copy(),
        "state_dict": content["state_dict"],
        "other_parameter": content["other_parameter"],
    }


def plain(value):
    return isinstance(value, bool | int | float | str | list | None)


def write(path, content):
    content = dict(content)
    config = content.get("config")
    if isinstance(config, dict):
        content["config"] = {k: v for k, v in config.items() if plain(v)}
    for part in ("state_dict", "other_parameter"):
        if isinstance(content.get(part), dict):
            content[part] = {
                key: torch.from_numpy(value) if isinstance(value, np.ndarray) else value
                for key, value in content[part].items()
            }
    torch.save(content, path)
    return path


def scores(host, X):
    has_users = host.user_embeddings_ is not None
    return host.decision_function(X, user_ids=np.arange(N_USERS) if has_users else None)


def assert_close(ours, own):
    np.testing.assert_allclose(ours, own, rtol=1e-5, atol=1e-5 * np.abs(own).max())


@pytest.fixture(params=recbole.SETTINGS)
def name(request):
    return request.param


# The library's own scores


@pytest.mark.parametrize("kind", [str, pathlib.Path])
def test_scores_are_recboles_own(name, kind):
    path, X, own = recbole.read(name)
    host = as_recommender(kind(path))
    assert type(host) is FrozenEstimator
    assert type(host.estimator) is RecBoleRecommender
    assert_close(scores(host, X), own)
    # Or a constant would pass.
    assert own.std(axis=0).min() > 0.01
    assert own.std(axis=1).min() > 0.1


@pytest.mark.parametrize("name", ["BPR", "SASRec", "GRU4Rec"])
def test_the_row_of_padding_is_left_out(name):
    host, weights = (
        RecBoleRecommender(FOLDER / f"{name}.pth"),
        saved(name)["state_dict"],
    )
    own = weights["item_embedding.weight"]
    assert len(own) == N_ITEMS + 1
    np.testing.assert_array_equal(host.item_embeddings_, own[1:])
    assert host.n_items_ == N_ITEMS
    if name == "BPR":
        own = weights["user_embedding.weight"]
        np.testing.assert_array_equal(host.user_embeddings_, own[1:])
    else:
        assert host.user_embeddings_ is None


def test_rows_are_folded_into_tables_by_ridge_regression():
    path, X, _ = recbole.read("BPR")
    host = RecBoleRecommender(path, regularization=0.5)
    V = host.item_embeddings_.astype(np.float64)
    penalty = 0.5 * np.trace(V.T @ V) / V.shape[1]
    U = X @ V @ np.linalg.inv(V.T @ V + penalty * np.eye(V.shape[1]))
    U /= np.linalg.norm(U, axis=1, keepdims=True)
    U *= np.median(np.linalg.norm(host.user_embeddings_, axis=1))
    np.testing.assert_allclose(host.encode_users(X), U, rtol=1e-4, atol=1e-5)
    other = clone(host).set_params(regularization=5.0)
    assert np.abs(other.encode_users(X) - U).max() > 0.01
    np.testing.assert_allclose(host.encode_users(X), U, rtol=1e-4, atol=1e-5)


# LightGCN


def light_gcn_without_final_tables(folder):
    content = saved("LightGCN")
    content["other_parameter"] = {"restore_user_e": None, "restore_item_e": None}
    return write(folder / "file.pth", content)


def test_final_embeddings_are_worked_out_of_the_interactions(tmp_path):
    path, X, own = recbole.read("LightGCN")
    stored = RecBoleRecommender(path)
    for checkpoint in (path, light_gcn_without_final_tables(tmp_path)):
        for interactions in (X, (X > 0).astype(int), X.toarray()):
            host = RecBoleRecommender(checkpoint, interactions=interactions)
            assert_close(scores(host, X), own)
            assert_close(host.item_embeddings_, stored.item_embeddings_)
            assert_close(host.user_embeddings_, stored.user_embeddings_)
    layer_0 = saved("LightGCN")["state_dict"]["item_embedding.weight"][1:]
    assert np.abs(layer_0 - stored.item_embeddings_).max() > 0.1


def test_the_number_of_layers_is_that_of_the_settings(tmp_path):
    _, X, _ = recbole.read("LightGCN")
    content = saved("LightGCN")
    content["config"]["n_layers"], content["other_parameter"] = 0, {}
    path = write(tmp_path / "file.pth", content)
    host = RecBoleRecommender(path, interactions=X)
    np.testing.assert_array_equal(
        host.item_embeddings_, content["state_dict"]["item_embedding.weight"][1:]
    )


def test_layer_0_is_never_taken_for_the_final_embeddings(tmp_path):
    path = light_gcn_without_final_tables(tmp_path)
    with pytest.raises(ValueError, match=r"^`checkpoint` must hold the final .*ions=X"):
        as_recommender(path)
    content = saved("LightGCN")
    content["config"]["model"], content["other_parameter"] = "NGCF", None
    write(path, content)
    with pytest.raises(
        ValueError, match=r"final embeddings of NGCF.*validation on all"
    ):
        as_recommender(path)


def test_interactions_of_something_else_are_refused(tmp_path):
    path, X, _ = recbole.read("LightGCN")
    mixed = X[:, np.random.default_rng(0).permutation(N_ITEMS)]
    with pytest.raises(ValueError, match=r"^`interactions` must be those LightGCN was"):
        as_recommender(RecBoleRecommender(path, interactions=mixed))
    bare = light_gcn_without_final_tables(tmp_path)
    with pytest.raises(ValueError, match=r"^`interactions` must have the users and it"):
        as_recommender(RecBoleRecommender(bare, interactions=X[:, 1:]))
    with pytest.raises(ValueError, match=r"^`interactions` must hold finite"):
        as_recommender(RecBoleRecommender(bare, interactions=np.full(X.shape, np.nan)))


@pytest.mark.parametrize("name", sorted(set(recbole.SETTINGS) - {"LightGCN"}))
def test_interactions_are_refused_where_they_are_of_no_use(name):
    path, X, _ = recbole.read(name)
    message = rf"^`interactions` must be None but for LightGCN; got some for {name}"
    with pytest.raises(ValueError, match=message):
        as_recommender(RecBoleRecommender(path, interactions=X))


# Sequences and rows


@pytest.mark.parametrize("name", SEQUENTIAL)
def test_rows_of_times_are_read_as_sequences(name):
    path, X, _ = recbole.read(name)
    host = as_recommender(path)
    sequences = rows_to_sequences(X, 12)
    U = host.encode_users(X)
    np.testing.assert_allclose(host.encode_sequences(sequences), U, atol=1e-6)
    # Rows longer than the model reads are among them, and shorter ones.
    lengths = np.diff(X.indptr)
    assert lengths.min() < 12 < lengths.max()
    np.testing.assert_array_equal(
        host.encode_sequences(rows_to_sequences(X, 50)),
        host.encode_sequences(sequences),
    )
    one = [[sequences[0, 0]] * 3]
    assert np.abs(
        host.encode_sequences(one) - host.encode_sequences([[one[0][0]]])
    ).max()


@pytest.mark.parametrize("name", SEQUENTIAL)
def test_what_stands_behind_the_end_changes_nothing(name):
    host = as_recommender(FOLDER / f"{name}.pth")
    alone = host.encode_sequences([[5, 7, -1, -1]])
    padded = host.encode_sequences([[-1] * 10 + [5, 7], list(range(12))])
    np.testing.assert_allclose(padded[:1], alone, atol=1e-6)
    assert np.isfinite(host.encode_sequences([[-1, -1]])).all()


@pytest.mark.parametrize("name", SEQUENTIAL)
def test_an_empty_sequence_has_the_state_of_the_first_position(name):
    module = RecBoleRecommender(FOLDER / f"{name}.pth")._host.module
    longer, one = (module.encode(torch.zeros(1, n, dtype=torch.int64)) for n in (12, 1))
    np.testing.assert_allclose(longer, one, atol=1e-6)


@pytest.mark.parametrize("name", ["BPR", "LightGCN", "MultiVAE"])
def test_sequences_are_for_models_of_sequences(name):
    assert not hasattr(RecBoleRecommender(FOLDER / f"{name}.pth"), "encode_sequences")


def test_multi_vae_reads_every_interaction_as_1():
    path, X, _ = recbole.read("MultiVAE")
    host = as_recommender(path)
    U = host.encode_users((X > 0).astype(np.float64))
    np.testing.assert_array_equal(host.encode_users(X), U)
    assert host.has_nonlinear_decode
    with pytest.raises(ValueError, match=r"non-linear decoder"):
        SteeredRecommender(host, side="item").fit(X)


def test_the_authors_sasrec_is_rebuilt(shared_data, tmp_path):
    """The weights PopSteer's authors ship; tests/golden has their accuracy."""
    path = shared_data / "popsteer-lastfm" / "sasrec_weights.npz"
    if not path.is_file():
        pytest.skip("the folder popsteer-lastfm is absent from ../shared/data")
    with np.load(path) as archive:
        weights = {key: archive[key] for key in archive.files}
    settings = {"n_heads": 2, "hidden_act": "gelu", "layer_norm_eps": 1e-12}
    checkpoint = write(
        tmp_path / "file.pth",
        {"config": {"model": "SASRec", **settings}, "state_dict": weights},
    )
    host = as_recommender(checkpoint)
    rng = np.random.default_rng(0)
    sequences = rng.integers(0, host.n_items_, (200, 50))
    sequences[np.arange(50) >= rng.integers(1, 51, 200)[:, None]] = -1
    with torch.no_grad():
        own = load_sasrec(path).encode(torch.as_tensor(sequences + 1)).numpy()
    np.testing.assert_allclose(host.encode_sequences(sequences), own, atol=1e-5)


# The file, and what is done to it


def test_the_file_is_read_once_and_never_written(name, tmp_path):
    path, X, _ = recbole.read(name)
    copied = pathlib.Path(shutil.copy(path, tmp_path / "file.pth"))
    copied.chmod(0o400)
    host = RecBoleRecommender(copied)
    frozen = as_recommender(host)
    ids = frozen.predict(X)
    assert copied.read_bytes() == path.read_bytes()
    copied.unlink()
    dumped = pickle.dumps(frozen)
    joblib.dump(frozen, tmp_path / "host")
    loaded = joblib.load(tmp_path / "host", mmap_mode="r")
    for again in (frozen, clone(host), pickle.loads(dumped), loaded):
        np.testing.assert_array_equal(again.predict(X), ids)
    assert clone(host).set_params(n_recommendations=3).predict(X).shape == (N_USERS, 3)


def test_a_pickle_of_what_was_not_read_yet_needs_no_file(tmp_path):
    path, X, _ = recbole.read("LightGCN")
    copied = shutil.copy(path, tmp_path / "file.pth")
    dumped = pickle.dumps(RecBoleRecommender(copied, interactions=X.toarray()))
    pathlib.Path(copied).unlink()
    ids = pickle.loads(dumped).predict(X)
    np.testing.assert_array_equal(ids, RecBoleRecommender(path).predict(X))


def test_another_file_is_read_when_it_is_named():
    host = RecBoleRecommender(FOLDER / "BPR.pth")
    first = host.item_embeddings_
    assert host.item_embeddings_ is first
    host.set_params(checkpoint=FOLDER / "SASRec.pth")
    assert np.abs(host.item_embeddings_ - first).max() > 0.1
    assert host.user_embeddings_ is None


def test_other_interactions_are_read_when_they_are_set():
    path, X, _ = recbole.read("LightGCN")
    host = RecBoleRecommender(path, interactions=X)
    host.predict(X[:2])
    with pytest.raises(ValueError, match=r"^`interactions` must be those LightGCN was"):
        host.set_params(interactions=X[::-1]).predict(X[:2])


def test_contents_are_told_apart_by_their_keys(name, tmp_path):
    keys = {
        model: as_recommender(FOLDER / f"{model}.pth").estimator._content_key()
        for model in recbole.SETTINGS
    }
    assert len(set(keys.values())) == len(keys)
    copied = shutil.copy(FOLDER / f"{name}.pth", tmp_path / "file.pth")
    assert as_recommender(copied).estimator._content_key() == keys[name]
    content = saved(name)
    for part in (content["state_dict"], content["other_parameter"] or {}):
        for table in part.values():
            table += 0.25
    path = write(tmp_path / "changed.pth", content)
    assert as_recommender(path).estimator._content_key() != keys[name]


def test_fit_is_refused(name):
    host = RecBoleRecommender(FOLDER / f"{name}.pth")
    with pytest.raises(ValueError, match=r"^`fit` must be called on an untrained host"):
        host.fit(np.ones((2, N_ITEMS)))


def test_no_global_generator_is_used(name):
    state = torch.random.get_rng_state()
    _, X, _ = recbole.read(name)
    as_recommender(FOLDER / f"{name}.pth").predict(X)
    assert torch.equal(torch.random.get_rng_state(), state)


def test_recbole_is_not_needed():
    code = """
import sys
sys.modules["recbole"] = None
from skpopsteer.adapters import as_recommender
for path in sys.argv[1:]:
    assert as_recommender(path).n_items_ == 100
"""
    paths = [str(FOLDER / f"{name}.pth") for name in recbole.SETTINGS]
    command = [sys.executable, "-c", code, *paths]
    assert subprocess.run(command, check=False).returncode == 0


def test_half_precision_is_read(tmp_path):
    _, X, own = recbole.read("SASRec")
    content = saved("SASRec")
    content["state_dict"] = {
        key: torch.from_numpy(table).half()
        for key, table in content["state_dict"].items()
    }
    host = as_recommender(write(tmp_path / "file.pth", content))
    assert host.item_embeddings_.dtype == np.float32
    np.testing.assert_allclose(scores(host, X), own, atol=0.05)


def test_it_is_not_saved_without_pickle(name, tmp_path):
    pytest.importorskip("skops")
    for kind in (str, pathlib.Path):
        host = as_recommender(kind(FOLDER / f"{name}.pth"))
        with pytest.raises(
            ValueError, match=r"^`\w+` must (be of a type|hold no torch)"
        ):
            save(host, tmp_path / "host.skops")


# What is refused


def test_ids_of_users_are_positions(name):
    path, X, _ = recbole.read(name)
    host = as_recommender(path)
    if name in TABLES:
        message = r"^`user_ids` must be positions of trained users, 0 to 199; got .*200"
    else:
        message = r"^`user_ids` must be None for a host without a table of users"
    with pytest.raises(ValueError, match=message):
        host.predict(X[:1], user_ids=[N_USERS])


def test_a_text_that_names_no_checkpoint_is_refused():
    for model in ("als", "saved/model.pt"):
        with pytest.raises(TypeError, match=r"^`model` must be a recommender with emb"):
            as_recommender(model)
    with pytest.raises(FileNotFoundError, match=r"^`checkpoint` must name a file; got"):
        as_recommender("saved/none.pth")
    with pytest.raises(ValueError, match=r"^The 'checkpoint' parameter of RecBoleRec"):
        RecBoleRecommender(3).predict(np.ones((1, 3)))


def changed(folder, name, part, **entries):
    content = saved(name)
    content[part].update(entries)
    for key in [key for key, value in content[part].items() if value is None]:
        del content[part][key]
    return RecBoleRecommender(write(folder / "file.pth", content))


def test_neumf_is_no_product_of_embeddings(tmp_path):
    host = changed(tmp_path, "BPR", "config", model="NeuMF")
    with pytest.raises(
        ValueError, match=r"^`checkpoint` must be of a model that score"
    ):
        host.predict(np.ones((1, N_ITEMS)))


def test_the_tables_of_unknown_models_are_listed(tmp_path):
    host = changed(tmp_path, "BPR", "config", model="EASE")
    message = (
        r"^`checkpoint` must be of a model that is known here \(BPR, .*\); got 'EASE' "
        r"with the tables user_embedding.weight \(201, 8\), item_embedding.weight "
        r"\(101, 8\)\. .* use ArrayRecommender\("
    )
    with pytest.raises(ValueError, match=message):
        host.predict(np.ones((1, N_ITEMS)))


@pytest.mark.parametrize(
    ("name", "part", "entries", "message"),
    [
        ("BPR", "config", {"model": None}, "setting model, of type str; got None"),
        ("SASRec", "config", {"n_heads": None}, "n_heads, of type int; got None"),
        ("SASRec", "config", {"n_heads": 3}, "n_heads=3 at width 8"),
        ("SASRec", "config", {"n_heads": 0}, "n_heads=0 at width 8"),
        ("SASRec", "config", {"hidden_act": "mish"}, "hidden_act='mish'"),
        ("SASRec", "config", {"layer_norm_eps": "1"}, "layer_norm_eps, of type float"),
        ("GRU4Rec", "config", {"MAX_ITEM_LIST_LENGTH": None}, "MAX_ITEM_LIST_LENGTH"),
        ("BPR", "state_dict", {"item_embedding.weight": None}, "hold the tables of"),
        ("BPR", "state_dict", {"item_embedding.weight": ONES[0]}, "hold the tables of"),
        ("SASRec", "state_dict", {"LayerNorm.bias": None}, "differ in LayerNorm.bias"),
        ("SASRec", "state_dict", {"feature.weight": ONES}, "differ in feature.weight"),
        ("SASRec", "state_dict", {"position_embedding.weight": None}, "table position"),
        ("GRU4Rec", "state_dict", {"dense.weight": ONES}, "differ in dense.weight"),
        ("MultiVAE", "state_dict", {"encoder.0.weight": None}, "table encoder.0.weig"),
        ("MultiVAE", "state_dict", {"decoder.0.bias": ONES[0]}, "differ in decoder.0"),
    ],
)
def test_checkpoints_that_lack_something_are_refused(
    name, part, entries, message, tmp_path
):
    with pytest.raises(ValueError, match=rf"^`checkpoint` must .*{message}") as caught:
        changed(tmp_path, name, part, **entries).predict(np.ones((1, N_ITEMS)))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("lacking", ["config", "state_dict"])
def test_what_recbole_did_not_save_is_refused(lacking, tmp_path):
    content = saved("BPR")
    del content[lacking]
    path = write(tmp_path / "file.pth", content)
    with pytest.raises(
        ValueError, match=r"^`checkpoint` must be one that RecBole saved"
    ):
        as_recommender(path)


def test_weights_that_are_no_numbers_are_refused(tmp_path):
    weights = saved("SASRec")["state_dict"]["item_embedding.weight"].copy()
    weights[3, 2] = np.nan
    entries = {"item_embedding.weight": weights}
    for name, message in (("BPR", "item_embeddings"), ("SASRec", "item_embeddings")):
        with pytest.raises(ValueError, match=rf"^`{message}` must hold finite numbers"):
            as_recommender(changed(tmp_path, name, "state_dict", **entries))


# The real library, where it is installed


@pytest.fixture
def train(tmp_path):
    pytest.importorskip("recbole")

    def train(name, **settings):
        return recbole.train(name, tmp_path, **{"epochs": 2, **settings})

    return train


@pytest.mark.parametrize("name", sorted(set(recbole.MORE_SETTINGS) - {"NeuMF"}))
def test_graph_models_score_as_recbole_does(name, train):
    path, _, X, own = train(name)
    assert_close(scores(as_recommender(path), X), own)


@pytest.mark.parametrize("mode", ["none", "sampled"])
def test_light_gcn_that_was_not_validated_on_all_items(mode, train):
    settings = {"eval_step": 0} if mode == "none" else {"eval_args": {"mode": "uni20"}}
    path, _, X, own = train("LightGCN", **settings)
    with pytest.raises(
        ValueError, match=r"^`checkpoint` must hold the final embeddings"
    ):
        as_recommender(path)
    host = RecBoleRecommender(path, interactions=X)
    assert_close(scores(host, X), own)


@pytest.mark.parametrize("activation", ["gelu", "relu", "sigmoid", "swish", "tanh"])
def test_every_activation_of_sasrec(activation, train):
    path, _, X, own = train("SASRec", hidden_act=activation, n_heads=4, n_layers=1)
    assert_close(as_recommender(path).decision_function(X), own)


def test_deep_multi_vae(train):
    path, _, X, own = train("MultiVAE", mlp_hidden_size=[20, 12], latent_dimension=6)
    assert_close(as_recommender(path).decision_function(X), own)


def test_models_that_are_refused(train):
    path, *_ = train("NeuMF")
    with pytest.raises(
        ValueError, match=r"^`checkpoint` must be of .*got NeuMF, whose"
    ):
        as_recommender(path)


def test_the_module_is_recboles_down_to_its_names(train):
    _, model, _, _ = train("SASRec")
    weights = {key: part.numpy() for key, part in model.state_dict().items()}
    values = {"n_heads": 2, "layer_norm_eps": 1e-12, "hidden_act": "gelu"}
    module = build("SASRec", weights, lambda name, kind: values[name])
    assert list(module.state_dict()) == list(model.state_dict())
