"""``agentmesh runs list --orphaned`` and ``runs resume``: what a lost process left is listed and gone on with."""

import pytest

from agentmesh import open_store
from agentmesh.store.base import Lease
from agentmesh.store.processes import this_process
from agentmesh.types import SystemClock

URL = "sqlite:///agentmesh.db"


@pytest.fixture
def lost(command, run_id) -> str:
    """Return a run that lost its process in the middle of its call."""
    with open_store(URL) as store:
        events = [event for event in store.events(run_id) if event.kind not in ("call_finished", "answer_refined")][:4]
        lost = [event.model_copy(update={"run_id": "lost", "seq": seq}) for seq, event in enumerate(events)]
        store.append([event.model_copy(update={"owner": "gone"}) if event.seq == 0 else event for event in lost])
    return "lost"


def test_a_lost_run_is_listed_and_goes_on_with_all_others(command, lost, run_id):
    assert command("runs", "list", "--orphaned", "--json").json[0]["id"] == lost
    listed = command("runs", "list", "--orphaned")
    assert (listed.code, lost in listed.out, run_id in listed.out) == (0, True, False)
    gone_on = command("runs", "resume", "--all", "--app", "app:mesh", "--json")
    assert (gone_on.code, [run["id"] for run in gone_on.json]) == (0, [lost])
    assert gone_on.json[0]["status"] == "completed"
    assert command("runs", "list", "--orphaned", "--json").json == []


def test_a_run_whose_process_lives_is_left_to_it_and_the_message_says_whose_it_is(command, lost):
    mark, now = this_process(), SystemClock().now()
    with open_store(URL) as store:
        store.put_lease(Lease("gone", mark.host, mark.pid, mark.place, mark.born, now, now))
    assert command("runs", "list", "--orphaned", "--json").json == []
    refused = command("runs", "resume", lost, "--app", "app:mesh")
    assert (refused.code, refused.out) == (1, "")
    assert f"run 'lost' is under way in process {mark.pid} on {mark.host!r}" in refused.err
    assert command("runs", "resume", "--all", "--app", "app:mesh").out == ""
