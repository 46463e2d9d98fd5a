"""Measures a cascade: what a budget of questions buys, whether it is kept, and what the cascade itself costs."""

import asyncio
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, Literal

import numpy as np

from agentmesh.bench.cascade_records import CascadeReport, CascadeStream, CascadeTime
from agentmesh.bench.decision_timing import times_ms
from agentmesh.bench.label_bench import in_scope
from agentmesh.bench.material import Material, Part, part_of, prepare
from agentmesh.bench.opening import BenchSplit, open_outcomes
from agentmesh.protocols import ChatRequest, Embedder
from agentmesh.recorded.reader import load_set
from agentmesh.records import RouteDecision
from agentmesh.routing.asking import Reply
from agentmesh.routing.base import RouteContext, TaskFeatures
from agentmesh.routing.cascade import CascadeRouter
from agentmesh.routing.pacing import SlidingPace, take_note
from agentmesh.routing.progress import Say, unsaid
from agentmesh.types import AgentId, FloatArray, IndexArray

TIMED: Final = 300  # tasks
LATENCY_S: Final = 0.5  # what the scripted model says that it took; nobody waits for it


@dataclass(slots=True)
class OracleAsker:
    """A model that names the right agent, whoever is put to it."""

    right: AgentId = ""

    async def ask(self, request: ChatRequest, *, timeout_s: float | None = None) -> Reply:  # noqa: ARG002 - it knows
        """Name the right agent."""
        text = json.dumps({"reason": "It is known.", "agents": [self.right], "out_of_scope": False})
        return Reply(text, model="oracle", cost_usd=Decimal(0), latency_s=LATENCY_S)


@dataclass(frozen=True, slots=True)
class _Told:
    """Tasks in scope with the places of their right agents, (m,)."""

    tasks: tuple[TaskFeatures, ...]
    right: IndexArray


def cascade_report(
    folder: str | os.PathLike[str],
    embedder: Embedder,
    split: BenchSplit,
    *,
    stage: str = "linear",
    budget: float = 0.1,
    seeds: Sequence[int] = range(5),
    say: Say = unsaid,
) -> CascadeReport:
    """Fit a cascade of one router on the tasks of train that are in scope, read its threshold off val, and score it.

    Each stream is run for each seed, which orders its tasks; rows are the means over seeds.

    Raises:
        RecordedSetError: the set holds outcomes, not labels, or lacks a split.
    """
    recorded = load_set(folder)
    say(f"reading {recorded.info.name}")
    material = prepare(recorded, embedder)
    router = fitted_cascade(material, stage, budget, say)
    part = material.val if split == "val" else part_of(open_outcomes(recorded, split), embedder)
    told = _told(part)
    cheap = np.array(
        [_chosen(router.decide(task, material.pool, RouteContext(seed=0)), material) for task in told.tasks]
    )
    streams = []
    for order in ORDERS:
        say(f"running the {order} stream")
        streams.append(_mean([_run(router, material, told, cheap, ordered(told.right, order, seed)) for seed in seeds]))
        streams[-1] = streams[-1].model_copy(update={"order": order})
    say("timing")
    return CascadeReport(
        set=recorded.info.name,
        split=split,
        stage=stage,
        embedder=embedder.version,
        budget=budget,
        tasks=len(told.tasks),
        top1_cheap=float((cheap == told.right).mean()),
        streams=tuple(streams),
        times=(_timed(router, material, [task.text for task in told.tasks[:TIMED]]),),
        notes=(f"Means over {len(seeds)} orders of the tasks; fitted on train, threshold read off val.",),
    )


ORDERS: Final[tuple[Literal["mixed", "changing"], ...]] = ("mixed", "changing")


def fitted_cascade(material: Material, stage: str, budget: float, say: Say) -> CascadeRouter:
    """Return a cascade that has learned the in-scope tasks of train, its threshold read off val; it has no guard."""
    train, val = (part.outcomes(material.pool) for part in (material.train, material.val))
    known = train.rows(np.flatnonzero(in_scope(train.quality)))
    router = CascadeRouter(stages=(stage,), shares=(budget,))
    say(f"fitting {stage}")
    router.fit(known, val=val.rows(np.flatnonzero(in_scope(val.quality))))
    return router


