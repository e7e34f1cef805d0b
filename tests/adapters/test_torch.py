"""What is particular about torch modules."""

import copy

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.decomposition import PCA

from skpopsteer import SteeredRecommender, TorchRecommender, as_recommender
from tests.hosts import HOSTS, N_ITEMS, WIDTH, snapshot

ITEMS = {"item_embeddings": "decoder.weight", "item_bias": "decoder.bias"}


@pytest.fixture
def host():
    return HOSTS["autoencoder"]()


def _modes(module):
    return [part.training for part in module.modules()]


class _Recorder:
    """An encoder that notes how it is called."""

    def __init__(self):
        self.calls = []

    def __call__(self, module, rows):
        self.calls.append((rows, _modes(module), torch.is_grad_enabled()))
        return module.encode(rows)


def test_encoder_sees_float32_rows_in_evaluation_mode_without_gradients(host):
    encoder = _Recorder()
    TorchRecommender(host.model, encoder=encoder, **ITEMS).encode_users(host.X)
    [(rows, modes, has_gradients)] = encoder.calls
    assert rows.dtype == torch.float32
    np.testing.assert_array_equal(rows.numpy(), host.X.toarray())
    assert not any(modes)
    assert not has_gradients
    assert torch.is_grad_enabled()


@pytest.mark.parametrize("training", [True, False])
def test_modes_of_all_parts_are_restored(host, training):
    inner = copy.deepcopy(host.model)
    module = torch.nn.Sequential(inner, torch.nn.Dropout()).train(training)
    module[1].train(not training)
    before = _modes(module)
    recommender = TorchRecommender(
        module,
        encoder=lambda module, rows: module[0].encode(rows),
        item_embeddings="0.decoder.weight",
    )
    recommender.predict(host.X)
    assert _modes(module) == before


@pytest.mark.parametrize("part", ["encoder", "decoder"])
def test_modes_are_restored_when_the_module_raises(part):
    host = HOSTS["mult_vae"]()
    before = snapshot(host.model)

    def fail(module, rows):
        raise RuntimeError("out of memory")

    params = {"encoder": "encode", "decoder": "decode", "n_items": N_ITEMS, part: fail}
    with pytest.raises(RuntimeError, match="out of memory"):
        TorchRecommender(host.model, **params).predict(host.X)
    np.testing.assert_equal(snapshot(host.model), before)
    assert torch.is_grad_enabled()


@pytest.mark.parametrize("batch_size", [1, 7, 50, 200, 1000])
def test_results_do_not_depend_on_the_batch_size(host, batch_size):
    encoder = _Recorder()
    recommender = TorchRecommender(
        host.model, encoder=encoder, batch_size=batch_size, **ITEMS
    )
    U = recommender.encode_users(host.X)
    expected = host.recommender.encode_users(host.X)
    np.testing.assert_allclose(U, expected, rtol=1e-4, atol=1e-5)
    sizes = [len(rows) for rows, *_ in encoder.calls]
    assert sum(sizes) == 200
    assert set(sizes[:-1]) <= {batch_size}
    assert sizes[-1] <= batch_size


def test_encoder_and_tables_may_be_names_or_callables(host):
    named = TorchRecommender(host.model, encoder="encode", **ITEMS)
    called = TorchRecommender(
        host.model,
        encoder=lambda module, rows: module.encode(rows),
        item_embeddings=lambda module: module.decoder.weight,
        item_bias=lambda module: module.decoder.bias,
    )
    expected = named.decision_function(host.X)
    np.testing.assert_array_equal(called.decision_function(host.X), expected)
    without = TorchRecommender(
        host.model, encoder="encode", item_embeddings="decoder.weight"
    )
    assert without.item_bias_ is None
    bias = host.model.decoder.bias.detach().numpy()
    missing = expected - without.decision_function(host.X)
    np.testing.assert_allclose(missing, np.tile(bias, (200, 1)), atol=1e-5)


def test_a_decoder_may_be_a_name_or_a_callable():
    host = HOSTS["mult_vae"]()
    called = TorchRecommender(
        host.model,
        encoder="encode",
        decoder=lambda module, U: module.decode(U),
        n_items=N_ITEMS,
    )
    expected = host.recommender.decision_function(host.X)
    np.testing.assert_array_equal(called.decision_function(host.X), expected)


def test_nonlinear_decode_is_no_product_with_any_items():
    host = HOSTS["mult_vae"]()
    assert host.recommender.has_nonlinear_decode
    assert not HOSTS["autoencoder"]().recommender.has_nonlinear_decode
    U = host.recommender.encode_users(host.X)
    scores = host.recommender.decode(U)
    affine = np.hstack([U, np.ones((len(U), 1))])
    fitted = affine @ np.linalg.lstsq(affine, scores, rcond=None)[0]
    assert np.abs(fitted - scores).max() > 0.01


@pytest.mark.parametrize("side", ["item", "both"])
def test_items_of_a_nonlinear_decoder_cannot_be_steered(side):
    host = HOSTS["mult_vae"]()
    model = SteeredRecommender(host.recommender, probe=PCA(2), side=side)
    with pytest.raises(ValueError, match=r"^`side` must be 'user' for a host with a"):
        model.fit(host.X)


