"""What is particular about LensKit: run by `make test-lenskit`."""

import copy
import doctest
import pathlib
import pickle
import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("lenskit")

import torch
from lenskit import recommend, topn_pipeline
from lenskit.als import BiasedMFScorer, ImplicitMFScorer
from lenskit.basic import BiasScorer, PopScorer
from lenskit.data import RecQuery
from lenskit.flexmf import FlexMFExplicitScorer, FlexMFImplicitScorer
from lenskit.flexmf._model import FlexMFModel
from lenskit.funksvd import FunkSVDScorer
from lenskit.knn import ItemKNNScorer
from lenskit.pipeline import PipelineBuilder
from lenskit.sklearn.svd import BiasedSVDScorer
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from threadpoolctl import threadpool_info

from skpopsteer import SteeredRecommender
from skpopsteer.adapters import LensKitRecommender, as_recommender
from skpopsteer.adapters._lenskit_scorers import check_release, copied_to_cpu
from skpopsteer.datasets import load_movielens
from skpopsteer.persistence import save
from tests.hosts import HOSTS, N_ITEMS, N_USERS, WIDTH
from tests.hosts.lenskit_models import (
    ITEM_IDS,
    RECIPES,
    SIZE,
    TORCH,
    USER_IDS,
    WITH_OWN_FOLD_IN,
    dataset,
    history_of,
    own_lists_of,
    train,
)

EVERYONE = np.arange(N_USERS)
MOVIELENS = pathlib.Path(__file__).parents[2] / "data" / "ml-latest-small"
#: Where each scorer keeps its item bias.
BIASES = {
    "lenskit_biased_mf": lambda scorer: scorer.bias.item_biases,
    "lenskit_biased_svd": lambda scorer: scorer.bias_.item_biases,
    "lenskit_bpr": lambda scorer: scorer.item_embeddings[:, -1],
    "lenskit_funk_svd": lambda scorer: scorer.bias.item_biases,
}
RIDGE = sorted(set(RECIPES) - set(WITH_OWN_FOLD_IN))


def scorer_of(name):
    return HOSTS[name]().recommender.model


def array(values):
    return np.asarray(values.detach() if torch.is_tensor(values) else values)


@pytest.fixture
def biased():
    return HOSTS["lenskit_biased_mf"]()


@pytest.fixture
def implicit():
    return HOSTS["lenskit_implicit_mf"]()


@pytest.mark.parametrize("name", RECIPES)
def test_a_trained_scorer_gets_its_adapter_frozen(name):
    host = HOSTS[name]().recommender
    assert type(host) is FrozenEstimator
    assert type(host.estimator) is LensKitRecommender
    assert host.scorer_ is host.model


@pytest.mark.parametrize("name", RECIPES)
def test_scores_are_lenskits_up_to_a_number_of_the_user(name):
    host = HOSTS[name]()
    scores = host.recommender.decision_function(host.X, user_ids=EVERYONE)
    own = host.own_scores("user_ids", EVERYONE)
    assert own.std(axis=1).min() > 1e-4
    spread = np.ptp(own - scores, axis=1)
    np.testing.assert_allclose(spread, 0, atol=2e-5 * np.abs(own).max())


def test_what_is_missing_is_the_mean_and_the_bias_of_the_user(biased):
    bias = biased.recommender.model.bias
    scores = biased.recommender.decision_function(biased.X, user_ids=EVERYONE)
    missing = biased.own_scores("user_ids", EVERYONE) - scores
    expected = bias.global_bias + bias.user_biases
    assert np.ptp(expected) > 0.5
    np.testing.assert_allclose(missing.mean(axis=1), expected, rtol=1e-5)


@pytest.mark.parametrize("name", RECIPES)
def test_the_item_bias_is_lenskits_and_no_part_of_the_embedding(name):
    bias = HOSTS[name]().recommender.item_bias_
    if name not in BIASES:
        assert bias is None
        return
    assert (bias.dtype, bias.shape) == (np.float32, (N_ITEMS,))
    np.testing.assert_array_equal(bias, BIASES[name](scorer_of(name)))
    assert bias.std() > 0.01
    V = HOSTS[name]().recommender.item_embeddings_
    assert all(np.abs(column - bias).max() > 0.01 for column in V.T)


