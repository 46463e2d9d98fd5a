"""The command line as a process: a terminal, a reader that leaves, Ctrl-C."""

import os
import pty
import signal
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

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


COMMAND = "import sys; from agentmesh.cli.app import main; sys.exit(main())"
WITHOUT_COLOUR_FROM_OUTSIDE = "import os; os.environ.pop('NO_COLOR', None)"
WITHOUT_STDOUT = "import os, sys; os.close(1); sys.stdout = sys.__stdout__ = None"
"""What Python finds, and does, where a shell has closed the stream."""

Start = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def start(folder: Path, warm_python: Any) -> Start:
    """Return what runs a command in a process of its own that has loaded the package."""
    program = folder / "command.py"
    program.write_text(COMMAND, encoding="utf-8")
    return partial(warm_python.run, program, folder=folder, before=WITHOUT_COLOUR_FROM_OUTSIDE)


def on_terminal(start: Start, *arguments: str, stream: str = "stdout", **variables: str) -> str:
    """Run a command with a pseudo-terminal as one of its streams and return what it wrote there."""
    ours, theirs = pty.openpty()
    environment = {"TERM": "xterm-256color", "COLUMNS": "120", **variables}
    with open(ours, "rb"), ThreadPoolExecutor(1) as reader, open(theirs, "wb"):
        written = reader.submit(read_all, ours)
        start(*arguments, environment=environment, streams={stream: os.ttyname(theirs)})
    return written.result().decode()


def read_all(terminal: int) -> bytes:
    """Return all that is written on the other side until it closes, which Linux reports as an error."""
    written = bytearray()
    with suppress(OSError):
        while piece := os.read(terminal, 65536):
            written += piece
    return bytes(written)


def test_a_table_on_a_terminal_is_drawn_and_coloured(start: Start):
    shown = on_terminal(start, "doctor")
    assert "──" in shown
    assert "\x1b[" in shown


def test_a_table_on_a_terminal_without_colour_is_drawn_plain(start: Start):
    shown = on_terminal(start, "doctor", NO_COLOR="1")
    assert "──" in shown
    assert "\x1b[3" not in shown


def test_the_demo_shows_a_bar_on_a_terminal(start: Start):
    shown = on_terminal(start, "demo", "--limit", "3", stream="stderr")
    assert "3/3" in shown
    assert "USD per 1,000" in shown


def test_bench_says_what_it_is_doing_on_a_terminal(start: Start, recorded_set: str):
    shown = on_terminal(start, "bench", recorded_set, "--routers", "cosine", stream="stderr")
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
def test_a_reader_that_takes_one_line_is_not_an_error_to_talk_about(start: Start, folder: Path, words: str):
    pipe = folder / "pipe"
    os.mkfifo(pipe)
    with subprocess.Popen(["sh", "-c", f"head -n 1 <{pipe}"], stdout=subprocess.PIPE, text=True) as reader:
        done = start(*words.split(), streams={"stdout": str(pipe)})
        line, _ = reader.communicate()
    assert done.stderr == ""
    assert len(line.splitlines()) == 1


def test_a_process_without_an_output_stream_still_works(start: Start):
    done = start("demo", "--limit", "2", before=WITHOUT_STDOUT)
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
