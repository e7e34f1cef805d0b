"""What a pass of slot pricing costs, and how that grows with the users.

All lists are chosen anew, one after the other, from 500 candidates of implicit ALS on
MovieLens-1M that ``make bench-hosts`` has stored; beside it numpy sorts the same
candidates. Written to ``results/slot_pricing_speed.md``.
"""

import pathlib
import platform
import time
from dataclasses import replace

import numpy as np
from frontier.families import make_families
from frontier.judge import Judge
from frontier.pairs import path_of
from frontier_hosts import SPLITS
from frontier_table import judged

RESULTS = pathlib.Path(__file__).resolve().parent / "results" / "slot_pricing_speed.md"
PAIR = ("als", "ml-1m", SPLITS[0])
#: How often the same users come.
REPEATS = (1, 2, 4, 8)
STRENGTH, N_PASSES = 0.05, 15


def seconds(work, n):
    """Return the median time of doing something n times."""
    taken = []
    for _ in range(n):
        start = time.perf_counter()
        work()
        taken.append(time.perf_counter() - start)
    return float(np.median(taken))


def measure(market, exposure):
    """Return the seconds of a pass, and those of sorting the candidates."""
    rng = np.random.default_rng(0)
    # The first pass compiles, and begins without lists.
    places, counts = market.allocate(exposure, rng, 1)

    def one_pass():
        market.allocate(exposure, rng, 1, places=places, counts=counts)

    def sort():
        np.argsort(-market.gains, axis=1, kind="stable")

    return seconds(one_pass, N_PASSES), seconds(sort, N_PASSES)


def main():
    """Measure the users, and the same several times, and write the table."""
    if not path_of(*PAIR).is_file():
        print("ALS of ML-1M is not stored (make bench-hosts): nothing measured")
        return
    pair, pool_size, rows = judged(*PAIR)
    valid = Judge(pair, "valid", pool_size, rows)
    variant = make_families(pair, valid, pool_size, PAIR[2], None)["slot pricing"]()[0]
    market, found = variant.market(valid), []
    m = market.items.shape[1]
    for times in REPEATS:
        rows = np.tile(np.arange(len(market.items)), times)
        names = ("items", "order", "gains", "kept")
        several = replace(market, **{n: getattr(market, n)[rows] for n in names})
        exposure = variant.model._exposure(STRENGTH, len(rows))
        found.append((len(rows), *measure(several, exposure)))
    users, *times = np.log(np.transpose(found))
    power, power_of_sort = (np.polyfit(users, one, 1)[0] for one in times)
    lines = [
        "# A pass of slot pricing",
        "",
        f"Implicit ALS on MovieLens-1M, {m} candidates a user, lists of 10, strength "
        f"{STRENGTH}; median of {N_PASSES} passes, one thread, Python "
        f"{platform.python_version()}. Beside it numpy sorts the same candidates. "
        "Users come several times to make them more. Time grows with their number to "
        f"the power {power:.2f}, sorting to the power {power_of_sort:.2f}.",
        "",
        "| users | milliseconds a pass | times sorting |",
        "|--:|--:|--:|",
        *(f"| {n:,} | {1e3 * a:.0f} | {a / b:.2f} |" for n, a, b in found),
    ]
    RESULTS.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
