"""Meshes that are killed under load: another one goes on with what they left, and nothing is lost or bought twice."""

import json
from pathlib import Path

import pytest

from agentmesh import open_store

SCRIPT = Path(__file__).with_name("killing_meshes.py")


@pytest.fixture(params=["sqlite", "postgres"])
def url(request, tmp_path):
    return request.getfixturevalue("postgres_url") if request.param == "postgres" else f"sqlite:///{tmp_path}/mesh.db"


def kill_meshes(url, folder, warm_python, *, kills, seed, load):
    done = warm_python.run(SCRIPT, url, folder, kills, seed, load, folder=folder)
    assert done.returncode == 0, done.stderr
    counted = json.loads(done.stdout)
    assert counted["kills"] == kills
    assert counted["orphans"] >= kills  # each left several runs behind
    assert counted["resumed"] >= counted["orphans"]
    assert counted["answers"] > counted["unrecorded"]
    with open_store(url, read_only=True) as store:
        assert store.check() == []


@pytest.mark.timeout(120)  # it starts processes, one after another
def test_killed_meshes_lose_no_run_and_buy_no_recorded_answer_twice(url, tmp_path, warm_python):
    kill_meshes(url, tmp_path, warm_python, kills=10, seed=7, load=6)


@pytest.mark.soak
def test_a_hundred_killed_meshes_lose_no_run_and_buy_no_recorded_answer_twice(url, tmp_path, warm_python):
    kill_meshes(url, tmp_path, warm_python, kills=100, seed=11, load=18)
