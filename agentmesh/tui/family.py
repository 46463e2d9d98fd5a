"""A stored run and the runs that it started as one log: laid out at once, read in parts."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import accumulate
from operator import itemgetter
from typing import Self

from agentmesh.errors import RunNotFoundError
from agentmesh.events import Event
from agentmesh.store.base import RunFilter, TraceStore
from agentmesh.types import RunId


@dataclass(frozen=True, slots=True)
class Family:
    """The events of a stored run and of the runs of its stages, in the order of their times, as they are by now.

    ``runs`` and ``seqs`` say which event stands at each place, ``offsets_s`` how long after the first one it came.
    """

    store: TraceStore
    runs: Sequence[RunId]
    seqs: Sequence[int]
    offsets_s: Sequence[float]

    @classmethod
    def of(cls, store: TraceStore, run_id: RunId) -> Self:
        """Lay out a run and those it started, without reading what happened there.

        Raises:
            RunNotFoundError: no such run is stored.
        """
        dated = sorted(_dated(store, run_id), key=itemgetter(0))  # those of one run stay in their order
        begun = dated[0][0]
        return cls(store, [of for _, of, _ in dated], [seq for _, _, seq in dated], [at - begun for at, _, _ in dated])

    def __len__(self) -> int:
        """Return how many events there are."""
        return len(self.runs)

    def read(self, begin: int, end: int) -> list[Event]:
        """Return the events from place ``begin`` up to ``end``; none where that is no further.

        Raises:
            RunNotFoundError: one of the runs is not stored any more.
        """
        runs = self.runs[begin:end]
        first = dict(zip(reversed(runs), reversed(self.seqs[begin:end]), strict=True))
        logs = {
            run_id: iter(self.store.events(run_id, after=seq - 1, limit=runs.count(run_id)))
            for run_id, seq in first.items()
        }
        return [next(logs[run_id]) for run_id in runs]


def _dated(store: TraceStore, run_id: RunId) -> Iterator[tuple[float, RunId, int]]:
    times = store.times(run_id)
    # where a clock was set back, an event comes together with the one before it
    for (seq, _), at in zip(times, accumulate((at for _, at in times), max), strict=True):
        yield at, run_id, seq
    for child in _started_by(store, run_id):
        with suppress(RunNotFoundError):  # pruned meanwhile
            yield from _dated(store, child)


def _started_by(store: TraceStore, run_id: RunId) -> Sequence[RunId]:
    inner = RunFilter(parent=run_id)
    return [summary.id for summary in reversed(store.runs(inner, limit=store.count_runs(inner)))]
