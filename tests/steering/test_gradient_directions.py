"""Closed forms against autograd, and the identities that hold among them."""

from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from implicit.als import AlternatingLeastSquares
from scipy.sparse import csr_array, csr_matrix
from scipy.stats import chisquare
from threadpoolctl import threadpool_limits
from torch.nn.functional import logsigmoid, softplus

from skpopsteer import as_recommender
from skpopsteer.steering import _gradient_directions as directions
from skpopsteer.steering import _gradient_sums as sums

N_USERS, N_ITEMS, D = 9, 13, 4
EMPTY, FULL = 2, 5


@pytest.fixture(scope="module")
def X():
    """Interactions with values, one user without any and one with all."""
    rng = np.random.default_rng(0)
    held = rng.random((N_USERS, N_ITEMS)) < np.linspace(0.7, 0.1, N_ITEMS)
    held[EMPTY], held[FULL] = False, True
    return csr_array(held * rng.integers(1, 4, size=held.shape).astype(float))


@pytest.fixture(scope="module")
def tables():
    rng = np.random.default_rng(1)
    return rng.normal(size=(N_USERS, D)), rng.normal(size=(N_ITEMS, D))


@pytest.fixture(scope="module", params=[False, True], ids=["plain", "bias"])
def bias(request):
    return np.random.default_rng(2).normal(size=N_ITEMS) if request.param else None


def leaf(table):
    return torch.tensor(table, requires_grad=True)


class Autograd:
    """Gradients of a loss of scores by users, and by items in either role."""

    def __init__(self, loss, U, V, bias):
        self.users, self.held, self.free = leaf(U), leaf(V), leaf(V)
        added = np.zeros(len(V)) if bias is None else bias
        self.bias_held, self.bias_free = leaf(added), leaf(added)
        loss(
            self.users @ self.held.T + self.bias_held,
            self.users @ self.free.T + self.bias_free,
        ).backward()

    def check(self, positive, negative, U, V):
        """Compare with derivatives by the scores."""
        both = positive + negative
        for by_score, role, bias_of_role in (
            (positive, self.held, self.bias_held),
            (negative, self.free, self.bias_free),
        ):
            close(by_score.T @ U, role.grad)
            close(by_score.sum(axis=0), bias_of_role.grad)
        close(both @ V, self.users.grad)


def close(ours, theirs):
    np.testing.assert_allclose(np.asarray(ours), theirs.numpy(), rtol=1e-10, atol=1e-12)


def pairs(X):
    """Every user, with what they hold and what they do not."""
    for row in range(X.shape[0]):
        held = X.toarray()[row] > 0
        yield row, np.flatnonzero(held), np.flatnonzero(~held)


def bpr_loss(X, own, others):
    terms = [
        softplus(others[row, free][None] - own[row, held][:, None]).mean(1).sum()
        for row, held, free in pairs(X)
        if len(held) and len(free)
    ]
    return torch.stack(terms).sum()


def bce_loss(X, own, others):
    terms = []
    for row, held, free in pairs(X):
        terms.append(-logsigmoid(own[row, held]).sum())
        if len(free):
            terms.append(-len(held) * logsigmoid(-others[row, free]).mean())
    return torch.stack(terms).sum()


@pytest.mark.parametrize(
    ("by_score", "loss"),
    [(directions.bpr_by_score, bpr_loss), (directions.bce_by_score, bce_loss)],
)
def test_exact_forms_are_what_autograd_gives(X, tables, bias, by_score, loss):
    U, V = tables
    Autograd(partial(loss, X), U, V, bias).check(*by_score(U, V, X, bias), U, V)


def test_normalised_users_are_what_the_gradient_of_an_item_is_made_of(X, tables):
    U, V = tables
    unit = U / np.linalg.norm(U, axis=1, keepdims=True)
    users, held, free = leaf(U), leaf(V), leaf(V)
    normalised = users / users.norm(dim=1, keepdim=True)
    bpr_loss(X, normalised @ held.T, normalised @ free.T).backward()
    weights, items = directions.sum_by_score(directions.bpr_by_score, unit, V, X)
    total, _ = directions.sum_users(U, weights)
    close(-total, held.grad.sum(0))
    # Of a user's gradient, what stands on the user, over the length.
    pulled = users.grad.numpy() * np.linalg.norm(U, axis=1, keepdims=True)
    positive, negative = directions.bpr_by_score(unit, V, X)
    whole = (positive + negative) @ V
    across = whole - (whole * unit).sum(1, keepdims=True) * unit
    np.testing.assert_allclose(pulled, across, atol=1e-12)
    np.testing.assert_allclose(items @ V, -whole.sum(0), atol=1e-12)


