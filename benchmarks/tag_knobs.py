"""What a knob for a tag costs: personal against segment NDCG@20, beside baselines.

Users the host has never seen; a fifth of their items is hidden. Each is steered towards
the tag that is most typical of what is *seen* of them. Segment: all items of that tag;
personal: the hidden items. The baselines of the same lists:

- indicator: a number is added to the scores (z-scores) of the items of the tag;
- mean item: the mean embedding of the items of the tag is added to the user's;
- tag autoencoder: scores are a learned tag profile times the tags of the items, as
  TEASER (https://github.com/matospiso/Disentangling-user-embeddings-using-SAE), with
  the strength added to the profile.

Needs ``../shared/data`` beside the repository, and elsarec; written to
``results/tag_knobs.md``.
"""

import csv
import gzip
import pathlib
import warnings
from collections import defaultdict

import numpy as np
import torch
from elsa import ELSA
from implicit.als import AlternatingLeastSquares
from scipy.sparse import csr_array, csr_matrix, eye_array
from sklearn.frozen import FrozenEstimator
from threadpoolctl import threadpool_limits

from skpopsteer import SparseAutoencoderProbe, SteeredRecommender, as_recommender
from skpopsteer.metrics import ndcg
from skpopsteer.model_selection import hide_interactions
from skpopsteer.neurons import NeuronSubset, NeuronUnion, map_concepts
from skpopsteer.topk import top_k

ROOT = pathlib.Path(__file__).resolve().parents[1]
DATA = ROOT.parent / "shared" / "data"
SEEDS = (0, 1, 2)
LENGTH = 20
#: Items a tag must have, and items of it that must be seen of a user.
MIN_ITEMS, MIN_SEEN = 20, 2
#: Segment NDCG, in units of the host's, at which personal NDCG is compared.
GAINS = (1.25, 1.5)
SHARES = (0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.7)
NEURONS = {
    "1 neuron, best characterizes": ("best_characterizes", 1),
    "10 neurons, best characterizes": ("best_characterizes", 10),
    "1 neuron, most unique": ("most_unique", 1),
    "10 neurons, point-biserial": ("point_biserial", 10),
    "1 neuron, output precision": ("output_precision", 1),
    "10 neurons, output precision": ("output_precision", 10),
}


def read_pairs(folder, floor):
    """Return users, items and the values of interactions of at least `floor`."""
    with np.load(DATA / folder / "interactions.npz") as arrays:
        value = arrays["weight"] if "weight" in arrays else arrays["rating"]
        kept = value >= floor
        return arrays["user"][kept], arrays["item"][kept]


