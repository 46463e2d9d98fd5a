"""From a refining model's reply to what it settled: nobody is named as a source who gave no answer."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import fsum
from typing import Final

from agentmesh.agents.refiner import WeightedAnswer
from agentmesh.llm.quoting import shuffled
from agentmesh.llm.replies import object_in, told
from agentmesh.records import Conflict, Position, Task
from agentmesh.types import AgentId, JsonValue

MOST_AGREED: Final = 20
MOST_CONFLICTS: Final = 10
LONGEST_LINE: Final = 500
_SHOWN: Final = 80  # characters of an unusable reply that a note quotes
_LETTERS: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_LABEL: Final = re.compile(r"(?:answer\s+)?([A-Z]\d{0,4})", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Merged:
    """What a refining model made of the answers, or why its reply is of no use (``fault``).

    ``answer`` is ``None`` when no answer helps. ``dropped`` says of whom it used nothing, and why; ``notes`` tell what
    of the reply could not be used.
    """

    answer: str | None = None
    explanation: str = ""
    agreed: tuple[str, ...] = ()
    conflicts: tuple[Conflict, ...] = ()
    dropped: Mapping[AgentId, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    fault: str = ""


def labelled(task: Task, answers: Sequence[WeightedAnswer]) -> dict[str, WeightedAnswer]:
    """Return the answers that say something under the labels A, B, C ..., in an order that tells nothing of them.

    The order hangs on the ids and the length of the task alone: models lean to what stands first, and to names that
    they know. What stands in the task may differ from run to run where placeholders stand for secrets.
    """
    speaking = [answer for answer in answers if answer.text.strip()]
    order = shuffled([one.agent_id for one in speaking], str(len(task.text)))
    places = {agent_id: place for place, agent_id in enumerate(order)}
    ordered = sorted(speaking, key=lambda answer: (places[answer.agent_id], answer.text))
    return {_label(place): answer for place, answer in enumerate(ordered)}


def _label(place: int) -> str:
    turn, letter = divmod(place, len(_LETTERS))
    return _LETTERS[letter] + (str(turn + 1) if turn else "")


def read_merged(text: str, answers: Mapping[str, WeightedAnswer]) -> Merged:
    """Understand a refining model's reply to answers by label.

    Only the final answer must be there; of the rest what can be read counts. A label that no answer has is left out,
    and so is a conflict that fewer than two answers are in. A reply that leaves out every answer and gives one of its
    own is of no use.

    >>> answers = {"A": WeightedAnswer(agent_id="ann", text="84"), "B": WeightedAnswer(agent_id="bob", text="85")}
    >>> read_merged('{"answer": "84", "dropped": [{"label": "B", "why": "it miscounts"}]}', answers).dropped
    {'bob': 'it miscounts'}
    """
    found = object_in(text, "answer")
    if found is None or not (found["answer"] is None or isinstance(found["answer"], str)):
        return Merged(fault=f"replied {text[:_SHOWN]!r}, not the JSON asked for")
    sources = _Sources(answers)
    dropped = dict(_dropped(found.get("dropped"), sources))
    said = found["answer"]
    answer = said if isinstance(said, str) and said.strip().casefold() not in ("", "null") else None
    if answer is not None and len(dropped) == len({one.agent_id for one in answers.values()}):
        return Merged(fault="left out every answer and gave one of its own")
    return Merged(
        answer=answer,
        explanation=told(found.get("explanation"), LONGEST_LINE),
        agreed=tuple(filter(None, (told(one, LONGEST_LINE) for one in _items(found.get("agreed"))[:MOST_AGREED]))),
        conflicts=tuple(_conflicts(found.get("conflicts"), sources)),
        dropped=dropped,
        notes=sources.notes(),
    )


class _Sources:
    """Knows whose answer a label stands for, and keeps the labels that stand for nobody's."""

    def __init__(self, answers: Mapping[str, WeightedAnswer]) -> None:
        self._answers = answers
        self._unknown: dict[str, None] = {}

    def find(self, value: JsonValue) -> WeightedAnswer | None:
        """Return the answer with a label, however it is written."""
        match = _LABEL.fullmatch(told(value, LONGEST_LINE).strip("<>[]()\"'`*. "))
        found = None if match is None else self._answers.get(match[1].upper())
        if found is None:
            self._unknown.setdefault(repr(value)[:_SHOWN])
        return found

    def notes(self) -> tuple[str, ...]:
        """Return what there is to say of labels that nobody has."""
        return (f"it names {', '.join(list(self._unknown)[:3])}, which no answer has",) if self._unknown else ()


def _items(value: JsonValue) -> list[JsonValue]:
    return value if isinstance(value, list) else []


def _objects(value: JsonValue) -> Iterator[Mapping[str, JsonValue]]:
    return (item for item in _items(value) if isinstance(item, dict))


def _dropped(value: JsonValue, sources: _Sources) -> Iterator[tuple[AgentId, str]]:
    for item in _objects(value):
        answer = sources.find(item.get("label"))
        if answer is not None:
            yield answer.agent_id, told(item.get("why"), LONGEST_LINE) or "the refining model left it out"


def _conflicts(value: JsonValue, sources: _Sources) -> Iterator[Conflict]:
    for item in list(_objects(value))[:MOST_CONFLICTS]:
        sides = [side for side in (_position(one, sources) for one in _objects(item.get("sides"))) if side is not None]
        if len({agent_id for side in sides for agent_id in side.agents}) > 1 and len(sides) > 1:
            sides.sort(key=lambda side: (-side.weight, side.agents, side.text))
            yield Conflict(positions=tuple(sides), explanation=told(item.get("explanation"), LONGEST_LINE))


def _position(side: Mapping[str, JsonValue], sources: _Sources) -> Position | None:
    found = {label.agent_id: label for label in map(sources.find, _items(side.get("labels"))) if label is not None}
    says = told(side.get("says"), LONGEST_LINE)
    if not found or not says:
        return None
    weight = fsum(answer.weight for answer in found.values())
    return Position(text=says, agents=tuple(sorted(found)), weight=weight)
