"""The watcher on a store of 100,000 runs: how soon it is open, and how long a screen takes to show what was asked for.

The database is written first, by appending events in batches. The app runs without a terminal at 160x48. A key counts
from when it is pressed until what it leads to is drawn, read from the database where it was not read yet; where that is
another list, until its first page is, and "counted" until it is known how long the list is. What starting Python and
importing the app takes is told apart, and what it takes from the command in a terminal to the first screen. With
``--postgres`` the store is a PostgreSQL server of its own on loopback, which is gone afterwards.

    python benchmarks/tui_store.py [--runs 100000] [--db FILE|URL | --postgres] [--json]
"""

import argparse
import asyncio
import fcntl
import gc
import json
import os
import pty
import select
import statistics
import struct
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from textual.pilot import Pilot
from textual.widgets import Input, Static
from tui import models  # the script beside this one

from agentmesh import open_store
from agentmesh.store import TraceStore
from agentmesh.store.base import RunFilter
from agentmesh.testing.flood import copied
from agentmesh.testing.postgres import PostgresServer, find_postgres
from agentmesh.tui.app import WatchApp
from agentmesh.tui.screens.runs import STATES
from agentmesh.tui.sources import TailSource
from agentmesh.tui.watching import Watched
from agentmesh.tui.widgets.rows import Rows

BATCH = 500
BEGUN = 1_800_000_000.0
TIMES = 5


def write(store: TraceStore, runs: int) -> None:
    """Append runs of usual size, a second apart; all but the newest have lost the events between start and end."""
    kept = asyncio.run(models(20))[:20]
    short = [[event for event in model if event.kind in ("run_started", "run_finished")] for model in kept]
    for begin in range(0, runs, BATCH):
        events = []
        for number in range(begin, min(begin + BATCH, runs)):
            model = (kept if number >= runs - 200 else short)[number % len(kept)]
            told = (copied(event, f"r{number:07}", BEGUN + number) for event in model)
            events += [event.model_copy(update={"seq": seq}) for seq, event in enumerate(told)]
        store.append(events)


async def shown(is_so: Callable[[], bool]) -> None:
    """Wait until something is so."""
    for _ in range(10_000):
        if is_so():
            return
        await asyncio.sleep(0.001)
    raise SystemExit("it never came to be so")


class Watch:
    """Presses keys, and notes how long what they lead to takes, in milliseconds."""

    def __init__(self, app: WatchApp) -> None:
        self.app, self.found = app, dict[str, list[float]]()
        self._begun = time.perf_counter()

    @property
    def rows(self) -> Rows:
        """Return the table in front."""
        return self.app.screen.query_one(Rows)

    def text(self) -> str:
        """Draw what stands on the screen, and return it."""
        return "\n".join("".join(one.text for one in strip) for strip in self.app.screen._compositor.render_strips())

    def told(self) -> str:
        """Return what the screen of runs says of its list, "" while there is none."""
        found = self.app.screen.query("#filter")
        return str(found.first(Static).content) if found else ""

    async def note(self, what: str, is_so: Callable[[], bool]) -> None:
        """Wait until something is so, have it drawn, and note how long it took since the last key."""
        await shown(is_so)
        self.text()
        self.found.setdefault(what, []).append(1000 * (time.perf_counter() - self._begun))

    def press(self, key: str) -> None:
        """Press a key, and forget the one before."""
        self._begun = time.perf_counter()
        self.app.simulate_key(key)

    async def go(self, what: str, key: str, place: int) -> None:
        """Press a key that moves the cursor, until its row and all in sight were read and drawn."""
        self.press(key)
        await shown(lambda: self.rows.cursor == place)
        await self.note(what, lambda: "..." not in self.text())

    async def ask(self, what: str, key: str, words: str) -> None:
        """Press a key that asks for another list, until its first page is there, and then until it is counted."""
        self.press(key)
        await self.note(what, lambda: words in self.told() and "reading ..." not in self.told())
        await self.note(f"{what}, counted", lambda: "counting ..." not in self.told())


async def measure(url: str, runs: int) -> dict[str, float]:
    """Return medians of several times for what can be done again, in milliseconds."""
    begun = time.perf_counter()
    with open_store(url, read_only=True) as store:
        app = WatchApp(Watched(TailSource(store), store))
        gc.freeze()  # as the command does
        async with app.run_test(size=(160, 48)) as pilot:
            watch = Watch(app)
            watch._begun = begun
            await watch.note("open, live screen", lambda: len(app.watched.board.runs) >= 100 and len(watch.rows) >= 100)
            await watch.ask("runs screen, first time", "2", "all states")
            if f"{runs:,} runs" not in watch.told():
                raise SystemExit(f"the database holds {watch.told()!r}, not {runs:,} runs; name another one by --db")
            for _ in range(TIMES):
                await scroll(watch, runs)
                await filter_states(watch)
                await search(watch, pilot)
    return {what: round(statistics.median(values), 1) for what, values in watch.found.items()}


