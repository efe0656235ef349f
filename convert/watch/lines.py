"""The user's own source lines, in running frames and in printed traces."""

from __future__ import annotations

import re
import sys
from types import FrameType

from pocketrec.places import is_users, line_of

__all__ = ["is_users", "line_in_trace", "line_of", "user_line"]

_FRAME = re.compile(r'File "([^"]+)", line (\d+)')


def user_line() -> str:
    """`file:line` of the innermost frame that is the user's; empty where there is none."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if is_users(frame.f_code.co_filename):
            return f"{frame.f_code.co_filename}:{frame.f_lineno}"
        frame = frame.f_back
    return ""


def line_in_trace(trace: str) -> str:
    """`file:line` of the user's innermost frame in a printed stack trace; empty where there is none."""
    found = [(name, line) for name, line in _FRAME.findall(trace) if is_users(name)]
    return ":".join(found[-1]) if found else ""
