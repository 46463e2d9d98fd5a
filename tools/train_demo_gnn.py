"""Trains the GNN router that the demo ships: on train rows of mmlu_pro that are not among the demo's questions.

Run as ``python tools/train_demo_gnn.py``; needs the extra ``gnn`` and some minutes. Rows of val choose the checkpoint,
rows of test cannot be opened here. Past tasks are taken out before it is written, so that the file stays small.
"""

import argparse
import sys
from pathlib import Path

from agentmesh.demo.team import shipped_data
from agentmesh.demo.trained import GNN_FILE
from agentmesh.embed.static import StaticEmbedder
from agentmesh.learning.pools import pool_of_cards
from agentmesh.learning.sets import texts_of
from agentmesh.protocols import Embedder
from agentmesh.recorded.reader import RecordedSet, Rows, load_set
from agentmesh.routing.base import AgentPool, Outcomes
from agentmesh.routing.gnn.router import GnnRouter
from agentmesh.routing.state_file import StateCard, write_router

SET = Path(__file__).parents[1] / "benchmarks" / "sets" / "mmlu_pro"


def other_rows(rows: Rows, shown: set[str]) -> list[int]:
    """Return which rows are of questions that are not among those the demo shows."""
    return [row for row, text in enumerate(texts_of(rows)) if text not in shown]


def table_of(rows: Rows, kept: list[int], embedder: Embedder, pool: AgentPool) -> Outcomes:
    """Return some rows as a table to learn from."""
    texts = texts_of(rows)
    return Outcomes(
        agent_ids=rows.agent_ids,
        vectors=embedder.embed([texts[row] for row in kept]),
        texts=tuple(texts[row] for row in kept),
        groups=tuple(rows.groups[row] for row in kept),
        quality=rows.table.quality[kept],
        cost=rows.table.cost[kept],
        pool=pool,
    )


def tables_of(recorded: RecordedSet, shown: set[str], embedder: Embedder) -> tuple[Outcomes, Outcomes]:
    """Return what is trained on and what chooses the checkpoint, neither with a question of the demo."""
    pool, view = pool_of_cards(recorded.agents, embedder), recorded.fit_view()
    train, val = (table_of(rows, other_rows(rows, shown), embedder, pool) for rows in (view.train, view.val))
    assert not shown & {*train.texts, *val.texts}  # noqa: S101 - the claim that the demo prints rests on it
    assert len(train) == len(view.train) - len(shown)  # noqa: S101 - each question of the demo was a train row
    return train, val


def train_into(folder: Path, router: GnnRouter, *, source: Path = SET) -> StateCard:
    """Train ``router``, take its past tasks out, and write it and its card into ``folder``."""
    shown = {task.text for task in load_set(shipped_data()).tasks}
    embedder = StaticEmbedder()
    train, val = tables_of(load_set(source), shown, embedder)
    router.fit(train, val=val, say=tell)
    return write_router(folder / GNN_FILE, router.without_tasks(), embedder=embedder.version)


def tell(doing: str) -> None:
    """Say on stderr what is being done."""
    sys.stderr.write(f"{doing}\n")


def main() -> None:
    """Train and write, and print the card."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=shipped_data(), help="a folder; by default the package's")
    options = parser.parse_args()
    card = train_into(options.out, GnnRouter())
    sys.stdout.write(card.model_dump_json(indent=2) + "\n")


if __name__ == "__main__":
    main()
