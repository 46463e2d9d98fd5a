"""What stands before a call: each step may let it pass, change its task, refuse it, or have it wait for a person."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Protocol, TypeAlias

from agentmesh.approvals import ApprovalRequest
from agentmesh.graphs.limits import Budget
from agentmesh.graphs.log import RunLog
from agentmesh.records import AgentCard, Limits, Task


@dataclass(frozen=True, slots=True)
class ProposedCall:
    """A call that is about to be made, its price reserved.

    ``estimate_usd`` is ``None`` when the price is unknown; ``committed_usd`` is what the run has spent and set aside,
    this call included. A step that costs something itself takes it from ``budget``, and ends within ``timeout_s``.
    """

    card: AgentCard
    task: Task
    attempt: int
    wave: int
    limits: Limits
    estimate_usd: Decimal | None
    committed_usd: Decimal
    budget: Budget
    timeout_s: float | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """The call is not made; the trace holds it as refused, for this reason."""

    reason: str


@dataclass(frozen=True, slots=True)
class Pause:
    """The call waits for a person, who is asked this once the rest of its wave has been called.

    Until then nobody may answer: who does writes into the log of a run that nothing else writes to.
    """

    request: ApprovalRequest


Admitted: TypeAlias = Task | Refusal | Pause
"""The task as the agent gets it, or why it gets none."""


class Admission(Protocol):
    """One step before a call."""

    async def admit(self, proposed: ProposedCall, log: RunLog) -> Admitted:
        """Return the task for the agent, changed or not, or what keeps it from being called."""
        ...


class RunPaused(Exception):
    """A run can do nothing more until a person has spoken."""


async def admit(steps: Sequence[Admission], proposed: ProposedCall, log: RunLog) -> Admitted:
    """Take a call through all steps, in order, until one keeps it from being made."""
    task = proposed.task
    for step in steps:
        admitted = await step.admit(proposed, log)
        if not isinstance(admitted, Task):
            return admitted
        if admitted is not task:
            task = admitted
            proposed = replace(proposed, task=task)
    return task
