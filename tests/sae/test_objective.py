"""The auxiliary loss: its sign, its target and who counts as dead."""

import numpy as np
import pytest
import torch

from skpopsteer.sae._objective import (
    auxiliary_loss,
    decode_sparse,
    reconstruction_loss,
)
from skpopsteer.sae._training import Trainer


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(0)
    pre = torch.randn(8, 6, generator=generator)
    residual = torch.randn(8, 3, generator=generator)
    decoder = torch.randn(6, 3, generator=generator)
    return pre, residual, decoder


def test_sparse_decoding_is_the_dense_product(batch):
    pre, _, decoder = batch
    values, neurons = pre.topk(2, dim=1)
    dense = torch.zeros_like(pre).scatter(1, neurons, values)
    torch.testing.assert_close(decode_sparse(values, neurons, decoder), dense @ decoder)


def test_reconstruction_loss_is_a_share_of_the_given_variance(batch):
    residual = batch[1]
    expected = (residual**2).sum() / 8 / 3.0
    torch.testing.assert_close(reconstruction_loss(residual, 3.0), expected)


def test_auxiliary_loss_follows_its_formula(batch):
    pre, residual, decoder = batch
    dead = torch.tensor([True, False, True, True, False, False])
    # Three dead neurons, 2d = 6: all three are used, and c = 3 / 6.
    explained = torch.relu(pre[:, dead]) @ decoder[dead]
    expected = 0.5 * ((explained - residual) ** 2).sum() / 8 / 3.0
    torch.testing.assert_close(
        auxiliary_loss(pre, residual, decoder, dead, 3.0), expected
    )


def test_it_is_lowest_when_the_dead_explain_the_residual_and_not_its_negative():
    decoder = torch.tensor([[1.0, 0.0]])
    dead = torch.tensor([True])
    pre = torch.tensor([[2.0]])
    target = torch.tensor([[2.0, 0.0]])
    right = auxiliary_loss(pre, target, decoder, dead, 1.0)
    wrong = auxiliary_loss(pre, -target, decoder, dead, 1.0)
    assert float(right) == 0
    assert float(wrong) > 1


def test_no_gradient_flows_into_the_target(batch):
    pre, residual, decoder = (tensor.requires_grad_() for tensor in batch)
    dead = torch.ones(6, dtype=torch.bool)
    auxiliary_loss(pre, residual, decoder, dead, 1.0).backward()
    assert residual.grad is None
    assert float(decoder.grad.abs().sum()) > 0


def test_it_is_zero_when_nothing_is_dead(batch):
    assert float(auxiliary_loss(*batch, torch.zeros(6, dtype=torch.bool), 1.0)) == 0


def _trainer(rows, **params):
    settings = {"n_neurons": 64, "k": 2, "aux_penalty": 1 / 32, "learning_rate": 1e-2}
    settings |= {"batch_size": 50, "device": "cpu", "seed": 0, **params}
    return Trainer(rows, **settings)


def test_a_neuron_kept_at_zero_does_not_count_as_alive():
    rows = np.random.default_rng(0).normal(size=(50, 4)).astype(np.float32)
    trainer = _trainer(rows, n_neurons=4, k=4, batch_size=5)
    with torch.no_grad():
        # TopK keeps all four, but the last never has a positive value.
        trainer.encoder_bias[3] = -100.0
    for _ in range(10):
        trainer.epoch(rows)
    assert trainer.dead().tolist() == [False, False, False, True]


def test_following_it_makes_the_dead_explain_the_residual(batch):
    pre, residual, decoder = (tensor.clone().requires_grad_() for tensor in batch)
    dead = torch.ones(6, dtype=torch.bool)
    optimizer = torch.optim.SGD([pre, decoder], lr=0.2)
    for _ in range(300):
        optimizer.zero_grad()
        auxiliary_loss(pre, residual, decoder, dead, 1.0).backward()
        optimizer.step()
    explained = (torch.relu(pre) @ decoder).detach()
    cosine = torch.nn.functional.cosine_similarity(
        explained.ravel(), residual.detach().ravel(), dim=0
    )
    assert float(cosine) > 0.9


def test_a_state_that_is_put_back_gives_the_same_next_epoch():
    rows = np.random.default_rng(0).normal(size=(300, 4)).astype(np.float32)
    trainer = _trainer(rows)
    trainer.epoch(rows)
    other = _trainer(rows, seed=5)
    other.resume(trainer.state())
    assert other.epoch(rows) == trainer.epoch(rows)
    assert np.array_equal(other.weights().decoder, trainer.weights().decoder)
