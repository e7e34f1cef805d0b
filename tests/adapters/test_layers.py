"""A layer is read while the module runs, and what cannot be read is said."""

import pytest
import torch

from skpopsteer.adapters import LayerOutput


class Module(torch.nn.Module):
    """A recurrent layer, a head on its last state, and a layer that never runs."""

    def __init__(self):
        super().__init__()
        self.recurrent = torch.nn.GRU(3, 4, batch_first=True)
        self.head = torch.nn.Linear(4, 2)
        self.unused = torch.nn.Linear(3, 3)

    def forward(self, batch):
        states, _ = self.recurrent(batch)
        return self.head(states[:, -1])


@pytest.fixture
def module():
    torch.manual_seed(0)
    return Module().eval()


@pytest.fixture
def batch():
    return torch.arange(30, dtype=torch.float32).reshape(2, 5, 3) / 30


@pytest.mark.parametrize("position", [0, 3, 4, -1, -5])
def test_the_first_of_several_outputs_is_taken_at_a_position(module, batch, position):
    with torch.no_grad():
        output = LayerOutput("recurrent", position=position)(module, batch)
        states, _ = module.recurrent(batch)
    assert torch.equal(output, states[:, position])


def test_without_a_position_the_whole_output_is_taken(module, batch):
    with torch.no_grad():
        whole = LayerOutput("recurrent")(module, batch)
        assert torch.equal(LayerOutput("head")(module, batch), module(batch))
    assert whole.shape == (2, 5, 4)


def test_nothing_is_left_on_the_module(module, batch):
    LayerOutput("head")(module, batch)
    with pytest.raises(RuntimeError):
        LayerOutput("head")(module, batch[..., :2])
    assert not module.head._forward_hooks


@pytest.mark.parametrize(
    ("layer", "position", "message"),
    [
        ("tail", None, "`layer` must name a submodule; got 'tail'. .*'head', 'unused'"),
        (3, None, "`layer` must name a submodule; got 3"),
        ("unused", None, "`layer` must run in .*; 'unused' did not"),
        ("recurrent", 5, r"`position` must be one of the 5 positions .*; got 5"),
        ("recurrent", -6, r"of shape \(2, 5, 4\); got -6"),
        ("recurrent", True, "got True. Leave it out for one embedding a row"),
        ("recurrent", 1.0, "`position` must be one of the 5 positions"),
        ("head", 0, r"one of the 0 positions .* of shape \(2, 2\); got 0"),
    ],
)
def test_what_cannot_be_read_is_said(module, batch, layer, position, message):
    with pytest.raises(ValueError, match=message):
        LayerOutput(layer, position=position)(module, batch)


def test_it_is_shown_as_it_is_made():
    assert repr(LayerOutput("head")) == "LayerOutput('head')"
    assert repr(LayerOutput("0", position=-1)) == "LayerOutput('0', position=-1)"
