"""Checkpoints of RecBole as hosts.

Where RecBole is installed, it trains them; elsewhere they are the checkpoints in
tests/golden/recbole, with the scores that RecBole gave for them.
"""

import atexit
import shutil
import tempfile
from importlib.util import find_spec

from skpopsteer.adapters import as_recommender
from tests.golden.recbole import train as recbole
from tests.hosts.host import Host, lists_by_hand, snapshot


def recbole_host(name, kind):
    if find_spec("recbole"):
        folder = tempfile.mkdtemp()
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        checkpoint, model, X, scores = recbole.train(kind, folder)
    else:
        checkpoint, X, scores = recbole.read(kind)
        # What is never to be written to: the file.
        model = (checkpoint.read_bytes(),)

    def own_lists(way, rows, k, exclude_seen=True):
        return lists_by_hand(scores[rows], X[rows], k, exclude_seen)

    return Host(name, model, snapshot(model), as_recommender(checkpoint), X, own_lists)


RECIPES = {
    "recbole_bpr": (recbole_host, "BPR", {}),
    "recbole_light_gcn": (recbole_host, "LightGCN", {}),
    "recbole_sasrec": (recbole_host, "SASRec", {}),
    "recbole_gru4rec": (recbole_host, "GRU4Rec", {}),
    "recbole_multi_vae": (recbole_host, "MultiVAE", {}),
}
WITH_USER_IDS = ["recbole_bpr", "recbole_light_gcn"]
WITH_OWN_FOLD_IN = ["recbole_sasrec", "recbole_gru4rec", "recbole_multi_vae"]
NONLINEAR = ["recbole_multi_vae"]
