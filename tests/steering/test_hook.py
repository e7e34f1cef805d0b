"""Steering inside a module's own forward pass, by the name of a layer."""

import copy
import pickle

import numpy as np
import pytest
import torch

from skpopsteer import (
    SparseAutoencoderProbe,
    SteeredRecommender,
    TorchRecommender,
    as_recommender,
)
from skpopsteer.adapters import LayerOutput
from skpopsteer.neurons import NeuronSubset, NeuronUnion, PopularityNeuronSelector
from skpopsteer.steering import steered
from skpopsteer.steering._encoded_users import EncodedUsers

PROBE = SparseAutoencoderProbe(32, k=4, max_iter=10, random_state=0)


class Towers(torch.nn.Module):
    """Users are encoded by one tower, and scored against a table of items."""

    def __init__(self):
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.encoder = torch.nn.Sequential(torch.nn.Linear(100, 8), torch.nn.Tanh())
        self.items = torch.nn.Linear(8, 100)
        for parameter in self.parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            parameter.data = 0.3 * noise

    def forward(self, rows):
        return self.items(self.encoder(rows))


class Sequences(torch.nn.Module):
    """A recurrent module: embeddings of every position, and a state beside them."""

    def __init__(self):
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.table = torch.nn.Embedding(101, 8)
        self.recurrent = torch.nn.GRU(8, 8, batch_first=True)
        for parameter in self.parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            parameter.data = 0.3 * noise

    def forward(self, ids):
        states, _ = self.recurrent(self.table(ids))
        return states @ self.table.weight[1:].T


@pytest.fixture(scope="module")
def towers():
    return Towers().eval()


@pytest.fixture(scope="module")
def model(towers, interactions):
    host = TorchRecommender(
        towers,
        encoder=LayerOutput("encoder"),
        item_embeddings="items.weight",
        item_bias="items.bias",
    )
    return SteeredRecommender(
        as_recommender(host), rule="shift", probe=PROBE, strength=2.0, random_state=0
    ).fit(interactions)


@pytest.fixture(scope="module")
def rows(interactions):
    return torch.from_numpy(interactions.toarray()).float()


def scores(module, rows):
    with torch.no_grad():
        return module(rows).numpy()


@pytest.mark.parametrize("strength", [None, 0.5, -1.0])
@pytest.mark.parametrize("layer", ["encoder", "encoder.1"])
def test_the_module_gives_the_scores_of_the_model(
    towers, model, rows, interactions, strength, layer
):
    expected = copy.copy(model)
    if strength is not None:
        expected.set_params(strength=strength)
    with steered(towers, layer, model, strength=strength) as same:
        assert same is towers
        inside = scores(towers, rows)
    wanted = expected.decision_function(interactions)
    np.testing.assert_allclose(inside, wanted, atol=1e-5)
    assert np.abs(inside - scores(towers, rows)).max() > 1e-3


def test_nothing_is_left_behind(towers, model, rows):
    before = scores(towers, rows)
    weights = [parameter.clone() for parameter in towers.parameters()]
    with pytest.raises(RuntimeError, match="boom"), steered(towers, "encoder", model):
        raise RuntimeError("boom")
    np.testing.assert_array_equal(scores(towers, rows), before)
    assert not towers.encoder._forward_hooks
    for old, new in zip(weights, towers.parameters(), strict=True):
        assert torch.equal(old, new)


def test_strength_zero_changes_no_bit(towers, model, rows):
    before = scores(towers, rows)
    with steered(towers, "encoder", model, strength=0):
        np.testing.assert_array_equal(scores(towers, rows), before)


def test_gradients_pass_through(towers, model, rows):
    inputs = rows[:5].clone().requires_grad_()
    (plain,) = torch.autograd.grad(towers(inputs).sum(), inputs)
    with steered(towers, "encoder", model):
        (turned,) = torch.autograd.grad(towers(inputs).sum(), inputs)
    torch.testing.assert_close(turned, plain)


