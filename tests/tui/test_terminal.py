"""The real program in a real terminal, on a real database: what it shows there, and how it gives the terminal back."""

import os
import re
import shutil
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from agentmesh.store import open_store
from tests.tui.story import sum_asked, told_store
from tests.tui.terminal import Terminal, no_tmux

WATCH = f"{sys.executable} -m agentmesh watch"
RAISING = """
import sys
from agentmesh.cli.watch import show
from agentmesh.store import open_store
class Raising:
    label, is_over, told = "raising", False, False
    def more(self):
        if self.told:
            raise ValueError("no such thing")
        self.told = True
        return store.events("sum")
with open_store(sys.argv[1], read_only=True) as store:
    show(Raising(), store)
"""
pytestmark = pytest.mark.timeout(180)  # a real terminal, whose program takes seconds to start on a busy machine
GREY = re.compile(r"[34]8;2;(\d+);(\d+);(\d+)")


@pytest.fixture
def url(tmp_path: Path) -> str:
    """Return the URL of a database that holds the story."""
    url = f"sqlite:///{tmp_path / 'watched.db'}"
    told_store(url).close()
    return url


@pytest.fixture
def terminal(tmp_path: Path, url: str) -> Iterator[Terminal]:
    """Return a terminal in whose environment the database is named."""
    if shutil.which("tmux") is None:
        no_tmux()
    terminal = Terminal(tmp_path, AGENTMESH_DB=url)
    yield terminal
    terminal.close()


def test_the_program_is_walked_through_and_left(terminal: Terminal, url: str) -> None:
    terminal.run(WATCH)
    terminal.reads("agentmesh live", "What is 12 * 7?", "4 ended, 3 under way")
    with open_store(url) as writer:
        writer.append(sum_asked("later", 20.0).events)
    terminal.reads("5 ended")
    terminal.press("2")
    terminal.reads("8 runs, all states")
    terminal.press("G", "Enter")
    terminal.reads("agentmesh run ", "would need", "Chosen by router")
    terminal.press("Escape")
    terminal.reads("agentmesh runs")
    terminal.press("q")
    terminal.until(lambda: terminal.is_given_back(0))


def test_ctrl_c_leaves_it_and_no_color_is_heeded(terminal: Terminal) -> None:
    terminal.run(f"NO_COLOR=1 {WATCH} --recent 5")
    terminal.reads("What is 6 * 9?")
    colours = GREY.findall(terminal.screen(styled=True))
    assert colours
    assert all(red == green == blue for red, green, blue in colours)
    terminal.press("C-c")
    terminal.until(lambda: terminal.is_given_back(0))


def test_a_signal_to_end_gives_the_terminal_back(terminal: Terminal, tmp_path: Path) -> None:
    terminal.run(f"sh -c 'echo $$ >pid; exec {WATCH}'")
    terminal.reads("What is 12 * 7?")
    terminal.press("4")
    terminal.reads("agentmesh routers")
    os.kill(int((tmp_path / "pid").read_text()), signal.SIGTERM)
    terminal.until(lambda: terminal.is_given_back(0))


def test_an_error_inside_the_app_gives_the_terminal_back_and_is_told(
    terminal: Terminal, url: str, tmp_path: Path
) -> None:
    (tmp_path / "raising.py").write_text(RAISING)
    terminal.run(f"{sys.executable} raising.py {url}")
    terminal.until(lambda: terminal.is_given_back(1))
    assert "ValueError: no such thing" in terminal.reads("no such thing")


def test_lines_end_with_their_pipe_with_ctrl_c_and_with_their_run(terminal: Terminal) -> None:
    terminal.run(f"{WATCH} sum --plain --speed 100 | head -1")
    terminal.until(lambda: terminal.is_given_back(0))
    said = terminal.screen()
    assert "started: 'What is 12 * 7?'" in said
    assert "prepared" not in said
    assert "rror" not in said
    terminal.run(f"{WATCH} --plain --recent 1")
    terminal.reads("maths is asked")
    terminal.press("C-c")
    terminal.until(lambda: terminal.is_given_back(130))
    assert "Traceback" not in terminal.screen()
