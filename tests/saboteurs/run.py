"""Runs every saboteur and its honest twin: `python -m tests.saboteurs.run`, or names of some.

A line each, and a last one that counts them; exit 1 where one was not caught by whom it must be, or an honest
one did not pass.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.saboteurs.everyone import EVERYONE
from tests.saboteurs.kit import NOBODY, Saboteur, Verdict, judge

_WIDTH = 110  # of a line's message


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code of a run."""
    parser = argparse.ArgumentParser(prog="make saboteurs", description=__doc__)
    parser.add_argument("names", nargs="*", help="parts of names; all saboteurs by default")
    parser.add_argument("--json", action="store_true", help="print JSON")
    asked = parser.parse_args(arguments)
    chosen = [each for each in EVERYONE if not asked.names or any(name in each.name for name in asked.names)]
    verdicts = _judged(chosen, quiet=asked.json)
    fooled = [each for each in verdicts if not each.caught or not each.honest.passed]
    if asked.json:
        print(json.dumps(_table(verdicts), indent=1))
    else:
        print(_counted(verdicts))
    return 1 if fooled or not verdicts else 0


def _judged(chosen: Sequence[Saboteur], *, quiet: bool) -> list[Verdict]:
    logging.disable(logging.WARNING)  # of libraries, in whose words nobody is caught
    verdicts = []
    for number, each in enumerate(chosen, 1):
        print(f"{number} of {len(chosen)}: {each.name} ...", file=sys.stderr, flush=True)
        with tempfile.TemporaryDirectory() as folder:
            verdict = judge(each, Path(folder))
        verdicts.append(verdict)
        if not quiet:
            print("\n".join(_lines(verdict)), flush=True)
    return verdicts


def _lines(verdict: Verdict) -> list[str]:
    name, message = verdict.saboteur.name, " ".join(verdict.message.split())
    shown = message if len(message) <= _WIDTH or not verdict.caught else f"{message[:_WIDTH]}…"
    who = f"caught by {verdict.saboteur.caught_by}" if verdict.caught else "NOT CAUGHT"
    lines = [f"{name:<52} {who}: {shown}"]
    if not verdict.honest.passed:
        said = "; ".join(f"{by}: {text}" for by, text in verdict.honest.said)
        lines.append(f"{name:<52} HONEST TWIN DID NOT PASS: {said}")
    return lines


def _counted(verdicts: Sequence[Verdict]) -> str:
    caught = sum(each.caught for each in verdicts)
    passed = sum(each.honest.passed for each in verdicts)
    return f"{len(verdicts)} saboteurs: {caught} caught; {len(verdicts)} honest twins: {passed} passed"


def _table(verdicts: Sequence[Verdict]) -> dict[str, object]:
    rows = [
        {
            "name": each.saboteur.name,
            "caught": each.caught,
            "caught_by": each.saboteur.caught_by if each.caught else NOBODY,
            "message": each.message,
            "honest_passed": each.honest.passed,
        }
        for each in verdicts
    ]
    return {"schema": 1, "saboteurs": rows, "summary": _counted(verdicts)}


if __name__ == "__main__":
    sys.exit(main())
