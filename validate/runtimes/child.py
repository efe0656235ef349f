"""A process of its own that is asked in frames: it may hang, die or print, and never outlives who asks.

    who asks ── frames ──▶ child ── frames ──▶ who asks        stdout and stderr: drained, the end is kept
           └─ lifeline ──▶ its watcher: at the end of the stream, kills the child's group, empties its folder

The lifeline closes with whoever holds its other end, however that ends; the watcher is another process, as a
thread of the child may never run again while a framework's call holds the interpreter.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from tempfile import TemporaryDirectory
from time import monotonic
from typing import IO, Any, cast

from pocketrec.validate.runtimes.frames import BrokenFrame, Frame, read_frame, write_frame
from pocketrec.validate.runtimes.lifeline import PREFIX
from pocketrec.validate.runtimes.runtime import Array

_KEPT = 8 << 10  # bytes of the end of what it printed
_PART = 1 << 16  # bytes of a pipe at once
_DYING = 5.0  # seconds in which a process that closed its pipe has to be gone


class TimeIsUp(Exception):
    """The child did not read or answer in time."""


class Child:
    """A module of this package, run in a process group of its own with a folder for its temporary files.

    Args:
        module: is run with the numbers of three pipes: to read from, to write to, and the lifeline.
        arguments: after these.
    """

    def __init__(self, module: str, arguments: Sequence[str] = ()) -> None:
        self._folder = TemporaryDirectory(prefix=PREFIX, ignore_cleanup_errors=True)
        (theirs_in, self._to), (self._from, theirs_out), (theirs_life, self._life) = (
            os.pipe(),
            os.pipe(),
            os.pipe(),
        )
        theirs = (theirs_in, theirs_out, theirs_life)
        command = [sys.executable, "-m", module, *map(str, theirs), *arguments]
        try:
            self._process = subprocess.Popen(  # noqa: S603 - no shell, this package's own module
                command,
                env={**os.environ, "TMPDIR": self._folder.name},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                pass_fds=theirs,
                start_new_session=True,
            )
        except OSError:
            for each in (self._to, self._from, self._life):
                os.close(each)
            self._folder.cleanup()
            raise
        finally:
            for each in theirs:
                os.close(each)
        os.set_blocking(self._to, False)
        self._printed, self._printing = bytearray(), threading.Lock()
        self._drain = threading.Thread(target=self._keep, daemon=True)
        self._drain.start()
        self._open = True

    @property
    def alive(self) -> bool:
        """Whether it was not closed."""
        return self._open

    @property
    def printed(self) -> str:
        """The end of what it wrote to stdout and stderr until now, so that all before an answer is in it."""
        stream = self._process.stdout
        assert stream is not None
        with self._printing:
            while not stream.closed and self._take(stream):
                pass
        return bytes(self._printed).decode("utf-8", "replace").strip()

    def ask(self, header: Mapping[str, Any], tensors: Mapping[str, Array], *, until: float) -> Frame | None:
        """The reply to one frame; None where the child ended instead.

        Args:
            header: of the frame.
            tensors: of the frame.
            until: by `monotonic`, when it has to be there.

        Raises:
            TimeIsUp: it is not there by then.
            BrokenFrame: what came is no frame.
        """
        with suppress(BrokenPipeError):  # it is gone, which reading will find
            write_frame(cast(Any, _Pipe(self._to, until)), header, tensors)
        try:
            return read_frame(cast(Any, _Pipe(self._from, until)))
        except BrokenFrame:
            if self._at_its_end():
                return None
            raise

    def _at_its_end(self) -> bool:
        """Whether nothing more can come, as of a process that died within a frame."""
        poll = select.poll()
        poll.register(self._from, select.POLLIN)
        return bool(poll.poll(0)) and not os.read(self._from, 1)

    def code(self) -> int:
        """What it ended with; it is killed where it closed its pipe and stays."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_DYING)
        self.close()
        return self._process.wait()

    def close(self) -> None:
        """Kills it with all that it started, and removes its folder; a second call does nothing."""
        if not self._open:
            return
        self._open = False
        with suppress(ProcessLookupError, PermissionError):  # PermissionError: macOS's word for zombies
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        with suppress(BrokenPipeError):  # it died before there was a watcher
            os.write(self._life, b".")
        self._drain.join(_DYING)
        for each in (self._to, self._from, self._life):
            os.close(each)
        self._folder.cleanup()

    def _keep(self) -> None:
        """Takes what it writes, so that it never waits for room, until its end."""
        stream = self._process.stdout
        assert stream is not None
        poll = select.poll()
        poll.register(stream, select.POLLIN)
        more = True
        while more:
            poll.poll()
            with self._printing:
                more = self._take(stream) is not None
        with self._printing:
            stream.close()

    def _take(self, stream: IO[bytes]) -> bool | None:
        """Keeps a part of what it wrote; False where there is none now, None where there will be none."""
        poll = select.poll()
        poll.register(stream, select.POLLIN)
        if not poll.poll(0):
            return False
        part = os.read(stream.fileno(), _PART)
        self._printed += part
        del self._printed[:-_KEPT]
        return True if part else None


class _Pipe:
    """One end of a pipe that is read or written until a time, and no longer."""

    def __init__(self, file: int, until: float) -> None:
        self._file, self._until = file, until

    def read(self, size: int) -> bytes:
        """So many bytes, or fewer where the stream ends."""
        parts, left = [], size
        while left:
            self._wait(select.POLLIN)
            part = os.read(self._file, min(left, _PART))
            if not part:
                break
            parts.append(part)
            left -= len(part)
        return b"".join(parts)

    def write(self, data: bytes) -> None:
        """All of it."""
        rest = memoryview(data)
        while rest:
            self._wait(select.POLLOUT)
            with suppress(BlockingIOError):  # room for less than asked
                rest = rest[os.write(self._file, rest[:_PART]) :]

    def flush(self) -> None:
        """Nothing is held back."""

    def _wait(self, what: int) -> None:
        poll = select.poll()
        poll.register(self._file, what)
        left = self._until - monotonic()
        if left <= 0 or not poll.poll(left * 1000):
            raise TimeIsUp
