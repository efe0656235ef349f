"""Every zoo bundle's Swift package, built and tested on the artifact that ships: `make swift`.

For each family and compression: a bundle with a Core ML target, its package, compiled in Swift 6 mode with
warnings as errors, its tests with golden and API vectors and the answers that Python gives on the same
artifact, every bit of them; then a weight is changed, its digests made to fit, and the tests have to fail.
The tests of the stand-in for Core ML and those of pytest that need a compiler run too. The bundles are those
of `make zoo`; what passed is kept while nothing of it changes, so that a run goes on where it was stopped.
The last line counts.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.progress import Progress
from tests.kept import keep, kept, source_sha256
from tests.swift.toolchain import ROOT, NoSwift, set_up, shown
from tests.swift.workshop import PRESETS, Row, packaged, pytests, stand_in
from tests.zoo.bundles import here, key_of, passed_bundle, trained

from pocketrec.model_zoo.registry import FAMILIES

ROOMS = ("tests/swift", "swift", "package/swift")


def work(families: list[str], presets: list[str], folder: Path, zoo: Path) -> dict[str, Callable[[], Row]]:
    """What is to be done, by name."""

    def once(name: str, key: str, job: Callable[[], Row]) -> Row:
        path = folder / "rows" / f"{name}.json"
        if (found := kept(path, key)) is not None:
            return Row(**found)
        row = job()
        if not row.failure:
            keep(path, key, asdict(row))
        return row

    def both(family: str, preset: str) -> Row:
        trained(FAMILIES[family])
        key = key_of(FAMILIES[family], PRESETS[preset][0]) + source_sha256(rooms=ROOMS)
        bundle = partial(passed_bundle, FAMILIES[family], PRESETS[preset][0], zoo)
        return once(f"{family}-{preset}", key, lambda: packaged(bundle(), preset, folder))

    all_of_it = f"{source_sha256()} {families}"
    jobs: dict[str, Callable[[], Row]] = {
        "pytest": lambda: once("pytest", all_of_it, partial(pytests, families))
    }
    if sys.platform == "linux":  # elsewhere there is the framework itself
        jobs["stand-in"] = lambda: once("stand-in", all_of_it, partial(stand_in, folder))
    pairs = [(family, preset) for preset in presets for family in families]
    return jobs | {f"{family} {preset}": partial(both, family, preset) for family, preset in pairs}


def total(rows: list[Row]) -> str:
    """The last line."""
    passed = sum(each.passed for each in rows)
    return f"{len(rows)} packages, {sum(each.tests for each in rows)} tests: {passed} passed"


def main() -> int:
    """Runs all that was asked for; 1 where something failed, or where there is no Swift."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--families", nargs="*", default=sorted(FAMILIES), choices=sorted(FAMILIES))
    parser.add_argument("--presets", nargs="*", default=list(PRESETS), choices=list(PRESETS))
    parser.add_argument("--folder", type=Path, default=Path("build/swift"))
    parser.add_argument("--zoo", type=Path, default=Path("build/zoo"), help="The bundles of `make zoo`.")
    asked = parser.parse_args()
    logging.getLogger("coremltools").setLevel(logging.CRITICAL)  # it tells of the framework that is not there
    try:
        set_up()
    except NoSwift as error:
        print(f"not run: {error}")
        return 1
    if not shown(asked.folder):
        parser.error(f"--folder: the unpacked Swift does not see {asked.folder}; name a folder in {ROOT}")
    for each in (asked.folder, asked.zoo):
        each.mkdir(parents=True, exist_ok=True)
    jobs = work(here(asked.families), asked.presets, asked.folder, asked.zoo)
    rows: list[Row] = []
    with Progress(console=Console(stderr=True)) as progress:
        task = progress.add_task("packages", total=len(jobs))
        for name, job in jobs.items():
            progress.update(task, description=name)
            rows.append(job())
            print(json.dumps(asdict(rows[-1]), ensure_ascii=False), flush=True)
            progress.advance(task)
    failed = [row for row in rows if row.failure]
    for row in failed:
        print(f"failed: {row.package}: {row.failure}")
    print(total(rows))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
