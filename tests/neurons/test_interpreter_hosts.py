"""From a host and a probe: rows are encoded, and an item stands for each of them."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal
from scipy.sparse import csr_array, csr_matrix
from sklearn.decomposition import TruncatedSVD

from skpopsteer import SteeredRecommender
from skpopsteer.adapters import TorchRecommender, as_recommender, rows_to_sequences
from skpopsteer.datasets import make_interactions
from skpopsteer.model_selection import HeldOut, hide_interactions
from skpopsteer.neurons import CallableDescriber, NeuronInterpreter
from skpopsteer.neurons._row_items import encode_activations
from skpopsteer.sae import SparseAutoencoderProbe
from tests.hosts import HOSTS, N_ITEMS

# The hosts here have 200 users and 100 items; some recommend fewer than 100 of them.
pytestmark = pytest.mark.filterwarnings("ignore:`which_item` must show at least")


def probe_of(host, X, user_ids=None, n_neurons=24, k=4):
    probe = SparseAutoencoderProbe(n_neurons, k=k, max_iter=20, random_state=0)
    return probe.fit(host.encode_users(X, user_ids))


def features_of(n_items, n_features=5):
    return np.eye(n_features)[np.arange(n_items) % n_features]


def recorder(rows):
    """Record row, item and history of every case, and predict nothing."""

    def describe(cases):
        rows.update({case.row: case for case in cases})
        return "x"

    def predict(concept, case):
        rows[case.row] = case
        return 0

    return CallableDescriber(describe, predict)


@pytest.fixture(scope="module")
def concepts():
    """3,000 users whose taste is planted, a host that has learned it, and a probe."""
    data = make_interactions(
        3000, 300, concept_strength=6.0, popularity_exponent=0.6, random_state=0
    )
    X, y = hide_interactions(data.X, random_state=0)
    host = as_recommender(TruncatedSVD(9, random_state=0).fit(X))
    probe = SparseAutoencoderProbe(32, k=3, max_iter=100, random_state=0)
    return data, X, y, host, probe.fit(host.encode_users(X))


@pytest.mark.parametrize("which_item", ["top1_recommended", "target"])
def test_planted_taste_is_found_and_permuted_descriptions_are_not(concepts, which_item):
    data, X, y, host, probe = concepts
    interpreter = NeuronInterpreter(
        host, probe, which_item=which_item, random_state=0, n_permutations=5
    ).fit(X, y, item_features=data.item_concepts)
    assert np.isfinite(interpreter.confidence_).sum() > 20
    gain = np.nanmean(interpreter.confidence_) - np.nanmean(
        interpreter.null_confidence_
    )
    assert gain > (0.2 if which_item == "top1_recommended" else 0.1)
    assert np.nanmean(interpreter.null_confidence_) == pytest.approx(0.5, abs=0.07)
    assert interpreter.interpretable_share_ > 2 * interpreter.null_interpretable_share_
    assert interpreter.n_features_in_ == X.shape[1]


@pytest.mark.parametrize("name", HOSTS)
def test_every_host_can_be_interpreted(name):
    host = HOSTS[name]()
    cases = {}
    interpreter = NeuronInterpreter(
        host.recommender,
        probe_of(host.recommender, host.X),
        describer=recorder(cases),
        n_cases=2,
        distinct_items=False,
        random_state=0,
    ).fit(host.X)
    assert len(cases) > 20
    assert np.isfinite(interpreter.confidence_).any()
    top = host.recommender.recommend(host.X, 1)[:, 0]
    for row, case in cases.items():
        assert case.item == top[row]
        assert case.item not in host.X[[row]].indices


@pytest.mark.parametrize("name", ["als", "sequence_model", "mult_vae"])
def test_the_host_and_its_model_stay_as_they_are(name):
    from tests.hosts import snapshot

    host = HOSTS[name]()
    X = host.X.copy()
    probe = probe_of(host.recommender, host.X)
    weights = probe.decoder_weights_.copy()
    NeuronInterpreter(host.recommender, probe, random_state=0).fit(
        host.X, item_features=features_of(N_ITEMS)
    )
    np.testing.assert_equal(snapshot(host.model), host.trained)
    assert_array_equal(probe.decoder_weights_, weights)
    assert_array_equal(host.X.toarray(), X.toarray())


class Propagation(torch.nn.Module):
    """LightGCN's two tables: mean of three layers of normalised neighbours."""

    def __init__(self, X, width=8):
        super().__init__()
        n_users, n_items = X.shape
        A = np.zeros((n_users + n_items,) * 2, dtype=np.float32)
        A[:n_users, n_users:] = (X > 0).toarray()
        A += A.T
        degree = np.maximum(A.sum(axis=1), 1) ** -0.5
        A = torch.as_tensor(degree[:, np.newaxis] * A * degree)
        start = torch.randn(len(A), width, generator=torch.Generator().manual_seed(0))
        layers = [start]
        for _ in range(3):
            layers.append(A @ layers[-1])
        users, items = torch.stack(layers).mean(dim=0).split([n_users, n_items])
        self.users = torch.nn.Parameter(users)
        self.items = torch.nn.Parameter(items)
        self.gram = torch.linalg.pinv(items.T @ items + 0.1 * torch.eye(width))

    def encode(self, rows):
        return rows @ self.items @ self.gram


