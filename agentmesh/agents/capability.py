"""Capability vectors: what a card says, as a unit vector; and the gates and factors of a candidate's score.

Rule: the score of a candidate is the product of hard gates (0 or 1: skills and policy flags granted) and soft factors
(similarity, load). A failed gate is therefore never out-scored.

Reference: versioned capability vectors as in Federation of Agents, 2025 (arXiv 2509.20175).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from agentmesh.knowledge.splitting import words_in
from agentmesh.packing import unpack_vector
from agentmesh.protocols import Embedder
from agentmesh.records import AgentCard, RegistrySnapshot, Task
from agentmesh.types import AgentId, FloatArray, IndexArray, VectorArray


@dataclass(frozen=True, slots=True)
class CapabilityTable:
    """The registered agents as arrays, sorted by id, built once for each registry version. Readers never change it.

    Shapes:
        vectors: (n, d) float32 unit rows.
        price_per_call, price_in_per_m, price_out_per_m: (n,) US dollars, NaN where unknown.
        latency_s: (n,) declared seconds, NaN where unknown.
        versions: (n,) int64, the card versions.
        name_vectors: (n, d) float32 unit rows, of the agents' names alone; ``None`` where they were not embedded.
    """

    ids: tuple[AgentId, ...]
    cards: tuple[AgentCard, ...]
    vectors: VectorArray
    price_per_call: FloatArray
    price_in_per_m: FloatArray
    price_out_per_m: FloatArray
    latency_s: FloatArray
    versions: IndexArray
    registry_version: str
    name_vectors: VectorArray | None = None

    def __len__(self) -> int:
        """Return the number of agents."""
        return len(self.ids)


def build_table(
    cards: Sequence[AgentCard],
    vectors: VectorArray,
    registry_version: str,
    *,
    name_vectors: VectorArray | None = None,
) -> CapabilityTable:
    """Lay out cards and their vectors as arrays.

    Shapes:
        vectors, name_vectors: (len(cards), d).
    """
    columns = (vectors, *_price_columns(cards), _column([card.latency_s for card in cards]))
    versions = np.array([card.version for card in cards], dtype=np.int64)
    for array in (*columns, versions, *(() if name_vectors is None else (name_vectors,))):
        array.flags.writeable = False
    frozen_vectors, per_call, in_per_m, out_per_m, latency = columns
    return CapabilityTable(
        ids=tuple(card.id for card in cards),
        cards=tuple(cards),
        vectors=frozen_vectors,
        price_per_call=per_call,
        price_in_per_m=in_per_m,
        price_out_per_m=out_per_m,
        latency_s=latency,
        versions=versions,
        registry_version=registry_version,
        name_vectors=name_vectors,
    )


def snapshot_table(snapshot: RegistrySnapshot) -> CapabilityTable:
    """Lay out a stored registry as it was, with no embedder; its names have vectors only if they were stored."""
    rows = unpack_vector(snapshot.vectors).reshape(len(snapshot.cards), -1)
    names = unpack_vector(snapshot.name_vectors).reshape(len(snapshot.cards), -1) if snapshot.name_vectors else None
    return build_table(snapshot.cards, rows, snapshot.version, name_vectors=names)


def _price_columns(cards: Sequence[AgentCard]) -> tuple[FloatArray, FloatArray, FloatArray]:
    return (
        _column([card.price_per_call_usd for card in cards]),
        _column([card.price_in_per_m_usd for card in cards]),
        _column([card.price_out_per_m_usd for card in cards]),
    )


def _column(values: Sequence[object]) -> FloatArray:
    # numpy turns None into NaN and a Decimal into its nearest float
    return np.array(values, dtype=np.float64)


def capability_texts(card: AgentCard) -> tuple[str, ...]:
    """Return the texts that a card's vector is made of: the description with its skills, then each example.

    >>> capability_texts(AgentCard(id="a", description="Adds numbers.", skills=("math",), examples=("1 + 1",)))
    ('Adds numbers. Skills: math', '1 + 1')
    """
    skills = f" Skills: {', '.join(card.skills)}" if card.skills else ""
    return (card.description + skills, *card.examples)


def name_text(card: AgentCard) -> str:
    """Return the words of an agent's name, without what stands before a colon or slash.

    >>> name_text(AgentCard(id="credit_cards:card_declined", description="Handles it."))
    'card declined'
    """
    own = re.split("[:/]", card.id)[-1]
    return " ".join(words_in(own) or words_in(card.id)) or card.id


def capability_vectors(texts: Sequence[tuple[str, ...]], embedder: Embedder) -> VectorArray:
    """Embed agents, all their texts in one batch.

    Rule: description vector plus the mean of the example vectors scaled to length 1; the sum is scaled to length 1. An
    agent none of whose texts is known gets zeros. Top-1 by cosine with the static embedder and five examples an agent,
    clinc150 / hwu64: description alone .570 / .455, examples alone .682 / .698, mean of all texts .706 / .716, the
    nearest single text .660 / .638, this rule .734 / .726.

    Args:
        texts: For each agent, its :func:`capability_texts`; at least one text each.
        embedder: What turns text into vectors.

    Shapes:
        returns (len(texts), d) float32.
    """
    if not texts:
        return np.zeros((0, embedder.dimension), dtype=np.float32)
    flat = embedder.embed([text for group in texts for text in group]).astype(np.float64)
    starts = np.cumsum([0, *(len(group) for group in texts[:-1])])
    descriptions = flat[starts]
    examples = np.add.reduceat(flat, starts, axis=0) - descriptions
    return _unit_rows(descriptions + _unit_rows(examples)).astype(np.float32)


def _unit_rows(rows: FloatArray) -> FloatArray:
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    # what the subtraction above leaves of an agent without examples is rounding, not a direction
    units: FloatArray = np.divide(rows, lengths, out=np.zeros_like(rows), where=lengths > 1e-9)
    return units


def granted(names: Sequence[str] | frozenset[str]) -> frozenset[str]:
    """Return skill or flag names as gates compare them: without regard to case.

    >>> sorted(granted(["Python", "SQL"]))
    ['python', 'sql']
    """
    return frozenset(name.casefold() for name in names)


def refusing_gate(task: Task, *, skills: frozenset[str], flags: frozenset[str]) -> str | None:
    """Return the name of the first hard gate that refuses an agent of these skills and flags, ``None`` if all open.

    >>> needs = Task(text="?", required_skills=frozenset({"python"}), required_flags=frozenset({"pii"}))
    >>> refusing_gate(needs, skills=frozenset({"python"}), flags=frozenset())
    'flag:pii'
    """
    for kind, required, has in (("skill", task.required_skills, skills), ("flag", task.required_flags, flags)):
        missing = granted(required) - has
        if missing:
            return f"{kind}:{min(missing)}"
    return None


def similarity_factor(vectors: VectorArray, task_vector: VectorArray) -> FloatArray:
    """Return how well each agent's vector fits the task's, 0 to 1: the cosine, and 0 where it is negative.

    >>> similarity_factor(np.eye(2, dtype=np.float32), np.array([0.6, -0.8], dtype=np.float32)).round(3).tolist()
    [0.6, 0.0]

    Shapes:
        vectors: (n, d) unit rows; task_vector: (d,) unit; returns (n,) float64.
    """
    return np.clip((vectors @ task_vector).astype(np.float64), 0.0, 1.0)


def load_factor(running: int, max_concurrency: int | None) -> float:
    """Return the free share of an agent's capacity, 1 (idle, or no limit) to 0 (full).

    >>> load_factor(1, 4)
    0.75
    """
    if max_concurrency is None:
        return 1.0
    return max(0.0, 1.0 - running / max_concurrency)
