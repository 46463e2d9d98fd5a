"""Writes stored runs as a recorded set, which benches and training read. What was not seen is not in it."""

import os
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Final

from agentmesh.errors import ExchangeError
from agentmesh.exchange.observed import SeenTasks, seen_tasks
from agentmesh.exchange.places import whole_folder
from agentmesh.recorded import AgentLine, OutcomeLine, ResponseLine, SetInfo, TaskLine, write_set
from agentmesh.recorded.reader import AGENTS_FILE, OUTCOMES_FILE, RESPONSES_FILE, SET_FILE, TASKS_FILE
from agentmesh.records import AgentCard, Record
from agentmesh.store.base import RunFilter, TraceStore
from agentmesh.store.codec import storable

SET_FILES: Final = (SET_FILE, AGENTS_FILE, TASKS_FILE, OUTCOMES_FILE, RESPONSES_FILE)


class SetExported(Record):
    """What a set holds: ``outcomes`` of ``tasks`` times ``agents`` are known, and all of a task in ``complete``."""

    tasks: int
    agents: int
    outcomes: int
    complete: int

    @property
    def is_complete(self) -> bool:
        """Say whether the outcome of every agent on every task is known."""
        return self.outcomes == self.tasks * self.agents


def export_set(
    store: TraceStore,
    out: str | os.PathLike[str],
    *,
    where: RunFilter | None = None,
    complete: bool = False,
    text: bool = True,
    force: bool = False,
) -> SetExported:
    """Write what came of agents on tasks as the folder of a recorded set.

    Runs are split by time. A log knows what came of the agents that were asked, so a set of it is sparse, and where
    one outcome of a task is known there is nothing to choose from: see ``complete``.

    Args:
        store: Where the runs are kept; nothing is written to it.
        out: The folder.
        where: Only these runs, and those that they started.
        complete: Only tasks on which the outcome of every agent is known.
        text: Whether the texts of tasks and answers stand in it; without them, routers know tasks by their group only.
        force: Replace an earlier export.

    Raises:
        ExchangeError: no outcome is known, or of no task all of them; ``out`` exists or cannot be written.
        StoreError: the store cannot be read.
    """
    seen = scored_tasks(store, where)
    told = _told(seen)
    if complete:
        seen = seen.complete()
        if not seen.tasks:
            raise ExchangeError(
                f"no task in {store.url!r} has a known outcome of all {told.agents} agents; {told.outcomes} of "
                f"{told.tasks * told.agents} are known. Export a sparse set, or estimate by 'agentmesh whatif'"
            )
    with whole_folder(Path(out), names=SET_FILES, force=force) as draft:
        write_set(
            draft,
            _info(Path(out).name, _told(seen)),
            agents=map(agent_line, seen.cards),
            tasks=_tasks(seen, text=text),
            outcomes=_outcomes(seen),
            responses=_responses(seen) if text else (),
        )
    return _told(seen)


def scored_tasks(store: TraceStore, where: RunFilter | None) -> SeenTasks:
    """Return what is known of agents on tasks.

    Raises:
        ExchangeError: nothing is.
    """
    seen = seen_tasks(store.traces(where), store.latest_cards())
    if not seen.tasks:
        raise ExchangeError(
            f"{store.url!r} holds no such run with a scored answer of an agent as it is now; "
            "give feedback first (agentmesh feedback RUN SCORE)"
        )
    return seen


def agent_line(card: AgentCard) -> AgentLine:
    """Return the line of a set for an agent's card."""
    return AgentLine(
        id=card.id,
        description=storable(card.description),
        examples=tuple(map(storable, card.examples)),
        group=None if card.group is None else storable(card.group),
        price_in_per_M=_number(card.price_in_per_m_usd),
        price_out_per_M=_number(card.price_out_per_m_usd),
        price_per_call_usd=_number(card.price_per_call_usd),
    )


def _number(price: Decimal | None) -> float | None:
    return None if price is None else float(price)


def _told(seen: SeenTasks) -> SetExported:
    whole = len(seen.complete().tasks)
    return SetExported(tasks=len(seen.tasks), agents=len(seen.cards), outcomes=seen.known, complete=whole)


def _info(name: str, told: SetExported) -> SetInfo:
    known = f"{told.outcomes} of {told.tasks * told.agents} outcomes are known, those of the agents that were asked"
    note = "the outcome of every agent is known on every task" if told.is_complete else known
    return SetInfo(name=name or "runs", kind="outcomes", source="stored runs", note=f"{note}; split by time")


def _tasks(seen: SeenTasks, *, text: bool) -> Iterator[TaskLine]:
    for task, split in zip(seen.tasks, seen.splits(), strict=True):
        shown = storable(task.text) if text else ""
        yield TaskLine(id=task.id, split=split, text=shown, group=storable(task.group))


def _outcomes(seen: SeenTasks) -> Iterator[OutcomeLine]:
    for task in seen.tasks:
        for agent_id, outcome in task.outcomes.items():
            yield OutcomeLine(
                task=task.id,
                agent=agent_id,
                quality=outcome.quality,
                input_tokens=outcome.input_tokens,
                output_tokens=outcome.output_tokens,
                cost_usd=outcome.cost_usd,
                latency_s=outcome.latency_s,
            )


def _responses(seen: SeenTasks) -> Iterator[ResponseLine]:
    for task in seen.tasks:
        for agent_id, outcome in task.outcomes.items():
            if outcome.answer is not None:
                yield ResponseLine(task=task.id, agent=agent_id, text=storable(outcome.answer))