@pytest.mark.parametrize("bridge", ["tables", "torch"])
def test_a_graph_host_can_be_interpreted(interactions, bridge):
    module = Propagation(interactions)
    if bridge == "tables":
        users, items = (t.detach().numpy() for t in (module.users, module.items))
        host, ids = as_recommender((users, items)), np.arange(len(users))
    else:
        torch_host = TorchRecommender(module, encoder="encode", item_embeddings="items")
        host, ids = as_recommender(torch_host), None
    cases = {}
    probe = probe_of(host, interactions, ids)
    NeuronInterpreter(
        host, probe, describer=recorder(cases), n_cases=2, random_state=0
    ).fit(interactions, user_ids=ids)
    top = host.recommend(interactions, 1, user_ids=ids)[:, 0]
    assert len(cases) > 20
    assert all(case.item == top[row] for row, case in cases.items())


def test_user_ids_look_trained_users_up():
    host = HOSTS["arrays"]()
    ids = np.random.default_rng(0).permutation(host.X.shape[0])
    probe = probe_of(host.recommender, host.X, ids)
    Z = probe.transform(host.recommender.encode_users(host.X, ids))
    interpreter = NeuronInterpreter(host.recommender, probe, random_state=0).fit(
        host.X, user_ids=ids, item_features=features_of(N_ITEMS)
    )
    assert_array_equal(interpreter.concepts_["n_active"], (Z > 0).sum(axis=0))


def test_blocks_give_what_the_whole_gives(concepts):
    _, X, _, host, probe = concepts
    Z = encode_activations(host, probe, X, None)
    # 3,000 rows are three blocks.
    np.testing.assert_allclose(
        Z.toarray(), probe.transform(host.encode_users(X)), rtol=1e-4, atol=1e-6
    )
    sparse = SparseAutoencoderProbe(**{**probe.get_params(), "sparse_output": True})
    sparse.fit(host.encode_users(X))
    assert_array_equal(encode_activations(host, sparse, X, None).toarray(), Z.toarray())


def test_a_framed_probe_is_read_too(interactions, host):
    probe = probe_of(host, interactions)
    plain = encode_activations(host, probe, interactions, None).toarray()
    framed = encode_activations(
        host, probe.set_output(transform="pandas"), interactions, None
    )
    assert_array_equal(framed.toarray(), plain)


# Which item


