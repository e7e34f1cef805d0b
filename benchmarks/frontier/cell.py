"""One split of one pair: every method tuned on validation, chosen, and tested."""

import time
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from scipy.sparse import csr_array

from frontier.judge import MEASURES, better
from skpopsteer.topk import merge_lists

__all__ = ["KEEP_TOP", "LEVELS", "Cell", "choose", "draw_scouts", "run_cell", "tune"]

#: Shares of the host's NDCG that a list may cost.
LEVELS = (0.99, 0.97, 0.95, 0.9, 0.8)
#: The host's first items that stay.
KEEP_TOP = (0, 2, 4, 5, 6, 7, 8, 9)
#: Strengths go from the last that costs next to nothing to the first that costs more
#: than anybody asks for.
LEAST, MOST = 0.996, 0.74
#: Strengths spread over that range, and how often others are put between them, where
#: that brings what is kept nearer to a level than `NEAR`.
N_STRENGTHS, N_REFINEMENTS, NEAR = 10, 8, 0.0005
#: Users that find that range, and draws of users behind an interval.
N_SCOUTS, N_DRAWS = 1_200, 100


@dataclass
class Cell:
    """What one split of a pair gave.

    Attributes
    ----------
    host : dict
        The host's NDCG and measures on the test.
    chosen : dict
        ``(family, level, measure)`` to a dict: name of the setting, its figures on
        validation, those on the test, and draws of the measure (n_draws,).
    seconds : dict
        Of every family.
    """

    host: dict
    chosen: dict = field(default_factory=dict)
    seconds: dict = field(default_factory=dict)

    def to_dict(self):
        """Return what JSON can hold; draws are cut to five digits."""
        rows = []
        for (family, level, measure), one in self.chosen.items():
            row = {"family": family, "level": level, "measure": measure}
            for name, value in one.items():
                is_plain = isinstance(value, str | dict)
                row[name] = value if is_plain else np.round(value, 5).tolist()
            rows.append(row)
        return {"host": self.host, "chosen": rows, "seconds": self.seconds}


def run_cell(families, valid, test, seed):
    """Tune, choose and test.

    Parameters
    ----------
    families : dict of str to callable
        Each returns a list of Variant.
    valid, test : Judge
    seed : int

    Returns
    -------
    Cell
    """
    cell = Cell({"ndcg": test.base, **test.measure(test.own)})
    rng = np.random.default_rng(seed)
    n_users, scouts = len(valid.pool.items), draw_scouts(valid, rng)
    weights = rng.multinomial(n_users, np.full(n_users, 1 / n_users), N_DRAWS)
    for family, fit in families.items():
        start = time.perf_counter()
        settings = tune(fit(), valid, scouts)
        chosen = choose(settings)
        judged = {}
        for key, setting in chosen.items():
            if id(setting) not in judged:
                places = lists_of(setting, test)
                judged[id(setting)] = (
                    test.measure(places), draw(test, places, weights),
                )  # fmt: skip
            figures, draws = judged[id(setting)]
            cell.chosen[(family, *key)] = {
                "setting": setting["name"], "valid": setting["figures"],
                "test": figures, "draws": draws[key[1]], "kept draws": draws["kept"],
            }  # fmt: skip
        cell.seconds[family] = time.perf_counter() - start
    return cell


def draw_scouts(valid, rng):
    """Return a judge of fewer users, who find the range of a strength."""
    n_users = len(valid.pool.items)
    rows = np.sort(rng.permutation(n_users)[:N_SCOUTS])
    return valid if len(rows) == n_users else valid.cut(rows)


def tune(variants, valid, scouts):
    """Return all settings of a family with their figures on validation."""
    own = {"name": "host", "variant": None, "figures": valid.measure(valid.own)}
    settings = [own]
    for variant in variants:
        for strength in strengths_of(variant, scouts):
            settings += evaluate(variant, strength, valid)
    for _ in range(N_REFINEMENTS):
        wanted = between(settings)
        if not wanted:
            break
        for variant, strength in wanted:
            settings += evaluate(variant, strength, valid)
    return settings


def evaluate(variant, strength, valid):
    """Return the settings of a strength: one for every number of items that stay."""
    places = variant.places(valid, strength)
    settings = []
    for n_kept in KEEP_TOP if variant.keeps_top else (0,):
        name = f"{variant.name}, {strength:.4g}"
        settings.append({
            "name": f"{name}, first {n_kept}" if n_kept else name,
            "variant": variant, "strength": strength, "kept": n_kept,
            "figures": valid.measure(keep(valid, places, n_kept)),
        })  # fmt: skip
    return settings


