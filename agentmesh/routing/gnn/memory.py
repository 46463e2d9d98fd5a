"""What the GNN router holds: the trained model, past tasks with their outcomes, and what reached each agent so far."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np

from agentmesh.errors import ConfigError
from agentmesh.records import Experience
from agentmesh.routing.base import AgentPool, Outcomes, TaskFeatures
from agentmesh.routing.gnn.arguments import GnnArguments
from agentmesh.routing.gnn.ease import SKILL_STRENGTH, eased, eased_one
from agentmesh.routing.gnn.features import SOLVED, card_features
from agentmesh.routing.gnn.model import GnnModel, linked
from agentmesh.routing.gnn.weights import LAYERS, AgentSums, GnnWeights, PathNumbers, logit
from agentmesh.routing.groups import GroupSums, Seen
from agentmesh.routing.intent import naming
from agentmesh.routing.ledger import Ledger, Means, part
from agentmesh.routing.past_tasks import PastTasks
from agentmesh.routing.state import Arrays
from agentmesh.types import FloatArray, IndexArray, JsonValue, MaskArray, VectorArray

if TYPE_CHECKING:
    from agentmesh.routing.gnn.trained import Trained

STATES: Final = LAYERS + 1
"""Embeddings that a task has: before the first layer and after each."""
LINKED: Final = 8
"""How many earlier tasks a learned one hears, as the knowledge graph links them."""
SAME: Final = 0.9995
"""A past task this similar is the same question."""


class GnnMemory:
    """Keeps what the router learned and learns one outcome at a time, with the network as it is.

    Shapes:
        owed: (columns,) what each agent's summed quality owes to easy tasks, see :mod:`~agentmesh.routing.gnn.ease`.
        messages: (columns, 2, 2, h) what reached each agent along solved and failed, by layer; counts (columns, 2).
        wide_known: (trained agents,) False once a newer version of the agent was seen.
    """

    def __init__(self, arguments: GnnArguments) -> None:
        """Start with nothing: no model, no task."""
        self._arguments = arguments
        self.model: GnnModel | None = None
        self.numbers = PathNumbers.first()
        self.ledger = Ledger()
        self.sums = GroupSums()
        self.tasks = PastTasks(arguments.max_tasks, 0)
        self.messages = np.zeros((0, 2, 2, 0), np.float32)
        self.counts = np.zeros((0, 2), np.float32)
        self.wide_known: MaskArray = np.zeros(0, np.bool_)
        self.owed = np.zeros(0)
        self.changes = 0
        self._hardness: tuple[int, FloatArray] | None = None
        self._agents: tuple[AgentPool, int, VectorArray] | None = None

    @classmethod
    def trained(cls, arguments: GnnArguments, outcomes: Outcomes, trained: "Trained") -> "GnnMemory":
        """Take over a training on ``outcomes``."""
        made = cls(arguments)
        made.model = model = model_of(trained, arguments)
        made.numbers = model.numbers
        order = [outcomes.agent_ids.index(agent_id) for agent_id in model.agent_ids]
        table = outcomes.taken(order)
        made.ledger.fit(table)
        graph = trained.graph
        member = graph.skill.copy()
        for row in np.flatnonzero(member < 0).tolist():
            member[row] = int(np.argmax(model.share(outcomes.vectors[row])))
        skills = max(len(model.skill_names), 1)
        made.owed = np.zeros(len(model.agent_ids))
        if not model.exclusive:
            made.owed, eased_quality = eased(table.quality, member, skills)
            table = replace(table, quality=eased_quality)
        made.sums = GroupSums.of(member, skills, table)
        made.tasks = PastTasks(arguments.max_tasks, STATES * model.hidden)
        states = trained.tasks.reshape(len(table), STATES * model.hidden)
        made.tasks.fill(graph.tensors.task_names, table.texts, table.vectors, states)
        made.tasks.fill_outcomes(outcomes.quality[:, order])
        made.messages, made.counts = _all_messages(trained, typed=arguments.typed)
        made.wide_known = np.ones(len(model.agent_ids), np.bool_)
        return made

    @property
    def neighbours(self) -> int:
        """Return how many past tasks are looked at."""
        return self._arguments.neighbours

    @property
    def like(self) -> bool:
        """Return whether tasks like the task are looked at."""
        return self._arguments.like

    def share(self, vector: VectorArray, hints: Sequence[str]) -> FloatArray:
        """Return how much a task asks for each skill, (s,): by its hints where one is known, else by its vector."""
        model = self.model
        if model is None:
            return np.ones(1)
        if len(vector) != model.dimension:
            raise ConfigError(
                f"a task vector has length {len(vector)!r}, past ones had {model.dimension!r}; use the same embedder"
            )
        told = [model.skill_names.index(hint) for hint in naming(hints) if hint in model.skill_names]
        if not told:
            return model.share(vector)
        share = np.zeros(max(len(model.skill_names), 1))
        share[told] = 1.0 / len(told)
        return share

    def own(self, means: Means, guess: FloatArray, pool: AgentPool) -> FloatArray:
        """Return each agent's mean quality less what it owes to easy tasks, ``guess`` counting beside it, (n,)."""
        strength = self.numbers.own_strength
        earned = means.quality - self.ledger.gather(self.owed[None], pool)[0]
        return np.asarray(np.clip((earned + strength * guess) / (means.count + strength), 0.0, 1.0))

    def hardness(self, skills: IndexArray) -> FloatArray:
        """Return by how much the tasks of some skills are easier than those agents do on the whole, as logits.

        Shapes:
            skills: (s,) places. Returns (s,).
        """
        if self._hardness is None or self._hardness[0] != self.changes:
            self._hardness = self.changes, self._hardness_of_all()
        return self._hardness[1][skills]

    def _hardness_of_all(self) -> FloatArray:
        seen, solved = self.sums.values[0], self.sums.values[1]
        columns = seen.shape[1]
        earned = (self.ledger.qualities - self.owed)[:columns]
        mean = earned / np.maximum(self.ledger.counts[:columns], 1.0)
        count = seen.sum(axis=1)
        usual = (seen @ mean) / np.maximum(count, 1.0)
        found = (solved.sum(axis=1) + SKILL_STRENGTH * usual) / (count + SKILL_STRENGTH)
        return np.where(count > 0, logit(found) - logit(usual), 0.0)

    def keys(self, model: GnnModel, pool: AgentPool) -> VectorArray:
        """Return what the product head multiplies with a task for each agent, (n, h); kept until something is new."""
        known = self._agents
        same = known is not None and known[1] == self.changes and known[0].vectors is pool.vectors
        if known is None or not same or known[0].versions is not pool.versions:
            self._agents = known = (pool, self.changes, model.weights.keys(self._embeddings(model, pool)))
        return known[2]

    def _embeddings(self, model: GnnModel, pool: AgentPool) -> VectorArray:
        flat = np.concatenate([self.messages.reshape(len(self.messages), -1), self.counts], axis=1).T
        gathered = self.ledger.gather(flat.astype(np.float64), pool).T.astype(np.float32)
        messages = gathered[:, :-2].reshape(len(pool), 2, 2, model.hidden)
        cards = pool.cards or (None,) * len(pool)
        skills = np.stack([model.declared(() if card is None else card.skills) for card in cards])
        return model.weights.agents(card_features(pool), AgentSums(messages, gathered[:, -2:]), skills)

    def learn(self, experience: Experience, vector: VectorArray) -> None:
        """Take in one outcome.

        Raises:
            ConfigError: its vector has another length than those before.
        """
        self.tasks.check(vector)
        share = self.share(vector, experience.type_hints)
        learned = self.ledger.learn(experience)
        if learned is None:
            return
        column, dropped = learned
        self._make_room(len(self.ledger.ids))
        if dropped:
            self._forget(column)
        seen = Seen.of(experience, column)
        row = self._row(experience, vector, share)
        self._book(seen, row, vector, share)
        self.tasks.put(row, column, seen.quality, seen.weight)
        self._hear(row, seen)
        self.changes += 1

    def _book(self, seen: Seen, row: int, vector: VectorArray, share: FloatArray) -> None:
        """Count an outcome less its task's ease, over all and within the task's skills."""
        if self.model is not None and self.model.exclusive:
            self.sums.add(share, seen)
            return
        rows, cosines = self.tasks.nearest(vector, self.neighbours)
        same = (cosines >= SAME) | (rows == row)
        likeness = np.exp((cosines - cosines.max()) / np.float32(self.numbers.temperature))
        near, itself = (self._sums_of(rows[chosen], likeness[chosen]) for chosen in (~same, same))
        weights, worths = [near[0], itself[0]], [near[1], itself[1]]
        mean = self.ledger.qualities / np.maximum(self.ledger.counts, 1.0)
        self.owed[seen.column] += seen.weight * eased_one(weights, worths, mean, seen.column)
        within = self._within(mean, share)
        ease = eased_one(weights, worths, within, seen.column)
        self.sums.add(share, seen._replace(quality=seen.quality - ease))

    def _sums_of(self, rows: IndexArray, likeness: VectorArray) -> FloatArray:
        """Return what is known of some tasks for all agents of the ledger, (2, columns)."""
        found = self.tasks.sums(rows, likeness)
        return np.pad(found, ((0, 0), (0, len(self.ledger.ids) - found.shape[1])))

    def _within(self, mean: FloatArray, share: FloatArray) -> FloatArray:
        """Return what each agent is expected to be worth in the skills of a task, (columns,)."""
        sums = self.sums.values
        fresh = len(mean) - sums.shape[2]
        seen, solved = (np.pad(share @ sums[place], (0, fresh)) for place in (0, 1))
        return np.asarray((solved + SKILL_STRENGTH * mean) / (seen + SKILL_STRENGTH))

    def _make_room(self, columns: int) -> None:
        fresh = columns - len(self.counts)
        if fresh:
            self.messages = np.pad(self.messages, ((0, fresh), (0, 0), (0, 0), (0, 0)))
            self.counts = np.pad(self.counts, ((0, fresh), (0, 0)))
            self.owed = np.pad(self.owed, (0, fresh))

    def _forget(self, column: int) -> None:
        self.sums.drop(column)
        self.tasks.forget(column)
        self.messages[column], self.counts[column], self.owed[column] = 0.0, 0.0, 0.0
        self.wide_known[column : column + 1] = False

    def _row(self, experience: Experience, vector: VectorArray, share: FloatArray) -> int:
        task = experience.run_id if not experience.stage else f"{experience.run_id}/{experience.stage}"
        row = self.tasks.row_of(task)
        if row is not None:
            return row
        state = np.zeros(self.tasks.states.shape[1], np.float32)
        if self.model is not None and self.model.deep:
            rows, cosines = self.tasks.nearest(vector, LINKED)
            near = self.tasks.states[linked(rows, cosines, LINKED)].reshape(-1, STATES, self.model.hidden)
            features = TaskFeatures(vector=vector, text=experience.text)
            state = self.model.learned_states(features, share, near).reshape(-1)
        return self.tasks.add(task, experience.text, vector, state)

    def _hear(self, row: int, seen: Seen) -> None:
        """Send the task's message to the agent, as training would have."""
        model = self.model
        if model is None or not model.deep:
            return
        solved = seen.quality >= SOLVED or not model.typed
        if model.exclusive and not seen.quality > 0:
            return
        weight = (seen.quality if solved else 1.0 - seen.quality) if model.typed else 1.0
        state = self.tasks.states[row].reshape(STATES, model.hidden)
        self.messages[seen.column, 0 if solved else 1] += np.float32(weight * seen.weight) * state[:2]
        self.counts[seen.column, 0 if solved else 1] += np.float32(seen.weight)

    def arrays(self) -> Arrays:
        """Return the arrays of the state by name."""
        own: Arrays = {
            "skill_sums": self.sums.values,
            "messages": self.messages,
            "message_counts": self.counts,
            "wide_known": self.wide_known,
            "owed": self.owed,
        }
        model = {} if self.model is None else self.model.arrays()
        return {**self.ledger.arrays(), **self.tasks.arrays(), **own, **model}

    def meta(self) -> dict[str, JsonValue]:
        """Return the part of the state that is no array."""
        model: dict[str, JsonValue] = {} if self.model is None else {"model": self.model.meta()}
        return {**self.ledger.meta(), **self.tasks.meta(), **model}

    @classmethod
    def load(cls, arguments: GnnArguments, arrays: Arrays, meta: Mapping[str, JsonValue]) -> "GnnMemory":
        """Undo :meth:`arrays` and :meth:`meta`.

        Raises:
            ConfigError: a part is missing or the parts do not fit together.
        """
        made, model = cls(arguments), meta.get("model")
        if isinstance(model, dict):
            made.model = GnnModel.load(arrays, model)
            made.numbers = made.model.numbers
        made.ledger.load(arrays, meta)
        made.tasks = PastTasks.load(arguments.max_tasks, arrays, meta)
        made.sums = GroupSums.loaded(part(arrays, "skill_sums"))
        made.messages, made.counts = part(arrays, "messages").copy(), part(arrays, "message_counts").copy()
        made.wide_known, made.owed = part(arrays, "wide_known").copy(), part(arrays, "owed").copy()
        columns = len(made.ledger.ids)
        if not len(made.messages) == len(made.counts) == len(made.owed) == columns:
            raise ConfigError(f"messages of {len(made.messages)} agents do not fit {columns} agents")
        return made


