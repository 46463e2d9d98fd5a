"""The seam of every router: what it is shown, what it returns, how it learns, how its state is kept.

A router sees vectors, arrays and cards; never the registry, the store or the network. Given the same features, pool,
context and state it returns the same decision, also in another process, whatever was decided before: it keeps no
counter and draws all chance from ``context.seed``.
"""

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from typing import ClassVar

from agentmesh.records import AgentCard, Experience, Objective, RouteDecision, RouterState, Turn
from agentmesh.types import AgentId, FloatArray, IndexArray, JsonValue, MaskArray, VectorArray


@dataclass(frozen=True, slots=True)
class TaskFeatures:
    """What a router may know of a task. Gold answers and the task's own outcomes are not among it.

    Shapes:
        vector: (d,) float32, length 1, or zeros when no token was known.
    """

    vector: VectorArray
    text: str
    entities: tuple[str, ...] = ()
    type_hints: tuple[str, ...] = ()
    stage: int = 0
    turns: tuple[Turn, ...] = ()


@dataclass(frozen=True, slots=True)
class AgentPool:
    """The registered agents as arrays, built once for each registry version.

    Shapes:
        vectors: (n, d) float32, the unit embeddings of the cards.
        price_per_call, price_in_per_m, price_out_per_m: (n,) US dollars, NaN where unknown.
        latency_s: (n,) declared seconds, NaN where unknown.
        versions: (n,) int64, the card versions.
        mask: (n,) True where the agent passes the task's hard gates.
    """

    ids: tuple[AgentId, ...]
    vectors: VectorArray
    price_per_call: FloatArray
    price_in_per_m: FloatArray
    price_out_per_m: FloatArray
    latency_s: FloatArray
    versions: IndexArray
    mask: MaskArray
    registry_version: str
    cards: tuple[AgentCard, ...] = ()
    refused: Mapping[AgentId, str] = field(default_factory=dict)
    index: Mapping[AgentId, int] = field(default_factory=dict)

    def __len__(self) -> int:
        """Return the number of agents, gated ones included."""
        return len(self.ids)

    def gated(self, refused: Mapping[AgentId, str]) -> "AgentPool":
        """Return this pool with the agents in ``refused`` (agent -> gate) masked out."""
        if not refused:
            return self
        mask = self.mask.copy()
        mask[[self.index[agent_id] for agent_id in refused]] = False
        return replace(self, mask=mask, refused={**self.refused, **refused})


@dataclass(frozen=True, slots=True)
class RouteContext:
    """How this decision is to be made.

    ``max_agents`` is the most agents to select; ``explore`` the chance, 0 to 1, that a pick is drawn at random from
    the gated agents; ``top`` how many readable candidates the decision carries.
    """

    seed: int
    max_agents: int = 1
    objective: Objective = field(default_factory=Objective)
    explore: float = 0.0
    top: int = 8


@dataclass(frozen=True, slots=True)
class Outcomes:
    """A table of past outcomes to fit a router on.

    Shapes:
        vectors: (m, d) float32 task embeddings; ``texts`` the m texts, ``groups`` the m group names ("" = unknown).
        quality: (m, n) 0 to 1, NaN where the agent was not observed on the task.
        cost: (m, n) US dollars, NaN where unknown.
    """

    agent_ids: tuple[AgentId, ...]
    vectors: VectorArray
    texts: tuple[str, ...]
    groups: tuple[str, ...]
    quality: FloatArray
    cost: FloatArray

    def __len__(self) -> int:
        """Return the number of tasks."""
        return len(self.texts)


class Router(ABC):
    """Decides which agents act on a task, and learns from what came of it."""

    name: ClassVar[str]

    @abstractmethod
    async def route(self, features: TaskFeatures, pool: AgentPool, context: RouteContext) -> RouteDecision:
        """Select up to ``context.max_agents`` agents of ``pool``.

        An abstaining decision (``abstained`` set, nothing selected) says that nobody fits.

        Raises:
            NoCandidateError: the mask of ``pool`` is False everywhere.
        """

    @abstractmethod
    def learn(self, experience: Experience) -> None:
        """Take in one outcome. Its ``sequence`` becomes the state's; they arrive in order, each once."""

    @abstractmethod
    def snapshot(self) -> RouterState:
        """Return the whole state; :meth:`restore` on a fresh router of the same parameters brings it back bit for bit."""

    @abstractmethod
    def restore(self, state: RouterState) -> None:
        """Take over ``state``, its base included.

        Raises:
            ConfigError: the state is of another router or of other parameters.
        """

    @property
    @abstractmethod
    def parameters(self) -> Mapping[str, JsonValue]:
        """Return the arguments this router was built with, JSON-able: ``type(router)(**parameters)`` builds its twin."""

    @property
    @abstractmethod
    def sequence(self) -> int:
        """Return the number of the last experience learned, 0 at the start."""

    @property
    def base(self) -> str:
        """Return a fingerprint of the outcomes this router was fitted on in one go, "" when it was not."""
        return ""

    @property
    def parameters_hash(self) -> str:
        """Return 12 hexadecimal digits that name the parameters and, when it was fitted, what it was fitted on."""
        return hash_parameters(self.name, self.parameters, self.base)

    @property
    def version(self) -> str:
        """Return what a decision names: ``<parameters hash>@<last experience>``."""
        return f"{self.parameters_hash}@{self.sequence}"


def hash_parameters(name: str, parameters: Mapping[str, JsonValue], base: str = "") -> str:
    """Return 12 hexadecimal digits that name a router's parameters and the base it was fitted on.

    >>> hash_parameters("random", {})
    '8cbf35509507'
    """
    text = json.dumps([name, parameters, base], sort_keys=True, separators=(",", ":"))
    return blake2b(text.encode(), digest_size=6).hexdigest()


def index_of(ids: Sequence[AgentId]) -> dict[AgentId, int]:
    """Return the place of each agent id."""
    return {agent_id: place for place, agent_id in enumerate(ids)}
