"""A web server on this machine that hands out one folder, as its own configuration says."""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

_CONFIGURATION = """
daemon off;
master_process off;
pid {folder}/pid;
error_log {folder}/error.log;
events {{}}
http {{
    access_log {folder}/access.log;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port};
        root {root};
        include {root}/nginx.conf;
    }}
}}
"""


def nginx() -> str | None:
    """The program, where it is installed."""
    return shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")


@contextmanager
def served(root: Path, folder: Path) -> Iterator[str]:
    """While it lasts, nginx serves `root` at the address; it writes into `folder`."""
    program = nginx()
    assert program is not None
    port = _free_port()
    folder.mkdir()
    configuration = folder / "server.conf"
    configuration.write_text(_CONFIGURATION.format(folder=folder, root=root, port=port))
    words = [program, "-p", str(folder), "-c", str(configuration)]
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True) as process:
        try:
            while not _answers(port):
                assert process.poll() is None, process.stderr.read() if process.stderr else ""
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


def _free_port() -> int:
    with closing(socket.socket()) as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def _answers(port: int) -> bool:
    with closing(socket.socket()) as tried:
        return tried.connect_ex(("127.0.0.1", port)) == 0
