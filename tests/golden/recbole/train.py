"""Train small models with the real RecBole, and score users with it.

``python -m tests.golden.recbole.train`` in the environment of ``make test-recbole``
writes the files of this folder anew.
"""

import contextlib
import logging
import pathlib
import shutil
import sys
import tempfile
import warnings
from unittest.mock import patch

import numpy as np
import torch
from scipy.sparse import csr_array

#: Numbers of :mod:`tests.hosts.host`.
N_USERS, N_ITEMS, WIDTH, MAX_LENGTH = 200, 100, 8, 12
FOLDER = pathlib.Path(__file__).parent
SEQUENTIAL = ("SASRec", "GRU4Rec")
#: Settings by model; every other one is RecBole's own.
SETTINGS = {
    "BPR": {"embedding_size": WIDTH},
    "LightGCN": {"embedding_size": WIDTH, "n_layers": 3},
    "MultiVAE": {"latent_dimension": 2 * WIDTH, "mlp_hidden_size": [12]},
    "SASRec": {"hidden_size": WIDTH, "inner_size": 16, "n_heads": 2, "n_layers": 2},
    "GRU4Rec": {"embedding_size": WIDTH, "hidden_size": 6, "num_layers": 2},
}
#: Others that ``make test-recbole`` tries, and that are not kept.
MORE_SETTINGS = {
    "NGCF": {"embedding_size": WIDTH, "hidden_size_list": [4, 4]},
    "DGCF": {"embedding_size": WIDTH, "n_factors": 2, "n_layers": 1},
    "SGL": {"embedding_size": WIDTH, "n_layers": 2},
    "SpectralCF": {"embedding_size": WIDTH, "n_layers": 2},
    "NeuMF": {"mf_embedding_size": WIDTH, "mlp_embedding_size": WIDTH},
}
_SHARED = {
    "load_col": {"inter": ["user_id", "item_id", "timestamp"]},
    "use_gpu": False, "show_progress": False, "state": "ERROR", "epochs": 40,
    "train_batch_size": 512, "learning_rate": 0.02, "weight_decay": 1e-5,
    "metrics": ["NDCG"], "topk": [10], "valid_metric": "NDCG@10", "worker": 0,
    "MAX_ITEM_LIST_LENGTH": MAX_LENGTH,
}  # fmt: skip


def timed_events(seed=0):
    """Make users and items, and a time for every event."""
    rng = np.random.default_rng(seed)
    tastes, kinds = rng.normal(size=(N_USERS, 4)), rng.normal(size=(N_ITEMS, 4))
    logits = 2 * tastes @ kinds.T - 0.5 * np.log1p(np.arange(N_ITEMS))
    noise = rng.gumbel(size=logits.shape)
    lengths = rng.integers(6, 25, N_USERS)
    ranks = (-(logits + noise)).argsort(axis=1).argsort(axis=1)
    users, items = np.nonzero(ranks < lengths[:, None])
    # No two events at one time, and no time that float32 would round.
    return users, items, rng.permutation(len(users)) + 1


