"""The watcher beside a child: kills the child's group once nobody holds the lifeline's other end.

It is forked off before anything large is imported: it holds no memory, no lock and no pipe but its own.
"""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

PREFIX = "pocketrec-child-"  # of the child's folder, which goes with it


def watched(lifeline: int, others: Sequence[int]) -> None:
    """Returns in the child, which a process of its own watches from now on.

    Args:
        lifeline: a pipe to read from, whose other end is held by who started the child. A byte on it says
            that all is well; its end, that nobody is left to end the child.
        others: all other files that are open.
    """
    child, folder = os.getpid(), os.environ.get("TMPDIR", "")
    if os.fork():
        os.close(lifeline)
        return
    os.setpgid(0, 0)  # out of the group that it will kill
    for each in others:
        os.close(each)
    if not os.read(lifeline, 1):
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(child, signal.SIGKILL)
        if Path(folder).name.startswith(PREFIX):
            shutil.rmtree(folder, ignore_errors=True)
    os._exit(0)