def items_by_case(host, X, y=None, *, which_item, n_cases=2, **fit_params):
    cases = {}
    interpreter = NeuronInterpreter(
        host,
        probe_of(host, X),
        describer=recorder(cases),
        which_item=which_item,
        n_cases=n_cases,
        distinct_items=False,
        random_state=0,
    ).fit(X, y, **fit_params)
    assert len(cases) > 20
    return cases, interpreter


def test_the_last_input_of_an_order_aware_host_is_its_last_item():
    host = HOSTS["sequence_model"]()
    cases, _ = items_by_case(host.recommender, host.X, which_item="last_input")
    sequences = rows_to_sequences(host.X, max_length=100)
    for row, case in cases.items():
        # Ties in time included, the order is that of the host's own sequences.
        sequence = sequences[row][sequences[row] >= 0]
        assert case.item == sequence[-1]
        assert case.history.tolist() == sequence[:-1].tolist()


def test_the_last_input_of_other_hosts_is_that_of_the_times(interactions, host):
    times = interactions.copy()
    times.data = 1.0 + np.random.default_rng(0).permutation(times.nnz)
    cases, interpreter = items_by_case(
        host, interactions, which_item="last_input", times=csr_matrix(times)
    )
    last = times.toarray().argmax(axis=1)
    assert all(case.item == last[row] for row, case in cases.items())
    assert interpreter.n_distinct_items_ == len(np.unique(last))


def test_times_are_needed_and_must_fit(interactions, host):
    probe = probe_of(host, interactions)
    interpreter = NeuronInterpreter(host, probe, which_item="last_input")
    features = features_of(100)
    with pytest.raises(ValueError, match="`times` must be given for which_item='last_"):
        interpreter.fit(interactions, item_features=features)
    other = interactions.copy()
    other.data = 1.0 + np.arange(other.nnz)
    other.data[0] = 0
    with pytest.raises(ValueError, match="one time > 0 for every interaction of `X`"):
        interpreter.fit(interactions, item_features=features, times=other)


@pytest.mark.parametrize("form", ["sparse", "flat", "held out"])
def test_the_target_is_a_held_out_item(split, host, form):
    X, y = split
    one_each = np.full(X.shape[0], -1)
    for row in range(0, X.shape[0], 2):
        one_each[row] = y[[row]].indices[0]
    given = {"sparse": y, "flat": one_each, "held out": HeldOut(y)}[form]
    cases, _ = items_by_case(host, X, given, which_item="target")
    first = []
    for row, case in cases.items():
        if form == "flat":
            assert case.item == one_each[row] >= 0
        else:
            targets = y[[row]].indices
            assert case.item in targets
            if len(targets) > 1:
                first.append(case.item == targets[0])
    # Of several targets neither always nor never the first.
    assert form == "flat" or 0 < np.mean(first) < 1


def test_a_target_is_drawn_by_the_seed(split, host):
    X, y = split
    runs = [items_by_case(host, X, y, which_item="target")[0] for _ in range(2)]
    first, again = ({row: case.item for row, case in run.items()} for run in runs)
    assert first == again


def test_targets_are_needed(split, host):
    interpreter = NeuronInterpreter(host, probe_of(host, split[0]), which_item="target")
    with pytest.raises(ValueError, match="`y` must be given for which_item='target'"):
        interpreter.fit(split[0], item_features=features_of(100))


def test_a_row_that_has_seen_everything_has_no_recommendation(interactions, host):
    X = csr_array(np.vstack([interactions.toarray(), np.ones((1, 100))]))
    cases, _ = items_by_case(host, X, which_item="top1_recommended")
    assert 200 not in cases
    assert all(case.item >= 0 for case in cases.values())


def test_histories_are_what_rows_have_seen(interactions, host):
    cases, _ = items_by_case(host, interactions, which_item="top1_recommended")
    for row, case in cases.items():
        assert_array_equal(case.history, interactions[[row]].indices)


# Steered recommenders


@pytest.fixture(scope="module")
def steered(interactions, host):
    return SteeredRecommender(
        host,
        rule="shift",
        probe=SparseAutoencoderProbe(24, k=4, max_iter=20, random_state=0),
        strength=3.0,
        random_state=0,
    ).fit(interactions)


