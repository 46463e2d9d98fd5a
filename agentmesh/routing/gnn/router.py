"""Routes by a graph neural network over the knowledge graph of tasks, entities, skills and agents; serves in numpy."""

import warnings
from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import Any, ClassVar, Final

from numpy.typing import NDArray

from agentmesh.errors import MissingExtraError
from agentmesh.packing import unpack_vector
from agentmesh.records import Experience
from agentmesh.routing.base import AgentPool, Estimate, Outcomes, ScoringRouter, TaskFeatures
from agentmesh.routing.gnn.arguments import GnnArguments
from agentmesh.routing.gnn.memory import GnnMemory
from agentmesh.routing.gnn.model import GnnModel
from agentmesh.routing.gnn.scoring import Scoring
from agentmesh.routing.priors import curiosity_of, own_latency
from agentmesh.routing.progress import Say
from agentmesh.routing.state import Arrays
from agentmesh.types import JsonValue

TRAINER: Final = "agentmesh.routing.gnn.training.train"


class GnnRouter(ScoringRouter):
    """Predicts each agent's quality by message passing over past tasks, skills, entities and agents.

    The graph: agents *solved* or *failed* past tasks (typed edges that carry quality), tasks ask for skills, name
    entities, and are linked with tasks like them. Three parts are added to the logit z of an agent's quality:

    1. **Paths** from the task to the agent. With guess g from card and price, own mean m of the agent's outcomes
       (g weighs ``own_strength`` outcomes), c the mean over the task's skills (m, moved by how hard the skill is for
       all, weighs ``skill_strength`` in each) and r the mean over the ``neighbours`` most similar past tasks, weighed
       by exp((cos - max cos) / temperature) (c weighs ``near_strength``)::

           z = L(m) + skill_gain (L(c) - L(m)) + near_gain (L(r) - L(c))        # L(p) = log(p / (1 - p))

       In m and c an outcome counts less the ease of its task for the other agents (:mod:`agentmesh.routing.gnn.ease`).

    2. **Product head** (``deep``): two layers of outcome-typed mean messages give embeddings h; a new task's comes from
       its own features, its near tasks and its skills, an agent's from its card and the tasks it solved and failed::

           z += w . tanh(W_q h_q * W_a h_a)

    3. **Wide part**, for labels alone: the task's vector and hashed words, as in linear regression.

    Quality is sigmoid(z); on labels, where one agent at most is right, softmax(z) with one more outcome, "nobody". Cost
    is the agent's mean, corrected by a second head. Trained on hidden outcomes: 30-50 % of the tasks are hidden in each
    step and some of them predicted; agents are shown with few outcomes now and then, so that new ones are judged well.

    :meth:`fit` trains (extra ``gnn``; minutes); serving needs numpy alone. Outcomes learned one by one reach the paths
    and the agents' embeddings at once, with the network as it is: a new agent enters by its card and first outcomes.
    Before any training the paths alone decide, which is kernel regression. A new version of an agent starts afresh.

    References: AgentRouter (arXiv 2510.05445) for the graph and soft targets, GraphRouter (arXiv 2410.03834) for
    inductive edge prediction, NBFNet (arXiv 2106.06935) for paths, Wide & Deep (arXiv 1606.07792).

    Args:
        hidden: The length of embeddings, 1 and up.
        passes: How often training sees every task, 0 and up; the best pass is kept.
        rate: The step length of training, above 0.
        hide: The share of past tasks that a step hides, between 0 and 1; 0.3 to 0.5 are sensible.
        neighbours: How many past tasks are looked at, 1 and up.
        clusters: How many skills are made where no groups are named, 1 and up.
        entities: Whether entities are read.
        typed: Whether messages differ by outcome.
        like: Whether tasks like the task are looked at.
        soft: Whether the ranking targets are soft: softmax(quality / 0.25), else the first of the best.
        deep: Whether there is a product head.
        curiosity: How much the rarely tried are preferred, 0 (never explore) to about 0.3.
        max_tasks: How many past tasks are kept, 1 and up.
        seed: Fixes the training.
        policy: As in :class:`~agentmesh.routing.base.ScoringRouter`.

    >>> import numpy as np
    >>> east, north = np.eye(2, dtype=np.float32)
    >>> unknown, vectors = np.full(2, np.nan), np.zeros((2, 2), np.float32)
    >>> versions, mask = np.ones(2, np.int64), np.ones(2, np.bool_)
    >>> pool = AgentPool(("a", "b"), vectors, unknown, unknown, unknown, unknown, versions, mask, "r1")
    >>> router = GnnRouter()  # never trained
    >>> router.score(TaskFeatures(north, "anything"), pool).tolist()
    [0.5, 0.5]
    """

    name: ClassVar[str] = "gnn"
    calibrated: bool = True
    trains: bool = True

    def __init__(
        self,
        *,
        hidden: int = 64,
        passes: int = 8,
        rate: float = 1e-3,
        hide: float = 0.4,
        neighbours: int = 128,
        clusters: int = 16,
        entities: bool = False,
        typed: bool = True,
        like: bool = True,
        soft: bool = True,
        deep: bool = True,
        curiosity: float = 0.1,
        max_tasks: int = 20_000,
        seed: int = 0,
        policy: str = "greedy",
    ) -> None:
        arguments = GnnArguments(
            hidden=hidden,
            passes=passes,
            rate=rate,
            hide=hide,
            neighbours=neighbours,
            clusters=clusters,
            entities=entities,
            typed=typed,
            like=like,
            soft=soft,
            deep=deep,
            curiosity=curiosity,
            max_tasks=max_tasks,
            seed=seed,
        )
        super().__init__(policy=policy, **arguments.as_parameters())
        self._arguments = arguments
        self._memory = GnnMemory(arguments)

    @property
    def model(self) -> GnnModel | None:
        """Return the trained part, ``None`` before the first training."""
        return self._memory.model

    @property
    def training(self) -> Mapping[str, JsonValue]:
        """Return how the training went, as :class:`~agentmesh.routing.gnn.trained.TrainingCard` has it."""
        return {} if self.model is None else self.model.card

    def without_tasks(self) -> "GnnRouter":
        """Return a router that knows no past task by itself, and so is small enough to be handed on.

        It keeps the network, what each agent has shown in all and by skill, and the agents' embeddings. It has a base
        of its own, since it decides otherwise than this one.
        """
        build: Callable[..., GnnRouter] = type(self)
        lighter = build(**self.parameters)
        lighter.restore(self.snapshot())
        lighter._memory.tasks.clear()
        lighter.rebase(f"{self.version} without its tasks")
        return lighter

    def estimate(self, features: TaskFeatures, pool: AgentPool) -> Estimate:
        """Predict each agent's quality and cost."""
        scoring = Scoring.of(features, pool, self._memory)
        means = scoring.means
        curiosity = curiosity_of(means, self._arguments.curiosity)
        return Estimate(
            quality=scoring.quality,
            cost=scoring.cost(),
            latency=own_latency(means, pool.latency_s),
            factors={"curiosity": curiosity, **scoring.factors()},
            curiosity=curiosity,
            intent=scoring.intent(),
            evidence=scoring.evidence,
            votes=scoring.votes(),
        )

    def _fit_checked(self, outcomes: Outcomes, val: Outcomes | None, say: Say) -> None:
        train: Callable[..., Any] = trainer().train
        trained = train(outcomes, self._arguments, val=val, say=say)
        self._memory = GnnMemory.trained(self._arguments, outcomes, trained)

    def _learn(self, experience: Experience) -> None:
        self._memory.learn(experience, unpack_vector(experience.vector))

    def _arrays(self) -> Arrays:
        return self._memory.arrays()

    def _meta(self) -> Mapping[str, JsonValue]:
        return self._memory.meta()

    def _load(self, arrays: Mapping[str, NDArray[Any]], meta: Mapping[str, JsonValue]) -> None:
        self._memory = GnnMemory.load(self._arguments, arrays, meta)


def trainer() -> Any:
    """Return the module that trains.

    Raises:
        MissingExtraError: torch or torch-geometric is not installed.
    """
    for package in ("torch", "torch_geometric"):
        if find_spec(package) is None:
            raise MissingExtraError(package, extra="gnn")
    with warnings.catch_warnings():  # torch-geometric calls what torch deprecates: nothing that a user could mend
        warnings.simplefilter("ignore", DeprecationWarning)
        return import_module(TRAINER)
