"""What one machine found of a bundle's Core ML artifacts, as Markdown: for a pull request and a summary.

Times are shown where Core ML's framework on a Mac took them, and nowhere else: what a rehearsal or the
interpreter took says nothing of a device.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from pocketrec.validate.report.markdown import md_row, md_text

FRAMEWORK = "coreml-framework"
NOT_ASKED = "not run: not asked for"
_MACOS = re.compile(r"macOS \d+(\.\d+)*")
_LONGEST, _MOST = (
    400,
    60,
)  # characters of a message, and rows of a list; a comment holds some 65,000 characters
_SIGNS = {"passed": "✅", "failed": "❌", "not run": "⚪", "not_run": "⚪"}
_VIRTUAL = (
    "Times of this Mac. Hosted Macs are virtual machines: their times compare settings and releases, "
    "and are no phone's."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """What became of one artifact on one runtime.

    Attributes:
        target: as in the manifest.
        function: as in the contract.
        runtime: the engine's name.
        outcome: `passed`, or what happened instead in words, such as `hung`.
        status: `passed`, `failed` or `not_run`, which follows from it.
        compute_units: what it ran on; empty where it was not opened.
        version: of the engine; empty where it was not opened.
        rehearsal: whether something stood in for the framework.
        vectors: golden vectors that were compared.
        calls: API vectors that were.
        message: why it did not pass; else empty.
    """

    target: str
    function: str
    runtime: str
    outcome: str
    status: Literal["passed", "failed", "not_run"]
    compute_units: str = ""
    version: str = ""
    rehearsal: bool = False
    vectors: int = 0
    calls: int = 0
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timed:
    """One artifact on one setting of compute units.

    Attributes:
        target: as in the manifest.
        function: as in the contract.
        compute_units: that were allowed.
        runtime: the engine's name; empty where nothing ran.
        version: of the engine; with Core ML that of macOS.
        system: of the machine.
        p50_ms: the median call.
        p95_ms: which 95 of 100 calls did not exceed.
        load_cold_ms: the first load of a fresh process.
        load_warm_ms: the median of later loads.
        devices: where Core ML's plan has how many ops.
        reason: why it was not measured; else empty.
    """

    target: str
    function: str
    compute_units: str
    runtime: str = ""
    version: str = ""
    system: str = ""
    p50_ms: float = 0.0
    p95_ms: float = 0.0
    load_cold_ms: float = 0.0
    load_warm_ms: float = 0.0
    devices: Mapping[str, int] = field(default_factory=dict)
    reason: str = ""

    @property
    def of_a_device(self) -> bool:
        """Whether Core ML on a Mac took these times."""
        return not self.reason and self.runtime == FRAMEWORK and is_mac(self.system, self.version)


@dataclass(frozen=True, slots=True, kw_only=True)
class MacRun:
    """Everything that one job found.

    Attributes:
        bundle: name and version; empty where it was not read.
        tree_sha256: the bundle's digest.
        system: of the machine that compared; empty where it does not say.
        signature: what is known of who signed; empty where nobody looked.
        passed: what `verify` said.
        answered: by artifact.
        problems: what `verify` found beside them.
        timed: by artifact and compute units.
    """

    bundle: str = ""
    tree_sha256: str = ""
    system: str = ""
    signature: str = ""
    passed: bool = False
    answered: tuple[Answered, ...] = ()
    problems: tuple[str, ...] = ()
    timed: tuple[Timed, ...] = ()

    @property
    def rehearsed(self) -> bool:
        """Whether something other than a Mac ran it."""
        return any(each.rehearsal for each in self.answered) or (
            bool(self.system) and not is_mac(self.system)
        )

    @property
    def verdict(self) -> str:
        """`passed`, `failed`, or `not run` where nothing was compared and nothing failed."""
        if self.passed and any(each.status == "passed" for each in self.answered):
            return "passed"
        return "failed" if self.answered or self.bundle else "not run"


def is_mac(system: str, version: str = "macOS 0") -> bool:
    """Whether a machine is a Mac, as its system and its engine's version have it, which both have to."""
    return system.startswith("Darwin ") and _MACOS.fullmatch(version) is not None


