"""Approval by a person: by which rule a call waits for it, what is asked, and what was said."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from pydantic import Field

from agentmesh.frozen import Record
from agentmesh.money import Money, Usd
from agentmesh.types import AgentId

Verdict: TypeAlias = Literal["approve", "edit", "reject"]
CLOCK: Final = "clock"
"""Who rejects what nobody has approved in time."""


class Approval(Record):
    """A rule: calls that it fits wait until a person has approved them.

    Without conditions it fits every call; with several, all of them have to hold.

    Attributes:
        agents: The agents whose calls it fits, by id.
        flags: Fits calls of agents that have one of these policy flags.
        call_usd: Fits a call that is estimated to cost more than this, and one whose price is not known.
        run_usd: Fits a call with which the run would have cost more than this, and one whose price is not known.
        expires_s: Seconds after which a call that nobody has approved counts as rejected; ``None`` for never.
        reason: What the person who is asked is told, beside what is to be called.
    """

    agents: frozenset[AgentId] = frozenset()
    flags: frozenset[str] = frozenset()
    call_usd: Usd | None = None
    run_usd: Usd | None = None
    expires_s: float | None = Field(default=None, gt=0)
    reason: str = ""

    if TYPE_CHECKING:  # type checkers do not know that the validators take other sets, and floats and text for money

        def __init__(
            self,
            *,
            agents: Iterable[AgentId] = frozenset(),
            flags: Iterable[str] = frozenset(),
            call_usd: Money | None = None,
            run_usd: Money | None = None,
            expires_s: float | None = None,
            reason: str = "",
        ) -> None: ...


class ApprovalRequest(Record):
    """What a person is asked: may this agent be called with this text?

    ``estimate_usd`` is ``None`` when the price is unknown. ``expires_at`` is in Unix seconds.
    """

    agent_id: AgentId
    wave: int = Field(default=1, ge=1)
    text: str
    estimate_usd: Usd | None = None
    reason: str = ""
    expires_at: float | None = None


class ApprovalReply(Record):
    """What a person said. ``text`` is what the agent is asked instead, where the verdict is ``"edit"``."""

    agent_id: AgentId
    wave: int = Field(default=1, ge=1)
    verdict: Verdict
    by: str = ""
    text: str | None = None
    note: str = ""
