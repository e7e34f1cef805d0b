"""Explanations: contributions add up, lists are the models' own, needs are checked."""

import copy

import numpy as np
import pytest
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV

from skpopsteer import (
    PopularityNeuronSelector,
    PopularityPenaltyReranker,
    SparseAutoencoderProbe,
    SteeredRecommender,
    as_recommender,
)
from skpopsteer.inspection import explain_changes
from skpopsteer.neurons import NeuronSubset, NeuronUnion
from skpopsteer.steering import TunedSteeringCV
from skpopsteer.steering._rules import RULES
from tests.hosts import HOSTS

PROBE = SparseAutoencoderProbe(64, k=8, max_iter=15, random_state=0)
#: Far enough for every rule to move a few items, and no further.
STRENGTHS = {"shift": 1.0, "scale": 1.0, "clamp": 0.7, "interpolate": 0.4}


class Coordinates(TransformerMixin, BaseEstimator):
    """A probe whose neurons are the coordinates of a row, where they are positive."""

    def fit(self, X, y=None):
        self.width_ = X.shape[1]
        return self

    def transform(self, X):
        return np.maximum(X, 0).astype(np.float32)

    def inverse_transform(self, Z):
        return np.asarray(Z, dtype=np.float32)


class Squares(Coordinates):
    """A probe whose decoder is no sum over its neurons."""

    def inverse_transform(self, Z):
        return np.asarray(Z, dtype=np.float32) ** 2


class Given(BaseEstimator):
    """A selector with the weights it is told."""

    def __init__(self, weights=None):
        self.weights = weights

    def fit(self, Z, y):
        self.steering_weights_ = np.asarray(self.weights, dtype=np.float64)
        return self

    def get_support(self):
        return self.steering_weights_ != 0


def fit(host, X, probe=PROBE, **params):
    return SteeredRecommender(
        host, probe=probe, random_state=0, **({"rule": "shift"} | params)
    ).fit(X)


@pytest.fixture(scope="module")
def seen(split):
    return split[0]


@pytest.fixture(scope="module")
def both(host, seen):
    """Fitted on both sides: copies of it steer one, or by another rule."""
    return fit(host, seen, side="both")


@pytest.fixture(scope="module")
def model(both):
    return at(both, side="user")


def at(model, **params):
    return copy.copy(model).set_params(**params)


def check_sums(model, host, X, changes, **who):
    """Compare with the scores of both models; return how many items have moved."""
    own = host.decision_function(X, **who)
    gap = model.decision_function(X, **who) - own
    moved = 0
    for change, row, scores in zip(changes, gap, own, strict=True):
        total = change.contributions.sum(axis=1)
        scale = np.abs(own).max()
        np.testing.assert_allclose(total, row[change.items], rtol=0, atol=1e-5 * scale)
        np.testing.assert_allclose(change.old_scores, scores[change.items], rtol=1e-5)
        moved += len(change["left"])
    return moved


def taste(X):
    """Turn not at all for one user in five."""
    return np.where(np.arange(X.shape[0]) % 5, 1.3, 0.0)


@pytest.mark.parametrize("rule", sorted(RULES))
@pytest.mark.parametrize("side", ["user", "item", "both"])
@pytest.mark.parametrize("reconstruction", ["residual", "replace"])
def test_contributions_add_up_to_the_change_of_every_score(
    both, host, seen, rule, side, reconstruction
):
    model = at(
        both, rule=rule, side=side, reconstruction=reconstruction,
        strength=STRENGTHS.get(rule, 0.5), user_strength=taste,
    )  # fmt: skip
    moved = check_sums(model, host, seen, explain_changes(model, seen))
    # One vector added to every item ranks nothing anew.
    alike = (rule, side, reconstruction) == ("add", "item", "residual")
    assert moved == 0 if alike else moved > 20


def test_every_side_and_sign_has_a_strength_of_its_own(both, host, seen):
    model = at(both, strength=1.2, unpopular_strength=0.3, item_strength=2.5)
    assert check_sums(model, host, seen, explain_changes(model, seen)) > 20
    half = at(both, strength=0.6, unpopular_strength=0.15, item_strength=1.25)
    changes = explain_changes(model, seen, strength=0.6)
    assert check_sums(half, host, seen, changes) > 20


def test_deviations_of_rows_are_put_back(host, seen):
    probe = SparseAutoencoderProbe(
        64, k=8, max_iter=15, standardize_rows=True, random_state=0
    )
    model = fit(host, seen, probe, side="both")
    for side in ("user", "both"):
        for reconstruction in ("residual", "replace"):
            one = at(model, side=side, reconstruction=reconstruction)
            assert check_sums(one, host, seen, explain_changes(one, seen)) > 20


