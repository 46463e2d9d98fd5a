"""Runs in which every text is a stranger's: whatever could steer a terminal, and letters of every width."""

import numpy as np

from agentmesh.approvals import ApprovalRequest
from agentmesh.contexts import SlicedItem
from agentmesh.decisions import Candidate, Evidence, RouteDecision, Selection
from agentmesh.events import AnswerChecked, ApprovalAsked, CallFinished, CallStarted, ContextSliced, WaveStarted
from agentmesh.packing import pack_floats
from agentmesh.records import AgentCall, AgentCard, Answer, Conflict, Dropped, Position, RegistrySnapshot
from agentmesh.store import TraceStore, open_store
from tests.tui.story import Telling

STRANGE = (
    "\x1b]52;c;aGk=\x07\x1b[2J\x1bP+q\x1b\\\x9b31m\x9d0;t\x9c\u202eabc\u2066\u200bb\ufeff\x08\r\n\t"
    "שלום العربية 日本語 👩‍🚀👨‍👩‍👧‍👦 e\u0301\u0302\ud800 [/red] [b]x[/b] \x00\x7f [@click=app.quit]no[/]"
)  # fmt: skip
AGENTS = ("A" + STRANGE, "B" + STRANGE)


def strange_decision() -> RouteDecision:
    """Return a decision for the first of the two."""
    candidates = tuple(
        Candidate(
            agent_id=agent_id, score=score, probability=0.5, inclusion=0.5, expected_quality=score, flip=0.1,
            factors={STRANGE: 1.0},
        )
        for agent_id, score in zip(AGENTS, (0.9, 0.4), strict=True)
    )  # fmt: skip
    halves = pack_floats(np.array([0.5, 0.5]))
    return RouteDecision(
        router="pheromone", router_version="0123456789ab@7", registry_version="story", seed=1, reason=STRANGE,
        selected=(Selection(agent_id=AGENTS[0], weight=1.0),), candidates=candidates, scores=halves,
        probabilities=halves, margin=0.5, intent={STRANGE: 0.7},
        evidence=(Evidence(kind="task", name=STRANGE, weight=0.3, quality=1.0, text=STRANGE),),
    )  # fmt: skip


def strange_store(url: str | None = None) -> TraceStore:
    """Return a store with a run that ended ("told") and one that waits ("waits")."""
    store = open_store(url)
    cards = tuple(
        AgentCard(id=agent_id, description=STRANGE, skills=(STRANGE,), group=STRANGE, examples=(STRANGE,))
        for agent_id in AGENTS
    )
    store.put_registry(RegistrySnapshot(version="story", cards=cards, embedder="hashing"))
    told = Telling("told").start(STRANGE).decide(strange_decision())
    told.tell(WaveStarted, wave=1, agents=AGENTS, reason=STRANGE)
    item = SlicedItem(key=STRANGE, tokens=40, score=0.9, kept=True, why=STRANGE)
    told.tell(ContextSliced, agent_id=AGENTS[0], budget_tokens=50, tokens=40, full_tokens=90, items=(item,))
    for agent_id, ended in ((AGENTS[0], {"status": "ok", "answer": Answer(text=STRANGE)}),
                            (AGENTS[1], {"status": "failed", "error": STRANGE})):  # fmt: skip
        told.tell(CallStarted, agent_id=agent_id, wave=1)
        told.tell(CallFinished, call=AgentCall(agent_id=agent_id, wave=1, latency_s=0.1, cost_usd="0.1", **ended))
    told.tell(AnswerChecked, agent_id=AGENTS[0], wave=1, check=STRANGE, passed=False, reason=STRANGE)
    positions = tuple(Position(text=STRANGE, agents=(agent_id,), weight=0.5) for agent_id in AGENTS)
    conflict = Conflict(explanation=STRANGE, positions=positions)
    dropped = (Dropped(agent_id=AGENTS[1], text=STRANGE, why=STRANGE),)
    told.end(STRANGE, "0.2", AGENTS[0], conflicts=(conflict,), dropped=dropped, agreed=(STRANGE,))
    waits = Telling("waits", 6.0).start(STRANGE).decide(strange_decision())
    request = ApprovalRequest(agent_id=AGENTS[0], text=STRANGE, estimate_usd="0.1", reason=STRANGE)
    waits.tell(ApprovalAsked, request=request)
    for telling in (told, waits):
        store.append(telling.events)
    return store
