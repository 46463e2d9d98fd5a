"""Human approval before a call: which rule asks for it, what is asked, and what the answer makes of the call."""

from collections.abc import Sequence

from agentmesh.approvals import CLOCK, Approval, ApprovalReply, ApprovalRequest
from agentmesh.events import ApprovalGiven, Event
from agentmesh.graphs.admission import Admitted, Pause, ProposedCall, Refusal
from agentmesh.graphs.log import RunLog
from agentmesh.records import Task
from agentmesh.types import AgentId, Clock


class Approvals:
    """Has calls that a rule fits wait until a person has spoken; the first rule that fits says how long.

    What was said holds for one agent in one wave, and so for all its attempts there. One that stands in is called in
    a wave of its own, and asked about by itself.
    """

    def __init__(self, rules: Sequence[Approval], clock: Clock) -> None:
        """Ask by ``rules``, in order; without any, only what was said before counts."""
        self._rules = tuple(rules)
        self._clock = clock

    async def admit(self, proposed: ProposedCall, log: RunLog) -> Admitted:
        """Return the task, edited or not, a refusal where the call was rejected, or what a person has to be asked."""
        said = reply_to(log.events, proposed.card.id, proposed.wave)
        if said is not None:
            return admitted(proposed.task, said)
        rule = next((rule for rule in self._rules if fits(rule, proposed)), None)
        return proposed.task if rule is None else Pause(self._request(rule, proposed))

    def _request(self, rule: Approval, proposed: ProposedCall) -> ApprovalRequest:
        return ApprovalRequest(
            agent_id=proposed.card.id,
            wave=proposed.wave,
            text=proposed.task.text,
            estimate_usd=proposed.estimate_usd,
            reason=rule.reason,
            expires_at=None if rule.expires_s is None else self._clock.now() + rule.expires_s,
        )


def fits(rule: Approval, proposed: ProposedCall) -> bool:
    """Return whether all conditions of a rule hold for a call."""
    card, estimate = proposed.card, proposed.estimate_usd
    return (
        (not rule.agents or card.id in rule.agents)
        and (not rule.flags or not rule.flags.isdisjoint(card.policy_flags))
        and (rule.call_usd is None or estimate is None or estimate > rule.call_usd)
        and (rule.run_usd is None or estimate is None or proposed.committed_usd > rule.run_usd)
    )


def reply_to(events: Sequence[Event], agent_id: AgentId, wave: int) -> ApprovalReply | None:
    """Return what was said of the calls of an agent in a wave, ``None`` while nobody has spoken."""
    given = (event.reply for event in events if isinstance(event, ApprovalGiven))
    return next((reply for reply in given if (reply.agent_id, reply.wave) == (agent_id, wave)), None)


def admitted(task: Task, said: ApprovalReply) -> Task | Refusal:
    """Return what a person's word makes of a call: its task, another one, or that it is not made."""
    if said.verdict == "reject":
        return Refusal(refusal(said))
    return task if said.text is None else task.model_copy(update={"text": said.text})


def refusal(said: ApprovalReply) -> str:
    """Return why a rejected call is not made.

    >>> refusal(ApprovalReply(agent_id="buyer", verdict="reject", by="ann", note="too dear"))
    "rejected by 'ann': too dear"
    """
    if said.by == CLOCK:
        return "rejected by the clock: nobody approved it in time"
    return f"rejected by {repr(said.by) if said.by else 'a person'}" + (f": {said.note}" if said.note else "")
