"""What the app draws where its terminal, by the locale, lacks the letters, and where a stream of it is no terminal."""

import io
import sys

import pytest
from rich.cells import cell_len
from textual.pilot import Pilot

from agentmesh.tui.app import WatchApp
from agentmesh.tui.sources import TailSource
from agentmesh.tui.terminal import IN_CELLS, columns_kept, stream_without_terminal
from agentmesh.tui.watching import Watched
from tests.tui.story import told_store


@pytest.mark.parametrize(
    ("text", "drawn"),
    [
        ("gemini-1.5… █▄▃▁ 0.59", "gemini-1.5. #___ 0.59"),
        ("├──┤ ▏x☃", "|--| |x?"),
        ("日本 e\u0301 \U0001f469\u200d\U0001f680!", "???? e ??!"),  # an astronaut takes two cells
    ],
)
def test_a_letter_that_the_encoding_lacks_takes_as_many_cells(text: str, drawn: str, monkeypatch) -> None:
    written = io.BytesIO()
    stream = io.TextIOWrapper(written, "ascii", errors="backslashreplace")
    monkeypatch.setattr(sys, "__stderr__", stream)
    with columns_kept():
        stream.write(text)
        stream.flush()
    assert written.getvalue().decode() == drawn
    assert cell_len(drawn) == cell_len(text)
    assert stream.errors == "backslashreplace"


def test_without_a_stream_to_draw_on_there_is_nothing_to_keep(monkeypatch) -> None:
    monkeypatch.setattr(sys, "__stderr__", None)
    with columns_kept():
        assert sys.__stderr__ is None


async def test_the_app_draws_so() -> None:
    seen = []

    async def look(pilot: Pilot[object]) -> None:
        seen.append(sys.__stderr__.errors)
        pilot.app.exit()

    with told_store() as store:
        await WatchApp(Watched(TailSource(store), store)).run_async(headless=True, auto_pilot=look)
    assert seen == [IN_CELLS]
    assert sys.__stderr__.errors != IN_CELLS


@pytest.mark.parametrize("name", ["stdin", "stdout", "stderr"])
def test_a_stream_that_is_no_terminal_is_named(name: str, monkeypatch) -> None:
    class Seen(io.StringIO):
        def isatty(self) -> bool:
            return True

    for other in ("stdin", "stdout", "stderr"):
        monkeypatch.setattr(sys, other, Seen())
    assert stream_without_terminal() is None
    monkeypatch.setattr(sys, name, None)
    assert stream_without_terminal() == name
    monkeypatch.setattr(sys, name, io.StringIO())
    assert stream_without_terminal() == name
