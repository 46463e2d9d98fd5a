"""Picks three decisions worth reading, and puts them in words."""

from collections.abc import Sequence

from agentmesh.demo.records import Explained
from agentmesh.demo.stream import Answered
from agentmesh.records import RouteDecision

QUESTION_CHARACTERS = 200
CANDIDATES_SHOWN = 3  # whole decisions are a command away: agentmesh explain RUN


def three_decisions(answered: Sequence[Answered], best_single: str) -> tuple[Explained, ...]:
    """Explain the first decision, a late cheap one that was right, and the latest later one for the best single agent.

    A kind of decision that never came up is left out; agents drawn to explore need no explanation.

    Args:
        answered: All questions, in order.
        best_single: The agent that is best for everything, in hindsight.
    """
    late = answered[len(answered) // 2 :]
    right = [one for one in late if one.quality == 1.0 and one.agent_id != best_single and not _drawn(one)]
    dear = [one for one in answered[1:] if one.agent_id == best_single and not _drawn(one)]
    picked = {"The first decision, nothing learned yet": answered[0]}
    if right:
        picked["A cheap answer that was right"] = min(right, key=lambda one: (one.cost_usd, one.row))
    if dear:
        picked[f"The latest question worth {best_single}'s price"] = dear[-1]
    return tuple(_explained(title, one) for title, one in picked.items())


def _drawn(one: Answered) -> bool:
    """Say whether the agent was drawn to explore, which needs no explanation."""
    return one.run.decision is not None and one.run.decision.explored


def _explained(title: str, one: Answered) -> Explained:
    text = " ".join(one.run.task.text.split())
    question = text if len(text) <= QUESTION_CHARACTERS else text[: QUESTION_CHARACTERS - 3] + "..."
    decision = one.run.decision
    return Explained(
        run_id=one.run.id,
        title=title,
        question=question,
        words="" if decision is None else _words(decision),
        quality=one.quality,
        cost_usd=one.cost_usd,
    )


def _words(decision: RouteDecision) -> str:
    return decision.explain(most=CANDIDATES_SHOWN)
