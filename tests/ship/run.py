"""All proofs of shipping, one after the other: `make ship`.

A line for each part, and a last one that counts them all. A tool that cannot be set up is said to be missing,
and what needs it to be not run; a required part of which nothing passed fails, and so does a test that did
not run though every tool is there. Parts that passed are kept while source and tests stay, and not run again.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from time import perf_counter

from tests.kept import ROOT, SOURCE, source_sha256
from tests.ship.parts import PARTS, Counted, Part, run_part
from tests.ship.tools import missing_tools

_SHOWN = 5  # reasons of one part that are printed


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs all parts that were asked for; 1 where one failed, or did not run and had to."""
    parser = argparse.ArgumentParser(prog="make ship", description=__doc__)
    names = [each.name for each in PARTS]
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"{', '.join(names)}; all by default")
    parser.add_argument("--count", type=int, default=10_000, help="changed things that are opened")
    parser.add_argument("--jobs", type=int, default=1, help="processes at a time")
    parser.add_argument("--again", action="store_true", help="run what is kept, too")
    parser.add_argument("--folder", type=Path, default=Path("build/ship"))
    asked = parser.parse_args(arguments)
    if unknown := set(asked.parts) - set(names):
        parser.error(f"no part {', '.join(sorted(unknown))}; expected {', '.join(names)}")
    missing = missing_tools()
    for tool, why in missing.items():
        print(f"{tool}: not run: {why}", flush=True)
    chosen = [each for each in PARTS if not asked.parts or each.name in asked.parts]
    found = _all(chosen, asked)
    wrong = [said for part, each in zip(chosen, found, strict=True) for said in faults(part, each, missing)]
    for said in wrong:
        print(f"failed: {said}")
    print(total(found, missing))
    return int(bool(wrong))


def _all(chosen: Sequence[Part], asked: argparse.Namespace) -> list[Counted]:
    """What each part gave, now or before."""
    start, found = perf_counter(), []
    for number, part in enumerate(chosen, 1):
        place: Path = asked.folder.resolve() / key_of(part)[:16]
        place.mkdir(parents=True, exist_ok=True)
        kept = place / f"{part.name.replace(' ', '-')}.json"
        if kept.exists() and not asked.again and not part.keeps_itself:
            found.append(Counted(**json.loads(kept.read_text(encoding="utf-8"))))
            print(f"{part.name:<16} {found[-1].shown}, kept", flush=True)
            continue
        minutes = (perf_counter() - start) / 60
        print(f"{number} of {len(chosen)}, {minutes:.0f} min: {part.name} ...", file=sys.stderr, flush=True)
        found.append(run_part(part, place, count=asked.count, jobs=asked.jobs))
        _print(found[-1])
        if not found[-1].failed and not found[-1].not_run:
            kept.write_text(json.dumps(asdict(found[-1])), encoding="utf-8")
    return found


def key_of(part: Part) -> str:
    """By what a part's result is kept: the source, the part's tests, and what tests share."""
    shared = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "tests").glob("*.py"))
    return source_sha256(rooms=(*SOURCE, *part.tests, *shared, "tests/ship"))


def _print(part: Counted) -> None:
    print(f"{part.name:<16} {part.shown} in {part.seconds:.0f} s", flush=True)
    for what, reasons in (("failed", part.failed), ("not run", part.not_run)):
        for each in reasons[:_SHOWN]:
            print(f"{part.name:<16} {what}: {each}", flush=True)
        if len(reasons) > _SHOWN:
            print(f"{part.name:<16} {what}: and {len(reasons) - _SHOWN} more", flush=True)


def faults(part: Part, found: Counted, missing: dict[str, str]) -> list[str]:
    """What lets the run fail because of one part; nothing where all is well.

    Args:
        part: what was to be shown.
        found: what ran.
        missing: tools that are not here, by name, and why.
    """
    said = [f"{part.name}: {len(found.failed)} failed"] if found.failed else []
    if part.required and not found.passed:
        said.append(f"{part.name}: is required, and nothing of it passed")
    elif found.not_run and not missing:
        said.append(f"{part.name}: {len(found.not_run)} did not run, though every tool is here")
    return said


def total(found: Sequence[Counted], missing: dict[str, str]) -> str:
    """The last line."""
    parts = "; ".join(f"{each.name} {each.shown}" for each in found)
    passed = sum(each.passed for each in found)
    failed, not_run = (sum(len(each) for each in kind) for kind in _both(found))
    tools = f" ({', '.join(missing)} missing)" if missing else ""
    seconds = sum(each.seconds for each in found)
    counts = f"{passed} passed, {failed} failed, {not_run} not run{tools}"
    return f"ship: {counts}, {seconds / 60:.0f} min: {parts}"


def _both(found: Sequence[Counted]) -> tuple[list[list[str]], list[list[str]]]:
    return [each.failed for each in found], [each.not_run for each in found]


if __name__ == "__main__":
    sys.exit(main())
