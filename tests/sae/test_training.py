"""Gradients written by hand are autograd's; the auxiliary loss pulls the right way."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from skpopsteer.sae._rows import ArrayRows
from skpopsteer.sae._training import Settings, Trainer


def rows(n=64, d=8, seed=0):
    return np.random.default_rng(seed).normal(size=(n, d)).astype(np.float32) + 0.5


def trainer_of(X, **params):
    settings = {"n_neurons": 24, "k": 3, "batch_size": 64, **params}
    trainer = Trainer(ArrayRows(X), Settings(**settings), 0)
    generator = torch.Generator().manual_seed(0)
    for parameter in (trainer.encoder_bias, trainer.decoder_bias):
        parameter.normal_(0, 0.1, generator=generator)
    return trainer


def by_hand(trainer, batch):
    with torch.no_grad():
        centred = batch - trainer.decoder_bias
        pre = torch.addmm(trainer.encoder_bias, centred, trainer.encoder.T)
        codes = trainer.activation.select(pre)
        for parameter in trainer.parameters:
            parameter.grad = None
        loss = trainer._learn(batch, centred, pre, codes)
    return loss, [parameter.grad for parameter in trainer.parameters]


def autograd(trainer, batch, objective):
    copies = [p.detach().clone().requires_grad_() for p in trainer.parameters]
    encoder, encoder_bias, decoder, decoder_bias = copies[:4]
    pre = functional.linear(batch - decoder_bias, encoder, encoder_bias)
    loss = objective(pre, decoder, decoder_bias)
    loss.backward()
    return float(loss.detach()), [copy.grad for copy in copies]


def top_k(pre, k):
    values, neurons = pre.topk(k, dim=1)
    return torch.zeros_like(pre).scatter(1, neurons, values.relu())


def squared(batch, output):
    return (output - batch).pow(2).sum() / batch.numel()


def cosine(offset):
    def loss(batch, output):
        pairs = batch + offset, output + offset
        return (1 - functional.cosine_similarity(*pairs)).mean()

    return loss


def assert_same(trainer, batch, objective):
    loss, gradients = by_hand(trainer, batch)
    expected, expected_gradients = autograd(trainer, batch, objective)
    assert loss == pytest.approx(expected, rel=1e-5)
    for ours, theirs in zip(gradients[:4], expected_gradients[:4], strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("loss", ["squared", "cosine", "prediction"])
def test_gradients_of_a_loss(loss):
    X = rows()
    V = np.random.default_rng(1).normal(size=(30, 8)) * [3, 1, 1, 1, 1, 1, 1, 0.1]
    items = V if loss == "prediction" else None
    trainer = trainer_of(X, loss=loss, aux_penalty=0.0, item_embeddings=items)
    batch = trainer.scaled(X)
    metric = torch.tensor(V.T @ V, dtype=torch.float32)
    losses = {
        "squared": squared,
        "cosine": cosine(torch.tensor(trainer.shift / trainer.scale).float()),
        # Errors of all scores, as a share of the variance of all scores.
        "prediction": lambda x, y: (
            ((y - x) @ metric * (y - x)).sum() / (x @ metric * x).sum()
        ),
    }
    assert_same(
        trainer,
        batch,
        lambda pre, D, b: losses[loss](batch, top_k(pre, 3) @ D + b),
    )


def test_prediction_error_is_that_of_all_scores():
    X, V = rows(), np.random.default_rng(1).normal(size=(30, 8))
    trainer = trainer_of(X, loss="prediction", item_embeddings=V)
    y = rows(seed=5)
    value, _ = trainer.loss(trainer.scaled(X), trainer.scaled(y))
    centred = X - X.mean(axis=0)
    expected = (((X - y) @ V.T) ** 2).sum() / ((centred @ V.T) ** 2).sum()
    assert value == pytest.approx(float(expected), rel=1e-4)


@pytest.mark.parametrize("n_dead", [4, 24])
def test_gradients_with_dead_neurons(n_dead):
    X = rows()
    trainer = trainer_of(X, aux_penalty=0.3)
    trainer.silent_for[:n_dead] = trainer.window
    dead = trainer.dead()
    batch = trainer.scaled(X)

    def objective(pre, decoder, bias):
        residual = batch - top_k(pre, 3) @ decoder - bias
        k = min(16, n_dead)
        explained = top_k(pre[:, dead], k) @ decoder[dead]
        # Its target is held constant.
        error = squared(residual.detach(), explained)
        return squared(batch, batch - residual) + 0.3 * min(n_dead / 16, 1) * error

    assert_same(trainer, batch, objective)


def test_gradients_of_nested_dictionaries():
    X = rows()
    trainer = trainer_of(X, sizes=(4, 10, 24), aux_penalty=0.0)
    batch = trainer.scaled(X)

    def objective(pre, decoder, bias):
        Z = top_k(pre, 3)
        parts = [Z[:, :n] @ decoder[:n] + bias for n in (4, 10, 24)]
        return sum(squared(batch, part) for part in parts) / 3

    assert_same(trainer, batch, objective)


def test_gradients_of_the_l1_penalty():
    X = rows()
    trainer = trainer_of(
        X, activation="relu", sparsity_penalty=0.5, aux_penalty=0.0
    )  # fmt: skip
    batch = trainer.scaled(X)

    def objective(pre, decoder, bias):
        Z = pre.relu()
        l1 = 0.5 / 8**0.5 * Z.sum(1).mean()
        return squared(batch, Z @ decoder + bias) + l1

    assert_same(trainer, batch, objective)


def test_gradients_of_a_batch():
    X = rows()
    trainer = trainer_of(X, activation="batch_topk", aux_penalty=0.0)
    batch = trainer.scaled(X)

    def objective(pre, decoder, bias):
        kept = pre.detach().flatten().topk(3 * 64).values[-1]
        Z = torch.where(pre >= kept, pre, 0.0)
        return squared(batch, Z @ decoder + bias)

    assert_same(trainer, batch, objective)


def test_thresholds_learn_by_the_papers_estimate():
    X = rows()
    trainer = trainer_of(
        X, activation="jumprelu", sparsity_penalty=2.0, aux_penalty=0.0
    )
    trainer.activation.bandwidth = width = 0.4
    batch = trainer.scaled(X)
    loss, gradients = by_hand(trainer, batch)
    log_threshold = trainer.activation.log_threshold
    pre = functional.linear(
        batch - trainer.decoder_bias, trainer.encoder, trainer.encoder_bias
    )
    threshold = log_threshold.exp()
    Z = torch.where(pre > threshold, pre, 0.0)
    output = Z @ trainer.decoder + trainer.decoder_bias
    l0 = float((Z > 0).sum()) / 64
    expected = float(squared(batch, output)) + 2.0 * (l0 / 3 - 1) ** 2
    assert loss == pytest.approx(expected, rel=1e-5)
    by_value = (2 * (output - batch) / batch.numel()) @ trainer.decoder.T
    window = ((pre - threshold).abs() < width / 2) / width
    by_count = 4.0 * (l0 / 3 - 1) / 3 / 64
    by_threshold = -(window * (threshold * by_value + by_count)).sum(0)
    torch.testing.assert_close(
        gradients[4], by_threshold * threshold, rtol=1e-4, atol=1e-6
    )


def test_the_dead_move_along_the_residual():
    """One neuron lives and explains a part of x; the dead one fires on the rest."""
    X = np.tile(np.array([[1.0, 0.6]], np.float32), (50, 1))
    X += np.random.default_rng(0).normal(scale=0.01, size=X.shape).astype(np.float32)
    trainer = trainer_of(X, n_neurons=2, k=1, aux_penalty=1.0)
    trainer.shift, trainer.scale = np.zeros(2), 1.0
    unit = torch.tensor([[1.0, 0.0], [0.8, 0.6]])
    trainer.decoder.copy_(unit)
    trainer.encoder.copy_(torch.tensor([[1.0, 0.0], [0.3, 0.3]]))
    trainer.encoder_bias.zero_()
    trainer.decoder_bias.zero_()
    trainer.window = 10**9
    trainer.silent_for[1] = 10**9
    residual = torch.tensor([0.0, 1.0])
    before = float(trainer.decoder[1] @ residual)
    with torch.no_grad():
        for _ in range(200):
            trainer.decoder[0], trainer.encoder[0] = unit[0], unit[0]
            trainer.decoder_bias.zero_()
            trainer.silent_for[1] = 10**9
            trainer.step(trainer.scaled(X))
    assert float(trainer.decoder[1] @ residual) > before + 0.1


def test_directions_keep_their_length_after_every_step():
    X = rows(300)
    trainer = trainer_of(X)
    for _ in range(3):
        trainer.epoch(ArrayRows(X))
        lengths = trainer.decoder.norm(dim=1)
        torch.testing.assert_close(lengths, torch.ones(24), rtol=0, atol=1e-6)


def test_a_neuron_kept_at_zero_does_not_count_as_alive():
    X = rows(50, 4)
    trainer = trainer_of(X, n_neurons=4, k=4, batch_size=5, learning_rate=1e-2)
    # TopK keeps all four, but the last never has a positive value.
    trainer.encoder_bias[3] = -100.0
    for _ in range(10):
        trainer.epoch(ArrayRows(X))
    assert trainer.dead().tolist() == [False, False, False, True]


@pytest.mark.parametrize("activation", ["topk", "batch_topk", "jumprelu", "relu"])
def test_a_state_that_is_put_back_gives_the_same_next_epoch(activation):
    X = rows(300)
    params = {"activation": activation, "sparsity_penalty": 0.1}
    trainer = trainer_of(X, **params)
    trainer.epoch(ArrayRows(X))
    other = Trainer(ArrayRows(X), Settings(24, 3, batch_size=64, **params), 5)
    other.resume(trainer.state())
    assert other.epoch(ArrayRows(X)) == trainer.epoch(ArrayRows(X))
    ours, theirs = trainer.weights(), other.weights()
    np.testing.assert_array_equal(ours.decoder, theirs.decoder)
    np.testing.assert_array_equal(ours.encoder_bias, theirs.encoder_bias)
    assert str(ours.threshold) == str(theirs.threshold)


def test_zero_codes_leave_the_whole_variance():
    X = rows(200)
    trainer = trainer_of(X)
    trainer.encoder_bias.fill_(-100.0)
    trainer.decoder_bias.zero_()
    assert trainer.fvu(X) == pytest.approx(1.0, rel=1e-5)


def test_a_perfect_reconstruction_leaves_nothing():
    """Features and their negatives are the directions, the rows are their own codes."""
    X = rows(100, 4)
    trainer = trainer_of(X, n_neurons=8, k=4)
    axes = torch.cat([torch.eye(4), -torch.eye(4)])
    trainer.encoder.copy_(axes)
    trainer.decoder.copy_(axes)
    trainer.encoder_bias.zero_()
    trainer.decoder_bias.zero_()
    assert trainer.fvu(X) == pytest.approx(0.0, abs=1e-10)


@pytest.mark.parametrize(("decay", "vanish"), [(0.0, False), (1e-6, True)])
def test_rows_of_silent_neurons_vanish_by_decay_inside_adam_only(decay, vanish):
    """Adam rescales a gradient of 1e-6 w to full steps: a silent neuron is lost."""
    X = rows(256)
    trainer = trainer_of(X, aux_penalty=0.0, learning_rate=1e-2)
    trainer.optimizer.param_groups[0]["weight_decay"] = decay
    trainer.encoder_bias[:5] = -100.0
    before = trainer.encoder[:5].norm(dim=1)
    for _ in range(60):
        trainer.epoch(ArrayRows(X))
    after = trainer.encoder[:5].norm(dim=1)
    if vanish:
        assert (after < 0.1 * before).all()
    else:
        torch.testing.assert_close(after, before)
