"""The script on conversations: a row for each router, weight and lead, from a set of labels."""

import json
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[3] / "benchmarks" / "conversation.py"


def run(folder: Path, *arguments: str) -> str:
    chosen = ["--set", folder, "--routers", "linear", "--conversations", "8", "--each", "5", *arguments]
    done = subprocess.run([sys.executable, SCRIPT, *chosen], capture_output=True, text=True, check=True)
    return done.stdout


def test_shares_are_printed_as_json_for_every_weight_and_lead(label_set: Path) -> None:
    shape = json.loads(run(label_set, "--json"))
    rows = {(row["topic_weight"], row["stickiness"]): row for row in shape["rows"]}
    assert (shape["set"], len(rows), {row["router"] for row in rows.values()}) == ("two-labels", 16, {"linear"})
    assert all(0 <= row[name] <= 1 for row in rows.values() for name in ("stay", "leave", "right"))
    assert all(row["right"] <= row["leave"] for row in rows.values())
    assert rows[2.0, 0.4]["stay"] >= rows[0.0, 0.0]["stay"]


def test_shares_are_printed_as_a_table(label_set: Path) -> None:
    assert "conversations of two messages" in run(label_set)