@pytest.mark.parametrize("kind", [FlexMFExplicitScorer, FlexMFImplicitScorer])
def test_flexmf_has_the_bias_that_lenskit_scores_with(kind, biased, monkeypatch):
    hidden = train(kind(**TORCH), dataset(biased.X))
    assert "i_bias" in dict(hidden.model.named_children())
    assert hidden.model.i_bias is None
    assert as_recommender(hidden).item_bias_ is None
    # Without what hides the biases, it trains them and scores with them.
    monkeypatch.delattr(FlexMFModel, "i_bias")
    monkeypatch.delattr(FlexMFModel, "u_bias")
    scorer = train(kind(**TORCH), dataset(biased.X))
    host = as_recommender(scorer)
    bias = array(scorer.model.i_bias.weight)[:, 0]
    assert bias.std() > 0.05
    np.testing.assert_array_equal(host.item_bias_, bias)
    ids = host.predict(biased.X, user_ids=EVERYONE)
    own, _ = own_lists_of(scorer, biased.X)("user_ids", EVERYONE, 10)
    assert (ids != own).mean() < 0.002
    V = host.item_embeddings_
    without_bias = as_recommender((host.user_embeddings_, V))
    assert (without_bias.predict(biased.X, user_ids=EVERYONE) != own).mean() > 0.05


def test_users_of_bpr_hold_one_at_the_item_bias():
    users = scorer_of("lenskit_bpr").user_embeddings
    assert users.shape == (N_USERS, WIDTH + 1)
    np.testing.assert_array_equal(users[:, -1], 1)


def test_embeddings_of_layers_are_their_mean():
    module = scorer_of("lenskit_lightgcn").model
    host = HOSTS["lenskit_lightgcn"]().recommender
    assert module.i_layers.shape == (4, N_ITEMS, WIDTH)
    mean = array(module.i_layers).mean(axis=0)
    np.testing.assert_allclose(host.item_embeddings_, mean, rtol=1e-4, atol=1e-6)
    assert np.abs(host.item_embeddings_ - array(module.i_embed.weight)).max() > 0.1


@pytest.mark.parametrize("name", WITH_OWN_FOLD_IN)
def test_als_folds_in_by_its_own_solver(name):
    host, X = HOSTS[name](), HOSTS[name]().X[5:25]
    solver = copy.deepcopy(host.recommender.model)
    rows = [history_of(X[[row]]) for row in range(20)]
    expected = np.stack([solver.new_user_embedding(None, row)[0] for row in rows])
    U = host.recommender.encode_users(X)
    np.testing.assert_array_equal(U, expected)
    # A row is folded in from what it holds, wherever it stands.
    backwards = host.recommender.encode_users(X[np.arange(20)[::-1]])
    np.testing.assert_array_equal(backwards[::-1], U)


def test_ratings_count_where_the_model_reads_them(biased, implicit):
    flat = csr_array(biased.X > 0, dtype=np.float64)
    for host, counts in [(biased, True), (implicit, False)]:
        U, of_ones = map(host.recommender.encode_users, (host.X, flat))
        assert (np.abs(U - of_ones).max() > 0.1) == counts
    scorer = ImplicitMFScorer(**SIZE, use_ratings=True, weight=3.0)
    scorer = train(scorer, dataset(biased.X))
    host = as_recommender(scorer)
    row = scorer.new_user_embedding(None, history_of(biased.X[[7]]))[0]
    np.testing.assert_array_equal(host.encode_users(biased.X[[7]])[0], row)
    assert np.abs(host.encode_users(flat[[7]])[0] - row).max() > 1e-3