def model_of(trained: "Trained", arguments: GnnArguments) -> GnnModel:
    """Return the model that a training left behind."""
    tensors, weights = trained.graph.tensors, dict(trained.weights)
    recogniser = np.vstack([weights.pop("skill.weight"), weights.pop("skill.bias")[None]])
    first = {"skill.weight": weights.pop("first.skill.weight"), "skill.bias": weights.pop("first.skill.bias")}
    return GnnModel(
        weights=GnnWeights({**weights, **first}),
        numbers=trained.numbers,
        exclusive=trained.exclusive,
        agent_ids=tensors.agent_ids,
        skill_names=tensors.skill_names,
        entity_names={name: place for place, name in enumerate(tensors.entity_names)} if arguments.entities else {},
        recogniser=np.ascontiguousarray(recogniser),
        skills=trained.skills,
        entities=trained.entities,
        deep=arguments.deep,
        like=arguments.like,
        typed=arguments.typed,
        card=trained.card.model_dump(mode="json"),
    )


def _all_messages(trained: "Trained", *, typed: bool) -> tuple[VectorArray, VectorArray]:
    """Return what reached each agent along its outcomes in the whole graph, and how many outcomes that were."""
    graph = trained.graph
    known = graph.seen * (graph.quality > 0) if trained.exclusive else graph.seen
    solved = (graph.quality >= SOLVED) if typed else np.ones_like(graph.quality, np.bool_)
    kinds = [known * solved, known * ~solved]
    worth = [graph.quality, 1.0 - graph.quality] if typed else [np.ones_like(graph.quality)] * 2
    weighed = np.stack([kind * each for kind, each in zip(kinds, worth, strict=True)])  # (2, m, n)
    messages = np.einsum("rmn,mlh->nrlh", weighed, trained.tasks[:, :2]).astype(np.float32)
    return messages, np.stack([kind.sum(axis=0) for kind in kinds], axis=1).astype(np.float32)
