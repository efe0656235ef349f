"""The user's own source lines, which every error and every refusal names."""

from __future__ import annotations

import sys
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pocketrec.errors import RecipeError

_OURS = str(Path(__file__).parent)
_ZOO = str(Path(_OURS) / "model_zoo")
_STDLIB = sysconfig.get_paths()["stdlib"]


def is_users(filename: str) -> bool:
    """True for files of neither PyTorch, pocketrec's stages nor Python itself."""
    torch = sys.modules.get("torch")
    if filename.startswith("<") or (torch is not None and filename.startswith(_folder(torch.__file__))):
        return False
    if filename.startswith(_OURS):
        return filename.startswith(_ZOO)
    return not filename.startswith(_STDLIB) or "site-packages" in filename


def _folder(file: str | None) -> str:
    return str(Path(file or "/nowhere/").parent)


def line_of(error: BaseException) -> str:
    """`file:line` of the user's innermost frame in the error's traceback; empty where there is none."""
    place, trace = "", error.__traceback__
    while trace is not None:
        if is_users(trace.tb_frame.f_code.co_filename):
            place = f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}"
        trace = trace.tb_next
    return place


def told(error: BaseException) -> str:
    """The error in one line: its type, where the user's code raised it, and its message's first line."""
    place = line_of(error)
    if isinstance(error, SyntaxError) and error.filename:
        place = f"{error.filename}:{error.lineno}"
    message = (str(error).strip().splitlines() or ["no message"])[0]
    return f"{type(error).__name__}{f' at {place}' if place else ''}: {message}"


@contextmanager
def exits_told(where: str = "the code that was called") -> Iterator[None]:
    """While it lasts, code that would end the process, as `sys.exit` does, is an error instead.

    Else a factory that exits with 0 would be a success without a result. Interrupts pass.

    Args:
        where: what ran, as the message begins.

    Raises:
        RecipeError: something was raised that is no Exception; names file and line.
    """
    try:
        yield
    except (Exception, KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException as error:
        raise RecipeError(
            f"{where} ended the process: {told(error)}; return a value or raise an error"
        ) from error
