"""Draw programs for a while, convert and compare them, and print what agreed, what was refused and why.

    python -m tests.differential.run [--seconds 3600] [--out build/differential] [--again]

Each program and its outcome becomes a line of `programs.jsonl` in the folder; a second run goes on behind the
last one. Exit code 0 where nothing disagreed in any of them, 1 where something did.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings

from .compare import compare, summary
from .programs import Chain, programs

_BLOCK = 20  # programs of one seed: a run that was stopped repeats at most these


def main(arguments: list[str] | None = None) -> int:
    """The exit code; everything that is found is printed."""
    parser = argparse.ArgumentParser(description="drawn programs on both targets against PyTorch")
    parser.add_argument("--seconds", type=float, default=3600.0)
    parser.add_argument("--out", type=Path, default=Path("build/differential"))
    parser.add_argument("--again", action="store_true", help="begin with the first program")
    options = parser.parse_args(arguments)
    warnings.filterwarnings("ignore")
    logging.disable(logging.WARNING)
    options.out.mkdir(parents=True, exist_ok=True)
    path = options.out / "programs.jsonl"
    if options.again:
        path.unlink(missing_ok=True)
    draw(path, time.monotonic() + options.seconds)
    outcomes = read(path)
    print(summary(outcomes))
    for one in outcomes:
        for each in one["differs"]:
            print(f"  program {one['number']}: {each}\n    {json.dumps(one['program'])}")
    return 1 if any(one["differs"] for one in outcomes) else 0


def read(path: Path) -> list[dict[str, Any]]:
    """The outcomes that a file holds; none where it is not there."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text().splitlines() if line.endswith("}")]


def draw(path: Path, until: float) -> None:
    """Adds programs and outcomes to the file until the clock says `until`."""
    number = len(read(path))
    while time.monotonic() < until:
        block, skipped = divmod(number, _BLOCK)
        number = _block(path, block, skipped, until)


def _block(path: Path, block: int, skipped: int, until: float) -> int:
    """Runs the programs of one seed behind the first `skipped`; the number of the next program."""
    count = 0

    def one(program: tuple[Chain, ...]) -> None:
        nonlocal count
        count += 1
        if skipped < count <= _BLOCK and time.monotonic() < until:
            outcome = _outcome(program)
            with path.open("a") as file:
                line = {"number": block * _BLOCK + count - 1, **outcome, "program": program}
                file.write(json.dumps(line) + "\n")

    _drawn(one, block)
    return len(read(path)) if count > skipped else (block + 1) * _BLOCK


def _drawn(test: Callable[[tuple[Chain, ...]], None], block: int) -> None:
    chosen = settings(
        max_examples=_BLOCK,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    seed(block)(chosen(given(programs())(test)))()


def _outcome(program: tuple[Chain, ...]) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        try:
            return asdict(compare(program, Path(folder)))
        except Exception as error:
            line = f"crashed: {type(error).__name__}: {' '.join(str(error).split())[:300]}"
            return {"compared": 0, "unsure": 0, "nan": 0, "refused": [], "differs": [line]}


if __name__ == "__main__":
    sys.exit(main())
