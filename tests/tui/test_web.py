"""The app behind a page: what is served, to whom, and that nothing of it is left when it ends."""

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from io import FileIO
from pathlib import Path
from threading import Event, Thread

import aiohttp
import pytest

from agentmesh.cli.app import main
from agentmesh.tui.app import WatchApp
from agentmesh.tui.layout import Layout, read_layout
from agentmesh.tui.served import ServedDriver
from agentmesh.tui.sources import TailSource
from agentmesh.tui.watching import Watched
from agentmesh.tui.web import WebServer
from tests.tui.story import told_store

SECRET = "known-to-the-test"  # noqa: S105 - it guards a page of this test
READY = "import os, sys, json; sys.stdout.write('__GANGLION__\\n'); sys.stdout.flush()\n"
SAYING = f"""{READY}
said = repr(sys.argv[1:]).encode()
os.write(1, b"D" + len(said).to_bytes(4, "big") + said)
sys.stdin.read()
"""
DEAF = f"""{READY}
said = b"%d!" % os.getpid()
os.write(1, b"D" + len(said).to_bytes(4, "big") + said)
import signal
signal.pause()
"""


@asynccontextmanager
async def served(code: str, *words: str) -> AsyncIterator[tuple[str, aiohttp.ClientSession]]:
    """Serve a program that speaks as an app does, and give the address and a browser of a kind."""
    server, ended, url = WebServer(program(code, *words), secret=SECRET, grace_s=0.1), asyncio.Event(), asyncio.Queue()
    async with asyncio.TaskGroup() as group:
        group.create_task(server.serve_until(ended, told=url.put_nowait))
        async with aiohttp.ClientSession() as browser:
            yield await url.get(), browser
            ended.set()


def program(code: str, *words: str) -> Sequence[str]:
    return [sys.executable, "-I", "-S", "-c", code, *words]


def origin_of(url: str) -> str:
    return url.removesuffix(f"/{SECRET}/")


async def read(page: aiohttp.ClientWebSocketResponse, wanted: bytes) -> bytes:
    """Read what the page is sent until it holds what is ``wanted``, and return what came before."""
    seen = b""
    while wanted not in seen:
        message = await page.receive()
        assert message.type is aiohttp.WSMsgType.BINARY, message
        seen += message.data
    return seen.partition(wanted)[0]


async def test_the_page_needs_nothing_from_elsewhere_and_no_other_may_show_it() -> None:
    async with served(SAYING) as (url, browser):
        async with browser.get(url) as answer:
            page, policy = await answer.text(), answer.headers["Content-Security-Policy"]
            assert (answer.status, answer.headers["Referrer-Policy"]) == (200, "no-referrer")
        address = url.removeprefix("http://")
        async with browser.get(f"{origin_of(url)}/page/page.css") as answer:
            page += await answer.text()
        assert f'data-session-websocket-url="ws://{address}ws"' in page
        assert "http" not in page
        for part in ("default-src 'none'", "script-src 'self';", "frame-ancestors 'none'"):
            assert part in policy
        paths = {part.split('"')[0] for part in page.split('"/')[1:]}
        assert len(paths) == 7  # an icon, two fonts, two style sheets, two scripts
        for path in paths:
            async with browser.get(f"{origin_of(url)}/{path}") as answer:
                assert answer.status == 200, path
        for folder in ("page", "static"):
            async with browser.get(f"{origin_of(url)}/{folder}/") as answer:
                assert answer.status == 403  # no list of what is there


async def test_other_pages_other_names_and_other_users_are_refused() -> None:
    async with served(SAYING) as (url, browser):
        own = origin_of(url)
        port = own.rpartition(":")[2]
        for address, headers, status in (
            (f"{url}ws", {}, 403),
            (f"{url}ws", {"Origin": "http://elsewhere.example"}, 403),
            (f"{url}ws", {"Origin": f"http://localhost:{port}"}, 403),
            (f"{url}ws", {"Origin": "null"}, 403),
            (f"{url}ws", {"Origin": f"http://led.example:{port}", "Host": f"led.example:{port}"}, 403),
            (f"{own}/ws", {"Origin": own}, 404),
            (f"{own}/guessed/ws", {"Origin": own}, 404),
        ):
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await browser.ws_connect(address, headers=headers)
            assert refused.value.status == status, (address, headers)
        for address, headers, status in (
            (url, {"Host": f"led.example:{port}"}, 403),
            (url, {"Origin": "http://elsewhere.example"}, 403),
            (f"{own}/", {}, 404),
        ):
            async with browser.get(address, headers=headers) as answer:
                assert answer.status == status, (address, headers)
        local = {"Origin": f"http://localhost:{port}", "Host": f"localhost:{port}"}
        async with browser.ws_connect(f"{url}ws", headers=local) as page:
            await read(page, b"[]")


async def test_no_shell_reads_what_the_app_is_given() -> None:
    words = ("it's; echo $HOME `id`", "--db=sqlite:///a b.db", '"', "*")
    async with (
        served(SAYING, *words) as (url, browser),
        browser.ws_connect(f"{url}ws?width=wide", origin=origin_of(url)) as page,
    ):
        await read(page, repr(list(words)).encode())


