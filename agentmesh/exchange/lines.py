"""The lines of a file of traces: one JSON object each, the first says what the file is, the last that it is whole.

Text is kept exactly: what no UTF-8 holds, half of a surrogate pair, stands there as the escape that JSON has for it.
"""

import json
from typing import Any, Final, Literal, TypeVar

from pydantic import ConfigDict, Field, ValidationError

from agentmesh.errors import ExchangeError, SchemaVersionError
from agentmesh.events import SCHEMA, Event
from agentmesh.lifting import lift
from agentmesh.packing import PackedFloats
from agentmesh.records import Experience, Record, RegistrySnapshot, RouterMark, RouterState
from agentmesh.store.codec import json_of
from agentmesh.types import RunId

FORMAT: Final = "agentmesh traces"
VERSION: Final = 1
"""Of the lines below; raise it when an older agentmesh could not read them."""

TRACES_FILE: Final = "traces.jsonl.gz"
"""The file that a folder of traces holds."""

_SHOWN = 60  # characters of a line that an error quotes


class Line(Record):
    """A line of any kind; ``record`` says which."""


class Header(Line):
    """The first line. A later version of it may say more."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    record: Literal["header"] = "header"
    format: str
    version: int
    event_schema: int


class RouterLine(Line):
    """The parameters of a router, a team or a workflow, as JSON text, under their hash."""

    record: Literal["router"] = "router"
    name: str
    parameters_hash: str
    parameters: str


class RegistryLine(Line):
    """The agents that there were; it stands before the first run that names its version."""

    record: Literal["registry"] = "registry"
    registry: RegistrySnapshot


class RunLine(Line):
    """A run begins: so many lines that follow are its events."""

    record: Literal["run"] = "run"
    id: RunId
    events: int = Field(ge=1)


class ExperienceLine(Line):
    """What was learned from, under its number."""

    record: Literal["experience"] = "experience"
    experience: Experience


class StateLine(Line):
    """The state of a router; ``payload`` is base64."""

    record: Literal["state"] = "state"
    router: str
    parameters: str
    sequence: int = Field(ge=0)
    at: float
    payload: PackedFloats

    @classmethod
    def of(cls, state: RouterState) -> "StateLine":
        """Return the line of a state."""
        return cls.model_validate({"record": "state", **state.model_dump()})

    def state(self) -> RouterState:
        """Return the state that the line holds."""
        return RouterState(**self.model_dump(exclude={"record"}))


class MarkLine(Line):
    """A mark under its number, and the state that holds from it on."""

    record: Literal["mark"] = "mark"
    mark: RouterMark
    state: StateLine


class End(Line):
    """The last line: how many came before it, and how many of them were of runs."""

    record: Literal["end"] = "end"
    lines: int
    runs: int


_KINDS: Final[dict[str, type[Line]]] = {
    kind.model_fields["record"].default: kind
    for kind in (Header, RouterLine, RegistryLine, RunLine, ExperienceLine, StateLine, MarkLine, End)
}


def event_line(event: Event) -> str:
    """Return the line of an event, with the schema of its shape."""
    return f'{{"record":"event","schema":{SCHEMA},"event":{json_of(event)}}}'


def parsed(line: bytes, *, place: str) -> Line | Event:
    """Build what a line holds.

    Args:
        line: The line.
        place: What to call it in an error.

    Raises:
        ExchangeError: it is no line of such a file.
        SchemaVersionError: a newer agentmesh wrote it.
    """
    try:
        shape = json.loads(line)
        kind = shape["record"]
        if kind == "event":
            return _event(shape, place=place)
        if kind in _KINDS:
            return _KINDS[kind].model_validate(shape)
    except (ValidationError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise _no_line(line, place) from error
    raise _no_line(line, place)


def _event(shape: dict[str, Any], *, place: str) -> Event:
    schema = int(shape["schema"])
    if schema > SCHEMA:
        raise SchemaVersionError(f"{place} has event schema {schema}; this agentmesh reads 1 to {SCHEMA}: upgrade it")
    return lift(shape["event"], schema=schema)


def _no_line(line: bytes, place: str) -> ExchangeError:
    shown = line[:_SHOWN].decode(errors="replace")
    accepted = ", ".join(repr(kind) for kind in [*_KINDS, "event"])
    return ExchangeError(f"{place} is no record of exported traces: {shown!r}; accepted: {accepted}")


LineT = TypeVar("LineT", bound=Line)


def expected(line: object, kind: type[LineT], *, place: str) -> LineT:
    """Return a line as one of a kind.

    Raises:
        ExchangeError: it is of another.
    """
    if not isinstance(line, kind):
        wanted = kind.model_fields["record"].default
        raise ExchangeError(f"{place} is out of place: {wanted!r} was expected there")
    return line
