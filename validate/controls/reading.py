"""Whether a runtime reads the artifact: a copy that is cut off must not be answered as the whole is.

An engine that takes a file of the same name from its cache, or never opened it, answers all the same.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from pocketrec.outside import open_file
from pocketrec.recipe import Gates
from pocketrec.report import Control
from pocketrec.validate.evidence import Open, Reference
from pocketrec.validate.measure.parity import check_parity
from pocketrec.validate.measure.tolerances import differs_by, tie_tolerance
from pocketrec.validate.runtimes.fit import run_fitted

GATE = "reads_artifact"
_MOST_BYTES = 1 << 20  # of a file's beginning


def reads_artifact(
    paths: Mapping[str, Path], runtime: str, reference: Reference, gates: Gates, open_with: Open
) -> Control:
    """Whether the first function's artifact, cut off, is answered otherwise or not at all."""
    function, path = next(iter(paths.items()))
    with tempfile.TemporaryDirectory() as folder:
        cut = Path(folder) / path.name
        _cut_off(path, cut)
        same = _answers(cut, function, runtime, reference, gates, open_with)
    what = "is answered as the whole one is" if same else "is refused, or answered otherwise"
    return Control(gate=GATE, passed=not same, message=f"{path.name}, cut off in the middle, {what}")


def _cut_off(path: Path, place: Path) -> None:
    if path.is_dir():
        shutil.copytree(path, place, copy_function=_beginning)
        return
    _beginning(str(path), str(place))


def _beginning(source: str, place: str) -> str:
    """Copies the first half of a file, as `shutil.copytree` asks for it."""
    size = Path(source).stat().st_size
    with open_file(Path(source)) as file:
        Path(place).write_bytes(file.read(min(size // 2, _MOST_BYTES)))
    return place


def _answers(
    path: Path, function: str, runtime: str, reference: Reference, gates: Gates, open_with: Open
) -> bool:
    """Whether an artifact gives the reference's numbers; whatever else it does, it does not."""
    contract, probe = reference.contract, reference.probes[function][0]
    signature = contract.functions[function]
    try:
        with open_with(path, runtime, function=function) as opened:
            given = run_fitted(opened, contract, signature, probe.inputs)
            precision = opened.describe().precision
            parities = check_parity(
                [reference.outputs[function][0]],
                [given],
                [probe.name],
                signature,
                function=function,
                tie_tolerance=tie_tolerance(gates, precision),
            )
    except Exception:
        return False  # a file that is cut off may break a reader in any way
    return not any(differs_by(each, gates, precision) for each in parities)