@pytest.mark.parametrize("side", [None, "item"])
def test_items_of_a_nonlinear_decoder_have_no_offsets(side):
    host = HOSTS["mult_vae"]()
    model = SteeredRecommender(host.recommender, probe=PCA(2), rule="offset", side=side)
    with pytest.raises(ValueError, match=r"^`rule` must not be 'offset' for a host"):
        model.fit(host.X)
    # What the line says to do.
    model.set_params(rule="shift", side=None)
    assert model.fit(host.X).side_ == "user"


def test_results_are_memory_of_their_own(host):
    table = torch.ones(200, WIDTH)
    recommender = TorchRecommender(
        host.model, encoder=lambda module, rows: table, **ITEMS
    )
    recommender.encode_users(host.X)[:] = 5.0
    assert (table == 1).all()


def test_half_precision_results_become_float32(host):
    recommender = TorchRecommender(
        host.model,
        encoder=lambda module, rows: module.encode(rows).bfloat16(),
        **ITEMS,
    )
    U = recommender.encode_users(host.X)
    assert U.dtype == np.float32
    expected = host.recommender.encode_users(host.X)
    np.testing.assert_allclose(U, expected, rtol=0.01, atol=0.05)


def test_a_module_without_parameters_works():
    tables = torch.nn.Module()
    tables.register_buffer("items", torch.eye(3))
    recommender = TorchRecommender(
        tables, encoder=lambda module, rows: rows, item_embeddings="items"
    )
    assert recommender.recommend([[0.0, 2.0, 1.0]], 1).tolist() == [[0]]
    top = recommender.recommend([[0.0, 2.0, 1.0]], 2, exclude_seen=False)
    assert top.tolist() == [[1, 2]]


def test_fit_is_refused(host):
    with pytest.raises(ValueError, match=r"^`fit` must be called on an untrained host"):
        TorchRecommender(host.model, encoder="encode", **ITEMS).fit(host.X)


def test_a_clone_shares_the_module_and_not_the_parameters(host):
    recommender = TorchRecommender(host.model, encoder="encode", **ITEMS)
    before = recommender.predict(host.X)
    copied = clone(recommender)
    assert copied.module is host.model
    copied.set_params(item_bias=None, n_recommendations=4)
    assert recommender.n_recommendations == 10
    np.testing.assert_array_equal(recommender.predict(host.X), before)
    assert (copied.predict(host.X) != before[:, :4]).any()


def test_embeddings_that_are_no_numbers_are_refused():
    module = torch.nn.Linear(4, 3)
    with torch.no_grad():
        module.weight[1, 2] = torch.nan
    recommender = TorchRecommender(
        module,
        encoder=lambda module, rows: module(rows),
        item_embeddings=lambda module: module.weight.T,
    )
    with pytest.raises(
        ValueError, match=r"^`item_embeddings` must hold finite numbers"
    ):
        as_recommender(recommender)


def test_an_encoder_that_gives_no_numbers_gets_one_clear_line(host):
    recommender = TorchRecommender(
        host.model,
        encoder=lambda module, rows: module.encode(rows) * torch.nan,
        **ITEMS,
    )
    message = r"^`\w+` must [^\n]*it may have diverged"
    with pytest.raises(ValueError, match=message):
        recommender.predict(host.X)
    with pytest.raises(ValueError, match=message):
        SteeredRecommender(as_recommender(recommender), rule="shift", probe=PCA(2)).fit(
            host.X
        )


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({}, "`n_items` must be given where `item_embeddings` is None"),
        ({"batch_size": 0, **ITEMS}, "The 'batch_size' parameter"),
        ({"padding": "left", **ITEMS}, "The 'padding' parameter"),
        ({"inputs": "matrix", **ITEMS}, "The 'inputs' parameter"),
        ({"n_items": N_ITEMS + 1, "decoder": "decoder"}, "`X` must have one column"),
    ],
)
def test_bad_parameters_give_one_clear_line(host, params, message):
    recommender = TorchRecommender(host.model, encoder="encode", **params)
    with pytest.raises(ValueError, match=f"^{message}"):
        recommender.predict(host.X)


def test_items_must_be_named_where_they_are_asked_for():
    recommender = HOSTS["mult_vae"]().recommender
    with pytest.raises(AttributeError, match=r"^`item_embeddings` must be given"):
        _ = recommender.item_embeddings_


@pytest.mark.parametrize("name", ["item_embeddings", "item_bias", "encoder"])
def test_a_misspelt_name_gets_one_clear_line(name):
    params = {"encoder": "forward", "item_embeddings": "weight", name: "weigth"}
    host = TorchRecommender(torch.nn.Linear(6, 3), **params)
    with pytest.raises(ValueError, match=f"^`{name}` (and `decoder` )?must name"):
        as_recommender(host).predict(np.ones((1, 3)))


def test_items_that_were_trained_on_are_read_again():
    module = torch.nn.Linear(6, 3).double()
    host = TorchRecommender(
        module,
        encoder=lambda module, rows: rows @ module.weight,
        item_embeddings="weight",
    )
    before = host.item_embeddings_.copy()
    with torch.no_grad():
        module.weight += 1
    np.testing.assert_allclose(host.item_embeddings_, before + 1, rtol=1e-6)


def test_a_decoder_alone_does_not_tell_the_size_of_the_catalogue():
    host = TorchRecommender(
        torch.nn.Linear(6, 3), encoder="forward", decoder=lambda module, U: U
    )
    with pytest.raises(ValueError, match=r"^`n_items` must be given where"):
        as_recommender(host)
    with pytest.raises(AttributeError, match="`item_embeddings` must be given for"):
        _ = host.item_embeddings_
