"""Events to rows and back, and the summary that a run's row holds."""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, TypeAlias, TypeVar

from pydantic import ValidationError
from pydantic_core import PydanticSerializationError

from agentmesh.errors import SchemaVersionError, StoreError
from agentmesh.events import (
    SCHEMA,
    ApprovalAsked,
    ApprovalGiven,
    CallFinished,
    Event,
    RunFinished,
    RunResumed,
    RunStarted,
    StageWaiting,
)
from agentmesh.lifting import lift, parse_event
from agentmesh.records import Record, RouteDecision, RunStatus, RunSummary
from agentmesh.types import AgentId, RunId

RecordT = TypeVar("RecordT", bound=Record)

EventRow: TypeAlias = tuple[RunId, int, str, int, float, str]
EVENT_COLUMNS = ("run_id", "seq", "kind", "schema", "at", "body")

RunRow: TypeAlias = tuple[
    RunId,
    int,
    float | None,
    str | None,
    str | None,
    str | None,
    float | None,
    str | None,
    str,
    RunId | None,
    str | None,
]
RUN_COLUMNS = (
    "id",
    "last_seq",
    "started_at",
    "status",
    "text",
    "folded_text",
    "elapsed_s",
    "cost_usd",
    "agents",
    "parent",
    "owner",
)

_HALF_PAIR = re.compile(r"\\ud[89a-f]", re.IGNORECASE)
"""A surrogate as ``json.dumps`` writes it; pydantic writes none, and refuses to read half a pair."""


def encode(event: Event) -> EventRow:
    """Return the row of an event; its body is the event as JSON text."""
    return event.run_id, event.seq, event.kind, SCHEMA, event.at, json_of(event)


def json_of(record: Record) -> str:
    """Return a record as JSON text on one line, whatever its texts hold."""
    try:
        return record.model_dump_json()
    except PydanticSerializationError:  # half of a surrogate pair, as a cut stream leaves it: no UTF-8, but JSON
        return json.dumps(_shape(record))


def record_of(kind: type[RecordT], body: str) -> RecordT:
    """Return the record that ``json_of`` wrote.

    Raises:
        ValueError: it is none.
    """
    return kind.model_validate(json.loads(body)) if _HALF_PAIR.search(body) else kind.model_validate_json(body)


def _shape(record: Record) -> dict[str, Any]:
    """Return a record as JSON values; pydantic would put another character into keys with half a pair in them."""
    shape = record.model_dump(mode="json")
    if isinstance(record, RunStarted):
        shape["task"]["inputs"] = record.task.inputs
    elif isinstance(record, CallFinished) and record.call.answer is not None:
        shape["call"]["answer"]["data"] = record.call.answer.data
    return shape


def decode(body: str, schema: int, *, where: str) -> Event:
    """Build an event from its row, lifting an old shape.

    Args:
        body: JSON text.
        schema: The schema it was stored under.
        where: What to call the row in an error.

    Raises:
        SchemaVersionError: the row was written by a newer package.
        StoreError: the row is damaged.
    """
    if schema > SCHEMA:
        raise SchemaVersionError(f"{where} has event schema {schema!r}; this agentmesh reads 1 to {SCHEMA}: upgrade it")
    try:
        if schema == SCHEMA and not _HALF_PAIR.search(body):
            return parse_event(body)
        return lift(json.loads(body), schema=schema)
    except (ValidationError, ValueError, KeyError, TypeError) as error:
        raise StoreError(f"{where} is damaged: its body {body[:60]!r} is no event of schema {schema}") from error


def reason_of(decision: RouteDecision | None) -> str:
    """Return all that is said of why a decision was made: by the router, and whole by a model that was asked."""
    if decision is None:
        return ""
    reasoned = "" if decision.reasoning is None else decision.reasoning.reason
    return decision.reason if reasoned in decision.reason else f"{decision.reason}\n{reasoned}"


def searchable(text: str) -> str:
    """Return text as it is stored to be searched, and searched for: case folded, and sure to be UTF-8."""
    return storable(text.casefold())