def between(settings):
    """Return strengths that may come nearer to a level than those that were tried.

    Between two neighbours of a form, one of which keeps to a level and one of which
    does not, the measure at the level is guessed: as most is gained before half is
    lost, by the root of the way between them. Where the best of these guesses is better
    than all that was tried, its strength is to be tried.
    """
    host, *tried = settings
    curves = {}
    for one in tried:
        curves.setdefault((id(one["variant"]), one["kept"]), []).append(one)
    best = choose(settings)
    wanted = {}
    for level in LEVELS:
        gaps = [
            gap
            for curve in curves.values()
            for gap in crossings([{**host, "strength": 0.0}, *curve], level)
        ]
        for measure in MEASURES:
            sign = better(measure)
            known = sign * best[level, measure]["figures"][measure]
            guesses = [
                (
                    sign
                    * (a["figures"][measure] * (1 - t) + b["figures"][measure] * t),
                    n,
                )
                for n, (a, b, t) in enumerate(gaps)
            ]
            value, n = max(guesses, default=(-np.inf, 0))
            if value > known:
                low, high, share = gaps[n]
                strength = inside(low["strength"], high["strength"], share)
                wanted[id(high["variant"]), strength] = high["variant"], strength
    return list(wanted.values())


def crossings(curve, level):
    """Return neighbours on both sides of a level, and how far it is from the first."""
    curve = sorted(curve, key=lambda one: one["strength"])
    found = []
    for low, high in pairwise(curve):
        above, below = low["figures"]["kept"] - level, level - high["figures"]["kept"]
        if above > NEAR and below > 0:
            found.append((low, high, (above - NEAR / 2) / (above + below)))
    return found


def inside(low, high, share):
    """Return a strength between two, in proportion, and not too near to either."""
    share = min(max(share, 0.05), 0.95)
    return high * share if low == 0 else low * (high / low) ** share


def strengths_of(variant, scouts):
    """Find the range of strengths worth trying, and spread some over it."""

    def kept(strength):
        places = variant.places(scouts, strength)
        return scouts.ndcg(places) / scouts.base

    if variant.most < np.inf:
        return np.linspace(0, variant.most, N_STRENGTHS + 1)[1:]
    high = 1.0
    while kept(high) > MOST and high < 1e6:
        high *= 3
    while kept(high) < MOST and high > 1e-9:
        high /= 3
    high *= 3
    # A method may cost something before it is turned at all.
    least = min(LEAST, kept(high * 1e-6) - 0.003)
    low = high / 10
    while kept(low) < least and low > high * 1e-4:
        low /= 2.5
    return np.geomspace(low, high, N_STRENGTHS)


def keep(judge, places, n_kept):
    """Leave the host's first items where they are."""
    return merge_lists(judge.own, places, n_kept) if n_kept else places


def lists_of(setting, judge):
    """Return the lists of a setting, by places in a judge's pool."""
    if setting["variant"] is None:
        return judge.own
    places = setting["variant"].places(judge, setting["strength"])
    return keep(judge, places, setting["kept"])


def choose(settings):
    """Return the best setting of every level and measure, by validation."""
    chosen = {}
    for level in LEVELS:
        enough = [one for one in settings if one["figures"]["kept"] >= level]
        # The host keeps all there is, and may be all there is.
        enough = enough or settings[:1]
        for measure in MEASURES:
            sign = better(measure)
            chosen[level, measure] = max(
                enough, key=lambda one: sign * one["figures"][measure]
            )
    return chosen


def draw(judge, places, weights):
    """Return figures of draws of the users with replacement."""
    items = judge.items(places)
    held = items >= 0
    rows = np.repeat(np.arange(len(items)), held.sum(axis=1))
    shape = len(items), len(judge.tail)
    listed = csr_array((np.ones(len(rows)), (rows, items[held])), shape=shape)
    counts = weights @ listed
    values = np.where(judge.judged, judge.per_user(places), 0.0)
    own = np.where(judge.judged, judge.per_user(judge.own), 0.0)
    kept = (weights @ values) / (weights @ own)
    return {"kept": kept, **judge.of_counts(counts)}
