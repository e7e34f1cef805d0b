"""What is particular about the transformers of RecTools: `make test-rectools`."""

import copy
import doctest
import pickle
import warnings

import joblib
import numpy as np
import pytest
import torch
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator

from skpopsteer import SteeredRecommender
from skpopsteer._spans import over_spans
from skpopsteer.adapters import RecToolsRecommender, as_recommender
from skpopsteer.persistence import save
from tests.hosts import HOSTS, MAX_LENGTH, N_ITEMS, N_USERS, WIDTH, snapshot

pytest.importorskip("rectools", reason="RecTools has its own environment")
pd = pytest.importorskip("pandas")

from rectools.dataset import Dataset  # noqa: E402
from rectools.models import (  # noqa: E402
    BERT4RecModel,
    EASEModel,
    HSTUModel,
    SASRecModel,
)
from rectools.models.nn.item_net import (  # noqa: E402
    CatFeaturesItemNet,
    IdEmbeddingsItemNet,
)
from rectools.models.nn.transformers.similarity import (  # noqa: E402
    DistanceSimilarityModule,
)

from tests.hosts.rectools_models import (  # noqa: E402
    frame_of,
    own_lists_of,
    short_times,
    train,
)

KINDS = {"sasrec": SASRecModel, "bert4rec": BERT4RecModel}
#: What the library says, of itself, while it loads a model.
LOADING = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning")


@pytest.fixture(params=KINDS)
def host(request):
    return HOSTS[request.param]()


def _model(host):
    return host.recommender.model


def _train(kind, **params):
    """Return a model on all items but the last ten, with ids that are words."""
    words = np.array([f"film {item}" for item in range(N_ITEMS)])
    return train(kind, short_times()[:, : N_ITEMS - 10], words, epochs=1, **params)


def _matrix(recommender):
    """Return the rows that every model here is asked about, in the model's order."""
    position = [int(name.removeprefix("film ")) for name in recommender.item_ids_]
    X = csr_array(short_times()[:, position])
    X.sort_indices()
    return X


def _states(model, sequences):
    """Run the library's own steps by hand, one sequence after the other, unbatched."""
    preparator, module = model.data_preparator, copy.deepcopy(model.torch_model).eval()
    states = []
    for sequence in sequences:
        ids = [item + preparator.n_item_extra_tokens for item in sequence]
        batch = preparator._collate_fn_recommend([(ids, None, {})])
        with torch.no_grad():
            items = module.item_model.get_all_embeddings()
            states.append(module.encode_sessions(batch, items)[0, -1].numpy())
    return np.array(states)


def test_a_trained_model_gets_its_adapter_frozen(host):
    assert type(host.recommender) is FrozenEstimator
    assert type(host.recommender.estimator) is RecToolsRecommender
    assert _model(host).torch_model is host.model.torch_model


def test_ids_lead_back_to_the_librarys_own_items(host):
    ids = host.recommender.item_ids_
    assert ids.dtype == np.int64
    # Neither positions nor in the order of the caller's columns.
    assert sorted(ids) == list(range(1000, 1000 + N_ITEMS))
    assert (np.diff(ids) < 0).any()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        own = _model(host).recommend(
            users=np.arange(N_USERS),
            dataset=Dataset.construct(frame_of(host.X, ids)),
            k=5,
            filter_viewed=True,
        )
    own = own.sort_values(["user_id", "rank"])["item_id"].to_numpy().reshape(-1, 5)
    lists = host.recommender.item_ids_[host.recommender.recommend(host.X, 5)]
    assert (lists != own).mean() < 0.01


def test_ids_may_be_words():
    host = as_recommender(_train(SASRecModel))
    assert host.item_ids_.shape == (host.n_items_,)
    assert {type(name) for name in host.item_ids_} == {str}


