"""The table: right figures, readable text, safe HTML."""

import numpy as np
import pytest
from scipy.sparse import csr_array

from skpopsteer import (
    PopularityGroups,
    PopularityPenaltyReranker,
    as_recommender,
    compare,
    metrics,
)
from skpopsteer.popularity import item_popularity
from tests.inspection.html_tables import tables_of


@pytest.fixture(scope="module")
def table(host, split):
    penalty = PopularityPenaltyReranker(host, strength=0.3).fit(split[0])
    return compare({"host": host, "<b>penalty</b>": penalty}, *split)


def test_every_column_is_the_metric_of_its_name(table, host, split):
    X, y = split
    ids, popularity = host.predict(X), item_popularity(X)
    groups = PopularityGroups().label(popularity)
    expected = {
        "ndcg@10": metrics.ndcg(y, ids),
        "recall@10": metrics.recall(y, ids),
        "gini@10": metrics.gini(ids, 100),
        "coverage@10": metrics.coverage(ids, 100),
        "tail_coverage@10": metrics.tail_coverage(ids, groups),
        "tail_share@10": metrics.tail_share(ids, groups),
        "average_popularity@10": metrics.average_popularity(ids, popularity),
    }
    assert table.columns == list(expected)
    for name, value in expected.items():
        assert table[name][0] == pytest.approx(value)
        assert table[name][0] != table[name][1]


def test_text_has_a_row_per_model_and_states_the_convention(table):
    lines = str(table).splitlines()
    assert len({len(line) for line in lines[:-1]}) == 1
    assert lines[0].split() == ["tail", "tail", "average"]
    assert lines[1].split()[-3:] == ["coverage@10", "share@10", "popularity@10"]
    assert lines[3].startswith("host")
    assert f"{table['gini@10'][0]:.4f}" in lines[3]
    assert lines[-1] == f"({PopularityGroups()}; users: folded in from their rows)"


def test_html_holds_the_figures(table):
    ((caption, rows),), outside = tables_of(table._repr_html_())
    assert rows[0] == ["", *table.columns]
    assert (caption, outside) == (table.convention, "")
    assert table.names == ["host", "<b>penalty</b>"]
    for name, values, row in zip(table.names, table.values, rows[1:], strict=True):
        shares = [f"{value:.4f}" for value in values[:-1]]
        assert row == [name, *shares, f"{values[-1]:.1f}"]


def test_names_are_escaped_in_html(table):
    html = table._repr_html_()
    assert "<b>" not in html
    assert "&lt;b&gt;penalty&lt;/b&gt;" in html


@pytest.mark.parametrize("backend", ["pandas", "polars"])
def test_it_becomes_a_frame(table, backend):
    frame = table.to_frame(backend)
    assert list(frame.columns) == ["recommender", *table.columns]
    assert list(frame["recommender"]) == table.names
    np.testing.assert_allclose(frame["gini@10"].to_numpy(), table["gini@10"])


def test_other_groups_give_other_tail_figures(host, split, table):
    other = compare({"host": host}, *split, groups=PopularityGroups("head_mass"))
    assert other["tail_share@10"][0] != table["tail_share@10"][0]
    assert other["gini@10"][0] == table["gini@10"][0]


def test_the_length_of_the_lists_is_the_callers(host, split):
    table = compare({"host": host}, *split, n_recommendations=5)
    X, y = split
    assert table["ndcg@5"][0] == pytest.approx(metrics.ndcg(y, host.recommend(X, 5)))


def test_trained_users_are_looked_up_when_named(split):
    X, y = split
    U, V = np.random.default_rng(0).normal(size=(2, 200, 4))
    host = as_recommender((U, V[:100]))
    ids = np.arange(200)
    table = compare({"host": host}, X, y, user_ids=ids)
    expected = metrics.ndcg(y, host.recommend(X, user_ids=ids))
    assert table["ndcg@10"][0] == pytest.approx(expected)
    assert "users: trained vectors" in str(table)


def test_interactions_may_be_dense(host, split, table):
    X, y = split
    same = compare({"host": host}, X.toarray(), y)
    np.testing.assert_array_equal(same.values, table.values[:1])


def test_held_out_items_that_were_shown_are_refused(host, split):
    X, y = split
    y = y + csr_array(([1.0], ([0], X.indices[:1])), shape=X.shape)
    with pytest.raises(ValueError, match=r"`y` must not overlap `X`; got 1 of"):
        compare({"host": host}, X, y)


@pytest.mark.parametrize("models", [{}, [1], None])
def test_no_models_are_refused(models, split):
    with pytest.raises(ValueError, match="`models` must be a dict"):
        compare(models, *split)


def test_an_unknown_column_lists_those_there_are(table):
    with pytest.raises(KeyError, match=r"must be one of ndcg@10.*got 'ndgc'"):
        table["ndgc"]


def test_an_unknown_frame_library_is_refused(table):
    with pytest.raises(ValueError, match="`backend` must be 'pandas' or 'polars'"):
        table.to_frame("arrow")
