"""Agents that give recorded answers."""

import pytest

from agentmesh.agents import RecordedAgent
from agentmesh.errors import AgentError, ReplayMissError
from agentmesh.records import AgentCard, Answer, Task

CARD = AgentCard(id="adder", description="Adds numbers.", version=4)
ANSWERS = {"t1": Answer(text="by id"), "1 + 1?": Answer(text="by text"), "t3": AgentError("down")}
AGENT = RecordedAgent(CARD, ANSWERS)


def test_the_card_is_the_recorded_one() -> None:
    assert AGENT.card() is CARD
    assert (AGENT.id, AGENT.description) == ("adder", "Adds numbers.")


@pytest.mark.parametrize(
    ("task", "text"),
    [
        (Task(id="t1", text="1 + 1?"), "by id"),
        (Task(id="t9", text="1 + 1?"), "by text"),
        (Task(text="1 + 1?"), "by text"),
    ],
)
async def test_the_id_is_looked_up_before_the_text(task: Task, text: str) -> None:
    assert (await AGENT.run(task)).text == text


async def test_a_recorded_failure_happens_again() -> None:
    with pytest.raises(AgentError, match="down"):
        await AGENT.run(Task(id="t3", text="?"))


async def test_a_task_that_is_not_recorded_is_a_miss() -> None:
    with pytest.raises(
        ReplayMissError, match=r"agent 'adder' has no recorded answer to the task 't7' \('what\?'\); 3 are"
    ):
        await AGENT.run(Task(id="t7", text="what?"))
