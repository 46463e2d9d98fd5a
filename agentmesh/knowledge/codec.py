"""A knowledge graph as JSON text that is read back exactly, vectors bit for bit."""

from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import NoReturn

import pydantic_core
from pydantic import ValidationError

from agentmesh.errors import ConfigError
from agentmesh.knowledge.entities import Entity
from agentmesh.knowledge.graph import KnowledgeGraph, Links
from agentmesh.knowledge.nodes import AgentNode, EntityNode, Outcome, TaskNode
from agentmesh.knowledge.rows import (
    FORMAT,
    VERSION,
    AgentRow,
    EntityRow,
    GraphFile,
    OutcomeRow,
    TaskRow,
    TermRows,
)
from agentmesh.packing import pack_vector, unpack_vector
from agentmesh.types import VectorArray


def to_json(graph: KnowledgeGraph) -> str:
    """Return a graph as JSON, vectors as base64; the same graph gives the same text."""
    terms = graph.terms
    return GraphFile(
        max_tasks=graph.max_tasks,
        max_entities=graph.max_entities,
        like_within=graph.like_within,
        sequence=graph.sequence,
        embedder=graph.embedder,
        extractor=graph.extractor,
        source=graph.source,
        arrived=graph.arrived,
        named=graph.named,
        terms=TermRows(capacity=terms.capacity, tasks=terms.tasks, counts=terms.counts),
        entities=tuple(_entity_row(graph.entity(name)) for name in graph.names("entity")),
        tasks=tuple(_task_row(graph, name) for name in graph.names("task")),
        agents=tuple(_agent_row(graph, name) for name in graph.names("agent")),
        outcomes=tuple(_outcome_rows(graph)),
    ).model_dump_json()


def from_json(text: str) -> KnowledgeGraph:
    """Undo :func:`to_json`.

    Raises:
        ConfigError: ``text`` is no such JSON, was cut short, contradicts itself, or was written by a newer agentmesh.
    """
    try:
        data = pydantic_core.from_json(text)  # unlike the json module it refuses halves of surrogate pairs
    except ValueError as error:
        raise ConfigError(f"the knowledge graph is no whole JSON ({error}); build it again") from error
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        found = data.get("format") if isinstance(data, dict) else type(data).__name__
        raise ConfigError(f"the JSON is no knowledge graph: its format is {found!r}; expected {FORMAT!r}")
    if isinstance(data.get("version"), int) and data["version"] > VERSION:
        raise ConfigError(
            f"the knowledge graph is of version {data['version']!r}, this agentmesh reads up to {VERSION}; "
            "install a newer one, or build it again"
        )
    try:
        return _graph(GraphFile.model_validate(data))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise ConfigError(f"the knowledge graph cannot be read: {place}: {first['msg']}; build it again") from error


def _entity_row(entity: EntityNode) -> EntityRow:
    return EntityRow(name=entity.name, surface=entity.surface, kind=entity.entity_kind, order=entity.order)


def _task_row(graph: KnowledgeGraph, name: str) -> TaskRow:
    task = graph.task(name)
    return TaskRow(
        name=name,
        text=task.text,
        vector=pack_vector(task.vector),
        at=task.at,
        order=task.order,
        closed=task.closed,
        triples=task.triples,
        skills=tuple(graph.linked("of", name)),
        mentions=tuple((entity, int(times)) for entity, times in graph.linked("mentions", name).items()),
        like=tuple(graph.linked("like", name).items()),
    )


def _agent_row(graph: KnowledgeGraph, name: str) -> AgentRow:
    agent = graph.agent(name)
    return AgentRow(
        name=name,
        version=agent.version,
        since=agent.since,
        vector=None if agent.vector is None else pack_vector(agent.vector),
        description=agent.description,
        price_per_call_usd=agent.price_per_call_usd,
        price_in_per_m_usd=agent.price_in_per_m_usd,
        price_out_per_m_usd=agent.price_out_per_m_usd,
        skills=tuple(graph.linked("has", name)),
    )


def _outcome_rows(graph: KnowledgeGraph) -> Iterable[OutcomeRow]:
    for found in graph.outcomes():
        yield OutcomeRow(
            task=found.task,
            agent=found.agent_id,
            quality=found.quality,
            cost_usd=found.cost_usd,
            count=found.count,
            weight=found.weight,
            costs=found.costs,
        )


