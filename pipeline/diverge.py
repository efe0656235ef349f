"""Where a bundle's artifact, or one of two artifacts, began to compute something else.

Knows all the stages, as the pipeline does: `convert` gives the captured program whose every value is
the reference, `validate` runs parts of the artifact, `package` gives the bundle and its golden vectors.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np

from pocketrec.contract import Contract
from pocketrec.convert.targets import row_of
from pocketrec.errors import RecipeError, UsageError
from pocketrec.foreign import generators_kept
from pocketrec.package.bundle import RECIPE, Bundle, read_bundle
from pocketrec.package.golden import Vector, read_golden
from pocketrec.package.manifest import read_json
from pocketrec.pipeline.attempts import Tried, capture_function
from pocketrec.pipeline.plans import recipe_planner
from pocketrec.pipeline.recipes import load_recipe
from pocketrec.pipeline.references import torch_runtimes
from pocketrec.pipeline.road import Journey, compressed_trials
from pocketrec.pipeline.sources import load_source, load_source_model
from pocketrec.pipeline.told import OURS, Known, with_origins
from pocketrec.places import exits_told
from pocketrec.progress import Progress, silent
from pocketrec.recipe import Compress, Recipe, Target
from pocketrec.source.model import Model, Trial
from pocketrec.source.streamed import Stubbed
from pocketrec.validate.artifact.divergence import FLOAT16_TOLERANCE, Comparison, difference, find_divergence
from pocketrec.validate.artifact.graph import Graph
from pocketrec.validate.open import open_artifact, open_graph
from pocketrec.validate.runtimes.fit import fit_inputs
from pocketrec.validate.runtimes.runtime import Array, check_inputs

if TYPE_CHECKING:
    import torch

    from pocketrec.convert.capture.capture import Capture

Inputs = Mapping[str, Array]
# PyTorch on another machine adds in another order.
_SAME_MODEL = 1e-3
# The engines whose programs can be looked into.
_ENGINES = {".onnx": "onnxruntime", ".mlpackage": "coreml-interpreter", ".mlmodel": "coreml-interpreter"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """One artifact, examined.

    Attributes:
        artifact: its path.
        target: as in the bundle; empty for two artifacts.
        function: as in the contract.
        reference: what it was compared with.
        inputs: which inputs showed what is reported.
        comparison: what was found; of several inputs the first that diverges, else the worst.
        source_text: the source line of the diverging op, where the source is at hand.
        unknown: why tensors have no origins, in words; else empty.
    """

    artifact: Path
    target: str
    function: str
    reference: str
    inputs: str
    comparison: Comparison
    source_text: str = ""
    unknown: str = ""


@exits_told()
@generators_kept()
def diverge_bundle(
    path: Path,
    recipe: Path,
    *,
    target: str | None = None,
    function: str | None = None,
    inputs: Inputs | None = None,
    tolerance: float | None = None,
    progress: Progress | None = None,
) -> tuple[Examined, ...]:
    """Every artifact of the bundle against PyTorch, op by op.

    Args:
        path: the bundle.
        recipe: the recipe.toml that it was built from; its model is the reference.
        target: one target of the bundle; all by default.
        function: one function of the contract; all by default.
        inputs: what to compare on; by default the golden vectors, one after the other.
        tolerance: as in `find_divergence`.
        progress: called with what is being done, how many artifacts are done, and of how many.

    Raises:
        UsageError: a target or function that is not there, or another recipe than the bundle's.
    """
    bundle = read_bundle(path)
    contract = read_json(path, "contract.json", Contract)
    built = read_json(path, RECIPE, Recipe)
    places = _places(bundle, target, function)
    report, found = progress or silent, list[Examined]()
    captures: dict[str, Capture] = {}
    programs: dict[object, torch.export.ExportedProgram] = {}
    with TemporaryDirectory(prefix="pocketrec-") as values:
        trial = _load(recipe, contract, built.compress, Path(values), _kept(path))
        for count, (each, name) in enumerate(places):
            report(f"compare {each}/{name} with PyTorch", count, len(places))
            vectors, aim = read_golden(bundle, name), built.targets[each]
            if name not in captures:
                captures[name] = _capture(trial, name, vectors)
            kind = name, aim.format, aim.flexible
            if kind not in programs:
                programs[kind] = _program(captures[name], aim)
            given = (
                {vector.name: vector.inputs for vector in vectors} if inputs is None else {"given": inputs}
            )
            artifact = bundle.artifact(each, name)
            found.append(_against_torch(artifact, captures[name], programs[kind], each, given, tolerance))
    return tuple(found)


def diverge_artifacts(
    reference: Path,
    artifact: Path,
    *,
    inputs: Inputs,
    function: str | None = None,
    tolerance: float | None = None,
) -> Examined:
    """`artifact` against `reference`, on the same inputs.

    Tensors are partners where they come from the same PyTorch op; where that is not known of one of the
    two, where they have the same name, which says something in two artifacts of one graph alone.
    """
    found = [_known(each, function) for each in (reference, artifact)]
    one, two = (each.graph for each in found)
    for graph in (one, two):
        check_inputs(graph.inputs, inputs, where=graph.name)
    if tolerance is None and one.is_narrow:
        tolerance = FLOAT16_TOLERANCE
    values: dict[str, Array] = {}

    def value(name: str) -> Array:
        if name not in values:
            values.update(one.evaluate([name], inputs))
        return values[name]

    comparison = find_divergence(two, value, _partners(two, one), inputs, tolerance=tolerance)
    return Examined(
        artifact=artifact,
        target="",
        function=function or "main",
        reference=str(reference),
        inputs="given",
        comparison=comparison,
        unknown="; ".join(each.unknown for each in found if each.unknown),
    )


def _known(artifact: Path, function: str | None) -> Known:
    whole = open_graph(artifact)
    graph = whole.only(function)
    return with_origins(
        graph, artifact, function or whole.metadata.get("pocketrec.function") or graph.functions[0]
    )


def _places(bundle: Bundle, target: str | None, function: str | None) -> list[tuple[str, str]]:
    artifacts = bundle.manifest.artifacts
    places = [
        (each, name)
        for each, functions in sorted(artifacts.items())
        for name in sorted(functions)
        if target in (None, each) and function in (None, name)
    ]
    if not places:
        known = ", ".join(f"{each}/{name}" for each, functions in artifacts.items() for name in functions)
        wanted = f"{target or 'any target'}/{function or 'any function'}"
        raise UsageError(f"{bundle.path}: no artifact {wanted}; expected one of {known}")
    return places


def _kept(path: Path) -> Path | None:
    """The folder in which the build of a bundle kept how codes were distilled; None where it is gone."""
    name = path.absolute().name.removesuffix(".failed")  # of a build whose gates failed it is the same
    folder = path.absolute().with_name(f"{name}.search")
    return folder if folder.is_dir() else None


def _load(path: Path, contract: Contract, built: Compress, folder: Path, kept: Path | None) -> Trial:
    """The recipe's model as the bundle's plan leaves it; UsageError where contracts differ.

    What a large compressed table stands for is written to `folder`, and mapped; codes that were distilled
    are those of `kept`.
    """
    recipe = replace(load_recipe(path), compress=built)
    if not built.active:
        model = load_source_model(recipe, path.parent, folder)
        trial = Trial(model=model, captured=model.contract)
    else:
        loaded = load_source(recipe, path.parent, folder)
        planned = recipe_planner(loaded, recipe.targets, path, None, silent)(Tried(loaded.trials))
        journey = Journey(
            targets=recipe.targets, gates=recipe.gates, folder=folder, compress=built, kept=kept
        )
        trial = next(iter(compressed_trials(loaded.trials, planned, journey).trials))
    if trial.model.contract.sha256() != contract.sha256():
        raise UsageError(f"{path}: its contract is not the bundle's; pass the recipe that built the bundle")
    return trial


def _capture(trial: Trial, function: str, vectors: tuple[Vector, ...]) -> Capture:
    """The function captured on the golden vectors, whose values are those of large tables, too."""
    _check_model(trial.model, function, vectors)
    held = replace(trial, model=replace(trial.model, core=Stubbed(lowered=trial.model.module)))
    return capture_function(held, function, [each.inputs for each in vectors])


def _check_model(model: Model, function: str, vectors: tuple[Vector, ...]) -> None:
    """Checks that the module still gives the golden vectors' outputs."""
    runtime = torch_runtimes(model.module, model.contract)[function]
    for vector in vectors:
        for name, value in runtime.run(vector.inputs).items():
            if difference(value, vector.outputs[name])[1] > _SAME_MODEL:
                raise RecipeError(
                    f"function {function}: the recipe's model gives another {name} than the bundle's golden "
                    "vectors; its weights or code have changed since the build"
                )


