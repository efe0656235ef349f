"""The quick way in: any module with example inputs, converted and proved, or refused with the reason.

flatten ─▶ shapes, survey ─▶ contract ─▶ capture ─▶ lower ─▶ parity on probes made from the example
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pocketrec.contract import Contract
from pocketrec.convert.example.attempts import Job, prepare
from pocketrec.errors import Derived, Refused, UsageError
from pocketrec.example_compression import compress_example, loss_of
from pocketrec.foreign import generators_kept
from pocketrec.pipeline.compression import (
    Compression,
    audit,
    constant_notes,
    left_out_notes,
)
from pocketrec.pipeline.road import (
    FILES,
    Draft,
    Options,
    Progress,
    convert_targets,
    remove,
)
from pocketrec.places import exits_told
from pocketrec.proof import prove_example
from pocketrec.report import CompressedTensor, TensorParity

if TYPE_CHECKING:
    from torch import nn
    from torch.export import ExportedProgram

    from pocketrec.convert.rewrite import Rewrite
    from pocketrec.quantize import Plan


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversion:
    """What a conversion leaves behind.

    Attributes:
        artifacts: target to the path of its artifact; every one of them equals the module on the probes.
        inputs: names in the artifacts, in the order of the flattened example inputs.
        outputs: names in the artifacts, in the order of the module's flattened outputs.
        parity: target to one result per output, over all probes near the example.
        far: target to how many probes far from the example were `compared`, and why others were `left_out`.
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
    far: Mapping[str, Mapping[str, Any]]
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
            "far": {name: dict(each) for name, each in self.far.items()},
            "refused": dict(self.refused),
            "notes": list(self.notes),
            "compression": [asdict(each) for each in self.compression],
            "loss": [asdict(each) for each in self.loss],
        }


@exits_told()
@generators_kept()
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
    unknown = [each for each in targets if each not in FILES]
    if unknown or not targets:
        raise UsageError(f"targets {list(targets)}: expected some of {', '.join(FILES)}")
    module = _module(module)
    if module.training:
        raise UsageError(f"{type(module).__name__} is in training mode; call module.eval() first")
    _check_numbers(module)
    report = progress or _silent
    destination = Path(out)
    _check_destination(destination)
    report("look at the module", 0, len(targets) + 1)
    from pocketrec.package.publish import workspace

    job = prepare(module, example_inputs, contract, in_float32=compress is not None)
    options = Options(precision=precision, minimum_deployment_target=minimum_deployment_target, codes={})
    with workspace(destination) as folder:
        if compress is None:
            draft = convert_targets(job, targets, folder, options, report)
            result = _result(job, draft, destination, targets)
        else:

            def converted(compression: Compression) -> Draft:
                compressed = prepare(compression.module, example_inputs, contract)
                coded = replace(options, codes=compression.codes)
                return convert_targets(compressed, targets, folder, coded, report)

            compression, draft = _compress(job, compress, converted)
            result = _result(job, draft, destination, targets)
            result = _with_loss(result, job, compression, draft)
        _publish(result, draft, precision)
        return result


def _compress(
    job: Job, asked: str | Plan, converted: Callable[[Compression], Draft]
) -> tuple[Compression, Draft]:
    """What was compressed and its artifacts; a preset leaves out what a graph holds only folded."""
    left_out: list[str] = []
    while True:
        compression, notes = compress_example(job, asked, left_out)
        draft = converted(compression)
        derived = [each for each in draft.refused.values() if isinstance(each, Derived)]
        names = {name for each in derived for name in each.names}
        if derived and (not isinstance(asked, str) or not names - set(left_out)):
            if draft.artifacts:
                break
            raise derived[0]
        if not derived:
            break
        left_out += sorted(names)
    said = [*notes, *left_out_notes(left_out)]
    if draft.captured is not None:
        said += constant_notes(compression.module, {"main": draft.captured})
    draft.notes = [*said, *draft.notes]
    return compression, draft


def _with_loss(result: Conversion, original: Job, compression: Compression, draft: Draft) -> Conversion:
    assert draft.attempt is not None
    assert draft.captured is not None
    return replace(
        result,
        compression=audit(compression, {"main": draft.captured}),
        loss=loss_of(original, draft.attempt),
    )


def _module(model: nn.Module | ExportedProgram) -> nn.Module:
    from pocketrec.source.saved import as_module

    return as_module(model)


def _check_numbers(module: nn.Module) -> None:
    from pocketrec.source.weights import check_numbers

    check_numbers(module, type(module).__name__)


def _silent(stage: str, done: int, total: int) -> None:
    pass


def _check_destination(out: Path) -> None:
    if out.exists() and not out.is_dir():
        raise UsageError(f"{out}: a file is there; pass a folder")


def _result(job: Job, draft: Draft, out: Path, targets: Sequence[str]) -> Conversion:
    """The conversion, as if its files were in `out` already."""
    contract = draft.attempt.contract if draft.attempt is not None else job.free
    signature = contract.functions["main"]
    return Conversion(
        artifacts={target: out / FILES[target] for target in targets if target in draft.artifacts},
        inputs=tuple(each.name for each in signature.inputs),
        outputs=tuple(each.name for each in signature.outputs),
        parity=draft.parity,
        far=draft.far,
        rewrites=tuple(draft.rewrites.values()),
        refused={name: str(error) for name, error in draft.refused.items()},
        contract=contract,
        notes=tuple(dict.fromkeys(draft.notes)),
    )


def _publish(result: Conversion, draft: Draft, precision: str) -> None:
    """Puts the artifacts in their places, proves them once more there, and writes what is to be known."""
    assert draft.attempt is not None
    for target, place in result.artifacts.items():
        _move(draft.artifacts[target], place)
        try:
            prove_example(place, draft.attempt, target, precision)
        except Refused:
            remove(place)
            raise
    out = next(iter(result.artifacts.values())).parent
    _write(out / "contract.json", result.contract.to_dict())
    _write(out / "conversion.json", result.to_dict())


def _move(path: Path, place: Path) -> None:
    """Moves the artifact to its place, with all files beside it, which it refers to by their names."""
    place.parent.mkdir(exist_ok=True)
    remove(place)
    remove(place.with_name(f"{place.name}.data"))  # of an older artifact, which this one may not need
    for each in path.parent.iterdir():
        each.rename(place.with_name(each.name))


def _write(path: Path, value: Mapping[str, Any]) -> None:
    from pocketrec.report import plain

    path.write_text(json.dumps(plain(value), indent=1, sort_keys=True) + "\n", encoding="utf-8")
