"""Scores the answers of finished runs by the mesh's verifiers and its judge, after the run, off its path."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from agentmesh.errors import LlmError
from agentmesh.protocols import Judge, Verifier
from agentmesh.records import CallStatus, Run
from agentmesh.types import AgentId


@dataclass(frozen=True, slots=True)
class Score:
    """What one answer was found to be worth, 0 to 1, and by whom."""

    agent_id: AgentId
    value: float
    source: str


async def score_answers(run: Run, verifiers: Sequence[Verifier], judge: Judge | None) -> AsyncIterator[Score]:
    """Yield a score for each answer of ``run`` that somebody can score.

    Verifiers are asked first, in order, and the first that has something to say settles it; only then the judge. An
    answer that nobody can score yields nothing; neither does one on which the judge's endpoint failed.
    """
    for call in run.calls:
        if call.status is not CallStatus.OK or call.answer is None:
            continue
        score = verified(run, call.agent_id, call.answer.text, verifiers)
        if score is None and judge is not None:
            score = await _judged(run, call.agent_id, call.answer.text, judge)
        if score is not None:
            yield score


def verified(run: Run, agent_id: AgentId, answer: str, verifiers: Sequence[Verifier]) -> Score | None:
    """Return the first verifier's score of an answer, ``None`` when none has anything to say."""
    for verifier in verifiers:
        value = verifier.verify(run.task, answer)
        if value is not None:
            return Score(agent_id, value, f"verifier:{verifier.name}")
    return None


async def _judged(run: Run, agent_id: AgentId, answer: str, judge: Judge) -> Score | None:
    try:
        value = await judge.judge(run.task, answer)
    except LlmError:
        return None
    return None if value is None else Score(agent_id, value, f"judge:{judge.name}")
