"""`make fuzz`: every reader of files from outside under the fuzzer, for a share of the time each.

The corpus under build/fuzz is kept and gone on from. Exits with 1 where a target ended by a crash, an
exception that is no PocketrecError, a write, a hang of more than 20 s or more than 2 GB.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
TIMEOUT_SECONDS, LARGEST_MB = 20, 2048


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a target's run ended.

    Attributes:
        inputs: how many were run.
        faults: the lines that say what went wrong; empty where nothing did.
    """

    target: str
    inputs: int
    faults: tuple[str, ...]


def fuzz(target: str, seconds: int, place: Path) -> Ended:
    """What became of one target within the seconds; its corpus and what breaks it lie below `place`."""
    corpus, broken = place / target / "corpus", place / target / "broken"
    for folder in (corpus, broken):
        folder.mkdir(parents=True, exist_ok=True)
    options = (
        f"-max_total_time={seconds}",
        f"-timeout={TIMEOUT_SECONDS}",
        f"-rss_limit_mb={LARGEST_MB}",
        f"-artifact_prefix={broken}/",
        "-max_len=65536",
        "-print_final_stats=1",
    )
    command = [sys.executable, str(Path(__file__).with_name("child.py")), target, str(corpus), *options]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False, cwd=ROOT)
    return judge(target, done.returncode, done.stderr)


def judge(target: str, code: int, output: str) -> Ended:
    """The verdict on a run by its exit code and what the fuzzer wrote."""
    counted = re.search(r"stat::number_of_executed_units:\s*(\d+)", output)
    wrong = [
        line.strip()
        for line in output.splitlines()
        if re.search(r"ERROR: libFuzzer|Uncaught Python exception|^\s*[\w.]*(Error|Exception): ", line)
    ]
    inputs = int(counted[1]) if counted else 0
    if not code:
        wrong = [] if inputs else ["ended without running an input"]
    elif not wrong:
        wrong = [f"ended with {code}: {(output.strip().splitlines() or ['no word'])[-1]}"]
    return Ended(target=target, inputs=inputs, faults=tuple(wrong))


def main() -> int:
    """Runs all targets, or those that are named; prints a line for each."""
    sys.path.insert(0, str(ROOT))
    from tests.fuzz.targets import TARGETS

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=", ".join(TARGETS))
    parser.add_argument("--seconds", type=int, default=1800, help="for all targets together")
    parser.add_argument("--place", type=Path, default=ROOT / "build/fuzz")
    asked = parser.parse_args()
    names = asked.targets or list(TARGETS)
    ended = []
    for name in names:
        ended.append(fuzz(name, max(1, asked.seconds // len(names)), asked.place))
        print(
            f"{name:14} {ended[-1].inputs:9} inputs  {'; '.join(ended[-1].faults[:3]) or 'held'}", flush=True
        )
    return int(any(each.faults for each in ended))


if __name__ == "__main__":
    sys.exit(main())
