"""The watcher in a flood: 1,000 events a second of 200 agents and 500 runs at once, in a terminal of 160x48.

The real app runs in a pseudo-terminal with its real driver. A second process holds the other end: it reads what is
drawn and types. The events are copies of runs of a real mesh of 200 agents. They come from a source in the app's own
process (mesh), or another process writes them into a database which the app follows (tail).

Processor time is told by threads: that of the thread of the screen, less what folding the events took, is what drawing
costs. A key counts from when it is typed until the compositor has painted the row it led to, and given it to the
driver. The watcher has lost nothing when its totals say what was sent.

    python benchmarks/tui.py [--seconds 30] [--rate 1000] [--source mesh|tail] [--undrawn] [--json]
"""

import argparse
import asyncio
import fcntl
import gc
import json
import os
import pty
import signal
import statistics
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from agentmesh import Agent, Mesh, Task, open_store
from agentmesh.events import Event
from agentmesh.testing.flood import Flood
from agentmesh.tui import app as app_module
from agentmesh.tui.app import WatchApp
from agentmesh.tui.board import Board
from agentmesh.tui.sources import BATCH, Source, TailSource
from agentmesh.tui.watching import Watched
from agentmesh.tui.widgets.rows import Rows
from agentmesh.types import Clock, RunId, SystemClock

AGENTS, LIVE = 200, 500
COLUMNS, LINES = 160, 48
KEY_EVERY_S = 0.37
WARM_UP_S = 5.0
"""Before this nothing is counted: the first runs fill the list."""


class Noop(Agent):
    """Answers at once."""

    price_per_call_usd = "0.001"

    def __init__(self, number: int) -> None:
        """Tell this agent from the others."""
        self.id = f"agent-{number:03}"
        self.description = f"Answers questions of kind {number}."

    async def run(self, task: Task) -> str:  # noqa: ARG002 - it does nothing
        """Return a constant."""
        return "an answer of one sentence, as answers are"


async def models(cascade: int = 100) -> list[list[Event]]:
    """Return the events of runs of a real mesh: ``cascade`` by the default router, then one by each agent."""
    store, ids = open_store(), []
    for router, count in (("auto", cascade), ("round_robin", AGENTS)):
        async with Mesh(map(Noop, range(AGENTS)), store=store, router=router, explore=1.0) as mesh:
            for place in range(count):
                run = await mesh.run(f"question number {place} of many, of no kind in particular")
                ids.append(run.id)
                if place % 3 == 0:
                    await mesh.feedback(run.id, 0.7)
    return [store.events(run_id) for run_id in ids]


class Paced:
    """Says how many events are due by now at so many a second, until ``seconds`` are over."""

    def __init__(self, rate: float, seconds: float, clock: Clock) -> None:
        """Begin now."""
        self._rate, self._seconds, self._clock = rate, seconds, clock
        self._begun, self._taken = clock.monotonic(), 0

    def due(self) -> int:
        """Return how many events are due since this was last asked."""
        gone = min(self._clock.monotonic() - self._begun, self._seconds)
        count = min(int(gone * self._rate) - self._taken, BATCH)
        self._taken += count
        return count


class FloodSource:
    """Gives the events of a flood as they fall due, as a mesh in this process would."""

    label, is_over = "a flood", False

    def __init__(self, flood: Flood, rate: float, seconds: float) -> None:
        """Begin at the first question."""
        self._flood, self._clock, self._pace = flood, SystemClock(), None
        self._begin = lambda: Paced(rate, seconds, self._clock)

    def more(self) -> Sequence[Event]:
        """Return what is due."""
        self._pace = self._pace or self._begin()
        return self._flood.take(self._pace.due(), self._clock.now())

    def trace(self, run_id: RunId, *, after: int = -1, limit: int | None = None) -> Sequence[Event]:
        """Return nothing: no run is opened here."""
        raise NotImplementedError(run_id)


class TimedSource:
    """Adds up what asking another source costs."""

    def __init__(self, source: Source) -> None:
        """Time ``source``."""
        self._source, self.cpu_s, self.is_over = source, 0.0, False

    @property
    def label(self) -> str:
        """Return what the source is called."""
        return self._source.label

    def more(self) -> Sequence[Event]:
        """Return what the source gives."""
        begun = time.thread_time()
        try:
            return self._source.more()
        finally:
            self.cpu_s += time.thread_time() - begun

    def trace(self, run_id: RunId, *, after: int = -1, limit: int | None = None) -> Sequence[Event]:
        """Return the events of a run."""
        return self._source.trace(run_id, after=after, limit=limit)