def _told(part: Part) -> _Told:
    rows = np.flatnonzero(in_scope(part.quality))
    return _Told(tuple(part.features[row] for row in rows.tolist()), part.quality[rows].argmax(axis=1))


def _chosen(decision: RouteDecision, material: Material) -> int:
    return material.pool.index[decision.selected[0].agent_id] if decision.selected else -1


def _run(router: CascadeRouter, material: Material, told: _Told, cheap: IndexArray, rows: IndexArray) -> CascadeStream:
    asked, chosen = asyncio.run(_stream(router, material, told, rows))
    right = told.right[rows]
    wrong, hit = cheap[rows] != right, chosen == right
    half = len(rows) // 2
    return CascadeStream(
        order="mixed",
        asked=float(asked.mean()),
        asked_first_half=float(asked[:half].mean()),
        asked_second_half=float(asked[half:].mean()),
        recovered=float(hit[wrong].mean()) if wrong.any() else 0.0,
        spoilt=float((~hit)[~wrong].mean()) if (~wrong).any() else 0.0,
        top1=float(hit.mean()),
    )


def ordered(right: IndexArray, order: Literal["mixed", "changing"], seed: int) -> IndexArray:
    """Return the tasks in a random order; ``changing`` has those of one half of the agents before the others'.

    Shapes:
        right: (m,) the place of the right agent. Returns (m,).
    """
    rng = np.random.default_rng(seed)
    rows = rng.permutation(len(right))
    if order == "mixed":
        return rows
    agents = rng.permutation(np.unique(right))
    later = np.isin(right[rows], agents[len(agents) // 2 :])
    return np.concatenate([rows[~later], rows[later]])


async def _stream(
    router: CascadeRouter, material: Material, told: _Told, rows: IndexArray
) -> tuple[FloatArray, IndexArray]:
    asker, pace = OracleAsker(), SlidingPace()
    asked, chosen = np.zeros(len(rows)), np.zeros(len(rows), np.int64)
    for place, row in enumerate(rows.tolist()):
        asker.right = material.pool.ids[int(told.right[row])]
        context = RouteContext(seed=row, asker=asker, pace=pace)
        decision = await router.route(told.tasks[row], material.pool, context)
        take_note(pace, decision)
        asked[place], chosen[place] = decision.reasoning is not None, _chosen(decision, material)
    return asked, chosen


def _mean(streams: Sequence[CascadeStream]) -> CascadeStream:
    names = [name for name in CascadeStream.model_fields if name != "order"]
    means = {name: float(np.mean([getattr(stream, name) for stream in streams])) for name in names}
    return streams[0].model_copy(update=means)


def _timed(router: CascadeRouter, material: Material, texts: Sequence[str]) -> CascadeTime:
    """Time the cascade with a calibrated guard, and its router alone, from the texts."""
    train, val = (part.outcomes(material.pool) for part in (material.train, material.val))
    router.calibrate(train, val=val, thresholds=router.thresholds)
    embedder, pool, loop = material.embedder, material.pool, asyncio.new_event_loop()

    def embedded(number: int) -> TaskFeatures:
        text = texts[number % len(texts)]
        return TaskFeatures(embedder.embed([text])[0], text)

    inner = router.scorer
    steps = (
        embedded,
        lambda number: inner.decide(embedded(number), pool, RouteContext(seed=number)),
        lambda number: loop.run_until_complete(router.route(embedded(number), pool, RouteContext(seed=number))),
    )
    try:
        medians = [round(float(np.median(times_ms(step, TIMED))), 3) for step in steps]
    finally:
        loop.close()
    return CascadeTime(
        stage=inner.name, agents=len(pool), embed_ms=medians[0], stage_ms=medians[1], cascade_ms=medians[2]
    )
