"""What the demo returns. ``DemoResult.model_dump(mode="json")`` is what ``agentmesh demo --json`` prints."""

from pydantic import Field

from agentmesh.records import Record


class Figure(Record):
    """Mean quality and mean cost of a way to choose."""

    quality: float
    cost_usd_per_1k: float


class Baselines(Record):
    """The ways to choose that the router is held against, on the same questions.

    ``random`` is the expectation; ``cheapest`` and ``best_single`` give every question to one agent, the one that
    turned out cheapest or best (in hindsight); ``knn`` and ``pheromone`` are routers that learn one by one as this one
    did; ``gnn`` did not begin with nothing: it was trained on every agent's answers to other questions before the first
    of these, and learns on from there; ``oracle`` has seen every answer.
    """

    random: Figure
    cheapest: Figure
    best_single: Figure
    knn: Figure
    pheromone: Figure
    gnn: Figure
    oracle: Figure


class Progress(Record):
    """How far the demo is, and what the answers so far were worth."""

    done: int
    total: int
    quality: float
    cost_usd_per_1k: float


class Earned(Record):
    """What a demo that is watched came to so far: this router, and the best single agent on the same questions."""

    done: int
    total: int
    own: Figure
    best_single: Figure
    best_single_id: str

    @property
    def share_of_best_single_cost(self) -> float:
        """Return what the router spent, as a share of what the best single agent would have cost."""
        return self.own.cost_usd_per_1k / self.best_single.cost_usd_per_1k


class Explained(Record):
    """One decision in words: the question, why this agent, and what came of it."""

    run_id: str
    title: str
    question: str
    words: str
    quality: float
    cost_usd: float


class DemoResult(Record):
    """What came of the demo. The fields after ``db`` are for the table and not in the JSON."""

    tasks: int
    quality: float
    cost_usd_per_1k: float
    share_of_best_single_cost: float
    baselines: Baselines
    db: str
    router: str = Field(exclude=True)
    best_single: str = Field(exclude=True)
    cheapest: str = Field(exclude=True)
    gnn_tasks: int = Field(exclude=True)
    explained: tuple[Explained, ...] = Field(default=(), exclude=True)
    elapsed_s: float = Field(default=0.0, exclude=True)
