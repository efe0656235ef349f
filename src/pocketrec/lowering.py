"""Every function of the contract captured, and lowered to every target of the recipe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from shutil import rmtree
from typing import TYPE_CHECKING

import numpy as np

from pocketrec.pipeline.compression import check_gathered_names
from pocketrec.pipeline.examine import Progress, silent
from pocketrec.recipe import Target
from pocketrec.source.model import Prepared

if TYPE_CHECKING:
    from pocketrec.convert.capture.capture import Capture
    from pocketrec.quantize import QuantizedTensor
    from pocketrec.source.tables import Table
    from pocketrec.validate.evidence import Reference

_SUFFIX = {"onnx": ".onnx", "coreml": ".mlpackage"}


def capture_functions(
    prepared: Prepared, reference: Reference, report: Progress = silent
) -> dict[str, Capture]:
    """Every function of the contract, captured and proved on the reference's probes."""
    import torch

    from pocketrec.convert.capture.capture import capture
    from pocketrec.convert.capture.streamed import capture_streamed

    module, streamed = prepared.module, prepared.streamed
    captures = {}
    for count, name in enumerate(prepared.contract.functions):
        report(f"capture {name}", count, len(prepared.contract.functions))
        tensors = [
            {key: torch.from_numpy(np.asarray(array, order="C")) for key, array in each.inputs.items()}
            for each in reference.probes[name]
        ]
        if streamed is None:
            captures[name] = capture(module, prepared.contract, name, tensors)
        else:
            captures[name] = capture_streamed(streamed, prepared.contract, name, tensors)
    return captures


def lower(
    prepared: Prepared,
    captures: Mapping[str, Capture],
    codes: Mapping[str, QuantizedTensor],
    folder: Path,
    report: Progress,
) -> dict[str, dict[str, Path]]:
    """Target to function to the artifact's path in the staging folder."""
    targets = prepared.recipe.targets
    tables = () if prepared.streamed is None else prepared.streamed.tables
    check_gathered_names(targets, codes)
    artifacts: dict[str, dict[str, Path]] = {name: {} for name in targets}
    jobs = [(target, function) for target in targets for function in captures]
    for count, (target, function) in enumerate(jobs):
        report(f"convert {function} to {target}", count, len(jobs))
        form = targets[target].format
        assert form is not None
        path = folder / "artifacts" / target / f"{function}{_SUFFIX[form]}"
        path.parent.mkdir(parents=True, exist_ok=True)
        artifacts[target][function] = _lower_one(captures[function], path, targets[target], codes, tables)
    for name, each in targets.items():
        if each.multifunction:
            artifacts[name] = _in_one_package(artifacts[name], folder / "artifacts" / name)
    return artifacts


def _in_one_package(packages: Mapping[str, Path], folder: Path) -> dict[str, Path]:
    """Function to the one package in `folder` that holds all functions; theirs are gone."""
    from pocketrec.convert.coreml.multifunction import to_multifunction

    path = to_multifunction(packages, folder / "all-functions.mlpackage")  # no function can have this name
    for each in packages.values():
        rmtree(each)
    return dict.fromkeys(packages, path)


def _lower_one(
    captured: Capture,
    path: Path,
    target: Target,
    codes: Mapping[str, QuantizedTensor],
    tables: Sequence[Table],
) -> Path:
    if target.format == "onnx":
        from pocketrec.convert.onnx.lower import to_onnx

        return to_onnx(
            captured,
            path,
            opset_version=target.opset_version,
            tensors=codes,
            contrib_ops=target.contrib_ops,
            tables=tables,
        )
    from pocketrec.convert.coreml.lower import to_coreml

    return to_coreml(
        captured,
        path,
        precision=target.precision or "float16",
        minimum_deployment_target=target.minimum_deployment_target,
        flexible=target.flexible,
        tensors=codes,
        gathered=target.gather_codes,
        tables=tables,
    )
