"""What may become of one artifact on one runtime, each under a name of its own, and what was asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from pocketrec.convert.targets import TARGETS
from pocketrec.errors import UsageError, meant
from pocketrec.validate.runtimes.faults import UNANSWERED, Fault

Status = Literal["passed", "failed", "not_run"]
Outcome = (
    Fault
    | Literal["passed", "wrong_answer", "all_zeros", "contradicts", "not_there", "macos_too_old", "not_asked"]
)
TIMEOUT = 600.0  # seconds an artifact, on a framework that may hang
# Outcome to its words, and the status that it comes under.
OUTCOMES: Mapping[Outcome, tuple[str, Status]] = {
    "passed": ("passed", "passed"),
    "wrong_answer": ("wrong answer", "failed"),
    "all_zeros": ("wrong answer: all zeros", "failed"),
    "contradicts": ("contradicts the bundle", "failed"),
    "hung": ("hung", "failed"),
    "crashed": ("crashed", "failed"),
    "e5rt_timeout": ("E5RT timeout", "failed"),
    "garbled": ("no readable answer", "failed"),
    "refused": ("refused to load", "failed"),
    "failed": ("failed to run", "failed"),
    "not_there": ("not run: not there", "not_run"),
    "macos_too_old": ("not run: macOS is too old", "not_run"),
    "not_asked": ("not run: not asked for", "not_run"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """One artifact on one runtime.

    Attributes:
        target: as in the manifest.
        function: as in the contract.
        runtime: the engine's name.
        outcome: what became of it, see `OUTCOMES`.
        status: `passed`, `failed`, or `not_run`; follows from the outcome.
        vectors: how many golden vectors were compared.
        calls: how many API vectors, in an app's words.
        message: which output and how far, or why it did not run; empty where it passed.
        compute_units: what it ran on, or was allowed to; empty where it was not opened.
        version: of the runtime; empty where it was not opened.
        rehearsal: whether something stood in for the framework, so that nothing is said of a device.
        printed: the end of what a framework's process wrote to stdout and stderr.
    """

    target: str
    function: str
    runtime: str
    outcome: Outcome
    status: Status = "not_run"
    vectors: int = 0
    calls: int = 0
    message: str = ""
    compute_units: str = ""
    version: str = ""
    rehearsal: bool = False
    printed: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "status", OUTCOMES[self.outcome][1])

    @property
    def words(self) -> str:
        """The outcome as people read it."""
        return OUTCOMES[self.outcome][0] + (" (rehearsal)" if self.rehearsal else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a verification is asked for.

    Attributes:
        runtimes: engines that artifacts are replayed on, or formats for all of theirs; empty for all.
        required: engines on which every artifact that they can run has to have run.
        compute_units: that Core ML's framework may use; None for what the recipe states.
        timeout: seconds that an artifact may take on that framework.

    Raises:
        UsageError: there is no such engine, one is required that was not asked for, or the time is none.
    """

    runtimes: tuple[str, ...] = ()
    required: tuple[str, ...] = ()
    compute_units: str | None = None
    timeout: float = TIMEOUT

    def __post_init__(self) -> None:
        engines = dict.fromkeys(name for row in TARGETS.values() for name in row.runtimes)
        for each in self.runtimes:
            if each not in (*engines, *TARGETS):
                known = ", ".join((*engines, *TARGETS))
                raise UsageError(
                    f"--runtime {each!r}: expected an engine or a format: {known}"
                    f"{meant(each, (*engines, *TARGETS))}"
                )
        for each in self.required:
            if each not in engines:
                raise UsageError(
                    f"--require {each!r}: expected one of {', '.join(engines)}{meant(each, engines)}"
                )
            if not self.wants(each):
                raise UsageError(f"--require {each}: it is not among --runtime; add --runtime {each}")
        if not self.timeout > 0:
            raise UsageError(f"--timeout {self.timeout:g}: expected more than 0 seconds")

    def wants(self, runtime: str) -> bool:
        """Whether artifacts are to be replayed on an engine."""
        own = {each for name in self.runtimes if name in TARGETS for each in TARGETS[name].runtimes}
        return not self.runtimes or runtime in (*self.runtimes, *own)

    def lacking(self, replays: tuple[Replayed, ...]) -> Iterator[str]:
        """A sentence for each artifact that a required engine did not run, and for one that ran nothing."""
        for name in self.required:
            mine = [each for each in replays if each.runtime == name]
            if not mine:
                yield f"required {name} did not run: no artifact of this bundle is for it"
            for each in mine:
                if each.status == "not_run":
                    yield f"required {name} did not run {each.target}/{each.function}: {each.message}"
                elif each.outcome in UNANSWERED:
                    yield f"required {name} did not answer for {each.target}/{each.function}: {each.words}"


def too_old(replays: Sequence[Replayed]) -> Iterator[str]:
    """A sentence for each artifact that nothing compared, as it needs a later macOS than this one."""
    compared = {(each.target, each.function) for each in replays if each.status != "not_run"}
    for each in replays:
        if each.outcome == "macos_too_old" and (each.target, each.function) not in compared:
            yield f"{each.target}/{each.function}: {each.message}; nothing was compared"
