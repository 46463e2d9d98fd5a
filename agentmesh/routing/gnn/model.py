"""The trained part of the GNN router: what a training left behind, and what it says of a task and of agents."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from agentmesh.errors import ConfigError
from agentmesh.knowledge.entities import MOST_ENTITIES, RuleExtractor
from agentmesh.knowledge.terms import candidate_terms
from agentmesh.routing.gnn.features import GRAM_SCALE, task_features
from agentmesh.routing.gnn.weights import GnnWeights, PathNumbers
from agentmesh.routing.inputs import TaskFeatures
from agentmesh.routing.ledger import part
from agentmesh.routing.ngrams import hashed
from agentmesh.routing.regression import softmax
from agentmesh.routing.state import Arrays
from agentmesh.types import AgentId, FloatArray, IndexArray, JsonValue, VectorArray

PREFIX: Final = "net/"


@dataclass(frozen=True, slots=True)
class GnnModel:
    """A trained network with the cached embeddings of its skills and entities; never changed after training.

    Shapes:
        recogniser: (d + 1, s) weights that tell skills apart. skills: (s, 3, h). entities: (e, h).
    """

    weights: GnnWeights
    numbers: PathNumbers
    exclusive: bool
    agent_ids: tuple[AgentId, ...]
    skill_names: tuple[str, ...]
    entity_names: Mapping[str, int]
    recogniser: VectorArray
    skills: VectorArray
    entities: VectorArray
    deep: bool
    like: bool
    typed: bool
    card: Mapping[str, JsonValue]

    @property
    def dimension(self) -> int:
        """Return the length of task vectors."""
        return self.weights.dimension

    @property
    def hidden(self) -> int:
        """Return the length of embeddings."""
        return self.weights.hidden

    def share(self, vector: VectorArray) -> FloatArray:
        """Return how likely a task asks for each skill, (s,)."""
        logits = vector @ self.recogniser[:-1] + self.recogniser[-1]
        return np.asarray(softmax(logits), dtype=np.float64)

    def first_state(self, features: TaskFeatures) -> VectorArray:
        """Return a task's embedding before any message, (h,)."""
        first: VectorArray = self.weights.first("task", task_features(features.vector[None], [len(features.text)]))[0]
        return first

    def query_state(
        self,
        features: TaskFeatures,
        share: FloatArray,
        states: VectorArray,
        heard: VectorArray,
        *,
        without: str = "",
    ) -> VectorArray:
        """Return a task's embedding as the product head reads it, as if it did not name the entity ``without``.

        Shapes:
            share: (s,). states: (k, h) of the past tasks near; heard: (k,) what each of them weighs. Returns (h,).
        """
        first = self.first_state(features)
        total = float(heard.sum())
        near = (heard / np.float32(total)) @ states if self.like and total > 0 else np.zeros_like(first)
        parts = [first, near.astype(np.float32), share.astype(np.float32) @ self.skills[:, -1]]
        if self.weights.entities:
            parts.append(self._named_mean(features.text, without))
        return self.weights.query(tuple(parts))

    def _named_mean(self, text: str, without: str) -> VectorArray:
        places = [self.entity_names[name] for name in self.named_entities(text) if name != without]
        return self.entities[places].mean(axis=0) if places else np.zeros(self.hidden, np.float32)

    def named_entities(self, text: str) -> tuple[str, ...]:
        """Return the entities of the graph that a text names."""
        if not self.entity_names:
            return ()
        keys = [entity.key for entity in RuleExtractor().extract(text)] + list(candidate_terms(text))
        return tuple(key for key in dict.fromkeys(keys) if key in self.entity_names)[:MOST_ENTITIES]

    def learned_states(self, features: TaskFeatures, share: FloatArray, like: VectorArray) -> VectorArray:
        """Return the embeddings of a task that is learned while serving, by layer: without messages of agents.

        Shapes:
            like: (j, 3, h) embeddings of the past tasks it is linked with. Returns (3, h).
        """
        states = [self.first_state(features)]
        skill = self.skills[int(np.argmax(share))]
        for layer in range(2):
            messages: dict[str, VectorArray] = {"of": skill[layer][None]}
            if self.like:
                messages["like"] = like[:, layer].mean(axis=0)[None] if len(like) else np.zeros_like(states[-1])[None]
            states.append(self.weights.layer("task", layer, states[-1][None], messages)[0])
        return np.stack(states)

    def declared(self, skills: Sequence[str]) -> VectorArray:
        """Return the mean embeddings of the skills that a card declares, by layer, (2, h); zeros where none is."""
        known = [self.skill_names.index(name) for name in skills if name in self.skill_names]
        return self.skills[known, :2].mean(axis=0) if known else np.zeros((2, self.hidden), np.float32)

    def wide(self, features: TaskFeatures) -> VectorArray | None:
        """Return what the words of a task say of each agent trained on, (n,); ``None`` without a wide part."""
        arrays = self.weights.arrays
        if "words.weight" not in arrays:
            return None
        words = arrays["words.weight"]
        row = hashed(features.text, len(words))
        read = task_features(features.vector[None], [len(features.text)])[0]
        score = np.asarray(read @ arrays["wide.weight"] + arrays["wide.bias"], np.float32)
        score += (GRAM_SCALE * row.values) @ words[row.places]
        return score

    def arrays(self) -> Arrays:
        """Return the arrays of the state by name."""
        net = {f"{PREFIX}{name}": array for name, array in self.weights.arrays.items()}
        return {
            **net,
            "paths": self.numbers.array(),
            "recogniser": self.recogniser,
            "skill_states": self.skills,
            "entity_states": self.entities,
        }

    def meta(self) -> dict[str, JsonValue]:
        """Return the part of the state that is no array."""
        return {
            "exclusive": self.exclusive,
            "trained_agents": list(self.agent_ids),
            "skills": list(self.skill_names),
            "entities": list(self.entity_names),
            "parts": [self.deep, self.like, self.typed],
            "card": dict(self.card),
        }

    @classmethod
    def load(cls, arrays: Arrays, meta: Mapping[str, JsonValue]) -> "GnnModel":
        """Undo :meth:`arrays` and :meth:`meta`.

        Raises:
            ConfigError: a part is missing or the parts do not fit together.
        """
        agents, skills, entities = (_names(meta, key) for key in ("trained_agents", "skills", "entities"))
        parts, card, exclusive = meta.get("parts"), meta.get("card"), meta.get("exclusive")
        if not isinstance(parts, list) or len(parts) != 3 or not isinstance(card, dict):
            raise ConfigError(f"the state's parts are {parts!r}, its card is {card!r}; take one that snapshot() wrote")
        net = {name.removeprefix(PREFIX): each for name, each in arrays.items() if name.startswith(PREFIX)}
        model = cls(
            weights=GnnWeights(net),
            numbers=PathNumbers.of(part(arrays, "paths")),
            exclusive=bool(exclusive),
            agent_ids=agents,
            skill_names=skills,
            entity_names={name: place for place, name in enumerate(entities)},
            recogniser=part(arrays, "recogniser"),
            skills=part(arrays, "skill_states"),
            entities=part(arrays, "entity_states"),
            deep=bool(parts[0]),
            like=bool(parts[1]),
            typed=bool(parts[2]),
            card=card,
        )
        width = max(len(skills), 1)
        if model.recogniser.shape != (model.dimension + 1, width) or model.skills.shape != (width, 3, model.hidden):
            shapes = model.recogniser.shape, model.skills.shape
            raise ConfigError(f"{len(skills)} skills do not fit arrays of shapes {shapes!r}")
        if model.entities.shape != (len(entities), model.hidden):
            raise ConfigError(f"{len(entities)} entities do not fit embeddings of {model.entities.shape!r}")
        return model


def _names(meta: Mapping[str, JsonValue], key: str) -> tuple[str, ...]:
    names = meta.get(key)
    if not isinstance(names, list):
        raise ConfigError(f"the state's {key!r} are {names!r}; expected a list of names")
    return tuple(str(name) for name in names)


def linked(rows: IndexArray, cosines: VectorArray, most: int) -> IndexArray:
    """Return the rows of the most similar tasks, at most ``most``, in the order of their rows."""
    if len(rows) <= most:
        return np.sort(rows)
    return np.sort(rows[np.argpartition(cosines, len(rows) - most)[len(rows) - most :]])
