"""Measures slices of contexts against whole ones, and against slices that are cut without looking at the task."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Final, TypeAlias

import numpy as np

from agentmesh.bench.context_reading import answer
from agentmesh.bench.context_records import ContextReport, ContextRow
from agentmesh.bench.context_words import WorldSplit
from agentmesh.bench.context_world import ContextCase, make_cases
from agentmesh.bench.opening import open_outcomes
from agentmesh.graphs.context import ContextSlices
from agentmesh.graphs.passages import estimated_tokens
from agentmesh.graphs.slices import WEIGHTS, SliceWeights
from agentmesh.protocols import Embedder
from agentmesh.recorded.reader import RecordedSet
from agentmesh.records import ContextItem
from agentmesh.types import Clock

Items: TypeAlias = tuple[ContextItem, ...]
BUDGETS: Final = (400, 800, 1200, 1600, 2000, 2400, 2800)
ROUTED: Final = "routed"
NO_WALK: Final = "routed, no walk"


def first(case: ContextCase, budget: int) -> Items:
    """Take whole items in the order in which they were written."""
    return _filled(sorted(case.task.context, key=_written), budget)


def last(case: ContextCase, budget: int) -> Items:
    """Take whole items, the last written first."""
    return _filled(sorted(case.task.context, key=_written, reverse=True), budget)


def by_stage(case: ContextCase, budget: int) -> Items:
    """Give each stage an equal part of the budget, and take its last items."""
    stages = sorted({item.stage for item in case.task.context})
    taken: list[ContextItem] = []
    for stage in stages:
        items = [item for item in case.task.context if item.stage == stage]
        taken += _filled(sorted(items, key=_written, reverse=True), budget // len(stages))
    return tuple(taken)


STATIC: Final[Mapping[str, Callable[[ContextCase, int], Items]]] = {"first": first, "last": last, "by stage": by_stage}


def context_report(
    recorded: RecordedSet,
    embedder: Embedder,
    split: WorldSplit,
    *,
    each: int,
    seed: int,
    clock: Clock,
    budgets: Sequence[int] = BUDGETS,
) -> ContextReport:
    """Cut the contexts of ``each`` cases of every kind in every way, and have the answers read off.

    Args:
        recorded: A set of labels, whose requests and agents the cases are made of.
        embedder: What slices and the reader compare texts by.
        split: Which rows, names and wordings the cases are made of.
        each: Cases of every kind.
        seed: What draws them.
        clock: What times a slice.
        budgets: Tokens that one agent gets; the recall of each kind is told for the one in the middle.
    """
    cases = make_cases(recorded, open_outcomes(recorded, split), split, each=each, seed=seed)
    return asyncio.run(_Measuring(cases, embedder, clock).report(f"{recorded.info.name} {split}", budgets))


class _Measuring:
    """One measurement. Contexts are read once for all budgets, as they are for all agents of a run."""

    def __init__(self, cases: Sequence[ContextCase], embedder: Embedder, clock: Clock) -> None:
        self._cases, self._embedder, self._clock = cases, embedder, clock
        self._full = [answer(case, case.task.context, embedder) for case in cases]
        self._tokens = float(np.mean([_tokens(case.task.context) for case in cases]))
        self._slices = [ContextSlices(embedder) for _ in cases]
        self._times_s: list[float] = []

    async def report(self, name: str, budgets: Sequence[int]) -> ContextReport:
        """Return all rows."""
        rows = [self._row("full", None, [case.task.context for case in self._cases])]
        kinds: dict[str, list[float]] = defaultdict(list)
        middle = budgets[len(budgets) // 2]
        for budget in budgets:
            rows += [self._row(way, budget, [cut(case, budget) for case in self._cases]) for way, cut in STATIC.items()]
            near = [await self._nearest(case, budget) for case in self._cases]
            rows.append(self._row("by similarity", budget, near))
            no_walk, slices = [await self._routed(budget, weights) for weights in (replace(WEIGHTS, hop=0.0), WEIGHTS)]
            rows += [self._row(NO_WALK, budget, no_walk), self._row(ROUTED, budget, slices)]
            if budget == middle:
                for case, items in zip(self._cases, slices, strict=True):
                    kinds[case.kind].append(support_recall(case, items))
        return ContextReport(
            name=name,
            cases=len(self._cases),
            rows=tuple(rows),
            by_kind={kind: round(float(np.mean(found)), 4) for kind, found in kinds.items()},
            by_kind_budget=middle,
            first_ms_p50=round(float(np.median(self._times_s[: len(self._cases)])) * 1000, 2),
            ms_p50=round(float(np.median(self._times_s[len(self._cases) :])) * 1000, 2),
        )

    async def _routed(self, budget: int, weights: SliceWeights) -> list[Items]:
        made = []
        for case, slices in zip(self._cases, self._slices, strict=True):
            begun = self._clock.monotonic()
            made.append((await slices.with_weights(weights).slice(case.task, case.card, budget)).items)
            self._times_s.append(self._clock.monotonic() - begun)
        return made

    async def _nearest(self, case: ContextCase, budget: int) -> Items:
        """Take whole items, those that are most like the task first."""
        texts = [case.task.text, *(item.text for item in case.task.context)]
        vectors = await asyncio.to_thread(self._embedder.embed, texts)
        order = np.argsort(-(vectors[1:] @ vectors[0]), kind="stable").tolist()
        return _filled([case.task.context[place] for place in order], budget)

    def _row(self, way: str, budget: int | None, slices: Sequence[Items]) -> ContextRow:
        answers = [answer(case, items, self._embedder) for case, items in zip(self._cases, slices, strict=True)]
        recalls = np.array([support_recall(case, items) for case, items in zip(self._cases, slices, strict=True)])
        tokens = float(np.mean([_tokens(items) for items in slices]))
        right = [got == case.answer for got, case in zip(answers, self._cases, strict=True)]
        same = [got == whole for got, whole in zip(answers, self._full, strict=True)]
        return ContextRow(
            way=way,
            budget_tokens=budget,
            tokens=round(tokens, 1),
            saved=round(1 - tokens / self._tokens, 4),
            same=round(float(np.mean(same)), 4),
            right=round(float(np.mean(right)), 4),
            recall=round(float(recalls.mean()), 4),
            complete=round(float((recalls == 1).mean()), 4),
        )


def support_recall(case: ContextCase, items: Sequence[ContextItem]) -> float:
    """Return the share of the statements that an answer stands on that are among ``items``."""
    text = "\n\n".join(item.text for item in items)
    return float(np.mean([statement in text for statement in case.support]))


def _filled(items: Sequence[ContextItem], budget: int) -> Items:
    """Take items in order, leaving out those that do not fit any more."""
    taken, left = [], budget
    for item in items:
        tokens = estimated_tokens(item.text)
        if tokens <= left:
            taken.append(item)
            left -= tokens
    return tuple(taken)


def _written(item: ContextItem) -> int:
    return item.number


def _tokens(items: Sequence[ContextItem]) -> int:
    return sum(estimated_tokens(item.text) for item in items)