def test_no_extra_token_is_an_item(host):
    module = copy.deepcopy(_model(host).torch_model).eval()
    with torch.no_grad():
        table = module.item_model.get_all_embeddings().numpy()
    n_extra = {"sasrec": 1, "bert4rec": 2}[host.name]
    assert len(table) == N_ITEMS + n_extra
    V = host.recommender.item_embeddings_
    np.testing.assert_array_equal(V, table[n_extra:])
    assert host.recommender.item_bias_ is None
    assert host.recommender.user_embeddings_ is None


def test_scores_are_the_librarys_own(host):
    rows = np.arange(40)
    scores = host.recommender.decision_function(host.X[rows])
    np.testing.assert_allclose(
        scores, host.own_scores("fold_in", rows), rtol=1e-4, atol=1e-5
    )


def test_sequences_keep_repeats_and_any_padding(host):
    sequences = [[3, 3, 7], [7, 3], [3, 7, 3, 7, 3]]
    padded = np.array([[-1, -1, 3, 3, 7], [7, 3, -1, -1, -1], [3, 7, 3, 7, 3]])
    U = host.recommender.encode_sequences(padded)
    assert (U.dtype, U.shape) == (np.float32, (3, WIDTH))
    expected = _states(_model(host), sequences)
    np.testing.assert_allclose(U, expected, rtol=1e-4, atol=1e-5)
    once = host.recommender.encode_sequences(np.array([[3, 7]]))
    assert np.abs(U[0] - once[0]).max() > 0.01


def test_sequences_are_cut_where_the_library_cuts_them(host):
    rng = np.random.default_rng(0)
    long = rng.integers(0, N_ITEMS, (4, 3 * MAX_LENGTH))
    U = host.recommender.encode_sequences(long)
    np.testing.assert_allclose(
        U, _states(_model(host), long.tolist()), rtol=1e-4, atol=1e-5
    )
    # A place goes to the mask of BERT4Rec.
    read = {"sasrec": MAX_LENGTH, "bert4rec": MAX_LENGTH - 1}[host.name]
    last = host.recommender.encode_sequences(long[:, -read:])
    np.testing.assert_allclose(U, last, rtol=1e-4, atol=1e-5)
    shorter = host.recommender.encode_sequences(long[:, 1 - read :])
    assert np.abs(U - shorter).max() > 0.01


def test_rows_are_sequences_in_order_of_time(host):
    X = csr_array(([30.0, 10.0, 20.0], ([0, 0, 0], [5, 60, 2])), shape=(1, N_ITEMS))
    by_row = host.recommender.encode_users(X)
    expected = host.recommender.encode_sequences(np.array([[60, 2, 5]]))
    np.testing.assert_array_equal(by_row, expected)


def test_batches_change_nothing(host):
    U = host.recommender.encode_users(host.X)
    small = RecToolsRecommender(_model(host), batch_size=7).encode_users(host.X)
    np.testing.assert_allclose(small, U, rtol=1e-4, atol=1e-6)


@LOADING
@pytest.mark.parametrize("backend", ["threading", "loky"])
def test_sequences_are_encoded_in_a_pool_too(host, backend, monkeypatch):
    rows = np.random.default_rng(0).integers(0, N_ITEMS, (100, 6))
    monkeypatch.setattr("skpopsteer._spans.SPAN_ROWS", 48)
    calls = []
    monkeypatch.setattr(
        "skpopsteer.adapters._rectools.over_spans",
        lambda call, *parts: calls.append(call) or over_spans(call, *parts),
    )
    alone = host.recommender.encode_sequences(rows)
    with joblib.parallel_config(backend, n_jobs=2):
        spread = host.recommender.encode_sequences(rows)
    np.testing.assert_array_equal(spread, alone)
    assert len(calls) == 2


