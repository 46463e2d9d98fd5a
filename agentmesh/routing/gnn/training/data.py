"""A training graph on a device: what is hidden from a step, the messages of a context, and batches to score."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
import torch
from torch import Tensor

from agentmesh.routing.gnn.ease import SKILL_STRENGTH, ease_of
from agentmesh.routing.gnn.features import GRAM_SCALE, SCALE, SOLVED
from agentmesh.routing.gnn.graph import TrainingGraph
from agentmesh.routing.gnn.training.net import Batch, EdgeType, Messages, NetShape, Visible
from agentmesh.routing.ngrams import SparseRows
from agentmesh.types import IndexArray, VectorArray

HIDDEN: Final = -1e4
"""A cosine that gives a hidden past task no weight at any temperature."""


@dataclass(frozen=True, slots=True)
class Queries:
    """Tasks to score against a graph, with what is known of them; their own outcomes are targets only.

    Shapes:
        features: (q, d + 1); nearness: (q, n); near, cosines: (q, k) tasks of the graph; quality, seen: (q, n).
        entities: a list of the entities of each. grams: hashed words, ``None`` without a wide part.
    """

    features: Tensor
    nearness: Tensor
    near: Tensor
    cosines: Tensor
    quality: Tensor
    seen: Tensor
    cost: Tensor
    priced: Tensor
    importance: Tensor
    entities: Sequence[IndexArray] | None
    grams: SparseRows | None

    def __len__(self) -> int:
        """Return the number of tasks."""
        return len(self.features)


class GraphData:
    """A training graph as tensors.

    Args:
        graph: The graph.
        shape: What the network reads of it.
        device: Where the tensors go.
    """

    def __init__(self, graph: TrainingGraph, shape: NetShape, device: torch.device) -> None:
        """Copy the arrays."""
        self.graph, self.shape, self.device = graph, shape, device
        self.cards = self._tensor(graph.cards)
        self.standing = self.cards[:, -2]
        self.queries = self._own_queries()
        self.skill = torch.as_tensor(graph.skill, device=device)
        self.member = self._member()
        self.skills = self._tensor(SCALE * self._skill_vectors())
        self._has = self._pairs(graph.tensors.has.target, graph.tensors.has.source)
        self._mentions = self._pairs(graph.tensors.mentions.source, graph.tensors.mentions.target)
        self._like = self._pairs(graph.tensors.like.source, graph.tensors.like.target)

    def _tensor(self, values: VectorArray) -> Tensor:
        return torch.as_tensor(np.ascontiguousarray(values, dtype=np.float32), device=self.device)

    def _pairs(self, first: IndexArray, second: IndexArray) -> Tensor:
        return torch.as_tensor(np.stack([first, second]), device=self.device)

    def _skill_vectors(self) -> VectorArray:
        vectors = self.graph.tensors.skill_vectors
        return vectors if len(vectors) else np.zeros((1, self.shape.dimension), np.float32)

    def _member(self) -> Tensor:
        member = torch.zeros(len(self.graph), self.shape.skills, device=self.device)
        known = self.skill >= 0
        member[known.nonzero(as_tuple=True)[0], self.skill[known]] = 1.0
        return member

    def _own_queries(self) -> Queries:
        graph = self.graph
        return Queries(
            features=self._tensor(graph.features),
            nearness=self._tensor(graph.nearness),
            near=torch.as_tensor(graph.near, device=self.device),
            cosines=self._tensor(graph.cosines),
            quality=self._tensor(graph.quality),
            seen=self._tensor(graph.seen),
            cost=self._tensor(graph.cost),
            priced=self._tensor(graph.priced),
            importance=self._tensor(graph.importance),
            entities=entities_of(graph) if self.shape.entities else None,
            grams=SparseRows.of(graph.texts, self.shape.buckets) if self.shape.buckets else None,
        )

    def visible(self, seen: Tensor, tasks: Tensor) -> Visible:
        """Return the sums over the outcomes of some tasks that ``seen``, (m, n), leaves visible."""
        member, known = self.member[tasks], seen[tasks]
        quality = self.queries.quality[tasks] * known
        count, skilled = known.sum(dim=0), member.T @ known
        if self.graph.exclusive:  # on labels all agents are observed on every task
            return Visible(member.T @ quality, skilled, quality.sum(dim=0), count)
        mean = quality.sum(dim=0) / count.clamp(min=1.0)
        within = (member.T @ quality + SKILL_STRENGTH * mean) / (skilled + SKILL_STRENGTH)
        expected = torch.where(member.sum(dim=1, keepdim=True) > 0, member @ within, mean)
        eased = quality - ease_of(quality, known, expected)
        own = quality - ease_of(quality, known, mean)
        return Visible(member.T @ eased, skilled, own.sum(dim=0), count)

    def batch(
        self, queries: Queries, rows: Tensor, seen: Tensor, place: Tensor, *, trained: Tensor | None = None
    ) -> Batch:
        """Return some tasks as a batch.

        Args:
            queries: The tasks they are among.
            rows: Which of them.
            seen: (m, n) the outcomes of the graph that are visible; a task without any is hidden.
            place: (m,) where each task of the graph stands among the embeddings, -1 where it does not.
            trained: (n,) which agents the wide part knows; all by default.
        """
        near = queries.near[rows]
        known = seen[near]
        hidden = known.sum(dim=2) == 0
        listed = rows.cpu().numpy()
        agents = seen.shape[1]
        return Batch(
            features=queries.features[rows],
            nearness=queries.nearness[rows],
            cosines=queries.cosines[rows].masked_fill(hidden, HIDDEN),
            quality=self.queries.quality[near] * known,
            seen=known,
            near=place[near].clamp(min=0),
            listened=((place[near] >= 0) & ~hidden).float(),
            standing=self.standing,
            trained=torch.ones(agents, device=self.device) if trained is None else trained,
            entities=None if queries.entities is None else self._named(queries.entities, listed),
            grams=None if queries.grams is None else self._grams(queries.grams, listed),
        )

    def _named(self, entities: Sequence[IndexArray], rows: IndexArray) -> Tensor:
        named = [entities[row] for row in rows.tolist()]
        owner = np.repeat(np.arange(len(rows)), [len(one) for one in named])
        return self._pairs(owner, np.concatenate([*named, np.zeros(0, np.int64)]))

    def _grams(self, grams: SparseRows, rows: IndexArray) -> tuple[Tensor, Tensor, Tensor]:
        spans = [(int(grams.starts[row]), int(grams.starts[row + 1])) for row in rows.tolist()]
        flat = np.concatenate([np.arange(start, end) for start, end in spans])
        starts = np.cumsum([0, *(end - start for start, end in spans)])[:-1]
        values = torch.as_tensor(grams.values[flat] * GRAM_SCALE, device=self.device)
        places = torch.as_tensor(grams.places[flat], device=self.device)
        return places, torch.as_tensor(starts, device=self.device), values

    def messages(self, tasks: Tensor, seen: Tensor) -> tuple[Messages, Tensor]:
        """Return the graph of some tasks and all agents and skills, and where each task stands in it, -1 outside."""
        place = torch.full((len(self.graph),), -1, dtype=torch.long, device=self.device)
        place[tasks] = torch.arange(len(tasks), device=self.device)
        features = {"task": self.queries.features[tasks], "agent": self.cards, "skill": self.skills}
        edges, weights = self._outcome_edges(tasks, seen)
        edges |= self._other_edges(tasks, place)
        if self.shape.entities:
            features |= self._entity_features()
            edges |= self._entity_edges(place)
        kept = {edge: edges[edge] for edge in self.shape.edges}
        ones = {edge: torch.ones(kept[edge].shape[1], device=self.device) for edge in kept}
        return Messages(features, kept, {**ones, **{edge: weights[edge] for edge in kept if edge in weights}}), place

    def _outcome_edges(self, tasks: Tensor, seen: Tensor) -> tuple[dict[EdgeType, Tensor], dict[EdgeType, Tensor]]:
        known = seen[tasks] > 0
        quality = self.queries.quality[tasks]
        if self.graph.exclusive:
            known = known & (quality > 0)  # on labels each failure says the same: not mine
        kinds = {"solved": known & (quality >= SOLVED), "failed": known & (quality < SOLVED)}
        if not self.shape.typed:
            kinds = {"solved": known}
        edges, weights = {}, {}
        for relation, chosen in kinds.items():
            task, agent = chosen.nonzero(as_tuple=True)
            worth = quality[task, agent] if relation == "solved" else 1.0 - quality[task, agent]
            weight = worth if self.shape.typed else torch.ones_like(worth)
            for edge, pair in (
                (("agent", relation, "task"), (agent, task)),
                (("task", relation, "agent"), (task, agent)),
            ):
                edges[edge], weights[edge] = torch.stack(pair), weight
        return edges, weights

    def _other_edges(self, tasks: Tensor, place: Tensor) -> dict[EdgeType, Tensor]:
        skill, spots = self.skill[tasks], torch.arange(len(tasks), device=self.device)
        known = skill >= 0
        like = place[self._like]
        like = like[:, (like >= 0).all(dim=0)]
        return {
            ("task", "like", "task"): torch.cat([like, like.flip(0)], dim=1),
            ("skill", "of", "task"): torch.stack([skill[known], spots[known]]),
            ("task", "of", "skill"): torch.stack([spots[known], skill[known]]),
            ("skill", "has", "agent"): self._has,
        }

    def _entity_features(self) -> dict[str, Tensor]:
        entities = self._tensor(SCALE * self.graph.tensors.entity_vectors.reshape(-1, self.shape.dimension))
        relations = torch.zeros(len(self.graph.tensors.relation_names), self.shape.dimension, device=self.device)
        return {"entity": entities, "relation": relations}

    def _entity_edges(self, place: Tensor) -> dict[EdgeType, Tensor]:
        tensors = self.graph.tensors
        mentions = torch.stack([place[self._mentions[0]], self._mentions[1]])
        mentions = mentions[:, mentions[0] >= 0]
        return {
            ("task", "names", "entity"): mentions,
            ("entity", "names", "task"): mentions.flip(0),
            ("entity", "head", "relation"): self._pairs(tensors.heads.source, tensors.heads.target),
            ("relation", "tail", "entity"): self._pairs(tensors.tails.source, tensors.tails.target),
        }


def entities_of(graph: TrainingGraph) -> tuple[IndexArray, ...]:
    """Return the entities that each task names."""
    mentions = graph.tensors.mentions
    ends = np.searchsorted(mentions.source, np.arange(len(graph) + 1))
    return tuple(mentions.target[start:end] for start, end in pairwise(ends.tolist()))
