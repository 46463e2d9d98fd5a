"""A knowledge graph's file as typed records, one for each task, entity, agent and outcome."""

from collections.abc import Mapping
from typing import Annotated, Final, Literal

from pydantic import Field

from agentmesh.knowledge.entities import EntityKind
from agentmesh.knowledge.relations import Triple
from agentmesh.packing import PackedVector
from agentmesh.records import Record

FORMAT: Final = "agentmesh-knowledge"
VERSION: Final = 1

_Amount = Field(default=None, ge=0, allow_inf_nan=False)


class TaskRow(Record):
    """A task with what it is tied to; entities and earlier tasks stand by name, with their weights."""

    name: str
    text: str
    vector: PackedVector
    at: float = Field(allow_inf_nan=False)
    order: int = Field(ge=0)
    closed: bool = False
    triples: tuple[Triple, ...] = ()
    skills: tuple[str, ...] = ()
    mentions: tuple[tuple[str, Annotated[int, Field(ge=1)]], ...] = ()
    like: tuple[tuple[str, Annotated[float, Field(gt=0, le=1)]], ...] = ()


class EntityRow(Record):
    """An entity; how many tasks name it is counted when it is read."""

    name: str
    surface: str
    kind: EntityKind
    order: int = Field(ge=0)


class AgentRow(Record):
    """An agent with the skills it declares."""

    name: str
    version: int = Field(default=1, ge=1)
    since: int = Field(default=0, ge=0)
    vector: PackedVector | None = None
    description: str = ""
    price_per_call_usd: float | None = _Amount
    price_in_per_m_usd: float | None = _Amount
    price_out_per_m_usd: float | None = _Amount
    skills: tuple[str, ...] = ()


class OutcomeRow(Record):
    """What came of an agent on a task."""

    task: str
    agent: str
    quality: float = Field(ge=0, le=1, allow_inf_nan=False)
    cost_usd: float | None = _Amount
    count: int = Field(default=1, ge=1)
    weight: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    costs: int = Field(default=0, ge=0)


class TermRows(Record):
    """In how many tasks each term stood, of how many tasks."""

    capacity: int = Field(ge=1)
    tasks: int = Field(ge=0)
    counts: Mapping[str, int]


class GraphFile(Record):
    """A whole graph. Relations, and what agents know, follow from the rest and are not in it."""

    format: Literal["agentmesh-knowledge"] = FORMAT
    version: Literal[1] = VERSION
    max_tasks: int = Field(ge=1)
    max_entities: int = Field(ge=1)
    like_within: int = Field(ge=1)
    sequence: int = Field(ge=0)
    embedder: str
    extractor: str
    source: str
    arrived: int = Field(ge=0)
    named: int = Field(ge=0)
    terms: TermRows
    entities: tuple[EntityRow, ...]
    tasks: tuple[TaskRow, ...]
    agents: tuple[AgentRow, ...]
    outcomes: tuple[OutcomeRow, ...]
