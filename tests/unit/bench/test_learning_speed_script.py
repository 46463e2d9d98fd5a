import json
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[3] / "benchmarks" / "learning_speed.py"


def test_learning_speeds_and_serving_times_are_printed_as_json() -> None:
    how = ["--routers", "best_single", "--experiences", "300", "--rounds", "1", "--json"]
    done = subprocess.run([sys.executable, SCRIPT, *how], capture_output=True, text=True, check=True)
    shape = json.loads(done.stdout)
    (speed,), (served,) = shape["learning"], shape["serving"]
    assert speed["router"] == served["router"] == "best_single"
    assert min(speed["from_log_per_s"], speed["alone_per_s"]) > 0
    assert served["idle_p50_ms"] > 0
    assert served["busy_decisions"] > 0
