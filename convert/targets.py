"""The table of targets: what a format is called, what runs it, how it is lowered, what it can carry.

A row names what other stages do as `module:attribute`; `pipeline` and `cli` resolve it, so that no
stage has to know another. Nothing else compares a format's name.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from pocketrec.errors import RecipeError
from pocketrec.origin import Told
from pocketrec.recipe import Compress, DeploymentTarget, Precision, Provider, Recipe, Target

if TYPE_CHECKING:
    import torch

    from pocketrec.convert.capture.capture import Capture
    from pocketrec.convert.onnx.dialect import Dialect
    from pocketrec.quantize import QuantizedTensor
    from pocketrec.source.tables import Table

Codes = Mapping[str, "QuantizedTensor"]
Write = Callable[[Path], Told | None]  # what it tells of the artifact that it writes
ALL_DIMS = "*"  # in a target's `flexible`: every dim that the contract leaves free
_LOWEST: DeploymentTarget = "iOS17"  # where nothing asks for a later one
_EVERYWHERE = frozenset({"format", "precision", "flexible"})  # what every format has, or has anyway
_NEWEST = "iOS18"  # which has every compressed form
_NOT_SET = {"minimum_deployment_target": (None, _LOWEST)}  # where it is not the field's default alone


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One format.

    Attributes:
        suffix: of an artifact.
        runtimes: engines that may run it, the portable one first, to `module:function` that opens an
            artifact there: path, and `validate.open`'s Options.
        graph: `module:function` that reads an artifact's graph.
        resolve: a target with its defaults, given its name and what is compressed; RecipeError where
            options do not fit.
        options: the keys of a target that mean something to it.
        ways: how one captured function is written, best first, by what is to be said of it.
        lowered: the program that `ways` begins with.
        lowest: the lowest minimum_deployment_target that carries a tensor; empty where every one does.
        joined: puts artifacts of several functions into one, for targets that ask for it.
        wants_fixed_sizes: whether devices run it better where no size is a range.
        lowers_as: the format whose lowering it shares, so that what that refuses, it refuses too.
        stored: bytes of an artifact for a tensor in a form, given whether rows of it are looked up; where a
            format does not say, those of the codes.
        plain: bytes of an artifact for a tensor of that name and shape as it is.
    """

    suffix: str
    runtimes: Mapping[str, str]
    graph: str
    resolve: Callable[[str, Target, Compress], Target]
    options: frozenset[str]
    ways: Callable[[Capture, Target, Codes, Sequence[Table]], Mapping[str, Write]]
    lowered: Callable[[Capture, Target], torch.export.ExportedProgram]
    lowest: Callable[[QuantizedTensor], str]
    joined: Callable[[Mapping[str, Path], Path], Path] | None = None
    wants_fixed_sizes: bool = False
    lowers_as: str = ""
    stored: Callable[[QuantizedTensor, Target, bool], int] = lambda tensor, target, looked_up: (
        tensor.size_bytes
    )
    plain: Callable[[str, tuple[int, ...], Target], int] = lambda name, shape, target: 4 * prod(shape)

    @property
    def portable(self) -> str:
        """The engine that every machine can have."""
        return next(iter(self.runtimes))

    def asked_by(self, target: Target) -> Row:
        """The row with the engines alone that a target asks for: providers of a browser may be left out."""
        left_out = {f"web-{each}" for each in get_args(Provider) if each not in target.providers}
        runtimes = {name: place for name, place in self.runtimes.items() if name not in left_out}
        return replace(self, runtimes=runtimes) if len(runtimes) < len(self.runtimes) else self


def row_of(name: str, target: Target) -> Row:
    """The row of a target of that name; RecipeError where it names no format."""
    form = target.format or name
    if form not in TARGETS:
        known = " or ".join(f"format = {each!r}" for each in TARGETS)
        came = f"format {form!r}" if target.format else f"{name!r}"
        raise RecipeError(f"targets.{name}: {came} is not a format; add {known}")
    return TARGETS[form].asked_by(target)


def row_of_suffix(suffix: str) -> Row | None:
    """The first row whose artifacts end so; None for a file of another kind."""
    return next((each for each in TARGETS.values() if each.suffix == suffix), None)


def with_others(targets: Mapping[str, Target]) -> list[str]:
    """The targets, and the formats beside them that may take what these refuse."""
    formats = {each.format or name for name, each in targets.items()}
    others = (name for name, row in TARGETS.items() if not {name, row.lowers_as} & formats)
    return [*targets, *others]


def resolve_targets(recipe: Recipe) -> Recipe:
    """The recipe with every target's format and precision; RecipeError where options contradict it."""
    for name, target in recipe.targets.items():
        row_of(name, target)
    if recipe.contract is not None:
        check_flexible(recipe.targets, recipe.contract.dims)
    targets = {name: resolve_target(name, each, recipe.compress) for name, each in recipe.targets.items()}
    return replace(recipe, targets=targets)


