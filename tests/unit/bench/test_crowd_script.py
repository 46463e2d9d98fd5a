"""``benchmarks/crowd.py``: what it measures is bounded, in order, and no better than the ideal."""

import json
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[3] / "benchmarks" / "crowd.py"


def test_a_crowd_is_served_in_order_and_never_more_at_once() -> None:
    figures = runpy.run_path(str(SCRIPT))["measure"](60, 20)
    assert (figures["runs"], figures["most_at_once"], figures["in_order"]) == (60, 20, True)
    assert figures["wall_s"] >= figures["ideal_s"]


@pytest.mark.soak
def test_a_thousand_runs_at_once_take_a_fifth_more_than_the_ideal_and_little_memory() -> None:
    done = subprocess.run([sys.executable, SCRIPT, "--json"], capture_output=True, text=True, check=True)
    figures = json.loads(done.stdout)
    assert (figures["most_at_once"], figures["in_order"]) == (50, True)
    assert figures["above_ideal"] <= 0.2
    assert figures["peak_mb"] < 600
