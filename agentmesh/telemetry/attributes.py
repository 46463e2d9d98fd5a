"""What events say as attributes of spans, without a word that somebody wrote: names, numbers and kinds alone.

Names that begin with ``gen_ai.`` are those of OpenTelemetry's semantic conventions for generative AI; all others are
ours. Ids of agents, names of stages, checks and routers are the developer's, and are told.
"""

import math
import re
from collections.abc import Iterable
from decimal import Decimal
from typing import Final

from agentmesh.decisions import Candidate, Reasoning, RouteDecision
from agentmesh.events import (
    AnswerChecked,
    AnswerRefined,
    ContextSliced,
    FeedbackGiven,
    RunFinished,
    RunStarted,
    StageFinished,
    TaskPrepared,
    WaveStarted,
)
from agentmesh.records import AgentCall, ApprovalRequest, CallStatus, Task
from agentmesh.telemetry.spans import Attributes, AttributeValue, clean

OPERATION: Final = "gen_ai.operation.name"
PROVIDER: Final = {"gen_ai.provider.name": "agentmesh"}
ERROR_TYPE: Final = "error.type"
UNNAMED_ERROR: Final = "_OTHER"
"""What the conventions call an error that has no known kind."""

_KIND = re.compile(r"([A-Z]\w{0,80}(?:Error|Exception|Timeout|Interrupt))(?=: |$)", re.ASCII)


def error_type(error: str) -> str:
    """Return the kind of a recorded error, and nothing of what it says.

    >>> error_type("ValueError: 4111 is no account"), error_type("4111 is no account")
    ('ValueError', '_OTHER')
    """
    found = _KIND.match(error)
    return found.group() if found else UNNAMED_ERROR


def of_start(event: RunStarted) -> Attributes:
    """Say under what a run was started, and how large its task is."""
    told: dict[str, AttributeValue | None] = {
        OPERATION: "invoke_workflow",
        **PROVIDER,
        "agentmesh.run.router": event.router,
        "agentmesh.run.registry_version": event.registry_version,
        "agentmesh.run.embedder": event.embedder,
        "agentmesh.run.explore": event.explore,
        "agentmesh.run.parent": event.parent,
        "agentmesh.run.stage": event.stage,
        "agentmesh.run.workflow": event.workflow,
        "agentmesh.run.team": event.team,
    }
    return known(told) | _sizes(event.task)


def _sizes(task: Task) -> Attributes:
    return {
        "agentmesh.task.characters": len(task.text),
        "agentmesh.task.turns": len(task.turns),
        "agentmesh.task.context_items": len(task.context),
    }


def of_end(event: RunFinished) -> Attributes:
    """Say how a run ended."""
    return known(
        {
            "agentmesh.run.status": event.status.value,
            "agentmesh.run.cost_usd": dollars(event.cost_usd),
            "agentmesh.run.elapsed_s": event.elapsed_s,
        }
    )


def of_preparation(event: TaskPrepared) -> Attributes:
    """Say whom gates and preferences refused, and who was busy."""
    return {
        "agentmesh.prepare.refused": names(sorted(event.refused)),
        "agentmesh.prepare.busy": names(sorted(event.load)),
        "agentmesh.prepare.rules": len(event.rules),
        "agentmesh.prepare.faults": len(event.faults),
    }


def of_decision(decision: RouteDecision) -> Attributes:
    """Say who was chosen, over whom, how surely, and by chance or not."""
    told: dict[str, AttributeValue | None] = {
        "agentmesh.route.router": decision.router,
        "agentmesh.route.router_version": decision.router_version,
        "agentmesh.route.registry_version": decision.registry_version,
        "agentmesh.route.policy": decision.policy,
        "agentmesh.route.chosen": names(one.agent_id for one in decision.selected),
        "agentmesh.route.weights": tuple(one.weight for one in decision.selected),
        "agentmesh.route.margin": decision.margin,
        "agentmesh.route.threshold": decision.threshold,
        "agentmesh.route.propensity": math.exp(min(decision.log_propensity, 0.0)),
        "agentmesh.route.explored": decision.explored,
        "agentmesh.route.abstained": decision.abstained,
        "agentmesh.route.elapsed_ms": decision.elapsed_ms,
    }
    return known(told) | _of_candidates(decision.candidates) | _of_stages(decision)


def _of_candidates(candidates: tuple[Candidate, ...]) -> Attributes:
    """Return the readable candidates column by column; NaN stands for what is not known of one."""
    return {
        "agentmesh.route.candidates": names(one.agent_id for one in candidates),
        "agentmesh.route.scores": _numbers(one.score for one in candidates),
        "agentmesh.route.probabilities": _numbers(one.probability for one in candidates),
        "agentmesh.route.inclusions": _numbers(one.inclusion for one in candidates),
        "agentmesh.route.expected_qualities": _numbers(one.expected_quality for one in candidates),
        "agentmesh.route.expected_costs_usd": _numbers(one.expected_cost_usd for one in candidates),
    }


def _of_stages(decision: RouteDecision) -> Attributes:
    stages = decision.stages
    if not stages:
        return {}
    return {
        "agentmesh.route.stages": names(one.name for one in stages),
        "agentmesh.route.stage_confidences": _numbers(one.confidence for one in stages),
        "agentmesh.route.stage_thresholds": _numbers(one.threshold for one in stages),
        "agentmesh.route.decided_by": names(one.name for one in stages if one.decided),
    }