@pytest.mark.parametrize("regularization", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("name", RIDGE)
def test_the_others_fold_in_by_ridge_at_the_median_length(name, regularization):
    X = HOSTS[name]().X
    host = LensKitRecommender(scorer_of(name), regularization=regularization)
    V = host.item_embeddings_.astype(np.float64)
    penalty = regularization * (V**2).sum() / WIDTH
    stacked = np.vstack([V, np.sqrt(penalty) * np.eye(WIDTH)])
    targets = np.vstack([X.toarray().T, np.zeros((WIDTH, N_USERS))])
    U = np.linalg.lstsq(stacked, targets)[0].T
    lengths = np.linalg.norm(host.user_embeddings_, axis=1)
    U *= np.median(lengths) / np.linalg.norm(U, axis=1, keepdims=True)
    scale = np.abs(U).max()
    np.testing.assert_allclose(host.encode_users(X), U, rtol=2e-3, atol=2e-3 * scale)


@pytest.mark.parametrize("name", RECIPES)
def test_an_empty_row_is_ranked_by_the_bias_alone(name):
    host = HOSTS[name]().recommender
    ids, scores = host.recommend(np.zeros((1, N_ITEMS)), N_ITEMS, return_scores=True)
    bias = np.zeros(N_ITEMS) if host.item_bias_ is None else host.item_bias_
    order = np.argsort(-bias, kind="stable")
    np.testing.assert_array_equal(ids[0], order)
    np.testing.assert_array_equal(scores[0], bias[order])


def test_an_empty_row_has_no_bias_of_its_own_to_divide_by(biased):
    scorer = copy.deepcopy(biased.recommender.model)
    scorer.bias.damping = 0.0
    np.testing.assert_array_equal(
        as_recommender(scorer).encode_users(np.zeros((2, N_ITEMS))), 0
    )


def lists_of(pipeline, queries, k=10):
    """Return the item ids a pipeline recommends."""
    return np.stack([recommend(pipeline, query, k).ids() for query in queries])


@pytest.mark.parametrize("kind", [BiasedMFScorer, ImplicitMFScorer])
def test_a_pipeline_recommends_to_everybody_what_it_does_itself(kind, biased):
    pipeline = topn_pipeline(kind(**SIZE), predicts_ratings=True, n=10)
    content = pickle.dumps(train(pipeline, dataset(biased.X)))
    host = as_recommender(pipeline)
    assert host.model is pipeline
    assert host.scorer_ is pipeline.component("scorer")
    own = lists_of(pickle.loads(content), USER_IDS.tolist())
    # It folds trained users in, too.
    ids = host.item_ids_[host.predict(biased.X)]
    assert (ids != own).mean() < 0.002
    assert (host.item_ids_[host.predict(biased.X, user_ids=EVERYONE)] != own).any()
    assert pickle.dumps(pipeline) == content
    # A user it has never seen.
    new = biased.X[[3]] + biased.X[[8]]
    own = lists_of(pipeline, [RecQuery(user_id="new", history_items=history_of(new))])
    np.testing.assert_array_equal(host.item_ids_[host.predict(new)], own)


def test_user_ids_are_what_prefer_does_in_a_pipeline(biased):
    scorer = BiasedMFScorer(**SIZE, user_embeddings="prefer")
    pipeline = train(topn_pipeline(scorer, n=10), dataset(biased.X))
    host = as_recommender(pipeline)
    own = lists_of(pipeline, USER_IDS.tolist())
    ids = host.item_ids_[host.predict(biased.X, user_ids=EVERYONE)]
    assert (ids != own).mean() < 0.002


def test_the_scorer_of_several_is_the_one_of_that_name(biased):
    def pipeline_of(*names):
        builder = PipelineBuilder()
        query = builder.create_input("query", RecQuery)
        items = builder.create_input("items", object)
        for name in names:
            part = FunkSVDScorer(**SIZE) if name == "other" else BiasedMFScorer(**SIZE)
            builder.add_component(name, part, query=query, items=items)
        builder.add_component("bias", BiasScorer(), query=query, items=items)
        return train(builder.build(), dataset(biased.X))

    for names in [("other", "scorer"), ("scorer", "other"), ("best",)]:
        host = as_recommender(pipeline_of(*names))
        assert type(host.scorer_) is BiasedMFScorer
        np.testing.assert_array_equal(host.predict(biased.X).shape, (N_USERS, 10))
    message = r"^`model` must be a pipeline with one scorer .* got best, other\. Pass"
    with pytest.raises(ValueError, match=message):
        as_recommender(pipeline_of("best", "other"))


@pytest.mark.parametrize("name", RECIPES)
def test_ids_are_those_of_the_vocabularies(name):
    host = HOSTS[name]().recommender
    np.testing.assert_array_equal(host.item_ids_, ITEM_IDS)
    np.testing.assert_array_equal(host.user_ids_, USER_IDS)
    assert isinstance(host.user_ids_, np.ndarray)
    assert host.item_ids_.dtype == np.int64


def test_ids_map_columns_and_rows_that_stand_in_another_order(biased):
    rng = np.random.default_rng(0)
    user_ids, item_ids = rng.permutation(USER_IDS), rng.permutation(ITEM_IDS)
    data = dataset(biased.X, user_ids, item_ids)
    pipeline = topn_pipeline(BiasedMFScorer(**SIZE, user_embeddings="prefer"), n=10)
    host = as_recommender(train(pipeline, data))
    assert host.item_ids_.tolist() == sorted(item_ids) != item_ids.tolist()
    X = biased.X[:, np.argsort(item_ids)]
    places = np.searchsorted(host.user_ids_.astype(str), user_ids)
    ids = host.item_ids_[host.predict(X, user_ids=places)]
    own = lists_of(pipeline, user_ids.tolist())
    assert (ids != own).mean() < 0.002


def test_lists_on_movielens_are_those_of_the_pipeline():
    bunch = load_movielens(MOVIELENS)
    pipeline = topn_pipeline(BiasedMFScorer(embedding_size=20), n=10)
    train(pipeline, dataset(bunch.ratings, bunch.user_ids, bunch.item_ids))
    host = as_recommender(pipeline)
    X = bunch.ratings[:, np.searchsorted(bunch.item_ids, host.item_ids_)]
    own = np.searchsorted(host.item_ids_, lists_of(pipeline, bunch.user_ids.tolist()))
    scores = host.decision_function(X)
    for ids in (host.predict(X), _steered(host, X).recommend(X, strength=0)):
        # Items with one rating each, by one user and alike, tie exactly.
        assert (ids != own).mean() < 0.03
        ours, theirs = (np.take_along_axis(scores, i, axis=1) for i in (ids, own))
        np.testing.assert_allclose(ours, theirs, atol=1e-6)


def _steered(host, X):
    return SteeredRecommender(host, rule="shift", probe=PCA(4, random_state=0)).fit(X)


def test_a_model_without_users_folds_in(biased):
    scorer = BiasedMFScorer(**SIZE, user_embeddings=False)
    host = as_recommender(train(scorer, dataset(biased.X)))
    assert (host.user_ids_, host.user_embeddings_) == (None, None)
    ids = biased.recommender.predict(biased.X)
    np.testing.assert_array_equal(host.predict(biased.X), ids)
    with pytest.raises(ValueError, match=r"^`user_ids` must be None for a host"):
        host.predict(biased.X, user_ids=EVERYONE)


@pytest.mark.parametrize("name", RECIPES)
def test_everything_the_model_holds_stays_as_it_was(name):
    # Vocabularies, settings and biases too, which the recommender contract cannot see.
    host = HOSTS[name]()
    model = copy.deepcopy(host.recommender.model)
    before = pickle.dumps(model)
    recommender = as_recommender(model)
    recommender.predict(host.X)
    recommender.predict(host.X, user_ids=EVERYONE)
    recommender.decision_function(host.X)
    _ = recommender.item_ids_, recommender.user_ids_
    recommender.estimator._content_key()
    pickle.dumps(clone(recommender.estimator))
    assert pickle.dumps(model) == before


@pytest.mark.parametrize("name", RECIPES)
def test_what_is_handed_out_cannot_write_into_the_model(name):
    host = HOSTS[name]().recommender
    tables = [host.item_embeddings_, host.user_embeddings_, host.item_bias_]
    assert not any(table.flags.writeable for table in tables if table is not None)
    U = host.encode_users(HOSTS[name]().X, user_ids=EVERYONE)
    U[:] = 5.0
    assert np.abs(host.user_embeddings_ - 5.0).min() > 0


@pytest.mark.parametrize("name", ["lenskit_biased_mf", "lenskit_flexmf_explicit"])
def test_a_model_that_is_trained_again_is_read_again(name, biased):
    model = copy.deepcopy(scorer_of(name))
    if name == "lenskit_flexmf_explicit":
        # Its tables are then converted, and share no memory with the model.
        model.model.double()
    host = LensKitRecommender(model)
    tables = host.item_embeddings_, host.user_embeddings_, host.item_bias_
    assert host.item_embeddings_ is tables[0]
    first = copy.deepcopy(tables)
    if name == "lenskit_biased_mf":
        train(model, dataset(biased.X[:, ::-1]))
    else:
        # In place, as an optimiser does.
        with torch.no_grad():
            for part in model.model.parameters():
                part += 1.0
    again = host.item_embeddings_, host.user_embeddings_, host.item_bias_
    assert (again[2] is None) == (name != "lenskit_biased_mf")
    for old, new in zip(first, again, strict=True):
        assert new is None or np.abs(new - old).max() > 0.1


def test_the_key_of_the_content_tells_what_encodes_alike(biased, implicit):
    def key(change, host=biased, **params):
        model = copy.deepcopy(host.recommender.model)
        change(model)
        return LensKitRecommender(model, **params)._content_key()

    def nothing(model):
        pass

    def other_penalty(model):
        model.config.regularization = 3.0

    def other_mean(model):
        model.bias.global_bias += 1.0

    def other_damping(model):
        model.bias.damping = 1.0

    def other_item_bias(model):
        model.bias.item_biases[3] += 1.0

    def other_users(model):
        model.user_embeddings[3] += 1.0

    def other_items(model):
        model.item_embeddings[3] += 1.0

    changes = [nothing, other_penalty, other_mean, other_damping, other_item_bias]
    keys = [key(change) for change in [*changes, other_users, other_items]]
    assert key(nothing) == keys[0] == biased.recommender.estimator._content_key()
    keys.append(key(nothing, regularization=3.0))

    def other_gram(model):
        model._OtOr += 1.0

    keys += [key(nothing, implicit), key(other_gram, implicit)]
    assert len(set(keys)) == len(keys) == 10


def _random_states():
    of_numpy = np.random.get_state()  # noqa: NPY002
    return of_numpy, torch.random.get_rng_state().numpy()


def test_nothing_is_printed_and_no_global_state_differs(biased, capfd):
    states = _random_states()
    pools, threads = threadpool_info(), torch.get_num_threads()
    for name in RECIPES:
        host = as_recommender(scorer_of(name))
        host.predict(biased.X)
        pickle.dumps(host)
    assert capfd.readouterr() == ("", "")
    np.testing.assert_equal(_random_states(), states)
    assert (threadpool_info(), torch.get_num_threads()) == (pools, threads)


def test_fit_is_refused(biased):
    with pytest.raises(ValueError, match=r"^`fit` must be called on an untrained host"):
        LensKitRecommender(biased.recommender.model).fit(biased.X)


@pytest.mark.parametrize(
    "model",
    [
        BiasedMFScorer(),
        BiasedSVDScorer(),
        FlexMFImplicitScorer(),
        topn_pipeline(BiasedMFScorer()),
    ],
    ids=lambda model: type(model).__name__,
)
def test_an_untrained_model_is_refused(model, biased):
    message = r"^`model` must be trained; got an untrained \w+Scorer\. [^\n]*$"
    with pytest.raises(ValueError, match=message):
        as_recommender(model)
    with pytest.raises(ValueError, match=message):
        LensKitRecommender(model).fit(biased.X)
    with pytest.raises(NotFittedError):
        LensKitRecommender(model).predict(biased.X)


@pytest.mark.parametrize(
    ("model", "got"),
    [
        (PopScorer(), "PopScorer"),
        (ItemKNNScorer(), "ItemKNNScorer"),
        (BiasScorer(), "BiasScorer"),
        (topn_pipeline(ItemKNNScorer()), r"UserTraining\w+, .*ItemKNNScorer, TopNR\w+"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_models_without_embeddings_are_refused(model, got, biased):
    train(model, dataset(biased.X))
    message = rf"^`model` must be a scorer of LensKit with [^\n]*; got {got}\. [^\n]*$"
    with pytest.raises(TypeError, match=message):
        as_recommender(model)
    with pytest.raises(TypeError, match=message):
        LensKitRecommender(model).fit(biased.X)


def test_a_scorer_of_somebody_elses_by_the_same_name_is_refused():
    class BiasedMFScorer:
        item_embeddings = np.ones((3, 2))

        def train(self):
            pass

    with pytest.raises(TypeError, match=r"^`model` must be a scorer of LensKit"):
        as_recommender(LensKitRecommender(BiasedMFScorer()))


def test_what_cannot_be_trained_is_refused():
    with pytest.raises(ValueError, match=r"^The 'model' parameter of LensKitRecommen"):
        as_recommender(LensKitRecommender(np.ones((3, 2))))


@pytest.mark.parametrize("release", ["0.14.4", "2025.1.1", "2025.5.0"])
def test_an_old_release_is_refused(release, biased, monkeypatch):
    monkeypatch.setattr("lenskit.__version__", release)
    message = rf"^`lenskit` must be release 2025\.6 or later; got {release}\. [^\n]*$"
    with pytest.raises(ValueError, match=message):
        as_recommender(biased.recommender.model)


@pytest.mark.parametrize("release", ["2025.6.0", "2025.10.1", "2026.1.0", "UNKNOWN"])
def test_later_releases_and_unknown_ones_are_read(release):
    check_release(release)


def test_the_extra_is_named_where_lenskit_is_absent(biased, monkeypatch):
    monkeypatch.setitem(sys.modules, "lenskit", None)
    with pytest.raises(ImportError, match=r'pip install "skpopsteer\[lenskit\]"'):
        as_recommender(biased.recommender.model)


def test_tables_that_are_no_numbers_give_one_clear_line(biased):
    for name in ("item_embeddings", "user_embeddings"):
        diverged = copy.deepcopy(biased.recommender.model)
        getattr(diverged, name)[3, 1] = np.nan
        message = rf"^`{name}` must hold finite [^\n]*it may have diverged"
        with pytest.raises(ValueError, match=message):
            as_recommender(diverged).predict(biased.X, user_ids=EVERYONE)


def test_a_clone_shares_the_model_and_not_the_parameters(biased):
    recommender = LensKitRecommender(biased.recommender.model)
    copied = clone(recommender).set_params(n_recommendations=3, regularization=9.0)
    assert copied.model is recommender.model
    assert (recommender.n_recommendations, recommender.regularization) == (10, 1.0)
    assert copied.predict(biased.X).shape == (N_USERS, 3)


def test_it_is_not_saved_without_pickle(biased, tmp_path):
    with pytest.raises(ValueError, match=r"^`model` must be of a type that load trust"):
        save(biased.recommender, tmp_path / "host.skops")


@pytest.mark.parametrize("name", ["lenskit_flexmf_explicit", "lenskit_lightgcn"])
def test_a_copy_on_the_cpu_scores_alike(name):
    host = HOSTS[name]()
    for model in (scorer_of(name), topn_pipeline(scorer_of(name))):
        copied = as_recommender(copied_to_cpu(model))
        assert copied.scorer_ is not host.recommender.model
        np.testing.assert_array_equal(
            copied.predict(host.X, user_ids=EVERYONE),
            host.recommender.predict(host.X, user_ids=EVERYONE),
        )


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
def test_a_model_on_a_gpu_stays_there_and_is_pickled_without_it(biased, monkeypatch):
    scorer = train(FlexMFImplicitScorer(**TORCH, preset="lightgcn"), dataset(biased.X))
    ids = as_recommender(scorer).predict(biased.X)
    module = scorer.to("cuda").model
    module.u_layers, module.i_layers = module.u_layers.cuda(), module.i_layers.cuda()
    recommender = as_recommender(scorer)
    content = pickle.dumps(recommender)
    assert scorer.model.device.type == "cuda"
    np.testing.assert_array_equal(recommender.predict(biased.X), ids)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    loaded = pickle.loads(content)
    assert loaded.scorer_.model.i_layers.device.type == "cpu"
    np.testing.assert_array_equal(loaded.predict(biased.X), ids)


def test_the_bridge_does_not_import_the_library():
    code = "import sys, skpopsteer.adapters; assert 'lenskit' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_example_runs():
    # Elsewhere it is skipped, for want of the library.
    source = LensKitRecommender.__doc__.replace("# doctest: +SKIP", "")
    example = doctest.DocTestParser().get_doctest(source, {}, "example", None, None)
    assert len(example.examples) > 8
    assert doctest.DocTestRunner().run(example).failed == 0
