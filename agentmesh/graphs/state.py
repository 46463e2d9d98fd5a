"""What passes between the nodes of a run, and what they all may use."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypedDict

from agentmesh.agents.refiner import Refiner
from agentmesh.graphs.admission import Admission
from agentmesh.graphs.allowance import PricedAsker
from agentmesh.graphs.calling import Caller
from agentmesh.graphs.checking import AnswerChecker
from agentmesh.graphs.equality import Equality, KeyEquality
from agentmesh.graphs.log import RunLog
from agentmesh.graphs.place import ALONE, Place
from agentmesh.graphs.pool import PoolSource
from agentmesh.graphs.scope import RunScope
from agentmesh.graphs.team import Team
from agentmesh.graphs.turns import Entry, Turns
from agentmesh.protocols import Embedder
from agentmesh.records import AgentCall, AgentCard, Limits, RouteDecision, Task
from agentmesh.routing.base import Router
from agentmesh.routing.pacing import Pace, SlidingPace
from agentmesh.routing.serving import ServingRouter
from agentmesh.types import AgentId, Clock


class RunState(TypedDict, total=False):
    """What the nodes hand on: the task, then the decision with the cards of those who may be called, then the calls.

    ``stand_ins`` are those who were not chosen and may act where nobody helped, the best first.
    """

    task: Task
    decision: RouteDecision
    cards: Mapping[AgentId, AgentCard]
    stand_ins: tuple[AgentId, ...]
    calls: tuple[AgentCall, ...]


@dataclass(frozen=True, slots=True)
class Services:
    """The live parts that every run of a mesh shares. The mesh owns their lifetimes.

    ``topic_weight`` is what the messages before weigh in the vector of a short one, 0 for nothing: a recorded vector
    has them in it. ``admissions`` are the steps before each call, in order, and ``turns`` says when it may begin.
    ``equality`` says which answers of a team are the same, and ``checker`` has a word on each answer. ``by_hand`` are
    the agents that somebody named in place of the router, and ``draw_seed`` is that of a recorded decision; without one
    the run's id gives it. ``owner`` is the lease under which the mesh is at work.
    """

    embedder: Embedder
    serving: ServingRouter
    refiner: Refiner
    caller: Caller
    clock: Clock
    pools: PoolSource
    mesh_seed: int = 0
    explore: float = 0.0
    asker: PricedAsker | None = None
    pace: Pace = field(default_factory=SlidingPace)
    fallback: AgentId | None = None
    topic_weight: float = 0.0
    team: Team | None = None
    admissions: tuple[Admission, ...] = ()
    equality: Equality = field(default_factory=KeyEquality)
    turns: Turns = field(default_factory=Turns)
    checker: AnswerChecker | None = None
    by_hand: tuple[AgentId, ...] = ()
    draw_seed: int | None = None
    owner: str = ""

    @property
    def router(self) -> Router:
        """Return the router that serves now. A decision asks once, since the next one may be another."""
        return self.serving.router


@dataclass(frozen=True, slots=True)
class RunContext:
    """What the nodes of one run use. ``deadline`` is on the clock's monotonic scale, ``None`` for no time limit.

    ``scope`` is the run as those see it that are started inside it, and holds its budget; ``entry`` is left once it is
    decided who acts.
    """

    services: Services
    log: RunLog
    limits: Limits
    max_agents: int
    deadline: float | None
    scope: RunScope
    entry: Entry = field(default_factory=Entry)
    place: Place = ALONE