@pytest.mark.parametrize("n_samples", [1, 3])
@pytest.mark.parametrize("name", ["bpr", "bce"])
def test_sampled_forms_are_what_autograd_gives_on_the_same_draws(
    X, tables, bias, name, n_samples
):
    U, V = tables
    drawn = directions.draw_unseen(X, n_samples, np.random.default_rng(3))
    rows = np.repeat(np.arange(N_USERS), np.diff(X.indptr))

    def loss(own, others):
        positive = own[rows, X.indices]
        negative = others[rows[:, None], drawn]
        some = rows != FULL
        if name == "bpr":
            return softplus(negative - positive[:, None])[some].sum() / n_samples
        taken = -logsigmoid(-negative)[some].sum() / n_samples
        return taken - logsigmoid(positive).sum()

    by_score = directions.SAMPLED_LOSSES[name]
    positive, negative = by_score(
        U, V, X, bias, n_samples=n_samples, rng=np.random.default_rng(3)
    )
    Autograd(loss, U, V, bias).check(positive, negative, U, V)


@pytest.mark.parametrize("name", ["bpr", "bce"])
def test_samples_estimate_the_exact_sums_without_bias(X, tables, bias, name):
    exact = directions.sum_by_score(directions.LOSSES[name], *tables, X, bias)
    draws = [
        directions.sum_by_score(
            partial(
                directions.SAMPLED_LOSSES[name],
                n_samples=50,
                rng=np.random.default_rng(seed),
            ),
            *tables, X, bias,
        )
        for seed in range(40)
    ]  # fmt: skip
    for found, values in zip(exact, zip(*draws, strict=True), strict=True):
        error = np.std(values, axis=0) / np.sqrt(40)
        assert (np.abs(np.mean(values, axis=0) - found) < 4 * error + 1e-12).all()


def test_unseen_items_are_drawn_uniformly(X):
    n_samples = 4000
    drawn = directions.draw_unseen(X, n_samples, np.random.default_rng(0))
    assert drawn.shape == (X.nnz, n_samples)
    for row, held, free in pairs(X):
        if row == FULL:
            continue
        own = drawn[X.indptr[row] : X.indptr[row + 1]]
        counts = np.bincount(own.ravel(), minlength=N_ITEMS)
        assert not counts[held].any()
        if len(held):
            assert chisquare(counts[free]).pvalue > 1e-3


def als_loss(C, U, V):
    wanted = torch.tensor(C.toarray() > 0, dtype=torch.float64)
    weights = torch.tensor(np.where(C.toarray() > 0, C.toarray(), 1.0))
    return (weights * (wanted - U @ V.T) ** 2).sum()


def unobserved_gradient(C, U, V):
    """2 (X'X - X_U' X_U) y of every item."""
    gram = U.T @ U
    rows = [
        2 * (gram - U[users].T @ U[users]) @ item
        for item, users in zip(V, C.toarray().T > 0, strict=True)
    ]
    return np.array(rows)


def test_als_is_what_autograd_gives(X, tables, bias):
    U, V = tables
    positive, none = directions.als_by_score(U, V, X, bias)
    assert none is None

    def loss(own, others):
        wanted = X.toarray() > 0
        confidence = torch.tensor(X.toarray()[wanted])
        return (confidence * (1 - own[wanted]) ** 2).sum() + 0 * others.sum()

    Autograd(loss, U, V, bias).check(positive, csr_array(X.shape), U, V)
    if bias is None:
        # With the part of the unobserved it is the gradient of the whole loss.
        item = leaf(V)
        als_loss(X, torch.tensor(U), item).backward()
        close(positive.T @ U + unobserved_gradient(X, U, V), item.grad)


