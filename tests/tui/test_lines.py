"""Lines for logs and pipes: none is lost or told twice while a database is away, and they end with who reads them."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout, suppress
from pathlib import Path

import pytest

from agentmesh.cli.app import main
from agentmesh.cli.watch_lines import print_lines
from agentmesh.errors import RunNotFoundError
from agentmesh.events import Event
from agentmesh.store import open_store
from agentmesh.store.retention import Retention
from agentmesh.tui.family import Family
from agentmesh.tui.sources import PlayedSource
from tests.tui.story import BEGUN, StandingClock, sum_asked, told_store


class Eventful(PlayedSource):
    """Plays a run, an event or two more of it whenever it is asked; before that something may happen."""

    def __init__(self, family: Family, happens: Sequence[Callable[[], object]]) -> None:
        self._time, self._happens = StandingClock(0.0), iter(happens)
        super().__init__(family, self._time)

    def more(self) -> Sequence[Event]:
        next(self._happens, lambda: None)()
        self._time.at += 0.11
        return super().more()


def nothing() -> None:
    """Let it be."""


def test_lines_wait_for_a_database_that_is_away_and_go_on_where_they_stopped(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, away = tmp_path / "watched.db", tmp_path / "away.db"
    url = f"sqlite:///{path}"
    told_store(url).close()
    with open_store(url, read_only=True) as store:
        goes, comes = (lambda: path.rename(away)), (lambda: away.rename(path))
        source = Eventful(Family.of(store, "sum"), [nothing, goes, nothing, comes, goes, comes])
        print_lines(source, ends=True, as_json=True, retry_s=0.0)
        printed = capsys.readouterr()
        assert printed.out.splitlines() == [event.model_dump_json() for event in store.events("sum")]
        assert printed.err.count("The source cannot be read; trying again: ") == 2  # once each time


def test_lines_do_not_wait_for_a_run_that_was_pruned(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'watched.db'}"
    with told_store(url) as store:
        source = Eventful(Family.of(store, "sum"), [nothing, lambda: store.prune(Retention(before=BEGUN + 1), at=0.0)])
        with pytest.raises(RunNotFoundError, match="'sum'"):
            print_lines(source, ends=True)


@contextmanager
def unread_stdout() -> Iterator[None]:
    """Have stdout be a pipe that nobody reads."""
    reading, writing = os.pipe()
    os.close(reading)
    with suppress(BrokenPipeError), open(writing, "w") as pipe, redirect_stdout(pipe):  # closed with what was left
        yield


@pytest.mark.parametrize("events", [[], sum_asked().events], ids=["nothing to print", "something to print"])
def test_lines_end_quietly_when_nobody_reads_them_any_more(
    events: Sequence[Event], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url = f"sqlite:///{tmp_path / 'watched.db'}"
    with open_store(url) as store:
        store.append(events)
    with unread_stdout(), pytest.raises(SystemExit) as ended:
        main(["watch", "--plain", "--db", url])
    assert ended.value.code == 1
    assert capsys.readouterr().err == ""