def test_other_types_and_half_precision(towers, model, rows):
    half = copy.deepcopy(towers).bfloat16()
    with steered(half, "encoder", model), torch.no_grad():
        inside = half(rows.bfloat16())
    with steered(towers, "encoder", model):
        wanted = scores(towers, rows)
    assert inside.dtype == torch.bfloat16
    # Rounded embeddings keep other neurons here and there.
    near = np.abs(inside.float().numpy() - wanted) < 0.05
    assert near.mean() > 0.95


def test_all_positions_of_a_sequence_and_outputs_with_a_state(interactions):
    module = Sequences().eval()
    X = interactions.copy()
    X.data = np.random.default_rng(0).permutation(X.nnz) + 1.0
    host = TorchRecommender(
        module,
        encoder=LayerOutput("recurrent", position=-1),
        item_embeddings="table.weight",
        inputs="sequences",
        padding_side="left",
        max_length=10,
    )
    model = SteeredRecommender(
        as_recommender(host), rule="shift", probe=PROBE, strength=2.0, random_state=0
    ).fit(X)
    sequences = np.full((3, 10), -1)
    sequences[0, :4], sequences[1, :10], sequences[2, :1] = 7, np.arange(10), 50
    encoded = EncodedUsers(model.recommender_.encode_sequences(sequences), None)
    moved = model._steer_users(encoded, model._turn(None)[0])
    expected = model.recommender_.decode(moved)
    ids = np.sort(sequences + 1, axis=1)
    ids[1] = np.arange(1, 11)
    with steered(module, "recurrent", model):
        inside = scores(module, torch.from_numpy(ids))
    assert inside.shape == (3, 10, 100)
    np.testing.assert_allclose(inside[:, -1], expected, atol=1e-5)


def test_knobs_by_name(towers, model, rows, interactions):
    union = NeuronUnion(
        [("chosen", NeuronSubset([3])), ("popularity", PopularityNeuronSelector())]
    )
    several = SteeredRecommender(
        model.recommender, probe=PROBE, selector=union, random_state=0
    ).fit(interactions)
    with steered(towers, "encoder", several, strength={"chosen": 1.5}):
        inside = scores(towers, rows)
    lists = several.recommend(
        interactions, strength={"chosen": 1.5}, exclude_seen=False
    )
    np.testing.assert_array_equal(np.argsort(-inside, axis=1)[:, :10], lists)


def test_a_layer_as_an_encoder_is_pickled_and_shown():
    output = LayerOutput("encoder", position=-1)
    again = pickle.loads(pickle.dumps(output))
    assert repr(again) == "LayerOutput('encoder', position=-1)"
    assert repr(LayerOutput("0")) == "LayerOutput('0')"


def test_bad_layers_are_named(towers, model, rows):
    line = r"^`layer` must name a submodule; got 'nope'\. Some are '', 'encoder', "
    with pytest.raises(ValueError, match=line), steered(towers, "nope", model):
        pass
    with pytest.raises(ValueError, match=line):
        LayerOutput("nope")(towers, rows)
    line = r"^`layer` must put out embeddings of width 8, which .*; got 100\. Name"
    with pytest.raises(ValueError, match=line), steered(towers, "items", model):
        towers(rows)
    towers_with_more = copy.deepcopy(towers)
    towers_with_more.unused = torch.nn.Linear(2, 2)
    with pytest.raises(ValueError, match=r"^`layer` must run in the module's forward"):
        LayerOutput("unused")(towers_with_more, rows)


@pytest.mark.parametrize(
    ("params", "line"),
    [
        ({"keep_top": 2}, r"^`keep_top` must be 0 to steer embeddings by themselves"),
        ({"user_strength": "profile"}, r"^`user_strength` must be None to steer em"),
    ],
)
def test_knobs_a_layer_cannot_see_are_refused(towers, model, params, line):
    other = copy.copy(model).set_params(**params)
    with pytest.raises(ValueError, match=line), steered(towers, "encoder", other):
        pass


def test_the_item_side_is_refused(towers, model, interactions):
    items = SteeredRecommender(
        model.recommender, probe=PROBE, side="both", random_state=0
    ).fit(interactions)
    with (
        pytest.raises(ValueError, match=r"^`side` must be 'user' to steer embed"),
        steered(towers, "encoder", items),
    ):
        pass