async def test_an_app_that_does_not_end_is_killed_and_one_that_fails_ends_its_page(capsys) -> None:
    async with served(DEAF) as (url, browser), browser.ws_connect(f"{url}ws", origin=origin_of(url)) as page:
        deaf = int(await read(page, b"!"))
    with pytest.raises(ProcessLookupError):
        os.kill(deaf, 0)
    async with (
        served("import sys; sys.exit('no such thing')") as (url, browser),
        browser.ws_connect(f"{url}ws", origin=origin_of(url)) as page,
    ):
        assert (await page.receive()).type is aiohttp.WSMsgType.CLOSE
    assert "no such thing" in capsys.readouterr().out


@pytest.fixture
def server_ends(monkeypatch) -> Iterator[tuple[FileIO, FileIO]]:
    """Return what a server of the app reads and writes; the app of this process has the other ends as its own."""
    (typed, typing), (seeing, shown) = os.pipe(), os.pipe()
    with open(typed, encoding="utf-8") as stdin, open(shown, "w", encoding="utf-8") as stdout:
        monkeypatch.setattr(sys, "__stdin__", stdin)
        monkeypatch.setattr(sys, "__stdout__", stdout)
        with FileIO(seeing) as reading, FileIO(typing, "w") as writing:
            yield reading, writing


async def test_the_app_has_the_page_cut_long_lines_and_follow_its_theme_and_leaves_when_its_server_is_gone(
    server_ends,
) -> None:
    reading, writing = server_ends
    with told_store() as store:
        app = WatchApp(Watched(TailSource(store), store))
        app.driver_class = ServedDriver
        async with asyncio.TaskGroup() as group:
            group.create_task(app.run_async())
            said = b""
            while b"What is 12 * 7?" not in said:
                said += await asyncio.to_thread(reading.read, 65536)
            assert b"\x1b[?7l" in said
            assert b"\x1b]11;#12161C\x07" in said
            app.theme = "mesh-light"
            while b"\x1b]11;#FFFFFF\x07" not in said:
                said += await asyncio.to_thread(reading.read, 65536)
            reading.close()
            writing.close()
    assert (app.return_code, app.failure) == (0, None)


@pytest.mark.timeout(180)  # two programs, which take seconds to start on a busy machine
async def test_the_program_serves_the_app_until_ctrl_c(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'a watched.db'}"
    told_store(url).close()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "agentmesh", "watch", "--web", "--db", url, "--theme", "mesh-light"),
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "XDG_STATE_HOME": str(tmp_path)},
        stdout=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    said = (await process.stdout.readline()).decode()
    address = said.removeprefix("Watch at ").strip()
    origin = address.rsplit("/", 2)[0]
    async with (
        aiohttp.ClientSession() as browser,
        browser.ws_connect(f"{address}ws?width=100&height=30", origin=origin) as page,
    ):
        await read(page, b"What is 12 * 7?")
        await page.send_json(["stdin", "2"])
        await read(page, b"all states")
        process.send_signal(signal.SIGINT)
        while (await page.receive()).type is aiohttp.WSMsgType.BINARY:
            pass
        assert page.close_code == aiohttp.WSCloseCode.OK
        assert await process.wait() == 130
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)  # of the server and its children
    assert read_layout(tmp_path / "agentmesh" / "watch.json") == Layout(theme="mesh-light", screen="runs")


def test_a_signal_to_end_ends_it_and_the_address_is_told_as_json(tmp_path: Path, capsys) -> None:
    url, port = f"sqlite:///{tmp_path / 'watched.db'}", free_port()
    told_store(url).close()
    ending = Thread(target=end_once_served, args=[port])
    ending.start()
    assert main(["watch", "sum", "--web", "--port", str(port), "--db", url, "--json"]) == 0
    ending.join()
    assert json.loads(capsys.readouterr().out)["url"].startswith(f"http://127.0.0.1:{port}/")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return taken.getsockname()[1]


def end_once_served(port: int) -> None:
    for _ in range(1000):
        with socket.socket() as asking:
            if asking.connect_ex(("127.0.0.1", port)) == 0:
                os.kill(os.getpid(), signal.SIGTERM)
                return
        Event().wait(0.01)


@pytest.mark.parametrize(
    ("given", "status", "said"),
    [
        (["--web", "--plain"], 2, "not with --plain"),
        (["--port", "8000"], 2, "--web goes with --port"),
        (["--web", "--port", "80"], 2, "1024<=x<=65535"),
        (["--web", "--theme", "pink"], 2, "there is no theme 'pink'"),
        (["--web", "nosuchrun"], 1, "'nosuchrun'"),
        (["--web", "--db", "sqlite:///missing.db"], 1, "missing.db"),
    ],
)
def test_what_cannot_be_served_is_told_before(given: Sequence[str], status: int, said: str, tmp_path, capsys) -> None:
    url = f"sqlite:///{tmp_path / 'watched.db'}"
    told_store(url).close()
    assert main(["watch", "--db", url, *given]) == status
    assert said in capsys.readouterr().err


def test_a_port_that_is_taken_and_a_package_that_is_missing_are_told(tmp_path, capsys, monkeypatch) -> None:
    url = f"sqlite:///{tmp_path / 'watched.db'}"
    told_store(url).close()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["watch", "--db", url, "--web", "--port", str(port)]) == 2
    assert f"port {port} of 127.0.0.1 cannot be used: Address already in use" in capsys.readouterr().err
    monkeypatch.delitem(sys.modules, "agentmesh.tui.web")
    monkeypatch.setitem(sys.modules, "textual_serve.app_service", None)
    monkeypatch.setitem(sys.modules, "textual_serve", None)
    assert main(["watch", "--db", url, "--web"]) == 1
    assert "pip install 'agentmesh-routing[web]'" in capsys.readouterr().err