class TimedBoard(Board):
    """Adds up what folding costs."""

    folding_s = 0.0

    def take(self, events: Iterable[Event]) -> None:
        """Fold events in."""
        begun = time.thread_time()
        super().take(events)
        TimedBoard.folding_s += time.thread_time() - begun


class TimedApp(WatchApp):
    """Notes when keys led the cursor elsewhere, and when that was painted; measures itself once a second."""

    CSS_PATH = Path(app_module.__file__).with_name("app.tcss")

    def __init__(self, watched: Watched, *, drawn: bool) -> None:
        """Draw only where it is to be ``drawn``."""
        super().__init__(watched)
        self._drawn = drawn
        self._moved = 0
        self.paints = 0
        self.painted_at: list[float] = []
        self.measured: list[dict[str, float]] = []

    def on_mount(self) -> None:
        """Begin to measure too."""
        super().on_mount()
        self.set_interval(1.0, self._measure)
        self.call_after_refresh(lambda: self.watch(self.screen.query_one(Rows), "cursor", self._note_move, init=False))

    def _note_move(self) -> None:
        self._moved += 1

    def _draw(self) -> None:
        if self._drawn:
            super()._draw()

    def _display(self, screen: Any, renderable: Any) -> None:
        super()._display(screen, renderable)
        self.paints += renderable is not None
        while renderable is not None and len(self.painted_at) < self._moved:
            self.painted_at.append(time.monotonic())

    def _measure(self) -> None:
        self.measured.append(
            {
                "at": time.monotonic(),
                "ui_s": time.thread_time(),
                "process_s": time.process_time(),
                "folding_s": TimedBoard.folding_s,
                "source_s": self.watched.source.cpu_s,  # type: ignore[attr-defined]  # a TimedSource
                "mb": resident_mb(),
                "paints": self.paints,
                "events": self.watched.board.totals.events,
            }
        )


