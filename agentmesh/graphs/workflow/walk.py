"""What the nodes of a workflow's graph do: begin a stage or pass it over, have its task done, record how it ended."""

import asyncio
import operator
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, TypedDict

from agentmesh.errors import BudgetError, ConfigError, ReplayError, StoreError
from agentmesh.events import StageFinished, StageStarted, StageWaiting
from agentmesh.graphs.log import RunLog
from agentmesh.graphs.workflow.children import Children, ChildRequest, limits_for
from agentmesh.graphs.workflow.spec import Stage, Workflow
from agentmesh.graphs.workflow.stage_task import Given, Situation, StageEnd, joined, told
from agentmesh.records import ApprovalRequest, Limits, Run, RunStatus, StageRun, Task
from agentmesh.types import RunId

Key = tuple[str, int]
"""A stage, and the number of its round or part."""


class WalkState(TypedDict, total=False):
    """What the nodes hand on: how stages ended, in order, and what mapped stages are about."""

    past: Annotated[tuple[StageEnd, ...], operator.add]
    parts: Annotated[tuple[StageEnd, ...], operator.add]
    items: Annotated[dict[str, tuple[str, ...]], operator.or_]


class PartState(TypedDict):
    """What is sent to one part of a mapped stage."""

    past: tuple[StageEnd, ...]
    part: int
    item: str


@dataclass(frozen=True, slots=True)
class Waiting:
    """A part of a stage that waits for a person, the run that does it, and what that wants to know."""

    stage: str
    part: int
    child: RunId
    requests: tuple[ApprovalRequest, ...]


@dataclass(slots=True)
class Walk:
    """One way through a workflow. ``left_s`` tells the seconds that are left for it, ``None`` for any number."""

    workflow: Workflow
    task: Task
    limits: Limits
    log: RunLog
    children: Children
    left_s: Callable[[], float | None]
    waiting: list[Waiting] = field(default_factory=list)
    under_way: set[asyncio.Task[Any]] = field(default_factory=set)

    async def stage(self, name: str, state: WalkState) -> WalkState:
        """Do a stage, or one round of it."""
        with self._noted():
            here = self._situation(name, state)
            end = self._passed_over(here)
            return {"past": (await self._done(here) if end is None else end,)}

    async def listing(self, name: str, state: WalkState) -> WalkState:
        """Find out what a mapped stage is about; where there is nothing, it has ended."""
        with self._noted():
            here = self._situation(name, state)
            end = self._passed_over(here)
            items: tuple[str, ...] = ()
            if end is None:
                try:
                    items = _bounded(here.items(), here.stage)
                    nothing = StageEnd(name, reason="there is nothing to map it over")
                except Exception as error:  # noqa: BLE001 - the node boundary: the user's callable may raise anything
                    nothing = StageEnd(name, status=RunStatus.FAILED, reason=told(error))
                end = None if items else self._ended(nothing)
            return {"items": {name: items}} if end is None else {"items": {name: ()}, "past": (end,)}

    async def part(self, name: str, state: PartState) -> WalkState:
        """Do one part of a mapped stage."""
        with self._noted():
            here = self._situation(name, {"past": state["past"]})
            return {"parts": (await self._done(replace(here, part=state["part"], item=state["item"])),)}

    async def join(self, name: str, state: WalkState) -> WalkState:
        """Make one end of the parts of a mapped stage."""
        parts = sorted((end for end in state["parts"] if end.stage == name), key=lambda end: end.part)
        if not parts:
            return {}
        here = self._situation(name, state)
        return {"past": (joined(here.stage, parts, here.rests_on()),)}

    def stopper(self, ends: Mapping[str, StageEnd]) -> StageEnd | None:
        """Return the first stage, in order, that failed and is not to be skipped; ``None`` while there is none."""
        failed = (ends[name] for name in self.workflow.order.names if name in ends and ends[name].failed)
        return next((end for end in failed if self.workflow.by_name[end.stage].on_failure == "stop"), None)

    async def rest(self) -> None:
        """Record what is waited for, when nothing else is left to do."""
        for one in self.waiting:
            told_of = {"stage": one.stage, "part": one.part, "child": one.child, "requests": one.requests}
            await self.log.commit(StageWaiting, **told_of)

    async def called_off(self) -> None:
        """Wait until every stage under way has noticed that the workflow was cancelled."""
        others = self.under_way - {asyncio.current_task()}
        for task in others:
            task.cancel()
        if others:
            await asyncio.wait(others)

    def _situation(self, name: str, state: WalkState) -> Situation:
        past = state["past"]
        ends = {end.stage: end for end in past}
        rounds = sum(end.stage == name for end in past)
        return Situation(self.workflow, self.task, ends, self.workflow.by_name[name], part=rounds)

    def _passed_over(self, here: Situation) -> StageEnd | None:
        """Return the end of a stage that is not done, ``None`` where it is."""
        name, part = here.stage.name, here.part
        over = StageEnd(name, part)
        if any(here.ends[other].waits for other in here.workflow.order.ancestors[name] if other in here.ends):
            return replace(over, status=RunStatus.WAITING)
        if self.log.earlier(StageStarted, name, part) is not None:
            return None
        known = self.log.earlier(StageFinished, name, part)
        if known is not None:
            return replace(over, status=known.result.status, reason=known.result.reason)
        stopper, before = self.stopper(here.ends), [here.ends[other] for other in here.stage.after]
        if stopper is not None:
            return self._ended(replace(over, reason=f"the workflow stopped at {stopper.stage!r}"))
        if before and not any(end.given for end in before):
            why = "; ".join(f"{end.stage!r}: {end.reason or end.status}" for end in before)
            return self._ended(replace(over, reason=f"no stage before it gave an answer ({why})"))
        return self._unless_it_holds(here, over)

    def _unless_it_holds(self, here: Situation, over: StageEnd) -> StageEnd | None:
        if here.stage.when is None or here.in_later_round:
            return None
        try:
            holds, why = here.condition_holds(here.stage.when), replace(over, reason="its condition does not hold")
        except Exception as error:  # noqa: BLE001 - the node boundary: the user's callable may raise anything
            holds, why = False, replace(over, status=RunStatus.FAILED, reason=f"its condition raised {told(error)}")
        return None if holds else self._ended(why)

    async def _done(self, here: Situation) -> StageEnd:
        """Have the task of a stage done, and record how it ended."""
        end = await self._attempted(here)
        if end.waits:
            return end
        if here.stage.until is not None and end.given:
            end = _turned(here, end)
        self._ended(end)
        kept = here.ends.get(here.stage.name) if here.in_later_round else None
        if end.failed and here.stage.on_failure == "skip" and kept is not None:
            return replace(kept, part=end.part, reason=end.reason, again=False)  # its last answer stands
        return end

    async def _attempted(self, here: Situation) -> StageEnd:
        name, part, run_id = here.stage.name, here.part, child_id(self.log.run_id, here)
        self.log.post(StageStarted, stage=name, part=part, child=run_id)
        try:
            self._check_time()
            place, limits = here.place(self.log.run_id), limits_for(here.stage, self.limits)
            run = await self.children.run(ChildRequest(here.stage, part, here.child_task(), run_id, limits, place))
        except asyncio.CancelledError:
            cancelled = StageRun(stage=name, part=part, run_id=run_id, status=RunStatus.CANCELLED)
            self.log.post(StageFinished, result=cancelled, cost_usd=None)
            raise
        except (StoreError, ReplayError):
            raise
        except Exception as error:  # noqa: BLE001 - the node boundary: recorded as the end of the stage
            return StageEnd(name, part, RunStatus.FAILED, reason=told(error))
        if run.status is RunStatus.WAITING:
            self.waiting.append(Waiting(name, part, run_id, run.waiting_for))
        return _end_of(run, here)

    def _check_time(self) -> None:
        left_s = self.left_s()
        if left_s is not None and left_s <= 0:
            raise BudgetError("no time is left of what the workflow may take")

    def _ended(self, end: StageEnd) -> StageEnd:
        """Record how a stage ended. Its own run is committed by now, so the workflow goes on before this is."""
        result = StageRun(
            stage=end.stage,
            part=end.part,
            run_id=end.run_id,
            status=end.status,
            answer=end.answer,
            reason=end.reason,
        )
        self.log.post(StageFinished, result=result, cost_usd=end.cost_usd)
        return end

    @contextmanager
    def _noted(self) -> Iterator[None]:
        """Know of a stage as long as it is under way."""
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - nodes are tasks
        self.under_way.add(task)
        try:
            yield
        finally:
            self.under_way.discard(task)