def _against_torch(
    artifact: Path,
    captured: Capture,
    program: torch.export.ExportedProgram,
    name: str,
    given: Mapping[str, Inputs],
    tolerance: float | None,
) -> Examined:
    from pocketrec.convert.capture.origins import source_texts

    known = _known(artifact, captured.name)
    worst: tuple[str, Comparison] | None = None
    for label, chunk in _calls(artifact, captured, given):
        comparison = _compare(known.graph, program, captured, chunk, tolerance)
        if worst is None or _badness(comparison) > _badness(worst[1]):
            worst = (label, comparison)
        if comparison.divergence is not None:
            break
    assert worst is not None
    origin = worst[1].divergence.origin if worst[1].divergence is not None else None
    return Examined(
        artifact=artifact,
        target=name,
        function=captured.name,
        reference="PyTorch",
        inputs=worst[0],
        comparison=worst[1],
        source_text=source_texts(program).get(origin.source, "") if origin is not None else "",
        unknown=known.unknown,
    )


def _program(captured: Capture, target: Target) -> torch.export.ExportedProgram:
    """The program that was lowered to the target."""
    return row_of("", target).lowered(captured, target)


def _calls(
    artifact: Path, captured: Capture, given: Mapping[str, Inputs]
) -> Iterator[tuple[str, dict[str, Array]]]:
    """The inputs as the artifact takes them, with a label for each."""
    with open_artifact(artifact, _ENGINES[artifact.suffix], function=captured.name) as runtime:
        specs = runtime.describe().inputs
        for label, inputs in given.items():
            fitted = fit_inputs(runtime, captured.contract, captured.signature, inputs)
            for number, (chunk, _) in enumerate(fitted):
                check_inputs(specs, chunk, where=artifact.name)
                yield (label if len(fitted) == 1 else f"{label}, part {number}"), chunk


