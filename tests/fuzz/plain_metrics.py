"""The metrics once more, in loops over users and slots, as their docstrings say."""

import math
from dataclasses import dataclass

import numpy as np

__all__ = ["PLAIN", "World"]


@dataclass
class World:
    """What metrics read, in plain form."""

    lists: list
    y: list
    X: list
    popularity: list
    groups: list
    n_users: int
    n_train_users: int

    @property
    def filled(self):
        return [[i for i in row if i >= 0] for row in self.lists]

    @property
    def n_items(self):
        return len(self.groups)


def _mean(values):
    values = [v for v in values if not math.isnan(v)]
    return sum(values) / len(values) if values else math.nan


def _per_user(of_user):
    def measure(world, per_user):
        values = [of_user(world, u) for u in range(world.n_users)]
        return values if per_user else _mean(values)

    return measure


def _accuracy(of_hits):
    def of_user(world, u):
        if not world.y[u]:
            return math.nan
        hits = [item in world.y[u] for item in world.lists[u]]
        return of_hits(hits, len(world.y[u]))

    return _per_user(of_user)


def _ndcg(hits, n):
    gain = sum(hit / math.log2(r + 2) for r, hit in enumerate(hits))
    return gain / sum(1 / math.log2(r + 2) for r in range(min(n, len(hits))))


def _map(hits, n):
    found = [sum(hits[: r + 1]) / (r + 1) for r, hit in enumerate(hits) if hit]
    return sum(found) / min(n, len(hits))


def _counts(world):
    counts = [0] * world.n_items
    for row in world.filled:
        for item in row:
            counts[item] += 1
    return counts


def _gini(world, per_user):
    counts = sorted(_counts(world))
    n, total = len(counts), sum(counts)
    if not total:
        return math.nan
    ranked = sum((r + 1) * c for r, c in enumerate(counts))
    return 2 * ranked / (n * total) - (n + 1) / n


def _coverage(world, per_user):
    return sum(c > 0 for c in _counts(world)) / world.n_items


def _entropy(world, per_user):
    counts = [c for c in _counts(world) if c]
    if not counts:
        return math.nan
    return -sum(c / sum(counts) * math.log(c / sum(counts)) for c in counts)


def _mean_of_list(value):
    def of_user(world, u):
        row = world.filled[u]
        return sum(value(world, i) for i in row) / len(row) if row else math.nan

    return _per_user(of_user)


def _surprise(world, item):
    return math.log2(world.n_train_users / max(world.popularity[item], 1))


def _in_tail(world, item):
    return world.groups[item] == -1


def _tail_coverage(world, per_user):
    counts = _counts(world)
    tail = [i for i in range(world.n_items) if world.groups[i] == -1]
    return sum(counts[i] > 0 for i in tail) / len(tail)


def _tail_items(world, u):
    row = world.filled[u]
    return float(sum(_in_tail(world, i) for i in row)) if row else math.nan


def _lift(world, per_user):
    pairs = []
    for row, history in zip(world.filled, world.X, strict=True):
        both = [
            sum(world.popularity[i] for i in items) / len(items) if items else math.nan
            for items in (row, sorted(history))
        ]
        pairs.append(both)
    if per_user:
        return [
            a / b - 1 if b > 0 and not math.isnan(a) else math.nan for a, b in pairs
        ]
    pairs = [p for p in pairs if not any(map(math.isnan, p))]
    top, bottom = sum(p[0] for p in pairs), sum(p[1] for p in pairs)
    return top / bottom - 1 if bottom > 0 else math.nan


def _deviation(world, u):
    history, row = world.X[u], world.filled[u]
    if not history or not row:
        return math.nan
    total = 0.0
    for group in (-1, 0, 1):
        p = sum(world.groups[i] == group for i in history) / len(history)
        q = sum(world.groups[i] == group for i in row) / len(row)
        middle = (p + q) / 2
        total += p * math.log2(p / middle) if p else 0.0
        total += q * math.log2(q / middle) if q else 0.0
    return total / 2


def _spread(chosen, chances):
    shares = [c / n for c, n in zip(chosen, chances, strict=True) if n > 0]
    if len(shares) < 2 or not sum(shares):
        return math.nan
    return float(np.std(shares) / np.mean(shares))


def _poprsp(world, per_user):
    chosen, chances = [], []
    for group in (-1, 0, 1):
        members = {i for i in range(world.n_items) if world.groups[i] == group}
        pairs = list(zip(world.filled, world.X, strict=True))
        chosen.append(sum(len((set(r) - x) & members) for r, x in pairs))
        chances.append(sum(len(members - x) for _, x in pairs))
    return _spread(chosen, chances)


def _popreo(world, per_user):
    found, wanted = [], []
    for group in (-1, 0, 1):
        members = {i for i in range(world.n_items) if world.groups[i] == group}
        triples = list(zip(world.filled, world.X, world.y, strict=True))
        wanted.append(sum(len((y - x) & members) for _, x, y in triples))
        found.append(sum(len((y - x) & members & set(r)) for r, x, y in triples))
    return _spread(found, wanted)


PLAIN = {
    "ndcg": _accuracy(_ndcg),
    "recall": _accuracy(lambda hits, n: sum(hits) / n),
    "precision": _accuracy(lambda hits, n: sum(hits) / len(hits)),
    "hit_rate": _accuracy(lambda hits, n: float(any(hits))),
    "mrr": _accuracy(lambda hits, n: max(hit / (r + 1) for r, hit in enumerate(hits))),
    "mean_average_precision": _accuracy(_map),
    "gini": _gini,
    "coverage": _coverage,
    "entropy": _entropy,
    "average_popularity": _mean_of_list(lambda world, i: world.popularity[i]),
    "novelty": _mean_of_list(_surprise),
    "tail_coverage": _tail_coverage,
    "tail_share": _mean_of_list(_in_tail),
    "average_tail_items": _per_user(_tail_items),
    "popularity_lift": _lift,
    "user_popularity_deviation": _per_user(_deviation),
    "poprsp": _poprsp,
    "popreo": _popreo,
}