def check_flexible(targets: Mapping[str, Target], dims: Collection[str]) -> None:
    """Checks that what targets leave free are dims of the contract; RecipeError names the known ones."""
    for name, target in targets.items():
        for dim in target.flexible:
            if dim != ALL_DIMS and dim not in dims:
                known = ", ".join(dims) or "none"
                raise RecipeError(
                    f"targets.{name}.flexible: {dim!r} is no dim of the contract; known: {known}"
                )


def resolve_target(name: str, target: Target, compress: Compress | None = None) -> Target:
    """The target with its format and every default; RecipeError where options do not fit."""
    row = row_of(name, target)
    resolved = row.resolve(name, target, compress or Compress())
    _check_options(name, resolved, row)
    return replace(resolved, format=target.format or name)


def _check_options(name: str, target: Target, row: Row) -> None:
    """Checks that no key is set that means nothing to the format; one at its default counts as not set."""
    for each in fields(Target):
        stated = getattr(target, each.name)
        if each.name in row.options | _EVERYWHERE or stated in _NOT_SET.get(each.name, (each.default,)):
            continue
        others = " or ".join(repr(form) for form, other in TARGETS.items() if each.name in other.options)
        raise RecipeError(
            f"targets.{name}.{each.name} is {stated!r}; it means nothing to format "
            f"{target.format or name!r}, only to {others}; remove it"
        )


def carries(tensor: QuantizedTensor, target: Target) -> bool:
    """Whether an artifact of the (resolved) target has a form for a compressed tensor."""
    lowest = row_of("", target).lowest(tensor)
    return not lowest or (target.minimum_deployment_target or _LOWEST) >= lowest


def lacks_forms(target: Target) -> bool:
    """Whether artifacts of a higher deployment target hold forms that the (resolved) target's have not."""
    return (target.minimum_deployment_target or _NEWEST) < _NEWEST


def stored_bytes(tensor: QuantizedTensor, target: Target, *, looked_up: bool) -> int:
    """Bytes of a (resolved) target's artifact for a tensor in a form that it carries, graph included.

    Args:
        tensor: in the form.
        target: of the artifact.
        looked_up: whether rows of it are read by ids; else all of it is.
    """
    return row_of("", target).stored(tensor, target, looked_up)


def plain_bytes(name: str, shape: tuple[int, ...], target: Target) -> int:
    """Bytes of a (resolved) target's artifact for a tensor as it is, in the target's precision."""
    return row_of("", target).plain(name, shape, target)


def _onnx_target(name: str, target: Target, compress: Compress) -> Target:
    if target.precision == "float16":
        raise RecipeError(f"targets.{name}.precision is 'float16'; an ONNX target is float32")
    _check_one_function(name, target)
    return replace(
        target, precision="float32", minimum_deployment_target=target.minimum_deployment_target or _LOWEST
    )


def _check_one_function(name: str, target: Target) -> None:
    if target.multifunction:
        raise RecipeError(
            f"targets.{name}.multifunction: several functions in one package need format 'coreml' and "
            f"minimum_deployment_target 'iOS18'; this is {target.format or name!r}, "
            f"{target.minimum_deployment_target!r}"
        )


def _onnx_ways(
    capture: Capture, target: Target, codes: Codes, tables: Sequence[Table]
) -> Mapping[str, Write]:
    return _written(capture, target, codes, tables, _native())


def _web_ways(capture: Capture, target: Target, codes: Codes, tables: Sequence[Table]) -> Mapping[str, Write]:
    return _written(capture, target, codes, tables, _web())


def _native() -> Dialect:
    from pocketrec.convert.onnx.dialect import NATIVE

    return NATIVE


def _web() -> Dialect:
    from pocketrec.convert.onnx.dialect import web_dialect

    return web_dialect()


def _onnx_stored(tensor: QuantizedTensor, looked_up: bool, dialect: Dialect) -> int:
    from pocketrec.convert.onnx.stored import onnx_bytes

    return onnx_bytes(tensor, dialect, looked_up=looked_up)


def _written(
    capture: Capture, target: Target, codes: Codes, tables: Sequence[Table], dialect: Dialect
) -> Mapping[str, Write]:
    from pocketrec.convert.onnx.lower import to_onnx

    def write(path: Path) -> Told:
        told = Told()
        to_onnx(
            capture,
            path,
            opset_version=target.opset_version,
            tensors=codes,
            dialect=dialect if target.contrib_ops else dialect.standard,
            tables=tables,
            told=told,
        )
        return told

    return {"": write}


def _coreml_target(name: str, target: Target, compress: Compress) -> Target:
    default_target: DeploymentTarget = "iOS18" if compress.preset == "int4" else _LOWEST
    target = replace(target, minimum_deployment_target=target.minimum_deployment_target or default_target)
    if target.precision == "float16" and target.minimum_deployment_target == "iOS15":
        raise RecipeError(f"targets.{name}: float16 with float32 scores needs iOS16; use float32 or iOS16")
    if target.minimum_deployment_target != "iOS18":
        _check_one_function(name, target)
    _check_activations(name, target, compress)
    default: Precision = "float32" if target.minimum_deployment_target == "iOS15" else "float16"
    return replace(target, precision=target.precision or default)