def test_several_knobs_add_up(host, seen):
    knobs = [
        ("all", PopularityNeuronSelector()),
        ("few", PopularityNeuronSelector(n_neurons_to_select=4)),
    ]
    model = fit(host, seen, selector=NeuronUnion(knobs, strengths={"few": 0.5}))
    assert check_sums(model, host, seen, explain_changes(model, seen)) > 20


def test_a_probe_without_weights_is_asked_for_its_directions(host, seen):
    model = fit(host, seen, PCA(6, random_state=0), side="both", strength=0.6)
    changes = explain_changes(model, seen)
    assert check_sums(model, host, seen, changes) > 20
    expected = {(side, neuron) for side in ("user", "item") for neuron in range(6)}
    assert {neuron for change in changes for neuron in change.neurons} <= expected


def test_hosts_with_biases_and_trained_users_add_up():
    trained = HOSTS["bpr"]()
    host, ids = trained.recommender, np.arange(0, 200, 3)
    model = SteeredRecommender(
        host,
        rule="shift",
        probe=PROBE,
        profiles="real",
        random_state=0,
        user_strength="profile",
    ).fit(trained.X, user_ids=np.arange(200))
    changes = explain_changes(model, trained.X[ids], user_ids=ids)
    assert check_sums(model, host, trained.X[ids], changes, user_ids=ids) > 5
    assert [change.user for change in changes] == ids.tolist()


def test_contributions_are_the_products_of_the_formula(model, seen):
    """In double precision, from nothing but the fitted arrays."""
    changes = explain_changes(model, seen[:20])
    probe, side = model.probe_, model._user_side
    U = model.recommender_.encode_users(seen[:20])
    V = model.recommender_.item_embeddings_.astype(np.float64)
    pre = probe.pre_activations(U)
    turned = pre - (model.selector_.steering_weights_ * side.scales).astype(np.float32)
    delta = probe.activate(turned).astype(np.float64) - probe.activate(pre)
    profiles = probe.decoder_weights_.astype(np.float64) @ V.T
    for change, row in zip(changes, delta, strict=True):
        neurons = np.flatnonzero(row)
        assert change.neurons == [("user", neuron) for neuron in neurons]
        expected = row[neurons] * profiles[neurons][:, change.items].T
        np.testing.assert_allclose(change.contributions, expected, atol=1e-6)


def test_by_hand():
    """Two users of coordinates (2, 1), one of whom turns twice as far."""
    host = as_recommender(
        ([[2.0, 1.0], [2.0, 1.0]], [[1.0, 0.0], [0.0, 1.5], [0.0, 1.0]])
    )
    X = np.array([[0, 0, 0], [0, 0, 1]])
    model = SteeredRecommender(
        host, probe=Coordinates(), selector=Given([1.0, -1.0]), rule="scale",
        strength=np.log(2), user_strength=lambda X: np.arange(1.0, X.shape[0] + 1),
        profiles="real", n_recommendations=1, random_state=0,
    ).fit(np.ones((2, 3)), user_ids=[0, 1])  # fmt: skip
    first, second = explain_changes(model, X, user_ids=[1, 0])
    # Activations (2, 1) become (1, 2): the first item falls by 1, the second rises.
    assert (first.user, second.user) == (1, 0)
    assert first.items.tolist() == [1, 0]
    assert first.status.tolist() == ["entered", "left"]
    assert first.old_ranks.tolist() == [2, 1]
    assert first.new_ranks.tolist() == [1, 3]
    np.testing.assert_allclose(first.contributions, [[0, 1.5], [-1, 0]], atol=1e-6)
    np.testing.assert_allclose(first.old_scores, [1.5, 2.0], rtol=1e-6)
    np.testing.assert_allclose(first.new_scores, [3.0, 1.0], rtol=1e-6)
    # Twice as far: (1/2, 4).
    assert second.factor == 2.0
    np.testing.assert_allclose(second.contributions, [[0, 4.5], [-1.5, 0]], atol=1e-6)


@pytest.mark.parametrize("keep_top", [0, 3, 10])
def test_lists_and_ranks_are_those_of_recommend(model, host, seen, keep_top):
    model = at(model, keep_top=keep_top)
    n_items = seen.shape[1]
    own, ours = host.recommend(seen), model.recommend(seen)
    all_own, all_ours = (m.recommend(seen, n_items) for m in (host, model))
    for row, change in enumerate(explain_changes(model, seen)):
        for lists, status in ((own, "left"), (ours, "entered")):
            listed = [change["stayed"], change["held"], change[status]]
            assert sorted(np.concatenate(listed)) == sorted(lists[row])
        assert change["held"].tolist() == ours[row, :keep_top].tolist()
        assert (all_own[row, change.old_ranks - 1] == change.items).all()
        assert (all_ours[row, change.new_ranks - 1] == change.items).all()


