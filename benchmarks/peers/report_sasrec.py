"""The tables of popsteer_sasrec.py, from what it has measured so far."""

import json
import pathlib

import numpy as np

from skpopsteer.metrics import coverage, gini, ndcg, tail_share

RESULTS = pathlib.Path(__file__).resolve().parents[1] / "results" / "popsteer_sasrec.md"
N_DRAWS = 200
#: Strengths that are shown whatever they cost: the published ones lie between 1 and 6.
SWEEP = (0, 0.25, 0.5, 1, 2, 4, 6)
METHODS = {
    "penalty": "score less λ log popularity",
    "v1": "PopSteer v1, as published",
    "v2": "PopSteer v2, as published",
    "ours": "neurons, defaults",
    "ours, per user": "neurons, defaults, strength per user",
    "raw dimensions": "64 raw dimensions instead of neurons",
    "difference of means": "difference of means, no neurons",
    "ours, weights permuted": "neurons, weights permuted",
    "ours, random signs": "neurons, random signs",
}
NOTE = """
SASRec of RecTools: 64 factors, 2 blocks, 2 heads, dropout 0.2, the last 50 items; up to
20 epochs on ML-1M and 80 on ML-100K, stopped when NDCG@10 on validation has not risen
for 3 and 10. Ratings of 4 and 5 that have a time, 5-core; the last item of every user
is the test, the one before validation. v1 and v2 share autoencoders of 4,096 neurons
(k = 32, auxiliary loss 1/2), the defaults have 1,024 (k = 32). Means ± standard
deviations of the seeds, each of a SASRec and its autoencoders. Chosen is the setting
with the lowest Gini on validation that keeps the share of the host's NDCG@10 there: one
strength; for v1 also N of 512 and 4,096, for v2 two strengths and a β of 0 and 1.
Intervals of 95 %: basic bootstrap over users of the mean of the seeds. The tail is the
80 % of items with fewest interactions. Blind weights at one strength: mean of 5 draws.
"""


def spread(values, digits=3):
    """Return a mean and the deviation over the seeds, as text."""
    text = f"{np.mean(values):.{digits}f}"
    if len(values) > 1:
        text += f" ± {np.std(values, ddof=1):.{digits}f}"
    return text


def table(header, rows):
    """Return the lines of a table."""
    lines = [f"| {' | '.join(header)} |", f"|---{'|--:' * (len(header) - 1)}|"]
    return [*lines, *(f"| {' | '.join(row)} |" for row in rows), ""]


def differences(lists, others, ys, n_items):
    """Return Gini less the others' and NDCG@10 as a share of theirs, with intervals."""

    def figures(rows):
        gaps = [
            gini(ours[rows], n_items) - gini(theirs[rows], n_items)
            for ours, theirs in zip(lists, others, strict=True)
        ]
        return np.mean(gaps), 100 * ours_gain[rows].sum() / theirs_gain[rows].sum()

    rng, n_users = np.random.default_rng(0), len(ys[0])
    ours_gain, theirs_gain = (
        sum(_gains(y, ids) for y, ids in zip(ys, some, strict=True))
        for some in (lists, others)
    )
    found = figures(np.arange(n_users))
    drawn = [figures(rng.integers(0, n_users, n_users)) for _ in range(N_DRAWS)]
    # Gini of a resample is higher than of all users; the basic interval takes that out.
    high, low = 2 * np.array(found) - np.percentile(drawn, [2.5, 97.5], axis=0)
    return [
        f"{value:{form}} [{least:{form}}, {most:{form}}]"
        for value, least, most, form in zip(
            found, low, high, ("+.3f", ".1f"), strict=True
        )
    ]


def _gains(y, ids):
    hits = ids == y[:, None]
    return (hits / np.log2(np.arange(ids.shape[1]) + 2)).sum(axis=1)


def frontier(results, mask, share):
    """Yield the rows of one table: what every method reaches at one share."""
    n_items = len(results[0]["groups"])
    ys = [result["y"] for result in results]
    penalty = _chosen(results, "penalty", mask, share)
    for method, label in METHODS.items():
        lists = _chosen(results, method, mask, share)
        missing = sum(ids is None for ids in lists)
        if missing:
            words = f"out of reach for {missing} of {len(lists)}"
            yield [label, words, *5 * [""]]
            continue
        cells = np.array(
            [
                _figures(result, ids, mask)
                for result, ids in zip(results, lists, strict=True)
            ]
        )
        row = [label, spread(cells[:, 0], 1), *map(spread, cells[:, 1:].T)]
        same = method == "penalty"
        yield row + (["", ""] if same else differences(lists, penalty, ys, n_items))


def _figures(result, ids, mask):
    n_items = len(result["groups"])
    return (
        100 * ndcg(result["y"], ids) / ndcg(result["y"], result["own"][mask]),
        gini(ids, n_items),
        coverage(ids, n_items),
        tail_share(ids, result["groups"]),
    )


def _chosen(results, method, mask, share):
    chosen = [result["chosen"][method][mask, share] for result in results]
    return [one and one[2] for one in chosen]


