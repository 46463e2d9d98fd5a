"""Whoever listens to a mesh is told of all its runs."""

from agentmesh import Approval, Learning, Mesh, Stage, Workflow, agent
from agentmesh.events import AnswerChunk, Event


@agent(description="Answers questions of any kind.", price_per_call_usd="0.001")
async def anybody(task):
    return "an answer"


async def test_a_listener_of_a_mesh_hears_each_stored_event_of_every_run_in_its_order() -> None:
    heard: list[Event] = []
    flow = Workflow(name="steps", stages=(Stage(name="first"), Stage(name="second", after=("first",))), output="second")
    async with Mesh([anybody], learning=Learning(mode="off"), listeners=[heard.append]) as mesh:
        run = await mesh.run("by itself")
        await mesh.feedback(run.id, 0.5)
        await mesh.feedback(run.id, 0.25, agent="anybody", source="ann")
        await mesh.run_workflow(flow, "in stages")
        stored = [one.event for one in mesh.store.tail()]
    told = [event for event in heard if not isinstance(event, AnswerChunk)]
    by_run = {event.run_id: [one for one in told if one.run_id == event.run_id] for event in told}
    assert len(by_run) == 4
    assert by_run == {run_id: [one for one in stored if one.run_id == run_id] for run_id in by_run}
    assert len(told) == len(stored)


async def test_a_listener_hears_what_a_person_said_to_a_run_and_that_it_goes_on() -> None:
    heard: list[Event] = []
    flow = Workflow(name="steps", stages=(Stage(name="only"),), output="only")
    options = {"learning": Learning(mode="off"), "listeners": [heard.append], "approvals": [Approval()]}
    async with Mesh([anybody], **options) as mesh:
        for waiting in (await mesh.run("by itself"), await mesh.run_workflow(flow, "in stages")):
            assert (await mesh.approve(waiting.id)).answer == "an answer"
        stored = [one.event for one in mesh.store.tail()]
    told = [event for event in heard if not isinstance(event, AnswerChunk)]
    assert sorted(told, key=lambda event: (event.run_id, event.seq)) == sorted(
        stored, key=lambda event: (event.run_id, event.seq)
    )
    assert [event.seq for event in told if event.run_id == waiting.id] == list(
        range(len(mesh_events(told, waiting.id)))
    )


def mesh_events(events: list[Event], run_id: str) -> list[Event]:
    return [event for event in events if event.run_id == run_id]
