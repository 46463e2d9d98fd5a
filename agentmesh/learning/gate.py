"""The quality gate: every score is recorded with its source, and this decides which of them teach.

Sources in order: a verifier decides by rule, a user knows what was wanted, a judge guesses. A score teaches nothing
about an answer that a better source has scored before it. A better source that comes later does teach; what the lesser
one taught stays, since the log of experiences is only ever added to and other processes may have learned from it
already. Its weight is what keeps it small: a judge's 1.0 at weight 0.5, put right by a user's 0.0 at weight 1, leaves
a mean of 1/3.
"""

from collections.abc import Iterable

from agentmesh.judging.sources import rank, source_kind
from agentmesh.learning.settings import Learning
from agentmesh.records import Feedback, Run
from agentmesh.types import AgentId


def is_undecided(feedback: Feedback, learning: Learning) -> bool:
    """Say whether a judge scored too close to the middle for the score to teach anything."""
    if learning.undecided is None or source_kind(feedback.source) != "judge":
        return False
    low, high = learning.undecided
    return low < feedback.score < high


def agents_taught(
    feedback: Feedback, agents: Iterable[AgentId], *, run: Run, earlier: Iterable[Feedback], learning: Learning
) -> tuple[AgentId, ...]:
    """Return those among ``agents``, whom a score is for, of whom it teaches something.

    Two sources that score at the same moment do not see one another, and both teach. An answer that a fork took over
    teaches where it was given, or was never given at all; here it teaches nothing.

    Args:
        feedback: The score.
        agents: Whom it is for.
        run: The run that is scored.
        earlier: The scores that the run has so far.
        learning: Which of a judge's scores are undecided.
    """
    if is_undecided(feedback, learning):
        return ()
    better = (other for other in earlier if rank(other.source) < rank(feedback.source))
    settled = {agent_id for other in better for agent_id in _scored(other, run)} | _taken_over(run)
    return tuple(agent_id for agent_id in agents if agent_id not in settled)


def _taken_over(run: Run) -> set[AgentId]:
    """Return the agents whose last answer was taken over from the run that this one was forked from."""
    own = {call.agent_id for call in run.calls[run.taken_over :]}
    return {call.agent_id for call in run.calls[: run.taken_over]} - own


def _scored(feedback: Feedback, run: Run) -> tuple[AgentId, ...]:
    return run.answered_by if feedback.agent_id is None else (feedback.agent_id,)
