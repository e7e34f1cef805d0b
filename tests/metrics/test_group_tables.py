"""How tables by groups print, show as HTML and become frames."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from skpopsteer.metrics import RankingFrame
from skpopsteer.popularity import item_popularity
from tests.metrics.group_cells import RULE, cell


def test_text_fits_a_terminal_and_states_the_groups(frame, pair):
    for table in (frame, pair[1]):
        text = str(table)
        assert max(map(len, text.splitlines())) <= 88
        flat = " ".join(text.split())
        assert str(RULE) in flat
        assert "the 20 % with the lowest and the highest share of head items" in flat
        assert "95 % intervals from" in flat
    i, j, k = cell(frame, "ndcg@6", "niche", "head")
    assert f"{frame.values[i, j, k]:.4f}" in str(frame)
    assert f"[{frame.low[i, j, k]:.4f}, {frame.high[i, j, k]:.4f}]" in str(frame)
    assert f"({frame.group_sizes['niche']} users)" in str(frame)


def test_large_numbers_and_long_labels_fit_too(split, lists):
    X, _ = split
    labels = np.where(np.arange(200) % 2, "a very long label of a group", "b")
    frame = RankingFrame(
        "average_popularity@5", X, None, lists, user_groups=labels, item_groups=RULE,
        item_popularity=item_popularity(X) * 3_000.0, n_boot=20, random_state=0,
    )  # fmt: skip
    assert max(map(len, str(frame).splitlines())) <= 88
    assert "a very long l..." in str(frame)
    assert "Users: labels given." in " ".join(str(frame).split())


def test_text_of_the_comparison_shows_adjusted_p_values(pair):
    _, change = pair
    text = str(change)
    assert "Cells: second minus first." in text
    i = change.metrics.index("ndcg@6")
    block = text.split("\n\n")[i].splitlines()
    # Of the first group: difference, interval, p-values.
    p = change.p_bootstrap_adjusted[i, 0, 0], change.p_wilcoxon_adjusted[i, 0, 0]
    shown = ["<.001" if x < 0.001 else f" {x:.3f}".replace("0.", ".") for x in p]
    assert f"p{shown[0]} w{shown[1]}" in block[4]
    assert f"{change.difference[i, 0, 0]:.3f}" in block[2]


def test_names_are_escaped_in_html(split, lists):
    labels = np.where(np.arange(200) % 2, "<i>", "b & c")
    frame = RankingFrame(
        {"<b>": "ndcg@5"}, *split, lists, user_groups=labels, n_boot=5, random_state=0
    )
    for html in (frame._repr_html_(), frame.compare(frame)._repr_html_()):
        assert "<b>" not in html
        assert "<i>" not in html
        assert "&lt;b&gt;" in html
        assert "b &amp; c" in html
        assert html.count("<tr>") == 1 + 3
    assert f"{frame.values[0, 0, 0]:.4f}<br>" in frame._repr_html_()


@pytest.mark.parametrize("backend", ["pandas", "polars"])
def test_tables_become_frames(frame, pair, backend):
    long = frame.to_frame(backend)
    assert list(long.columns) == [
        "metric", "user_group", "item_group", "n_users", "value", "low", "high"
    ]  # fmt: skip
    assert len(long) == frame.values.size
    assert_array_equal(long["value"].to_numpy(), frame.values.ravel())
    assert list(long["user_group"])[:5] == ["all"] * 4 + ["niche"]
    change = pair[1]
    long = change.to_frame(backend)
    assert long.shape == (change.difference.size, 13)
    assert_array_equal(long["p_wilcoxon"].to_numpy(), change.p_wilcoxon.ravel())
    with pytest.raises(
        ValueError, match=r"^`backend` must be 'pandas' or 'polars'; go"
    ):
        frame.to_frame("arrow")


def test_repr_names_the_axes(frame):
    assert repr(frame).endswith("item_groups=['all', 'head', 'mid', 'tail'])")
    assert "\n" not in repr(frame)


def test_tables_pickle(frame, pair):
    again = pickle.loads(pickle.dumps(frame))
    assert str(again) == str(frame)
    assert (again.compare(frame).difference[0] == 0).all()
    assert str(pickle.loads(pickle.dumps(pair[1]))) == str(pair[1])