def test_at_the_optimum_of_als_the_gradient_is_the_embedding(X, tables):
    U, penalty = tables[0], 0.7
    dense = X.toarray()
    V = np.array(
        [
            np.linalg.solve(
                (U * np.where(c > 0, c, 1.0)[:, None]).T @ U + penalty * np.eye(D),
                U.T @ c,
            )
            for c in dense.T
        ]
    )
    positive, _ = directions.als_by_score(U, V, X)
    total = positive.T @ U + unobserved_gradient(X, U, V)
    np.testing.assert_allclose(total, -2 * penalty * V, atol=1e-12)
    # A confidence that is off is seen.
    positive, _ = directions.als_by_score(U, V, 1.1 * X)
    total = positive.T @ U + unobserved_gradient(X, U, V)
    assert np.abs(total + 2 * penalty * V).max() > 0.1


def test_confidences_are_those_implicit_trains_with(interactions):
    """Its iterations end with an exact step of the items, if not by conjugates."""
    X = csr_array(interactions, dtype=np.float64)
    X.data = np.random.default_rng(0).integers(1, 4, size=X.nnz).astype(float)
    penalty = 0.5
    with threadpool_limits(1, "blas"):
        model = AlternatingLeastSquares(
            factors=D, alpha=2.0, regularization=penalty, use_cg=False, iterations=3,
            num_threads=1, random_state=0, dtype=np.float64,
        )  # fmt: skip
        model.fit(csr_matrix(X, dtype=np.float32), show_progress=False)
    host = as_recommender(model)
    C = sums._confidences(host, None, X)
    np.testing.assert_array_equal(C.data, 2.0 * X.data)
    U, V = (
        np.asarray(t, dtype=float) for t in (model.user_factors, model.item_factors)
    )
    positive, _ = directions.als_by_score(U, V, C)
    total = positive.T @ U + unobserved_gradient(C, U, V)
    np.testing.assert_allclose(total, -2 * penalty * V, atol=1e-4)
    # Other hosts are taken at the paper's word.
    own = as_recommender((U, V))
    np.testing.assert_array_equal(sums._confidences(own, 2.0, X).data, 1 + 2 * X.data)
    np.testing.assert_array_equal(sums._confidences(own, None, X).data, 1 + X.data)
    np.testing.assert_array_equal(sums._confidences(host, 3.0, X).data, 3 * X.data)


def test_a_pairwise_loss_keeps_the_sum_of_the_items(X, tables, bias):
    U, V = tables
    for by_score in (
        directions.bpr_by_score,
        partial(
            directions.bpr_by_score_sampled, n_samples=3, rng=np.random.default_rng(0)
        ),
    ):
        positive, negative = by_score(U, V, X, bias)
        np.testing.assert_allclose(
            (positive.T @ U + negative.T @ U).sum(0), 0, atol=1e-12
        )
        assert np.abs((positive.T @ U).sum(0)).max() > 1
        # It does so user by user.
        np.testing.assert_allclose(
            positive.sum(axis=1) + negative.sum(axis=1), 0, atol=1e-12
        )
    positive, negative = directions.bce_by_score(U, V, X, bias)
    assert np.abs((positive.T @ U + negative.T @ U).sum(0)).max() > 1


def test_steps_of_gradient_descent_sum_to_the_displacement(X, tables):
    """(e0 - eT) / eta is the sum of the gradients; with decay, of decayed ones."""
    U, start = tables
    rate, n_steps = 0.05, 20
    for decay in (0.0, 0.3):
        V, steps = start.copy(), []
        for _ in range(n_steps):
            positive, negative = directions.bpr_by_score(U, V, X)
            steps.append((positive + negative).T @ U)
            V = V - rate * (steps[-1] + decay * V)
        kept = (1 - rate * decay) ** np.arange(n_steps - 1, -1, -1)
        summed = np.tensordot(kept, steps, axes=1)
        displacement = (1 - rate * decay) ** n_steps * start - V
        np.testing.assert_allclose(summed, displacement / rate, atol=1e-10)
        if not decay:
            np.testing.assert_allclose(V.sum(0), start.sum(0), atol=1e-10)