def test_a_steered_recommender_brings_host_and_probe(interactions, steered):
    features = features_of(100)
    through = NeuronInterpreter(steered, random_state=0, n_cases=2)
    apart = NeuronInterpreter(
        steered.recommender_, steered.probe_, random_state=0, n_cases=2
    )
    tables = [i.fit(interactions, item_features=features) for i in (through, apart)]
    assert_array_equal(tables[0].confidence_, tables[1].confidence_)
    assert tables[0].labels_ == tables[1].labels_


def test_another_probe_may_be_given_with_a_steered_recommender(interactions, steered):
    probe = probe_of(steered.recommender_, interactions, n_neurons=7)
    interpreter = NeuronInterpreter(steered, probe, n_cases=2)
    interpreter.fit(interactions, item_features=features_of(100))
    assert interpreter.n_neurons_ == 7


@pytest.mark.parametrize(
    ("recommender", "error", "message"),
    [
        (None, TypeError, "`recommender` must be a fitted host with encode_users"),
        ("unfitted", TypeError, "got SteeredRecommender"),
        ("items only", ValueError, "`probe` must be fitted on the embeddings"),
        ("host", ValueError, "`probe` must be fitted on the embeddings"),
    ],
)
def test_what_is_missing_is_named(interactions, host, recommender, error, message):
    if recommender == "unfitted":
        recommender = SteeredRecommender(host, rule="shift")
    elif recommender == "items only":
        recommender = SteeredRecommender(
            host,
            side="item",
            item_probe=SparseAutoencoderProbe(8, k=2, max_iter=1, random_state=0),
            random_state=0,
        ).fit(interactions)
    elif recommender == "host":
        recommender = host
    with pytest.raises(error, match=message):
        NeuronInterpreter(recommender).fit(interactions, item_features=features_of(100))


def test_a_wrong_number_of_columns_is_named(interactions, host):
    interpreter = NeuronInterpreter(host, probe_of(host, interactions))
    with pytest.raises(ValueError, match=r"one row per item \(100\); got 99"):
        interpreter.fit(interactions, item_features=features_of(99))
    with pytest.raises(ValueError, match="`X` must have one column per item"):
        interpreter.fit(interactions[:, :50], item_features=features_of(50))


@pytest.mark.slow
def test_movielens_1m_takes_seconds(shared_data):
    """2,048 neurons, 6,040 rows; confidence is above what permutations give."""
    import csv
    import gzip
    import time

    with np.load(shared_data / "ml-1m" / "interactions.npz") as arrays:
        users, items = arrays["user"], arrays["item"]
    ids, columns = np.unique(items, return_inverse=True)
    rows = np.unique(users, return_inverse=True)[1]
    X = csr_array((np.ones(len(rows)), (rows, columns)))
    path = shared_data / "ml-1m" / "items.csv.gz"
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        known = {int(row["item"]): row["genres"] for row in csv.DictReader(file)}
    names = sorted({genre for genres in known.values() for genre in genres.split("|")})
    genres = np.array([[n in known[i].split("|") for n in names] for i in ids])
    host = as_recommender(TruncatedSVD(64, random_state=0).fit(X))
    probe = SparseAutoencoderProbe(2048, k=32, max_iter=10, random_state=0)
    probe.fit(host.encode_users(X))
    start = time.perf_counter()
    interpreter = NeuronInterpreter(host, probe, random_state=0)
    interpreter.fit(X, item_features=(genres.astype(float), names))
    assert time.perf_counter() - start < 60
    confidence, null = interpreter.confidence_, interpreter.null_confidence_
    assert np.isfinite(confidence).sum() > 1000
    assert np.nanmean(null) == pytest.approx(0.5, abs=0.03)
    assert np.nanmean(confidence) > np.nanmean(null) + 0.02