async def scroll(watch: Watch, runs: int) -> None:
    """Go through the list, and to its ends."""
    page = watch.rows.scrollable_content_region.height - 2
    await watch.go("page down", "pagedown", watch.rows.cursor + page)
    await watch.go("down", "down", watch.rows.cursor + 1)
    await watch.go("end", "end", runs - 1)
    await watch.go("page up from the end", "pageup", runs - 1 - page)
    await watch.go("home", "home", 0)


async def filter_states(watch: Watch) -> None:
    """Filter by each state, and by none."""
    for state in [*STATES[1:], None]:
        named = "all states" if state is None else state.value.replace("_", " ")
        what = named if state in (None, *STATES[1:4]) else "others"
        await watch.ask(f"state: {what}", "s", f", {named}")


async def search(watch: Watch, pilot: Pilot[None]) -> None:
    """Type the last letter of a search for what many runs have, few, and none."""
    for typed in ("number 7 of many", "(r00500", "nothing of the kind", "id:r0050", "agent:agent-007"):
        await pilot.press("slash")
        field = watch.app.screen.query_one("#search", Input)
        await shown(lambda field=field: field.has_focus)  # else enter opens the run below
        field.value, field.cursor_position = typed[:-1], len(typed)
        await shown(lambda typed=typed: repr(typed[:-1]) in watch.told() and "..." not in watch.told())
        await watch.ask(f"search {typed!r}", typed[-1], repr(typed))
        watch.press("escape")
        await shown(lambda: "search" not in watch.told() and "..." not in watch.told())
        await shown(lambda field=field: field.size.height == 0)  # a page is longer without the field


def started_ms() -> float:
    """Return what starting Python and importing the app takes."""
    begun = time.perf_counter()
    subprocess.run([sys.executable, "-c", "import agentmesh.tui.app, agentmesh.store.sql"], check=True)
    return round(1000 * (time.perf_counter() - begun), 1)


def typed_ms(url: str) -> float:
    """Return what ``agentmesh watch`` takes in a terminal, from the start of Python until a run is on the screen."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 48, 160, 0, 0))
    begun, seen = time.perf_counter(), b""
    command = [sys.executable, "-m", "agentmesh", "watch", "--db", url]
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs) as app:
        while b"question number" not in seen:
            seen += os.read(ours, 65536)
        taken_s = time.perf_counter() - begun
        os.write(ours, b"q")
        while app.poll() is None:  # what it says must be read, or it waits for that
            if select.select([ours], [], [], 0.05)[0]:
                os.read(ours, 65536)
    os.close(theirs)
    os.close(ours)
    return round(1000 * taken_s, 1)


def store_ms(url: str) -> dict[str, float]:
    """Return what the store alone takes for the same questions."""
    texts = {"text": "number 7 of many", "rare text": "(r00500", "no text": "nothing of the kind"}
    questions = {"": None, **{name: RunFilter(text=text, alone=True) for name, text in texts.items()}}
    found = {}
    with open_store(url, read_only=True) as store:
        for name, where in questions.items():
            for what, ask in (("count", store.count_runs), ("page", lambda where: store.runs_page(where, limit=100))):
                begun = time.perf_counter()
                ask(where)
                found[f"store: {what} {name}".strip()] = round(1000 * (time.perf_counter() - begun), 1)
    return found


@contextmanager
def database(named: str | None, *, postgres: bool) -> Iterator[str]:
    """Return the URL of the database that is named, else of one that is gone afterwards."""
    if postgres:
        programs = find_postgres()
        if programs is None:
            raise SystemExit("neither initdb nor postgres was found; name a database of yours by --db")
        with PostgresServer(programs) as server:
            yield server.url()
        return
    with tempfile.TemporaryDirectory() as folder:
        path = named or f"{folder}/many.db"
        yield path if "://" in path else f"sqlite:///{Path(path).absolute()}"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=100_000)
    place = parser.add_mutually_exclusive_group()
    place.add_argument("--db")
    place.add_argument("--postgres", action="store_true")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with database(arguments.db, postgres=arguments.postgres) as url:
        with open_store(url) as store:
            if not store.count_runs():
                write(store, arguments.runs)
        found = {
            "python and imports": started_ms(),
            "command to first screen": typed_ms(url),
            **store_ms(url),
            **asyncio.run(measure(url, arguments.runs)),
        }
    if arguments.json:
        print(json.dumps(found))
        return
    for what, value in found.items():
        print(f"{what:44} {value:8.1f} ms")


if __name__ == "__main__":
    main()
