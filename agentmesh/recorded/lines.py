"""The lines of a recorded set as typed records, and reading them with the file and line of whatever is wrong."""

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, TextIO, TypeAlias, TypeVar

from pydantic import ConfigDict, Field, ValidationError

from agentmesh.errors import RecordedSetError
from agentmesh.records import AgentCard, Record

Split: TypeAlias = Literal["train", "val", "test", "all"]
SetKind: TypeAlias = Literal["labels", "outcomes"]


class SetInfo(Record):
    """What ``set.json`` says of a set. Further keys, such as counts, are passed over."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    name: str = Field(min_length=1)
    kind: SetKind
    source: str = ""
    licence: str = ""
    note: str = ""


class AgentLine(Record):
    """One line of ``agents.jsonl``. Nothing in it is computed from outcomes; prices are US dollars.

    Where only ``price_in_per_M`` is given, the source has one price for what is read and written.
    """

    id: str = Field(min_length=1)
    description: str
    examples: tuple[str, ...] = ()
    group: str | None = None
    price_in_per_M: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    price_out_per_M: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    price_per_call_usd: float | None = Field(default=None, ge=0, allow_inf_nan=False)

    def card(self) -> AgentCard:
        """Return the card that a registry shows routers for this agent; a single token price holds for both ways."""
        return AgentCard.model_validate(
            {
                "id": self.id,
                "description": self.description,
                "examples": self.examples,
                "group": self.group,
                "price_in_per_m_usd": self.price_in_per_M,
                "price_out_per_m_usd": self.price_in_per_M if self.price_out_per_M is None else self.price_out_per_M,
                "price_per_call_usd": self.price_per_call_usd,
            }
        )


class TaskLine(Record):
    """One line of ``tasks.jsonl.gz``.

    ``labels`` are the right agents, empty for a task that is out of scope and needed in a set of kind ``labels``;
    ``acceptable`` are further agents that would do; ``gold`` is the right answer. All three, and ``group``, are for
    scoring and fitting only.
    """

    id: str = Field(min_length=1)
    split: Split
    text: str
    group: str = ""
    labels: tuple[str, ...] | None = None
    acceptable: tuple[str, ...] = ()
    context: str = ""
    gold: str | None = None


class OutcomeLine(Record):
    """One row of ``outcomes.csv.gz``: what came of one agent on one task. ``None`` is unknown."""

    task: str = Field(min_length=1)
    agent: str = Field(min_length=1)
    quality: float = Field(ge=0, le=1, allow_inf_nan=False)
    input_tokens: int | None = Field(default=None, ge=0)
    output_tokens: int | None = Field(default=None, ge=0)
    cost_usd: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    latency_s: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    answer: str | None = None


class ResponseLine(Record):
    """One line of ``responses.jsonl.gz``: the whole text that an agent answered on a task."""

    task: str = Field(min_length=1)
    agent: str = Field(min_length=1)
    text: str


LineT = TypeVar("LineT", bound=Record)


def open_text(path: Path) -> TextIO:
    """Open a plain or gzipped UTF-8 file for reading, newlines untouched."""
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8", newline="")
    return path.open(encoding="utf-8", newline="")


def read_text_lines(path: Path) -> Iterator[str]:
    """Yield the lines of a file.

    Raises:
        RecordedSetError: the file is missing, cut short, or is neither UTF-8 nor, under ``.gz``, gzip.
    """
    try:
        with open_text(path) as file:
            yield from file
    except FileNotFoundError as error:
        raise RecordedSetError(f"recorded set: {str(path)!r} is missing") from error
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise RecordedSetError(f"recorded set: {str(path)!r} cannot be read: {error}") from error


def read_records(path: Path, kind: type[LineT]) -> Iterator[tuple[int, LineT]]:
    """Yield line number and record for each line of a JSON-lines file.

    Raises:
        RecordedSetError: the file cannot be read, or a line is no such record; the message names file and line.
    """
    for number, line in enumerate(read_text_lines(path), start=1):
        yield number, parse_record(line, kind, place=f"{path}:{number}")


def parse_record(text: str, kind: type[LineT], *, place: str) -> LineT:
    """Build a record from JSON text, or name ``place`` and what is wrong with it.

    >>> parse_record('{"task": "t1", "agent": "a", "text": "yes"}', ResponseLine, place="x:1").agent
    'a'
    """
    try:
        return kind.model_validate_json(text)
    except ValidationError as error:
        raise RecordedSetError(f"{place}: {first_problem(error)}; accepted: {', '.join(kind.model_fields)}") from error


def first_problem(error: ValidationError) -> str:
    """Say the first thing that is wrong, with the field and the value it had."""
    first = error.errors(include_url=False)[0]
    field = ".".join(str(part) for part in first["loc"])
    value = repr(first["input"])
    shown = value if len(value) <= 80 else value[:77] + "..."
    return f"{field}: {first['msg']}, got {shown}" if field else f"{first['msg']}, got {shown}"