def child_id(run_id: RunId, here: Situation) -> RunId:
    """Return the name of the run that does a stage: that of the workflow's run, the stage, and the part if it has any.

    It follows from where it stands, so that a run that is resumed or replayed finds it, and draws the same.
    """
    has_parts = here.item is not None or here.stage.name in here.workflow.loops
    return f"{run_id}/{here.stage.name}.{here.part}" if has_parts else f"{run_id}/{here.stage.name}"


def _end_of(run: Run, here: Situation) -> StageEnd:
    given: tuple[Given, ...] = ()
    if run.status is RunStatus.COMPLETED and run.answer is not None:
        given = (Given(run.answer, run.id, run.answered_by[0] if run.answered_by else None),)
    return StageEnd(
        here.stage.name,
        here.part,
        run.status,
        given,
        reason=run.error or "",
        rests_on={**here.rests_on(), here.stage.name: (run.id,)},
        run_id=run.id,
        cost_usd=run.cost_usd,
    )


def _turned(here: Situation, end: StageEnd) -> StageEnd:
    """Return the end of a round with what follows from it: another round, or the end of the loop."""
    rounds, most = here.part + 1, here.stage.most or 1
    try:
        holds = here.condition_holds(here.stage.until, own=end.answer)
    except Exception as error:  # noqa: BLE001 - the node boundary: the user's callable may raise anything
        reason = f"the condition that ends its loop raised {told(error)}"
        return replace(end, status=RunStatus.FAILED, given=(), reason=reason)
    if holds:
        return replace(end, reason=f"its loop ends: the condition holds after round {rounds}")
    if rounds >= most:
        return replace(end, reason=f"its loop ends: round {rounds} was the last that is allowed")
    return replace(end, again=True, reason=f"another round, at most {most}")


def _bounded(items: tuple[str, ...], stage: Stage) -> tuple[str, ...]:
    if len(items) > stage.most_items:
        raise ConfigError(
            f"stage {stage.name!r} is mapped over {len(items)} items; at most {stage.most_items} are accepted, give "
            "most= for more"
        )
    return items
