"""A long list of stored runs, of which only the pages in sight are read."""

from collections.abc import Sequence
from typing import Final, overload

from agentmesh.records import RunSummary
from agentmesh.types import RunId

PAGE: Final = 100
"""Runs that are read at once: more than a screen holds."""


class RunPages(Sequence[RunId]):
    """The ids of ``total`` runs, "" for those that were not read yet. Reading is up to who asks for ``missing``.

    Args:
        total: How many runs there are, as far as is known.
        first: Those that stand above all others, whatever their time.
    """

    def __init__(self, total: int = 0, first: Sequence[RunSummary] = ()) -> None:
        self._first = tuple(first)
        self._total = total
        self._pages: dict[int, Sequence[RunSummary]] = {}
        self._places: dict[RunId, int] = {run.id: place for place, run in enumerate(self._first)}

    def __len__(self) -> int:
        """Return how many runs there are, those above included."""
        return len(self._first) + self._total

    @overload
    def __getitem__(self, place: int) -> RunId: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[RunId]: ...
    def __getitem__(self, place: int | slice) -> RunId | Sequence[RunId]:
        """Return the id of a run, "" where it was not read yet."""
        if isinstance(place, slice):
            return [self[one] for one in range(*place.indices(len(self)))]
        run = self.run(place)
        return "" if run is None else run.id

    def index(self, value: RunId, start: int = 0, stop: int | None = None) -> int:  # noqa: ARG002 - as a list has it
        """Return the place of a run that was read.

        Raises:
            ValueError: it was not read.
        """
        if value not in self._places:
            raise ValueError(f"run {value!r} was not read")
        return self._places[value]

    def run(self, place: int) -> RunSummary | None:
        """Return a run, ``None`` where it was not read yet."""
        if place < len(self._first):
            return self._first[place]
        number, within = divmod(place - len(self._first), PAGE)
        page = self._pages.get(number, ())
        return page[within] if within < len(page) else None

    def take_total(self, total: int) -> None:
        """Have the list end where it does, which may be known later than its first page."""
        self._total = total

    def put(self, number: int, page: Sequence[RunSummary]) -> None:
        """Keep a page that was read."""
        self._pages[number] = page
        begin = len(self._first) + number * PAGE
        for within, run in enumerate(page):
            self._places.setdefault(run.id, begin + within)

    def missing(self, begin: int, end: int) -> list[int]:
        """Return the numbers of the pages that the places from ``begin`` to ``end`` need and that were not read."""
        low, high = max(begin - len(self._first), 0), min(end, len(self)) - len(self._first)
        if high <= low:
            return []
        return [number for number in range(low // PAGE, (high - 1) // PAGE + 1) if number not in self._pages]
