"""Which form of neurons in score space is the default of ``SteeredRecommender``.

Every form that the frontier table may choose from is tuned by itself, over strengths
and how many of the host's first items stay, on the validation of one split of each pair
that ``make bench-hosts`` has stored. No test set is read. Written to
``results/neuron_forms.md``.
"""

import pathlib
import tempfile
import warnings

import numpy as np
from frontier.cell import LEVELS, choose, draw_scouts, tune
from frontier.families import make_families
from frontier.judge import MEASURES, Judge, better
from frontier.pairs import path_of
from frontier_hosts import PAIRS, SPLITS
from frontier_table import judged
from joblib import Parallel, delayed

RESULTS = pathlib.Path(__file__).resolve().parent / "results" / "neuron_forms.md"
SPLIT = SPLITS[0]
#: A form this near to the best counts as level with it.
LEVEL = 0.01


def measure(host, data):
    """Return what every form reaches alone, by level and measure."""
    pair, pool_size, rows = judged(host, data, SPLIT)
    valid = Judge(pair, "valid", pool_size, rows)
    scouts = draw_scouts(valid, np.random.default_rng(SPLIT))
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="`dead_neurons_` must stay")
        families = make_families(pair, valid, pool_size, SPLIT, folder)
        found = {}
        for variant in families["neurons in score space"]():
            chosen = choose(tune([variant], valid, scouts))
            found[variant.name] = [
                [chosen[level, name]["figures"][name] for name in MEASURES]
                for level in LEVELS
            ]
    print(f"{host}-{data}: {len(found)} forms", flush=True)
    return found


def main():
    """Measure two pairs at a time, and write the table."""
    pairs = [pair for pair in PAIRS if path_of(*pair, SPLIT).is_file()]
    found = Parallel(2)(delayed(measure)(*pair) for pair in pairs)
    # Forms, pairs, levels, measures.
    values = np.array([[one[form] for one in found] for form in found[0]])
    signs = np.array([better(name) for name in MEASURES])
    behind = (signs * values).max(axis=0) - signs * values
    lines = [
        INTRODUCTION.format(n_pairs=len(pairs), split=SPLIT, n_cells=behind[0].size),
        "| form | " + " | ".join(f"{100 * level:.0f} %" for level in LEVELS)
        + " | level with the best | behind, mean | behind, most |",
        "|---|" + "---|" * len(LEVELS) + "--:|--:|--:|",
    ]  # fmt: skip
    for form, means, gaps in zip(found[0], values.mean(axis=1), behind, strict=True):
        cells = [" / ".join(f"{value:.3f}" for value in level) for level in means]
        cells += [f"{(gaps <= LEVEL).sum()}", f"{gaps.mean():.3f}", f"{gaps.max():.3f}"]
        lines.append(f"| {form} | {' | '.join(cells)} |")
    RESULTS.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(f"Written: {RESULTS.name}")


INTRODUCTION = """# Forms of neurons in score space

Each form by itself on the validation of split {split} of {n_pairs} pairs of a host and
a data set, tuned over strengths and over how many of the host's first items stay: the
best value of every measure among the settings that keep to the share of the host's
NDCG@10, mean over the pairs: Gini (lower is better) / tail coverage / tail coverage at
5 exposures / tail share. *Level with the best*: cells, of {n_cells} (pairs, levels and
measures), in which a form is not more than .01 behind the best of them; *behind*: how
far, in units of the measure. `SteeredRecommender(host)` is "neurons dense, target
popularity": of 2,048 neurons half fire for an item, and one strength serves all users.
Exposure is how often the host lists an item, given to `fit` as `item_popularity`.
"""

if __name__ == "__main__":
    main()
