"""What a person at a terminal sees, drawn in this process on a stream that says it is one."""

import io

import pytest

from agentmesh.cli.app import main
from agentmesh.cli.bench import telling
from agentmesh.cli.demo import bar
from agentmesh.cli.output import print_table, shown_on
from agentmesh.demo.records import Progress


class Terminal(io.StringIO):
    """A stream that says it is a terminal and keeps what is written."""

    def isatty(self) -> bool:
        return True


def sit_down_at(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Make the process's streams a terminal; in the test itself, since pytest sets them anew before it."""
    stream = Terminal()
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setattr("sys.stdout", stream)
    monkeypatch.setattr("sys.stderr", stream)
    return stream


def test_a_table_is_drawn_and_takes_brackets_as_they_are(monkeypatch):
    terminal = sit_down_at(monkeypatch)
    print_table(("agent", "price"), [("[bold]adder[/bold]", "1 \x1b[31mUSD")])
    shown = terminal.getvalue()
    assert "[bold]adder[/bold]" in shown
    assert "1 \\x1b[31mUSD" in shown
    assert "──" in shown


def test_the_demo_has_a_bar_that_tells_quality_and_cost(monkeypatch):
    terminal = sit_down_at(monkeypatch)
    with bar() as progress:
        assert progress is not None
        progress(Progress(done=2, total=3, quality=0.5, cost_usd_per_1k=0.25))
    assert "2/3" in terminal.getvalue()
    assert "quality 0.500, 0.250 USD per 1,000" in terminal.getvalue()


def test_the_bench_tells_what_it_does_and_takes_brackets_as_they_are(monkeypatch):
    terminal = sit_down_at(monkeypatch)
    with telling() as say:
        assert say is not None
        say("reading [bold]tiny\x07")
    assert "reading [bold]tiny\\x07" in terminal.getvalue()


def test_away_from_a_terminal_there_are_no_bars(capsys):
    with bar() as progress, telling() as say:
        assert (progress, say, shown_on("stdout")) == (None, None, None)
    assert capsys.readouterr().err == ""


def test_a_command_on_a_stream_of_ones_own_draws_there(monkeypatch):
    terminal = sit_down_at(monkeypatch)
    assert main(["doctor"]) == 0
    assert "──" in terminal.getvalue()
