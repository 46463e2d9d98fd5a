"""Conversations with a fitted router: follow-ups stay with the agent that answered, a new topic leaves it."""

from itertools import permutations

import numpy as np
import pytest

from agentmesh import Mesh, Task
from agentmesh.embed.static import StaticEmbedder
from agentmesh.records import Turn
from agentmesh.routing.base import Outcomes
from agentmesh.routing.linear import LinearRouter
from agentmesh.testing.agents import EchoAgent

TASKS = {
    "bank": (
        "What is the balance of my savings account?",
        "Please transfer fifty euros to my brother.",
        "Why was my credit card charged twice?",
        "Block my debit card, I have lost it.",
        "How much interest do I pay on my loan?",
    ),
    "kitchen": (
        "How do I bake bread without yeast?",
        "What can I cook with chicken and rice?",
        "How many calories are in a bowl of soup?",
        "Give me a recipe for apple cake.",
        "Which spice goes well with fried potatoes?",
    ),
    "travel": (
        "Book a flight from Berlin to Lisbon in May.",
        "Which hotels are near the central station?",
        "Do I need a visa to travel to Japan?",
        "How long is the train ride from Paris to Nice?",
        "What should I pack for a week in the mountains?",
    ),
}
ASKED = {
    "bank": "Did my salary arrive on my bank account yesterday?",
    "kitchen": "How long must I cook eggs for a potato salad?",
    "travel": "Find me a cheap hotel in Lisbon for two nights.",
}
FOLLOW_UPS = ("and now in Spanish", "shorter please", "tell me more", "why is that", "are you sure?", "what else")


def taught() -> LinearRouter:
    """Return a router that was fitted on five tasks of each agent."""
    texts = tuple(text for group in TASKS.values() for text in group)
    quality = np.repeat(np.eye(len(TASKS)), 5, axis=0)
    vectors, unknown = StaticEmbedder().embed(texts), np.full(quality.shape, np.nan)
    router = LinearRouter(curiosity=0.0)
    router.fit(Outcomes(tuple(TASKS), vectors, texts, ("",) * len(texts), quality, unknown))
    return router


async def share_that_stays(messages: list[tuple[str, str]], *, knows_turns: bool = True) -> float:
    """Return the share of second messages, each with the agent that answered the first, that go to that agent."""
    stays = 0
    async with Mesh([EchoAgent(agent_id) for agent_id in TASKS], router=taught(), explore=0) as mesh:
        for agent_id, text in messages:
            turns = (
                Turn(role="user", text=ASKED[agent_id]),
                Turn(role="assistant", text="Here it is.", agent_id=agent_id),
            )
            decision = await mesh.route(Task(text=text, turns=turns if knows_turns else ()))
            stays += decision.selected[0].agent_id == agent_id
    return stays / len(messages)


async def test_follow_ups_stay_with_the_agent_that_answered() -> None:
    messages = [(agent_id, text) for agent_id in TASKS for text in FOLLOW_UPS]
    assert await share_that_stays(messages) >= 0.9
    assert await share_that_stays(messages, knows_turns=False) == pytest.approx(1 / 3)


async def test_a_change_of_topic_leaves_the_agent_that_answered() -> None:
    assert await share_that_stays([(one, ASKED[other]) for one, other in permutations(TASKS, 2)]) == 0
