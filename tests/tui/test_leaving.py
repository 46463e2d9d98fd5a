"""How the watcher is ended from outside: by a signal, by a terminal that goes, and where it stands still."""

import asyncio
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from agentmesh.tui.leaving import GIVEN_BACK, ended_from_outside
from tests.tui.pseudo import PseudoTerminal
from tests.tui.story import told_store

pytestmark = pytest.mark.timeout(180)  # a program in a terminal takes seconds to start on a busy machine

STANDING_STILL = """
import asyncio, sys, termios, threading, tty
from agentmesh.tui.leaving import ended_from_outside
async def main():
    with ended_from_outside(lambda: None, grace_s=0.2):
        tty.setraw(0, termios.TCSANOW)
        print("ready", flush=True)
        threading.Event().wait()
asyncio.run(main())
"""


@pytest.fixture
def watcher(tmp_path: Path) -> Iterator[PseudoTerminal]:
    """Return a terminal in which the story is watched."""
    url = f"sqlite:///{tmp_path / 'watched.db'}"
    told_store(url).close()
    state = str(tmp_path / "state")  # the layout of whoever runs the tests is none of theirs
    terminal = PseudoTerminal("-m", "agentmesh", "watch", AGENTMESH_DB=url, XDG_STATE_HOME=state)
    terminal.reads(b"What is 12 * 7?")
    yield terminal
    terminal.close()


def test_a_hang_up_ends_it_and_gives_the_terminal_back(watcher: PseudoTerminal) -> None:
    assert watcher.settings() != watcher.before
    watcher.program.send_signal(signal.SIGHUP)
    assert watcher.ends() == 0
    watcher.reads(b"\x1b[?1049l")
    assert watcher.settings() == watcher.before


def test_a_terminal_that_shrank_and_grew_is_painted_anew_and_one_that_goes_without_a_signal_ends_it(
    watcher: PseudoTerminal,
) -> None:
    watcher.said = b""
    watcher.program.send_signal(signal.SIGWINCH)  # both at once: it is as large as it was, and has lost what it cut off
    watcher.reads(b"What is 12 * 7?")
    watcher.go()
    assert watcher.ends() == 0


def test_one_that_stands_still_is_ended_all_the_same_and_the_terminal_given_back() -> None:
    terminal = PseudoTerminal("-c", STANDING_STILL)
    terminal.reads(b"ready")
    assert terminal.settings() != terminal.before
    terminal.program.send_signal(signal.SIGTERM)
    assert terminal.ends() == 128 + signal.SIGTERM
    terminal.reads(GIVEN_BACK)
    assert terminal.settings() == terminal.before
    terminal.close()


async def test_signals_are_as_they_were_afterwards_and_one_that_is_ignored_stays_so() -> None:
    left = asyncio.Event()
    before = signal.getsignal(signal.SIGTERM), signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with ended_from_outside(left.set):
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
            signal.raise_signal(signal.SIGTERM)
            await left.wait()
    finally:
        signal.signal(signal.SIGHUP, before[1])
    assert signal.getsignal(signal.SIGTERM) == before[0]


def test_a_thread_hears_no_signals_and_is_left_in_peace() -> None:
    before, seen = signal.getsignal(signal.SIGTERM), []

    async def inside() -> None:
        with ended_from_outside(lambda: None):
            seen.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=lambda: asyncio.run(inside()))
    thread.start()
    thread.join()
    assert seen == [before]
