"""Scores the answers of finished runs by the mesh's verifiers and its judge, after the run, off its path.

Verifiers and judges are somebody else's code: whatever they raise or return, the others still score, and what went
wrong is kept as a fault of learning.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass

from agentmesh.errors import AgentMeshError, LlmError
from agentmesh.judging.score import checked_score
from agentmesh.learning.faults import keep_fault, told
from agentmesh.learning.sampling import is_judged
from agentmesh.learning.settings import Learning
from agentmesh.protocols import Judge, Verifier
from agentmesh.records import CallStatus, LearningFault, Run, Task
from agentmesh.store.base import TraceStore
from agentmesh.types import AgentId, Clock, SystemClock

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Score:
    """What one answer was found to be worth, 0 to 1, and by whom; without an agent it is the answer of a workflow."""

    agent_id: AgentId | None
    value: float
    source: str


@dataclass(frozen=True, slots=True)
class Failure:
    """Who could not score whose answer, and why."""

    agent_id: AgentId | None
    source: str
    error: BaseException


async def score_answers(
    run: Run,
    verifiers: Sequence[Verifier],
    judge: Judge | None,
    *,
    store: TraceStore | None = None,
    learning: Learning | None = None,
    seed: int = 0,
    clock: Clock | None = None,
    verifying: asyncio.Semaphore | None = None,
) -> AsyncIterator[Score]:
    """Yield a score for each answer of ``run`` that somebody can score.

    Verifiers are asked first, in order, in a worker thread, and the first that has something to say settles it. The
    judge is asked about what is left, one answer after the other, if the run is among its share. An answer that nobody
    can score yields nothing.

    Args:
        run: A finished run.
        verifiers: What scores by rule. Several runs may be scored at once.
        judge: What scores by asking.
        store: Where faults are kept; without one they are only logged.
        learning: The judge's share of the runs, and its time.
        seed: The mesh's seed, which draws the runs that are judged.
        clock: What stamps faults; the machine's by default.
        verifying: Bounds how many runs are verified at once, where several share it.
    """
    settings, told_at = learning or Learning(), clock or SystemClock()
    left = answers_of(run)
    async with verifying or nullcontext():
        verified = await asyncio.to_thread(lambda: list(verdicts(run, dict(left), verifiers)))
    for found in verified:
        if isinstance(found, Score):
            del left[found.agent_id]
            yield found
        else:
            await _report(run, found, store=store, at=told_at.now())
    if judge is None or not is_judged(settings.judge_share, seed=seed, run_id=run.id, judge=judge.name):
        return
    for agent_id, text in left.items():
        judged = await _judged(run, agent_id, text, judge, timeout_s=settings.judge_timeout_s)
        if isinstance(judged, Score):
            yield judged
        elif judged is not None:
            await _report(run, judged, store=store, at=told_at.now())


def answers_of(run: Run) -> dict[AgentId | None, str]:
    """Return the answer of each agent that gave one; the last, where an agent was called several times.

    Of a workflow it is the answer of the whole, which no agent has given alone. Answers that a fork took over are the
    business of the run that they come from.
    """
    if run.stages:
        return {} if run.answer is None else {None: run.answer}
    return {
        call.agent_id: call.answer.text
        for call in run.calls[run.taken_over :]
        if call.status is CallStatus.OK and call.answer is not None
    }


def verdicts(
    run: Run, answers: Mapping[AgentId | None, str], verifiers: Sequence[Verifier]
) -> Iterator[Score | Failure]:
    """Yield, for each answer, the first verifier's score, and who failed before it; nothing where none has a say."""
    for agent_id, text in answers.items():
        yield from verdict(run.task, agent_id, text, verifiers)


def verdict(
    task: Task, agent_id: AgentId | None, text: str, verifiers: Sequence[Verifier]
) -> Iterator[Score | Failure]:
    """Yield the first verifier's score of one answer, and who failed before it; nothing where none has a say."""
    for verifier in verifiers:
        source = f"verifier:{verifier.name}"
        try:
            value = checked_score(verifier.verify(task, text), source, takes_bool=True)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - the boundary to verifiers: they may run an answer
            yield Failure(agent_id, source, error)
            continue
        if value is not None:
            yield Score(agent_id, value, source)
            return


async def _judged(
    run: Run, agent_id: AgentId | None, text: str, judge: Judge, *, timeout_s: float
) -> Score | Failure | None:
    source = f"judge:{judge.name}"
    try:
        async with asyncio.timeout(timeout_s) as limit:
            value = checked_score(await judge.judge(run.task, text), source)
    except Exception as error:  # noqa: BLE001 - the boundary to the user's judge: kept as a fault
        if limit.expired() and isinstance(error, TimeoutError):
            return Failure(agent_id, source, LlmError(f"no score came within {timeout_s:g} s", retryable=True))
        return Failure(agent_id, source, error)
    return None if value is None else Score(agent_id, value, source)


async def _report(run: Run, failure: Failure, *, store: TraceStore | None, at: float) -> None:
    whose = "the workflow" if failure.agent_id is None else f"agent {failure.agent_id!r}"
    message = f"{failure.source!r} could not score the answer of {whose}: {told(failure.error)}"
    trace = None if isinstance(failure.error, AgentMeshError) else failure.error
    if store is None:
        logger.warning("run %r: %s", run.id, message, exc_info=trace)
    else:
        shown = trace if trace is None else store.traced(trace)
        logger.warning("run %r: %s", run.id, store.shown(message), exc_info=shown)
        fault = LearningFault(at=at, run_id=run.id, source=failure.source, message=message)
        await asyncio.to_thread(keep_fault, store, fault)
