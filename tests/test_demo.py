"""The demo runs, and the figures of PopSteer's page are the ones it prints."""

import os
import pathlib
import re
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[1]
PLOT = ROOT / "output" / "steer_movielens.png"
ROWS = {
    "host": "host (implicit ALS)",
    "the probe's pass-through": "probe's pass-through",
    "PopSteer as published, strength 0.5": "PopSteer, published  0.5",
    "PopSteer, error kept, strength 0.5": "PopSteer, error kept 0.5",
    "log-popularity penalty, 0.06": "log-pop penalty     0.06",
}
#: NDCG, Gini, coverage, tail share, average popularity: column of the demo's table, and
#: how far another processor's rounding may carry the training.
COLUMNS = {0: 0.006, 2: 0.002, 3: 0.01, 5: 0.003, 6: 3.0}


@pytest.fixture(scope="module")
def printed():
    PLOT.unlink(missing_ok=True)
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    result = subprocess.run(
        [sys.executable, "examples/plot_steer_movielens.py"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert not result.stderr
    return result.stdout


def test_it_shows_progress_a_table_a_list_and_a_plot(printed):
    assert "epoch 1/100" in printed
    assert "tail: the 80 % with fewest; users: trained vectors" in printed
    assert re.search(r"^ 1 .* was \d+$|^ 1 .* new$", printed, re.M)
    assert "left the list:" in printed
    assert PLOT.stat().st_size > 10_000
    assert PLOT.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("row", ROWS)
def test_a_page_states_what_it_prints(printed, row):
    (line,) = re.findall(rf"^{re.escape(ROWS[row])} +(.*)$", printed, re.M)
    figures = [float(cell) for cell in line.split()]
    page = (ROOT / "docs" / "methods" / "popsteer.md").read_text(encoding="utf-8")
    (cells,) = re.findall(rf"^\| {re.escape(row)} \|(.*)\|$", page, re.M)
    stated = [float(cell) for cell in cells.split("|")]
    for value, (position, tolerance) in zip(stated, COLUMNS.items(), strict=True):
        assert value == pytest.approx(figures[position], abs=tolerance)


def test_strength_0_5_costs_accuracy_and_lowers_popularity(printed):
    def figures(name):
        (line,) = re.findall(rf"^{re.escape(name)} +(.*)$", printed, re.M)
        return [float(cell) for cell in line.split()]

    host, steered = figures(ROWS["host"]), figures("PopSteer, error kept 0.5")
    assert steered[0] < host[0]
    assert steered[2] < host[2]
    assert steered[6] < 0.95 * host[6]
