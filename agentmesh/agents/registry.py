"""The registry: which agents there are, as cards and as arrays, while agents come and go."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from threading import Lock
from typing import Literal, TypeAlias

import numpy as np

from agentmesh.agents.base import Agent
from agentmesh.agents.capability import (
    CapabilityTable,
    build_table,
    capability_texts,
    capability_vectors,
    granted,
    name_text,
    refusing_gate,
)
from agentmesh.agents.card import check_id
from agentmesh.errors import RegistrationError
from agentmesh.protocols import Embedder
from agentmesh.records import AgentCard, Task
from agentmesh.types import AgentId, VectorArray

Barrier: TypeAlias = Literal["disabled", "unhealthy"]
"""Why an agent is out for every task."""


@dataclass(frozen=True, slots=True)
class _Entry:
    agent: Agent
    card: AgentCard
    digest: bytes
    skills: frozenset[str]
    flags: frozenset[str]


class _Roster:
    """Everybody registered at one moment. It never changes; the registry replaces it."""

    def __init__(self, entries: Mapping[AgentId, _Entry], barred: Mapping[AgentId, Barrier]) -> None:
        self.entries = entries
        self.barred = barred

    @cached_property
    def ordered(self) -> tuple[_Entry, ...]:
        """Return the entries sorted by id, so that the order of registration has no effect."""
        return tuple(self.entries[agent_id] for agent_id in sorted(self.entries))

    @cached_property
    def cards(self) -> tuple[AgentCard, ...]:
        return tuple(entry.card for entry in self.ordered)

    @cached_property
    def version(self) -> str:
        content = blake2b(digest_size=8)
        for entry in self.ordered:
            content.update(entry.digest)
        return content.hexdigest()


class Registry:
    """Holds the agents of a mesh.

    Agents may be added, updated and removed while tasks run: each change builds a new roster, and whoever holds the
    old table goes on reading it. Descriptions are embedded when :meth:`capabilities` is first asked for them, all new
    ones in one batch, and each text of a card once.

    Args:
        embedder: What turns descriptions into vectors.
        agents: Who is there from the start.
    """

    def __init__(self, embedder: Embedder, agents: Iterable[Agent] = ()) -> None:
        self._embedder = embedder
        self._writing = Lock()  # guards the step from one roster to the next; readers take no lock
        self._embedding = Lock()  # guards the vectors, so that two readers do not embed the same card twice
        self._roster = _Roster({}, {})
        self._known: dict[AgentId, AgentCard] = {}
        self._vectors: dict[tuple[str, ...], VectorArray] = {}
        self._table: CapabilityTable | None = None
        self.add_all(agents)

    def __len__(self) -> int:
        """Return the number of agents."""
        return len(self._roster.entries)

    def __contains__(self, agent_id: object) -> bool:
        """Say whether an agent of this id is registered."""
        return agent_id in self._roster.entries

    @property
    def embedder(self) -> Embedder:
        """Return what turns descriptions into vectors."""
        return self._embedder

    @property
    def version(self) -> str:
        """Return 16 hexadecimal digits that name the registered cards, in whatever order they came."""
        return self._roster.version

    def add(self, agent: Agent) -> AgentCard:
        """Register an agent and return its card.

        Raises:
            RegistrationError: an agent of this id is registered, or what it declares cannot be used.
        """
        return self.add_all((agent,))[0]

    def add_all(self, agents: Iterable[Agent]) -> tuple[AgentCard, ...]:
        """Register several agents, all or none, and return their cards.

        Raises:
            RegistrationError: as for :meth:`add`.
        """
        with self._writing:
            roster = self._roster
            added: dict[AgentId, _Entry] = {}
            for agent in agents:
                entry = self._entry(agent)
                if entry.card.id in roster.entries or entry.card.id in added:
                    raise RegistrationError(
                        f"an agent with the id {entry.card.id!r} is registered; choose another id, or update it"
                    )
                added[entry.card.id] = entry
            self._publish(added)
        return tuple(entry.card for entry in added.values())

    def recall(self, cards: Iterable[AgentCard]) -> None:
        """Take up the versions that an earlier process gave.

        An agent whose card is unchanged since then gets that version; one whose card has changed gets the next.
        """
        with self._writing:
            for card in cards:
                known = self._known.get(card.id)
                if known is None or card.version >= known.version:
                    self._known[card.id] = card
            self._publish({agent_id: self._entry(entry.agent) for agent_id, entry in self._roster.entries.items()})

    def update(self, agent: Agent) -> AgentCard:
        """Replace the agent of the same id and return its card; its version rises if the card has changed.

        Raises:
            RegistrationError: no agent of this id is registered, or what it declares cannot be used.
        """
        with self._writing:
            entry = self._entry(agent)
            self._find(entry.card.id)
            self._publish({entry.card.id: entry})
        return entry.card

    def remove(self, agent_id: AgentId) -> Agent:
        """Take an agent out and return it.

        Raises:
            RegistrationError: no agent of this id is registered.
        """
        with self._writing:
            entry = self._find(agent_id)
            entries = {key: kept for key, kept in self._roster.entries.items() if key != agent_id}
            barred = {key: gate for key, gate in self._roster.barred.items() if key != agent_id}
            self._roster = _Roster(entries, barred)
        return entry.agent

    def disable(self, agent_id: AgentId, gate: Barrier = "disabled") -> None:
        """Refuse an agent for every task until :meth:`enable`. The registry's version stays.

        Raises:
            RegistrationError: no agent of this id is registered.
        """
        with self._writing:
            self._find(agent_id)
            self._roster = _Roster(self._roster.entries, {**self._roster.barred, agent_id: gate})

    def enable(self, agent_id: AgentId) -> None:
        """Undo :meth:`disable`. Enabling an enabled agent is harmless.

        Raises:
            RegistrationError: no agent of this id is registered.
        """
        with self._writing:
            self._find(agent_id)
            barred = {key: gate for key, gate in self._roster.barred.items() if key != agent_id}
            self._roster = _Roster(self._roster.entries, barred)

    def get(self, agent_id: AgentId) -> Agent:
        """Return the agent of this id.

        Raises:
            RegistrationError: no agent of this id is registered.
        """
        return self._find(agent_id).agent

    def card(self, agent_id: AgentId) -> AgentCard:
        """Return the card of this agent, with the version that the registry gave it.

        Raises:
            RegistrationError: no agent of this id is registered.
        """
        return self._find(agent_id).card

    def cards(self) -> tuple[AgentCard, ...]:
        """Return all cards, sorted by id."""
        return self._roster.cards

    def refused(self, task: Task) -> dict[AgentId, str]:
        """Return the agents that a hard gate refuses for this task, and the gate, such as ``"skill:python"``."""
        roster = self._roster
        refused: dict[AgentId, str] = dict(roster.barred)
        if task.required_skills or task.required_flags:
            # thousands of agents have a handful of different skill sets, so each set is judged once
            gates: dict[tuple[frozenset[str], frozenset[str]], str | None] = {}
            for agent_id, entry in roster.entries.items():
                has = (entry.skills, entry.flags)
                if has not in gates:
                    gates[has] = refusing_gate(task, skills=entry.skills, flags=entry.flags)
                gate = gates[has]
                if gate is not None:
                    refused.setdefault(agent_id, gate)
        return refused

    def capabilities(self) -> CapabilityTable:
        """Return the agents as arrays, sorted by id; the same object until the registry changes.

        The first call after a change embeds what is new. With an embedder that is slow, make it off the event loop.
        """
        table = self._table
        if table is not None and table.registry_version == self._roster.version:
            return table
        with self._embedding:
            roster, table = self._roster, self._table
            if table is None or table.registry_version != roster.version:
                vectors, names = self._embed(roster.cards)
                table = build_table(roster.cards, vectors, roster.version, name_vectors=names)
                self._table = table
        return table

    def _embed(self, cards: tuple[AgentCard, ...]) -> tuple[VectorArray, VectorArray]:
        """Return the vectors of the cards and of their names."""
        keys = [capability_texts(card) for card in cards] + [(name_text(card),) for card in cards]
        missing = [key for key in dict.fromkeys(keys) if key not in self._vectors]
        fresh = dict(zip(missing, capability_vectors(missing, self._embedder), strict=True))
        self._vectors = {key: fresh[key] if key in fresh else self._vectors[key] for key in keys}
        if not keys:
            return capability_vectors((), self._embedder), capability_vectors((), self._embedder)
        rows = np.stack([self._vectors[key] for key in keys])
        return rows[: len(cards)].copy(), rows[len(cards) :].copy()

    def _entry(self, agent: Agent) -> _Entry:
        card = _card_of(agent)
        card = card.model_copy(update={"version": self._next_version(card)})
        digest = blake2b(card_content(card), digest_size=16).digest()
        return _Entry(agent, card, digest, granted(card.skills), granted(card.policy_flags))

    def _next_version(self, card: AgentCard) -> int:
        known = self._known.get(card.id)
        if known is None:
            return card.version
        if card_content(known) == card_content(card.model_copy(update={"version": known.version})):
            return max(known.version, card.version)
        return max(known.version + 1, card.version)

    def _publish(self, entries: Mapping[AgentId, _Entry]) -> None:
        self._roster = _Roster({**self._roster.entries, **entries}, self._roster.barred)
        # removed agents stay known: one that comes back changed must not pass for its former self
        self._known.update((agent_id, entry.card) for agent_id, entry in entries.items())

    def _find(self, agent_id: AgentId) -> _Entry:
        entry = self._roster.entries.get(agent_id)
        if entry is None:
            raise RegistrationError(
                f"no agent has the id {agent_id!r}; registered are: {_listed(self._roster.entries)}"
            )
        return entry


def _card_of(agent: object) -> AgentCard:
    if not isinstance(agent, Agent):
        if isinstance(agent, type) and issubclass(agent, Agent):
            raise RegistrationError(f"{agent!r} is a class; register an agent made from it: {agent.__name__}()")
        raise RegistrationError(
            f"{agent!r} is no agent; register an Agent, or put @agent(description=...) on an async function"
        )
    card = agent.card()
    check_id(card.id)
    return card


def _listed(ids: Iterable[AgentId]) -> str:
    names = sorted(ids)
    shown = ", ".join(repr(name) for name in names[:10])
    return f"{shown} and {len(names) - 10} more" if len(names) > 10 else shown or "none"


def card_content(card: AgentCard) -> bytes:
    """Return a card as bytes that are the same in every process."""
    fields = card.model_dump(mode="json")
    fields["policy_flags"] = sorted(fields["policy_flags"])
    return repr(sorted(fields.items())).encode()