def storable(text: str) -> str:
    r"""Return text in which half of a surrogate pair, which no UTF-8 column holds, is spelled out.

    >>> storable("caf\u00e9 \ud83d")
    'café \\ud83d'
    """
    return text.encode(errors="backslashreplace").decode()


@dataclass(slots=True)
class Outline:
    """What the row of a run says, kept up to date one event after another, in order of seq.

    After all events of a run it says what ``summarize(fold(events))`` says; a property test holds it to that.
    """

    run_id: RunId
    last_seq: int = -1
    started_at: float | None = None
    status: RunStatus | None = None
    text: str | None = None
    folded_text: str | None = None
    elapsed_s: float | None = None
    cost_usd: Decimal | None = Decimal(0)
    agents: list[AgentId] = field(default_factory=list)
    parent: RunId | None = None
    owner: str | None = None  # of a run that is under way; one that was answered waits for whoever goes on
    open: set[tuple[AgentId, int]] = field(default_factory=set)  # requests for approval; no row holds them
    first_own: int = 0  # no row holds it either: what a fork took over is stored with its start, at once

    def take(self, event: Event) -> None:
        """Take in the next event."""
        self.last_seq = event.seq
        match event:
            case RunStarted():
                self._start(event)
            case CallFinished(call=call):
                if call.agent_id not in self.agents:
                    self.agents.append(call.agent_id)
                if not self.finished and self.cost_usd is not None and event.seq >= self.first_own:
                    self.cost_usd = None if call.cost_usd is None else self.cost_usd + call.cost_usd
            case ApprovalAsked(request=request) if not self.finished:
                self.open.add((request.agent_id, request.wave))
                self.status = RunStatus.WAITING
            case ApprovalGiven(reply=reply) if not self.finished:
                self.open.discard((reply.agent_id, reply.wave))
                self.status = RunStatus.WAITING if self.open else RunStatus.RUNNING
                self.owner = None
            case StageWaiting() if not self.finished:
                self.status = RunStatus.WAITING
            case RunResumed() if not self.finished:
                self.status = RunStatus.WAITING if self.open else RunStatus.RUNNING
                self.owner = event.owner or None
            case RunFinished():
                self.status, self.elapsed_s, self.cost_usd = event.status, event.elapsed_s, event.cost_usd
            case _:
                pass

    @property
    def finished(self) -> bool:
        """Say whether ``run_finished`` was among the events."""
        return self.status is not None and self.status.has_ended

    def _start(self, event: RunStarted) -> None:
        if self.started_at is None:
            self.started_at = event.at
            self.text = storable(event.task.text[:200])
            self.folded_text = searchable(event.task.text)
            self.status = self.status or RunStatus.RUNNING
            self.parent = event.parent
            self.first_own = event.first_own
            self.owner = self.owner or event.owner or None

    def row(self) -> RunRow:
        """Return the row. ``folded_text`` is null when these events brought no new one."""
        cost = None if self.cost_usd is None else str(self.cost_usd)
        agents = json.dumps(self.agents, ensure_ascii=False)
        texts = (self.text, self.folded_text)
        ended = (self.elapsed_s, cost, agents, self.parent, self.owner)
        return (self.run_id, self.last_seq, self.started_at, self.status, *texts, *ended)


def outline(run_id: RunId, events: Iterable[Event]) -> Outline:
    """Return the outline of a run from all its events, in order of seq."""
    drawn = Outline(run_id)
    for event in events:
        drawn.take(event)
    return drawn


def summary(drawn: Outline) -> RunSummary:
    """Return the line of the list of runs for a started run."""
    return RunSummary(
        id=drawn.run_id,
        status=drawn.status or RunStatus.RUNNING,
        text=drawn.text or "",
        agents=tuple(drawn.agents),
        cost_usd=drawn.cost_usd,
        started_at=drawn.started_at or 0.0,
        elapsed_s=drawn.elapsed_s,
    )