def test_short_catalogues_leave_nothing_to_exchange(model, seen):
    X = seen[:2].toarray()
    X[0] = 1
    X[1, 4:] = 1
    nobody, few = explain_changes(model, X)
    assert len(nobody.items) == 0
    assert str(nobody) == "user 0: 0 of 10 items changed at strength 1"
    assert set(few.status) <= {"stayed"}
    assert nobody.contributions.shape[0] == 0
    assert len(nobody.to_frame()) == 0


def test_length_and_strength_of_the_call_count(model, seen):
    (change,) = explain_changes(model, seen[[0]], n_recommendations=4, strength=3)
    ids = model.recommend(seen[[0]], 4, strength=3)[0]
    assert set(change["entered"]) | set(change["stayed"]) == set(ids)
    assert (change.strength, change.length) == (3.0, 4)
    (still,) = explain_changes(model, seen[[0]], strength=0)
    assert set(still.status) == {"stayed"}
    assert still.contributions.shape == (10, 0)


def test_nothing_turned_leaves_the_error_of_the_autoencoder(model, host, seen):
    model = at(model, reconstruction="replace", strength=0.0)
    changes = explain_changes(model, seen)
    assert check_sums(model, host, seen, changes) > 20
    assert {name for c in changes for name in c.sources} == {"error of the autoencoder"}
    moved = next(change for change in changes if len(change["left"]))
    assert moved.needed_neurons(moved["left"][0]) is None


def test_a_penalty_is_one_source(host, seen):
    model = PopularityPenaltyReranker(host, strength=0.03, keep_top=2).fit(seen)
    changes = explain_changes(model, seen)
    assert check_sums(model, host, seen, changes) > 20
    assert all(change.sources == ["popularity"] for change in changes)
    assert all(len(change["held"]) == 2 for change in changes)
    moved = next(change for change in changes if len(change["left"]))
    with pytest.raises(ValueError, match="must be asked of a model that turns neurons"):
        moved.needed_neurons(moved["left"][0])


def test_searches_and_frozen_models_are_looked_into(host, split):
    X, y = split
    penalty = PopularityPenaltyReranker(host, strength=0.03).fit(X)
    tuned = TunedSteeringCV(penalty, target=0.3, cv="prefit").fit(X, y)
    grid = GridSearchCV(penalty, {"strength": [0.03]}, cv=2).fit(X, y)
    for searched in (tuned, grid, FrozenEstimator(penalty)):
        (change,) = explain_changes(searched, X[[0]])
        best = searched.best_estimator_ if searched is tuned else penalty
        assert change.strength == best.strength


def without(model, names):
    """Fit nothing anew: a copy whose selectors do not see some neurons."""
    model = copy.deepcopy(model)
    for name in names:
        number = int(name.rpartition(" ")[2].rstrip(")"))
        side = model._item_side if "item neuron" in name else model._user_side
        side.selector.steering_weights_[number] = 0
    return model


@pytest.mark.parametrize("rule", ["shift", "scale"])
@pytest.mark.parametrize("side", ["user", "item", "both"])
@pytest.mark.parametrize("keep_top", [0, 2])
def test_neurons_that_are_needed_bring_the_item_back(both, seen, rule, side, keep_top):
    model = at(both, rule=rule, side=side, keep_top=keep_top, strength=2.0)
    found = set()
    for row, change in enumerate(explain_changes(model, seen[:4])):
        X = seen[[row]]
        for item in [*change["left"][:2], *change["entered"][:2]]:
            needed = change.needed_neurons(item)
            names = list(needed)
            for name, (which, number) in needed.items():
                assert name == f"{'item ' * (which == 'item')}neuron {number}"
            now = item in model.predict(X)
            assert (item in without(model, names).predict(X)) != now
            for name in names if len(names) > 1 else []:
                fewer = [other for other in names if other != name]
                assert (item in without(model, fewer).predict(X)) == now
            found.add(len(names))
    assert found > {1}


def test_one_neuron_is_found_where_one_is_enough(model, seen):
    """One that keeps the item below the last of the list, that is."""
    found = []
    for row, change in enumerate(explain_changes(model, seen[:12])):
        last = np.flatnonzero(change.new_ranks == 10)[0]
        for item in change["left"][:2]:
            mine = np.flatnonzero(change.items == item)[0]
            holds_back = change.contributions[last] > change.contributions[mine]
            names = [change.sources[n] for n in np.flatnonzero(holds_back)]
            enough = any(
                item in without(model, [name]).predict(seen[[row]]) for name in names
            )
            assert (len(change.needed_neurons(item)) == 1) >= enough
            found.append(enough)
    assert any(found)
    assert not all(found)


