"""Where a stored run hangs in the spans of the run that started it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from agentmesh.events import CallFinished, CallStarted, Event, RunStarted, StageStarted
from agentmesh.telemetry.open_spans import Key
from agentmesh.telemetry.spans import Anchor, span_id_of
from agentmesh.types import RunId


@dataclass(frozen=True, slots=True)
class _Stretch:
    """When a call was under way, in Unix seconds."""

    key: Key
    began_at: float
    ended_at: float


class ParentSpans:
    """What of a run others may hang from: its stages, by the runs that did them, and its calls, by their times.

    Args:
        anchor: Where the span of the run itself is.
        run_id: The run.
        events: Its events, in order.
    """

    def __init__(self, anchor: Anchor, run_id: RunId, events: Sequence[Event]) -> None:
        self._anchor = anchor
        self._run_id = run_id
        self._stages = {
            event.child: ("stage", event.stage, event.part) for event in events if isinstance(event, StageStarted)
        }
        self._calls = _calls(events)

    def place_of(self, child: RunStarted) -> Anchor:
        """Return what a run hangs from: its stage, the one call that was under way when it began, or the whole run."""
        stage = self._stages.get(child.run_id)
        if stage is not None:
            return self._anchor_of(stage)
        under_way = [call.key for call in self._calls if call.began_at <= child.at <= call.ended_at]
        return self._anchor_of(under_way[0]) if len(under_way) == 1 else self._anchor

    def _anchor_of(self, key: Key) -> Anchor:
        return self._anchor.child(span_id_of(self._run_id, *key))


def _calls(events: Sequence[Event]) -> list[_Stretch]:
    ended: dict[Key, float] = {}
    for event in events:
        if isinstance(event, CallFinished):
            ended["call", event.call.agent_id, event.call.wave, event.call.attempt] = event.at
    begun = [event for event in events if isinstance(event, CallStarted)]
    keyed = [(("call", event.agent_id, event.wave, event.attempt), event.at) for event in begun]
    return [_Stretch(key, at, ended.get(key, math.inf)) for key, at in keyed]
