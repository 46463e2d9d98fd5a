"""Bad input and faults: text of strangers, long runs, and databases that go while they are watched."""

import asyncio
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from rich.cells import cell_len
from textual.events import Paste
from textual.pilot import Pilot

from agentmesh.approvals import ApprovalRequest
from agentmesh.cli.app import main
from agentmesh.display import escape_line
from agentmesh.events import ApprovalAsked, RunResumed
from agentmesh.records import RunStatus
from agentmesh.store import open_store
from agentmesh.store.base import Lease
from agentmesh.store.processes import this_process
from agentmesh.tui.app import WatchApp
from agentmesh.tui.run_presenters import run_text
from agentmesh.tui.screens.run import PARTS
from agentmesh.tui.widgets.field import Field
from agentmesh.tui.widgets.rows import Numbered, Rows
from tests.tui.apps import LARGE, press, reads, shown, text_of, until
from tests.tui.story import BEGUN, Telling, decision, sum_asked, told_store
from tests.tui.strange import STRANGE, strange_store

KILLED = """
import os, signal, sys
from agentmesh.store import open_store
from agentmesh.store.base import Lease
from agentmesh.store.processes import this_process
from tests.tui.story import BEGUN, Telling, decision
store, here = open_store(sys.argv[1]), this_process()
store.put_lease(Lease("killed", here.host, here.pid, here.place, here.born, BEGUN, BEGUN + 60))
store.append(Telling("killed").start("Who am I?", owner="killed").decide(decision()).events)
os.kill(os.getpid(), signal.SIGKILL)
"""
PASTED = "\x1b[2Jred\x1b]0;title\x07\u202eback"
MEGABYTE = 1_000_000
pytestmark = pytest.mark.timeout(60)  # every screen is walked through, on a machine that may be busy
STEERING = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def is_harmless(app: WatchApp) -> bool:
    """Check that nothing on the screen steers a terminal, and that each line is as wide as it is."""
    for strip in app.screen._compositor.render_strips():
        line = "".join(segment.text for segment in strip)
        assert not STEERING.search(line), ascii(line)
        assert cell_len(line) == app.size.width, ascii(line)
    return True


async def paste_into_every_field(app: WatchApp, pilot: Pilot) -> None:
    """Paste what could steer a terminal wherever something can be typed, from the terminal and from the app."""
    copied = STRANGE.replace("\ud800", "")
    app.copy_to_clipboard(copied)
    for keys in (["1", "slash"], ["2", "slash"], ["6", "e"]):
        await press(pilot, *keys)
        field = app.focused
        assert isinstance(field, Field)
        field.value = ""
        app.post_message(Paste(PASTED))
        await until(pilot, lambda field=field: field.value == escape_line(PASTED))
        assert field.cursor_position == len(field.value)
        await press(pilot, "home", "ctrl+v")
        await until(pilot, lambda field=field: field.value == escape_line(copied + PASTED))
        assert is_harmless(app)
        await press(pilot, "escape")
    await press(pilot, "ctrl+p", "ctrl+v", *"live")
    await until(pilot, lambda: app.focused.value == "live")
    assert is_harmless(app)
    await press(pilot, "escape")


async def test_text_of_strangers_is_shown_on_every_screen_and_steers_none() -> None:
    lead = escape_line(STRANGE)[:8]
    async with shown(strange_store(), size=LARGE) as (app, pilot):
        for key in "123456":
            await press(pilot, key)
            if key not in "45":  # where there is no router, and nothing was compared
                await reads(pilot, lead)
            assert is_harmless(app)
        await until(pilot, lambda: app.screen.query_one(Rows).key)
        await press(pilot, "e")
        assert app.screen.query_one("#instead").value == escape_line(STRANGE)
        assert is_harmless(app)
        await paste_into_every_field(app, pilot)
        app.open_run("told")
        for part in PARTS:
            await reads(pilot, lead, part.capitalize())
            assert is_harmless(app)
            await press(pilot, "l")
        await press(pilot, "y")
        await reads(pilot, "the answer is copied")
        assert app.clipboard == STRANGE.replace("\ud800", "?")
        app.open_run("gone" + STRANGE)
        await until(pilot, lambda: "gone" in text_of(app) and "reading" not in text_of(app))
        assert is_harmless(app)


async def test_what_a_person_is_asked_stays_as_it_is_where_it_is_not_edited(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'watched.db'}"
    waits = Telling("waits").start("Two\nlines").decide(decision())
    waits.tell(ApprovalAsked, request=ApprovalRequest(agent_id="maths", text="Two\nlines", estimate_usd="0.1"))
    with open_store(url) as writer:
        writer.append(waits.events)
    with open_store(url, read_only=True) as store:
        async with shown(store) as (app, pilot):
            await press(pilot, "6")
            await until(pilot, lambda: app.screen.query_one(Rows).key)
            await press(pilot, "e")
            assert app.screen.query_one("#instead").value == "Two\\nlines"
            await press(pilot, "enter")
            await until(pilot, lambda: store.run("waits").status is not RunStatus.WAITING)
        assert [event.reply.text for event in store.events("waits") if event.kind == "approval_given"] == [None]