@pytest.mark.parametrize("name", ["bpr", "bce", "als"])
def test_sums_do_not_depend_on_the_blocks(X, tables, bias, name, monkeypatch):
    whole = directions.sum_by_score(directions.LOSSES[name], *tables, X, bias)
    positive, negative = directions.LOSSES[name](*tables, X, bias)
    both = positive.sum(axis=0) + (0 if negative is None else negative.sum(axis=0))
    np.testing.assert_allclose(whole[0], -positive.sum(axis=1), atol=1e-12)
    np.testing.assert_allclose(whole[1], -both, atol=1e-12)
    monkeypatch.setattr("skpopsteer.topk.BLOCK_SCORES", 2 * N_ITEMS)
    monkeypatch.setattr("skpopsteer.topk.BLOCK_ROWS", 1)
    monkeypatch.setattr(directions, "BLOCK_SCORES", 2 * D)
    cut = directions.sum_by_score(directions.LOSSES[name], *tables, X, bias)
    for part, expected in zip(cut, whole, strict=True):
        np.testing.assert_allclose(part, expected, atol=1e-12)


def test_sums_of_users_and_items(tables, bias):
    U, V = tables
    U = U.copy()
    U[3] = 0
    weights = np.random.default_rng(0).normal(size=N_USERS)
    norms = np.linalg.norm(U, axis=1)
    total, length = directions.sum_users(U, weights, normalize=False)
    np.testing.assert_allclose(total, weights @ U)
    assert length == pytest.approx(np.abs(weights) @ norms)
    total, length = directions.sum_users(U, weights)
    unit = U / np.where(norms > 0, norms, 1)[:, None]
    np.testing.assert_allclose(total, weights @ unit)
    assert length == pytest.approx(np.abs(np.delete(weights, 3)).sum())
    total, length = directions.sum_users(U, weights, with_bias=True)
    longer = np.hypot(norms, 1)
    np.testing.assert_allclose(total[-1], (weights / longer).sum())
    np.testing.assert_allclose(total[:-1], (weights / longer) @ U)
    assert length == pytest.approx(np.abs(weights).sum())
    weights = np.random.default_rng(0).normal(size=N_ITEMS)
    longer = V if bias is None else np.column_stack([V, bias])
    total, length = directions.sum_items(V, weights, bias)
    np.testing.assert_allclose(total, weights @ longer)
    assert length == pytest.approx(np.abs(weights) @ np.linalg.norm(longer, axis=1))


@pytest.mark.parametrize("with_bias", [False, True])
def test_taking_out_all_of_a_direction_is_a_projection(tables, with_bias):
    U = tables[0]
    direction = np.random.default_rng(0).normal(size=D + with_bias)
    direction /= np.linalg.norm(direction)

    def product(users, ones):
        return users @ direction[:D] + (ones * direction[D] if with_bias else 0)

    before = product(U, 1.0)
    users, ones, along = directions.take_out(U, 1.0, direction, 0.4)
    np.testing.assert_allclose(along, 0.4 * before)
    np.testing.assert_allclose(product(users, ones), 0.6 * before)
    users, ones, _ = directions.take_out(U, 1.0, direction, 1.0)
    np.testing.assert_allclose(product(users, ones), 0, atol=1e-12)
    again = directions.take_out(users, ones, direction, 1.0)
    np.testing.assert_allclose(again[0], users, atol=1e-12)
    np.testing.assert_allclose(again[1], ones, atol=1e-12)
    assert directions.take_out(U, 1.0, direction, 0.0)[0] is U


def test_one_interaction_weighs_as_much_as_all():
    V = np.random.default_rng(0).normal(size=(5, 3))
    host = as_recommender((np.ones((1, 3)), V))
    popularity = np.array([0.0, 0.0, 1.0, 0.0, 0.0])
    total, _ = sums.sum_centroids(host, popularity)
    V = host.item_embeddings_
    np.testing.assert_allclose(total, V[2] - V.mean(axis=0), rtol=1e-5)


def test_a_span_without_rows_draws_nothing():
    settings = SimpleNamespace(loss="bpr", n_samples=2, seed=0)
    assert callable(sums._by_score(settings, np.empty(0, dtype=np.int64)))