def mac_run_markdown(run: MacRun, name: str) -> str:
    """Returns verdict, what each artifact did, what it took, and what was not measured.

    Args:
        run: what was found.
        name: of the job, by which its comment is found again.
    """
    return "\n".join(_lines(run, name)) + "\n"


def _lines(run: MacRun, name: str) -> Iterator[str]:
    yield f"<!-- pocketrec parity {re.sub(r'[^A-Za-z0-9_. ]', '_', name)} -->"
    title = f"{run.bundle or 'bundle'} on Core ML: {run.verdict}"
    yield f"## {_SIGNS[run.verdict]} {md_text(title)}{' (rehearsal)' if run.rehearsed else ''}"
    yield ""
    if run.rehearsed:
        where = md_text(run.system)
        yield f"> **A rehearsal: no Mac ran this.** What answered stood in for Core ML, on {where}."
        yield ""
    facts = [f"tree `{run.tree_sha256[:16]}`" if re.fullmatch("[0-9a-f]{64}", run.tree_sha256) else ""]
    facts += [md_text(each) for each in (run.system, _short(run.signature))]
    yield " · ".join(each for each in facts if each)
    yield from _answered(run)
    yield from _listed("Problems", [_short(each) for each in run.problems])
    yield from _timed(run)


def _answered(run: MacRun) -> Iterator[str]:
    if not run.answered:
        return
    head = ("artifact", "runtime", "compute units", "outcome", "compared", "")
    yield from ("", md_row(head), md_row(["---"] * len(head)))
    asked = [each for each in run.answered if each.outcome != NOT_ASKED]
    for each in asked[:_MOST]:
        units = each.compute_units.removeprefix("allowed: ")
        where = " ".join(filter(None, (each.runtime, each.version)))
        compared = f"{each.vectors} vectors, {each.calls} calls" if each.vectors or each.calls else "nothing"
        outcome = f"{_SIGNS[each.status]} **{md_text(each.outcome)}**"
        before = map(md_text, (f"{each.target}/{each.function}", where, units))
        yield md_row((*before, outcome, *map(md_text, (compared, _short(each.message)))))
    yield from _more(len(asked))
    others = dict.fromkeys(
        f"{each.target}/{each.function} on {each.runtime}" for each in run.answered if each not in asked
    )
    if others:
        yield from ("", f"Not asked for: {md_text(_short(', '.join(others)))}.")


def _timed(run: MacRun) -> Iterator[str]:
    shown = [each for each in run.timed if each.of_a_device]
    if shown:
        head = ("artifact", "compute units", "p50 ms", "p95 ms", "load, cold ms", "load, warm ms", "ops on")
        yield from ("", "### Latency", "", md_row(head), md_row(["---", "---", *["--:"] * 4, "---"]))
        for each in shown[:_MOST]:
            times = (each.p50_ms, each.p95_ms, each.load_cold_ms, each.load_warm_ms)
            where = ", ".join(f"{device} {count}" for device, count in sorted(each.devices.items()))
            names = map(md_text, (f"{each.target}/{each.function}", each.compute_units))
            yield md_row((*names, *(f"{ms:.3f}" for ms in times), md_text(where)))
        yield from _more(len(shown))
        yield from ("", _VIRTUAL)
    yield from _listed("Not measured", [_untimed(each) for each in run.timed if not each.of_a_device])


def _untimed(each: Timed) -> str:
    why = each.reason or f"{each.runtime} on {each.system}, {each.version}: its times say nothing of a device"
    return f"{each.target}/{each.function} on {each.compute_units}: {_short(why)}"


def _listed(title: str, lines: list[str]) -> Iterator[str]:
    if lines:
        yield from ("", f"### {title}", "")
        yield from (f"- {md_text(each)}" for each in lines[:_MOST])
        yield from _more(len(lines))


def _more(count: int) -> Iterator[str]:
    if count > _MOST:
        yield from ("", f"and {count - _MOST} more, in the evidence")


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]} …"
