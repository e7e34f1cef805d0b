"""Bridges to hosts: tables of any form, or one clear line."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.decomposition import NMF, PCA, TruncatedSVD

from skpopsteer.adapters import (
    CornacRecommender,
    DecompositionRecommender,
    ElsaRecommender,
    ImplicitRecommender,
    LayerOutput,
    TorchRecommender,
    as_recommender,
    rows_to_sequences,
)
from tests.fuzz.budget import examples
from tests.fuzz.calls import Refusal, answer, attempt, refusal
from tests.fuzz.covering import covers
from tests.fuzz.models import N_ITEMS, TRAIN, table_host
from tests.fuzz.strategies import (
    NONSENSE,
    bad_counts,
    bad_matrices,
    bad_tables,
    dense_forms,
    generators,
    good_tables,
    histories,
    nonsense,
    shape_of,
    shapes,
    sparse_forms,
)


@covers("adapters.ArrayRecommender", "adapters.as_recommender")
@examples(120)
@given(
    n_users=st.integers(1, 5),
    n_items=st.integers(1, 9),
    width=st.integers(1, 4),
    biased=st.booleans(),
    n=st.integers(1, 12),
    data=st.data(),
)
def test_tables(n_users, n_items, width, biased, n, data):
    U_form, U = data.draw(good_tables(n_users, width))
    V_form, V = data.draw(good_tables(n_items, width))
    model = (U_form, V_form)
    bias = np.arange(n_items) / 4 if biased else np.zeros(n_items)
    if biased:
        model = (*model, data.draw(dense_forms(bias, ("float64", "float32"))))
    host = answer(as_recommender, model)
    X = np.zeros((n_users, n_items))
    scores = answer(host.decision_function, X, np.arange(n_users))
    wanted = U.astype(np.float32) @ V.astype(np.float32).T + bias.astype(np.float32)
    assert_allclose(scores, wanted, rtol=1e-4, atol=1e-3)
    ids, of_ids = answer(
        host.recommend, X, n, user_ids=np.arange(n_users), return_scores=True
    )
    for row, given_scores, every in zip(ids, of_ids, scores, strict=True):
        order = sorted(range(n_items), key=lambda i: (-every[i], i))[:n]
        assert row[row >= 0].tolist() == order
        assert_array_equal(given_scores[row >= 0], every[order])


@examples(200)
@given(odd=nonsense(), which=st.integers(0, 2), data=st.data())
def test_tables_refuse(odd, which, data):
    model = [np.eye(4, 2), np.eye(5, 2), np.zeros(5)]
    strange = data.draw(bad_tables(5, 2))
    for value in (odd, strange):
        broken = list(model)
        broken[which] = value
        result = attempt(as_recommender, tuple(broken))
        assert isinstance(result, Refusal) or value is None or shape_of(value) == ()
    refusal(as_recommender, tuple(model[:1]))
    refusal(as_recommender, odd)
    refusal(as_recommender, (np.eye(4, 2), np.eye(5, 3)))
    refusal(as_recommender, (np.eye(4, 2), np.eye(5, 2), np.zeros(4)))


@examples(60)
@given(odd=nonsense(), data=st.data())
def test_decode_refuses(odd, data):
    host = table_host()
    refusal(host.decode, odd)
    refusal(host.decode, data.draw(bad_tables(3, 4)))
    refusal(host.decode, np.ones((2, 5)))


@covers(
    "adapters.DecompositionRecommender",
    "adapters.ImplicitRecommender",
    "adapters.CornacRecommender",
    "adapters.ElsaRecommender",
)
@examples(60)
@given(odd=nonsense(), n=bad_counts(), which=st.integers(0, 3))
def test_bridges_refuse_other_models(odd, n, which):
    bridge = [
        DecompositionRecommender,
        ImplicitRecommender,
        CornacRecommender,
        ElsaRecommender,
    ]
    attempt(bridge[which](odd).fit, TRAIN)
    attempt(as_recommender, bridge[which](odd))
    svd = TruncatedSVD(2, random_state=0)
    if n is not True:
        refusal(DecompositionRecommender(svd, n_recommendations=n).fit, TRAIN)


@pytest.mark.parametrize(
    "make",
    [
        lambda: TruncatedSVD(2, random_state=0),
        lambda: PCA(2),
        lambda: NMF(2, max_iter=50),
    ],
    ids=["svd", "pca", "nmf"],
)
@examples(10, times_longer=20)
@given(shape=shapes(min_users=1), data=st.data())
def test_decompositions_of_any_rows(make, shape, data):
    dense = data.draw(histories(shape, ("ones", "counts")))
    X = data.draw(sparse_forms(dense))
    host = DecompositionRecommender(make())
    if isinstance(attempt(host.fit, X), Refusal):
        return
    scores = attempt(host.decision_function, X)
    if not isinstance(scores, Refusal):
        assert scores.shape == shape
        assert np.isfinite(scores).all()


@covers("adapters.rows_to_sequences")
@examples(120)
@given(
    shape=shapes(),
    max_length=st.integers(1, 12),
    odd=nonsense(int, bool),
    data=st.data(),
)
def test_rows_to_sequences(shape, max_length, odd, data):
    rng = data.draw(generators())
    dense = np.where(data.draw(histories(shape)) > 0, rng.integers(1, 9, shape), 0)
    sequences = answer(rows_to_sequences, data.draw(sparse_forms(dense)), max_length)
    for row, of_user in zip(sequences, dense, strict=True):
        held = np.flatnonzero(of_user)
        order = sorted(held.tolist(), key=lambda i: (of_user[i], i))[-max_length:]
        assert row.tolist() == order + [-1] * (max_length - len(order))
    refusal(rows_to_sequences, dense, odd)
    refusal(rows_to_sequences, dense, 0)
    if shape[0]:
        refusal(rows_to_sequences, data.draw(bad_matrices(shape)))


def _module():
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(N_ITEMS, 3), torch.nn.Linear(3, N_ITEMS))


MODULE = _module()
GOOD = {
    "encoder": LayerOutput("0"),
    "item_embeddings": "1.weight",
    "item_bias": "1.bias",
}


@covers("adapters.TorchRecommender", "adapters.LayerOutput")
@examples(80)
@given(
    name=st.sampled_from(
        [
            "module",
            "encoder",
            "item_embeddings",
            "item_bias",
            "decoder",
            "n_items",
            "inputs",
            "max_length",
            "padding",
            "padding_side",
            "batch_size",
            "n_recommendations",
        ]
    ),
    odd=st.sampled_from([*NONSENSE, "0.weight", "1", 2, 3, np.int8(4)]),
    data=st.data(),
)
def test_torch_host(name, odd, data):
    dense = data.draw(histories((3, N_ITEMS), ("ones",)))
    host = as_recommender(TorchRecommender(MODULE, **GOOD))
    scores = answer(host.decision_function, dense)
    with torch.no_grad():
        wanted = MODULE(torch.from_numpy(dense).float()).numpy()
    assert_allclose(scores, wanted, rtol=1e-4, atol=1e-5)
    if callable(odd):
        return
    arguments = {"module": MODULE} | GOOD | {name: odd}
    broken = attempt(as_recommender, TorchRecommender(**arguments))
    if not isinstance(broken, Refusal):
        attempt(broken.recommend, dense)


@examples(40)
@given(
    layer=st.sampled_from([*NONSENSE, "2", "0.weight"]),
    position=st.sampled_from(NONSENSE),
)
def test_layer_output(layer, position):
    batch = torch.zeros(2, N_ITEMS)
    if not isinstance(layer, str) or layer:
        refusal(LayerOutput(layer), MODULE, batch)
    attempt(LayerOutput("0", position=position), MODULE, batch)
