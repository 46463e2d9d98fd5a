"""What a router is shown: the task as features, the agents as arrays, how to decide, and past outcomes to fit on."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agentmesh.records import AgentCard, Objective, Turn
from agentmesh.routing.asking import Asker
from agentmesh.routing.pacing import Pace
from agentmesh.types import AgentId, FloatArray, IndexArray, MaskArray, VectorArray


@dataclass(frozen=True, slots=True)
class TaskFeatures:
    """What a router may know of a task. Gold answers and the task's own outcomes are not among it.

    ``stage`` counts the stages of a workflow from 0; ``previous`` is the agent of the stage before, "" at the first.

    Shapes:
        vector: (d,) float32, length 1, or zeros when no token was known.
    """

    vector: VectorArray
    text: str
    entities: tuple[str, ...] = ()
    type_hints: tuple[str, ...] = ()
    stage: int = 0
    turns: tuple[Turn, ...] = ()
    previous: AgentId = ""


@dataclass(frozen=True, slots=True)
class AgentPool:
    """The registered agents as arrays, built once for each registry version.

    Shapes:
        vectors: (n, d) float32, the unit embeddings of the cards.
        price_per_call, price_in_per_m, price_out_per_m: (n,) US dollars, NaN where unknown.
        latency_s: (n,) declared seconds, NaN where unknown.
        versions: (n,) int64, the card versions.
        mask: (n,) True where the agent passes the task's hard gates.
        name_vectors: (n, d) float32, the unit embeddings of the agents' names; ``None`` where they are not known.
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
    name_vectors: VectorArray | None = None

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

    def taken(self, places: Sequence[int] | IndexArray, *, registry_version: str) -> "AgentPool":
        """Return the pool of only the agents at ``places``, in that order, under a registry version of its own."""
        chosen = np.asarray(places, dtype=np.int64)
        ids = tuple(self.ids[place] for place in chosen.tolist())
        return replace(
            self,
            ids=ids,
            vectors=self.vectors[chosen],
            price_per_call=self.price_per_call[chosen],
            price_in_per_m=self.price_in_per_m[chosen],
            price_out_per_m=self.price_out_per_m[chosen],
            latency_s=self.latency_s[chosen],
            versions=self.versions[chosen],
            mask=self.mask[chosen],
            registry_version=registry_version,
            cards=tuple(self.cards[place] for place in chosen.tolist()) if self.cards else (),
            refused={agent_id: self.refused[agent_id] for agent_id in ids if agent_id in self.refused},
            index=index_of(ids),
            name_vectors=None if self.name_vectors is None else self.name_vectors[chosen],
        )


@dataclass(frozen=True, slots=True)
class RouteContext:
    """How this decision is to be made.

    ``max_agents`` is the most agents to select; ``explore`` the chance, 0 to 1, that a pick is drawn at random from
    the gated agents; ``top`` how many readable candidates the decision carries. ``asker`` puts questions to a chat
    model where there is one; ``pace`` says how sure a cascade must be to do without, so that it keeps to its budget of
    questions, and is ``None`` where nobody counts them.

    Shapes:
        bonus: (n,) added to the utilities, from preferences; ``None`` for none.
        load: (n,) calls under way, as a share of those that the agent takes at once; ``None`` where nothing is known.
    """

    seed: int
    max_agents: int = 1
    objective: Objective = field(default_factory=Objective)
    explore: float = 0.0
    top: int = 8
    bonus: FloatArray | None = None
    load: FloatArray | None = None
    asker: Asker | None = None
    pace: Pace | None = None


@dataclass(frozen=True, slots=True)
class Outcomes:
    """A table of past outcomes to fit a router on.

    Shapes:
        vectors: (m, d) float32 task embeddings; ``texts`` the m texts, ``groups`` the m group names ("" = unknown).
        quality: (m, n) 0 to 1, NaN where the agent was not observed on the task.
        cost: (m, n) US dollars, NaN where unknown.
        propensity: (m, n) the chance with which the agent was called on the task, NaN where unknown; ``None`` for none.
        pool: the cards of the n agents as arrays, in the order of ``agent_ids``; ``None`` where they are not known.
    """

    agent_ids: tuple[AgentId, ...]
    vectors: VectorArray
    texts: tuple[str, ...]
    groups: tuple[str, ...]
    quality: FloatArray
    cost: FloatArray
    propensity: FloatArray | None = None
    pool: AgentPool | None = None

    def __len__(self) -> int:
        """Return the number of tasks."""
        return len(self.texts)

    @property
    def versions(self) -> IndexArray:
        """Return the card version of each agent that was observed, (n,); 1 where the cards are not known."""
        return np.ones(len(self.agent_ids), np.int64) if self.pool is None else self.pool.versions

    def taken(self, places: Sequence[int] | IndexArray) -> "Outcomes":
        """Return the table with only the agents at ``places``, in that order."""
        chosen, pool, drawn = np.asarray(places, dtype=np.int64), self.pool, self.propensity
        named = "/".join(str(place) for place in chosen.tolist())
        return replace(
            self,
            agent_ids=tuple(self.agent_ids[place] for place in chosen.tolist()),
            quality=self.quality[:, chosen],
            cost=self.cost[:, chosen],
            propensity=None if drawn is None else drawn[:, chosen],
            pool=None if pool is None else pool.taken(chosen, registry_version=f"{pool.registry_version}/{named}"),
        )

    def rows(self, places: Sequence[int] | IndexArray) -> "Outcomes":
        """Return the table with only the tasks at ``places``, in that order."""
        chosen, drawn = np.asarray(places, dtype=np.int64), self.propensity
        listed = chosen.tolist()
        return replace(
            self,
            vectors=self.vectors[chosen],
            texts=tuple(self.texts[place] for place in listed),
            groups=tuple(self.groups[place] for place in listed),
            quality=self.quality[chosen],
            cost=self.cost[chosen],
            propensity=None if drawn is None else drawn[chosen],
        )

    def fingerprint(self) -> str:
        """Return 16 hexadecimal digits that name this table's content; what is not given does not enter."""
        digest = blake2b(json.dumps([self.agent_ids, self.texts, self.groups]).encode(), digest_size=8)
        for array in (self.vectors, self.quality, self.cost):
            _digest_array(digest, array)
        if self.propensity is not None:
            digest.update(b"propensity")
            _digest_array(digest, self.propensity)
        if self.pool is not None:
            pool = self.pool
            digest.update(b"pool")
            for array in (pool.vectors, pool.price_per_call, pool.price_in_per_m, pool.price_out_per_m, pool.latency_s):
                _digest_array(digest, array)
            _digest_array(digest, pool.versions)
        return digest.hexdigest()


def _digest_array(digest: blake2b, array: NDArray[Any]) -> None:
    digest.update(repr((array.shape, array.dtype.str)).encode())
    digest.update(np.ascontiguousarray(array).tobytes())


def index_of(ids: Sequence[AgentId]) -> dict[AgentId, int]:
    """Return the place of each agent id."""
    return {agent_id: place for place, agent_id in enumerate(ids)}