def read_tags(folder):
    """Yield (item, tag, weight)."""
    name = "item_tags.csv.gz" if folder == "ml-1m" else "tags.csv.gz"
    with gzip.open(DATA / folder / name, "rt", encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            weight = int(row["users"]) if folder == "ml-1m" else 1
            yield int(row["item"]), row["tag"].strip().lower(), weight


def load(folder, floor):
    """Return interactions of users with five or more, and tags of enough items."""
    user, item = read_pairs(folder, floor)
    users, counts = np.unique(user, return_counts=True)
    kept = np.isin(user, users[counts >= 5])
    users, row = np.unique(user[kept], return_inverse=True)
    items, column = np.unique(item[kept], return_inverse=True)
    X = csr_array((np.ones(len(row)), (row, column)), shape=(len(users), len(items)))
    place = {int(one): position for position, one in enumerate(items)}
    weights = defaultdict(lambda: defaultdict(int))
    for one, tag, weight in read_tags(folder):
        if one in place:
            weights[tag][place[one]] += weight
    names = sorted(tag for tag, of in weights.items() if len(of) >= MIN_ITEMS)
    T = np.zeros((len(items), len(names)))
    for column, tag in enumerate(names):
        T[list(weights[tag]), column] = list(weights[tag].values())
    return X, csr_array(T), names


def typical_tags(X, T):
    """Return the tag with the largest TF-IDF of every history, -1 for none."""
    has = csr_array(T)
    has.data = np.ones_like(has.data)
    seen = (X @ has).toarray()
    rarity = np.log(len(has.toarray()) / np.maximum(has.sum(axis=0), 1))
    seen[seen < MIN_SEEN] = 0
    score = seen * rarity
    return np.where(score.max(axis=1) > 0, score.argmax(axis=1), -1)


def train_als(X, seed):
    """Return a host of implicit."""
    with threadpool_limits(1, "blas"):
        als = AlternatingLeastSquares(factors=64, alpha=5, random_state=seed)
        als.fit(csr_matrix(X, dtype=np.float32), show_progress=False)
    return as_recommender(als)


def train_elsa(X, seed):
    """Return a collaborative autoencoder of elsarec."""
    torch.manual_seed(seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = ELSA(n_items=X.shape[1], n_dims=64, device=torch.device("cpu"), lr=3e-3)
        model.fit(
            csr_matrix(X, dtype=np.float32), epochs=60, batch_size=128, shuffle=True,
            verbose=False,
        )  # fmt: skip
    return as_recommender(model)


class Judge:
    """Measures lists of test users on what is hidden and on their tags."""

    def __init__(self, X, y, tags, T):
        self.X, self.y = X, y
        has = csr_array(T[:, tags].T)
        has.data = np.ones_like(has.data)
        # An item that is seen already cannot be recommended.
        self.segment = csr_array(has - has.multiply(X > 0))
        self.segment.eliminate_zeros()

    def __call__(self, lists):
        """Return the segment and the personal NDCG."""
        return ndcg(self.segment, lists), ndcg(self.y, lists)

    def lists(self, scores):
        """Return the best unseen items."""
        scores = np.array(scores, dtype=np.float32)
        scores[self.X.nonzero()] = -np.inf
        return top_k(scores, LENGTH)[0]


def neuron_curves(host, probe, train, X, judge, tags, T, names):
    """Yield the curve of every way of choosing neurons."""
    steered = sorted(set(tags))
    items = csr_array(eye_array(T.shape[0]))
    Z = csr_array(probe.transform(host.encode_users(items)))
    profiles = probe.decoder_weights_ @ host.item_embeddings_.T
    for label, (score_func, n) in NEURONS.items():
        found = map_concepts(
            Z, T, names, score_func=score_func, n_neurons=n, min_support=1,
            item_profiles=profiles if score_func == "output_precision" else None,
        ).neurons  # fmt: skip
        knobs = [(f"tag {t}", NeuronSubset(found[t][found[t] >= 0])) for t in steered]
        model = SteeredRecommender(
            host, probe=FrozenEstimator(probe), selector=NeuronUnion(knobs),
            rule="interpolate", random_state=0,
        ).fit(train)  # fmt: skip
        curve = []
        for share in SHARES:
            lists = np.empty((X.shape[0], LENGTH), dtype=np.int64)
            for t in steered:
                rows = np.flatnonzero(tags == t)
                lists[rows] = model.recommend(
                    X[rows], LENGTH, strength={f"tag {t}": share}
                )
            curve.append((share, *judge(lists)))
        yield label, curve


def baseline_curves(host, train, X, judge, tags, T, seed):
    """Yield the curves of what needs no neurons."""
    U = host.encode_users(X)
    V, scores = host.item_embeddings_, host.decode(U)
    has = (T.toarray() > 0).astype(np.float32)
    z = (scores - scores.mean(1, keepdims=True)) / scores.std(1, keepdims=True)
    yield (
        "indicator",
        [
            (s, *judge(judge.lists(z + s * has[:, tags].T)))
            for s in (0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0)
        ],
    )
    means = (has.T @ V) / has.sum(axis=0)[:, None]
    means /= np.linalg.norm(means, axis=1, keepdims=True)
    lengths = np.linalg.norm(U, axis=1, keepdims=True)
    yield (
        "mean item",
        [
            (s, *judge(judge.lists(host.decode(U + s * lengths * means[tags]))))
            for s in (0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0)
        ],
    )
    encode = train_tag_autoencoder(train, has, seed)
    profile = encode(X)
    yield (
        "tag autoencoder",
        [
            (s, *judge(judge.lists((profile + s * np.eye(len(has[0]))[tags]) @ has.T)))
            for s in (0.0, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5)
        ],
    )


def train_tag_autoencoder(X, has, seed, epochs=25):
    """Learn what each item says of the tags: (x E) G' without the item itself."""
    torch.manual_seed(seed)
    G = torch.from_numpy(has)
    E = torch.nn.Parameter(0.01 * torch.randn(G.shape))
    optimizer = torch.optim.Adam([E], lr=1e-3)
    rows = torch.from_numpy(X.toarray().astype(np.float32))
    for _ in range(epochs):
        for batch in torch.randperm(len(rows)).split(256):
            x = rows[batch]
            own = (E * G).sum(1)
            loss = ((x @ E @ G.T - x * own - x) ** 2).mean() + 1e-4 * (E**2).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    learned = E.detach().numpy()
    return lambda X: X @ learned


def personal_at(curve, start, segment):
    """Interpolate personal NDCG where a segment NDCG is reached; NaN if never."""
    points = np.array([start, *[point[1:] for point in curve]])
    if points[:, 0].max() < segment:
        return np.nan
    first = int(np.argmax(points[:, 0] >= segment))
    if first == 0:
        return points[0, 1]
    (x0, y0), (x1, y1) = points[first - 1], points[first]
    return y0 + (segment - x0) / (x1 - x0) * (y1 - y0)


def measure(X, T, names, train_host, seed):
    """Return the host's (segment, personal) NDCG and the curve of every method."""
    order = np.random.default_rng(seed).permutation(X.shape[0])
    n_test = X.shape[0] // 5
    train, test = X[order[n_test:]], X[order[:n_test]]
    seen, hidden = hide_interactions(test, random_state=seed)
    tags = typical_tags(seen, T)
    rows = np.flatnonzero((tags >= 0) & (np.diff(hidden.indptr) > 0))
    seen, hidden, tags = seen[rows], hidden[rows], tags[rows]
    host = train_host(train, seed)
    probe = SparseAutoencoderProbe(
        1024, k=16, standardize_rows=True, max_iter=300, random_state=seed
    ).fit(host.encode_users(train))
    judge = Judge(seen, hidden, tags, T)
    own = judge(host.recommend(seen, LENGTH))
    curves = dict(neuron_curves(host, probe, train, seen, judge, tags, T, names))
    curves |= dict(baseline_curves(host, train, seen, judge, tags, T, seed))
    return own, curves, len(rows), len(set(tags))


def table(runs):
    """Return lines: what of personal NDCG is left at the same segment NDCG."""
    owns = np.array([own for own, *_ in runs])
    head = " | ".join(f"personal at {gain} x segment" for gain in GAINS)
    lines = [
        f"| method | best segment | best personal | {head} |",
        "|---|--:|--:|--:|--:|",
    ]
    segment, personal = owns.mean(axis=0)
    lines.append(f"| host | {segment:.3f} | {personal:.3f} | | |")
    for label in runs[0][1]:
        best = np.array(
            [np.max([p[1:] for p in run[1][label]], axis=0) for run in runs]
        )
        cells = []
        for gain in GAINS:
            left = [
                personal_at(run[1][label], run[0], gain * run[0][0]) for run in runs
            ]
            shares = 100 * np.array(left) / owns[:, 1]
            reached = np.isfinite(shares)
            cell = "not reached"
            if reached.all():
                cell = f"{shares.mean():.0f} % ± {shares.std(ddof=1):.0f}"
            elif reached.any():
                cell = f"reached in {reached.sum()} of {len(shares)}"
            cells.append(cell)
        lines.append(
            f"| {label} | {best[:, 0].mean():.3f} | {best[:, 1].mean():.3f} | "
            + " | ".join(cells) + " |"
        )  # fmt: skip
    return lines


def main():
    """Measure every set and host, and write the tables."""
    lines = []
    for folder, floor, hosts in [
        ("ml-latest-small", 4, {"ELSA": train_elsa}),
        ("ml-1m", 4, {"ELSA": train_elsa, "ALS": train_als}),
        ("lastfm-hetrec", 0, {"ELSA": train_elsa}),
    ]:
        if not (DATA / folder).is_dir():
            print(f"{folder} is not in ../shared/data: nothing measured of it")
            continue
        X, T, names = load(folder, floor)
        for host, train_host in hosts.items():
            runs = [measure(X, T, names, train_host, seed) for seed in SEEDS]
            n_users, n_tags = runs[0][2:]
            lines += [
                f"## {folder}, {host}", "",
                f"{X.shape[0]:,} users, {X.shape[1]:,} items, {len(names)} tags; "
                f"{n_users} test users with {n_tags} tags, {len(SEEDS)} seeds.",
                "", *table(runs), "",
            ]  # fmt: skip
            # After every set: the last one takes longest.
            text = "\n".join([__doc__.split("\n\n")[0].strip(), "", *lines])
            results = ROOT / "benchmarks" / "results" / "tag_knobs.md"
            results.write_text(text, encoding="utf-8")
            print(text[text.index(f"## {folder}, {host}") :], flush=True)


if __name__ == "__main__":
    main()
