"""Stands before a cascade: turns away what nobody fits, lets the user's pins and agents that came later through."""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from agentmesh.decisions import GUARD, Stage
from agentmesh.errors import ConfigError
from agentmesh.routing.guard import Guard
from agentmesh.routing.inputs import AgentPool, Outcomes, TaskFeatures
from agentmesh.routing.preference import PIN
from agentmesh.routing.priors import card_nearness
from agentmesh.routing.state import Arrays
from agentmesh.types import AgentId, JsonValue

PREFIX: Final = "guard."


class Gatekeeper:
    """Asks the guard, and knows what the guard cannot: who was pinned, and who joined after it was calibrated.

    A task that the guard does not know is let through to an agent that came later, or changed, if that agent's card is
    nearer to the task than every other card: no past task can speak for it yet.
    """

    def __init__(self, arguments: Mapping[str, JsonValue]) -> None:
        """Build a guard that lets everything through until it is calibrated.

        Raises:
            ConfigError: the arguments are not those of a guard.
        """
        try:
            self.guard = Guard(**dict(arguments))  # type: ignore[arg-type]  # checked by the guard itself
        except TypeError as error:
            raise ConfigError(f"a guard cannot be built with {dict(arguments)!r}: {error}") from error
        self.coverage = self.guard.coverage
        self._known: dict[AgentId, int] = {}

    @property
    def threshold(self) -> float:
        """Return the familiarity below which nobody fits."""
        return self.guard.at_coverage(self.coverage)

    def fit(self, outcomes: Outcomes, val: Outcomes | None, *, coverage: float | None = None) -> None:
        """Calibrate the guard.

        Raises:
            ConfigError: there is too little to calibrate it on, or ``coverage`` is not above 0 and at most 1.
        """
        wanted = self.guard.coverage if coverage is None else coverage
        self.guard.at_coverage(wanted)
        guard = Guard(**dict(self.guard.parameters))  # type: ignore[arg-type]  # its own arguments
        guard.fit(outcomes, val=val)
        if not guard.is_fitted:
            raise ConfigError(f"the guard cannot be calibrated: {guard.reason}")
        self.guard, self.coverage = guard, wanted
        self._known = dict(zip(outcomes.agent_ids, outcomes.versions.tolist(), strict=True))

    def clear(self) -> None:
        """Let everything through again."""
        self.guard = Guard(**dict(self.guard.parameters))  # type: ignore[arg-type]  # its own arguments
        self.coverage, self._known = self.guard.coverage, {}

    def check(self, features: TaskFeatures, pool: AgentPool) -> tuple[AgentPool, Stage | None]:
        """Return whom the task may go to, and what the guard said; it has ``decided`` where that is nobody."""
        if not self.guard.is_fitted or PIN in pool.refused.values():
            return pool, None
        familiarity, threshold = self.guard.familiarity(features), self.threshold
        said = Stage(name=GUARD, confidence=familiarity, threshold=threshold)
        if familiarity >= threshold:
            return pool, said
        came_later = self._newcomer(features, pool)
        if came_later is None:
            return pool, said.model_copy(update={"decided": True, "note": "unlike the tasks it knows"})
        others = {agent_id: GUARD for agent_id, place in pool.index.items() if pool.mask[place]}
        del others[came_later]
        note = f"unlike the tasks it knows, but like the card of {came_later!r}, which came later"
        return pool.gated(others), said.model_copy(update={"chosen": (came_later,), "note": note})

    def _newcomer(self, features: TaskFeatures, pool: AgentPool) -> AgentId | None:
        """Return the agent whose card is nearest, if it came after the guard was calibrated."""
        nearest = int(np.argmax(np.where(pool.mask, card_nearness(features, pool), -np.inf)))
        agent_id = pool.ids[nearest]
        known = self._known.get(agent_id)
        return None if known is not None and pool.versions[nearest] <= known else agent_id

    def arrays(self) -> Arrays:
        """Return the arrays of the state by name."""
        return {f"{PREFIX}{name}": array for name, array in self.guard.arrays().items()}

    def meta(self) -> dict[str, JsonValue]:
        """Return the part of the state that is no array."""
        return {"guard": dict(self.guard.meta()), "known": dict(self._known), "coverage": self.coverage}

    def load(self, arrays: Mapping[str, NDArray[Any]], meta: JsonValue) -> None:
        """Become the gatekeeper that :meth:`arrays` and :meth:`meta` were taken from.

        Raises:
            ConfigError: a part is missing or the parts do not fit together.
        """
        parts = meta if isinstance(meta, dict) else {}
        guard, known, coverage = parts.get("guard"), parts.get("known"), parts.get("coverage")
        if not isinstance(guard, dict) or not isinstance(known, dict) or not isinstance(coverage, float):
            raise ConfigError(f"a state's gatekeeper is {meta!r}; take one that snapshot() wrote")
        own = {name.removeprefix(PREFIX): array for name, array in arrays.items() if name.startswith(PREFIX)}
        self.guard.load(own, guard)
        self.coverage = coverage
        self._known = {agent_id: int(version) for agent_id, version in known.items()}  # type: ignore[arg-type]
