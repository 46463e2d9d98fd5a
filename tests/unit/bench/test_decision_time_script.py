import json
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[3] / "benchmarks" / "decision_time.py"


def run(*arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, SCRIPT, "--routers", "cosine", "--decisions", "5", *arguments],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def test_decision_times_are_printed_as_json_with_ratios() -> None:
    shape = json.loads(run("--json"))
    lines = [(line["agents"], line["given"]) for line in shape["timings"]]
    assert lines == [(150, "vector"), (150, "text"), (10_000, "vector"), (10_000, "text")]
    assert shape["bare_product_ms"] > 0
    assert all(0 < line["p50_ms"] <= line["p99_ms"] for line in shape["timings"])
    assert all(line["ratio"] > 1 for line in shape["timings"])