def test_an_item_that_did_not_move_needs_nobody(model, seen):
    (change,) = explain_changes(model, seen[[0]])
    with pytest.raises(ValueError, match=r"`item` must have left the list or entered"):
        change.needed_neurons(change["stayed"][0])


@pytest.fixture(scope="module")
def moved(model, seen):
    """The user whose list changed most, with a title that is markup."""
    titles = [f"<b>{item}</b>" for item in range(100)]
    changes = explain_changes(
        model, seen, item_titles=titles, neuron_labels=dict.fromkeys(range(64), "noir"),
        n_neurons=2,
    )  # fmt: skip
    return max(changes, key=lambda change: len(change["left"]))


def test_text_says_what_moved_and_by_what(moved):
    lines = str(moved).splitlines()
    n_moved = len(moved["left"])
    assert lines[0] == f"user {moved.user}: {n_moved} of 10 items changed at strength 1"
    assert [line for line in lines if not line.startswith(" ")][1:] == [
        "left the list", "entered the list",
    ]  # fmt: skip
    assert len([line for line in lines if "  rank " in line]) == 2 * n_moved
    first = int(np.flatnonzero(moved.status == "left")[0])
    parts = moved.contributions[first]
    largest = np.argsort(-np.abs(parts))
    assert moved.titles[first] in lines[2]
    number, name = lines[3].split(maxsplit=1)
    assert float(number) == pytest.approx(parts[largest[0]], rel=0.1)
    assert name == f"noir (neuron {moved.neurons[largest[0]][1]})"
    number, count, others = lines[5].split()
    assert others == "others"
    unit = 10.0 ** -len(number.partition(".")[2])
    assert float(number) == pytest.approx(parts[largest[2:]].sum(), abs=0.51 * unit)
    # Three digits of the largest contribution.
    assert 100 <= np.abs(moved.contributions).max() / unit < 1000
    assert int(count) == np.count_nonzero(parts) - 2


def test_held_items_and_factors_are_named(model, seen):
    model = at(model, keep_top=1, user_strength=taste)
    change = explain_changes(model, seen[:2])[1]
    held = model.recommend(seen[:2])[1, 0]
    assert str(change).splitlines()[0].endswith("strength 1, times 1.3 for this user")
    assert str(change).splitlines()[-1] == f"held in place: item {held}"
    assert "<td>held</td>" in change._repr_html_()


def test_titles_are_escaped_in_html(moved):
    html = moved._repr_html_()
    assert "<b>" not in html
    assert html.count("&lt;b&gt;") == 2 * len(moved["left"])
    assert "noir (neuron" in html


@pytest.mark.parametrize("backend", ["pandas", "polars"])
def test_it_becomes_a_frame_whose_contributions_add_up(moved, backend):
    frame = moved.to_frame(backend)
    columns = [
        "user", "item", "title", "status", "old_rank", "new_rank", "old_score",
        "new_score", "source", "side", "neuron", "contribution",
    ]  # fmt: skip
    assert list(frame.columns) == columns
    items, parts = frame["item"].to_numpy(), frame["contribution"].to_numpy()
    assert np.count_nonzero(moved.contributions) == len(parts)
    gaps = (frame["new_score"] - frame["old_score"]).to_numpy()
    for item in moved.items:
        mine = items == item
        assert parts[mine].sum() == pytest.approx(gaps[mine][0], abs=1e-5)
        assert (np.diff(np.abs(parts[mine])) <= 0).all()


def test_labels_of_the_autoencoder_are_taken(both, seen):
    model = copy.deepcopy(both)
    model.item_probe_.label_neurons(dict.fromkeys(range(64), "obscure"))
    number = explain_changes(model, seen[[0]])[0].neurons[0][1]
    (change,) = explain_changes(model, seen[[0]], neuron_labels={number: "noir"})
    assert change.sources[0] == f"noir (neuron {number})"
    users = [name for name in change.sources if "item" not in name]
    assert all(name.startswith("neuron") for name in users[1:])
    items = change.sources[len(users) :]
    assert len(items) > 1
    assert all(name.startswith("obscure (item neuron") for name in items)
    model.probe_.label_neurons(dict.fromkeys(range(64), "hits"))
    (change,) = explain_changes(model, seen[[0]])
    assert sum(name.startswith("hits (neuron") for name in change.sources) > 1


