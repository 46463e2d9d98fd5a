"""Where two stored runs parted: the first event that differs, then what differs in task, decision, calls and answer.

The runs may be of one task, as a run and its rerun are, or of two. What always differs, such as times and the seeds
that run ids give, is not compared. Nor is, of a fork and the run it comes from, that a fork is one.
"""

from collections.abc import Iterator, Mapping, Sequence, Set
from itertools import zip_longest
from typing import Any, Final

from agentmesh.events import Event, FeedbackGiven, RunStarted, TaskPrepared, fold
from agentmesh.playback.compare import TOLERANCE
from agentmesh.records import AgentCall, Record, RegistrySnapshot, RouteDecision
from agentmesh.store.base import TraceStore
from agentmesh.types import AgentId, RunId

LONGEST: Final = 200
"""Characters of a value that is shown."""

PASSING: Final = frozenset(
    {
        "run_id",
        "seq",
        "at",
        "seed",
        "elapsed_s",
        "elapsed_ms",
        "latency_s",
        "parent",
        "child",
        "owner",
        "log_propensity",
    }
) | {"forked", "forked_at", "changed"}
"""Fields that two runs of one task never share."""

SET_FROM_THERE: Final = frozenset({"limits", "router"})
"""Fields at the start of a fork that hold only from where it was forked."""


class Parting(Record):
    """One thing that differs. ``None`` stands for what one of the runs does not have."""

    where: str
    first: str | None
    second: str | None

    def __str__(self) -> str:
        """Return the difference as one line."""
        return f"{self.where}: {_or_none(self.first)} | {_or_none(self.second)}"


class RunDiff(Record):
    """Two runs beside one another. ``event`` is the first event that differs, ``None`` where none does.

    Where one of them is a fork of the other, ``forked`` is its id: it took over the events before ``forked_at``.
    """

    first: RunId
    second: RunId
    forked: RunId | None = None
    forked_at: int | None = None
    event: Parting | None = None
    differences: tuple[Parting, ...] = ()

    @property
    def identical(self) -> bool:
        """Return whether nothing differs but times and draws that came out alike."""
        return self.event is None and not self.differences


def diff(store: TraceStore, first: RunId, second: RunId, *, other: TraceStore | None = None) -> RunDiff:
    """Compare two stored runs.

    Args:
        store: Where the first is kept.
        first: One run.
        second: The other.
        other: Where the second is kept, if elsewhere.

    Raises:
        RunNotFoundError: one of them is not stored.
    """
    stores = store, store if other is None else other
    traces = stores[0].events(first), stores[1].events(second)
    known = [_registry(one, trace) for one, trace in zip(stores, traces, strict=True)]
    fork = _fork_among(*traces)
    return RunDiff(
        first=first,
        second=second,
        forked=None if fork is None else fork.run_id,
        forked_at=None if fork is None else fork.forked_at,
        event=_first_event(*traces, besides=frozenset() if fork is None else SET_FROM_THERE),
        differences=tuple(_differences(*traces, *known)),
    )


def _fork_among(first: Sequence[Event], second: Sequence[Event]) -> RunStarted | None:
    """Return how that one of two runs began which was forked from the other, ``None`` where neither was."""
    for one, other in ((first, second), (second, first)):
        started = _only(one, RunStarted)
        if started is not None and started.forked == other[0].run_id:
            return started  # type: ignore[no-any-return]
    return None


def _registry(store: TraceStore, trace: Sequence[Event]) -> RegistrySnapshot | None:
    decision = fold(trace).decision
    return None if decision is None else store.registry(decision.registry_version)


def _first_event(before: Sequence[Event], after: Sequence[Event], *, besides: Set[str]) -> Parting | None:
    """Return the first event that differs, by its place and kind; scores, which come later, are passed over.

    ``besides`` are fields of the start that are not compared.
    """
    kept = ([event for event in trace if not isinstance(event, FeedbackGiven)] for trace in (before, after))
    for place, (one, other) in enumerate(zip_longest(*kept)):
        if _lasting(one, besides) != _lasting(other, besides):
            kinds = (None if event is None else event.kind for event in (one, other))
            return Parting(where=f"event {place}", first=next(kinds), second=next(kinds))
    return None


def _lasting(event: Event | None, besides: Set[str]) -> Any:
    left_out = set(besides) if isinstance(event, RunStarted) else set()
    return None if event is None else _stripped(event.model_dump(mode="json", exclude=left_out))


def _stripped(value: Any) -> Any:
    """Return a value without what two runs of one task never share, numbers rounded to what processors agree on."""
    if isinstance(value, Mapping):
        return {key: _stripped(part) for key, part in value.items() if key not in PASSING}
    if isinstance(value, list | tuple):
        return [_stripped(part) for part in value]
    return round(value / TOLERANCE) if isinstance(value, float) else value


