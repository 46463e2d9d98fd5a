"""What a run may still spend: limits, estimated prices, and a budget that a call must fit before it is made."""

from decimal import Decimal

from agentmesh.agents.pricing import call_cost_usd
from agentmesh.money import Reserved
from agentmesh.records import AgentCall, AgentCard, Answer, CallStatus, Limits, Task, Usage

ASSUMED_OUTPUT_TOKENS = 300
"""Output tokens of an answer nobody has seen yet: the recorded MMLU-Pro answers average close to it."""

DEFAULT_LIMITS = Limits(call_timeout_s=300.0)
"""An agent that hangs must not hang its caller for ever; everything else is the user's to limit."""

WITH_REFINER = 3
"""Agents that answer when a refining agent merges and ``max_agents`` is not given."""

CHARACTERS_PER_TOKEN = 4
"""English text in common tokenizers; used only to estimate tokens and a price before a call."""


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


def estimate_usage(task: Task, *, context_tokens: int | None = None) -> Usage:
    """Estimate the tokens that one call will read and write.

    Args:
        task: What is asked.
        context_tokens: What an agent gets of the task's context at most; ``None`` for all of it.

    >>> estimate_usage(Task(text="What is 12 * 7?")).input_tokens
    4
    """
    context = sum(len(item.text) for item in task.context) // CHARACTERS_PER_TOKEN
    read = len(task.text) // CHARACTERS_PER_TOKEN + 1
    read += context if context_tokens is None else min(context, context_tokens)
    return Usage(input_tokens=read, output_tokens=ASSUMED_OUTPUT_TOKENS)


def estimate_usd(card: AgentCard, task: Task, *, context_tokens: int | None = None) -> Decimal | None:
    """Estimate what one call of this agent will cost, in US dollars; ``None`` when its price is unknown."""
    return call_cost_usd(card, Answer(text="", usage=estimate_usage(task, context_tokens=context_tokens)))


def actual_usd(card: AgentCard, answer: Answer | None) -> Decimal | None:
    """Return what a call cost, ``None`` when it is unknown.

    A call without an answer may have been charged: it costs its price per call, and is unknown if tokens are charged.
    """
    return call_cost_usd(card, answer if answer is not None else Answer(text=""))


class Budget:
    """The money, the tokens and the calls that a run has left.

    A call reserves its estimate first and settles afterwards. What a run inside another one spends comes out of both,
    so that several of them cannot spend together what each of them alone could.

    Args:
        limits: What the run may use.
        spent: What was spent before the first call, in US dollars.
        outer: The budget of the run that started this one.
    """

    def __init__(self, limits: Limits, *, spent: Decimal = Decimal(0), outer: "Budget | None" = None) -> None:
        self._limits = limits
        self._usd = Decimal(0)
        self._tokens = 0
        self._calls = 0
        self._all: tuple[Budget, ...] = (self, *(() if outer is None else outer._all))
        self.charge(spent)

    @property
    def committed_usd(self) -> Decimal:
        """Return what is spent and set aside, in US dollars."""
        return self._usd

    @property
    def committed_tokens(self) -> int:
        """Return the tokens that were used and are set aside."""
        return self._tokens

    def charge(self, usd: Decimal | None) -> None:
        """Take off what something beside the calls has cost; ``None`` is unknown, and takes off nothing."""
        if usd:
            self._add(usd)

    def reserve(self, card: AgentCard, task: Task) -> Reserved:
        """Set aside the estimate of one call; where it does not fit, nothing, and say why."""
        most = self._limits.context_tokens
        usd = estimate_usd(card, task, context_tokens=most)
        usage = estimate_usage(task, context_tokens=most)
        tokens = usage.input_tokens + usage.output_tokens
        for budget in self._all:
            refusal = budget._refusal(card, usd, tokens)
            if refusal is not None:
                whose = "" if budget is self else "in the run that this one is part of, "
                return Reserved(refusal=whose + refusal)
        reserved = Reserved(usd or Decimal(0), tokens)
        self._add(reserved.usd, tokens, calls=1)
        return reserved

    def settle(self, reserved: Reserved, call: AgentCall) -> None:
        """Replace what was set aside for a call by what it took, whatever price it was estimated by.

        A cost or a number of tokens that is not known stays at the estimate. What the runs cost that the agent started
        has been taken off by them. A call that was not made gives everything back.
        """
        if call.status is CallStatus.REFUSED:
            self.release(reserved)
            return
        usage = None if call.answer is None else call.answer.usage
        tokens = reserved.tokens if usage is None else usage.input_tokens + usage.output_tokens
        usd = reserved.usd
        if call.cost_usd is not None and call.nested_usd is not None:
            usd = call.cost_usd - call.nested_usd
        self._add(usd - reserved.usd, tokens - reserved.tokens)

    def release(self, reserved: Reserved) -> None:
        """Give back what was set aside for a call that is not made."""
        if reserved.refusal is None:
            self._add(-reserved.usd, -reserved.tokens, calls=-1)

    def _add(self, usd: Decimal, tokens: int = 0, *, calls: int = 0) -> None:
        for budget in self._all:
            budget._usd += usd
            budget._tokens += tokens
            budget._calls += calls

    def _refusal(self, card: AgentCard, usd: Decimal | None, tokens: int) -> str | None:
        limits = self._limits
        if limits.max_calls is not None and self._calls >= limits.max_calls:
            return f"the limit of {limits.max_calls} calls is reached"
        if limits.max_tokens is not None and tokens > (left := limits.max_tokens - self._tokens):
            return f"agent {card.id!r} is estimated at {tokens} tokens and {max(left, 0)} are left"
        if limits.cost_usd is None:
            return None
        if usd is None:
            if limits.allow_unknown_price:
                return None
            return (
                f"agent {card.id!r} has no price, so it may not fit the limit of {limits.cost_usd} USD; "
                "give it one, or set allow_unknown_price"
            )
        if usd > (money := limits.cost_usd - self._usd):
            return f"agent {card.id!r} is estimated at {usd:f} USD and {max(money, Decimal(0)):f} USD are left"
        return None
