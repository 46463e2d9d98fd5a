"""The checks of a mesh at work: before a call as a step that may refuse it, after it as a word on its answer."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from typing import Protocol, TypeAlias

from agentmesh.errors import ConfigError
from agentmesh.events import AnswerChecked, Event
from agentmesh.graphs.admission import Admission, Admitted, ProposedCall, Refusal
from agentmesh.graphs.limits import Budget
from agentmesh.graphs.log import RunLog, named
from agentmesh.judging.checks import AnswerCheck, CheckResult, FeasibilityCheck
from agentmesh.records import AgentCall, Task
from agentmesh.types import AgentId

Check: TypeAlias = FeasibilityCheck | AnswerCheck
Rejected: TypeAlias = Mapping[tuple[AgentId, int], str]
"""Why an answer did not pass, by its agent and wave."""


@dataclass(frozen=True, slots=True)
class Checked:
    """What one check, by name, found."""

    check: str
    result: CheckResult


class AnswerChecker(Protocol):
    """Checks the answer of a call: by the checks of a mesh, or out of a recording."""

    async def check(
        self, task: Task, call: AgentCall, *, budget: Budget, timeout_s: float | None, passed: Collection[str] = ()
    ) -> Sequence[Checked]:
        """Return what the checks found, up to the first that the answer did not pass; ``passed`` are not asked."""
        ...


class LiveChecker:
    """Asks the checks of a mesh in turn, each within the run's time and money."""

    def __init__(self, checks: Sequence[AnswerCheck]) -> None:
        """Keep the checks."""
        self._checks = tuple(checks)

    async def check(
        self, task: Task, call: AgentCall, *, budget: Budget, timeout_s: float | None, passed: Collection[str] = ()
    ) -> Sequence[Checked]:
        """Return what the checks found; one that fails itself lets the answer pass."""
        found: list[Checked] = []
        text = "" if call.answer is None else call.answer.text
        for check in [one for one in self._checks if one.name not in passed]:
            ask = _Question(partial(check.estimate_usd, task, text), partial(check.check, task, text))
            found.append(Checked(check.name, await _answered(check.name, ask, budget, timeout_s)))
            if not found[-1].result.passed:
                break
        return found


class FeasibilityStep:
    """Refuses calls of agents that cannot do the task now. It asks before the first attempt of each wave."""

    def __init__(self, checks: Sequence[FeasibilityCheck]) -> None:
        """Keep the checks."""
        self._checks = tuple(checks)

    async def admit(self, proposed: ProposedCall, log: RunLog) -> Admitted:
        """Return the task, or why this agent cannot do it; what speaks or costs is in the trace."""
        task, card = proposed.task, proposed.card
        for check in self._checks if proposed.attempt == 1 else ():
            known = log.earlier(AnswerChecked, card.id, proposed.wave, check.name, True)
            if known is not None:
                result = CheckResult(passed=known.passed, reason=known.reason)
            else:
                ask = _Question(partial(check.estimate_usd, task, card), partial(check.check, task, card))
                result = await _answered(check.name, ask, proposed.budget, proposed.timeout_s)
            if result.reason or result.cost_usd != 0:
                post(log, Checked(check.name, result), agent_id=card.id, wave=proposed.wave, before=True)
            if not result.passed:
                return Refusal(told_against(check.name, result.reason))
        return task


@dataclass(frozen=True, slots=True)
class Checks:
    """The checks that a mesh was given, by when they are asked."""

    before: tuple[FeasibilityCheck, ...] = ()
    after: tuple[AnswerCheck, ...] = ()

    @classmethod
    def of(cls, checks: Iterable[Check]) -> "Checks":
        """Sort checks.

        Raises:
            ConfigError: one of them is none.
        """
        given = tuple(checks)
        for check in given:
            if not isinstance(check, FeasibilityCheck | AnswerCheck):
                raise ConfigError(f"{check!r} is no check; accepted are FeasibilityCheck and AnswerCheck")
        return cls(
            tuple(check for check in given if isinstance(check, FeasibilityCheck)),
            tuple(check for check in given if isinstance(check, AnswerCheck)),
        )

    @property
    def admissions(self) -> tuple[Admission, ...]:
        """Return the step before a call, if there is anything to ask."""
        return (FeasibilityStep(self.before),) if self.before else ()

    @property
    def checker(self) -> AnswerChecker | None:
        """Return what checks answers, if anything does."""
        return LiveChecker(self.after) if self.after else None


def rejections(events: Iterable[Event]) -> Rejected:
    """Return which answers of a run did not pass, and why."""
    return {
        (event.agent_id, event.wave): told_against(event.check, event.reason)
        for event in events
        if isinstance(event, AnswerChecked) and not event.before and not event.passed
    }


def told_against(check: str, reason: str) -> str:
    """Return what is said of an agent or an answer that did not pass.

    >>> told_against("complete", "no date")
    "did not pass check 'complete': no date"
    """
    return f"did not pass check {check!r}" + (f": {reason}" if reason else "")


def post(log: RunLog, checked: Checked, *, agent_id: AgentId, wave: int, before: bool = False) -> None:
    """Put what a check found into the trace."""
    found = checked.result
    told = {"passed": found.passed, "reason": found.reason, "cost_usd": found.cost_usd}
    log.post(AnswerChecked, agent_id=agent_id, wave=wave, check=checked.check, before=before, **told)


@dataclass(frozen=True, slots=True)
class _Question:
    estimate: Callable[[], Decimal | None]
    ask: Callable[[], Awaitable[CheckResult]]


async def _answered(name: str, question: _Question, budget: Budget, timeout_s: float | None) -> CheckResult:
    """Ask one check within what is left; whatever becomes of it, nobody suffers but by its word."""
    scope = asyncio.timeout(timeout_s)
    try:
        estimate = question.estimate()
        refusal = budget.set_aside(estimate, f"check {name!r}")
        if refusal:
            return CheckResult(passed=True, reason=f"not asked: {refusal}")
        async with scope:
            result = _result(await question.ask())
    except Exception as error:  # noqa: BLE001 - the boundary to the user's checks: a broken one must not lose answers
        why = f"it did not end within {timeout_s:.3g} s" if scope.expired() else f"it raised {named(error)}"
        return CheckResult(passed=True, reason=why, cost_usd=None)
    budget.correct(estimate, result.cost_usd)
    return result


def _result(value: object) -> CheckResult:
    if isinstance(value, CheckResult):
        return value
    raise ConfigError(f"the check returned {repr(value)[:80]}; accepted is a CheckResult")
