"""The quick way in: any module with example inputs, converted and proved, or refused with the reason.

flatten ─▶ shapes, survey ─▶ contract ─▶ capture ─▶ lower ─▶ parity on probes made from the example
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pocketrec.attempts import Attempt, Job, prepare
from pocketrec.contract import Contract
from pocketrec.errors import ConversionError, Refused, UsageError
from pocketrec.proof import prove
from pocketrec.report import TensorParity

if TYPE_CHECKING:
    from torch import nn
    from torch.export import ExportedProgram

    from pocketrec.convert.capture import Capture
    from pocketrec.convert.rewrite import Rewrite

Progress = Callable[[str, int, int], None]
_FILES = {"onnx": "model.onnx", "coreml": "model.mlpackage"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversion:
    """What a conversion leaves behind.

    Attributes:
        artifacts: target to the path of its artifact; every one of them equals the module on the probes.
        inputs: names in the artifacts, in the order of the flattened example inputs.
        outputs: names in the artifacts, in the order of the module's flattened outputs.
        parity: target to one result per output, over all probes.
        rewrites: what was replaced, each with its proof.
        refused: target to the reason why there is no artifact.
        contract: as given or inferred; it is written beside the artifacts.
        notes: what a user must know: a fixed batch, an assumption, the front end that was used.
    """

    artifacts: Mapping[str, Path]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    parity: Mapping[str, tuple[TensorParity, ...]]
    rewrites: tuple[Rewrite, ...]
    refused: Mapping[str, str]
    contract: Contract
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """The conversion as plain JSON values, without the contract."""
        return {
            "artifacts": {name: str(path) for name, path in self.artifacts.items()},
            "inputs": list(self.inputs),
            "outputs": list(self.outputs),
            "parity": {name: [asdict(each) for each in results] for name, results in self.parity.items()},
            "rewrites": [asdict(each) for each in self.rewrites],
            "refused": dict(self.refused),
            "notes": list(self.notes),
        }


@dataclass(slots=True, kw_only=True)
class _Draft:
    """What is gathered while targets are tried."""

    artifacts: dict[str, Path] = field(default_factory=dict)
    parity: dict[str, tuple[TensorParity, ...]] = field(default_factory=dict)
    refused: dict[str, ConversionError] = field(default_factory=dict)
    rewrites: dict[tuple[str, str], Rewrite] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    contract: Contract | None = None


def convert_module(
    module: nn.Module | ExportedProgram,
    example_inputs: object,
    out: str | Path,
    targets: Sequence[str] = ("coreml", "onnx"),
    contract: Contract | None = None,
    *,
    precision: str = "float32",
    minimum_deployment_target: str = "iOS17",
    progress: Progress | None = None,
) -> Conversion:
    """The artifacts of a module, each proved equal to it on probes made from the example.

    Args:
        module: in eval mode, on the CPU, and not changed; also a TorchScript module or an exported program.
        example_inputs: a tensor, a tuple of arguments, or a dict of one or of keyword arguments.
        out: a folder; artifacts and contract.json are put there when they are proved.
        targets: `coreml` and `onnx`.
        contract: replaces the inferred one; its function is `main`.
        precision: of the Core ML program: `float32` or `float16`. ONNX is float32.
        minimum_deployment_target: `iOS15` to `iOS18`.
        progress: called with what is being done, how many steps are done, and of how many.

    Raises:
        UsageError: the call makes no sense, or the example does not run.
        Refused: no target is left; op, source line, reason and remedy of the first one.
    """
    unknown = [each for each in targets if each not in _FILES]
    if unknown or not targets:
        raise UsageError(f"targets {list(targets)}: expected some of {', '.join(_FILES)}")
    module = _module(module)
    if module.training:
        raise UsageError(f"{type(module).__name__} is in training mode; call module.eval() first")
    report = progress or _silent
    destination = Path(out)
    _check_destination(destination)
    report("look at the module", 0, len(targets) + 1)
    job = prepare(module, example_inputs, contract)
    options = {"precision": precision, "minimum_deployment_target": minimum_deployment_target}
    destination.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{destination.name}.", dir=destination.parent) as folder:
        draft = _Draft()
        for attempt in job.attempts():
            waiting = [each for each in targets if each not in draft.artifacts]
            _attempt(attempt, waiting, Path(folder), draft, options, report)
            if len(draft.artifacts) == len(targets):
                break
        if not draft.artifacts:
            raise _first(draft.refused, targets)
        return _publish(job, draft, destination, targets)


def _module(model: nn.Module | ExportedProgram) -> nn.Module:
    from pocketrec.convert.load import as_module

    return as_module(model)


def _silent(stage: str, done: int, total: int) -> None:
    pass


def _check_destination(out: Path) -> None:
    if out.exists() and not out.is_dir():
        raise UsageError(f"{out}: a file is there; pass a folder")


def _attempt(
    attempt: Attempt,
    targets: Sequence[str],
    folder: Path,
    draft: _Draft,
    options: Mapping[str, str],
    report: Progress,
) -> None:
    """Every target that this contract can be lowered to and proved on, added to the draft."""
    import torch

    from pocketrec.convert.capture import capture

    tensors = [
        {name: torch.from_numpy(np.array(array)) for name, array in each.inputs.items()}
        for each in attempt.probes
    ]
    try:
        captured = capture(attempt.flat, attempt.contract, "main", tensors)
    except ConversionError as error:
        draft.refused.update({name: draft.refused.get(name, error) for name in targets})
        return
    except UsageError:
        raise
    except Exception as error:
        defect = _defect(error)
        draft.refused.update({name: draft.refused.get(name, defect) for name in targets})
        return
    for count, target in enumerate(targets):
        report(f"convert to {target}", count + 1, len(targets) + 1)
        try:
            path, note, parity = _lower(captured, target, folder, attempt, options)
        except ConversionError as error:
            draft.refused.setdefault(target, error)
            continue
        draft.artifacts[target], draft.parity[target] = path, parity
        draft.refused.pop(target, None)
        draft.contract = draft.contract or attempt.contract
        draft.rewrites.update({(each.name, each.where): each for each in captured.rewrites})
        extra = [f"{target}: {text}" for text in (note, attempt.note) if text]
        draft.notes += [*extra, *(f"assumed: {each}" for each in captured.assumptions)]


def _lower(
    captured: Capture, target: str, folder: Path, attempt: Attempt, options: Mapping[str, str]
) -> tuple[Path, str, tuple[TensorParity, ...]]:
    """The path of a proved artifact, how it was made, and the proof; raises what went wrong first."""
    errors: list[ConversionError] = []
    for note, write in _ways(captured, target, options).items():
        path = folder / f"{len(errors)}-{_FILES[target]}"
        _remove(path)
        try:
            write(path)
            return path, note, prove(path, attempt, target, options["precision"])
        except ConversionError as error:
            errors.append(error)
        except Exception as error:
            errors.append(_defect(error))
    raise errors[0]


def _defect(error: Exception) -> Refused:
    """A refusal for what should not have happened; its cause is kept for `--debug`."""
    line = (str(error).strip().splitlines() or [""])[0]
    refused = Refused(
        op="pocketrec",
        where="",
        reason=f"{type(error).__name__}: {line}",
        remedy="a defect in pocketrec: report it with this module",
    )
    refused.__cause__ = error
    return refused


def _ways(captured: Capture, target: str, options: Mapping[str, str]) -> dict[str, Callable[[Path], object]]:
    """The ways to lower to a target, best first, by what to say of them."""
    from pocketrec.convert.coreml import to_coreml
    from pocketrec.convert.export import asks_numbers
    from pocketrec.convert.onnx import to_onnx

    if target == "onnx":
        return {"": lambda path: to_onnx(captured, path)}
    flexible = tuple(name for name, dim in captured.contract.dims.items() if dim.min < dim.max)

    def by(frontend: str) -> Callable[[Path], object]:
        return lambda path: to_coreml(
            captured,
            path,
            precision=options["precision"],
            minimum_deployment_target=options["minimum_deployment_target"],
            flexible=flexible,
            frontend=frontend,
        )

    ways = {"": by("export"), "lowered from a trace": by("trace")}
    if asks_numbers(captured.program):
        ways.pop("lowered from a trace")  # it would hold the example's numbers for every input
    return ways


def _first(refused: Mapping[str, ConversionError], targets: Sequence[str]) -> ConversionError:
    error = refused[targets[0]]
    return (
        error if isinstance(error, Refused) else Refused(op="convert", where="", reason=str(error), remedy="")
    )


def _publish(job: Job, draft: _Draft, out: Path, targets: Sequence[str]) -> Conversion:
    """The finished conversion, its files moved to `out`."""
    out.mkdir(exist_ok=True)
    artifacts = {}
    for target in targets:
        if target in draft.artifacts:
            artifacts[target] = out / _FILES[target]
            _move(draft.artifacts[target], artifacts[target])
    contract = draft.contract or job.free
    signature = contract.functions["main"]
    result = Conversion(
        artifacts=artifacts,
        inputs=tuple(each.name for each in signature.inputs),
        outputs=tuple(each.name for each in signature.outputs),
        parity=draft.parity,
        rewrites=tuple(draft.rewrites.values()),
        refused={name: str(error) for name, error in draft.refused.items()},
        contract=contract,
        notes=tuple(dict.fromkeys(draft.notes)),
    )
    _write(out / "contract.json", contract.to_dict())
    _write(out / "conversion.json", result.to_dict())
    return result


def _move(path: Path, place: Path) -> None:
    _remove(place)
    path.rename(place)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _write(path: Path, value: Mapping[str, Any]) -> None:
    from pocketrec.report import plain

    path.write_text(json.dumps(plain(value), indent=1, sort_keys=True) + "\n", encoding="utf-8")
