"""Trains the network over the knowledge graph: mini-batches that predict hidden outcomes, and the best checkpoint.

Needs the extra ``gnn``. Nothing is published here: whoever is interrupted leaves what serves as it was.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Final

import numpy as np
import torch

from agentmesh.errors import RoutingError
from agentmesh.routing.base import Outcomes
from agentmesh.routing.gnn.arguments import GnnArguments
from agentmesh.routing.gnn.graph import by_id, training_graph
from agentmesh.routing.gnn.skills import with_skills
from agentmesh.routing.gnn.trained import Trained
from agentmesh.routing.gnn.training.data import GraphData, Queries
from agentmesh.routing.gnn.training.fitting import Fitting, shape_of
from agentmesh.routing.gnn.training.queries import queries_of
from agentmesh.routing.progress import Say
from agentmesh.types import IndexArray

LISTED: Final = 1.5
"""How many neighbours are listed for each that is looked at: while training, some are hidden."""

HELD_SHARE: Final = 0.1
FEWEST_TO_HOLD: Final = 30
"""A table of fewer tasks is not parted: a handful of tasks would choose a checkpoint by luck."""


def train(outcomes: Outcomes, arguments: GnnArguments, *, val: Outcomes | None = None, say: Say) -> Trained:
    """Train the network on a table of outcomes.

    Args:
        outcomes: What it learns from.
        arguments: Of the router.
        val: What the checkpoint is chosen on; by default a tenth of ``outcomes``, drawn by the seed.
        say: Told how far it is, about once a pass.

    Raises:
        RoutingError: there is not enough memory.
    """
    try:
        with torch.random.fork_rng(devices=[]), single_thread():
            torch.manual_seed(arguments.seed)
            return _trained(outcomes, arguments, val, say)
    except (MemoryError, torch.OutOfMemoryError) as error:
        raise RoutingError(_too_large(outcomes)) from error
    except RuntimeError as error:
        if "allocate memory" not in str(error):
            raise
        raise RoutingError(_too_large(outcomes)) from error


def _too_large(outcomes: Outcomes) -> str:
    tasks, agents = outcomes.quality.shape
    return (
        f"there is not enough memory to train on {tasks} tasks of {agents} agents; what served before serves on: "
        "give fewer tasks (max_tasks) or a smaller network (hidden)"
    )


@contextmanager
def single_thread() -> Iterator[None]:
    """Run torch on one thread: on small graphs two threads wait for one another longer than they work."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _trained(outcomes: Outcomes, arguments: GnnArguments, val: Outcomes | None, say: Say) -> Trained:
    table = with_skills(by_id(outcomes), arguments.clusters, seed=arguments.seed)
    pool = table.pool
    assert pool is not None  # noqa: S101 - by_id gives one
    say("building the knowledge graph")
    listed = int(LISTED * arguments.neighbours)
    graph = training_graph(table, pool, entities=arguments.entities, neighbours=listed)
    shape = shape_of(graph, arguments)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    data = GraphData(graph, shape, device)
    fit, held = parted(len(graph), arguments.seed, given=val is not None)
    queries: Queries = data.queries
    if val is not None:
        queries = queries_of(by_id(replace(val, pool=outcomes.pool)), data, pool, listed)
        held = np.arange(len(queries))
    fitting = Fitting(data, arguments, fit=fit, held=held, queries=queries)
    card = fitting.run(say, validated="val" if val is not None else "tenth" if len(held) else "nothing")
    return fitting.handed_over(card)


def parted(tasks: int, seed: int, *, given: bool) -> tuple[IndexArray, IndexArray]:
    """Return the rows to learn from and the rows that choose the checkpoint, drawn by the seed.

    >>> [len(rows) for rows in parted(100, 0, given=False)]
    [90, 10]
    """
    order = np.random.default_rng([seed, 1]).permutation(tasks)
    count = 0 if given or tasks < FEWEST_TO_HOLD else int(HELD_SHARE * tasks)
    return np.sort(order[count:]), np.sort(order[:count])
