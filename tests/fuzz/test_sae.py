"""The probe on any rows: finite codes, at most k active, or one clear line."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import issparse

from skpopsteer.sae import SparseAutoencoderProbe
from tests.fuzz.budget import examples
from tests.fuzz.calls import Refusal, answer, attempt, refusal
from tests.fuzz.covering import covers
from tests.fuzz.models import table_host
from tests.fuzz.strategies import bad_tables, good_tables, nonsense, random_states
from tests.instances import small_probe


@covers("sae.SparseAutoencoderProbe")
@examples(25, times_longer=40)
@given(
    n_rows=st.integers(1, 12),
    width=st.integers(1, 6),
    n_neurons=st.integers(1, 9),
    k=st.integers(1, 9),
    activation=st.sampled_from(["topk", "batch_topk"]),
    sparse_output=st.booleans(),
    random_state=random_states(),
    data=st.data(),
)
def test_probe(
    n_rows, width, n_neurons, k, activation, sparse_output, random_state, data
):
    form, _ = data.draw(good_tables(n_rows, width))
    probe = SparseAutoencoderProbe(
        n_neurons,
        k=k,
        activation=activation,
        max_iter=2,
        random_state=random_state,
        sparse_output=sparse_output,
    )
    fitted = attempt(probe.fit, form)
    if isinstance(fitted, Refusal):
        return
    Z = answer(probe.transform, form)
    assert issparse(Z) is sparse_output
    Z = Z.toarray() if sparse_output else Z
    assert Z.shape == (n_rows, n_neurons)
    assert np.isfinite(Z).all()
    assert (Z >= 0).all()
    if activation == "topk":
        assert ((Z > 0).sum(axis=1) <= k).all()
    back = answer(probe.inverse_transform, Z)
    assert back.shape == (n_rows, width)
    assert np.isfinite(back).all()
    assert np.isfinite(answer(probe.pre_activations, form)).all()
    score = attempt(probe.score, form)
    assert isinstance(score, Refusal) or score <= 1
    again = SparseAutoencoderProbe(**probe.get_params()).fit(form)
    np.testing.assert_array_equal(again.decoder_weights_, probe.decoder_weights_)


@examples(30, times_longer=40)
@given(odd=nonsense(), data=st.data())
def test_probe_refuses(odd, data):
    probe = small_probe().fit(np.eye(9, 3))
    strange = data.draw(bad_tables(9, 3))
    for table in (odd, strange):
        # Text that reads as numbers is what scikit-learn converts.
        for method in (
            small_probe().fit,
            small_probe().partial_fit,
            probe.transform,
            probe.pre_activations,
            probe.score,
        ):
            refusal(method, table)
        attempt(probe.inverse_transform, table)
    for wide in (np.ones((2, 4)), np.ones((2, 2))):
        refusal(probe.transform, wide)
    attempt(small_probe(loss="prediction").fit, np.eye(9, 4), item_embeddings=odd)


@examples(10, times_longer=20)
@given(data=st.data())
def test_probe_of_a_host(data):
    host = table_host()
    U = host.user_embeddings_[: data.draw(st.integers(2, 20))]
    probe = answer(small_probe().fit, U)
    assert np.isfinite(answer(probe.transform, U)).all()
