"""What the watcher spares: questions that were just asked, and work while a person waits."""

from time import monotonic

from agentmesh.records import RunStatus, RunSummary
from agentmesh.store import MemoryStore, RunFilter
from agentmesh.tui.app import WatchApp
from agentmesh.tui.messages import Arrived
from agentmesh.tui.screens.approvals import MOST, REREAD_S
from agentmesh.tui.sources import TailSource
from agentmesh.tui.watching import Watched
from tests.tui.apps import press, reads, settled, shown, text_of, until
from tests.tui.story import sum_asked, told_store


async def test_who_ran_it_is_told_once_when_the_first_screen_stands() -> None:
    store, told = told_store(), list[bool]()
    app = WatchApp(
        Watched(TailSource(store), store), settled=lambda: told.append(app.screen.is_mounted and bool(text_of(app)))
    )
    async with app.run_test() as pilot:
        await reads(pilot, "agentmesh live", "What is 12 * 7?")
        await press(pilot, "2")
        await reads(pilot, "agentmesh runs")
    assert told == [True]


class AskedStore(MemoryStore):
    """Notes how often it was asked which runs wait for a person."""

    asked = 0

    def runs(self, where: RunFilter | None = None, *, limit: int = 50, offset: int = 0) -> list[RunSummary]:
        self.asked += where == RunFilter(status=RunStatus.WAITING) and limit == MOST
        return super().runs(where, limit=limit, offset=offset)


async def test_what_waits_is_read_each_second_and_not_each_time_that_it_is_drawn() -> None:
    store = AskedStore()
    store.append(sum_asked().events)
    async with shown(store) as (app, pilot):
        await press(pilot, "6")
        await until(pilot, lambda: store.asked)
        begun, before = monotonic(), store.asked
        for _ in range(20):
            app.screen.draw()
            await pilot.pause(0)
        assert store.asked - before <= 1 + (monotonic() - begun) / REREAD_S


async def test_what_opening_the_app_took_does_not_put_off_the_first_runs_and_all_later_drawing_keeps_to_its_share() -> (
    None
):
    async with shown(MemoryStore()) as (app, pilot):
        opened = app._pace
        app.post_message(Arrived(sum_asked("first").events))
        await settled(pilot)
        begun = app._pace
        app.post_message(Arrived(sum_asked("second").events))
        await settled(pilot)
        assert (begun is not opened, app._pace is begun, len(app.watched.board.runs)) == (True, True, 2)
