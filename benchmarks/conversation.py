"""Says how well conversations stay with an agent and leave it, for several weights of the topic and leads.

A conversation is a task of the val split, in scope, that was answered by its agent; then comes either one of thirty
made-up follow-ups ("and now in Spanish"), which should stay with that agent, or a task of another agent, which should
leave it. Routers are fitted on a few train tasks of each agent. Test tasks are not opened. The constants of
``agentmesh/graphs/conversation.py`` were chosen on what this prints.

    OMP_NUM_THREADS=1 python benchmarks/conversation.py [--conversations 600] [--each 30] [--routers linear,kernel]
"""

import argparse
import asyncio
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from agentmesh.bench.folding import chosen_rows
from agentmesh.bench.material import Material, Part, prepare
from agentmesh.embed.static import StaticEmbedder
from agentmesh.graphs.conversation import STICKINESS, TOPIC_WEIGHT, leaning, with_topic
from agentmesh.recorded.reader import load_set
from agentmesh.records import Task, Turn
from agentmesh.routing.base import ScoringRouter, TaskFeatures
from agentmesh.routing.named import router_named
from agentmesh.types import FloatArray, IndexArray, Rng

SETS = Path(__file__).parent / "sets"
WEIGHTS = (0.0, 1.0, TOPIC_WEIGHT, 4.0)
LEADS = (0.0, 0.1, STICKINESS, 0.4)
ARGUMENTS = {"kernel": {"temperature": 0.05, "curiosity": 0.0}, "linear": {"curiosity": 0.0}}
FOLLOW_UPS = (
    "and now in Spanish",
    "and in French?",
    "shorter please",
    "make it shorter",
    "can you say that again",
    "why is that",
    "why?",
    "what do you mean",
    "tell me more",
    "more details please",
    "and what about tomorrow",
    "what about next week",
    "are you sure?",
    "ok, go on",
    "no, the other one",
    "yes, do it",
    "give me an example",
    "the same for my wife",
    "and for two people",
    "can you explain that",
    "that is not what I meant",
    "how so?",
    "put that in a list",
    "try again",
    "and the second one?",
    "one more time, slower",
    "what else",
    "anything cheaper?",
    "and without the last part",
    "thanks, and then?",
)


@dataclass(frozen=True, slots=True)
class Row:
    """What one router does with one weight and lead, as shares of the conversations.

    ``stay``: follow-ups that stayed; ``leave``: tasks of another agent that left; ``right``: those that came to it.
    """

    router: str
    topic_weight: float
    stickiness: float
    stay: float
    leave: float
    right: float


@dataclass(frozen=True, slots=True)
class Talks:
    """Conversations of two messages: places of the first tasks on val, the messages after, who answered, who should.

    Shapes:
        first, speaker, wanted: (m,).
    """

    first: IndexArray
    texts: tuple[str, ...]
    speaker: IndexArray
    wanted: IndexArray


def follow_ups(val: Part, first: IndexArray, rng: Rng) -> Talks:
    """Draw a follow-up for each first task; it should stay."""
    speaker = val.quality[first].argmax(axis=1)
    return Talks(
        first, tuple(FOLLOW_UPS[place] for place in rng.integers(len(FOLLOW_UPS), size=len(first))), speaker, speaker
    )


def changes(val: Part, first: IndexArray, rng: Rng) -> Talks:
    """Draw a task of another agent for each first task."""
    speaker, agent = val.quality[first].argmax(axis=1), val.quality.argmax(axis=1)
    scope = np.flatnonzero(val.quality.max(axis=1) > 0)
    drawn = np.array([rng.choice(scope[agent[scope] != one]) for one in speaker])
    return Talks(first, tuple(val.features[place].text for place in drawn), speaker, agent[drawn])


