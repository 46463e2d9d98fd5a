"""The command line as a process: a terminal, a reader that leaves, Ctrl-C."""

import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import pytest

AGENTMESH = [sys.executable, "-m", "agentmesh"]
WAITING = """
import asyncio
from agentmesh import Mesh, Task, agent

@agent(description="Waits.")
async def waiter(task: Task) -> str:
    print("waiting", flush=True)
    await asyncio.Event().wait()

mesh = Mesh([waiter])
"""


def on_terminal(*arguments: str, stream: str = "stdout", **variables: str) -> str:
    """Run a command with a pseudo-terminal as one of its streams and return what it wrote there."""
    ours, theirs = pty.openpty()
    environment = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
    environment |= {"TERM": "xterm-256color", "COLUMNS": "120", **variables}
    streams = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, stream: theirs}
    with subprocess.Popen([*AGENTMESH, *arguments], env=environment, **streams) as process:  # type: ignore[call-overload]
        os.close(theirs)
        written = bytearray()
        while piece := read(ours):
            written += piece
        process.wait()
    os.close(ours)
    return written.decode()


def read(terminal: int) -> bytes:
    """Return what was written on the other side; nothing when it has closed, which Linux reports as an error."""
    try:
        return os.read(terminal, 65536)
    except OSError:
        return b""


def test_a_table_on_a_terminal_is_drawn_and_coloured():
    shown = on_terminal("doctor")
    assert "──" in shown
    assert "\x1b[" in shown


def test_a_table_on_a_terminal_without_colour_is_drawn_plain():
    shown = on_terminal("doctor", NO_COLOR="1")
    assert "──" in shown
    assert "\x1b[3" not in shown


def test_the_demo_shows_a_bar_on_a_terminal():
    shown = on_terminal("demo", "--limit", "3", stream="stderr")
    assert "3/3" in shown
    assert "USD per 1,000" in shown


def test_bench_says_what_it_is_doing_on_a_terminal(recorded_set: str):
    shown = on_terminal("bench", recorded_set, "--routers", "cosine", stream="stderr")
    assert "reading" in shown


def test_a_reader_that_leaves_is_not_an_error_to_talk_about():
    listing = subprocess.Popen([*AGENTMESH, "doctor", "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert listing.stdout is not None
    assert listing.stderr is not None
    with listing, listing.stderr as stderr:
        listing.stdout.close()
        assert stderr.read() == b""
    assert listing.returncode == 1


@pytest.mark.parametrize("words", ["doctor", "doctor --json", "demo --limit 2", "--help"])
def test_a_reader_that_takes_one_line_is_not_an_error_to_talk_about(words: str):
    pipe = f"{sys.executable} -m agentmesh {words} | head -n 1"
    done = subprocess.run(["sh", "-c", pipe], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert len(done.stdout.splitlines()) == 1


def test_a_process_without_an_output_stream_still_works():
    listing = f"{sys.executable} -m agentmesh demo --limit 2 >&-"
    done = subprocess.run(["sh", "-c", listing], stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_ctrl_c_ends_a_run_with_130_and_no_traceback(folder: Path):
    (folder / "waiting.py").write_text(WAITING, encoding="utf-8")
    command = [*AGENTMESH, "run", "Wait.", "--app", "waiting:mesh"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "waiting\n"
        process.send_signal(signal.SIGINT)
        _, err = process.communicate()
    assert process.returncode == 130
    assert err.strip() == ""


@pytest.mark.parametrize("encoding", ["ascii", "utf-8"])
def test_an_output_that_lacks_a_letter_gets_an_escape(encoding: str):
    done = subprocess.run(
        [*AGENTMESH, "explain", "Zoë", "--db", "sqlite:///ë.db"],
        env={**os.environ, "PYTHONIOENCODING": encoding},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 1
    assert "ë.db" in done.stderr.decode() or "\\xeb.db" in done.stderr.decode()
