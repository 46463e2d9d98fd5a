"""What a run may still spend: limits, estimated prices, and a budget that a call must fit before it is made."""

from decimal import Decimal

from agentmesh.agents.pricing import call_cost_usd
from agentmesh.records import AgentCall, AgentCard, Answer, Limits, Task, Usage

ASSUMED_OUTPUT_TOKENS = 300
"""Output tokens of an answer nobody has seen yet: the recorded MMLU-Pro answers average close to it."""

DEFAULT_LIMITS = Limits(call_timeout_s=300.0)
"""An agent that hangs must not hang its caller for ever; everything else is the user's to limit."""

WITH_REFINER = 3
"""Agents that answer when a refining agent merges and ``max_agents`` is not given."""

CHARACTERS_PER_TOKEN = 4
"""English text in common tokenizers; used only to estimate a price before a call."""


def overlay(base: Limits, override: Limits | None) -> Limits:
    """Return ``base`` with the fields that were set on ``override``.

    >>> overlay(Limits(retries=2), Limits(max_agents=3)).retries
    2
    """
    if override is None:
        return base
    return base.model_copy(update={name: getattr(override, name) for name in override.model_fields_set})


def with_agents(limits: Limits, *, refined: bool, most: int | None) -> Limits:
    """Return ``limits`` with as many agents as are usual, unless they say how many: ``most`` are what a team may ask.

    >>> with_agents(Limits(), refined=False, most=5).max_agents
    5
    """
    if limits.max_agents is not None:
        return limits
    return limits.model_copy(update={"max_agents": most or (WITH_REFINER if refined else 1)})


def input_tokens(task: Task, *, context_tokens: int | None = None) -> int:
    """Estimate what an agent reads of a task: its text, and of its context at most ``context_tokens``.

    >>> from agentmesh.records import ContextItem
    >>> input_tokens(Task(text="Who?", context=(ContextItem(key="a", text="x" * 400),)), context_tokens=50)
    52
    """
    context = -(-sum(len(item.text) for item in task.context) // CHARACTERS_PER_TOKEN)
    allowed = context if context_tokens is None else min(context, context_tokens)
    return len(task.text) // CHARACTERS_PER_TOKEN + 1 + allowed


def estimate_usd(card: AgentCard, task: Task, *, context_tokens: int | None = None) -> Decimal | None:
    """Estimate what one call of this agent will cost, in US dollars; ``None`` when its price is unknown.

    Of the task's context it reads at most ``context_tokens``.
    """
    read = input_tokens(task, context_tokens=context_tokens)
    return call_cost_usd(card, Answer(text="", usage=Usage(input_tokens=read, output_tokens=ASSUMED_OUTPUT_TOKENS)))


def actual_usd(card: AgentCard, answer: Answer | None) -> Decimal | None:
    """Return what a call cost, ``None`` when it is unknown.

    A call without an answer may have been charged: it costs its price per call, and is unknown if tokens are charged.
    """
    return call_cost_usd(card, answer if answer is not None else Answer(text=""))


class Budget:
    """The money and the calls that a run has left. A call reserves its estimate first and settles afterwards."""

    def __init__(self, limits: Limits, *, spent: Decimal = Decimal(0)) -> None:
        """Start with everything that ``limits`` allows, less what was ``spent`` before the first call."""
        self._limits = limits
        self._committed = spent
        self._calls = 0

    @property
    def committed_usd(self) -> Decimal:
        """Return what is spent and set aside, in US dollars."""
        return self._committed

    def reserve(self, card: AgentCard, task: Task) -> tuple[Decimal, str | None]:
        """Set aside the estimate of one call.

        Returns:
            The sum set aside and, when the call does not fit, the reason why not (then nothing is set aside).
        """
        refusal = self._refusal(card, task)
        if refusal is not None:
            return Decimal(0), refusal
        estimate = estimate_usd(card, task, context_tokens=self._limits.context_tokens) or Decimal(0)
        self._committed += estimate
        self._calls += 1
        return estimate, None

    def settle(self, estimate: Decimal, call: AgentCall) -> None:
        """Replace what was set aside for a call by what it cost; an unknown cost stays at the estimate."""
        if call.cost_usd is not None:
            self._committed += call.cost_usd - estimate

    def _refusal(self, card: AgentCard, task: Task) -> str | None:
        limits = self._limits
        if limits.max_calls is not None and self._calls >= limits.max_calls:
            return f"the limit of {limits.max_calls} calls is reached"
        if limits.cost_usd is None:
            return None
        estimate = estimate_usd(card, task, context_tokens=limits.context_tokens)
        if estimate is None:
            if limits.allow_unknown_price:
                return None
            return (
                f"agent {card.id!r} has no price, so it may not fit the limit of {limits.cost_usd} USD; "
                "give it one, or set allow_unknown_price"
            )
        left = limits.cost_usd - self._committed
        if estimate > left:
            return f"agent {card.id!r} is estimated at {estimate:f} USD and {max(left, Decimal(0)):f} USD are left"
        return None
