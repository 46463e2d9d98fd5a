"""Checks around a call: whether an agent can do a task with what is there, and whether its answer does what was asked.

Both kinds are handed to a mesh together. A check that fails itself, or takes too long, keeps nobody from acting and
costs no answer: it counts as passed, and the trace says what went wrong.
"""

import asyncio
import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping
from decimal import Decimal

from pydantic import Field

from agentmesh.errors import ConfigError
from agentmesh.judging.score import checked_score
from agentmesh.llm.quoting import unfence
from agentmesh.protocols import Verifier
from agentmesh.records import AgentCard, Record, Task, Usd
from agentmesh.types import JsonValue


class CheckResult(Record):
    """What a check found. ``cost_usd`` is what the check itself cost, ``None`` if unknown."""

    passed: bool
    reason: str = ""
    cost_usd: Usd | None = Field(default=Decimal(0))


PASSED = CheckResult(passed=True)


class FeasibilityCheck(ABC):
    """Says before a call whether an agent can do the task now. Subclass it, name it, and write ``check``.

    An agent that does not pass is not called; its call is recorded as refused, with the reason.
    """

    name: str

    @abstractmethod
    async def check(self, task: Task, card: AgentCard) -> CheckResult:
        """Return whether this agent can do the task with what is there."""

    def estimate_usd(self, task: Task, card: AgentCard) -> Decimal | None:  # noqa: ARG002 - for those that cost
        """Return what this check will cost at most, in US dollars; ``None`` when the price is unknown."""
        return Decimal(0)


class AnswerCheck(ABC):
    """Says after a call whether the answer does what was asked. Subclass it, name it, and write ``check``.

    An answer that does not pass has no vote and is not refined. Where none passed, the next best agent stands in, as
    often as ``Limits.replans`` says.
    """

    name: str

    @abstractmethod
    async def check(self, task: Task, answer: str) -> CheckResult:
        """Return whether this answer does what the task asks."""

    def estimate_usd(self, task: Task, answer: str) -> Decimal | None:  # noqa: ARG002 - for those that cost
        """Return what this check will cost at most, in US dollars; ``None`` when the price is unknown."""
        return Decimal(0)


class InputsFeasibility(FeasibilityCheck):
    """An agent needs certain inputs of a task before it can work on it.

    >>> check = InputsFeasibility({"translation": ["language"]})
    >>> card = AgentCard(id="ann", description="Translates.", skills=("translation",))
    >>> asyncio.run(check.check(Task(text="Translate 'sea'."), card)).reason
    "the task has no input 'language'"

    Args:
        required: The names of the inputs, by the id of an agent or by a skill. They must be there and not be empty.
        name: The name under which it is recorded.
    """

    def __init__(self, required: Mapping[str, Collection[str]], *, name: str = "inputs") -> None:
        self.name = name
        self._required = {owner: tuple(names) for owner, names in required.items()}

    async def check(self, task: Task, card: AgentCard) -> CheckResult:
        """Return whether all inputs are there that this agent or one of its skills needs."""
        wanted = [name for owner in (card.id, *card.skills) for name in self._required.get(owner, ())]
        missing = [name for name in dict.fromkeys(wanted) if _is_empty(task.inputs.get(name))]
        if not missing:
            return PASSED
        return CheckResult(passed=False, reason=f"the task has no input {', '.join(map(repr, missing))}")


class CallableFeasibility(FeasibilityCheck):
    """Asks a function why an agent cannot do a task now; it says ``None`` or "" when the agent can.

    Args:
        why_not: The function. It must return at once.
        name: The name under which it is recorded.
    """

    def __init__(self, why_not: Callable[[Task, AgentCard], str | None], *, name: str) -> None:
        self.name = name
        self._why_not = why_not

    async def check(self, task: Task, card: AgentCard) -> CheckResult:
        """Return what the function says."""
        return _from_reason(self._why_not(task, card))


class CallableCheck(AnswerCheck):
    """Asks a function why an answer will not do; it says ``None`` or "" when the answer does.

    >>> check = CallableCheck(lambda task, answer: "too long" if len(answer) > 9 else None, name="short")
    >>> asyncio.run(check.check(Task(text="?"), "a long answer"))
    CheckResult(passed=False, reason='too long', cost_usd=Decimal('0'))

    Args:
        why_not: The function. It must return at once.
        name: The name under which it is recorded.
    """

    def __init__(self, why_not: Callable[[Task, str], str | None], *, name: str) -> None:
        self.name = name
        self._why_not = why_not

    async def check(self, task: Task, answer: str) -> CheckResult:
        """Return what the function says."""
        return _from_reason(self._why_not(task, answer))


class VerifierCheck(AnswerCheck):
    """Lets an answer pass that a verifier scores high enough; one that it has nothing to say on passes.

    Args:
        verifier: The verifier. It is asked in a worker thread.
        at_least: The score that an answer needs, above 0 up to 1.

    Raises:
        ConfigError: ``at_least`` is no such score.
    """

    def __init__(self, verifier: Verifier, *, at_least: float = 1.0) -> None:
        if not 0 < at_least <= 1:
            raise ConfigError(f"at_least is {at_least!r}; give a score above 0, up to 1")
        self.name = verifier.name
        self._verifier, self._at_least = verifier, at_least

    async def check(self, task: Task, answer: str) -> CheckResult:
        """Return whether the score is high enough.

        Raises:
            ConfigError: the verifier returned something that is no score.
        """
        given = await asyncio.to_thread(self._verifier.verify, task, answer)
        score = checked_score(given, f"verifier {self.name!r}", takes_bool=True)
        if score is None or score >= self._at_least:
            return PASSED
        return CheckResult(passed=False, reason=f"it scores {score:.3g}; {self._at_least:.3g} is needed")


class FieldsCheck(AnswerCheck):
    """Lets an answer pass that is a JSON object with all the fields that are needed, none of them empty.

    >>> asyncio.run(FieldsCheck(["title", "year"]).check(Task(text="?"), '{"title": ""}')).reason
    "it has nothing in 'title', 'year'"

    Args:
        fields: The names of the fields.
        name: The name under which it is recorded.
    """

    def __init__(self, fields: Collection[str], *, name: str = "fields") -> None:
        self.name = name
        self._fields = tuple(fields)

    async def check(self, task: Task, answer: str) -> CheckResult:  # noqa: ARG002 - the fields are the same for all tasks
        """Return whether the fields are there."""
        try:
            value: JsonValue = json.loads(unfence(answer))
        except (ValueError, RecursionError):
            value = None
        if not isinstance(value, dict):
            return CheckResult(passed=False, reason="it is no JSON object")
        missing = [name for name in self._fields if _is_empty(value.get(name))]
        if not missing:
            return PASSED
        return CheckResult(passed=False, reason=f"it has nothing in {', '.join(map(repr, missing))}")


def _is_empty(value: JsonValue) -> bool:
    return value is None or (isinstance(value, str | list | dict) and not value)


def _from_reason(reason: str | None) -> CheckResult:
    return CheckResult(passed=False, reason=reason) if reason else PASSED
