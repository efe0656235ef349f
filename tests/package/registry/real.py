"""A real registry on this machine, behind a relay that counts bytes and can end it in the middle."""

from __future__ import annotations

import re
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.package.registry.tools import tool

_CONFIG = """version: 0.1
log: {{level: info, formatter: json, accesslog: {{disabled: true}}}}
storage: {{filesystem: {{rootdirectory: {folder}/store}}, delete: {{enabled: true}}}}
http: {{addr: "127.0.0.1:0"}}
{auth}
"""
_AUTH = "auth: {{htpasswd: {{realm: toys, path: {folder}/htpasswd}}}}"


@dataclass
class Registry:
    """The registry's process, which may be killed and started again on what it has stored.

    Attributes:
        folder: of its store and its config.
        password: its users' file asks for one.
    """

    folder: Path
    password: bool = False
    port: int = 0
    _process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Starts it, and waits for the line that says where it listens."""
        auth = _AUTH.format(folder=self.folder) if self.password else ""
        (self.folder / "config.yml").write_text(_CONFIG.format(folder=self.folder, auth=auth))
        words = [str(tool("docker-registry")), "serve", str(self.folder / "config.yml")]
        self._process = subprocess.Popen(words, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
        assert self._process.stderr is not None
        for line in self._process.stderr:
            if found := re.search(r"listening on 127\.0\.0\.1:(\d+)", line):
                self.port = int(found[1])
                break
        else:
            raise RuntimeError("the registry ended before it listened")
        threading.Thread(target=self._process.stderr.read, daemon=True).start()

    def kill(self) -> None:
        """Ends it as a machine that loses its power does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


@dataclass
class Relay:
    """What stands between us and the registry.

    Attributes:
        registry: behind it.
        port: in front of it; stays when the registry comes back at another.
        sent: bytes that went to the registry.
        received: bytes that came from it.
        after: how many bytes of one way it lets through before `then` is called; None for all.
        then: what happens after them.
    """

    registry: Registry
    port: int = 0
    sent: int = 0
    received: int = 0
    after: tuple[str, int] | None = None
    then: Callable[[], None] | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    def clear(self) -> None:
        """Counts from nothing."""
        self.sent = self.received = 0

    def count(self, way: str, size: int) -> None:
        """Counts, and does what is to be done after so many bytes."""
        with self._lock:
            setattr(self, way, getattr(self, way) + size)
            due = self.after is not None and self.after[0] == way and getattr(self, way) >= self.after[1]
            then, self.then = (self.then, None) if due else (None, self.then)
            if then is not None:
                self.after = None
                then()


@contextmanager
def real_registry(folder: Path, *, password: bool = False) -> Iterator[Relay]:
    """A registry that stores in `folder`, and the relay in front of it."""
    registry = Registry(folder=folder, password=password)
    registry.start()
    relay = Relay(registry=registry)
    with socket.create_server(("127.0.0.1", 0)) as server:
        relay.port = server.getsockname()[1]
        threading.Thread(target=_accept, args=(server, relay), daemon=True).start()
        try:
            yield relay
        finally:
            registry.kill()
            server.shutdown(socket.SHUT_RDWR)


def _accept(server: socket.socket, relay: Relay) -> None:
    while True:
        try:
            near, _ = server.accept()
        except OSError:
            return
        try:
            far = socket.create_connection(("127.0.0.1", relay.registry.port))
        except OSError:
            near.close()
            continue
        for one, other, way in ((near, far, "sent"), (far, near, "received")):
            threading.Thread(target=_pass, args=(one, other, relay, way), daemon=True).start()


def _pass(one: socket.socket, other: socket.socket, relay: Relay, way: str) -> None:
    with suppress(OSError):
        while data := one.recv(1 << 16):
            relay.count(way, len(data))
            other.sendall(data)
    for each in (one, other):
        with suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)
        each.close()
