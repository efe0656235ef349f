"""The honest bundles, layouts and deltas that are changed, made once and the same for all cases.

`python -m tests.ship.bases FOLDER` makes them in a process of its own: what opens them afterwards is
forked, and a fork may have no threads of PyTorch's behind it.
"""

from __future__ import annotations

import logging
import sys
from pathlib import Path

from click.testing import CliRunner
from tests.fuzz import seeds
from tests.package.sign.signing import Pair, pair, sign
from tests.saboteurs import world
from tests.saboteurs.kit import built

from pocketrec.cli.main import main as pocketrec

LINES = '[targets.onnx]\n[targets.coreml]\nprecision = "float32"\nflexible = ["batch"]\n'
DOUBLE, SMALL, NEXT, LAYOUT, DELTA = "double", "small", "next", "layout", "small.delta"
NUMBER = 20270101  # of the key, so that what was found can be run again


def maker(folder: Path) -> Pair:
    """The files of the key that signed all of them."""
    return Pair(private=folder / "release.pem", public=folder / "release.pub.pem")


def make(folder: Path) -> None:
    """Fills an empty folder with all of them."""
    key = pair(folder, number=NUMBER)
    seeds.make_bundle(folder / DOUBLE)
    first, later = (('version = "1.0"', f'version = "{each}"') for each in ("1.0.0", "1.1.0"))
    _build(folder, SMALL, first)
    _build(folder, NEXT, later, ("SEED = 41, 6, 64, 0", "SEED = 41, 6, 64, 1"))
    for name in (DOUBLE, SMALL, NEXT):
        sign(folder / name, key)
    told("delta", folder / SMALL, folder / NEXT, "--out", folder / DELTA)
    for name, more in ((SMALL, ()), (NEXT, ("--delta", folder / DELTA))):
        told("push", folder / name, folder / LAYOUT, "--sign", key.private, *more)


def told(*words: object) -> str:
    """What a command of pocketrec printed; AssertionError where it did not end well."""
    done = CliRunner().invoke(pocketrec, [str(each) for each in words])
    assert done.exit_code == 0, done.output
    return done.stdout


def _build(folder: Path, name: str, version: tuple[str, str], *training: tuple[str, str]) -> None:
    recipe = world.write(
        folder / f"{name}-recipe",
        model=world.changed(world.MODEL, *training),
        recipe=world.changed(world.RECIPE, version),
        lines=LINES,
    )
    found = built(recipe)
    assert found.passed, found.said
    assert found.path is not None
    found.path.rename(folder / name)


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    make(Path(sys.argv[1]))