def train(name, folder, **settings):
    """Train a model of RecBole and save it as RecBole does.

    Returns
    -------
    checkpoint : pathlib.Path
        What RecBole saved.
    model : torch.nn.Module
        Its model, with the weights of the checkpoint.
    X : csr_array of shape (N_USERS, N_ITEMS)
        What its scores are based on: times, at RecBole's internal ids less 1.
    scores : ndarray of shape (N_USERS, N_ITEMS) or None
        Of its method ``full_sort_predict``, without the column of padding; None for a
        model that has none.
    """
    from recbole.config import Config
    from recbole.data import create_dataset, data_preparation
    from recbole.utils import get_model, get_trainer, init_seed

    folder = pathlib.Path(folder).resolve()
    (folder / "events").mkdir(parents=True, exist_ok=True)
    lines = ["user_id:token\titem_id:token\ttimestamp:float"]
    lines += [f"u{u}\ti{i}\t{t}" for u, i, t in zip(*timed_events(), strict=True)]
    (folder / "events" / "events.inter").write_text("\n".join(lines) + "\n")
    settings = {
        **_SHARED, **SETTINGS.get(name, {}), **MORE_SETTINGS.get(name, {}),
        "data_path": ".", "checkpoint_dir": "saved", **settings,
    }  # fmt: skip
    if name in SEQUENTIAL:
        settings["eval_args"] = {
            "split": {"LS": "valid_and_test"}, "order": "TO", "group_by": "user",
            "mode": "full",
        }  # fmt: skip
        settings["train_neg_sample_args"] = None
    # RecBole reads the command line of whatever runs it, and writes its settings into
    # the checkpoint: no folder of this machine belongs there.
    with (
        contextlib.chdir(folder),
        warnings.catch_warnings(),
        torch.random.fork_rng(devices=[]),
        patch.object(sys, "argv", ["train"]),
    ):
        warnings.simplefilter("ignore")
        config = Config(model=name, dataset="events", config_dict=settings)
        logging.disable(logging.CRITICAL)
        init_seed(config["seed"], config["reproducibility"])
        dataset = create_dataset(config)
        training, validation, test = data_preparation(config, dataset)
        model = get_model(config["model"])(config, training.dataset)
        trainer = get_trainer(config["MODEL_TYPE"], config["model"])(config, model)
        saved_when = validation if config["eval_step"] else None
        trainer.fit(training, saved_when, saved=True, show_progress=False)
        # Its thread writes to a path relative to this folder, until it is closed.
        trainer.tensorboard.close()
        torch.use_deterministic_algorithms(False)
        # As RecBole itself loads its checkpoints: written above, by nobody else.
        saved = torch.load(trainer.saved_model_file, weights_only=False)
        model.load_state_dict(saved["state_dict"])
        model.load_other_parameter(saved["other_parameter"])
        model.eval().zero_grad()
        logging.disable(logging.NOTSET)
        X, scores = _own_scores(model, training, test)
    return folder / trainer.saved_model_file, model, X, scores


@torch.no_grad()
def _own_scores(model, training, test):
    from recbole.data.interaction import Interaction

    dataset = test.dataset
    shape = dataset.user_num, dataset.item_num
    assert shape == (N_USERS + 1, N_ITEMS + 1)
    if type(model).__name__ in SEQUENTIAL:
        events = dataset.inter_feat
        assert len(events) == N_USERS
        order = np.argsort(events["user_id"].numpy())
        scores = model.full_sort_predict(events)[order]
        # Everything but the last event of every user, which is to be predicted.
        events = _remapped_events(dataset)
        last = np.zeros(shape)
        np.maximum.at(last, (events[0], events[1]), events[2])
        last[last == last.max(axis=1, keepdims=True)] = 0
        X = csr_array(last)
    else:
        X = training.dataset.inter_matrix("csr", value_field="timestamp")
        users = Interaction({"user_id": torch.arange(shape[0])})
        try:
            scores = model.full_sort_predict(users)
        except NotImplementedError:
            return X, None
    scores = scores.reshape(-1, shape[1])[-N_USERS:, 1:]
    return csr_array(X, dtype=np.float64)[1:, 1:], scores.numpy()


def _remapped_events(dataset):
    users, items, times = timed_events()
    ids = [
        np.array([dataset.token2id(name, f"{name[0]}{n}") for n in range(count)])
        for name, count in (("user_id", N_USERS), ("item_id", N_ITEMS))
    ]
    return ids[0][users], ids[1][items], times


def read(name):
    """Return the kept checkpoint, its interactions and RecBole's scores."""
    with np.load(FOLDER / f"{name}.npz") as kept:
        parts = kept["data"], kept["indices"], kept["indptr"]
        X = csr_array(parts, shape=(N_USERS, N_ITEMS))
        return FOLDER / f"{name}.pth", X, kept["scores"]


def main():
    for name in SETTINGS:
        with tempfile.TemporaryDirectory() as folder:
            checkpoint, _, X, scores = train(name, folder)
            shutil.copyfile(checkpoint, FOLDER / f"{name}.pth")
        np.savez_compressed(
            FOLDER / f"{name}.npz", data=X.data.astype(np.float64),
            indices=X.indices.astype(np.int32), indptr=X.indptr.astype(np.int32),
            scores=scores.astype(np.float32),
        )  # fmt: skip


if __name__ == "__main__":
    main()
