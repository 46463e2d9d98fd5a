"""The watcher on a store of 100,000 runs: how soon it is open, and how long a screen takes to show what was asked for.

The database is written first, by appending events in batches. The app runs without a terminal at 160x48. A key counts
from when it is pressed until what it leads to is on the screen, read from the database where it was not read yet. What
starting Python and importing the app takes is told apart.

    python benchmarks/tui_store.py [--runs 100000] [--db FILE] [--json]
"""

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tui import models  # the script beside this one

from agentmesh import open_store
from agentmesh.store import TraceStore
from agentmesh.store.base import RunFilter
from agentmesh.testing.flood import copied
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
    """Wait until something stands on the screen."""
    for _ in range(5_000):
        if is_so():
            return
        await asyncio.sleep(0.002)
    raise SystemExit("it never came to stand on the screen")


async def measure(url: str, runs: int) -> dict[str, float]:
    """Return milliseconds: medians of several times for what can be done again."""
    found: dict[str, list[float]] = {}
    begun = time.perf_counter()
    store = open_store(url, read_only=True)

    def note(what: str) -> None:
        found.setdefault(what, []).append(1000 * (time.perf_counter() - begun))

    app = WatchApp(Watched(TailSource(store), store))
    async with app.run_test(size=(160, 48)) as pilot:
        await shown(lambda: len(app.watched.board.runs) >= 100 and len(app.screen.query_one(Rows)) >= 100)
        note("open, live screen")

        async def press(what: str, key: str, is_so: Callable[[], bool]) -> None:
            nonlocal begun
            begun = time.perf_counter()
            app.simulate_key(key)
            await shown(is_so)
            note(what)

        def at(place: int) -> Callable[[], bool]:
            return lambda: rows.cursor == place and "..." not in text(app)

        await press("runs screen, first time", "2", lambda: f"{runs:,} runs" in text(app))
        rows = app.screen.query_one(Rows)
        for _ in range(TIMES):
            page = rows.scrollable_content_region.height - 2
            await press("page down", "pagedown", at(rows.cursor + page))
            await press("down", "down", at(rows.cursor + 1))
            await press("end", "end", at(runs - 1))
            await press("page up from the end", "pageup", at(runs - 1 - page))
            await press("home", "home", at(0))
        for _ in range(TIMES):
            await press("state: running (none)", "s", lambda: "running" in text(app) and " 0 runs" in f" {text(app)}")
            for state in ("waiting", "completed"):
                await press(f"state: {state}", "s", lambda state=state: f"runs, {state}" in text(app))
            for state in STATES[4:]:
                named = "all states" if state is None else str(state.value).replace("_", " ")
                await press("state: others", "s", lambda named=named: f"runs, {named}" in text(app))
            await press("state: over to all", "s", lambda: f"{runs:,} runs, all" in text(app))
        for typed in ("number 7 of many", "nothing of the kind", "id:r0050", "agent:agent-007"):
            for _ in range(TIMES):
                await pilot.press("slash")
                app.screen.query_one("#search").value = typed  # type: ignore[attr-defined]
                await press(f"search {typed!r}", "enter", lambda typed=typed: repr(typed) in text(app))
                await press("leave a search", "escape", lambda: f"{runs:,} runs, all" in text(app))
    return {what: round(statistics.median(values), 1) for what, values in found.items()}


def text(app: WatchApp) -> str:
    """Return what stands on the screen."""
    return "\n".join("".join(one.text for one in strip) for strip in app.screen._compositor.render_strips())


def started_ms() -> float:
    """Return what starting Python and importing the app takes."""
    begun = time.perf_counter()
    subprocess.run([sys.executable, "-c", "import agentmesh.tui.app, agentmesh.store.sqlite"], check=True)
    return round(1000 * (time.perf_counter() - begun), 1)


def store_ms(url: str) -> dict[str, float]:
    """Return what the store alone takes for the same questions."""
    questions = {"": None, "text": RunFilter(text="number 7 of many"), "no text": RunFilter(text="nothing of the kind")}
    found = {}
    with open_store(url, read_only=True) as store:
        for name, where in questions.items():
            for what, ask in (("count", store.count_runs), ("page", lambda where: store.runs(where, limit=100))):
                begun = time.perf_counter()
                ask(where)
                found[f"store: {what} {name}".strip()] = round(1000 * (time.perf_counter() - begun), 1)
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=100_000)
    parser.add_argument("--db", type=Path)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = arguments.db or Path(folder, "many.db")
        url = f"sqlite:///{path}"
        if not path.exists():
            with open_store(url) as store:
                write(store, arguments.runs)
        found = {"python and imports": started_ms(), **store_ms(url), **asyncio.run(measure(url, arguments.runs))}
    if arguments.json:
        print(json.dumps(found))
        return
    for what, value in found.items():
        print(f"{what:32} {value:8.1f} ms")


if __name__ == "__main__":
    main()