def of_reasoning(reasoning: Reasoning) -> Attributes:
    """Say which model a router asked, what it read and wrote in tokens, and what that cost."""
    return known(
        {
            OPERATION: "chat",
            **PROVIDER,
            "gen_ai.request.model": reasoning.model,
            "gen_ai.usage.input_tokens": reasoning.input_tokens,
            "gen_ai.usage.output_tokens": reasoning.output_tokens,
            "agentmesh.reasoning.cached": reasoning.cached,
            "agentmesh.reasoning.usable": not reasoning.fault,
            "agentmesh.cost_usd": dollars(reasoning.cost_usd),
        }
    )


def of_call(call: AgentCall) -> Attributes:
    """Say who was called, and how the call ended."""
    usage = None if call.answer is None else call.answer.usage
    return known(
        {
            **of_agent(call.agent_id, call.attempt, call.wave),
            "gen_ai.agent.version": str(call.agent_version),
            "gen_ai.usage.input_tokens": None if usage is None else usage.input_tokens,
            "gen_ai.usage.output_tokens": None if usage is None else usage.output_tokens,
            "agentmesh.call.status": call.status.value,
            "agentmesh.call.retryable": call.retryable,
            "agentmesh.call.latency_s": call.latency_s,
            "agentmesh.cost_usd": dollars(call.cost_usd),
            "agentmesh.call.nested_usd": dollars(call.nested_usd),
            ERROR_TYPE: call_error(call),
        }
    )


def of_agent(agent_id: str, attempt: int, wave: int) -> Attributes:
    """Say which attempt at which agent this is."""
    return {
        OPERATION: "invoke_agent",
        **PROVIDER,
        "gen_ai.agent.id": clean(agent_id),
        "gen_ai.agent.name": clean(agent_id),
        "agentmesh.call.attempt": attempt,
        "agentmesh.call.wave": wave,
    }


def call_error(call: AgentCall) -> str | None:
    """Return the kind of error that a call ended in, ``None`` where it went well."""
    if call.status is CallStatus.OK:
        return None
    return error_type(call.error or "") if call.status is CallStatus.FAILED else call.status.value


def of_wave(event: WaveStarted) -> Attributes:
    """Say whom a wave of a team asks."""
    return known(
        {
            "agentmesh.wave": event.wave,
            "agentmesh.wave.agents": names(event.agents),
            "agentmesh.wave.agreement": event.agreement,
        }
    )


def of_slice(event: ContextSliced) -> Attributes:
    """Say how much of the task's context an agent got."""
    return {
        "gen_ai.agent.id": clean(event.agent_id),
        "agentmesh.call.wave": event.wave,
        "agentmesh.context.budget_tokens": event.budget_tokens,
        "agentmesh.context.tokens": event.tokens,
        "agentmesh.context.full_tokens": event.full_tokens,
    }


def of_check(event: AnswerChecked) -> Attributes:
    """Say what a check found, as the conventions tell an evaluation."""
    return known(
        {
            "gen_ai.evaluation.name": event.check,
            "gen_ai.evaluation.score.value": float(event.passed),
            "gen_ai.evaluation.score.label": "pass" if event.passed else "fail",
            "gen_ai.agent.id": event.agent_id,
            "agentmesh.call.wave": event.wave,
            "agentmesh.check.before": event.before,
            "agentmesh.cost_usd": dollars(event.cost_usd),
        }
    )


def of_approval(request: ApprovalRequest) -> Attributes:
    """Say which call waits for a person, and what it is estimated to cost."""
    return known(
        {
            "gen_ai.agent.id": request.agent_id,
            "agentmesh.call.wave": request.wave,
            "agentmesh.approval.estimate_usd": dollars(request.estimate_usd),
        }
    )


def of_refining(event: AnswerRefined) -> Attributes:
    """Say who made one answer of several, of whose, and what that cost."""
    return known(
        {
            "agentmesh.refine.refiner": event.refiner,
            "agentmesh.refine.answered_by": names(event.answered_by),
            "agentmesh.refine.conflicts": len(event.conflicts),
            "agentmesh.refine.agreed": len(event.agreed),
            "agentmesh.refine.dropped": len(event.dropped),
            "agentmesh.cost_usd": dollars(event.cost_usd),
        }
    )


def of_stage(event: StageFinished) -> Attributes:
    """Say how a stage of a workflow ended."""
    result = event.result
    return known(
        {
            "agentmesh.stage.name": result.stage,
            "agentmesh.stage.part": result.part,
            "agentmesh.stage.run": result.run_id,
            "agentmesh.stage.status": "passed_over" if result.status is None else result.status.value,
            "agentmesh.cost_usd": dollars(event.cost_usd),
        }
    )


def of_feedback(event: FeedbackGiven) -> Attributes:
    """Say what an answer was worth to whom, as the conventions tell an evaluation."""
    return known(
        {
            "gen_ai.evaluation.name": event.feedback.source,
            "gen_ai.evaluation.score.value": event.feedback.score,
            "gen_ai.agent.id": event.feedback.agent_id,
        }
    )


def known(told: dict[str, AttributeValue | None]) -> Attributes:
    """Return the attributes that have a value; text that is empty has none."""
    return {
        name: clean(value) if isinstance(value, str) else value
        for name, value in told.items()
        if value is not None and value != ""
    }


def names(given: Iterable[str]) -> tuple[str, ...]:
    """Return names as the value of an attribute."""
    return tuple(clean(name) for name in given)


def dollars(cost_usd: Decimal | None) -> float | None:
    """Return money as the number of an attribute, ``None`` where it is unknown."""
    return None if cost_usd is None else float(cost_usd)


def _numbers(given: Iterable[float | None]) -> tuple[float, ...]:
    return tuple(math.nan if number is None else float(number) for number in given)
