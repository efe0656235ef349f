"""The quick way in: any module with example inputs, on the same road as a recipe, to a folder.

module, example ─▶ trials: contract and probes ─▶ the road ─▶ artifacts, each equal to the module
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pocketrec.about import About
from pocketrec.contract import Contract
from pocketrec.convert.example.attempts import example_trials
from pocketrec.convert.targets import TARGETS, resolve_target, with_others
from pocketrec.errors import ConversionError, Derived, Refused, UsageError
from pocketrec.foreign import generators_kept
from pocketrec.pipeline.audit import audit
from pocketrec.pipeline.plans import example_planner
from pocketrec.pipeline.publish import place_of, publish_conversion
from pocketrec.pipeline.refusal import differs
from pocketrec.pipeline.remedies import without_circles
from pocketrec.pipeline.road import Built, Journey, road
from pocketrec.pipeline.ways import Delivered
from pocketrec.places import exits_told
from pocketrec.progress import Progress, silent
from pocketrec.recipe import STREAM_MB, Compress, Gates, Target
from pocketrec.report import CompressedTensor, TensorParity

if TYPE_CHECKING:
    from torch import nn
    from torch.export import ExportedProgram

    from pocketrec.convert.rewrite import Rewrite
    from pocketrec.quantize import Plan
    from pocketrec.validate.evidence import Reference

# An example has no evaluation data, so quality is not gated; whether the numbers are the same always is.
_GATES = Gates(max_ndcg_drop=None, min_top_k_overlap=None, max_auc_drop=None, max_log_loss_rise=None)


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
    targets: Sequence[str] | Mapping[str, Target] = ("coreml", "onnx"),
    contract: Contract | None = None,
    *,
    precision: str = "float32",
    minimum_deployment_target: str = "iOS17",
    compress: str | Plan | Compress | None = None,
    stream_mb: float = STREAM_MB,
    about: About | None = None,
    progress: Progress | None = None,
) -> Conversion:
    """The artifacts of a module, each proved equal to it on probes made from the example.

    Args:
        module: in eval mode, on the CPU, and not changed; also a TorchScript module or an exported program.
        example_inputs: a tensor, a tuple of arguments, or a dict of one or of keyword arguments; for a
            contract of several functions a dict of one for each.
        out: a folder; artifacts and contract.json are put there when they are proved.
        targets: some of `coreml`, `onnx` and `web`, or targets with all options that a recipe has for
            them, by name.
        contract: replaces the inferred one.
        precision: of the Core ML program where `targets` are names: `float32` or `float16`.
        minimum_deployment_target: likewise, `iOS15` to `iOS18`.
        compress: `int8`, `int4`, which tensors are compressed how, or what a recipe has under [compress].
            The artifacts equal the module with the compressed values; `loss` says how far that is from
            the module itself. A search, as by `smallest-neutral`, measures plans on evaluation data: it needs
            a recipe, which may draft its contract from the same example.
        stream_mb: float32 tables of so many 10^6 bytes go through files and are not held twice; 0 keeps all.
        about: what a Core ML package says of the model to people; a recipe's is made of its own keys.
        progress: called with what is being done, how many steps are done, and of how many.

    Raises:
        UsageError: the call makes no sense, or the example does not run.
        Refused: no target is left; op, source line, reason and remedy of the first one.
    """
    from pocketrec.package.publish import workspace
    from pocketrec.source.saved import as_module
    from pocketrec.source.weights import check_numbers

    chosen = _targets(targets, precision, minimum_deployment_target)
    module = as_module(module)
    if getattr(module, "training", False):  # what TorchScript has frozen no longer says
        raise UsageError(f"{type(module).__name__} is in training mode; call module.eval() first")
    check_numbers(module, type(module).__name__)
    report = progress or silent
    destination = Path(out)
    if destination.exists() and not destination.is_dir():
        raise UsageError(f"{destination}: a file is there; pass a folder")
    with workspace(destination) as folder:
        report("look at the module", 0, len(chosen) + 1)
        trials = example_trials(
            module,
            example_inputs,
            contract,
            in_float32=compress is not None,
            folder=folder,
            stream_bytes=int(stream_mb * 1e6),
        )
        trials = replace(trials, about=about or About())
        asked = compress if isinstance(compress, Compress) else Compress()
        journey = Journey(
            targets=chosen,
            gates=_GATES,
            folder=folder,
            compress=asked,
            report=report,
            names={"main": "model"},
        )
        built = road(trials, journey, None if compress is None else example_planner(compress))
        delivered, refused = _proved(built, chosen)
        if not delivered:
            raise _first(refused, list(chosen))
        places = {
            target: {
                name: place_of(destination, target, chosen[target].format or target, path)
                for name, path in each.artifacts.items()
            }
            for target, each in delivered.items()
        }
        result = _result(replace(built, delivered=delivered), refused, places)
        publish_conversion(result.to_dict(), result.contract, delivered, places, destination)
        return result


def _targets(
    targets: Sequence[str] | Mapping[str, Target], precision: str, minimum_deployment_target: str
) -> dict[str, Target]:
    if isinstance(targets, Mapping):
        asked = dict(targets)
    else:
        unknown = [each for each in targets if each not in TARGETS]
        if unknown or not targets:
            raise UsageError(f"targets {list(targets)}: expected some of {', '.join(TARGETS)}")
        asked = {name: _named(name, precision, minimum_deployment_target) for name in targets}
    return {name: resolve_target(name, each) for name, each in asked.items()}


def _named(name: str, precision: str, minimum_deployment_target: str) -> Target:
    """A target by its name alone: a batch that is free stays free."""
    from pocketrec.schema import from_table

    options = {
        key: value
        for key, value in (
            ("precision", precision),
            ("minimum_deployment_target", minimum_deployment_target),
        )
        if key in TARGETS[name].options
    }
    return from_table(Target, {"flexible": ["*"], **options}, source=f"convert to {name}")


def _proved(
    built: Built, chosen: Mapping[str, Target]
) -> tuple[dict[str, Delivered], dict[str, ConversionError]]:
    """What equals the module, and why the rest does not."""
    refused = dict(built.refused)
    for name, each in built.delivered.items():
        if not each.holds:
            refused[name] = differs(name, each)
    held = {name: each for name, each in built.delivered.items() if each.holds}
    return held, without_circles(refused, held, with_others(chosen))


def _first(refused: Mapping[str, ConversionError], targets: Sequence[str]) -> ConversionError:
    derived = [each for each in refused.values() if isinstance(each, Derived)]
    error = derived[0] if derived else refused[targets[0]]
    if isinstance(error, Refused | Derived):
        return error
    return Refused(op="convert", where="", reason=str(error), remedy="")


def _result(
    built: Built, refused: Mapping[str, ConversionError], places: Mapping[str, Mapping[str, Path]]
) -> Conversion:
    """The conversion, as if its files were in their places already; `built` has what was proved."""
    delivered = built.delivered
    attempt = next(iter(delivered.values())).attempt
    contract = attempt.trial.model.contract
    signatures = contract.functions.values()
    rewrites = {(each.name, each.where): each for _, each in built.rewrites}
    return Conversion(
        artifacts=_by_key(places, contract),
        inputs=tuple(each.name for signature in signatures for each in signature.inputs),
        outputs=tuple(each.name for signature in signatures for each in signature.outputs),
        parity={name: each.results[0].parity for name, each in delivered.items()},
        far={
            name: {"compared": each.far.compared, "left_out": dict(each.far.left_out)}
            for name, each in delivered.items()
        },
        rewrites=tuple(rewrites.values()),
        refused={name: str(error) for name, error in refused.items()},
        contract=contract,
        notes=tuple(dict.fromkeys((*built.notes, *built.remarks))),
        compression=(
            () if built.compressed is None else audit(built.compressed.compression, attempt.captures)
        ),
        loss=() if built.compressed is None else _loss(built, attempt.reference),
    )


def _by_key(places: Mapping[str, Mapping[str, Path]], contract: Contract) -> dict[str, Path]:
    """Target to artifact; `target/function` where there are several functions."""
    several = len(contract.functions) > 1
    return {
        f"{name}/{function}" if several else name: path
        for name, each in places.items()
        for function, path in each.items()
    }


def _loss(built: Built, reference: Reference) -> tuple[TensorParity, ...]:
    """What compression costs: the compressed model's outputs against the original's, per output."""
    from pocketrec.validate.measure.parity import check_parity

    found: list[TensorParity] = []
    for name, probes in reference.probes.items():
        found += check_parity(
            [built.original.runtimes[name].run(each.inputs) for each in probes],
            reference.outputs[name],
            [each.name for each in probes],
            reference.contract.functions[name],
            function=name,
            tie_tolerance=_GATES.tie_tolerance,
        )
    return tuple(found)
