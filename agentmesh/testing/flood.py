"""A flood of events: many runs at once that go on at a given pace, told after runs that really were."""

from collections import deque
from collections.abc import Sequence
from typing import Any

from agentmesh.events import Event, FeedbackGiven, RunStarted
from agentmesh.types import RunId


class Flood:
    """Tells copies of recorded runs, ``live`` of them side by side: where one ends, the next begins.

    Args:
        models: The events of runs that were recorded, each from its beginning to its end.
        live: How many runs go on at once.
    """

    def __init__(self, models: Sequence[Sequence[Event]], *, live: int) -> None:
        self._models = models
        self._begun = self.ended = self.told = 0
        self._live: deque[tuple[RunId, int, Sequence[Event]]] = deque(self._next_run() for _ in range(live))

    def take(self, count: int, at: float) -> list[Event]:
        """Return the next ``count`` events, those of one run in their order; they all happen at ``at``."""
        return [self._step(at) for _ in range(count)]

    def _next_run(self) -> tuple[RunId, int, Sequence[Event]]:
        model = self._models[self._begun % len(self._models)]
        self._begun += 1
        return f"flood-{self._begun:08}", 0, model

    def _step(self, at: float) -> Event:
        run_id, place, model = self._live.popleft()
        event = copied(model[place], run_id, at)
        self.told += 1
        if place + 1 < len(model):
            self._live.append((run_id, place + 1, model))
        else:
            self.ended += 1
            self._live.append(self._next_run())
        return event


def copied(event: Event, run_id: RunId, at: float) -> Event:
    """Return an event as another run would have told it, at another time."""
    changed: dict[str, Any] = {"run_id": run_id, "at": at}
    if isinstance(event, RunStarted):
        changed["task"] = event.task.model_copy(update={"text": f"{event.task.text} ({run_id})"})
    if isinstance(event, FeedbackGiven):
        changed["feedback"] = event.feedback.model_copy(update={"run_id": run_id})
    return event.model_copy(update=changed)
