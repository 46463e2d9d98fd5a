"""Says how familiar a task is, so that a cascade can answer "nobody fits" where it is not."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from agentmesh.errors import ConfigError
from agentmesh.routing.familiarity import Familiarity
from agentmesh.routing.inputs import Outcomes, TaskFeatures
from agentmesh.routing.kinds import KindModel, are_labels, in_scope, kinds_of
from agentmesh.routing.state import Arrays
from agentmesh.types import AgentId, FloatArray, IndexArray, JsonValue

HELD_BACK: Final = 5
"""Without val a fifth of the tasks is held back from what is learned, to calibrate on."""
COVERAGES: Final = (0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.92, 0.94, 0.95, 0.96, 0.97, 0.98, 0.99, 1.0)
FEWEST: Final = 8  # held back tasks; fewer say nothing of what is usual


@dataclass(frozen=True, slots=True)
class CoveragePoint:
    """The tasks answered at one threshold: their share of all in-domain tasks, and what answering was worth on them."""

    threshold: float
    coverage: float
    quality: float


class Guard:
    """Says what share of held back in-domain tasks is less familiar than a task: a conformal p-value.

    Rule: two signals, each as standard deviations from its mean over the held back tasks, are added. The *lead* is how
    far the logit of the likeliest kind of task lies above the mean of all kinds; a kind is what one agent is right for,
    or a group. *Nearness* is the cosine with the nearest past task of that kind; it weighs ``nearness``. With one kind
    only nearness counts. What is usual for the kinds that the task may be of, each by its likelihood, is subtracted,
    since some kinds are worded more alike than others. With n held back tasks, r of them at most as familiar as this
    one, familiarity is (1 + r) / (1 + n): a task like those held back falls below 1 - ``coverage`` with at most about
    that chance. Few held back tasks turn nobody away: it never falls below 1 / (1 + n).

    Only tasks that somebody fits are learned from; what is out of scope has no effect. Before it is fitted everything
    is familiar, and :attr:`reason` says why.

    Reference: Vovk, Gammerman and Shafer, Algorithmic learning in a random world, 2005, for the p-value; Larson et al.,
    An evaluation dataset for intent classification and out-of-scope prediction, 2019, for the task.

    Args:
        coverage: The share of in-domain tasks to be answered, above 0 to 1 (nobody is turned away). With whole domains
            of clinc150 left out as strangers, .91 to .93 was best; strangers among its own domains wanted less.
        nearness: What nearness weighs beside the lead, 0 and up; chosen on the same strangers.
        max_tasks: How many past tasks are kept, 1 and up, spread evenly over their kinds.
        buckets: Places for hashed n-grams, a power of two from 256 up.
        seed: Orders the tasks while fitting.

    Memory: 2 bytes x ((d + ``buckets``) x kinds + d x ``max_tasks``).
    """

    def __init__(
        self,
        *,
        coverage: float = 0.92,
        nearness: float = 0.3,
        max_tasks: int = 4096,
        buckets: int = 8192,
        seed: int = 0,
    ) -> None:
        if not 0.0 < coverage <= 1.0:
            raise ConfigError(f"coverage is {coverage!r}; it must be above 0 and at most 1")
        if not 0.0 <= nearness < np.inf:
            raise ConfigError(f"nearness is {nearness!r}; it must be a finite number from 0 up")
        if max_tasks < 1 or seed < 0:
            raise ConfigError(f"max_tasks is {max_tasks!r} and seed {seed!r}; they must be at least 1 and 0")
        if buckets < 256 or buckets & (buckets - 1):
            raise ConfigError(f"buckets is {buckets!r}; it must be a power of two from 256 up")
        self.coverage, self._nearness, self._max_tasks = coverage, nearness, max_tasks
        self._buckets, self._seed = buckets, seed
        self._fitted: Familiarity | None = None
        self._reason = "it was not fitted yet"
        self._agent_ids: tuple[AgentId, ...] = ()

    @property
    def parameters(self) -> Mapping[str, JsonValue]:
        """Return the JSON-able arguments this was built with: ``type(guard)(**parameters)`` builds its twin."""
        return {
            "coverage": self.coverage,
            "nearness": self._nearness,
            "max_tasks": self._max_tasks,
            "buckets": self._buckets,
            "seed": self._seed,
        }

    @property
    def is_fitted(self) -> bool:
        """Return whether it can tell tasks apart; otherwise everything passes."""
        return self._fitted is not None

    @property
    def reason(self) -> str:
        """Return why it is not fitted, "" when it is."""
        return "" if self.is_fitted else self._reason

    @property
    def agent_ids(self) -> tuple[AgentId, ...]:
        """Return the agents whose tasks it knows, () before it is fitted; tasks of others are strange to it."""
        return self._agent_ids

    @property
    def threshold(self) -> float:
        """Return the familiarity below which nobody fits; 0 before it is fitted, so nothing is turned away."""
        return self.at_coverage(self.coverage)

    def at_coverage(self, coverage: float) -> float:
        """Return the threshold that answers this share of in-domain tasks.

        Raises:
            ConfigError: ``coverage`` is not above 0 and at most 1.
        """
        if not 0.0 < coverage <= 1.0:
            raise ConfigError(f"coverage is {coverage!r}; it must be above 0 and at most 1")
        return 1.0 - coverage if self.is_fitted else 0.0

    def fit(self, outcomes: Outcomes, *, val: Outcomes | None = None) -> None:
        """Learn what is familiar from ``outcomes`` and calibrate it on ``val``, in place of what was learned before.

        Without ``val`` a fifth of the tasks, drawn by the seed, is held back for that. With too few to hold back it
        stays unfitted and says so by :attr:`reason`.

        Raises:
            ConfigError: ``val`` holds no task that somebody fits.
        """
        labels = are_labels(outcomes)
        known = outcomes.rows(np.flatnonzero(in_scope(outcomes, labels=labels)))
        if val is None:
            held = np.random.default_rng(self._seed).permutation(len(known)) % HELD_BACK == HELD_BACK - 1
            known, val = known.rows(np.flatnonzero(~held)), known.rows(np.flatnonzero(held))
        else:
            val = val.rows(np.flatnonzero(in_scope(val, labels=labels)))
            if not len(val):
                raise ConfigError("val holds no task that somebody fits; expected some, or no val at all")
        self._fitted, self._agent_ids = None, ()
        if len(val) < FEWEST or not len(known):
            self._reason = f"{len(val)} held back tasks are too few to say what is usual; expected {FEWEST} or more"
            return
        self._fitted = self._learned(known, kinds_of(known, labels=labels), val)
        self._agent_ids = _with_tasks(known, labels=labels)

    def _learned(self, known: Outcomes, kind: IndexArray, held_back: Outcomes) -> Familiarity:
        model = KindModel.trained(known.vectors, known.texts, kind, buckets=self._buckets, seed=self._seed)
        learned = Familiarity.learned(known, kind, model, most=self._max_tasks, nearness=self._nearness)
        return learned.calibrated(held_back)

    def familiarity(self, features: TaskFeatures) -> float:
        """Return the share of held back in-domain tasks that are at most as familiar, above 0 to 1; 1 when not fitted.

        Raises:
            ConfigError: the vector has another length than those it was fitted on.
        """
        return 1.0 if self._fitted is None else self._fitted.share(features.vector, features.text)

    def passes(self, features: TaskFeatures) -> bool:
        """Return whether the task is familiar enough for somebody to fit."""
        return self.familiarity(features) >= self.threshold

    def curve(
        self, tasks: Sequence[TaskFeatures], quality: FloatArray, coverages: Sequence[float] = COVERAGES
    ) -> tuple[CoveragePoint, ...]:
        """Return what answering is worth at each coverage, over in-domain tasks that were held back.

        Shapes:
            quality: (len(tasks),) what came of the agent that a router chose for each task, 0 to 1.

        Raises:
            ConfigError: there is no task, or a coverage is not above 0 and at most 1.
        """
        if not tasks:
            raise ConfigError("a curve of no task was asked for; expected one held back task or more")
        familiar = np.array([self.familiarity(task) for task in tasks])
        return tuple(coverage_point(familiar, quality, self.at_coverage(coverage)) for coverage in coverages)

    def arrays(self) -> Arrays:
        """Return the arrays of the state by name; with :meth:`meta` they rebuild this guard bit for bit."""
        return {} if self._fitted is None else self._fitted.arrays()

    def meta(self) -> dict[str, JsonValue]:
        """Return the part of the state that is no array."""
        if self._fitted is None:
            return {"reason": self._reason, "agents": []}
        return {"reason": "", "agents": list(self._agent_ids), **self._fitted.meta()}

    def load(self, arrays: Arrays, meta: Mapping[str, JsonValue]) -> None:
        """Become the guard that :meth:`arrays` and :meth:`meta` were taken from.

        Raises:
            ConfigError: a part is missing or the parts do not fit together.
        """
        reason, agents = meta.get("reason"), meta.get("agents")
        if not isinstance(reason, str) or not isinstance(agents, list):
            raise ConfigError(
                f"the state of a guard has reason {reason!r} and agents {agents!r}; take one of arrays() and meta()"
            )
        self._fitted, self._reason = (None, reason) if reason else (Familiarity.load(arrays, meta), "")
        self._agent_ids = tuple(str(agent_id) for agent_id in agents)


def _with_tasks(known: Outcomes, *, labels: bool) -> tuple[AgentId, ...]:
    seen = (known.quality > 0.0) if labels else ~np.isnan(known.quality)
    return tuple(known.agent_ids[column] for column in np.flatnonzero(seen.any(axis=0)))


def coverage_point(familiar: FloatArray, quality: FloatArray, threshold: float) -> CoveragePoint:
    """Return how much is answered at a threshold, and what that is worth; quality is NaN where nothing is.

    >>> coverage_point(np.array([0.1, 0.6, 0.9]), np.array([0.0, 1.0, 0.5]), 0.5).quality
    0.75

    Shapes:
        familiar, quality: (m,), m >= 1.
    """
    answered = familiar >= threshold
    mean = float(quality[answered].mean()) if answered.any() else np.nan
    return CoveragePoint(threshold=threshold, coverage=float(answered.mean()), quality=mean)
