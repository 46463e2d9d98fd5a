"""What a score of a workflow's answer teaches: of whom, where they stood, and what it leaves alone."""

import pytest

from agentmesh import Condition, Mesh, Stage, Task, Workflow
from agentmesh.errors import ConfigError, DuplicateFeedbackError
from agentmesh.learning.settings import Learning
from agentmesh.records import Experience
from agentmesh.testing.agents import CannedAgent

FLOW = Workflow(
    stages=[
        Stage(name="research", agents=("ann",)),
        Stage(name="aside", agents=("dan",), when=Condition(equals="never")),
        Stage(name="write", agents=("bob",), after=("research", "aside"), again="{review}"),
        Stage(
            name="review", agents=("cay",), after=("write",), until=Condition(equals="good"), back_to="write", most=4
        ),
    ],
    output="write",
)
"""The first draft is sent back once, so the answer rests on research, the first review and the second draft."""


def mesh_of(**options: object) -> Mesh:
    agents = [
        CannedAgent(["facts"], "ann"),
        CannedAgent(["one", "two"], "bob"),
        CannedAgent(["bad", "good"], "cay"),
        CannedAgent([""], "dan"),
    ]
    return Mesh(agents, router="pheromone", embedder="hashing", explore=0, **options)  # type: ignore[arg-type]


def shown(experiences: list[Experience]) -> list[tuple[str, str, int, str, float]]:
    return [(one.run_id, one.agent_id, one.stage, one.previous, one.quality) for one in experiences]


async def test_those_whose_answers_were_used_are_credited_where_they_stood() -> None:
    async with mesh_of() as mesh:
        run = await mesh.run_workflow(FLOW, "cats", run_id="w")
        await mesh.feedback("w", 0.5)
        learned = mesh.store.experiences()
        with pytest.raises(DuplicateFeedbackError):
            await mesh.feedback("w", 0.5)
        with pytest.raises(ConfigError, match="'ann' was not called in run 'w'"):
            await mesh.feedback("w", 0.5, agent="ann", source="other")
    assert run.answer == "two"
    assert sorted(shown(learned)) == [
        ("w/research", "ann", 0, "", 0.5),
        ("w/review.0", "cay", 2, "bob", 0.5),
        ("w/write.1", "bob", 1, "ann", 0.5),
    ]
    assert {one.source for one in learned} == {"user:workflow"}


async def test_a_stage_that_was_scored_by_itself_is_not_taught_again_by_the_whole() -> None:
    async with mesh_of() as mesh:
        await mesh.run_workflow(FLOW, "cats", run_id="w")
        await mesh.feedback("w/research", 1.0)
        await mesh.feedback("w/review.0", 1.0, source="judge:small")
        await mesh.feedback("w", 0.0)
        await mesh.feedback("w/write.1", 1.0)  # one's own score stays possible, and comes later
        learned = mesh.store.experiences()
    assert [(one.agent_id, one.source, one.quality) for one in learned] == [
        ("ann", "user", 1.0),
        ("cay", "judge:small", 1.0),
        ("bob", "user:workflow", 0.0),
        ("cay", "user:workflow", 0.0),
        ("bob", "user", 1.0),
    ]


async def test_a_lesser_source_and_an_undecided_judge_teach_nothing() -> None:
    async with mesh_of(learning=Learning(mode="loop", undecided=(0.4, 0.6))) as mesh:
        await mesh.run_workflow(FLOW, "cats", run_id="w")
        await mesh.feedback("w", 0.5, source="judge:one")
        assert mesh.store.experiences() == []
        await mesh.feedback("w", 1.0)
        before = mesh.store.experiences()
        await mesh.feedback("w", 0.0, source="judge:two")
        assert mesh.store.experiences() == before
    assert len(before) == 3


class Exact:
    """A verifier that knows one task, and remembers what it was asked."""

    name = "exact"

    def __init__(self) -> None:
        self.seen: list[tuple[str, str]] = []

    def verify(self, task: Task, answer: str) -> float | None:
        self.seen.append((task.text, answer))
        return 1.0 if answer == "two" else 0.0


class Broken:
    """A judge that never comes to a score."""

    name = "broken"

    async def judge(self, task: Task, answer: str) -> float | None:
        raise ValueError("no idea")


async def test_verifiers_score_the_answer_of_the_whole_and_no_stage() -> None:
    exact = Exact()
    mesh = mesh_of(verifiers=[exact])
    async with mesh:
        await mesh.run_workflow(FLOW, "cats", run_id="w")
    assert exact.seen == [("cats", "two")]
    assert {one.source for one in mesh.store.experiences()} == {"verifier:exact:workflow"}


async def test_a_judge_that_fails_at_the_whole_is_told() -> None:
    mesh = mesh_of(judge=Broken())
    async with mesh:
        await mesh.run_workflow(FLOW, "cats", run_id="w")
    assert "'judge:broken' could not score the answer of the workflow" in mesh.store.faults()[0].message