def _check_activations(name: str, target: Target, compress: Compress) -> None:
    if compress.activations == "dynamic":
        raise RecipeError(
            f"targets.{name}: compress.activations is 'dynamic', for which Core ML has no op; use 'static', "
            "or a recipe of its own for this target"
        )
    if compress.activations is not None and target.minimum_deployment_target in ("iOS15", "iOS16"):
        raise RecipeError(
            f"targets.{name}.minimum_deployment_target is {target.minimum_deployment_target!r}; "
            f"compress.activations = {compress.activations!r} needs 'iOS17'"
        )


def _coreml_ways(
    capture: Capture, target: Target, codes: Codes, tables: Sequence[Table]
) -> Mapping[str, Write]:
    """The exported program, and where its lowering or its proof fails a trace, which knows other ops."""
    from pocketrec.convert.capture.export import asks_numbers
    from pocketrec.convert.coreml.lower import to_coreml

    def write(path: Path, frontend: str) -> Told:
        told = Told()
        to_coreml(
            capture,
            path,
            precision=target.precision or "float16",
            minimum_deployment_target=target.minimum_deployment_target or _LOWEST,
            flexible=_flexible(capture, target),
            tensors=codes,
            gathered=target.gather_codes,
            tables=tables,
            frontend=frontend,
            told=told,
        )
        return told

    def by(frontend: str) -> Write:
        return partial(write, frontend=frontend)

    if asks_numbers(capture.program) or tables:
        return {"": by("export")}  # a trace would hold the example's numbers for every input, or whole tables
    return {"": by("export"), "lowered from a trace": by("trace")}


def _flexible(capture: Capture, target: Target) -> tuple[str, ...]:
    """The names of the dims that stay ranges."""
    if ALL_DIMS not in target.flexible:
        return target.flexible
    return tuple(name for name, dim in capture.contract.dims.items() if dim.min < dim.max)


def _coreml_program(capture: Capture, target: Target) -> torch.export.ExportedProgram:
    from pocketrec.convert.coreml.lower import program_for

    return program_for(capture, _flexible(capture, target))


def _coreml_lowest(tensor: QuantizedTensor) -> str:
    from pocketrec.convert.coreml.lowest import lowest_target

    return lowest_target(tensor)


def _coreml_stored(tensor: QuantizedTensor, target: Target, looked_up: bool) -> int:
    from pocketrec.convert.coreml.stored import coreml_bytes

    return coreml_bytes(
        tensor,
        precision=target.precision or "float16",
        minimum_deployment_target=target.minimum_deployment_target or _LOWEST,
        looked_up=looked_up,
    )


def _coreml_plain(name: str, shape: tuple[int, ...], target: Target) -> int:
    from pocketrec.convert.coreml.stored import coreml_plain_bytes

    return coreml_plain_bytes(name, shape, precision=target.precision or "float16")


def _coreml_joined(packages: Mapping[str, Path], path: Path) -> Path:
    from pocketrec.convert.coreml.multifunction import to_multifunction

    return to_multifunction(packages, path)


TARGETS: dict[str, Row] = {
    "onnx": Row(
        suffix=".onnx",
        runtimes={"onnxruntime": "pocketrec.validate.open:open_onnx"},
        graph="pocketrec.validate.artifact.onnx:read_onnx",
        resolve=_onnx_target,
        options=frozenset({"opset_version", "contrib_ops"}),
        ways=_onnx_ways,
        lowered=lambda capture, target: capture.program,
        lowest=lambda tensor: "",
        stored=lambda tensor, _, looked_up: _onnx_stored(tensor, looked_up, _native()),
    ),
    "web": Row(
        suffix=".onnx",
        runtimes={
            "onnxruntime": "pocketrec.validate.open:open_onnx",
            "web-wasm": "pocketrec.validate.open:open_web_wasm",
            "web-webgpu": "pocketrec.validate.open:open_web_webgpu",
        },
        graph="pocketrec.validate.artifact.onnx:read_onnx",
        resolve=_onnx_target,
        options=frozenset({"opset_version", "contrib_ops", "providers"}),
        ways=_web_ways,
        lowered=lambda capture, target: capture.program,
        lowest=lambda tensor: "",
        stored=lambda tensor, _, looked_up: _onnx_stored(tensor, looked_up, _web()),
        lowers_as="onnx",
    ),
    "coreml": Row(
        suffix=".mlpackage",
        runtimes={
            "coreml-interpreter": "pocketrec.validate.open:open_interpreter",
            "coreml-framework": "pocketrec.validate.open:open_framework",
        },
        graph="pocketrec.validate.artifact.coreml:read_core_ml",
        resolve=_coreml_target,
        options=frozenset(
            {
                "precision",
                "minimum_deployment_target",
                "compute_units",
                "gather_codes",
                "flexible",
                "multifunction",
            }
        ),
        ways=_coreml_ways,
        lowered=_coreml_program,
        lowest=_coreml_lowest,
        stored=_coreml_stored,
        plain=_coreml_plain,
        joined=_coreml_joined,
        wants_fixed_sizes=True,
    ),
}
