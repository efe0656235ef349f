"""What Apple's framework does instead of answering, each under a name of its own.

hung            no answer in time
crashed         a signal, or an end without an answer
refused         it does not load the model
failed          it loads the model, and a call is an error
e5rt_timeout    its engine gave up an op
garbled         what came back is no frame

A model that wants a later macOS is not handed to it at all: `TooOldMacOS`.
"""

from __future__ import annotations

import re
import signal
from typing import Literal

from pocketrec.errors import ExecutionError, NotAnswered, in_one_line
from pocketrec.validate.runtimes.runtime import RuntimeUnavailable

Fault = Literal["hung", "crashed", "refused", "failed", "e5rt_timeout", "garbled"]
# Of these nothing is known of the artifact: no answer came, and another machine may give one.
UNANSWERED: frozenset[Fault] = frozenset({"hung", "crashed", "e5rt_timeout", "garbled"})
# As in "E5RT: Submit Async failed for [2:1]: Async task: main__Op3_Cast has timed out".
_E5RT_TIMEOUT = re.compile(r"e5rt.*time[d]?[ -]?out|time[d]?[ -]?out.*e5rt", re.IGNORECASE | re.DOTALL)
_LONGEST = 300  # letters of what the framework says


class FrameworkFault(NotAnswered):
    """The framework did not answer; `fault` names how, and `exit_code` whether the artifact may be to blame.

    Attributes:
        fault: the name.
        printed: the end of what its process wrote to stdout and stderr.
    """

    def __init__(self, message: str, *, fault: Fault, printed: str = "") -> None:
        self.fault, self.printed = fault, printed
        if fault not in UNANSWERED:
            self.exit_code = ExecutionError.exit_code
        super().__init__(message)

    def __reduce__(self) -> tuple[object, ...]:
        return _again, (str(self), self.fault, self.printed)  # workers send their errors home


def _again(message: str, fault: Fault, printed: str) -> FrameworkFault:
    return FrameworkFault(message, fault=fault, printed=printed)


class TooOldMacOS(RuntimeUnavailable):
    """The model's deployment target is later than this macOS."""


def fault_of(message: str, otherwise: Fault) -> Fault:
    """What an error of the framework is called: an E5RT timeout by its words, else as given."""
    return "e5rt_timeout" if _E5RT_TIMEOUT.search(message) else otherwise


def one_line(error: object) -> str:
    """What an error of the framework says, in one line that is not too long."""
    return in_one_line(error, _LONGEST)


def ended(code: int) -> str:
    """How a process ended, in words: the signal's name, or the exit code."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"