def _compare(
    graph: Graph,
    program: torch.export.ExportedProgram,
    captured: Capture,
    chunk: Inputs,
    tolerance: float | None,
) -> Comparison:
    import torch

    from pocketrec.convert.capture.origins import node_origins, node_values, output_names

    signature = captured.signature
    values = node_values(program, [torch.from_numpy(np.array(chunk[each.name])) for each in signature.inputs])
    by_key = {origin.key: name for name, origin in node_origins(program).items() if name in values}
    partners = {
        name: by_key[origin.key]
        for name, origin in graph.origins.items()
        if origin.exact and origin.key in by_key
    }
    partners |= dict(zip((each.name for each in signature.outputs), output_names(program), strict=True))
    return find_divergence(graph, values.__getitem__, partners, chunk, tolerance=tolerance)


def _badness(comparison: Comparison) -> float:
    return max((each.relative_error or 0.0 for each in comparison.outputs), default=0.0)


def _partners(artifact: Graph, reference: Graph) -> dict[str, str]:
    """The artifact's tensors to the reference's of the same meaning."""
    shared = {name: name for name in artifact.results if name in reference.results}
    if not shared:
        raise UsageError(f"{artifact.name} and {reference.name} share no output; pass two forms of one model")
    if artifact.origins and reference.origins:
        by_key = {origin.key: name for name, origin in reference.origins.items() if origin.exact}
        same = {name: by_key.get(each.key) for name, each in artifact.origins.items() if each.exact}
        return {name: each for name, each in same.items() if each is not None} | shared
    made = [[op.outputs for op in each.calls] for each in (artifact, reference)]
    if OURS in {**artifact.metadata, **reference.metadata} and made[0] != made[1]:
        return shared  # names are numbers, and mean the same in two forms of one graph alone
    there = {name for op in reference.calls for name in op.outputs}
    return {name: name for op in artifact.calls for name in op.outputs if name in there} | shared
