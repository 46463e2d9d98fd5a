"""Training rows for a reasoning model: a task, the cards it may choose from, a reason, and the right agents.

From a database, what was scored well is right; from a recorded set, what stands in it. Test rows are never read.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import blake2b
from typing import Final, Literal

import numpy as np

from agentmesh.capture import why_not_whole
from agentmesh.decisions import Reasoning
from agentmesh.errors import ConfigError, RunNotFoundError
from agentmesh.events import DecisionMade, Event, RunStarted, TaskPrepared
from agentmesh.learning.measured import mean_quality
from agentmesh.learning.reasons import Evidence, evidence_of, reason_for
from agentmesh.learning.sets import open_parts, texts_of
from agentmesh.recorded.reader import RecordedSet, Rows
from agentmesh.records import AgentCard, Experience, Record, Task, Turn
from agentmesh.routing.intent import naming
from agentmesh.store.base import TraceStore
from agentmesh.types import AgentId, RunId

CARDS: Final = 12
"""Agents that a reasoning router puts to a model at a time."""

MOST_RIGHT: Final = 3
"""Agents that a reasoning model may name."""

LEAST_QUALITY: Final = 0.5
"""The least quality of an answer that was good enough: what counts as solved elsewhere too."""


class CardLine(Record):
    """What a row shows of an agent."""

    id: AgentId
    description: str
    skills: tuple[str, ...] = ()


class SftRow(Record):
    """One example to learn from. ``ids`` are the right agents, the best first; none where nobody fits.

    ``reason`` is what a model said where it named a right agent (``reasoned`` is "model"), else a sentence drafted from
    cards ("drafted").
    """

    task: str
    turns: tuple[Turn, ...] = ()
    cards: tuple[CardLine, ...]
    reason: str
    ids: tuple[AgentId, ...]
    reasoned: Literal["model", "drafted"] = "drafted"


class SftOptions(Record):
    """How rows are made.

    ``cards`` is how many agents a row shows, the right ones among them; ``most_right`` how many right ones are named:
    further ones are left out of the row, so that none is shown as wrong. ``seed`` fixes all that is drawn.
    """

    cards: int = CARDS
    most_right: int = MOST_RIGHT
    least_quality: float = LEAST_QUALITY
    seed: int = 0


def rows_of_store(store: TraceStore, options: SftOptions | None = None) -> Iterator[SftRow]:
    """Yield a row for each stored run in which an answer was good enough, in the order of their first scores.

    Cards are those that were registered then; agents that a gate refused are not shown. An agent that was not asked
    counts as wrong although nobody knows. No row says that nobody fits: nothing in a database confirms it, since what
    failed or abstained may have been within the reach of an agent that was not asked.

    Raises:
        StoreError: the store cannot be read.
        ConfigError: fewer cards are asked for than agents may be right.
    """
    chosen = _checked(options)
    experiences = store.experiences()
    evidence = evidence_of(experiences)
    for run_id, scores in _by_run(experiences).items():
        row = _row_of_run(store, run_id, scores, evidence, chosen)
        if row is not None:
            yield row


def _row_of_run(
    store: TraceStore, run_id: RunId, scores: Sequence[Experience], evidence: Evidence, options: SftOptions
) -> SftRow | None:
    qualities = _qualities(scores)
    good = [agent_id for agent_id, quality in qualities.items() if quality >= options.least_quality]
    if not good:
        return None
    try:
        events = store.events(run_id)
    except RunNotFoundError:
        return None
    started = next(event for event in events if isinstance(event, RunStarted))
    known = {card.id: card for card in store.registry(started.registry_version).cards}
    ranked = sorted((agent_id for agent_id in good if agent_id in known), key=lambda one: (-qualities[one], one))
    refused = _refused(events)
    others = [card for agent_id, card in sorted(known.items()) if agent_id not in {*good, *refused}]
    if not ranked or why_not_whole(started.capture, [started.model_dump_json()]):
        return None
    right = [known[agent_id] for agent_id in ranked[: options.most_right]]
    return _row(
        started.task,
        right,
        others,
        key=run_id,
        options=options,
        said=_reason_given(events, {card.id for card in right}),
        evidence=evidence.without(scores),
    )


def _qualities(scores: Iterable[Experience]) -> dict[AgentId, float]:
    by_agent: dict[AgentId, list[Experience]] = {}
    for one in scores:
        by_agent.setdefault(one.agent_id, []).append(one)
    return {agent_id: mean_quality(found) for agent_id, found in by_agent.items()}


def _by_run(experiences: Iterable[Experience]) -> Mapping[RunId, list[Experience]]:
    runs: dict[RunId, list[Experience]] = {}
    for one in experiences:
        runs.setdefault(one.run_id, []).append(one)
    return runs


def _refused(events: Iterable[Event]) -> Mapping[AgentId, str]:
    return next((event.refused for event in events if isinstance(event, TaskPrepared)), {})


def _reason_given(events: Iterable[Event], right: set[AgentId]) -> str:
    """Return the reason that a model gave for naming a right agent, "" where none did."""
    given: list[Reasoning] = [
        event.decision.reasoning
        for event in events
        if isinstance(event, DecisionMade) and event.decision.reasoning is not None
    ]
    return next((one.reason for one in given if not one.fault and right.intersection(one.named)), "")


def rows_of_set(recorded: RecordedSet, options: SftOptions | None = None) -> Iterator[SftRow]:
    """Yield a row for each train and val task of a recorded set; test rows are not read.

    In a set of labels the labels are right, further acceptable agents are left out of the row, and a task out of scope
    has nobody. In a set of outcomes the agents that were good enough are right, the best and then the cheapest first;
    a task that nobody solved makes no row, since that nobody did is no sign that nobody fits.

    Raises:
        RecordedSetError: a line is malformed, or there are no rows but those for testing.
        ConfigError: fewer cards are asked for than agents may be right.
    """
    chosen = _checked(options)
    cards = {card.id: card for card in recorded.agents}
    is_labels = recorded.info.kind == "labels"
    for rows in open_parts(recorded):
        for place, (task, text) in enumerate(zip(rows.tasks, texts_of(rows), strict=True)):
            ranked, good = _labelled(rows, place) if is_labels else _solved(rows, place, chosen.least_quality)
            if not ranked and (good or not is_labels):
                continue
            right = [cards[agent_id] for agent_id in ranked[: chosen.most_right]]
            others = [card for card in recorded.agents if card.id not in good]
            hints = (rows.groups[place],) if rows.groups[place] else ()
            yield _row(Task(text=text, type_hints=hints), right, others, key=task.id, options=chosen)


def _labelled(rows: Rows, place: int) -> tuple[list[AgentId], set[AgentId]]:
    """Return the right agents of a task, and all that would do."""
    columns = np.flatnonzero(rows.table.quality[place] > 0).tolist()
    return list(rows.labels[place]), {rows.agent_ids[column] for column in columns}


def _solved(rows: Rows, place: int, least_quality: float) -> tuple[list[AgentId], set[AgentId]]:
    """Return the agents that solved a task, the best and then the cheapest first, and the same as a set."""
    quality, cost = rows.table.quality[place], rows.table.cost[place]
    columns = np.flatnonzero(quality >= least_quality).tolist()
    columns.sort(key=lambda column: (-quality[column], np.inf if np.isnan(cost[column]) else cost[column], column))
    ranked = [rows.agent_ids[column] for column in columns]
    return ranked, set(ranked)


def _row(
    task: Task,
    right: Sequence[AgentCard],
    others: Sequence[AgentCard],
    *,
    key: str,
    options: SftOptions,
    said: str = "",
    evidence: Evidence | None = None,
) -> SftRow:
    shown = _shuffled(right, others, key=key, options=options)
    kind = next(iter(naming(task.type_hints)), "")
    return SftRow(
        task=task.text,
        turns=task.turns,
        cards=tuple(CardLine(id=card.id, description=card.description, skills=card.skills) for card in shown),
        reason=said or reason_for(right, kind=kind, evidence=evidence),
        ids=tuple(card.id for card in right),
        reasoned="model" if said else "drafted",
    )


def _shuffled(
    right: Sequence[AgentCard], others: Sequence[AgentCard], *, key: str, options: SftOptions
) -> list[AgentCard]:
    """Return the right agents and some of the others, in an order that says nothing.

    Each row has a generator of its own, from the seed and the row's key: rows that come or go change no other row.
    """
    digest = blake2b(key.encode(errors="surrogatepass"), digest_size=8).digest()
    rng = np.random.default_rng([options.seed, int.from_bytes(digest, "big")])
    drawn = rng.permutation(len(others))[: options.cards - len(right)].tolist()
    shown = [*right, *(others[place] for place in drawn)]
    return [shown[place] for place in rng.permutation(len(shown)).tolist()]


def _checked(options: SftOptions | None) -> SftOptions:
    chosen = options or SftOptions()
    if chosen.most_right < 1 or chosen.cards < chosen.most_right:
        raise ConfigError(
            f"{chosen.cards!r} cards are asked for and up to {chosen.most_right!r} right agents; "
            "accepted are at least 1 right agent and as many cards"
        )
    return chosen