def _graph(file: GraphFile) -> KnowledgeGraph:
    _check(file)
    graph = KnowledgeGraph(max_tasks=file.max_tasks, max_entities=file.max_entities, like_within=file.like_within)
    graph.sequence, graph.arrived, graph.named = file.sequence, file.arrived, file.named
    graph.embedder, graph.extractor, graph.source = file.embedder, file.extractor, file.source
    graph.terms.capacity, graph.terms.tasks = file.terms.capacity, file.terms.tasks
    graph.terms.counts = dict(file.terms.counts)
    entities = {row.name: EntityNode(row.name, row.surface, row.kind, order=row.order) for row in file.entities}
    graph.restore(
        entities=entities.values(),
        tasks=[_task(row, entities) for row in file.tasks],
        agents=[(_agent(row), row.skills) for row in file.agents],
        outcomes=[
            Outcome(row.task, row.agent, row.quality, row.cost_usd, row.count, row.weight, row.costs)
            for row in file.outcomes
        ],
    )
    return graph


def _task(row: TaskRow, entities: Mapping[str, EntityNode]) -> tuple[TaskNode, Links]:
    vector = _vector(row.vector)
    named = [
        Entity(entities[name].surface, name, entities[name].entity_kind, count=times) for name, times in row.mentions
    ]
    node = TaskNode(row.name, row.text, vector, row.at, row.order, row.closed, row.triples)
    return node, Links(entities=named, skills=row.skills, like=row.like)


def _agent(row: AgentRow) -> AgentNode:
    return AgentNode(
        row.name,
        version=row.version,
        since=row.since,
        vector=None if row.vector is None else _vector(row.vector),
        description=row.description,
        price_per_call_usd=row.price_per_call_usd,
        price_in_per_m_usd=row.price_in_per_m_usd,
        price_out_per_m_usd=row.price_out_per_m_usd,
    )


def _vector(raw: bytes) -> VectorArray:
    return unpack_vector(raw).astype("f4")  # a copy that may be written to, in this machine's byte order


def _check(file: GraphFile) -> None:
    """See that all names lead somewhere, so that a graph that was read can be continued like any other."""
    entities, tasks = {row.name for row in file.entities}, {row.name: row.order for row in file.tasks}
    agents = {row.name for row in file.agents}
    for kind, names, rows in (
        ("entity", entities, file.entities),
        ("task", tasks, file.tasks),
        ("agent", agents, file.agents),
    ):
        if len(names) != len(rows):
            _refuse(f"one {kind} stands there twice")
    _check_order("task", [row.order for row in file.tasks], file.arrived)
    _check_order("entity", [row.order for row in file.entities], file.named)
    _check_vectors(file)
    for row in file.tasks:
        _check_task(row, entities, tasks)
    named = {name for row in file.tasks for name, _ in row.mentions}
    for entity in file.entities:
        if entity.name not in named:
            _refuse(f"no task names the entity {entity.name!r}")
    _check_outcomes(file.outcomes, tasks, agents)


def _check_order(kind: str, orders: list[int], came: int) -> None:
    if any(later <= earlier for earlier, later in pairwise([*orders, came])):
        _refuse(f"the numbers of each {kind} do not rise to below {came}")


def _check_vectors(file: GraphFile) -> None:
    raw = [*(row.vector for row in file.tasks), *(row.vector for row in file.agents if row.vector is not None)]
    if raw and (not raw[0] or len(raw[0]) % 4 or len(set(map(len, raw))) > 1):
        _refuse("its vectors are empty or of several lengths")


def _check_task(row: TaskRow, entities: set[str], tasks: Mapping[str, int]) -> None:
    named = {name for name, _ in row.mentions}
    if not named <= entities or len(named) < len(row.mentions):
        _refuse(f"task {row.name!r} names what is no entity, or one twice")
    if any(triple.head not in named or triple.tail not in named for triple in row.triples):
        _refuse(f"task {row.name!r} has a triple of what it does not name")
    if any(tasks.get(name, row.order) >= row.order for name, _ in row.like):
        _refuse(f"task {row.name!r} is like a task that did not come before it")


def _check_outcomes(rows: Iterable[OutcomeRow], tasks: Mapping[str, int], agents: set[str]) -> None:
    seen: set[tuple[str, str]] = set()
    for row in rows:
        if row.task not in tasks or row.agent not in agents or (row.task, row.agent) in seen:
            _refuse(f"an outcome of {row.agent!r} on {row.task!r} has no task, no agent, or stands there twice")
        if (row.costs == 0) != (row.cost_usd is None) or row.costs > row.count:
            _refuse(f"the outcome of {row.agent!r} on {row.task!r} has {row.costs!r} costs")
        seen.add((row.task, row.agent))


def _refuse(what: str) -> NoReturn:
    raise ConfigError(f"the knowledge graph contradicts itself: {what}; build it again")
