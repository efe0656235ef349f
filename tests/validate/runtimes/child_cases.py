"""What a child of test_child does: the module that is run in a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

from pocketrec.validate.runtimes.frames import read_frame, write_frame
from pocketrec.validate.runtimes.lifeline import watched


def main(reads: int, writes: int, lifeline: int, case: str, *more: str) -> None:
    watched(lifeline, (0, 1, 2, reads, writes))
    held = os.open(more[0], os.O_WRONLY) if more else -1  # until the process is gone
    if case == "deaf":
        signal.pause()
    if case == "with a grandchild":
        command = [sys.executable, "-c", "import signal; signal.pause()"]
        subprocess.Popen(command, pass_fds=[held])
    with os.fdopen(reads, "rb") as reader, os.fdopen(writes, "wb") as writer:
        while (frame := read_frame(reader)) is not None:
            if case == "dies in a frame":
                os.write(writes, b"\x10\x00\x00\x00{")
                os._exit(3)
            if case == "garbles":
                os.write(writes, b"\xff" * 8)
                signal.pause()
            if case == "prints":
                print("word " * 50_000, "last", flush=True)
            if case == "says a word":
                print("word", flush=True)
            write_frame(writer, {"pid": os.getpid()}, frame.arrays("tensors"))


if __name__ == "__main__":
    pipes = [int(each) for each in sys.argv[1:4]]
    main(pipes[0], pipes[1], pipes[2], *sys.argv[4:])