def resident_mb() -> float:
    """Return the memory of this process that is in use."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def shown(arguments: argparse.Namespace) -> None:
    """Be the watcher, and write down what was measured when it is left."""
    store = open_store() if arguments.url is None else open_store(arguments.url, read_only=True)
    if arguments.url is None:
        flood = Flood(asyncio.run(models()), live=LIVE)
        source: Source = FloodSource(flood, arguments.rate, arguments.seconds)
    else:
        source = TailSource(store)
    app = TimedApp(Watched(TimedSource(source), store, board=TimedBoard()), drawn=not arguments.undrawn)
    gc.freeze()  # as agentmesh watch does
    app.run()
    totals, sent = app.watched.board.totals, flood.told if arguments.url is None else store.last_place()
    told = {"measured": app.measured, "painted_at": app.painted_at, "events": totals.events, "sent": sent}
    told |= {
        "ended": totals.ended.total(),
        "held": len(app.watched.board.runs),
        "agents": len(app.watched.board.agents),
    }
    Path(arguments.into).write_text(json.dumps(told))


def written(arguments: argparse.Namespace) -> None:
    """Be the process that writes: twenty batches a second."""
    clock = SystemClock()
    with open_store(arguments.url) as store:
        flood = Flood(asyncio.run(models()), live=LIVE)
        Path(arguments.into, "ready").touch()
        while not Path(arguments.into, "go").exists():
            time.sleep(0.01)
        pace = Paced(arguments.rate, arguments.seconds, clock)
        while flood.told < int(arguments.rate * arguments.seconds):
            store.append(flood.take(pace.due(), clock.now()))
            time.sleep(0.05)


class Terminal:
    """Holds the other end of a pseudo-terminal: reads what is drawn, and types."""

    def __init__(self, command: Sequence[str]) -> None:
        """Start ``command`` in it."""
        self._end, inner = pty.openpty()
        fcntl.ioctl(inner, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
        environment = {**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor"}
        self.process = subprocess.Popen(
            command, stdin=inner, stdout=inner, stderr=inner, env=environment, start_new_session=True
        )
        os.close(inner)
        self.received, self.typed_at, self._drawn = 0, list[float](), threading.Event()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def wait_until_drawn(self, timeout_s: float) -> None:
        """Return when the app has drawn its first screen."""
        if not self._drawn.wait(timeout_s):
            self.process.kill()
            raise SystemExit("the watcher drew nothing")

    def press(self, key: str) -> None:
        """Type a key."""
        self.typed_at.append(time.monotonic())
        os.write(self._end, key.encode())

    def leave(self) -> None:
        """Type q, and wait for the end."""
        os.write(self._end, b"q")
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.send_signal(signal.SIGKILL)
            raise

    def _read(self) -> None:
        while True:
            try:
                piece = os.read(self._end, 65536)
            except OSError:
                return
            self.received += len(piece)
            if b"under way" in piece:
                self._drawn.set()


def measure(source: str, rate: float, seconds: float, *, drawn: bool = True) -> dict[str, Any]:
    """Return the figures of one flood."""
    with tempfile.TemporaryDirectory() as folder:
        into = Path(folder, "told.json")
        options = ["--rate", str(rate), "--seconds", str(seconds)] + ([] if drawn else ["--undrawn"])
        url = f"sqlite:///{Path(folder, 'flood.db')}"
        writer = None
        if source == "tail":
            open_store(url).close()
            writer = subprocess.Popen([sys.executable, __file__, "write", *options, "--url", url, "--into", folder])
            while not Path(folder, "ready").exists():
                time.sleep(0.05)
            options += ["--url", url]
        terminal = Terminal([sys.executable, __file__, "show", *options, "--into", str(into)])
        terminal.wait_until_drawn(60)
        Path(folder, "go").touch()
        begun = time.monotonic()
        while time.monotonic() < begun + seconds:
            time.sleep(KEY_EVERY_S)
            if time.monotonic() > begun + WARM_UP_S and drawn:
                terminal.press(
                    "jg"[len(terminal.typed_at) % 2]
                )  # down from the first row, and back: each leads somewhere
        if writer is not None:
            writer.wait(60)
        time.sleep(3.0)  # for the last events to be taken in
        terminal.leave()
        return figures(json.loads(into.read_text()), terminal, seconds)


def figures(told: dict[str, Any], terminal: Terminal, seconds: float) -> dict[str, Any]:
    """Return what was measured between the warm-up and the end of the flood."""
    begun = next(one["at"] for one in told["measured"] if one["events"])
    counted = [one for one in told["measured"] if WARM_UP_S <= one["at"] - begun <= seconds]
    first, last = counted[0], counted[-1]
    over = {key: (last[key] - first[key]) / (last["at"] - first["at"]) for key in first}
    waits = sorted(b - a for a, b in zip(terminal.typed_at, told["painted_at"], strict=False))
    at_10 = min(counted, key=lambda one: abs(one["at"] - begun - 10.0))
    return {
        "events_per_s": round(over["events"]),
        "core_process": round(over["process_s"], 3),
        "core_source": round(over["source_s"], 3),
        "core_folding": round(over["folding_s"], 3),
        "core_drawing": round(over["ui_s"] - over["folding_s"], 3),
        "paints_per_s": round(over["paints"], 1),
        "kb_per_s_to_terminal": round(terminal.received / 1024 / seconds, 1),
        "keys": len(waits),
        "keys_typed": len(terminal.typed_at),
        "key_p50_ms": round(1000 * statistics.median(waits), 1) if waits else None,
        "key_p95_ms": round(1000 * waits[int(0.95 * len(waits))], 1) if waits else None,
        "key_max_ms": round(1000 * waits[-1], 1) if waits else None,
        "mb_at_10_s": round(at_10["mb"], 1),
        "mb_at_end": round(last["mb"], 1),
        "events": told["events"],
        "lost": told["sent"] - told["events"],
        "runs_ended": told["ended"],
        "runs_held": told["held"],
        "agents": told["agents"],
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("part", nargs="?", choices=["show", "write"], help=argparse.SUPPRESS)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--rate", type=float, default=1000.0)
    parser.add_argument("--source", choices=["mesh", "tail"], default="mesh")
    parser.add_argument("--undrawn", action="store_true")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--url", help=argparse.SUPPRESS)
    parser.add_argument("--into", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.part is not None:
        {"show": shown, "write": written}[arguments.part](arguments)
        return
    found = measure(arguments.source, arguments.rate, arguments.seconds, drawn=not arguments.undrawn)
    print(json.dumps(found) if arguments.json else "\n".join(f"{name:22} {value}" for name, value in found.items()))


if __name__ == "__main__":
    main()
