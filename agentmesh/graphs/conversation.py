"""Conversations: what a short message is about, and how a conversation stays with an agent until another is better.

"And now in Spanish" says little by itself. Its vector is mixed with that of the message before, so that routers see the
topic, and the agent that answered last is given a lead. The less a message says, the more of both. Both are recorded
with the task, as its vector and a bonus, so a replay decides on them and embeds nothing.
"""

import re
from dataclasses import replace
from math import exp
from typing import Final

import numpy as np

from agentmesh.graphs.vectors import embedded
from agentmesh.protocols import Embedder
from agentmesh.records import Task
from agentmesh.routing.preference import Applied
from agentmesh.types import VectorArray

TOPIC_WEIGHT: Final = 2.0
TERSE: Final = 3.5
"""Words, where a message begins to stand for itself. This and the weight were chosen on val of clinc150 with thirty
made-up follow-ups, for the linear and the kernel router together (``benchmarks/conversation.py``)."""

STICKINESS: Final = 0.2
"""On the same conversations 0.4 keeps more follow-ups of 150 agents; among a handful it would hide who is better."""

LOOKED_BACK: Final = 3
"""Messages of the user before this one that its topic is looked for in."""

MOST_CHARACTERS: Final = 2_000
"""Of an earlier message; what it is about stands in less."""

LEAST_LEANING: Final = 0.01
_WORD: Final = re.compile(
    r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]{1,2}|[^\W_\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]+"
)
"""Words, and pairs of characters where words are written without spaces between them."""


def leaning(text: str) -> float:
    """Return how much a message leans on what was said before, 1 (a word) down to 0 (a sentence of its own).

    The rule: exp(-((words - 1) / 3.5)^4), and 0 below 0.01, which is from seven words on.

    >>> [round(leaning(text), 3) for text in ("Why?", "and now in Spanish", "what is the weather in Rome today")]
    [1.0, 0.583, 0.0]
    """
    words = len(_WORD.findall(text[:MOST_CHARACTERS]))
    share = exp(-(((max(words, 1) - 1) / TERSE) ** 4))
    return share if share >= LEAST_LEANING else 0.0


async def with_topic(vector: VectorArray, task: Task, embedder: Embedder, *, weight: float) -> VectorArray:
    """Return the vector of a task with what the messages before it are about, by as much as it leans on them.

    The rule: v_t = unit(u_t + weight * leaning_t * v_(t-1)), where u is the vector of a message by itself; it goes back
    over at most three messages of the user, and no further than to one that stands for itself.

    Args:
        vector: The vector of the task's text.
        task: The task with its turns.
        embedder: What turns the earlier messages into vectors.
        weight: What the message before weighs beside one that says nothing, 0 and up.

    Shapes:
        vector: (d,); returns (d,) float32, length 1, or zeros when nothing was known.
    """
    texts = [*reversed(_leant_on(task)), task.text]
    if len(texts) == 1:
        return vector
    earlier = await embedded(embedder, texts[:-1])
    topic: VectorArray = earlier[0]
    for text, own in zip(texts[1:], [*earlier[1:], vector], strict=True):
        topic = _unit(own + np.float32(weight * leaning(text)) * topic)
    return topic


def _leant_on(task: Task) -> list[str]:
    """Return the user's earlier messages that the task leans on, newest first."""
    found: list[str] = []
    text = task.text
    for turn in reversed(task.turns):
        if turn.role != "user" or not turn.text.strip():
            continue
        if len(found) == LOOKED_BACK or leaning(text) == 0:
            break
        text = turn.text[:MOST_CHARACTERS]
        found.append(text)
    return found


def _unit(vector: VectorArray) -> VectorArray:
    length = np.float32(np.linalg.norm(vector))
    unit: VectorArray = vector if length == 0 else vector / length
    return unit


def staying(applied: Applied, task: Task, stickiness: float) -> Applied:
    """Give the agent that answered last a lead over the others, if it is there and no rule or gate refuses it.

    The lead is ``stickiness`` by as much as the message leans on what was said before. Whoever is better by more than
    that on this message takes the conversation over.
    """
    agent_id = task.previous_agent
    place = None if agent_id is None else applied.pool.index.get(agent_id)
    lead = 0.0 if place is None else stickiness * leaning(task.text)
    if lead == 0 or place is None or not applied.pool.mask[place]:
        return applied
    bonus = applied.bonus.copy()
    bonus[place] += lead
    rule = f"stays with {agent_id!r} unless another is better by {lead:.2g}"
    return replace(applied, bonus=bonus, reasons=(*applied.reasons, rule))
