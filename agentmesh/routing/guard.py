"""Says how familiar a task is, so that a cascade can answer "nobody fits" where it is not."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from agentmesh.errors import ConfigError
from agentmesh.routing.inputs import Outcomes, TaskFeatures
from agentmesh.routing.kinds import KindModel, are_labels, in_scope, kinds_of
from agentmesh.routing.ledger import part
from agentmesh.routing.state import Arrays
from agentmesh.types import FloatArray, IndexArray, JsonValue, VectorArray

HELD_BACK: Final = 5
"""Without val every fifth task is held back from what is learned, to calibrate on."""
FEWEST: Final = 8  # held back tasks; fewer say nothing of what is usual
TINY: Final = 1e-6


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
    only nearness counts. With n held back tasks, r of them at most as familiar as this one, familiarity is
    (1 + r) / (1 + n): below 1 - ``coverage`` it comes up for at most that share of tasks like those held back, whatever
    they are. So few held back tasks turn nobody away: below 1 / (1 + n) it never falls.

    Only tasks that somebody fits are learned from; what is out of scope has no effect. Before it is fitted everything
    is familiar, and :attr:`reason` says why.

    Reference: Vovk, Gammerman and Shafer, Algorithmic learning in a random world, 2005, for the p-value; Larson et al.,
    An evaluation dataset for intent classification and out-of-scope prediction, 2019, for the task.

    Args:
        coverage: The share of in-domain tasks to be answered, above 0 to 1 (nobody is turned away).
        nearness: What nearness weighs beside the lead, 0 and up.
        max_tasks: How many past tasks are kept, 1 and up, spread evenly over their kinds.
        buckets: Places for hashed n-grams, a power of two from 256 up.
        seed: Orders the tasks while fitting.

    Memory: 2 bytes x ((d + ``buckets``) x kinds + d x ``max_tasks``).
    """

    def __init__(
        self,
        *,
        coverage: float = 0.93,
        nearness: float = 0.5,
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
        self._fitted: _Fitted | None = None
        self._reason = "it was not fitted yet"

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

        Without ``val`` every fifth task of ``outcomes`` is held back for that. With too few tasks to hold back it stays
        unfitted and says so by :attr:`reason`.

        Raises:
            ConfigError: ``val`` holds no task that somebody fits.
        """
        labels = are_labels(outcomes)
        known = _rows(outcomes, np.flatnonzero(in_scope(outcomes, labels=labels)))
        if val is None:
            places = np.arange(len(known))
            held = places % HELD_BACK == HELD_BACK - 1
            known, val = _rows(known, places[~held]), _rows(known, places[held])
        else:
            val = _rows(val, np.flatnonzero(in_scope(val, labels=labels)))
            if not len(val):
                raise ConfigError("val holds no task that somebody fits; expected some, or no val at all")
        self._fitted = None
        if len(val) < FEWEST or not len(known):
            self._reason = f"{len(val)} held back tasks are too few to say what is usual; expected {FEWEST} or more"
            return
        self._fitted = self._learned(known, kinds_of(known, labels=labels), val)

    def _learned(self, known: Outcomes, kind: IndexArray, held_back: Outcomes) -> "_Fitted":
        kept = evenly(kind, self._max_tasks)
        model = KindModel.trained(known.vectors, known.texts, kind, buckets=self._buckets, seed=self._seed)
        starts = np.searchsorted(kind[kept], np.arange(model.kinds + 1))
        raw = _Fitted(model, known.vectors[kept].astype(np.float16), starts, np.eye(2), np.zeros(0))
        signals = np.stack([raw.signals(*task) for task in zip(held_back.vectors, held_back.texts, strict=True)])
        scale = np.stack([signals.mean(axis=0), signals.std(axis=0) + TINY])
        fitted = replace(raw, scale=scale)
        return replace(fitted, usual=np.sort(fitted.scores(signals, self._nearness)))

    def familiarity(self, features: TaskFeatures) -> float:
        """Return the share of held back in-domain tasks that are at most as familiar, above 0 to 1; 1 when not fitted.

        Raises:
            ConfigError: the vector has another length than those it was fitted on.
        """
        fitted = self._fitted
        if fitted is None:
            return 1.0
        score = fitted.scores(fitted.signals(features.vector, features.text)[None], self._nearness)[0]
        return float((1 + np.searchsorted(fitted.usual, score, side="right")) / (1 + len(fitted.usual)))

    def passes(self, features: TaskFeatures) -> bool:
        """Return whether the task is familiar enough for somebody to fit."""
        return self.familiarity(features) >= self.threshold

    def arrays(self) -> Arrays:
        """Return the arrays of the state by name; with :meth:`meta` they rebuild this guard bit for bit."""
        fitted = self._fitted
        if fitted is None:
            return {}
        own: Arrays = {"tasks": fitted.tasks, "starts": fitted.starts, "scale": fitted.scale, "usual": fitted.usual}
        return {**fitted.model.arrays(), **own}

    def meta(self) -> dict[str, JsonValue]:
        """Return the part of the state that is no array."""
        return {"reason": self._reason} if self._fitted is None else {"reason": "", **self._fitted.model.meta()}

    def load(self, arrays: Arrays, meta: Mapping[str, JsonValue]) -> None:
        """Become the guard that :meth:`arrays` and :meth:`meta` were taken from.

        Raises:
            ConfigError: a part is missing or the parts do not fit together.
        """
        reason = meta.get("reason")
        if not isinstance(reason, str):
            raise ConfigError(f"the state of a guard gives the reason {reason!r}; take one of arrays() and meta()")
        self._fitted, self._reason = (None, reason) if reason else (_Fitted.load(arrays, meta), "")


def evenly(kind: IndexArray, most: int) -> IndexArray:
    """Return the places of up to ``most`` tasks, by kind: the last of each, as many of one as of another.

    >>> evenly(np.array([0, 1, 0, 0, 1, 0]), 4).tolist()
    [3, 5, 1, 4]
    """
    order = np.argsort(kind, kind="stable")
    counts = np.bincount(kind)
    ends = np.cumsum(counts)
    age = np.repeat(ends, counts) - np.arange(len(kind))  # 1 for the last task of a kind
    share = max(1, most // max(1, len(counts)))
    return order[age <= share][:most]


def _rows(outcomes: Outcomes, places: IndexArray) -> Outcomes:
    return replace(
        outcomes,
        vectors=outcomes.vectors[places],
        texts=tuple(outcomes.texts[place] for place in places),
        groups=tuple(outcomes.groups[place] for place in places),
        quality=outcomes.quality[places],
        cost=outcomes.cost[places],
        propensity=None if outcomes.propensity is None else outcomes.propensity[places],
    )


@dataclass(frozen=True, slots=True)
class _Fitted:
    """What was learned: the kinds, some past tasks in the order of their kinds, and how familiar in-domain tasks are.

    Shapes:
        tasks: (t, d) float16. starts: (kinds + 1,) where the tasks of each kind begin. scale: (2, 2) mean and standard
        deviation of both signals over the held back tasks. usual: (n,) the scores of these, rising.
    """

    model: KindModel
    tasks: NDArray[np.float16]
    starts: IndexArray
    scale: FloatArray
    usual: FloatArray

    def signals(self, vector: VectorArray, text: str) -> FloatArray:
        """Return the lead and the nearness of a task, (2,)."""
        if len(vector) != self.tasks.shape[1]:
            length = self.tasks.shape[1]
            raise ConfigError(
                f"a task vector has length {len(vector)!r}, past ones had {length!r}; use the same embedder"
            )
        logits = self.model.logits(vector, text)
        likeliest = int(logits.argmax())
        near = self.tasks[self.starts[likeliest] : self.starts[likeliest + 1]].astype(np.float32) @ vector
        return np.array([logits[likeliest] - logits.mean(), near.max(initial=-1.0)], np.float64)

    def scores(self, signals: FloatArray, nearness: float) -> FloatArray:
        """Add up standardised signals, (m,) of (m, 2)."""
        standard = (signals - self.scale[0]) / self.scale[1]
        total: FloatArray = standard @ np.array([1.0, nearness if self.model.kinds > 1 else 1.0])
        return total

    @classmethod
    def load(cls, arrays: Arrays, meta: Mapping[str, JsonValue]) -> "_Fitted":
        model = KindModel.load(arrays, meta)
        tasks, starts, scale, usual = (part(arrays, name) for name in ("tasks", "starts", "scale", "usual"))
        if tasks.ndim != 2 or starts.shape != (model.kinds + 1,) or scale.shape != (2, 2) or usual.ndim != 1:
            raise ConfigError(f"tasks {tasks.shape!r} do not fit {model.kinds!r} kinds; take a state of arrays()")
        return cls(model, tasks.astype(np.float16), starts.copy(), scale.copy(), usual.copy())
