"""The example scripts run as they stand, offline, from any folder."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))

NO_NETWORK = """
import socket

def refuse(*arguments, **options):
    raise OSError("the examples run offline")

socket.socket.connect = socket.create_connection = socket.getaddrinfo = refuse
"""

SAID = {
    "01_first_mesh": ["Chosen by router", "run_finished", "identical"],
    "02_class_agents": ["(gazetteer, geographer)", "Sydney: traveller", "gazetteer: failed"],
    "03_teach": ["before: boaster", "after: clerk"],
    "04_own_router": ["-> small", "-> large", "identical"],
    "05_replay_whatif": ["task-1: identical", "cheapest would ask apprentice", "no estimate: 100.0% of"],
    "06_trails": ["[best of the row]", "asked for a capital: librarian", "Taken for: capitals 100 %"],
    "07_gnn": ["trained on 80 outcomes of 80 tasks", "Kenya? -> librarian", "plus 4? -> clerk", 'solved "What is the'],
    "08_preferences": [
        "secret: lawyer",
        "pinned to nobody: abstained",
        "please -> poet",
        "May? -> lawyer",
        "error: all that",
    ],
    "11_panel": ["Ship it on Friday? The panel says No.", "'yes' from optimist", "3 were asked, 0.004 USD"],
    "12_research_write_review": [
        "review 1: 5 of 10: say who built it.  another round",
        "The Nabataeans built it., for 0.006 USD",
        "('researcher', 0, ''), ('writer', 1, 'researcher'), ('reviewer', 2, 'writer')",
        "replayed: identical",
    ],
    "13_map_reduce": [
        "4 documents: 205 EUR to pay; ends: 31 August",
        "by lawyer: term",
        "abstained: stage 'report' gave no answer",
    ],
    "09_choosing": ["0.139 is asked for", "reasoning chose billing", "identical, 2 questions still"],
    "10_approval": [
        "approved: waiting | waits for buyer (it spends",
        "done: buy two chairs",
        "buyer refused, finder ok | 12 chairs",
        "replayed: identical",
    ],
    "14_watch": ["started: 'Where is Lima?'", "the answer scored 1.00 by user", "4 tasks are done"],
}


def test_every_example_is_checked():
    assert [path.stem for path in EXAMPLES] == sorted(SAID)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_the_example_runs_offline_and_shows_what_it_promises(path, tmp_path, warm_python):
    environment = {"PYTHONPATH": os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])}
    (tmp_path / "sitecustomize.py").write_text(NO_NETWORK, encoding="utf-8")
    done = warm_python.run(path, folder=tmp_path, before=NO_NETWORK, environment=environment)
    assert (done.returncode, done.stderr) == (0, "")
    assert [said for said in SAID[path.stem] if said not in done.stdout] == []


@pytest.mark.timeout(60)
def test_the_first_example_runs_in_a_process_that_has_loaded_nothing(tmp_path):
    path = EXAMPLES[0]
    (tmp_path / "sitecustomize.py").write_text(NO_NETWORK, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-W", "error", path],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert [said for said in SAID[path.stem] if said not in done.stdout] == []