def fitted(name: str, material: Material, each: int, rng: Rng) -> ScoringRouter:
    """Fit a router on ``each`` train tasks of every agent, and as many that are out of scope."""
    right = material.train.quality
    agent = np.where(right.max(axis=1) > 0, right.argmax(axis=1), -1)
    taken = [rng.permutation(np.flatnonzero(agent == one))[:each] for one in np.unique(agent)]
    router = router_named(name, ARGUMENTS.get(name))
    if not isinstance(router, ScoringRouter):
        raise SystemExit(f"router {name!r} scores nobody; give one that does, such as 'linear'")
    router.fit(chosen_rows(material.train, np.sort(np.concatenate(taken))).outcomes(material.pool))
    return router


async def qualities(router: ScoringRouter, talks: Talks, material: Material, weight: float) -> FloatArray:
    """Return what the router expects of each agent on the second messages, (m, n)."""
    val, embedder, rows = material.val, material.embedder, []
    for first, text, vector in zip(talks.first.tolist(), talks.texts, embedder.embed(talks.texts), strict=True):
        task = Task(text=text, turns=(Turn(role="user", text=val.features[first].text),))
        mixed = await with_topic(vector, task, embedder, weight=weight)
        rows.append(router.estimate(TaskFeatures(mixed, text), material.pool).quality)
    return np.stack(rows)


def chosen(quality: FloatArray, talks: Talks, lead: float) -> IndexArray:
    """Return who is chosen with a lead for who answered, (m,)."""
    led = quality.copy()
    led[np.arange(len(led)), talks.speaker] += lead * np.array([leaning(text) for text in talks.texts])
    best: IndexArray = led.argmax(axis=1)
    return best


def measure(names: Sequence[str], material: Material, *, conversations: int, each: int, seed: int) -> list[Row]:
    """Return a row for each router, weight and lead."""
    rng, rows = np.random.default_rng(seed), []
    scope = np.flatnonzero(material.val.quality.max(axis=1) > 0)
    first = rng.choice(scope, min(conversations, len(scope)), replace=False)
    staying, leaving = follow_ups(material.val, first, rng), changes(material.val, first, rng)
    for name in names:
        router = fitted(name, material, each, np.random.default_rng(seed))
        for weight in WEIGHTS:
            stays = asyncio.run(qualities(router, staying, material, weight))
            leaves = asyncio.run(qualities(router, leaving, material, weight))
            for lead in LEADS:
                stayed, left = chosen(stays, staying, lead), chosen(leaves, leaving, lead)
                shares = (stayed == staying.wanted, left != leaving.speaker, left == leaving.wanted)
                rows.append(Row(name, weight, lead, *(round(float(share.mean()), 4) for share in shares)))
    return rows


def table_of(rows: Sequence[Row]) -> Table:
    """Lay the rows out."""
    table = Table(title="conversations of two messages")
    for name in ("router", "topic weight", "stickiness", "stay", "leave", "right"):
        table.add_column(name, justify="left" if name == "router" else "right")
    for row in rows:
        shares = (f"{share:.3f}" for share in (row.stay, row.leave, row.right))
        table.add_row(row.router, f"{row.topic_weight:g}", f"{row.stickiness:g}", *shares)
    return table


def main(arguments: Sequence[str]) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print JSON in place of a table")
    parser.add_argument("--set", default=str(SETS / "clinc150"), help="the folder of a recorded set of labels")
    parser.add_argument("--routers", default="linear,kernel", help="names, separated by commas")
    parser.add_argument("--conversations", type=int, default=600, help="how many of each of the two kinds")
    parser.add_argument("--each", type=int, default=30, help="train tasks of every agent that routers are fitted on")
    parser.add_argument("--seed", type=int, default=0, help="what draws the conversations")
    options = parser.parse_args(arguments)
    material = prepare(load_set(options.set), StaticEmbedder())
    rows = measure(
        options.routers.split(","),
        material,
        conversations=options.conversations,
        each=options.each,
        seed=options.seed,
    )
    if options.json:
        print(json.dumps({"set": material.recorded.info.name, "rows": [asdict(row) for row in rows]}, indent=2))
    else:
        Console().print(table_of(rows))


if __name__ == "__main__":
    main(sys.argv[1:])
