"""What a training of the GNN hands over: arrays in numpy, and a card that says where they come from."""

from collections.abc import Mapping
from dataclasses import dataclass

from agentmesh.frozen import Record
from agentmesh.routing.gnn.graph import TrainingGraph
from agentmesh.routing.gnn.weights import PathNumbers
from agentmesh.types import VectorArray


class TrainingCard(Record):
    """How a training went.

    ``validated`` says what the checkpoint was chosen on: ``"val"``, a tenth of the table (``"tenth"``), or nothing.
    ``loss`` is the mean loss there of each pass, the untrained network first; ``passes`` is which one was kept.
    """

    tasks: int
    agents: int
    outcomes: int
    skills: int
    entities: int
    validated: str
    passes: int
    loss: tuple[float, ...]
    quality: tuple[float, ...]
    seconds: float
    device: str
    torch: str


@dataclass(frozen=True, slots=True)
class Trained:
    """The trained network and the embeddings of the graph's nodes, computed over all of it.

    Shapes:
        weights: the network's arrays by name, see ``gnn.weights``.
        tasks: (m, 3, h) embeddings before, between and after the two layers. skills: (s, 3, h). entities: (e, h).
    """

    weights: Mapping[str, VectorArray]
    numbers: PathNumbers
    graph: TrainingGraph
    exclusive: bool
    tasks: VectorArray
    skills: VectorArray
    entities: VectorArray
    card: TrainingCard
