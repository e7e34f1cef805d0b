"""Every example runs, says nothing on stderr, and shows what its text promises."""

import os
import pathlib
import re
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[1]
#: What each must print; the demo has a file of tests of its own.
EXAMPLES = {
    "plot_displays": r"saved output/display_tradeoff\.png",
    "plot_neuron_features": r"(?s)d = \+1\.\d.*d = -.*both +balanced accuracy 0\.[789]",
    "plot_neuron_meanings": r"(?s)verified neurons \(64 in all\).*named: .*by year:",
    "plot_reach_a_target": (
        r"(?s)^tail share 0\.10[0-4]\d at strength.*reached: False\n`target` must be "
        r"within reach .*chosen: \{'rule'"
    ),
    "plot_save_and_serve": r"AlternatingLeastSquares, loaded +100\.00%",
    "plot_search_strength": r"(?s)before 2017: 86,220.*lowest Gini within 5 %",
    "plot_what_changed": (
        r"(?s)left the list.*would have stayed without.*PENALTY.*popularity.*"
        r"penalty \(blind\)"
    ),
    "plot_who_pays": r"(?s)niche.*blockbuster",
}


def test_every_example_is_run():
    found = {path.stem for path in (ROOT / "examples").glob("plot_*.py")}
    assert found == {*EXAMPLES, "plot_steer_movielens"}


@pytest.mark.parametrize("name", EXAMPLES)
def test_example(name):
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    result = subprocess.run(
        [sys.executable, f"examples/{name}.py"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert not result.stderr
    assert re.search(EXAMPLES[name], result.stdout)
