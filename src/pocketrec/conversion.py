"""The quick way in: any module with example inputs, converted and proved, or refused with the reason.

flatten ─▶ shapes, survey ─▶ contract ─▶ capture ─▶ lower ─▶ parity on probes made from the example
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pocketrec.attempts import Attempt, Job, prepare
from pocketrec.compression import Compression, audit
from pocketrec.contract import Contract
from pocketrec.errors import ConversionError, Refused, UsageError
from pocketrec.example_compression import capture_attempt, compress_example, loss_of
from pocketrec.proof import prove
from pocketrec.report import CompressedTensor, TensorParity

if TYPE_CHECKING:
    from torch import nn
    from torch.export import ExportedProgram

    from pocketrec.convert.capture import Capture
    from pocketrec.convert.rewrite import Rewrite
    from pocketrec.quantize import Plan, QuantizedTensor

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
        compression: every tensor as asked and as done, where compression was asked for.
        loss: what compression costs: the compressed module against the module itself, per output, over
            all probes; the other error, artifacts against the compressed module, is `parity`.
    """

    artifacts: Mapping[str, Path]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    parity: Mapping[str, tuple[TensorParity, ...]]
    rewrites: tuple[Rewrite, ...]
    refused: Mapping[str, str]
    contract: Contract
    notes: tuple[str, ...]
    compression: tuple[CompressedTensor, ...] = ()
    loss: tuple[TensorParity, ...] = ()

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
            "compression": [asdict(each) for each in self.compression],
            "loss": [asdict(each) for each in self.loss],
        }


@dataclass(slots=True, kw_only=True)
class _Draft:
    """What is gathered while targets are tried."""

    artifacts: dict[str, Path] = field(default_factory=dict)
    parity: dict[str, tuple[TensorParity, ...]] = field(default_factory=dict)
    refused: dict[str, ConversionError] = field(default_factory=dict)
    rewrites: dict[tuple[str, str], Rewrite] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    attempt: Attempt | None = None
    captured: Capture | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Options:
    """How to lower."""

    precision: str
    minimum_deployment_target: str
    codes: Mapping[str, QuantizedTensor]


def convert_module(
    module: nn.Module | ExportedProgram,
    example_inputs: object,
    out: str | Path,
    targets: Sequence[str] = ("coreml", "onnx"),
    contract: Contract | None = None,
    *,
    precision: str = "float32",
    minimum_deployment_target: str = "iOS17",
    compress: str | Plan | None = None,
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
        compress: `int8`, `int4`, or which tensors are compressed how. The artifacts equal the module with
            the compressed values; `loss` says how far that is from the module itself.
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
    job = original = prepare(module, example_inputs, contract)
    compression: Compression | None = None
    notes: tuple[str, ...] = ()
    if compress is not None:
        compression, notes = compress_example(job, compress)
        job = prepare(compression.module, example_inputs, contract)
    options = _Options(
        precision=precision,
        minimum_deployment_target=minimum_deployment_target,
        codes={} if compression is None else compression.codes,
    )
    destination.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{destination.name}.", dir=destination.parent) as folder:
        draft = _Draft(notes=list(notes))
        for attempt in job.attempts():
            waiting = [each for each in targets if each not in draft.artifacts]
            _attempt(attempt, waiting, Path(folder), draft, options, report)
            if len(draft.artifacts) == len(targets):
                break
        if not draft.artifacts:
            raise _first(draft.refused, targets)
        result = _result(job, draft, destination, targets)
        if compression is not None and draft.attempt is not None and draft.captured is not None:
            result = replace(
                result,
                compression=audit(compression, {"main": draft.captured}),
                loss=loss_of(original, draft.attempt),
            )
        _publish(result, draft)
        return result


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
    options: _Options,
    report: Progress,
) -> None:
    """Every target that this contract can be lowered to and proved on, added to the draft."""
    try:
        captured = capture_attempt(attempt)
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
        draft.attempt = draft.attempt or attempt
        draft.captured = draft.captured or captured
        draft.rewrites.update({(each.name, each.where): each for each in captured.rewrites})
        extra = [f"{target}: {text}" for text in (note, attempt.note) if text]
        draft.notes += [*extra, *(f"assumed: {each}" for each in captured.assumptions)]


def _lower(
    captured: Capture, target: str, folder: Path, attempt: Attempt, options: _Options
) -> tuple[Path, str, tuple[TensorParity, ...]]:
    """The path of a proved artifact, how it was made, and the proof; raises what went wrong first."""
    errors: list[ConversionError] = []
    for note, write in _ways(captured, target, options).items():
        path = folder / f"{len(errors)}-{_FILES[target]}"
        _remove(path)
        try:
            write(path)
            return path, note, prove(path, attempt, target, options.precision)
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


def _ways(captured: Capture, target: str, options: _Options) -> dict[str, Callable[[Path], object]]:
    """The ways to lower to a target, best first, by what to say of them."""
    from pocketrec.convert.coreml import to_coreml
    from pocketrec.convert.export import asks_numbers
    from pocketrec.convert.onnx import to_onnx

    if target == "onnx":
        return {"": lambda path: to_onnx(captured, path, tensors=options.codes)}
    flexible = tuple(name for name, dim in captured.contract.dims.items() if dim.min < dim.max)

    def by(frontend: str) -> Callable[[Path], object]:
        return lambda path: to_coreml(
            captured,
            path,
            precision=options.precision,
            minimum_deployment_target=options.minimum_deployment_target,
            flexible=flexible,
            tensors=options.codes,
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


def _result(job: Job, draft: _Draft, out: Path, targets: Sequence[str]) -> Conversion:
    """The conversion, as if its files were in `out` already."""
    contract = draft.attempt.contract if draft.attempt is not None else job.free
    signature = contract.functions["main"]
    return Conversion(
        artifacts={target: out / _FILES[target] for target in targets if target in draft.artifacts},
        inputs=tuple(each.name for each in signature.inputs),
        outputs=tuple(each.name for each in signature.outputs),
        parity=draft.parity,
        rewrites=tuple(draft.rewrites.values()),
        refused={name: str(error) for name, error in draft.refused.items()},
        contract=contract,
        notes=tuple(dict.fromkeys(draft.notes)),
    )


def _publish(result: Conversion, draft: _Draft) -> None:
    """Nothing; the artifacts are in their places, and what is to be known of them beside them."""
    for target, place in result.artifacts.items():
        place.parent.mkdir(exist_ok=True)
        _move(draft.artifacts[target], place)
    out = next(iter(result.artifacts.values())).parent
    _write(out / "contract.json", result.contract.to_dict())
    _write(out / "conversion.json", result.to_dict())


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
