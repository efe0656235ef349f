"""The one tree of errors, and the exit code that each branch stands for.

    PocketrecError                       exit  what the caller does next
    ├── UsageError                        2    corrects the call or the input
    │   ├── RecipeError                   2    corrects recipe.toml
    │   │   └── PlanError                 2    corrects the scheme of the tensor that is named
    │   ├── ContractError                 2    corrects the contract, or what was given for it
    │   │   └── BeyondInt32               2    declares the output that is named as int64
    │   ├── InputError                    2    corrects the tensors handed to a runtime
    │   ├── CallError                     2    corrects an app's call: the item, feature or number named
    │   ├── DataError                     2    makes the data set available
    │   ├── MissingExtra                  2    installs the extra that is named
    │   ├── TagTaken                      2    pushes under another tag, or moves this one
    │   └── WrongVersion                  2    installs a release of the library that is named
    ├── ConversionError                   3    reads which op, and what to do about it
    │   ├── Refused                       3    the model cannot be lowered; the remedy is named
    │   ├── CannotCarry                   3    raises the target, or changes the tensor's scheme
    │   │   └── Derived                   3    leaves the tensors that are named out of the plan
    │   ├── TableError                    3    repairs the table's row that is named
    │   └── StorageError                  3    frees space, or builds elsewhere
    ├── RegistryError                     5    runs it again: what was sent or fetched is kept
    │   └── Denied                        5    logs in, or asks the registry's owner
    └── CheckFailed                       1    something was examined and found wrong
        ├── GateFailed                    1    reads the evidence, which was written all the same
        ├── BudgetMissed                  1    widens the budget as the nearest plan says
        ├── ArtifactError                 1    builds or pulls the artifact again: the file is damaged
        ├── ExecutionError                1    an artifact's program did what it must not do
        │   └── NotAnswered              14    takes another machine, other compute units, or more time
        ├── UnsupportedOp                 1    chooses another runtime: this one lacks the op
        └── Untrusted                          uses the bundle for nothing
            ├── Unsigned                 10    asks its maker to sign it
            ├── WrongKey                 11    asks for the key that signed it, or refuses its maker
            ├── Tampered                 12    pulls it again: it is not what was signed
            └── Expired                  13    asks for one that was signed anew

Every message says what, where, what came, what was expected and the next step, in one line.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

_SHORTEST_BEGINNING = 3  # letters from which on a word tells what it is the beginning of
_MOST_MEANT = 3  # names in one message


class PocketrecError(Exception):
    """Base of all errors that are raised on purpose; `exit_code` is what the command returns."""

    exit_code = 1


class UsageError(PocketrecError):
    """What was asked for, or given, cannot be used."""

    exit_code = 2


class RecipeError(UsageError):
    """A recipe has an unknown key, a wrong type or an impossible value."""


class PlanError(RecipeError):
    """A compression scheme does not fit the tensor it is planned for; names tensor, scheme and way out."""


class ContractError(UsageError):
    """A contract contradicts itself, the module, or the data given for it."""


class BeyondInt32(ContractError):
    """The module gives whole numbers that the contract's int32 does not hold.

    Attributes:
        output: which output gives them.
    """

    def __init__(self, output: str, value: int) -> None:
        super().__init__(
            f"output {output}: the module gives {value}, which int32 does not hold; declare dtype = 'int64'"
        )
        self.output = output


class InputError(UsageError):
    """The tensors handed to a runtime are missing, surplus, or of the wrong shape or dtype."""


class CallError(UsageError):
    """An app's call names an item, a feature or a number that the model does not take.

    Attributes:
        code: which rule was broken; the same word in every language.
    """

    def __init__(self, code: str, message: str) -> None:
        self.code = code
        super().__init__(message)

    def __reduce__(self) -> tuple[type[CallError], tuple[str, str]]:
        return CallError, (self.code, str(self))  # workers send their errors home


class DataError(UsageError):
    """A data set is not there, or is not what its checksum says."""


class MissingExtra(UsageError):
    """An optional package is not installed; the message names the extra that brings it."""

    def __init__(self, module: str, extra: str) -> None:
        self._given = module, extra
        super().__init__(
            f"{module} is not installed; it comes with the extra: pip install 'pocketrec[{extra}]'"
        )

    def __reduce__(self) -> tuple[type[MissingExtra], tuple[str, str]]:
        return MissingExtra, self._given  # workers send their errors home


class WrongVersion(UsageError):
    """A library is installed in a release that was not known when it was patched; names those that are."""


class TagTaken(UsageError):
    """A tag is another release's, and apps may have been built with it."""


