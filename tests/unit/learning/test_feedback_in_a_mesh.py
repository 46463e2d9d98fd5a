"""Feedback about agents that have changed since, and scores by a judge and a user of one run, through a mesh."""

import pytest

from agentmesh import Mesh
from agentmesh.errors import DuplicateFeedbackError, RunNotFoundError
from agentmesh.records import AgentCard, Task
from agentmesh.testing.agents import AgentDouble, CannedAgent, EchoAgent


class Described(AgentDouble):
    """An agent whose description, and with it whose version, can be chosen."""

    def __init__(self, description: str) -> None:
        super().__init__("ada")
        self.description = description

    async def reply(self, task: Task) -> str:
        return task.text


class Kind:
    """A judge that likes everything."""

    name = "kind"

    async def judge(self, task: Task, answer: str) -> float | None:
        return 1.0


def versions(cards: tuple[AgentCard, ...]) -> dict[str, int]:
    return {card.id: card.version for card in cards}


async def expected(mesh: Mesh, agent_id: str) -> float | None:
    decision = await mesh.route("q")
    return next(candidate.expected_quality for candidate in decision.candidates if candidate.agent_id == agent_id)


async def test_feedback_about_an_older_version_is_kept_and_changes_nothing_for_the_new_one() -> None:
    async with Mesh([Described("Echoes.")]) as mesh:
        old = [await mesh.run("q") for _ in range(3)]
        mesh.update(Described("Echoes, and now in Spanish."))
        assert versions(mesh.cards()) == {"ada": 2}
        await mesh.feedback((await mesh.run("q")).id, 1.0)
        before = await expected(mesh, "ada")
        for run in old:
            await mesh.feedback(run.id, 0.0)
        assert await expected(mesh, "ada") == before
        learned = [(one.agent_version, one.quality) for one in mesh.store.experiences()]
        assert learned == [(2, 1.0), (1, 0.0), (1, 0.0), (1, 0.0)]
        assert mesh.router.sequence == 4
        assert mesh.store.faults() == []


async def test_feedback_about_an_agent_that_was_removed_is_kept_and_learning_goes_on() -> None:
    async with Mesh([CannedAgent(["1"], id="ada"), CannedAgent(["2"], id="bob")], explore=0) as mesh:
        run = await mesh.run("q")
        mesh.remove("ada")
        await mesh.feedback(run.id, 1.0)
        later = await mesh.run("q")
        await mesh.feedback(later.id, 1.0)
        assert [one.agent_id for one in mesh.store.experiences()] == ["ada", "bob"]
        assert mesh.store.faults() == []


async def test_a_refused_score_is_raised_and_kept_as_a_fault_and_the_mesh_goes_on() -> None:
    async with Mesh([EchoAgent("ada")]) as mesh:
        run = await mesh.run("q")
        await mesh.feedback(run.id, 1.0)
        with pytest.raises(DuplicateFeedbackError):
            await mesh.feedback(run.id, 0.0)
        with pytest.raises(RunNotFoundError):
            await mesh.feedback("nobody", 0.0)
        assert [fault.run_id for fault in mesh.store.faults()] == ["nobody", run.id]
        assert (await mesh.run("q")).answer == "q"
        assert [one.quality for one in mesh.store.experiences()] == [1.0]


async def test_a_user_puts_a_judge_right() -> None:
    async with Mesh([EchoAgent("ada")], judge=Kind()) as mesh:
        run = await mesh.run("q")
    store = mesh.store
    async with Mesh([EchoAgent("ada")], store=store, judge=Kind()) as mesh:
        await mesh.feedback(run.id, 0.0)
    assert [(one.source, one.quality, one.weight) for one in store.experiences()] == [
        ("judge:kind", 1.0, 0.5),
        ("user", 0.0, 1.0),
    ]
