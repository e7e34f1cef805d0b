"""The picture of the frontier: what every lever reaches for what it costs."""

import numpy as np
from matplotlib.figure import Figure

from frontier.cell import LEVELS
from frontier.report import NAMES, Split

__all__ = ["draw"]

#: Data of the picture, on which there is a host of each kind.
DATA = "ml-1m"
HOSTS = ("als", "bpr", "elsa", "sasrec")
#: Methods that are drawn: colour (Okabe and Ito), marker, width.
CURVES = {
    "slot pricing": ("#0072b2", "o", 2.4),
    "P-MMF": ("#d55e00", "s", 1.4),
    "log-popularity penalty": ("#009e73", "^", 1.4),
    "neurons in score space": ("#cc79a7", "D", 1.4),
    "PopSteer": ("#e69f00", "v", 1.4),
}
MEASURE = "Gini"


def draw(cells, path):
    """Draw the Gini of exposure over the NDCG kept, a panel a host.

    Parameters
    ----------
    cells : list of dict
        What ``frontier_table`` stores of every split.
    path : path-like
        Where the picture goes.
    """
    hosts = [host for host in HOSTS if splits_of(cells, host)]
    if not hosts:
        return
    figure = Figure(figsize=(3.1 * len(hosts), 3.5), layout="constrained")
    axes = figure.subplots(1, len(hosts), squeeze=False, sharey=True)[0]
    for ax, host in zip(axes, hosts, strict=True):
        splits = splits_of(cells, host)
        for family, (colour, marker, width) in CURVES.items():
            kept, gini = curve(splits, family)
            ax.plot(
                100 * kept, gini, color=colour, marker=marker, linewidth=width,
                markersize=4, label=family,
            )  # fmt: skip
        own = np.mean([split.host[MEASURE] for split in splits])
        ax.plot(100, own, "*", color="black", markersize=11, label="the host itself")
        ax.set_title(f"{NAMES[host]} on {NAMES[DATA]}", fontsize=10)
        ax.set_xlim(101, 78)
        ax.grid(alpha=0.25)
        ax.spines[["top", "right"]].set_visible(False)
    axes[0].set_ylabel("Gini of exposure (lower is fairer)")
    figure.supxlabel("NDCG@10 kept on the test, in % of the host's", fontsize=10)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="outside upper center", ncols=len(labels), frameon=False,
        fontsize=9,
    )  # fmt: skip
    figure.savefig(path, dpi=150, metadata={"Software": None})


def splits_of(cells, host):
    """Return the splits of a host on the data of the picture."""
    wanted = (host, DATA)
    return [Split(c) for c in cells if (c["host name"], c["data"]) == wanted]


def curve(splits, family):
    """Return NDCG kept and Gini on the test, averaged over splits, by level."""
    figures = [
        [split.rows[family, level, MEASURE]["test"] for level in LEVELS]
        for split in splits
    ]
    return [
        np.mean([[one[name] for one in row] for row in figures], axis=0)
        for name in ("kept", MEASURE)
    ]
