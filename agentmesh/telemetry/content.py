"""What people and agents wrote, as attributes: told only where content is to be sent, and cut where it is long."""

import json
from typing import Final

from agentmesh.records import Task
from agentmesh.telemetry.spans import Attributes, clean

LONGEST: Final = 20_000
"""Characters of one text; collectors refuse requests of more than a few MB, and a batch holds hundreds of spans."""


def task_content(task: Task) -> Attributes:
    """Return what was asked, with the conversation before it, as ``gen_ai.input.messages``."""
    turns = [_message(turn.role, turn.text) for turn in task.turns]
    told = {"gen_ai.input.messages": json.dumps([*turns, _message("user", task.text)], ensure_ascii=False)}
    known: Attributes = {name: clean(value) for name, value in told.items()}
    if task.id is not None:
        known["agentmesh.task.id"] = cut(task.id)
    if task.type_hints:
        known["agentmesh.task.type_hints"] = tuple(cut(hint) for hint in task.type_hints)
    if task.context:
        known["agentmesh.task.context"] = tuple(cut(f"{item.key}: {item.text}") for item in task.context)
    return known


def answer_content(answer: str | None) -> Attributes:
    """Return what was answered as ``gen_ai.output.messages``."""
    if answer is None:
        return {}
    message = {**_message("assistant", answer), "finish_reason": "stop"}
    return {"gen_ai.output.messages": clean(json.dumps([message], ensure_ascii=False))}


def texts(**said: str | None) -> Attributes:
    """Return texts as attributes of ours, without those that are empty; ``_`` stands for a dot in their names.

    >>> texts(route_reason="the nearest tasks", call_error=None)
    {'agentmesh.route.reason': 'the nearest tasks'}
    """
    return {f"agentmesh.{name.replace('_', '.', 1)}": cut(text) for name, text in said.items() if text}


def cut(text: str) -> str:
    """Return a text without what goes beyond ``LONGEST`` characters."""
    return clean(text if len(text) <= LONGEST else f"{text[:LONGEST]}...")


def _message(role: str, text: str) -> dict[str, object]:
    return {"role": role, "parts": [{"type": "text", "content": cut(text)}]}
