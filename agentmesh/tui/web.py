"""The app in a browser: for each page that is open a process of it, on loopback, for whoever was given the address."""

import asyncio
import os
import signal
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from string import Template
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler
from textual_serve.app_service import AppService
from textual_serve.download_manager import DownloadManager
from textual_serve.server import Server, to_int

from agentmesh.errors import ConfigError

LOOPBACK: Final = "127.0.0.1"
GRACE_S: Final = 5.0
"""How long an app may take to end before it is killed."""

CLOSE_S: Final = 2.0
"""How long a page is given to answer that it is closed."""

HEARTBEAT_S: Final = 15.0
"""How often a page is asked whether it is still there."""

DRIVER: Final = "agentmesh.tui.served:ServedDriver"
"""What the app shows itself by, and ends with when this server is gone."""

PAGE_FOLDER: Final = Path(__file__).with_name("page")
PAGE: Final = Template((PAGE_FOLDER / "index.html").read_text(encoding="utf-8"))

POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self' 'unsafe-inline'",  # the terminal writes its styles into the page
        "font-src 'self'",
        "img-src 'self'",
        "connect-src ws://{host}",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
"""What the page may load, from nowhere but here, and that no other page may show it in a frame."""


class AppProcess(AppService):
    """The process of the app behind one page: it ends with the page, and the page with it."""

    def __init__(
        self, arguments: Sequence[str], page: web.WebSocketResponse, downloads: DownloadManager, *, grace_s: float
    ) -> None:
        super().__init__(
            "",  # no shell is asked to read a command
            write_bytes=page.send_bytes,
            write_str=page.send_str,
            close=page.close,  # type: ignore[arg-type]  # what it returns is not looked at
            download_manager=downloads,
        )
        self._arguments = arguments
        self._grace_s = grace_s
        self._stopping = asyncio.Lock()  # guards the end of the process: page and server may both ask for it

    async def run(self) -> None:
        """Pass on what the app shows until it ends; then close the page."""
        await super().run()
        await self.remote_close()

    async def stop(self) -> None:
        """Ask the app to end, and kill it where it does not; it has ended then."""
        async with self._stopping:
            await self._end()
            await super().stop()

    async def _open_app_process(self, width: int = 80, height: int = 24) -> Process:
        """Start the app, which finds in its environment that it is to speak to this server."""
        process = await asyncio.create_subprocess_exec(
            *self._arguments, stdin=PIPE, stdout=PIPE, stderr=PIPE, env=self._build_environment(width, height)
        )
        self._process, self._stdin = process, process.stdin
        return process

    def _build_environment(self, width: int = 80, height: int = 24) -> dict[str, str]:
        return super()._build_environment(width, height) | {"TEXTUAL_DRIVER": DRIVER}

    async def _end(self) -> None:
        try:
            async with asyncio.timeout(self._grace_s):
                await self.send_meta({"type": "quit"})
                await self._process_ended()
        except TimeoutError:
            pass
        finally:
            if self._process is not None and self._process.returncode is None:
                with suppress(ProcessLookupError):
                    self._process.kill()
        await self._process_ended()

    async def _process_ended(self) -> None:
        if self._process is not None:
            await self._process.wait()


class WebServer(Server):
    """Serves the app on loopback, under an address that holds a secret.

    A page of another origin is refused, and so is a name that only leads here (DNS rebinding). The secret keeps out
    other users of the machine, who reach its loopback, too.

    Args:
        arguments: The program that is the app, and what it is given; no shell reads them.
        secret: A part of the address that nobody can guess, of letters, digits, ``-`` and ``_``.
        port: The port; ``None`` takes a free one.
        grace_s: How long an app whose page is gone may take to end before it is killed.
    """

    def __init__(
        self, arguments: Sequence[str], *, secret: str, port: int | None = None, grace_s: float = GRACE_S
    ) -> None:
        super().__init__("", host=LOOPBACK, port=port or 0)
        self._arguments = arguments
        self._secret = secret
        self._grace_s = grace_s
        self._apps: set[AppProcess] = set()

    @property
    def url(self) -> str:
        """Return the address of the page; its port is known once it is served."""
        return f"http://{self.host}:{self.port}/{self._secret}/"

    async def serve_until(self, ended: asyncio.Event, *, told: Callable[[str], None]) -> None:
        """Serve until something has ``ended``, a signal to end comes, or this is cancelled; then all apps have ended.

        Args:
            ended: Ends it.
            told: Is told the address, as soon as a browser may open it.

        Raises:
            ConfigError: the port is taken.
        """
        with suppress(NotImplementedError, RuntimeError):  # as in the app
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
        runner = web.AppRunner(await self._make_app(), shutdown_timeout=CLOSE_S + 2 * self._grace_s, access_log=None)
        await runner.setup()
        try:
            await self._listen(runner)
            told(self.url)
            await ended.wait()
        finally:
            await runner.cleanup()

    async def on_shutdown(self, app: web.Application) -> None:  # noqa: ARG002 - as its base has it
        """End all apps; with each its page is closed."""
        await asyncio.gather(*(app.stop() for app in self._apps))

    async def show_page(self, request: web.Request) -> web.Response:
        """Answer with the page."""
        text = PAGE.substitute(websocket=f"ws://{request.host}/{self._secret}/ws")
        return web.Response(text=text, content_type="text/html")

    async def show_app(self, request: web.Request) -> web.WebSocketResponse:
        """Start an app, and pass on what it shows and what is typed, until one side ends."""
        page = web.WebSocketResponse(heartbeat=HEARTBEAT_S, timeout=CLOSE_S)
        await page.prepare(request)
        app = AppProcess(self._arguments, page, self.download_manager, grace_s=self._grace_s)
        await app.start(to_int(request.query.get("width", ""), 80), to_int(request.query.get("height", ""), 24))
        self._apps.add(app)
        try:
            await self._process_messages(page, app)
        finally:
            await app.stop()
            self._apps.discard(app)
        return page

    async def _make_app(self) -> web.Application:
        """Return what is served where: our page, and of the package its terminal and its downloads."""
        app = web.Application(middlewares=[self._only_own])
        app.add_routes(
            [
                web.get(f"/{self._secret}/", self.show_page),
                web.get(f"/{self._secret}/ws", self.show_app),
                web.get("/download/{key}", self.handle_download),  # the key cannot be guessed either
                web.static("/page", PAGE_FOLDER),
                web.static("/static", self.statics_path),
            ]
        )
        app.on_response_prepare.append(_protect)
        app.on_shutdown.append(self.on_shutdown)
        return app

    async def _listen(self, runner: web.AppRunner) -> None:
        try:
            await web.TCPSite(runner, self.host, self.port).start()
        except OSError as error:
            raise ConfigError(
                f"port {self.port} of {self.host} cannot be used: {os.strerror(error.errno or 0)}"
            ) from error
        self.port = runner.addresses[0][1]

    @web.middleware
    async def _only_own(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Refuse what the page here did not ask for; only a browser's address bar asks for it without an origin."""
        names = (f"{self.host}:{self.port}", f"localhost:{self.port}")
        is_socket = request.headers.get("Upgrade", "").lower() == "websocket"
        origin = request.headers.get("Origin", "" if is_socket else f"http://{request.host}")
        if request.host not in names or origin != f"http://{request.host}":
            raise web.HTTPForbidden(text="this is served to its own page only")
        return await handler(request)


async def _protect(request: web.Request, response: web.StreamResponse) -> None:
    """Say what the page may load, that none may show it, and that its address goes nowhere."""
    response.headers["Content-Security-Policy"] = POLICY.format(host=request.host)
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Cache-Control"] = "no-store"
