"""`pocketrec assign`: which variant of an experiment each unit gets."""

from __future__ import annotations

import csv
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import click

from pocketrec.cli.console import count_text, examples, print_json
from pocketrec.cli.paths import PATH
from pocketrec.cli.texts import whole_text
from pocketrec.errors import DataError, UsageError
from pocketrec.files import check_place

if TYPE_CHECKING:
    from pocketrec.validate.experiments.assign import Split

_LONGEST = 1 << 16  # bytes of a line


@click.command(
    epilog=examples(
        "pocketrec assign --salt sasrec-int4-1 --variant control=1 --variant int4=1 user-17 user-18",
        "pocketrec assign --experiment experiment.toml --units users.txt --out assigned.csv",
        "pocketrec assign --experiment experiment.toml user-17 --json",
    )
)
@click.argument("unit", nargs=-1)
@click.option("--experiment", type=PATH, default=None, help="A TOML file with salt and variants.")
@click.option("--salt", default=None, help="A word of its own for every experiment.")
@click.option("--variant", "stated", multiple=True, metavar="NAME=WEIGHT", help="A variant and its share.")
@click.option("--units", type=PATH, default=None, help="A text file, one unit a line.")
@click.option("--out", type=PATH, default=None, help="The CSV file to write.  [default: stdout]")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def assign(
    unit: Sequence[str],
    experiment: Path | None,
    salt: str | None,
    stated: Sequence[str],
    units: Path | None,
    out: Path | None,
    as_json: bool,
) -> None:
    """Print the variant of each UNIT, such as a user's id, as CSV.

    A unit's variant follows from its id, the salt and the variants' names and weights (SHA-256, weighted
    rendezvous hashing): the same in every run and on every machine. Where a variant is added, only units that
    go to it move.
    """
    split, bundles = _split(experiment, salt, stated)
    if bool(unit) == (units is not None):
        raise UsageError("pass units as arguments, or a file of them as --units; one of the two")
    given = iter(unit) if units is None else _lines(units)
    if out is not None:
        check_place(out, "--out", [each for each in (units, experiment) if each is not None])
        with whole_text(out) as file:
            counts = _write(given, split, file)
    elif not as_json:
        counts = _write(given, split, sys.stdout)
    else:
        from pocketrec.validate.experiments.assign import assign as assigned

        found = [{"unit": name, "variant": variant} for name, variant in assigned(given, split)]
        counts = Counter(each["variant"] for each in found)
        print_json({**_head(split, bundles, counts), "units": found})
        return
    if as_json:
        print_json({**_head(split, bundles, counts), "out": str(out)})
    else:
        _summarize(split, bundles, counts)


def _split(experiment: Path | None, salt: str | None, stated: Sequence[str]) -> tuple[Split, dict[str, str]]:
    """How units are divided, and the digests of the variants' bundles where a file states them."""
    if (experiment is None) == (salt is None and not stated):
        raise UsageError("pass --experiment, or --salt with a --variant NAME=WEIGHT for each variant")
    if experiment is not None:
        from pocketrec.pipeline.split import read_experiment

        return read_experiment(experiment)
    from pocketrec.validate.experiments.assign import Split

    return Split(salt=salt or "", variants=weights_of(stated)), {}


def weights_of(stated: Sequence[str]) -> dict[str, float]:
    """Weights by name from NAME=WEIGHT words; UsageError names the word that is none, or a name twice."""
    found: dict[str, float] = {}
    for each in stated:
        name, mark, weight = each.rpartition("=")
        try:
            value = float(weight)
        except ValueError:
            value = float("nan")
        if not mark or value != value:
            raise UsageError(f"--variant {each!r}: expected NAME=WEIGHT, such as control=1")
        if name in found:
            raise UsageError(f"--variant {name!r} is stated twice; expected each variant once")
        found[name] = value
    return found


def _lines(path: Path) -> Iterator[str]:
    """The units of a file; DataError names the line that is none."""
    from pocketrec.outside import open_file

    with open_file(path, error=DataError, remedy="pass a text file, one unit a line") as file:
        number = 0
        while line := file.readline(_LONGEST + 1):
            number += 1
            try:
                text = line.decode("utf-8").rstrip("\r\n")
            except UnicodeDecodeError:
                raise DataError(f"{path}: line {number} is no UTF-8; expected a unit's id") from None
            if not text or len(line) > _LONGEST:
                what = "is empty" if not text else f"is longer than {_LONGEST} bytes"
                raise DataError(f"{path}: line {number} {what}; expected a unit's id")
            yield text
        if not number:
            raise DataError(f"{path}: no lines; expected a unit's id on each")


def _write(units: Iterable[str], split: Split, file: TextIO) -> Counter[str]:
    """Writes a line a unit; how many each variant got."""
    from pocketrec.validate.experiments.assign import assign as assigned

    counts: Counter[str] = Counter()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(("unit", "variant"))
    for name, variant in assigned(units, split):
        writer.writerow((name, variant))
        counts[variant] += 1
    return counts


def _head(split: Split, bundles: dict[str, str], counts: Counter[str]) -> dict[str, object]:
    variants = {
        name: {"share": share, "units": counts[name], "tree_sha256": bundles.get(name)}
        for name, share in split.shares().items()
    }
    return {"schema": 1, "salt": split.salt, "variants": variants}


def _summarize(split: Split, bundles: dict[str, str], counts: Counter[str]) -> None:
    for name, share in split.shares().items():
        bundle = f", bundle {bundles[name]}" if name in bundles else ""
        click.echo(f"{name}: {count_text(counts[name], 'unit')}, share {share:.4g}{bundle}", err=True)
