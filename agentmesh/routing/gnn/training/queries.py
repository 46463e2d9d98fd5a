"""Tasks outside a graph, laid out to be scored against it."""

import numpy as np
import torch

from agentmesh.routing.base import AgentPool, Outcomes
from agentmesh.routing.gnn.features import task_features
from agentmesh.routing.gnn.graph import highest
from agentmesh.routing.gnn.training.data import GraphData, Queries
from agentmesh.routing.ngrams import SparseRows
from agentmesh.types import VectorArray


def queries_of(outcomes: Outcomes, data: GraphData, pool: AgentPool, neighbours: int) -> Queries:
    """Return the tasks of a table of the same agents as queries; entities that the graph does not know are left out."""
    graph, device = data.graph, data.device

    def tensor(values: np.ndarray) -> torch.Tensor:
        return torch.as_tensor(np.ascontiguousarray(values, dtype=np.float32), device=device)

    like = outcomes.vectors @ graph.tensors.task_vectors.T
    near, cosines = highest(like, min(neighbours, like.shape[1]))
    nearness: VectorArray = outcomes.vectors @ pool.vectors.T
    seen, priced = ~np.isnan(outcomes.quality), ~np.isnan(outcomes.cost)
    nothing = tuple(np.zeros(0, np.int64) for _ in outcomes.texts)
    return Queries(
        features=tensor(task_features(outcomes.vectors, [len(text) for text in outcomes.texts])),
        nearness=tensor(nearness - nearness.mean(axis=1, keepdims=True)),
        near=torch.as_tensor(near, device=device),
        cosines=tensor(cosines),
        quality=tensor(np.nan_to_num(outcomes.quality)),
        seen=tensor(seen),
        cost=tensor(np.nan_to_num(outcomes.cost)),
        priced=tensor(priced),
        importance=tensor(seen),
        entities=nothing if data.shape.entities else None,
        grams=SparseRows.of(outcomes.texts, data.shape.buckets) if data.shape.buckets else None,
    )
