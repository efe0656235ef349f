"""The user's own source lines, which every refusal names."""

from __future__ import annotations

import re
import sys
import sysconfig
from pathlib import Path
from types import FrameType

import torch

_OURS = str(Path(__file__).parent.parent)
_ZOO = str(Path(_OURS) / "model_zoo")
_TORCH = str(Path(torch.__file__).parent)
_FRAME = re.compile(r'File "([^"]+)", line (\d+)')
_STDLIB = sysconfig.get_paths()["stdlib"]


def user_line() -> str:
    """`file:line` of the innermost frame that is the user's; empty where there is none."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if is_users(frame.f_code.co_filename):
            return f"{frame.f_code.co_filename}:{frame.f_lineno}"
        frame = frame.f_back
    return ""


def line_of(error: BaseException) -> str:
    """`file:line` of the user's innermost frame in the error's traceback; empty where there is none."""
    place, trace = "", error.__traceback__
    while trace is not None:
        if is_users(trace.tb_frame.f_code.co_filename):
            place = f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}"
        trace = trace.tb_next
    return place


def line_in_trace(trace: str) -> str:
    """`file:line` of the user's innermost frame in a printed stack trace; empty where there is none."""
    found = [(name, line) for name, line in _FRAME.findall(trace) if is_users(name)]
    return ":".join(found[-1]) if found else ""


def is_users(filename: str) -> bool:
    """True for files of neither PyTorch, pocketrec's stages nor Python itself."""
    if filename.startswith(("<", _TORCH)):
        return False
    if filename.startswith(_OURS):
        return filename.startswith(_ZOO)
    return not filename.startswith(_STDLIB) or "site-packages" in filename