def test_labels_of_the_caller_are_those_of_the_side_that_is_steered(both, seen):
    model, labels = at(both, side="item"), dict.fromkeys(range(64), "noir")
    (change,) = explain_changes(model, seen[[0]], neuron_labels=labels)
    assert len(change.sources) > 1
    assert all(name.startswith("noir (item neuron") for name in change.sources)


def test_repr_is_short(moved):
    n = len(moved["left"])
    assert repr(moved) == f"ListChange(user={moved.user}, left={n}, entered={n})"


def test_nothing_of_the_caller_is_changed(model, seen):
    X, weights = seen[:5].toarray(), model.selector_.steering_weights_.copy()
    before = X.copy()
    changes = explain_changes(model, X)
    moved = next(change for change in changes if len(change["left"]))
    moved.needed_neurons(moved["left"][0])
    np.testing.assert_array_equal(X, before)
    np.testing.assert_array_equal(model.selector_.steering_weights_, weights)


def test_a_non_linear_decoder_is_refused():
    trained = HOSTS["mult_vae"]()
    model = fit(trained.recommender, trained.X)
    with pytest.raises(ValueError, match=r"must score by inner products.*non-linear"):
        explain_changes(model, trained.X[:2])
    penalty = PopularityPenaltyReranker(trained.recommender, strength=0.05)
    changes = explain_changes(penalty.fit(trained.X), trained.X)
    assert sum(len(change["left"]) for change in changes) > 20


def test_a_decoder_that_is_no_sum_is_refused(host, seen):
    model = fit(
        host, seen, Squares(), selector=Given(np.ones(8)), rule="scale", strength=0.5
    )
    with pytest.raises(ValueError, match="must have a probe that decodes by a sum"):
        explain_changes(model, seen[:2])


@pytest.mark.parametrize("what", [None, TruncatedSVD(2), "host"])
def test_other_models_are_refused(host, seen, what):
    with pytest.raises(TypeError, match="`model` must be a SteeredRecommender or"):
        explain_changes(host if what == "host" else what, seen)


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ({"n_neurons": 0}, ValueError, "`n_neurons` must be a positive integer"),
        ({"n_recommendations": 2.5}, TypeError, "`n_recommendations` must be a posit"),
        ({"strength": "1"}, ValueError, "`strength` must be a finite number"),
        ({"item_titles": ["a"]}, ValueError, "`item_titles` must hold one value per"),
        ({"neuron_labels": ["a"]}, TypeError, "`neuron_labels` must be a dict"),
        ({"user_ids": [0, 1]}, ValueError, "`user_ids` must name one user per row"),
    ],
)
def test_bad_arguments(model, seen, params, error, message):
    with pytest.raises(error, match=message):
        explain_changes(model, seen[:3], **params)


def test_an_unknown_status(moved):
    with pytest.raises(KeyError, match=r"`status` must be 'entered'.*got 'gone'"):
        moved["gone"]


def test_strengths_by_name_are_explained_like_any(host, split):
    seen, _ = split
    union = NeuronUnion(
        [("chosen", NeuronSubset([3])), ("popularity", PopularityNeuronSelector())]
    )
    model = SteeredRecommender(
        host,
        probe=SparseAutoencoderProbe(64, k=8, max_iter=15, random_state=0),
        selector=union,
        random_state=0,
    ).fit(seen)
    strength = {"chosen": 2.0, "popularity": -0.5}
    changes = explain_changes(model, seen[:20], strength=strength)
    change = next(change for change in changes if len(change["entered"]))
    assert "at strength chosen 2, popularity -0.5" in str(change)
    np.testing.assert_allclose(
        change.contributions.sum(axis=1),
        change.new_scores - change.old_scores,
        atol=1e-5,
    )
    assert {change["entered"][0]} <= set(
        model.recommend(seen[:20], strength=strength).ravel()
    )
    with pytest.raises(ValueError, match=r"^`strength` must name knobs of a NeuronUni"):
        explain_changes(model, seen[:2], strength={"nothing": 1.0})


@pytest.mark.parametrize(
    "params", [{"pool_size": 50}, {"user_strength": "profile"}], ids=str
)
def test_a_penalty_that_no_inner_product_tells_of_is_refused(params):
    X = np.eye(20)[:, :10].repeat(2, axis=1)
    host = as_recommender(TruncatedSVD(3, random_state=0).fit(X))
    model = PopularityPenaltyReranker(host, **params).fit(X)
    with pytest.raises(ValueError, match=rf"`{next(iter(params))}` must be None to"):
        explain_changes(model, X)
