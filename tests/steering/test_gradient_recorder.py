"""What is recorded in training is what is computed anew afterwards."""

import pathlib
import pickle

import numpy as np
import pytest
import torch
from torch.nn.functional import logsigmoid, normalize

from skpopsteer import as_recommender
from skpopsteer.datasets import load_movielens
from skpopsteer.steering._gradient import GradientPopularityAdjuster
from skpopsteer.steering._gradient_directions import draw_unseen
from skpopsteer.steering._gradient_recorder import GradientRecorder

MOVIELENS = pathlib.Path(__file__).parents[2] / "data" / "ml-latest-small"
D = 16


@pytest.fixture(scope="module")
def X():
    return load_movielens(
        MOVIELENS, min_rating=4, min_user_interactions=5, min_item_interactions=5
    ).X


class Factors(torch.nn.Module):
    """Matrix factorisation, with users at length 1 or not, and an item bias or not."""

    def __init__(self, n_users, n_items, *, unit, with_bias, seed=0):
        super().__init__()
        generator = torch.Generator().manual_seed(seed)

        def table(*shape):
            return torch.nn.Parameter(0.1 * torch.randn(shape, generator=generator))

        self.users, self.items = table(n_users, D), table(n_items, D)
        self.bias = table(n_items) if with_bias else torch.zeros(n_items)
        self.unit = unit

    def user(self, rows):
        found = self.users[rows]
        return normalize(found, dim=1) if self.unit else found

    def host(self, n_users):
        with torch.no_grad():
            users = self.user(torch.arange(n_users)).numpy()
        bias = self.bias.detach().numpy()
        tables = users, self.items.detach().numpy()
        return as_recommender((*tables, bias) if bias.any() else tables)


