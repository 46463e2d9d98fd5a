"""What type of task a task is: types that were named, or types found among past tasks, and how sure that is."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from agentmesh.errors import ConfigError
from agentmesh.routing.clusters import cluster_centres
from agentmesh.routing.ledger import part
from agentmesh.routing.recent import Recent
from agentmesh.routing.regression import softmax, with_unknown
from agentmesh.types import FloatArray, IndexArray, JsonValue, VectorArray

OTHER: Final = "(other)"
"""The catch-all, always the first type: for tasks like none of the others, and for all before there are any.

In parentheses, so that a group called "other" is a type of its own; a hint or a group called "(other)" names no type.
"""
SHARPNESS: Final = 20.0
"""Of the softmax over cosines; from 12 to 30 quality on train streams of llmrouter9 and mmlu_pro is the same."""
STRANGE: Final = 0.1
"""A task whose best cosine with any centre is below this is taken for none of them."""
ENOUGH: Final = 128
"""Outcomes before types are looked for, and between two changes of the types."""
TASKS_A_TYPE: Final = 8
SLOWEST: Final = 500.0  # a centre moves at least this fast: by 1/500 of the way to each new task
FADE: Final = 1.0 - 1.0 / 1024.0  # of the mass that says how common a type is nowadays
RARE: Final = 0.004  # a type with less of the mass than this is retired
NOVEL, NOVEL_TASKS = 0.25, 12  # so many recent tasks, this unlike every centre, are a new type
SPLIT_TASKS, SPLIT_SIDE, SPLIT_COSINE = 32, 8, 0.6  # what a type must have recently, and each half; how unlike they are


@dataclass(frozen=True, slots=True)
class Remaking:
    """How new types follow from old ones: ``sources[i]`` has the shares of old types' evidence that type i takes over.

    ``found`` says that there were no types before, so that recent evidence is to be shared out among them.
    """

    sources: tuple[Mapping[int, float], ...]
    found: bool = False


class TaskTypes:
    """Knows the types of tasks and says how much a task is of each.

    A type is **named** by type hints, or by the groups of a table to fit on; or types are **found**: spherical k-means
    over the first 128 tasks, whose centres then follow the tasks. Found types change while they are used, one change
    for each 128 outcomes: the rarest is retired into the nearest one, recent tasks unlike all types become a new one, a
    large and loose one is split in two.

    Membership: a task that comes with a known hint is wholly of that type. Otherwise the catch-all gets
    ``1 / (1 + exp(20 (c - 0.1)))``, where c is the best cosine with a centre, and the rest goes to the types by a
    softmax over 20 x cosine; or, where groups were fitted, by a softmax regression whose temperature was calibrated on
    a fifth of the tasks that it was not trained on (Guo et al., On calibration of modern neural networks, 2017).

    Args:
        most: The most types to find, besides the catch-all; 0 finds none.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self.names: list[str] = [OTHER]
        self._centres: VectorArray = np.zeros((1, 0), np.float32)
        self._mass: FloatArray = np.zeros(1)
        self._recogniser: VectorArray = np.zeros((0, 0), np.float32)  # (d + 1, types but the first) once fitted
        self._numbered = 0

    def __len__(self) -> int:
        """Return the number of types, the catch-all included."""
        return len(self.names)

    @property
    def share(self) -> FloatArray:
        """Return how common each type is nowadays, (types,); the sum is 1, or 0 when nothing was seen."""
        total = float(self._mass.sum())
        shares: FloatArray = self._mass / total if total > 0 else self._mass.copy()
        return shares

    @property
    def is_fitted(self) -> bool:
        """Return whether the types come from the groups of a table."""
        return len(self._recogniser) > 0

    def membership(self, vector: VectorArray, hints: Sequence[str] = ()) -> FloatArray:
        """Return how much a task is of each type, (types,), summing to 1."""
        share = np.zeros(len(self))
        told = [self.names.index(hint) for hint in naming(hints) if hint in self.names]
        if told:
            share[told] = 1.0 / len(told)
            return share
        if len(self) == 1:
            share[0] = 1.0
            return share
        cosines = self._centres[1:] @ vector
        share[0] = 1.0 / (1.0 + np.exp(SHARPNESS * (float(cosines.max()) - STRANGE)))
        share[1:] = (1.0 - share[0]) * softmax(self._logits(vector, cosines).astype(np.float64))
        return share

    def _logits(self, vector: VectorArray, cosines: VectorArray) -> VectorArray:
        if not self.is_fitted:
            return np.float32(SHARPNESS) * cosines
        logits: VectorArray = vector @ self._recogniser[:-1] + self._recogniser[-1]
        return logits

    def admit(self, hints: Sequence[str], vector: VectorArray) -> int:
        """Make a type of each hint that is not known, and return how many that were."""
        fresh = [hint for hint in naming(hints) if hint not in self.names]
        for hint in fresh:
            self._append(hint, vector)
        return len(fresh)

    def _append(self, name: str, centre: VectorArray) -> None:
        if self._centres.shape[1] == 0:
            self._centres = np.zeros((len(self), len(centre)), np.float32)
        self.names.append(name)
        self._centres = np.vstack([self._centres, centre])
        self._mass = np.append(self._mass, 0.0)
        if self.is_fitted:  # the regression never saw it: it is recognised by its hint alone
            self._recogniser = with_unknown(self._recogniser, 1)

    def follow(self, vector: VectorArray, share: FloatArray) -> None:
        """Count a task that was seen, and move the centre of its likeliest type towards it."""
        self._mass *= FADE
        self._mass += share
        likeliest = int(np.argmax(share))
        if likeliest == 0 or self.is_fitted:
            return
        weight = np.float32(min(self._mass[likeliest], SLOWEST))
        self._centres[likeliest] = _unit(weight * self._centres[likeliest] + vector)

    def review(self, recent: Recent) -> Remaking | None:
        """Find types, or make one change to those that were found; ``None`` when all stays as it is."""
        if self.is_fitted or self._most == 0 or recent.hinted > 0.5:
            return None
        if len(self) == 1:
            return self._find(recent)
        return self._retire() or self._add(recent) or self._split(recent)

    def _find(self, recent: Recent) -> Remaking | None:
        wanted = min(max(2, 3 * self._most // 4), self._most, len(recent) // TASKS_A_TYPE)  # room for later ones
        if wanted < 2:
            return None
        centres = cluster_centres(recent.vectors, wanted, seed=0)
        nearest = np.argmax(recent.vectors @ centres.T, axis=1)
        for place, centre in enumerate(centres):
            self._append(self._name(recent, np.flatnonzero(nearest == place)), centre)
        return Remaking(({0: 1.0}, *({} for _ in centres)), found=True)

    def _retire(self) -> Remaking | None:
        place = 1 + int(np.argmin(self._mass[1:]))
        if len(self) <= 2 or self._mass[place] >= RARE * self._mass.sum():
            return None
        cosines = self._centres @ self._centres[place]
        cosines[[0, place]] = -np.inf
        heir = int(np.argmax(cosines))
        kept = [old for old in range(len(self)) if old != place]
        self._mass[heir] += self._mass[place]
        self.names = [self.names[old] for old in kept]
        self._centres, self._mass = self._centres[kept], self._mass[kept]
        return Remaking(tuple({old: 1.0, place: 1.0} if old == heir else {old: 1.0} for old in kept))

    def _add(self, recent: Recent) -> Remaking | None:
        best = (recent.vectors @ self._centres[1:].T).max(axis=1)
        known = np.linalg.norm(recent.vectors, axis=1) > 0  # a text of which no word is known is like nothing
        strange = np.flatnonzero((best < NOVEL) & known)
        if len(self) > self._most or len(strange) < NOVEL_TASKS:
            return None
        before = len(self)
        self._append(self._name(recent, strange), _unit(recent.vectors[strange].mean(axis=0)))
        return Remaking((*({old: 1.0} for old in range(before)), {}))

    def _split(self, recent: Recent) -> Remaking | None:
        cosines = recent.vectors @ self._centres[1:].T
        nearest = np.argmax(cosines, axis=1)
        loose = np.bincount(nearest, 1.0 - cosines.max(axis=1), minlength=len(self) - 1)
        place = 1 + int(np.argmax(loose))
        members = np.flatnonzero(nearest == place - 1)
        if len(self) > self._most or len(members) < SPLIT_TASKS:
            return None
        halves = cluster_centres(recent.vectors[members], 2, seed=0)
        second = np.argmax(recent.vectors[members] @ halves.T, axis=1) == 1
        smaller = min(int(second.sum()), int((~second).sum()))
        if smaller < SPLIT_SIDE or float(halves[0] @ halves[1]) > SPLIT_COSINE:
            return None
        return self._parted(recent, place, members, second, halves)

    def _parted(
        self, recent: Recent, place: int, members: IndexArray, second: NDArray[np.bool_], halves: VectorArray
    ) -> Remaking:
        before, part_of_second = len(self), float(second.mean())
        self.names[place] = self._name(recent, members[~second])
        self._centres[place] = halves[0]
        self._append(self._name(recent, members[second]), halves[1])
        self._mass[-1] = part_of_second * self._mass[place]
        self._mass[place] -= self._mass[-1]
        shares = [{old: 1.0} for old in range(before)]
        shares[place] = {place: 1.0 - part_of_second}
        return Remaking((*shares, {place: part_of_second}))

    def _name(self, recent: Recent, members: IndexArray) -> str:
        self._numbered += 1
        words = recent.name_of(members.tolist())
        return f"type {self._numbered}: {words}" if words else f"type {self._numbered}"

    def fit(self, vectors: VectorArray, groups: Sequence[str], recognise: Callable[[], VectorArray]) -> FloatArray:
        """Take the types from a table, named by its groups or found as clusters, and return each task's membership.

        There are no types yet but the catch-all.

        Args:
            vectors: The tasks, m of them.
            groups: Their groups, "" where unknown; with fewer than two different ones, clusters are made.
            recognise: Trains the weights that tell the named groups apart, in the order of their names, (d + 1, g).

        Shapes:
            vectors: (m, d). Returns (m, types).
        """
        names = sorted(naming(groups))
        if len(names) > 1:
            for name in names:
                self._append(name, _unit(vectors[[group == name for group in groups]].mean(axis=0)))
            self._recogniser = recognise()
        elif self._most > 1:
            for place, centre in enumerate(cluster_centres(vectors, self._most, seed=0), start=1):
                self._append(f"type {place}", centre)
            self._numbered = len(self) - 1
        member = np.stack([self.membership(vector, (group,)) for vector, group in zip(vectors, groups, strict=True)])
        self._mass = member[-1024:].sum(axis=0)
        return member

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the numbers, for a router's state."""
        return {"type_centres": self._centres, "type_mass": self._mass, "recogniser": self._recogniser}

    def meta(self) -> dict[str, JsonValue]:
        """Return the names, for a router's state."""
        return {"types": list(self.names), "numbered": self._numbered}

    def load(self, arrays: Mapping[str, NDArray[Any]], meta: Mapping[str, JsonValue]) -> None:
        """Take over what :meth:`arrays` and :meth:`meta` returned.

        Raises:
            ConfigError: they do not fit together.
        """
        centres, mass, recogniser = (part(arrays, name) for name in ("type_centres", "type_mass", "recogniser"))
        names, numbered = meta.get("types"), meta.get("numbered")
        count = len(names) if isinstance(names, list) else -1
        fit = mass.shape == (count,) and centres.ndim == 2 and len(centres) == count
        if not fit or not isinstance(names, list) or not isinstance(numbered, int):
            raise ConfigError(f"the types {names!r} do not fit centres of shape {centres.shape!r}")
        if len(recogniser) and recogniser.shape != (centres.shape[1] + 1, count - 1):
            raise ConfigError(f"a recogniser of shape {recogniser.shape!r} does not fit the types {names!r}")
        self.names, self._numbered = [str(name) for name in names], numbered
        self._centres, self._mass, self._recogniser = centres.copy(), mass.copy(), recogniser.copy()


def naming(hints: Sequence[str]) -> list[str]:
    """Return the hints that name a type, each once, in their order.

    >>> naming(("math", "", "(other)", "other", "math"))
    ['math', 'other']
    """
    return [hint for hint in dict.fromkeys(hints) if hint not in ("", OTHER)]


def _unit(vector: VectorArray) -> VectorArray:
    length = float(np.linalg.norm(vector))
    scaled: VectorArray = (vector / length if length > 0 else vector).astype(np.float32)
    return scaled