class RegistryError(PocketrecError):
    """A place with releases could not be reached, or did not do what it was asked."""

    exit_code = 5


class Denied(RegistryError):
    """A registry does not let this account do that."""


class ConversionError(PocketrecError):
    """A model could not be captured or lowered."""

    exit_code = 3


class Refused(ConversionError):
    """A model cannot be lowered at all; carries op, source line, reason and remedy.

    Attributes:
        op: the operation that cannot be lowered, in the framework's spelling.
        where: the user's source line, `file:line`, or an empty string where it is not known.
        reason: why it cannot.
        remedy: what to do about it.
        elsewhere: whether another target may take it, which the message then says.
    """

    def __init__(self, *, op: str, where: str, reason: str, remedy: str, elsewhere: bool = False) -> None:
        self.op, self.where, self.reason, self.remedy = op, where, reason, remedy
        self.elsewhere = elsewhere
        place = f" at {where}" if where else ""
        ways = [each for each in (remedy, "use another target" if elsewhere else "") if each]
        super().__init__("; ".join([f"{op}{place}: {reason}", *([", or ".join(ways)] if ways else [])]))


class CannotCarry(ConversionError):
    """A target has no form for a compressed tensor; names tensor, scheme and the lowest target that has."""


class Derived(CannotCarry):
    """A target's graph holds compressed tensors only folded with others; `names` are all of them."""

    def __init__(self, message: str, *, names: Sequence[str]) -> None:
        super().__init__(message)
        self.names = tuple(names)


class TableError(ConversionError):
    """A streamed table holds a number that cannot be stored; names table, row and value."""


class StorageError(ConversionError):
    """A file could not be written to its end: the disk is full, or a limit was reached."""


class CheckFailed(PocketrecError):
    """Something was examined and found wrong."""

    exit_code = 1


class GateFailed(CheckFailed):
    """A build finished, and one of its gates failed; the evidence has been written."""


class BudgetMissed(CheckFailed):
    """No plan meets the budget; names the nearest one and what it would cost."""


class ArtifactError(CheckFailed):
    """A file of an artifact or a bundle is damaged, altered or incomplete."""


class ExecutionError(CheckFailed):
    """A program did what is undefined on a device, such as reading beyond a table."""


class NotAnswered(ExecutionError):
    """An engine hung or died, so that nothing is known of the artifact."""

    exit_code = 14


class UnsupportedOp(CheckFailed):
    """A runtime met an op that it does not implement; the message names op, place and alternative."""


class Untrusted(CheckFailed):
    """A bundle cannot be trusted as the caller's key asks; the next four say why."""


class Unsigned(Untrusted):
    """Nobody has signed a bundle, or a part of it."""

    exit_code = 10


class WrongKey(Untrusted):
    """Another key than the caller's has signed a bundle."""

    exit_code = 11


class Tampered(Untrusted):
    """A bundle, or its signature, is not what was signed."""

    exit_code = 12


class Expired(Untrusted):
    """A bundle is what was signed, and its signature's time is over."""

    exit_code = 13


def in_one_line(error: object, longest: int = 200) -> str:
    """What an error from elsewhere says, in one line of so many letters; its type where it says nothing."""
    return " ".join(str(error).split())[:longest] or type(error).__name__


def meant(word: object, known: Iterable[object]) -> str:
    """What a word that is not known may have been meant for, as the end of a message; empty where nothing is.

    Words that begin with it, such as `onnxruntime` for `onnx`; where there are none, the one most like it.
    """
    if not isinstance(word, str):
        return ""
    names = {each.lower(): each for each in known if isinstance(each, str)}
    given = word.lower()
    longer = [each for each in names if each.startswith(given)] if len(given) >= _SHORTEST_BEGINNING else []
    near = longer if 0 < len(longer) <= _MOST_MEANT else difflib.get_close_matches(given, names, n=1)
    return f"; did you mean {' or '.join(repr(names[each]) for each in near)}?" if near else ""
