"""What the network learned, and its forward pass in numpy: what serves needs no torch.

Names and layout are those of ``GnnNet.exported``, and a test holds the two passes together to 1e-5.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from agentmesh.errors import ConfigError
from agentmesh.routing.state import Arrays
from agentmesh.types import FloatArray, VectorArray

LAYERS: Final = 2
EDGE: Final = 1e-4
"""Shares stay this far from 0 and 1 before their logit is taken."""

PATHS: Final[Mapping[str, float]] = {
    "temperature": 0.1,
    "own_strength": 4.0,
    "skill_strength": 8.0,
    "near_strength": 16.0,
    "skill_gain": 1.0,
    "near_gain": 1.0,
    "guess": 0.0,
    "price_gain": 0.6,
    "card_gain": 4.0,
    "nobody": -3.0,
}
"""What each number of the paths is before training: kernel regression on a guess by card and price."""


@dataclass(frozen=True, slots=True)
class PathNumbers:
    """The ten numbers that say how much the paths through the graph weigh; ``PATHS`` has their first values.

    ``temperature`` of the likeness of past tasks; how many outcomes the guess (``own_strength``), an agent's own mean
    (``skill_strength``) and the mean of its skills (``near_strength``) weigh; the gains of the skills' and the
    neighbours' logits; the guess: a constant, and gains by price and card; the logit of nobody, for labels.
    """

    temperature: float
    own_strength: float
    skill_strength: float
    near_strength: float
    skill_gain: float
    near_gain: float
    guess: float
    price_gain: float
    card_gain: float
    nobody: float

    @classmethod
    def first(cls) -> "PathNumbers":
        """Return the numbers before training."""
        return cls(**PATHS)

    @classmethod
    def of(cls, array: FloatArray) -> "PathNumbers":
        """Undo :meth:`array`.

        Raises:
            ConfigError: there are not ten numbers.
        """
        if array.shape != (len(PATHS),):
            raise ConfigError(f"the numbers of the paths have shape {array.shape!r}; expected {(len(PATHS),)!r}")
        return cls(*array.tolist())

    def array(self) -> FloatArray:
        """Return the numbers in their order, (10,)."""
        return np.array([getattr(self, name) for name in PATHS])


def logit(share: FloatArray) -> FloatArray:
    """Return log(p / (1 - p)) of shares kept within 0.0001 and 0.9999."""
    kept = np.clip(share, EDGE, 1.0 - EDGE)
    return np.asarray(np.log(kept) - np.log1p(-kept))


@dataclass(frozen=True, slots=True)
class AgentSums:
    """What reaches one agent along its outcomes, summed: enough to compute its embedding without its tasks.

    Shapes:
        messages: (n, 2, 2, h) by relation (solved, failed) and layer. counts: (n, 2) outcomes of each relation.
    """

    messages: VectorArray
    counts: VectorArray


class GnnWeights:
    """The trained arrays by name, and what is computed with them.

    Args:
        arrays: As ``GnnNet.exported`` returned them.

    Raises:
        ConfigError: one is missing, or has another shape than the others ask for.
    """

    def __init__(self, arrays: Arrays) -> None:
        """Check that the arrays fit together."""
        self.arrays: dict[str, VectorArray] = {name: np.asarray(value, np.float32) for name, value in arrays.items()}
        task = self["task.weight"]
        self.hidden = int(task.shape[1])
        self.dimension = int(task.shape[0]) - 1
        self.entities = "entity.weight" in self.arrays
        wanted: dict[str, tuple[int, ...]] = {
            "agent.weight": (self.dimension + 2, self.hidden),
            "query.weight": ((4 if self.entities else 3) * self.hidden, self.hidden),
            "to_query.weight": (self.hidden, self.hidden),
            "to_agent.weight": (self.hidden, self.hidden),
            "score.weight": (self.hidden,),
            "cost.weight": (self.hidden,),
        }
        wanted |= {f"{name}.bias": (self.hidden,) for name in ("task", "agent", "query", "to_query", "to_agent")}
        for own in (f"layer{layer}.{kind}.own" for layer in range(LAYERS) for kind in ("task", "agent")):
            wanted |= {f"{own}.weight": (self.hidden, self.hidden), f"{own}.bias": (self.hidden,)}
        for name, shape in wanted.items():
            if self[name].shape != shape:
                raise ConfigError(f"the weights {name!r} have shape {self[name].shape!r}; expected {shape!r}")

    def __getitem__(self, name: str) -> VectorArray:
        """Return an array.

        Raises:
            ConfigError: there is none of this name.
        """
        if name not in self.arrays:
            raise ConfigError(f"the weights lack {name!r}; take those that a training wrote")
        return self.arrays[name]

    def _linear(self, name: str, values: VectorArray) -> VectorArray:
        return np.asarray(values @ self[f"{name}.weight"] + self[f"{name}.bias"])

    def first(self, kind: str, features: VectorArray) -> VectorArray:
        """Return the embedding of nodes before any message, (b, h); ``kind`` is "task" or "agent"."""
        return relu(self._linear(kind, features))

    def layer(self, kind: str, layer: int, own: VectorArray, messages: Mapping[str, VectorArray]) -> VectorArray:
        """Return the embedding of nodes after ``layer`` (0 or 1), from their own before it and the mean messages.

        Shapes:
            own: (b, h); messages: by relation, (b, h) each. Returns (b, h).
        """
        total = self._linear(f"layer{layer}.{kind}.own", own)
        for relation, mean in messages.items():
            weight = self.arrays.get(f"layer{layer}.{kind}.{relation}.weight")
            if weight is not None:  # a network may be without a relation
                total = total + mean @ weight
        return relu(total) + own

    def agents(self, cards: VectorArray, sums: AgentSums, skills: VectorArray) -> VectorArray:
        """Return the final embeddings of agents from their cards and what reached them along their outcomes.

        Shapes:
            cards: (n, d + 2). skills: (n, 2, h) the mean embedding of each agent's declared skills by layer.
            Returns (n, h).
        """
        state = self.first("agent", cards)
        counts = np.maximum(sums.counts, np.float32(1.0))[:, :, None, None]
        means = np.asarray(sums.messages / counts, np.float32)
        for layer in range(LAYERS):
            messages: dict[str, VectorArray] = {
                "solved": means[:, 0, layer],
                "failed": means[:, 1, layer],
                "has": skills[:, layer],
            }
            state = self.layer("agent", layer, state, messages)
        return state

    def query(self, parts: "tuple[VectorArray, ...]") -> VectorArray:
        """Return a task's embedding from its parts: its own first one, near tasks, skills, entities where there are.

        Shapes:
            parts: (h,) each. Returns (h,).
        """
        return relu(self._linear("query", np.concatenate(parts)))

    def keys(self, agents: VectorArray) -> VectorArray:
        """Return what the product head multiplies with a task: W_a h_a, (n, h)."""
        return self._linear("to_agent", agents)

    def product(self, task: VectorArray, keys: VectorArray) -> tuple[VectorArray, VectorArray]:
        """Return w . tanh(W_q h_q * W_a h_a) for each agent, for the score and for the logarithm of the cost.

        Shapes:
            task: (h,); keys: (n, h). Returns (n,) twice.
        """
        joined = np.tanh(self._linear("to_query", task) * keys)
        return joined @ self["score.weight"], joined @ self["cost.weight"]


def relu(values: VectorArray) -> VectorArray:
    """Return the values, 0 in place of the negative ones."""
    return np.maximum(values, np.float32(0.0))
