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
from tests.tui.story import Telling, decision, sum_asked, told_store
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
BESIDE = """
import asyncio
from agentmesh import Learning, Mesh, agent, open_store
from agentmesh.tui.beside import watch_mesh
from agentmesh.tui.sources import MeshSource
@agent(description="Solves arithmetic.", price_per_call_usd="0.001")
async def maths(task):
    return "84"
async def work(mesh):
    return (await mesh.run("What is 12 * 7?")).answer
async def main():
    with open_store() as store:
        source = MeshSource(store)
        async with Mesh([maths], store=store, learning=Learning(mode="off"), listeners=[source]) as mesh:
            print("It came to", await watch_mesh(mesh, source, work(mesh), note="One sum."))
asyncio.run(main())
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


@pytest.mark.soak  # the pilot's test of the same is among the bounded ones
def test_a_terminal_that_shrinks_again_and_again_says_so_and_goes_on(terminal: Terminal) -> None:
    terminal.run(WATCH)
    terminal.reads("agentmesh live", "What is 12 * 7?", "4 ended, 3 under way")
    terminal.press("2")
    for _ in range(50):
        terminal.reads("agentmesh runs", "7 runs, all states", "Quit")
        terminal.resize(20, 5)
        terminal.reads("too small: 40x10 is")
        terminal.resize(80, 24)
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


def test_the_demo_tells_a_newcomer_what_is_routed_where_and_why_and_sums_up_when_it_is_left(
    terminal: Terminal, tmp_path: Path
) -> None:
    terminal.run(f"{sys.executable} -m agentmesh demo --watch")
    screen = terminal.reads("Each question goes to one of 12 recorded models", "+ done", "of best single (")
    for words in (
        ("state", "task", "asked", "score", "margin", "USD", "s", "worth"),  # the titles
        ("utility of the agent asked", "of the best others", "its lead", "drawn to explore", "s: seconds", "score 0-1"),
        ("a right answer scores 1,", "the router learns whom to ask next", "Enter: why this one?"),
        ("ended", "errors", "quality", "cost", "newest"),
        ("Open", "Help", "Quit"),
    ):
        assert [word for word in words if word not in screen] == []
    terminal.press("Enter")
    terminal.reads("Chosen by router", "*: chosen", "would need: the quality")
    terminal.press("q")
    terminal.until(lambda: terminal.is_given_back(0))
    assert "questions" in terminal.reads("quality")


def test_a_program_shows_its_own_mesh_and_goes_on_with_what_its_work_brought(
    terminal: Terminal, tmp_path: Path
) -> None:
    (tmp_path / "beside.py").write_text(BESIDE, encoding="utf-8")
    terminal.run(f"{sys.executable} beside.py")
    terminal.reads("agentmesh live", "One sum.", "What is 12 * 7?", "+ done", "1 ended, 0 under way")
    terminal.press("q")
    terminal.until(lambda: terminal.is_given_back(0))
    assert "It came to 84" in terminal.screen()


def test_a_stored_run_is_played_and_steered(terminal: Terminal, url: str) -> None:
    slow = Telling("slow").start("How long?")
    slow.pause(3600.0).decide(decision()).call("maths", "An hour").pause(3600.0).end("An hour", "0.0012", "maths")
    with open_store(url) as writer:
        writer.append(slow.events)
    terminal.run(f"{WATCH} slow --speed 0.5")
    terminal.reads("agentmesh run", "plays x0.5", "2/7")
    terminal.press("Space")
    terminal.reads("paused x0.5")
    terminal.press(".", ".")
    terminal.reads("4/7", "would need", "paused")
    terminal.press(">", ">", "<")
    terminal.reads("paused x1 ")
    terminal.press("Space")
    terminal.reads("plays x1 ", "5/7")
    terminal.press("C-c")
    terminal.until(lambda: terminal.is_given_back(0))


def test_a_run_is_shown_in_the_pager_of_the_user_and_the_app_comes_back(terminal: Terminal, tmp_path: Path) -> None:
    pager = tmp_path / "pager"
    pager.write_text("#!/bin/sh\ncat >paged\necho the pager is here\nread answer </dev/tty\n", encoding="utf-8")
    pager.chmod(0o755)
    terminal.run(f"PAGER=./pager {WATCH} battle --speed 100")
    terminal.reads("would need", "ended x100")
    terminal.press("o")
    assert "would need" not in terminal.reads("the pager is here")
    terminal.press("Enter")
    terminal.reads("would need", "agentmesh run")
    assert "Answer\n1066" in (tmp_path / "paged").read_text(encoding="utf-8")
    terminal.press("q")
    terminal.until(lambda: terminal.is_given_back(0))
