"""Top-k of any scores: what a stable sort says, or one clear line."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from scipy.sparse import csc_array, csr_array

from skpopsteer import topk
from tests.fuzz.budget import examples
from tests.fuzz.calls import Refusal, answer, attempt, refusal
from tests.fuzz.covering import covers
from tests.fuzz.strategies import bad_counts, generators, nonsense, sparse_forms


@st.composite
def score_tables(draw, max_items=40):
    """Scores with ties, infinities and extremes, in any layout of memory."""
    rng = draw(generators())
    shape = draw(st.integers(0, 5)), draw(st.integers(0, max_items))
    kind = draw(st.sampled_from(["normal", "ties", "equal", "extreme"]))
    scores = {
        "normal": rng.normal(size=shape),
        "ties": rng.integers(-2, 3, shape).astype(float),
        "equal": np.zeros(shape),
        "extreme": rng.choice([0.0, -0.0, 1e-45, -1e-45, 3e38, -3e38], shape),
    }[kind]
    scores[rng.random(shape) < draw(st.sampled_from([0, 0.3, 1]))] = -np.inf
    scores = scores.astype(draw(st.sampled_from([np.float32, np.float64])))
    if draw(st.booleans()):
        scores = np.asfortranarray(scores)
    if draw(st.booleans()):
        scores = np.repeat(np.repeat(scores, 2, axis=1), 2, axis=0)[::2, ::2]
    scores.flags.writeable = draw(st.booleans())
    return scores


def _plain(scores, k):
    ids = np.full((len(scores), k), -1)
    values = np.full((len(scores), k), -np.inf)
    for row, of_items in enumerate(scores.tolist()):
        order = sorted(range(len(of_items)), key=lambda i: (-of_items[i], i))[:k]
        order = [i for i in order if of_items[i] > -np.inf]
        ids[row, : len(order)] = order
        values[row, : len(order)] = [of_items[i] for i in order]
    return ids, values


@covers("topk.top_k", "topk.finite_top_k")
@examples(400)
@given(scores=score_tables(), k=st.integers(0, 45), infinite=st.booleans())
def test_top_k(scores, k, infinite):
    if infinite and scores.size:
        scores = scores.copy()
        scores[0, -1] = np.inf
    ids, values = answer(topk.top_k, scores, k)
    wanted, wanted_values = _plain(scores, k)
    assert_array_equal(ids, wanted)
    assert_array_equal(values, wanted_values)
    if infinite and scores.size and k:
        assert "finite" in refusal(topk.finite_top_k, scores, k)
    else:
        assert_array_equal(answer(topk.finite_top_k, scores, k)[0], wanted)


@examples(150)
@given(scores=score_tables(), k=st.integers(1, 45), data=st.data())
def test_top_k_refuses_nan_that_would_be_listed(scores, k, data):
    scores = scores.copy()
    if not scores.size:
        return
    scores[:, data.draw(st.integers(0, scores.shape[1] - 1))] = np.nan
    for call in (topk.top_k, topk.finite_top_k):
        assert "NaN" in refusal(call, scores, k)


@covers("topk.highest")
@examples(300)
@given(scores=score_tables(), data=st.data())
def test_highest(scores, data):
    if scores.shape[1] < 2:
        refusal(topk.highest, scores, 1)
        return
    k = data.draw(st.integers(1, scores.shape[1] - 1))
    chosen, tied = answer(topk.highest, scores, k)
    assert chosen.shape == (len(scores), k)
    ordered = -np.sort(-scores, axis=1)
    level = ordered[:, k - 1] == ordered[:, k]
    assert set(np.flatnonzero(level)) <= set(tied)
    for row in set(range(len(scores))) - set(tied.tolist()):
        assert_array_equal(
            np.sort(-scores[row, chosen[row]]), np.sort(-ordered[row, :k])
        )


@covers("topk.row_blocks")
@examples(80)
@given(n_rows=st.integers(0, 10**5), n_columns=st.integers(0, 2**31 - 1))
def test_row_blocks(n_rows, n_columns):
    blocks = answer(lambda *shape: list(topk.row_blocks(*shape)), n_rows, n_columns)
    ends = [0, *(block.stop for block in blocks)]
    assert [block.start for block in blocks] == ends[:-1]
    assert ends[-1] == n_rows


@covers("topk.merge_lists")
@examples(300)
@given(
    rng=generators(),
    n_rows=st.integers(0, 4),
    k=st.integers(0, 6),
    n_first=st.integers(0, 9),
)
def test_merge_lists(rng, n_rows, k, n_first):
    lists = []
    for _ in range(2):
        drawn = np.full((n_rows, k), -1)
        for row in drawn:
            n = rng.integers(0, k + 1)
            row[:n] = rng.permutation(8)[:n]
        lists.append(drawn)
    merged = answer(topk.merge_lists, *lists, n_first)
    for first, second, row in zip(*lists, merged, strict=True):
        kept = [i for i in first[:n_first] if i >= 0]
        wanted = kept + [i for i in second if i >= 0 and i not in kept]
        wanted = (wanted + [-1] * k)[:k]
        assert row.tolist() == wanted


@covers("topk.forbid", "topk.only")
@examples(150)
@given(scores=score_tables(9), sparse=st.booleans(), data=st.data())
def test_masks(scores, sparse, data):
    rng = data.draw(generators())
    allowed = rng.random(scores.shape if sparse else scores.shape[1]) < 0.5
    wide = np.broadcast_to(allowed, scores.shape)
    mask = csr_array(allowed) if sparse else allowed
    kept = answer(topk.only, scores, mask)
    assert_array_equal(kept, np.where(wide, scores, -np.inf))
    changed = scores.copy()
    topk.forbid(changed, mask)
    assert_array_equal(changed, np.where(wide, -np.inf, scores))


@examples(200)
@given(odd=nonsense(), count=bad_counts(None), data=st.data())
def test_nonsense_is_refused(odd, count, data):
    scores, lists = np.zeros((2, 3)), np.zeros((2, 1), dtype=int)
    strange = data.draw(
        st.sampled_from(
            [
                scores[0],
                scores[None],
                scores.astype(int),
                scores > 0,
                scores.tolist(),
                scores.astype(object),
                csr_array(scores),
                scores.astype(complex),
            ]
        )
    )
    if not (isinstance(odd, np.ndarray) and odd.shape == (0, 0)):
        for table in (odd, strange):
            for call in (topk.top_k, topk.finite_top_k, topk.highest):
                refusal(call, table, 1)
            refusal(topk.only, table, np.ones(3, bool))
            refusal(topk.forbid, table, np.ones(3, bool))
    for mask in (odd, csc_array(scores), csr_array(scores[:1]), np.ones(2, bool)):
        refusal(topk.only, scores, mask)
        refusal(topk.forbid, scores, mask)
    for call in (topk.top_k, topk.finite_top_k, topk.highest):
        if not (type(count) is int and count == 0):
            refusal(call, scores, count)
    refusal(topk.merge_lists, odd, lists, 1)
    refusal(topk.merge_lists, lists, odd, 1)
    if not (type(count) is int and count == 0):
        refusal(topk.merge_lists, lists, lists, count)
        refusal(lambda *shape: list(topk.row_blocks(*shape)), count, 1)
        refusal(lambda *shape: list(topk.row_blocks(*shape)), 1, count)


@examples(60)
@given(drawn=score_tables(9), data=st.data())
def test_masks_of_any_form_are_taken_or_refused(drawn, data):
    dense = (np.nan_to_num(drawn, neginf=0) > 0).astype(float)
    mask = data.draw(sparse_forms(dense))
    kept = attempt(topk.only, drawn, mask)
    if not isinstance(kept, Refusal):
        assert mask.format == "csr"
