"""A conversion's artifacts in the folder that the user named, opened once more from there."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from pocketrec.contract import Contract
from pocketrec.convert.targets import TARGETS, row_of_suffix
from pocketrec.errors import PocketrecError, Refused
from pocketrec.origin import Told
from pocketrec.package.origins import NAME, write_origins
from pocketrec.pipeline.shapes import with_shapes
from pocketrec.pipeline.ways import Delivered

CONVERSION = "conversion.json"


def place_of(out: Path, target: str, form: str, path: Path) -> Path:
    """Where an artifact goes: into `out`, or into a folder where it might have the name of another's."""
    alone = target == form and row_of_suffix(path.suffix) is TARGETS.get(form)
    return out / path.name if alone else out / target / path.name


def publish_conversion(
    table: Mapping[str, Any],
    contract: Contract,
    delivered: Mapping[str, Delivered],
    places: Mapping[str, Mapping[str, Path]],
    out: Path,
) -> None:
    """Puts artifacts in their places, runs each there on the first probe, and writes what is to be known.

    Origins of tensors go beside, as a bundle has them.

    Args:
        table: the conversion as plain values, written as conversion.json.
        contract: written as contract.json.
        delivered: by target.
        places: target to function to where the artifact goes.
        out: the user's folder.

    Raises:
        Refused: an artifact does not open where it stands now.
    """
    for target, each in delivered.items():
        moves = {path: places[target][function] for function, path in each.artifacts.items()}
        for path, place in moves.items():  # several functions may stand in one file
            _move(path, place)
        for function, path in each.artifacts.items():
            _reopen(target, function, moves[path], each)
    _write(out / "contract.json", with_shapes(contract, places))
    _write(out / CONVERSION, table)
    write_origins(out / NAME, told_of(delivered, places, out))


def told_of(
    delivered: Mapping[str, Delivered], places: Mapping[str, Mapping[str, Path]], folder: Path
) -> dict[str, dict[str, Told]]:
    """What lowerings tell, by the path of an artifact in `folder`, and by function.

    `places` are target to function to where the artifact is.
    """
    found: dict[str, dict[str, Told]] = {}
    for target, each in delivered.items():
        for function, told in each.told.items():
            found.setdefault(places[target][function].relative_to(folder).as_posix(), {})[function] = told
    return found


def _move(path: Path, place: Path) -> None:
    """Moves the artifact to its place, with the files beside it, which it refers to by their names."""
    place.parent.mkdir(parents=True, exist_ok=True)
    data = f"{path.name}.data"
    for name, goal in ((path.name, place), (data, place.with_name(data))):
        remove(goal)  # a data file of an older artifact, too, which this one may not need
        if path.with_name(name).exists():
            path.with_name(name).rename(goal)


def _reopen(target: str, function: str, place: Path, delivered: Delivered) -> None:
    """Checks that the artifact gives from its place what it gave before it was moved."""
    from pocketrec.validate.runtimes.fit import run_fitted

    model, reference = delivered.attempt.trial.model, delivered.attempt.reference
    probe, expected = reference.probes[function][0], reference.outputs[function][0]
    cause: Exception | None = None
    try:
        ran = next(each.runtime for each in delivered.results if each.status == "ran")
        with delivered.open_with(place, ran, function=function) as runtime:
            given = run_fitted(runtime, model.contract, model.contract.functions[function], probe.inputs)
        moved = [name for name, array in expected.items() if np.shape(given[name]) != np.shape(array)]
        reason = f"output {moved[0]} has another shape at {place}" if moved else ""
    except (PocketrecError, OSError) as error:
        reason, cause = f"the converted model does not run from {place}: {error}", error
    if reason:
        remove(place)
        raise Refused(op=target, where="", reason=reason, remedy="convert to another folder") from cause


def remove(path: Path) -> None:
    """Removes the file or the folder at `path`, if there is one."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _write(path: Path, value: Mapping[str, Any]) -> None:
    from pocketrec.report import plain

    path.write_text(json.dumps(plain(value), indent=1, sort_keys=True) + "\n", encoding="utf-8")