def _differences(
    before: Sequence[Event],
    after: Sequence[Event],
    registry: RegistrySnapshot | None,
    other_registry: RegistrySnapshot | None,
) -> Iterator[Parting]:
    one, other = fold(before), fold(after)
    yield from _fields("task", one.task, other.task, tuple(type(one.task).model_fields))
    started = _only(before, RunStarted), _only(after, RunStarted)
    yield from _fields("run", *started, ("limits", "embedder", "router", "mesh_seed", "explore", "fallback", "team"))
    yield from _agents(registry, other_registry)
    yield from _fields(
        "prepared", _only(before, TaskPrepared), _only(after, TaskPrepared), ("refused", "bonus", "rules")
    )
    if one.decision is not None and other.decision is not None and registry and other_registry:
        yield from _decisions(one.decision, other.decision, registry, other_registry)
    elif one.decision is not other.decision:
        made = (None if run.decision is None else "made" for run in (one, other))
        yield Parting(where="decision", first=next(made), second=next(made))
    yield from _calls(one.calls, other.calls)
    yield from _fields("run", one, other, ("answered_by", "answer", "status", "cost_usd", "error"))


def _agents(before: RegistrySnapshot | None, after: RegistrySnapshot | None) -> Iterator[Parting]:
    """Compare who was registered, and with what card."""
    if before is None or after is None or before.version == after.version:
        return
    cards = [{card.id: f"version {card.version}" for card in one.cards} for one in (before, after)]
    yield from _mapped("agent {name!r}", *cards)
    bodies = [{card.id: card for card in one.cards} for one in (before, after)]
    for name in sorted(bodies[0].keys() & bodies[1].keys()):
        if cards[0][name] == cards[1][name]:
            fields = tuple(field for field in type(bodies[0][name]).model_fields if field != "version")
            yield from _fields(f"agent {name!r}", bodies[0][name], bodies[1][name], fields)


def _decisions(
    one: RouteDecision, other: RouteDecision, registry: RegistrySnapshot, other_registry: RegistrySnapshot
) -> Iterator[Parting]:
    yield from _fields("decision", one, other, ("router", "router_version", "policy", "abstained", "explored"))
    scores = _by_agent(one.score_array().tolist(), registry), _by_agent(other.score_array().tolist(), other_registry)
    yield from _mapped("score of {name!r}", *scores)
    chances = [
        _by_agent(decision.probability_array().tolist(), known)
        for decision, known in ((one, registry), (other, other_registry))
    ]
    yield from _mapped("chance of {name!r}", *chances)
    chosen = [", ".join(choice.agent_id for choice in decision.selected) or "nobody" for decision in (one, other)]
    if chosen[0] != chosen[1]:
        yield Parting(where="chosen", first=chosen[0], second=chosen[1])
    yield from _fields("decision", one, other, ("reason",))


def _by_agent(values: Sequence[float], registry: RegistrySnapshot) -> dict[AgentId, str]:
    """Return numbers by the agent they are of, as text in which rounding does not show."""
    ids = (card.id for card in registry.cards)
    return {agent_id: f"{value:.6g}" for agent_id, value in zip(ids, values, strict=False)}


def _calls(before: Sequence[AgentCall], after: Sequence[AgentCall]) -> Iterator[Parting]:
    first, second = ({(call.agent_id, call.attempt, call.wave): call for call in calls} for calls in (before, after))
    for key in sorted(first.keys() | second.keys()):
        agent_id, attempt, _ = key
        where = f"call of {agent_id!r}" + (f", attempt {attempt}" if attempt > 1 else "")
        one, other = first.get(key), second.get(key)
        if one is None or other is None:
            made = (None if call is None else call.status.value for call in (one, other))
            yield Parting(where=where, first=next(made), second=next(made))
        else:
            yield from _fields(where, one, other, ("agent_version", "status", "answer", "cost_usd", "error"))


def _fields(where: str, before: object, after: object, names: Sequence[str]) -> Iterator[Parting]:
    for name in names:
        one, other = getattr(before, name, None), getattr(after, name, None)
        if one != other:
            yield Parting(where=f"{where} {name}", first=_shown(one), second=_shown(other))


def _mapped(where: str, before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[Parting]:
    for name in sorted(before.keys() | after.keys()):
        if before.get(name) != after.get(name):
            yield Parting(where=where.format(name=name), first=before.get(name), second=after.get(name))


def _only(events: Sequence[Event], kind: type[Any]) -> Any:
    return next((event for event in events if isinstance(event, kind)), None)


def _shown(value: object) -> str | None:
    if value is None:
        return None
    text = value if isinstance(value, str) else _text(value)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def _text(value: object) -> str:
    return value.model_dump_json(exclude_defaults=True) if isinstance(value, Record) else str(value)


def _or_none(text: str | None) -> str:
    return "none" if text is None else text