async def test_a_long_text_freezes_nothing_and_is_copied_and_told_whole(tmp_path: Path) -> None:
    line, lines = "x" * MEGABYTE, "a line of it\n" * (MEGABYTE // 13)
    told = Telling("long").start(lines).decide(decision()).call("maths", line).end(line, "0.1", "maths")
    waits = Telling("waits", 6.0).start(line).decide(decision())
    waits.tell(ApprovalAsked, request=ApprovalRequest(agent_id="maths", text=line, estimate_usd="0.1"))
    store = open_store()
    for telling in (told, waits):
        store.append(telling.events)
    async with shown(store, size=LARGE) as (app, pilot):
        app.open_run("long")
        await reads(pilot, "would need", "a line of it")
        for part in ("Timeline", "Calls", "Answer"):
            await press(pilot, "l")
            await reads(pilot, part, "xxxx")
        await press(pilot, "y")
        await until(pilot, lambda: app.clipboard == line)
        assert len(run_text(store.events("long"))) > 3 * MEGABYTE
        assert str(app.screen.query_one("#final").content).endswith("980,000 more characters; o shows all in $PAGER")
        await press(pilot, "6")
        await until(pilot, lambda: "980,000 more characters" in str(app.screen.query_one("#request").content))
        await press(pilot, "e")
        await reads(pilot, "a line holds 2,000")


async def test_a_database_that_goes_while_it_is_watched_is_told_and_followed_again_when_it_is_back(
    tmp_path: Path,
) -> None:
    path = tmp_path / "watched.db"
    url = f"sqlite:///{path}"
    told_store(url).close()
    with open_store(url) as writer, open_store(url, read_only=True) as store:
        async with shown(store, size=LARGE) as (app, pilot):
            path.rename(tmp_path / "away.db")
            await reads(pilot, "trying again", "deleted while", "put it back")
            await press(pilot, "2")
            await reads(pilot, "agentmesh runs")
            (tmp_path / "away.db").rename(path)
            writer.append(sum_asked("later", 20.0).events)
            await press(pilot, "1")
            await reads(pilot, "5 ended")
            path.unlink()
            path.write_bytes(b"another one")
            await reads(pilot, "replaced while")
            await press(pilot, "q")
            await until(pilot, lambda: app._exit)
        assert (app.return_code, app.failure) == (0, None)


@pytest.mark.parametrize(
    ("made", "said"),
    [(None, "there is no file"), (b"", "has no tables; open it once without read_only, as a run does")],
)
def test_a_database_that_is_missing_or_empty_is_told_as_by_other_commands(
    made: bytes | None, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "watched.db"
    if made is not None:
        path.write_bytes(made)
    assert main(["watch", "--plain", "--db", f"sqlite:///{path}"]) == 1
    assert said in capsys.readouterr().err


async def test_a_run_whose_process_is_killed_is_shown_as_orphaned_until_somebody_goes_on_with_it(
    tmp_path: Path,
) -> None:
    url = f"sqlite:///{tmp_path / 'watched.db'}"
    with open_store(url) as another, open_store(url, read_only=True) as store:
        async with shown(store, size=LARGE) as (app, pilot):
            killed = await asyncio.to_thread(subprocess.run, [sys.executable, "-c", KILLED, url])
            assert killed.returncode == -signal.SIGKILL
            await until(pilot, lambda: "killed" in app.watched.board.runs)
            app._call_roll()  # sooner than it is called by itself
            await reads(pilot, "! orphan", "0 ended, 1 under way")
            await press(pilot, "enter")
            await reads(pilot, "killed  orphaned: its process is gone", "would need")
            here = this_process()
            another.put_lease(Lease("saver", here.host, here.pid, here.place, here.born, BEGUN, BEGUN + 60))
            another.append([RunResumed(run_id="killed", seq=3, at=BEGUN + 20, owner="saver")])
            app._call_roll()
            await reads(pilot, "killed  running")
            await press(pilot, "escape")
            await reads(pilot, "> goes on")


def test_keys_of_a_long_table_are_made_as_they_are_asked_for() -> None:
    keys = Numbered(100_000)
    assert (len(keys), keys[99_999], keys[1:3], keys.index("77")) == (100_000, "99999", ["1", "2"], 77)
    with pytest.raises(ValueError, match="not in range"):
        keys.index("100000")
