"""Changed bundles, layouts and deltas, opened by all commands that open one: `-m tests.ship.mutations`.

Each number is a case, the same one each time (with the seed): a thing, what is done to it, whether its
digests are made to fit again, and the commands that open it. Nothing may crash, hang, write outside of its
target, install a half, or pass what was altered, unless digests fit and no key was given: then it must say
that nobody signed. Cases that were run are kept, and gone on from, as long as source and tests stay.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import shutil
import subprocess
import sys
import time
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress
from tests.kept import SOURCE, source_sha256

Line = dict[str, Any]
SEED = 18
_SHOWN = 20  # faults that are printed


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code: 1 where a command did what none may do, or not all cases were run."""
    parser = argparse.ArgumentParser(prog="make ship", description=__doc__)
    parser.add_argument("--count", type=int, default=10_000, help="cases")
    parser.add_argument(
        "--seconds", type=float, default=None, help="stop after so many, and go on the next time"
    )
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--only", type=int, nargs="*", help="these numbers, not kept")
    parser.add_argument("--folder", type=Path, default=Path("build/ship/mutations"))
    parser.add_argument("--json", action="store_true", help="print counts as JSON")
    asked = parser.parse_args(arguments)
    _quiet()
    key = source_sha256(rooms=(*SOURCE, "tests/ship"))
    place = asked.folder.resolve() / f"{asked.seed}-{key[:16]}"
    _prepare_bases(place)
    kept = place / "cases.jsonl"
    lines = [] if asked.only else _read(kept)
    done = {each["number"] for each in lines}
    numbers = asked.only or [each for each in range(asked.count) if each not in done]
    for line in _run(numbers, asked, place):
        lines.append(line)
        if not asked.only:
            with kept.open("a", encoding="utf-8") as file:
                print(json.dumps(line), file=file)
    lines = [each for each in lines if asked.only or each["number"] < asked.count]
    return _tell(lines, len(asked.only or range(asked.count)), as_json=asked.json, whole=bool(asked.only))


def _quiet() -> None:
    os.environ["OMP_NUM_THREADS"] = "1"
    sys.dont_write_bytecode = True  # which is a write outside of every target
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)


def _prepare_bases(place: Path) -> None:
    """Makes what is changed, in another process, once."""
    if (place / "honest" / "made").exists():
        return
    print("making what is changed ...", file=sys.stderr, flush=True)
    shutil.rmtree(place / "honest", ignore_errors=True)
    (place / "honest").mkdir(parents=True)
    words = [sys.executable, "-W", "ignore", "-m", "tests.ship.bases", str(place / "honest")]
    subprocess.run(words, check=True, stdout=sys.stderr)
    (place / "honest" / "made").touch()


def _run(numbers: Sequence[int], asked: argparse.Namespace, place: Path) -> Iterator[Line]:
    """The lines of cases, until all are run or the time is over."""
    from tests.ship.opened import honest_answers, prepared
    from tests.ship.workers import run_all

    if not numbers:
        return
    answers = honest_answers(place)
    end = None if asked.seconds is None else time.monotonic() + asked.seconds
    with Progress(console=Console(stderr=True)) as progress:
        task = progress.add_task("cases", total=len(numbers))
        for line in run_all(numbers, prepared(place, asked.seed, answers), place, jobs=asked.jobs):
            yield line
            progress.advance(task)
            if end is not None and time.monotonic() > end:
                return


def _read(path: Path) -> list[Line]:
    """The lines that an earlier run kept; half of one, where it was killed, is none."""
    lines = path.read_text(encoding="utf-8").split("\n")[:-1] if path.exists() else []
    return [json.loads(each) for each in lines]


def fault_of(line: Line) -> str:
    """What a case did that none may do; empty where it did not."""
    if "ended" in line:
        return f"the process {line['ended']}"
    from tests.ship.judging import FAULTS

    wrong = [each for each in line["ran"] if each["outcome"] in FAULTS]
    return "; ".join(f"{each['reader']}: {each['outcome']}: {each['why']}" for each in wrong)


def outcome_of(line: Line) -> str:
    """The word for a case: its worst command's."""
    if "ended" in line:
        return "hung" if line["ended"] == "hung" else "crashed"
    from tests.ship.judging import AS_IT_WAS, FAULTS, REFUSED, UNSIGNED

    found = {each["outcome"] for each in line["ran"]}
    return next(each for each in (*FAULTS[::-1], UNSIGNED, REFUSED, AS_IT_WAS) if each in found)


def counts_of(lines: Sequence[Line]) -> Mapping[str, int]:
    """How many cases ended in each way, faults among them though there were none."""
    from tests.ship.judging import OUTCOMES

    found = Counter(map(outcome_of, lines))
    return {each: found[each] for each in OUTCOMES}


def _by_reader(lines: Sequence[Line]) -> Mapping[str, Mapping[str, int]]:
    found: dict[str, Counter[str]] = {}
    for line in lines:
        for each in line.get("ran", ()):
            found.setdefault(each["reader"], Counter())[each["outcome"]] += 1
    return {name: dict(sorted(each.items())) for name, each in sorted(found.items())}


def _tell(lines: Sequence[Line], count: int, *, as_json: bool, whole: bool) -> int:
    wrong = [(line["number"], fault) for line in lines if (fault := fault_of(line))]
    short = len(lines) < count
    if as_json:
        table = {"schema": 1, "asked": count, "cases": len(lines), "outcomes": counts_of(lines)}
        faults = [{"number": number, "fault": fault} for number, fault in wrong]
        print(json.dumps({**table, "commands": _by_reader(lines), "faults": faults}, indent=1))
        return int(bool(wrong) or short)
    for line in lines if whole else ():
        print(json.dumps(line, indent=1))
    for name, outcomes in _by_reader(lines).items():
        print(f"{name:<16} {', '.join(f'{number} {what}' for what, number in outcomes.items())}")
    for number, fault in wrong[:_SHOWN]:
        print(f"case {number}: {fault}; run it again: python -m tests.ship.mutations --only {number}")
    print(counted(lines, count))
    return int(bool(wrong) or short)


def counted(lines: Sequence[Line], count: int) -> str:
    """The last line."""
    said = ", ".join(f"{number} {what}" for what, number in counts_of(lines).items())
    missing = f"; {count - len(lines)} not run" if len(lines) < count else ""
    return f"{len(lines)} changed things opened: {said}{missing}"


if __name__ == "__main__":
    sys.exit(main())
