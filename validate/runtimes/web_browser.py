"""One headless Chromium per process, started when the first page is opened and ended with the process.

Playwright's objects belong to the thread that made them, so they live on a thread of their own, with an event
loop: any thread may call, a call may be given up, and a page that crashes is heard of while somebody waits.
Where this process is killed, Playwright's driver loses its standard input and ends the browser.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import threading
from collections.abc import Coroutine
from concurrent.futures import CancelledError
from contextlib import suppress
from typing import Any, TypeVar

from pocketrec.validate.runtimes.runtime import RuntimeUnavailable
from pocketrec.validate.runtimes.web_places import CHROMIUM, WebPlaces, wants_software
from pocketrec.validate.runtimes.web_server import Exchange, Server

T = TypeVar("T")

# Without what a browser asks the network for by itself.
QUIET = (
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
WEBGPU = ("--enable-unsafe-webgpu",)
SOFTWARE = ("--use-webgpu-adapter=swiftshader", "--use-vulkan=swiftshader")
_SECONDS = 60.0  # to start, to open a page, to close


class PageLost(Exception):
    """A page gave no answer: it crashed, was closed, or is still computing; the message is one line."""


class Browser:
    """A running Chromium, with the server that its pages are from.

    Args:
        places: where Chromium is.
        arguments: more of its command-line arguments.

    Raises:
        RuntimeUnavailable: it does not start.
    """

    def __init__(self, places: WebPlaces, *, arguments: tuple[str, ...] = ()) -> None:
        self.pid, self._closed = os.getpid(), False
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="pocketrec browser", daemon=True)
        self._thread.start()
        software = SOFTWARE if wants_software() else ()
        flags = [*QUIET, *WEBGPU, *software, *arguments]
        try:
            self._playwright, self._browser = self._wait(_launch(str(places.chromium), flags), _SECONDS)
        except PageLost as error:
            self._end_loop()
            raise RuntimeUnavailable(
                f"{places.chromium} does not start ({error}); set {CHROMIUM} to a Chromium that runs here"
            ) from None
        self.version = f"Chromium {self._browser.version}"
        self.server = Server()

    @property
    def alive(self) -> bool:
        """Whether pages can be opened."""
        return not self._closed and os.getpid() == self.pid and self._browser.is_connected()

    def open_page(self, exchange: Exchange) -> Page:
        """A page of the server for the exchange, in a context, and so a process, of its own."""
        address = self.server.add(exchange)
        try:
            return Page(self, exchange, self._wait(_open(self._browser, address), _SECONDS))
        except PageLost as error:
            self.server.remove(exchange)
            raise RuntimeUnavailable(f"{self.version} opens no page ({error}); run it again") from None

    def close(self) -> None:
        """Ends the browser, its server and its thread; a second call does nothing."""
        if self._closed or os.getpid() != self.pid:
            return
        self._closed = True
        for work in (self._browser.close(), self._playwright.stop()):
            with suppress(PageLost):
                self._wait(work, _SECONDS)
        self._end_loop()
        self.server.close()

    def _end_loop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _wait(self, work: Coroutine[Any, Any, T], seconds: float) -> T:
        """What the work gives; PageLost where it fails or takes longer, and whatever Playwright raised."""
        from playwright.async_api import Error

        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result(seconds)
        except TimeoutError:
            future.cancel()
            raise PageLost(f"no answer within {seconds:g} s") from None
        except (Error, OSError, CancelledError) as error:
            raise PageLost(_line(error)) from None


class Page:
    """A page with the harness loaded."""

    def __init__(self, browser: Browser, exchange: Exchange, page: Any) -> None:
        self._browser, self._exchange, self._page = browser, exchange, page

    def call(self, name: str, argument: object = None, *, seconds: float) -> dict[str, Any]:
        """What a function of the harness answers; PageLost where the page gives no answer in time."""
        if not self._browser.alive:
            raise PageLost("the browser has ended")
        return self._browser._wait(_answer(self._page, name, argument), seconds)

    def close(self) -> None:
        """Closes the page and its context; a second call does nothing."""
        self._browser.server.remove(self._exchange)
        if self._browser.alive:
            with suppress(PageLost):
                self._browser._wait(self._page.context.close(), _SECONDS)


async def _launch(program: str, flags: list[str]) -> tuple[Any, Any]:
    from playwright.async_api import async_playwright

    playwright = await async_playwright().start()
    try:
        browser = await playwright.chromium.launch(
            executable_path=program,
            headless=True,
            chromium_sandbox=getattr(os, "geteuid", lambda: 1)() != 0,  # Chromium has none for root
            args=flags,
            handle_sigint=False,  # this process says what becomes of a signal
            handle_sigterm=False,
            handle_sighup=False,
        )
    except BaseException:
        await playwright.stop()
        raise
    return playwright, browser


async def _open(browser: Any, address: str) -> Any:
    context = await browser.new_context()
    try:
        page = await context.new_page()
        await page.goto(address)
        await page.wait_for_function("globalThis.harness !== undefined")
    except BaseException:
        await context.close()
        raise
    return page


async def _answer(page: Any, name: str, argument: object) -> dict[str, Any]:
    """The function's answer; the page's crash ends the wait, which a call alone would go on with."""
    crashed = asyncio.get_running_loop().create_future()

    def crash(_: object) -> None:
        if not crashed.done():
            crashed.set_exception(OSError("the page crashed"))

    page.on("crash", crash)
    work = asyncio.ensure_future(page.evaluate(f"argument => harness.{name}(argument)", argument))
    try:
        await asyncio.wait({work, crashed}, return_when=asyncio.FIRST_COMPLETED)
        if crashed.done():
            crashed.result()
        found: dict[str, Any] = await work
        return found
    finally:
        page.remove_listener("crash", crash)
        crashed.cancel()
        work.cancel()


def _line(error: BaseException) -> str:
    first = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
    return " ".join(first.split())[:200]


_lock, _shared = threading.Lock(), list[Browser]()


def shared_browser(places: WebPlaces) -> Browser:
    """This process's browser; another is started where it has ended, or where the process was forked."""
    with _lock:
        if _shared and not _shared[0].alive:
            _shared.pop().close()
        if not _shared:
            _shared.append(Browser(places))
            atexit.register(_shared[0].close)
        return _shared[0]
