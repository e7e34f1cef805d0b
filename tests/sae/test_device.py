"""Every device gives the same answer: the way that needs no numpy, and CUDA itself."""

import numpy as np
import pytest
import torch

from skpopsteer.sae import SparseAutoencoderProbe, _codes
from skpopsteer.sae._rows import ArrayRows
from skpopsteer.sae._training import Settings, Trainer

ACTIVATIONS = ["topk", "batch_topk", "jumprelu", "relu"]


def rows():
    rng = np.random.default_rng(0)
    atoms = rng.normal(size=(24, 8))
    X = rng.exponential(size=(600, 24)) * (rng.random((600, 24)) < 0.1)
    return (X @ atoms + 0.1 * rng.normal(size=(600, 8))).astype(np.float32)


def trained(activation, n_epochs=3, **params):
    X = ArrayRows(rows())
    settings = Settings(
        32, 3, activation=activation, batch_size=64, sparsity_penalty=0.1, **params
    )
    trainer = Trainer(X, settings, 0)
    losses = [trainer.epoch(X) for _ in range(n_epochs)]
    return losses, trainer


def assert_alike(ours, theirs):
    np.testing.assert_allclose(ours[0], theirs[0], rtol=1e-3)
    ours, theirs = ours[1].weights(), theirs[1].weights()
    for name in ("encoder", "encoder_bias", "decoder", "decoder_bias"):
        one, other = getattr(ours, name), getattr(theirs, name)
        assert isinstance(one, np.ndarray)
        np.testing.assert_allclose(one, other, atol=2e-3, err_msg=name)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_the_way_of_other_devices_gives_the_weights_of_the_cpu(monkeypatch, activation):
    by_numpy = trained(activation)
    calls = []
    monkeypatch.setattr(_codes, "on_cpu", lambda values: calls.append(1) and False)
    assert_alike(trained(activation), by_numpy)
    assert bool(calls) == (activation != "relu")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_cuda_gives_the_weights_of_the_cpu(activation):
    on_cuda = trained(activation, device="cuda")
    assert_alike(on_cuda, trained(activation))
    again = Trainer(ArrayRows(rows()), on_cuda[1].settings, 5)
    again.resume(on_cuda[1].state())
    X = ArrayRows(rows())
    assert again.epoch(X) == pytest.approx(on_cuda[1].epoch(X), rel=1e-3)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
def test_a_probe_of_cuda_is_numpy_and_as_good():
    probes = [
        SparseAutoencoderProbe(32, k=3, max_iter=20, device=device, random_state=0)
        for device in ("cpu", "cuda")
    ]
    on_cpu, on_cuda = (probe.fit(rows()) for probe in probes)
    assert isinstance(on_cuda.decoder_weights_, np.ndarray)
    assert on_cuda.fvu_ == pytest.approx(on_cpu.fvu_, rel=0.02)
