"""Which rows become cases: levels, the strongest rows, disjoint halves."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy.sparse import csc_array

from skpopsteer.neurons._case_selection import activation_levels, select_cases
from skpopsteer.neurons._cases import NeuronCases, ShownItems

N_ROWS, N_ITEMS, N_NEURONS = 2000, 300, 40


@pytest.fixture(scope="module")
def shown():
    # A long tail: some items stand for dozens of rows.
    items = np.random.default_rng(1).zipf(1.3, N_ROWS) % N_ITEMS
    return ShownItems(np.arange(N_ROWS), items)


@pytest.fixture(scope="module")
def Z():
    rng = np.random.default_rng(2)
    density = np.linspace(0.002, 0.9, N_NEURONS)
    fires = rng.random((N_ROWS, N_NEURONS)) < density
    return csc_array(fires * rng.lognormal(size=fires.shape))


def select(Z, shown, n_cases=5, *, neurons=None, **params):
    params = {"distinct_items": True, "popularity": None, "seed": 0, **params}
    neurons = np.arange(Z.shape[1]) if neurons is None else neurons
    return select_cases(Z, shown, neurons, n_cases, **params)


def chosen(selection):
    return [i for i, reason in enumerate(selection.reasons) if not reason]


def test_levels_are_the_deciles_of_one_neurons_activations():
    z = np.random.default_rng(0).permutation(np.arange(1.0, 101.0))
    assert_array_equal(activation_levels(z), np.ceil(z / 10))


def test_levels_do_not_depend_on_the_scale_of_a_neuron(Z):
    z = Z[:, [20]].data
    assert_array_equal(activation_levels(z), activation_levels(z * 1e-3))


def test_equal_activations_share_a_level_and_the_strongest_has_level_10():
    assert activation_levels(np.array([1.0, 2, 2, 3])).tolist() == [3, 8, 8, 10]
    assert activation_levels(np.ones(7)).tolist() == [10] * 7
    assert activation_levels(np.array([0.5])).tolist() == [10]
    assert activation_levels(np.array([])).tolist() == []


def test_active_and_inactive_cases_are_what_they_are_called(Z, shown):
    selection, dense = select(Z, shown), Z.toarray()
    for i in chosen(selection):
        for rows in selection.construction[i], selection.verification[i]:
            assert (dense[rows[:5], i] > 0).all()
            assert (dense[rows[5:], i] == 0).all()


def test_construction_and_verification_share_no_row_and_no_item(Z, shown):
    selection = select(Z, shown)
    assert len(chosen(selection)) > 20
    for i in chosen(selection):
        rows = np.concatenate([selection.construction[i], selection.verification[i]])
        assert len(set(rows.tolist())) == 20
        assert len(set(shown.items[rows].tolist())) == 20


def test_without_distinct_items_rows_are_still_disjoint(Z, shown):
    selection, repeated = select(Z, shown, distinct_items=False), 0
    for i in chosen(selection):
        rows = np.concatenate([selection.construction[i], selection.verification[i]])
        assert len(set(rows.tolist())) == 20
        repeated += len(set(shown.items[rows].tolist())) < 20
    assert repeated > 10


def test_cases_are_the_strongest_rows(Z, shown):
    selection = select(Z, shown, distinct_items=False)
    for i in chosen(selection):
        strongest = np.argsort(-Z[:, [i]].toarray().ravel(), kind="stable")[:10]
        active = [selection.construction[i, :5], selection.verification[i, :5]]
        assert set(np.concatenate(active).tolist()) == set(strongest.tolist())


def test_with_distinct_items_a_case_is_the_strongest_row_of_its_item(Z, shown):
    selection, dense = select(Z, shown), Z.toarray()
    for i in chosen(selection):
        active = np.concatenate(
            [selection.construction[i, :5], selection.verification[i, :5]]
        )
        for row in active:
            of_item = dense[shown.items == shown.items[row], i]
            assert dense[row, i] == of_item.max()


def test_halves_are_drawn_at_random_and_not_by_strength(Z, shown):
    selection, dense = select(Z, shown), Z.toarray()
    means = [
        [dense[rows[i, :5], i].mean() for i in chosen(selection)]
        for rows in (selection.construction, selection.verification)
    ]
    stronger = np.mean(np.array(means[0]) > np.array(means[1]))
    assert 0.2 < stronger < 0.8


def test_levels_shown_are_those_of_the_rows(Z, shown):
    selection = select(Z, shown)
    i = chosen(selection)[0]
    z = Z[:, [i]].toarray().ravel()
    wanted = np.zeros(N_ROWS)
    wanted[z > 0] = activation_levels(z[z > 0])
    assert_array_equal(selection.levels[i], wanted[selection.construction[i]])
    assert (selection.levels[i, :5] >= 5).all()


@pytest.mark.parametrize(
    ("n_active", "reason"), [(0, "never fires"), (15, "9 of 10 active rows"), (16, "")]
)
def test_too_few_active_rows_give_a_reason(n_active, reason):
    Z = np.zeros((200, 1))
    Z[:n_active, 0] = 1 + np.arange(n_active)
    selection = select(csc_array(Z), ShownItems(np.arange(200), np.arange(200)))
    # Level 5 begins above 40 % of them: 9 of 15 rows, 10 of 16.
    assert selection.reasons == [reason]
    if reason:
        assert (selection.construction == -1).all()
        assert (selection.verification == -1).all()


def test_too_few_items_and_too_few_inactive_rows_give_a_reason():
    Z = csc_array(np.random.default_rng(0).random((100, 1)))
    everywhere = ShownItems(np.arange(100), np.arange(100))
    assert select(Z, everywhere).reasons == ["0 of 10 inactive rows"]
    one_item = ShownItems(np.arange(100), np.arange(100) % 4)
    assert select(Z, one_item).reasons == ["4 of 10 distinct items"]


def test_cases_of_a_neuron_do_not_depend_on_the_others_asked_for(Z, shown):
    everyone, one = select(Z, shown), select(Z, shown, neurons=np.array([30]))
    assert_array_equal(one.construction[0], everyone.construction[30])
    assert_array_equal(one.verification[0], everyone.verification[30])


def test_a_seed_gives_the_same_cases_and_another_seed_others(Z, shown):
    first, again, other = (select(Z, shown, seed=seed) for seed in (0, 0, 1))
    assert_array_equal(first.verification, again.verification)
    assert (first.verification != other.verification).any()


def test_inactive_rows_are_drawn_evenly():
    """Every inactive row comes up about as often, whatever stands beside it."""
    items = np.arange(60)
    Z = csc_array(np.r_[np.arange(1.0, 21.0), np.zeros(40)][:, np.newaxis])
    counts = np.zeros(60)
    for seed in range(2000):
        selection = select(Z, ShownItems(items, items), 2, seed=seed)
        drawn = [selection.construction[0, 2:], selection.verification[0, 2:]]
        counts[np.concatenate(drawn)] += 1
    assert counts[:20].sum() == 0
    # 2000 draws of 4 out of 40: 200 each, with a deviation of 13.
    assert counts[20:].min() > 140
    assert counts[20:].max() < 260


@pytest.mark.parametrize("distinct_items", [True, False])
def test_matched_inactive_rows_are_about_as_popular(Z, shown, distinct_items):
    popularity = np.bincount(shown.items, minlength=N_ITEMS) * 7

    def distance(**params):
        selection = select(Z, shown, distinct_items=distinct_items, **params)
        log = np.log1p(popularity[shown.items])
        pairs = [selection.construction, selection.verification]
        i = chosen(selection)
        return np.mean([np.abs(log[p[i, :5]] - log[p[i, 5:]]).mean() for p in pairs])

    assert distance(popularity=popularity) < 0.4 * distance()


def test_matching_pairs_each_row_once(Z, shown):
    popularity = np.bincount(shown.items, minlength=N_ITEMS)
    selection = select(Z, shown, popularity=popularity)
    for i in chosen(selection):
        rows = np.concatenate([selection.construction[i], selection.verification[i]])
        assert len(set(shown.items[rows].tolist())) == 20


def test_a_case_tells_what_is_known_of_its_row():
    seen = csc_array(np.array([[0, 3, 1, 2], [5, 0, 0, 0]])).tocsr()
    shown = ShownItems(
        rows=np.array([0, 1]),
        items=np.array([1, 3]),
        item_features=csc_array(np.array([[1.0, 1], [0, 1], [0, 0], [0, 0]])).tocsr(),
        feature_names=np.array(["noir", "war"], dtype=object),
        item_titles=np.array(["a", "b", "c", ""], dtype=object),
        seen=seen,
        times=seen,
    )
    first, second = NeuronCases(shown, np.array([0, 1]), np.array([7.0, 0.0]))
    assert (first.row, first.item, first.title, first.level) == (0, 1, "b", 7.0)
    assert (first.attributes, second.attributes) == (("war",), ())
    assert (second.title, second.level) == ("", 0.0)
    # Oldest first, and never the item itself.
    assert first.history.tolist() == [2, 3]
    assert second.history.tolist() == [0]


def test_history_without_times_goes_by_position_and_without_rows_is_empty():
    seen = csc_array(np.array([[2, 3, 1]])).tocsr()
    rows, items = np.array([0]), np.array([0])
    known = NeuronCases(ShownItems(rows, items, seen=seen), np.array([0]))
    assert known[0].history.tolist() == [1, 2]
    assert len(NeuronCases(ShownItems(rows, items), np.array([0]))[0].history) == 0


def test_cases_are_a_sequence():
    shown = ShownItems(np.arange(5), np.arange(5))
    cases = NeuronCases(shown, np.array([4, 2, 0]), np.array([9.0, 5.0, 0.0]))
    assert [case.item for case in cases] == [4, 2, 0]
    assert cases[-1].level == 0.0
    assert cases[1:].levels.tolist() == [5.0, 0.0]
    assert cases[:2][1].row == 2
    with pytest.raises(IndexError):
        cases[3]
