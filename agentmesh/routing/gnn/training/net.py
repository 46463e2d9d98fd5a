"""The network over the knowledge graph, in torch and torch-geometric: for training only.

What it computes is told in :mod:`agentmesh.routing.gnn.router`; ``gnn.weights`` computes the same in numpy.

References: outcome-typed messages and edge prediction, GraphRouter (arXiv 2410.03834) and AgentRouter (arXiv
2510.05445); scores summed over paths between two nodes, NBFNet (arXiv 2106.06935); a wide part beside a deep one,
Cheng et al., Wide & Deep Learning (arXiv 1606.07792).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch_geometric.nn import GraphConv, HeteroConv

from agentmesh.routing.gnn.ease import SKILL_STRENGTH
from agentmesh.routing.gnn.features import SCALE
from agentmesh.routing.gnn.weights import EDGE, LAYERS, PATHS
from agentmesh.types import VectorArray

EdgeType: TypeAlias = tuple[str, str, str]

DROPOUT: Final = 0.2
WIDE_DROPOUT: Final = 0.3  # as in LinearRouter, where it was chosen on val of hwu64
POSITIVE: Final = ("temperature", "own_strength", "skill_strength", "near_strength")
"""Numbers of the paths that are kept above 0 by learning their logarithms."""

TASK_EDGES: Final[tuple[EdgeType, ...]] = (
    ("agent", "solved", "task"),
    ("task", "solved", "agent"),
    ("agent", "failed", "task"),
    ("task", "failed", "agent"),
    ("task", "like", "task"),
    ("skill", "of", "task"),
    ("task", "of", "skill"),
    ("skill", "has", "agent"),
)
ENTITY_EDGES: Final[tuple[EdgeType, ...]] = (
    ("task", "names", "entity"),
    ("entity", "names", "task"),
    ("entity", "head", "relation"),
    ("relation", "tail", "entity"),
)


@dataclass(frozen=True, slots=True)
class NetShape:
    """What the network is made for: lengths, counts, and which of its parts it has."""

    dimension: int
    agents: int
    skills: int
    hidden: int
    entities: bool
    typed: bool
    like: bool
    buckets: int

    @property
    def edges(self) -> tuple[EdgeType, ...]:
        """Return the relations that messages go along."""
        kept = [*TASK_EDGES, *(ENTITY_EDGES if self.entities else ())]
        without = {"failed"} if not self.typed else set()
        without |= {"like"} if not self.like else set()
        return tuple(edge for edge in kept if edge[1] not in without)


@dataclass(frozen=True, slots=True)
class Messages:
    """A part of the graph: first features of its nodes by kind, and edges with their weights by relation."""

    features: Mapping[str, Tensor]
    edges: Mapping[EdgeType, Tensor]
    weights: Mapping[EdgeType, Tensor]


@dataclass(frozen=True, slots=True)
class Visible:
    """What is visible of past outcomes, for the agents of the batch.

    Shapes:
        skill_sum, skill_count: (s, n) qualities and outcomes by skill. own_sum, own_count: (n,) over all.
    """

    skill_sum: Tensor
    skill_count: Tensor
    own_sum: Tensor
    own_count: Tensor


@dataclass(frozen=True, slots=True)
class Batch:
    """Tasks to score.

    Shapes:
        features: (b, d + 1). nearness: (b, n). cosines: (b, k), very low where a past task is hidden.
        quality, seen: (b, k, n) of the past tasks near. near: (b, k) their places among the embeddings, and
        listened: (b, k) 1 where there is one. entities: (2, x) pairs of a task and an entity that it names.
        grams: places, starts and values of hashed words, for the wide part.
        trained: (n,) 1 for agents that the wide part may know.
    """

    features: Tensor
    nearness: Tensor
    cosines: Tensor
    quality: Tensor
    seen: Tensor
    near: Tensor
    listened: Tensor
    standing: Tensor
    trained: Tensor
    entities: Tensor | None = None
    grams: tuple[Tensor, Tensor, Tensor] | None = None


class GnnNet(nn.Module):
    """Scores every agent on every task of a batch: paths through the graph, a product head, and a wide part."""

    def __init__(self, shape: NetShape) -> None:
        """Set up the layers; the scores begin as those of the paths alone."""
        super().__init__()
        self.shape = shape
        hidden, dimension = shape.hidden, shape.dimension
        self.skill = nn.Linear(dimension, shape.skills)
        firsts = {name: np.log(value) if name in POSITIVE else value for name, value in PATHS.items()}
        self.paths = nn.ParameterDict({name: nn.Parameter(torch.tensor(float(firsts[name]))) for name in PATHS})
        widths = {"task": dimension + 1, "agent": dimension + 2, "skill": dimension}
        if shape.entities:
            widths |= {"entity": dimension, "relation": dimension}
        self.first = nn.ModuleDict({kind: nn.Linear(width, hidden) for kind, width in widths.items()})
        self.layers = nn.ModuleList(
            HeteroConv({edge: GraphConv((hidden, hidden), hidden, aggr="mean") for edge in shape.edges}, aggr="sum")
            for _ in range(LAYERS)
        )
        self.query = nn.Linear((4 if shape.entities else 3) * hidden, hidden)
        self.to_query, self.to_agent = nn.Linear(hidden, hidden), nn.Linear(hidden, hidden)
        self.score, self.cost = nn.Linear(hidden, 1, bias=False), nn.Linear(hidden, 1, bias=False)
        self.dropout = nn.Dropout(DROPOUT)
        self.thinning = nn.Dropout(WIDE_DROPOUT)
        self.wide = nn.Linear(dimension + 1, shape.agents) if shape.buckets else None
        self.words = nn.EmbeddingBag(shape.buckets, shape.agents, mode="sum") if shape.buckets else None
        for silent in (self.score, self.cost, self.wide, self.words):
            if silent is not None:
                nn.init.zeros_(silent.weight)
        if self.wide is not None:
            nn.init.zeros_(self.wide.bias)

    def number(self, name: str) -> Tensor:
        """Return one number of the paths."""
        value: Tensor = self.paths[name]
        return value.exp() if name in POSITIVE else value

    def encode(self, part: Messages) -> list[dict[str, Tensor]]:
        """Return the embeddings of the nodes by kind: before the first layer, after it, and after the second."""
        kinds = part.features
        states = [{kind: self.dropout(functional.relu(self.first[kind](kinds[kind]))) for kind in kinds}]
        for layer in self.layers:
            before = states[-1]
            heard = layer(before, dict(part.edges), edge_weight_dict=dict(part.weights))
            after = {kind: functional.relu(heard[kind]) + before[kind] for kind in heard}
            states.append({**before, **after})
        return states

    def forward(self, batch: Batch, visible: Visible, nodes: Mapping[str, Tensor] | None) -> tuple[Tensor, Tensor]:
        """Return the logits of quality and the corrections of the logarithm of cost, (b, n) each."""
        share = functional.softmax(self.recognised(batch.features), dim=1)
        likeness = self._likeness(batch.cosines)
        score = self._along_paths(batch, visible, share, likeness)
        correction = torch.zeros_like(score)
        if nodes is not None:
            deep, correction = self._product(batch, share, likeness, nodes)
            score = score + deep
        if self.wide is not None and self.words is not None and batch.grams is not None:
            score = score + self._wide(batch)
        return score, correction

    def _likeness(self, cosines: Tensor) -> Tensor:
        if not cosines.shape[1]:  # the only task has no other near
            return cosines
        return torch.exp((cosines - cosines.max(dim=1, keepdim=True).values) / self.number("temperature"))

    def recognised(self, features: Tensor) -> Tensor:
        """Return the logits of skills, (b, s)."""
        logits: Tensor = self.skill(features[:, :-1] / SCALE)
        return logits

    def _along_paths(self, batch: Batch, visible: Visible, share: Tensor, likeness: Tensor) -> Tensor:
        guess = torch.sigmoid(
            self.number("guess")
            + self.number("price_gain") * batch.standing
            + self.number("card_gain") * batch.nearness
        )
        strength = self.number("own_strength")
        own = ((visible.own_sum + strength * guess) / (visible.own_count + strength)).clamp(0.0, 1.0)
        strength = self.number("skill_strength")
        prior = torch.sigmoid(logit(own)[:, None, :] + self._hardness(visible)[:, None])
        within = (visible.skill_sum + strength * prior) / (visible.skill_count + strength)
        skilled = torch.einsum("bs,bsn->bn", share, within)
        score = self.number("skill_gain") * (logit(skilled) - logit(own)) + logit(own)
        if self.shape.like:
            strength = self.number("near_strength")
            seen = torch.einsum("bk,bkn->bn", likeness, batch.seen)
            solved = torch.einsum("bk,bkn->bn", likeness, batch.quality)
            near = (solved + strength * skilled) / (seen + strength)
            score = score + self.number("near_gain") * (logit(near) - logit(skilled))
        return score

    @staticmethod
    def _hardness(visible: Visible) -> Tensor:
        """Return by how much the tasks of each skill are easier than those agents do on the whole, as logits, (s,)."""
        count = visible.skill_count.sum(dim=1)
        mean = visible.own_sum / visible.own_count.clamp(min=1.0)
        usual = (visible.skill_count @ mean) / count.clamp(min=1.0)
        found = (visible.skill_sum.sum(dim=1) + SKILL_STRENGTH * usual) / (count + SKILL_STRENGTH)
        return torch.where(count > 0, logit(found) - logit(usual), torch.zeros_like(count))

    def _product(
        self, batch: Batch, share: Tensor, likeness: Tensor, nodes: Mapping[str, Tensor]
    ) -> tuple[Tensor, Tensor]:
        own = self.dropout(functional.relu(self.first["task"](batch.features)))
        parts = [own, torch.zeros_like(own), share @ nodes["skill"]]
        if self.shape.like and len(nodes["task"]):
            heard = likeness * batch.listened
            heard = heard / heard.sum(dim=1, keepdim=True).clamp(min=EDGE)
            parts[1] = torch.einsum("bk,bkh->bh", heard, nodes["task"][batch.near])
        if batch.entities is not None:
            parts.append(mean_of(nodes["entity"], batch.entities, len(own)))
        task = self.dropout(functional.relu(self.query(torch.cat(parts, dim=1))))
        joined = torch.tanh(self.to_query(task)[:, None, :] * self.to_agent(nodes["agent"])[None])
        return self.score(joined).squeeze(-1), self.cost(joined).squeeze(-1)

    def _wide(self, batch: Batch) -> Tensor:
        if self.wide is None or self.words is None or batch.grams is None:
            return torch.zeros(())
        places, starts, values = batch.grams
        vector = self.thinning(batch.features)
        score: Tensor = self.wide(vector) + self.words(places, starts, per_sample_weights=self.thinning(values))
        known = batch.trained
        middle = (score * known).sum(dim=1, keepdim=True) / known.sum().clamp(min=1.0)
        return score * known + middle * (1.0 - known)

    def exported(self) -> dict[str, VectorArray]:
        """Return what was learned as float32 arrays, under the names that ``GnnWeights`` reads."""
        found: dict[str, Tensor] = {}
        for kind, linear in self.first.items():
            found |= _exported("first.skill" if kind == "skill" else kind, linear)
        for name in ("skill", "query", "to_query", "to_agent"):
            found |= _exported(name, getattr(self, name))
        for layer, convolution in enumerate(self.layers):
            found |= _exported_layer(layer, convolution)
        found |= {"score.weight": self.score.weight[0], "cost.weight": self.cost.weight[0]}
        if self.wide is not None and self.words is not None:
            found |= {**_exported("wide", self.wide), "words.weight": self.words.weight}
        return {name: tensor.detach().cpu().numpy().astype(np.float32).copy() for name, tensor in found.items()}

    def numbers(self) -> dict[str, float]:
        """Return the numbers of the paths by name."""
        return {name: float(self.number(name).detach()) for name in PATHS}


def logit(share: Tensor) -> Tensor:
    """Return log(p / (1 - p)) of shares kept within 0.0001 and 0.9999."""
    kept = share.clamp(EDGE, 1.0 - EDGE)
    return torch.log(kept) - torch.log1p(-kept)


def mean_of(rows: Tensor, pairs: Tensor, count: int) -> Tensor:
    """Return the mean of ``rows[pairs[1]]`` by ``pairs[0]``, (count, h); zeros where there is none."""
    total = torch.zeros(count, rows.shape[1], dtype=rows.dtype, device=rows.device).index_add(
        0, pairs[0], rows[pairs[1]]
    )
    found = torch.bincount(pairs[0], minlength=count).clamp(min=1)
    return total / found[:, None]


def _exported(name: str, linear: nn.Module) -> dict[str, Tensor]:
    weight, bias = linear.get_parameter("weight"), linear.get_parameter("bias")
    return {f"{name}.weight": weight.T, f"{name}.bias": bias}


def _exported_layer(layer: int, convolution: nn.Module) -> dict[str, Tensor]:
    found: dict[str, Tensor] = {}
    for key, graph in convolution.convs.items():  # type: ignore[operator, union-attr]  # torch-geometric's own dict
        _, relation, kind = key
        root, own = graph.lin_root.weight.T, f"layer{layer}.{kind}.own"
        found[f"layer{layer}.{kind}.{relation}.weight"] = graph.lin_rel.weight.T
        found[f"{own}.weight"] = found.get(f"{own}.weight", 0.0) + root
        found[f"{own}.bias"] = found.get(f"{own}.bias", 0.0) + graph.lin_rel.bias
    return found