def settings(results, mask):
    """Yield what was chosen, seed by seed, at 95 %."""
    for method in ("penalty", "v1", "v2", "ours"):
        cells = []
        for result in results:
            one = result["chosen"][method][mask, 0.95]
            if one is None:
                cells.append("out of reach")
                continue
            number, params, _ = one
            words = [f"{params['strength']:g}"]
            if method == "v1":
                words.insert(0, f"N {(512, 4096)[number]}")
            if method == "v2":
                words = [f"β {number}", f"{words[0]}, {params['unpopular_strength']:g}"]
            cells.append("; ".join(words))
        yield [METHODS[method], *cells]


def host_rows(results):
    """Yield what the host itself reaches."""
    n_items = len(results[0]["groups"])
    for mask, label in ((True, "history masked"), (False, "not masked")):
        own = [(result, result["own"][mask]) for result in results]
        yield [
            label,
            spread([result["floors"][mask] for result in results], 4),
            spread([ndcg(result["y"], ids) for result, ids in own], 4),
            spread([gini(ids, n_items) for _, ids in own]),
            spread([coverage(ids, n_items) for _, ids in own]),
            spread([tail_share(ids, result["groups"]) for result, ids in own]),
        ]


def one_set(name, results, folders):
    """Return the lines of one data set."""
    first = results[0]
    lines = [
        f"## {name}: {len(first['y']):,} users, {len(first['groups']):,} items, "
        f"{first['n_interactions']:,} interactions to train on, "
        f"{len(results)} seed{'s' if len(results) > 1 else ''}",
        "",
    ]
    trained = [
        json.loads((folder / "training.json").read_text(encoding="utf-8"))
        for folder in folders
    ]
    epochs = ", ".join(str(len(one["valid"])) for one in trained)
    best = ", ".join(f"{max(one['valid']):.4f}" for one in trained)
    lines += [f"Epochs trained: {epochs}; best NDCG@10 on validation: {best}.", ""]
    header = ["host", "valid NDCG@10", "NDCG@10", "Gini", "coverage", "tail share"]
    lines += table(header, host_rows(results))
    header = ["autoencoder and neurons", *("v1", "v2", "defaults")]
    told = [[result["neurons"][m] for result in results] for m in ("v1", "v2", "ours")]
    lines += table(
        header,
        [
            [
                what,
                *(
                    spread([one[what] for one in column], _digits(what))
                    for column in told
                ),
            ]
            for what in told[0][0]
        ],
    )
    for mask, words in ((True, "history masked"), (False, "history not masked")):
        for share in (0.97, 0.95, 0.9):
            header = [
                f"{share:.0%} on validation, {words}", "NDCG@10 kept, %", "Gini",
                "coverage", "tail share", "Gini, less the penalty's",
                "% of the penalty's NDCG@10",
            ]  # fmt: skip
            lines += table(header, frontier(results, mask, share))
    lines += table(
        ["chosen at 95 %, history masked", *(f"seed {i}" for i in range(len(results)))],
        settings(results, True),
    )
    lines += _directions(results)
    return lines + _sweep(results)


def _digits(what):
    return 0 if what.startswith("neurons") else 3


def _directions(results):
    strengths = ", ".join(f"{result['strength']:g}" for result in results)
    rows = []
    for name in results[0]["directions"]:
        values = np.array([result["directions"][name] for result in results])
        bases = [ndcg(result["y"], result["own"][True]) for result in results]
        rows.append(
            [
                name,
                spread(100 * values[:, 0] / bases, 1),
                *(spread(values[:, i]) for i in (1, 2, 3)),
            ]
        )
    header = [
        f"defaults at one strength ({strengths})", "NDCG@10 kept, %", "Gini",
        "coverage", "tail share",
    ]  # fmt: skip
    return table(header, rows)


def _sweep(results):
    rows = []
    bases = [ndcg(result["y"], result["own"][False]) for result in results]
    popular = [result["popularity"] for result in results]
    for form in results[0]["sweep"]:
        values = np.array([result["sweep"][form] for result in results])
        for alpha, column in zip(SWEEP, values.swapaxes(0, 1), strict=True):
            rows.append(
                [
                    f"{form}, {alpha:g}",
                    spread(100 * column[:, 0] / bases, 1),
                    *(spread(column[:, i]) for i in (1, 2, 3)),
                    spread(100 * column[:, 4] / popular, 1),
                ]
            )
    header = [
        "strengths as published, history not masked", "NDCG@10 kept, %", "Gini",
        "coverage", "tail share", "mean popularity, % of the host's",
    ]  # fmt: skip
    return table(header, rows)


def write_report(results):
    """Write the tables of all that is there.

    Parameters
    ----------
    results : dict of str to list of (dict, path)
        By data set: what was measured on every seed, and the folder it lies in.
    """
    lines = []
    for name, pairs in results.items():
        lines += one_set(name, *map(list, zip(*pairs, strict=True)))
    RESULTS.write_text("\n".join([*lines, NOTE.strip(), ""]), encoding="utf-8")
