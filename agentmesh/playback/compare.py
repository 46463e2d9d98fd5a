"""Compares a run with its replay: the decision number by number, then the calls, then the answer."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from agentmesh.events import AnswerChecked, AnswerRefined, CallFinished, DecisionMade, Event, RunFinished, WaveStarted
from agentmesh.records import Record, RouteDecision
from agentmesh.types import AgentId, FloatArray

TOLERANCE = 1e-6
"""Relative and absolute. Scores come from float32 vectors, whose products may differ in the last bits between
processors; on one machine they agree exactly."""


class Difference(Record):
    """One place where the replay parts from the trace."""

    where: str
    recorded: str
    replayed: str

    def __str__(self) -> str:
        """Return the difference as one line."""
        return f"{self.where}: recorded {self.recorded}, replayed {self.replayed}"


def compare(recorded: Sequence[Event], replayed: Sequence[Event], ids: Sequence[AgentId]) -> Iterator[Difference]:
    """Yield the places where two traces of one run part, in the order of the run.

    Args:
        recorded: The trace in the store.
        replayed: The trace of the replay.
        ids: The agents of the pool, in its order.
    """
    before, after = _one(recorded, DecisionMade), _one(replayed, DecisionMade)
    yield from _decisions(before.decision, after.decision, ids)
    yield from _calls(_all(recorded, CallFinished), _all(replayed, CallFinished))
    yield from _checks(_all(recorded, AnswerChecked), _all(replayed, AnswerChecked))
    for kind, fields in _COMPARED.items():
        first, second = _all(recorded, kind), _all(replayed, kind)
        if len(first) != len(second):
            yield _differ(f"number of {kind.__name__} events", len(first), len(second))
        for place, (one, other) in enumerate(zip(first, second, strict=False)):
            told = [name for name in fields if name not in _LATER or getattr(one, name)]
            yield from _fields(f"{kind.__name__} {place + 1}", one, other, told)


_COMPARED: dict[type[Any], tuple[str, ...]] = {
    WaveStarted: ("wave", "agents", "reason", "groups", "note"),
    AnswerRefined: ("refiner", "answer", "answered_by", "conflicts", "agreed", "dropped"),
    RunFinished: ("status", "answer", "cost_usd", "error"),
}
_LATER = frozenset({"agreed", "dropped", "groups", "note"})
"""Fields that older traces lack: compared where the trace has something there."""


def _calls(recorded: Sequence[CallFinished], replayed: Sequence[CallFinished]) -> Iterator[Difference]:
    """Compare calls by agent, wave and attempt: which of several parallel calls ends first is the agents' doing."""
    before = {(event.call.agent_id, event.call.wave, event.call.attempt): event.call for event in recorded}
    after = {(event.call.agent_id, event.call.wave, event.call.attempt): event.call for event in replayed}
    for key in sorted(before.keys() | after.keys()):
        if before.get(key) != after.get(key):
            yield _differ(f"call of {key[0]!r} in wave {key[1]}, attempt {key[2]}", before.get(key), after.get(key))


def _checks(recorded: Sequence[AnswerChecked], replayed: Sequence[AnswerChecked]) -> Iterator[Difference]:
    """Compare checks by agent and wave, for the same reason."""
    before, after = _by_place(recorded), _by_place(replayed)
    for key in sorted(before.keys() | after.keys()):
        if before.get(key) != after.get(key):
            yield _differ(f"checks of {key[0]!r} in wave {key[1]}", before.get(key), after.get(key))


def _by_place(checks: Sequence[AnswerChecked]) -> dict[tuple[AgentId, int], list[tuple[object, ...]]]:
    found: dict[tuple[AgentId, int], list[tuple[object, ...]]] = {}
    for one in checks:
        told = (one.check, one.before, one.passed, one.reason, one.cost_usd)
        found.setdefault((one.agent_id, one.wave), []).append(told)
    return found


def _decisions(recorded: RouteDecision, replayed: RouteDecision, ids: Sequence[AgentId]) -> Iterator[Difference]:
    names = ("router", "router_version", "registry_version", "seed", "policy", "abstained", "explored")
    yield from _fields("decision", recorded, replayed, names)
    for array in ("score", "probability"):
        before: FloatArray = getattr(recorded, f"{array}_array")()
        after: FloatArray = getattr(replayed, f"{array}_array")()
        yield from _arrays(array, before, after, ids)
    yield from _intents(recorded.intent, replayed.intent)
    said = [name for name in ("stages", "reasoning") if getattr(recorded, name)]  # an older trace has neither
    yield from _fields("decision", recorded, replayed, said)
    chosen = [choice.agent_id for choice in recorded.selected], [choice.agent_id for choice in replayed.selected]
    if chosen[0] != chosen[1]:
        yield _differ("selection", *chosen)
    for one, other in zip(recorded.candidates, replayed.candidates, strict=False):
        if one.agent_id != other.agent_id:
            yield _differ("order of candidates", one.agent_id, other.agent_id)
        elif not _close(one.inclusion, other.inclusion) or not _close(one.score, other.score):
            yield _differ(f"candidate {one.agent_id!r}", (one.score, one.inclusion), (other.score, other.inclusion))


def _intents(recorded: Mapping[str, float], replayed: Mapping[str, float]) -> Iterator[Difference]:
    """Compare the kinds of task; a trace without any may be older than they are."""
    for kind in sorted(recorded.keys() | replayed.keys()) if recorded else ():
        if not _close(recorded.get(kind), replayed.get(kind)):
            yield _differ(f"intent {kind!r}", recorded.get(kind), replayed.get(kind))


def _arrays(name: str, before: FloatArray, after: FloatArray, ids: Sequence[AgentId]) -> Iterator[Difference]:
    if before.shape != after.shape:
        yield _differ(f"number of {name} values", len(before), len(after))
        return
    same = np.isclose(before, after, rtol=TOLERANCE, atol=TOLERANCE, equal_nan=True)
    for place in np.flatnonzero(~same).tolist():
        yield _differ(f"{name} of {ids[place]!r}", float(before[place]), float(after[place]))


def _fields(where: str, before: object, after: object, names: Sequence[str]) -> Iterator[Difference]:
    for name in names:
        one, other = getattr(before, name), getattr(after, name)
        if one != other:
            yield _differ(f"{where} {name}", one, other)


def _close(one: float | None, other: float | None) -> bool:
    if one is None or other is None:
        return one is other
    return bool(np.isclose(one, other, rtol=TOLERANCE, atol=TOLERANCE))


def _differ(where: str, recorded: object, replayed: object) -> Difference:
    return Difference(where=where, recorded=_shown(recorded), replayed=_shown(replayed))


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 200 else text[:197] + "..."


def _all(events: Sequence[Event], kind: type[Any]) -> list[Any]:
    return [event for event in events if isinstance(event, kind)]


def _one(events: Sequence[Event], kind: type[Any]) -> Any:
    return _all(events, kind)[-1]
