"""What became of a changed thing that a command opened: refused, as it was, nobody's word, or a fault."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

REFUSED, AS_IT_WAS, UNSIGNED = "refused", "as it was", "nobody's word"
CRASHED, HUNG, WROTE, HALF, PASSED, GARBLED = (
    *(
        "crashed",
        "hung",
        "wrote outside",
        "half installed",
        "passed what was altered",
        "showed control characters",
    ),
)
FAULTS = (CRASHED, HUNG, WROTE, HALF, PASSED, GARBLED)
OUTCOMES = (REFUSED, AS_IT_WAS, UNSIGNED, *FAULTS)

_REFUSALS = (1, 2, 3, 10, 11, 12, 13)  # exit codes of errors.py that are no defect
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
# One line of a command, or the entry of its JSON, that says what was refused.
_SAID = re.compile(r'^(error|failed|Error): *\S|^ *"(status|level)": "failed"', re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What a command did.

    Attributes:
        code: its exit code; None where an exception left it.
        printed: on stdout.
        told: on stderr.
        wrote: outside of where it may.
        left: whether a file stands where its result belongs; an empty folder is no half of anything.
        answer: what it gave; None where it gave none, or what it gave contradicts itself.
        trusted: who it says vouches for it; empty for nobody.
    """

    code: int | None
    printed: str = ""
    told: str = ""
    wrote: tuple[str, ...] = ()
    left: bool = False
    answer: object = None
    trusted: str = ""


def judge(
    done: Done, *, honest: Sequence[object], altered: bool, sealed: bool, vouches: bool, keyed: bool
) -> tuple[str, str]:
    """The outcome of one command on one case, and why where that is a fault.

    Args:
        done: what it did.
        honest: what it answers to honest things.
        altered: whether the content is another than the honest one, signatures aside.
        sealed: whether digests were made to fit again, as by one who may write everything.
        vouches: whether the command answers for all that it was given.
        keyed: whether it was handed the maker's key.
    """
    text = f"{done.printed}\n{done.told}"
    if done.wrote:
        return WROTE, "; ".join(done.wrote[:3])
    if "Traceback" in text or (done.code != 0 and done.code not in _REFUSALS):
        return CRASHED, f"exit {done.code}: {(text.strip().splitlines() or ['no word'])[-1][:300]}"
    if found := _CONTROL.search(text):
        return GARBLED, repr(text[max(0, found.start() - 60) : found.end() + 20])
    if done.code != 0:
        return _refusal(done, text)
    if not altered and done.answer is not None:
        return AS_IT_WAS, ""
    if done.answer in honest and not (vouches and not _stands_for_result(done)):
        return AS_IT_WAS, ""
    if sealed and not keyed and not done.trusted and done.answer is not None:
        return UNSIGNED, ""
    return PASSED, f"exit 0, {'with the key' if keyed else 'sealed' if sealed else 'digests as they were'}"


def _stands_for_result(done: Done) -> bool:
    """Whether the command wrote the result itself, which was compared whole with the honest one."""
    return isinstance(done.answer, dict)


def _refusal(done: Done, text: str) -> tuple[str, str]:
    if done.left:
        return HALF, f"exit {done.code}, and something stands in the place of the result"
    if not _SAID.search(text):
        return CRASHED, f"exit {done.code} without saying why"
    return REFUSED, ""