def train(X, model, loss, optimizer, epochs):
    """Train a model, recording positives and, apart, negatives."""
    rng = np.random.default_rng(0)
    rows = np.repeat(np.arange(X.shape[0]), np.diff(X.indptr))
    recorder, others = GradientRecorder(), GradientRecorder()
    with_bias = model.bias.requires_grad
    for _ in range(epochs):
        negatives = draw_unseen(X, 1, rng)[:, 0]
        for batch in np.array_split(rng.permutation(X.nnz), X.nnz // 512):
            held = torch.from_numpy(X.indices[batch].astype(np.int64))
            free = torch.from_numpy(negatives[batch])
            user = model.user(torch.from_numpy(rows[batch]))
            positive, negative = model.items[held], model.items[free]
            more, less = model.bias[held], model.bias[free]
            recorder.watch(
                positives=positive, users=user, bias=more if with_bias else None
            )
            others.watch(positives=negative)
            own = (user * positive).sum(1) + more
            other = (user * negative).sum(1) + less
            if loss == "bpr":
                value = -logsigmoid(own - other).sum()
            else:
                value = -(logsigmoid(own) + logsigmoid(-other)).sum()
            optimizer.zero_grad()
            value.backward()
            optimizer.step()
            with torch.no_grad():
                recorder.watch(positives=model.items[held])
    return recorder, others


def cosine(a, b):
    return a @ b / np.linalg.norm(a) / np.linalg.norm(b)


@pytest.mark.parametrize(
    ("loss", "unit", "with_bias"),
    [("bpr", True, False), ("bpr", False, False), ("bce", True, True)],
)
def test_the_recorded_direction_is_the_recomputed_one(X, loss, unit, with_bias):
    model = Factors(*X.shape, unit=unit, with_bias=with_bias)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    recorder, _ = train(X, model, loss, optimizer, 12)
    host, ids = model.host(X.shape[0]), np.arange(X.shape[0])
    # Users of length 1 with the 1 of the bias are longer, and alike already.
    params = {"normalize_users": unit and not with_bias}
    recorded = GradientPopularityAdjuster(host, direction="recorded").fit(
        X, gradients=recorder, user_ids=ids
    )
    anew = GradientPopularityAdjuster(
        host, direction="positive_gradient", loss=loss, **params
    ).fit(X, user_ids=ids)
    sampled = GradientPopularityAdjuster(
        host, direction="positive_gradient", loss=loss, n_samples=5, random_state=0,
        **params,
    ).fit(X, user_ids=ids)  # fmt: skip
    directions = [model.popularity_direction_ for model in (recorded, anew, sampled)]
    assert [len(direction) for direction in directions] == [D + with_bias] * 3
    assert cosine(directions[0], directions[1]) >= 0.99
    assert cosine(directions[0], directions[2]) >= 0.99
    np.testing.assert_allclose(
        directions[0], -recorder.positives_ / np.linalg.norm(recorder.positives_)
    )
    # Those of the users are item-side, and without the coordinate of the bias.
    conformity = [model.conformity_direction_[:D] for model in (recorded, anew)]
    assert cosine(*conformity) > 0.9


@pytest.mark.parametrize("loss", ["bpr", "bce"])
def test_gradient_descent_moves_items_by_what_was_recorded(X, loss):
    rate = 0.05
    model = Factors(*X.shape, unit=True, with_bias=False).double()
    start = model.items.detach().clone()
    optimizer = torch.optim.SGD(model.parameters(), lr=rate)
    recorder, others = train(X, model, loss, optimizer, 2)
    moved = (start - model.items.detach()).sum(0).numpy() / rate
    total = recorder.positives_ + others.positives_
    size = np.linalg.norm(recorder.positives_)
    np.testing.assert_allclose(moved / size, total / size, atol=1e-5)
    # A pairwise loss keeps the sum of the items, a pointwise one does not.
    if loss == "bpr":
        assert np.linalg.norm(total) < 1e-5 * size
    else:
        assert np.linalg.norm(total) > 0.1 * size


def looked_up(values):
    table = torch.nn.Embedding.from_pretrained(torch.tensor(values), freeze=False)
    return table, table(torch.tensor([0, 1, 1]))


def test_sums_over_rows_steps_and_ranks():
    recorder = GradientRecorder()
    assert recorder.positives_ is None
    assert recorder.users_ is None
    _, rows = looked_up([[1.0, 2.0], [3.0, 4.0]])
    recorder.watch(positives=rows)
    (rows * torch.tensor([[1.0, 0], [2, 1], [3, -5]])).sum().backward()
    np.testing.assert_array_equal(recorder.positives_, [6, -4])
    assert recorder._lengths["positives"] == pytest.approx(
        1 + np.hypot(2, 1) + np.hypot(3, 5)
    )
    deep = torch.ones((2, 3, 2), requires_grad=True)
    bias = torch.ones((2, 3), requires_grad=True)
    recorder.watch(positives=deep, bias=bias, users=deep)
    (deep.sum() + 2 * bias.sum()).backward()
    np.testing.assert_array_equal(recorder.positives_, [12, 2, 12])
    np.testing.assert_array_equal(recorder.users_, [6, 6])
    # What it hands out is the caller's own.
    recorder.users_[:] = 0
    recorder.positives_[:] = 0
    np.testing.assert_array_equal(recorder.users_, [6, 6])
    np.testing.assert_array_equal(recorder.positives_, [12, 2, 12])


def test_training_is_not_changed_and_half_precision_is_summed_in_single():
    table, rows = looked_up([[1.0, 2.0], [3.0, 4.0]])
    recorder = GradientRecorder()
    recorder.watch(positives=rows)
    rows.square().sum().backward()
    watched = table.weight.grad.clone()
    other, rows = looked_up([[1.0, 2.0], [3.0, 4.0]])
    rows.square().sum().backward()
    assert torch.equal(other.weight.grad, watched)
    half = torch.ones((5000, 1), dtype=torch.bfloat16, requires_grad=True)
    recorder = GradientRecorder()
    recorder.watch(users=half)
    half.sum().backward()
    assert recorder.users_.tolist() == [5000]


def test_it_pickles_and_goes_on():
    recorder = GradientRecorder()
    rows = torch.ones((2, 2), requires_grad=True)
    recorder.watch(positives=rows)
    rows.sum().backward()
    again = pickle.loads(pickle.dumps(recorder))
    again.watch(positives=rows)
    rows.sum().backward()
    np.testing.assert_array_equal(again.positives_, [4, 4])
    assert all(isinstance(total, np.ndarray) for total in again._sums.values())


def test_bad_input():
    recorder = GradientRecorder()
    with pytest.raises(TypeError, match=r"^`positives` must be a tensor of torch that"):
        recorder.watch(positives=np.ones((2, 2)))
    rows = torch.ones((2, 2), requires_grad=True)
    recorder.watch(users=rows)
    rows.sum().backward()
    with pytest.raises(ValueError, match=r"^`users` must be as wide as before \(2\);"):
        recorder.watch(users=torch.ones((2, 3), requires_grad=True))


def test_bad_recordings(interactions):
    host = as_recommender((np.ones((200, 2)), np.ones((100, 2))))
    model = GradientPopularityAdjuster(host, direction="recorded")
    recorder = GradientRecorder()
    with pytest.raises(ValueError, match=r"^`gradients` must have recorded positives"):
        model.fit(interactions, gradients=recorder)
    # Both roles of the items at once.
    rng = np.random.default_rng(0)
    for _ in range(50):
        items = rng.normal(size=(128, 2)).astype("f4")
        items = torch.from_numpy(items).requires_grad_()
        held, free = torch.from_numpy(rng.permutation(128)).reshape(2, 64)
        user = torch.from_numpy(1 + rng.random((64, 2)).astype("f4"))
        recorder.watch(positives=items)
        margin = (user * (items[held] - items[free])).sum(1)
        (-logsigmoid(margin)).sum().backward()
    assert recorder.positives_.any()
    with pytest.raises(ValueError, match=r"^`direction` must give a sum that is not 0"):
        model.fit(interactions, gradients=recorder)
    recorder = GradientRecorder()
    rows = torch.ones((2, 2), requires_grad=True)
    recorder.watch(positives=rows)
    (rows * float("nan")).sum().backward()
    with pytest.raises(ValueError, match=r"^`gradients` of items must be finite; got"):
        model.fit(interactions, gradients=recorder)
