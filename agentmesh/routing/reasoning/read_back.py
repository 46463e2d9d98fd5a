"""Reads the question of a reasoning router back, for a model that weighs options and reads no prompt.

In a question everything that strangers wrote is escaped, so whatever looks like a tag is one of ours.
"""

import json
import re
from dataclasses import dataclass
from typing import Final, Literal, cast

from agentmesh.errors import ConfigError
from agentmesh.llm.quoting import unquote
from agentmesh.protocols import ChatRequest, Option, OptionRequest
from agentmesh.records import Turn
from agentmesh.types import AgentId

_ROLES: Final = ("system", "user")
_MOST: Final = re.compile(r"Then name the agents .*? up to (\d+) ")
_CANDIDATE: Final = re.compile(r'<candidate handle="([^"]*)">\n<id>([^<]*)</id>\n(.*?)\n</candidate>', re.DOTALL)
_LINE: Final = re.compile(r"<(description|skills|example)>([^<]*)</")
_TURN: Final = re.compile(r'<turn role="(user|assistant|system)"(?: agent="([^"]*)")?>([^<]*)</turn>')
_TASK: Final = re.compile(r"<task>([^<]*)</task>")
_TITLES: Final = {"description": "", "skills": "Skills: ", "example": "Example: "}


@dataclass(frozen=True, slots=True)
class Choice:
    """What is to be chosen from, and how many may be named."""

    request: OptionRequest
    most: int


def read_back(request: ChatRequest) -> Choice:
    """Return what :func:`~agentmesh.routing.reasoning.prompt.question` asks.

    Raises:
        ConfigError: the request is no such question.
    """
    rules, material = ("".join(one.content for one in request.messages if one.role == role) for role in _ROLES)
    most, task = _MOST.search(rules), _TASK.search(material)
    candidates = [match.groups() for match in _CANDIDATE.finditer(material)]
    if most is None or task is None or not candidates:
        raise ConfigError(
            "a model that weighs options was asked to write; it answers only what a reasoning router asks"
        )
    by_handle = {handle: _agent_id(shown) for handle, shown, _ in candidates}
    options = tuple(Option(id=by_handle[handle], description=_described(lines)) for handle, _, lines in candidates)
    turns = tuple(_turn(match, by_handle) for match in _TURN.finditer(material))
    return Choice(OptionRequest(task=unquote(task[1]), options=options, turns=turns), most=int(most[1]))


def _agent_id(shown: str) -> AgentId:
    return str(json.loads(unquote(shown)))


def _described(lines: str) -> str:
    """Return what a candidate says of itself, a line for each thing."""
    return "\n".join(f"{_TITLES[tag]}{unquote(text)}" for tag, text in _LINE.findall(lines))


def _turn(match: re.Match[str], by_handle: dict[str, AgentId]) -> Turn:
    role = cast('Literal["user", "assistant", "system"]', match[1])
    return Turn(role=role, text=unquote(match[3]), agent_id=by_handle.get(match[2] or ""))