def test_empty_sequences_have_a_state(host):
    empty = np.full((2, 4), -1)
    U = host.recommender.encode_sequences(empty)
    assert np.isfinite(U).all()
    np.testing.assert_array_equal(U[0], U[1])
    beside = host.recommender.encode_sequences(np.array([[-1, -1], [4, 5]]))
    np.testing.assert_allclose(beside[0], U[0], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("sequences", [[[0, N_ITEMS]], [[-2, 1]], [[0.5]], [1, 2]])
def test_sequences_that_are_none_are_refused(host, sequences):
    with pytest.raises(ValueError, match=r"^`sequences` must"):
        host.recommender.encode_sequences(np.array(sequences))


@pytest.mark.parametrize("training", [True, False])
def test_dropout_is_off_and_the_mode_put_back(host, training):
    model = _model(host)
    before = snapshot(model.lightning_model)
    model.torch_model.train(training)
    try:
        first = host.recommender.encode_users(host.X)
        np.testing.assert_array_equal(host.recommender.encode_users(host.X), first)
        assert all(part.training == training for part in model.torch_model.modules())
    finally:
        for name, part in model.lightning_model.named_modules():
            part.training = before["modes"][name]
    np.testing.assert_equal(snapshot(model.lightning_model), before)


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_cosine_gives_the_librarys_scores(kind):
    model = _train(kind, similarity_module_kwargs={"distance": "cosine"})
    host = as_recommender(model)
    X = _matrix(host)[:30]
    for table in (host.encode_users(X), host.item_embeddings_):
        np.testing.assert_allclose(np.linalg.norm(table, axis=1), 1, atol=1e-5)
    ids, scores = host.recommend(X, return_scores=True)
    own_ids, own_scores = own_lists_of(model, X)("fold_in", np.arange(30), 10)
    assert (ids != own_ids).mean() < 0.02
    np.testing.assert_allclose(scores, own_scores, atol=1e-5)
    assert scores.max() <= 1 + 1e-5


def test_nets_of_features_are_part_of_the_item_vectors():
    frame = frame_of(short_times(), np.arange(N_ITEMS))
    genres = pd.DataFrame(
        {"id": np.arange(N_ITEMS), "feature": "genre", "value": np.arange(N_ITEMS) % 5}
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset = Dataset.construct(
            frame, item_features_df=genres, cat_item_features=["genre"]
        )
        model = SASRecModel(
            n_factors=WIDTH, n_heads=2, n_blocks=1, epochs=1, session_max_len=MAX_LENGTH
        ).fit(dataset)
    nets = model.torch_model.item_model.item_net_blocks
    assert {type(net) for net in nets} == {CatFeaturesItemNet, IdEmbeddingsItemNet}
    host = as_recommender(model)
    ids_alone = nets[0].ids_emb.weight.detach().numpy()[1:]
    assert np.abs(host.item_embeddings_ - ids_alone).max() > 0.01
    X = csr_array(short_times()[:, host.item_ids_])
    X.sort_indices()
    own, _ = own_lists_of(model, X)("fold_in", np.arange(30), 10)
    assert (host.recommend(X[:30]) != own).mean() < 0.01


def test_items_that_were_trained_on_are_read_again():
    model = _train(SASRecModel)
    host = as_recommender(model)
    first, key = host.item_embeddings_, host._content_key()
    assert host.item_embeddings_ is first
    assert not first.flags.writeable
    with torch.no_grad():
        next(model.torch_model.item_model.parameters()).mul_(2)
    assert np.abs(host.item_embeddings_ - first).max() > 0.01
    assert host._content_key() != key


def test_equal_models_have_equal_keys_and_others_have_not():
    models = [_train(SASRecModel, **params) for params in ({}, {}, {"n_heads": 4})]
    keys = [RecToolsRecommender(model)._content_key() for model in models]
    assert keys[0] == keys[1] != keys[2]
    # Equal weights say something else where more heads read them.
    models[2].torch_model.load_state_dict(models[0].torch_model.state_dict())
    assert RecToolsRecommender(models[2])._content_key() not in keys


def test_fit_and_user_ids_are_refused(host):
    with pytest.raises(ValueError, match=r"^`fit` must be called on an untrained host"):
        RecToolsRecommender(_model(host)).fit(host.X)
    with pytest.raises(ValueError, match=r"^`user_ids` must be None for a host with"):
        host.recommender.predict(host.X, user_ids=np.arange(N_USERS))


def test_an_untrained_model_is_refused():
    model = SASRecModel()
    for use in (as_recommender, lambda model: RecToolsRecommender(model).fit([[1.0]])):
        with pytest.raises(
            ValueError, match=r"^`model` must be fitted; got a SASRecMo"
        ):
            use(model)


def test_models_that_are_no_transformers_are_refused():
    with pytest.raises(TypeError, match=r"^`model` must be a transformer .* EASEModel"):
        as_recommender(EASEModel())


def test_a_model_of_ones_own_kind_is_read_by_the_adapter():
    class Own(SASRecModel):
        """Somebody's own."""

    host = RecToolsRecommender(_train(Own))
    assert host.predict(_matrix(host)).shape == (N_USERS, 10)


def test_models_that_read_times_are_refused_and_others_like_them_not():
    with pytest.raises(ValueError, match=r"^`model` must read the order .* HSTUModel"):
        as_recommender(_train(HSTUModel))
    model = _train(HSTUModel, relative_time_attention=False)
    host = as_recommender(model)
    X = _matrix(host)[:30]
    own, _ = own_lists_of(model, X)("fold_in", np.arange(30), 10)
    assert (host.recommend(X) != own).mean() < 0.01


class Halved(DistanceSimilarityModule):
    """Somebody's own similarity."""


def test_similarities_of_ones_own_are_refused():
    with pytest.raises(
        ValueError, match=r"^`model` must rank by RecTools' own .*Halve"
    ):
        as_recommender(_train(SASRecModel, similarity_module_type=Halved))


def test_weights_that_are_no_numbers_are_refused():
    model = _train(SASRecModel)
    with torch.no_grad():
        next(model.torch_model.item_model.parameters())[5, 0] = torch.nan
    with pytest.raises(ValueError, match=r"^`item_embeddings` must hold finite"):
        as_recommender(model)


def test_a_clone_shares_the_model_and_not_the_parameters(host):
    recommender = host.recommender.estimator
    copied = clone(recommender).set_params(n_recommendations=3)
    assert copied.model is recommender.model
    assert recommender.n_recommendations == 10
    assert copied.predict(host.X).shape == (N_USERS, 3)


@LOADING
def test_pickles_encode_alike(host):
    loaded = pickle.loads(pickle.dumps(host.recommender))
    np.testing.assert_array_equal(loaded.item_ids_, host.recommender.item_ids_)
    np.testing.assert_array_equal(
        loaded.encode_users(host.X), host.recommender.encode_users(host.X)
    )


def test_it_is_not_saved_without_pickle(host, tmp_path):
    with pytest.raises(
        ValueError, match=r"^`model` must hold no torch module .*RecToo"
    ):
        save(host.recommender, tmp_path / "host.skops")


def test_synthetic_profiles_are_read_as_sequences(host, monkeypatch):
    asked = []
    encode = RecToolsRecommender.encode_sequences

    def spy(self, sequences):
        asked.append(np.asarray(sequences))
        return encode(self, sequences)

    monkeypatch.setattr(RecToolsRecommender, "encode_sequences", spy)
    SteeredRecommender(host.recommender, rule="shift", random_state=0).fit(host.X)
    held = [np.sort(rows, axis=1) for rows in asked]
    # Profiles are drawn with replacement, as published.
    assert any(((np.diff(rows) == 0) & (rows[:, 1:] >= 0)).any() for rows in held)


def test_the_example_of_the_docstring_runs():
    """Its lines are skipped where RecTools is not."""
    source = RecToolsRecommender.__doc__.replace("# doctest: +SKIP", "")
    example = doctest.DocTestParser().get_doctest(source, {}, "example", None, 0)
    assert len(example.examples) > 8
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert runner.run(example).failed == 0
