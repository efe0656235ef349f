"""The whole road as one function: recipe in, proven bundle out.

    source ─▶ compress ─▶ capture, rewrite ─▶ lower per target ─▶ examine per runtime ─▶ gates ─▶ bundle

The only module, besides the command line, that knows all the stages.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from shutil import rmtree
from typing import TYPE_CHECKING

import numpy as np

from pocketrec.compression import (
    Compression,
    audit,
    check_gathered_names,
    check_loss,
    compress_module,
    explicit_plan,
    tensors_read,
)
from pocketrec.contents import write_contents
from pocketrec.contract import Contract, Vocabulary
from pocketrec.errors import DataError, RecipeError
from pocketrec.evaluation import ClassificationData, EvaluationData, RankingData
from pocketrec.factory import call_factory, load_vocabulary
from pocketrec.recipe import RUNTIMES, Compress, Recipe, Target, load_recipe, resolve_contract
from pocketrec.report import COMPRESSED, ArtifactSize, Evidence, PlanPoint, RewriteResult

if TYPE_CHECKING:
    from torch import nn

    from pocketrec.convert.capture import Capture
    from pocketrec.planning import Workers
    from pocketrec.quantize import Plan, QuantizedTensor
    from pocketrec.validate.evidence import Reference

Progress = Callable[[str, int, int], None]
_SUFFIX = {"onnx": ".onnx", "coreml": ".mlpackage"}


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildResult:
    """What a build leaves behind.

    Attributes:
        path: the bundle.
        evidence: everything that was found out.
        passed: True where every gate that ran passed.
        tree_sha256: digest of the bundle without its evidence; equal for equal builds.
        report: the HTML report inside the bundle.
    """

    path: Path
    evidence: Evidence
    passed: bool
    tree_sha256: str
    report: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """The module of a recipe, with its contract."""

    contract: Contract
    vocabularies: Mapping[str, Vocabulary]
    module: nn.Module


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared(Model):
    """A recipe with everything that it names loaded."""

    recipe: Recipe
    data: EvaluationData


def prepare(recipe: Recipe, base: Path) -> Prepared:
    """The recipe's vocabularies, contract, module and data; nothing is computed yet.

    Raises:
        RecipeError: a name leads nowhere, or what it leads to does not fit.
    """
    model = load_model(recipe, base)
    return Prepared(
        recipe=recipe,
        contract=model.contract,
        vocabularies=model.vocabularies,
        module=model.module,
        data=_load_data(recipe, base),
    )


def load_model(recipe: Recipe, base: Path) -> Model:
    """The recipe's vocabularies, contract and module, without its data; raises RecipeError."""
    from pocketrec.convert.source import load_module

    vocabularies = {
        name: load_vocabulary(each.tokens, base=base, key=f"contract.vocabularies.{name}.tokens")
        for name, each in recipe.contract.vocabularies.items()
    }
    return Model(
        contract=resolve_contract(recipe.contract, vocabularies),
        vocabularies=vocabularies,
        module=load_module(recipe.model, base=base),
    )


def _load_data(recipe: Recipe, base: Path) -> EvaluationData:
    evaluate = recipe.evaluate
    data = call_factory(evaluate.data, base=base, key="evaluate.data", arguments=evaluate.arguments)
    expected = RankingData if evaluate.kind == "ranking" else ClassificationData
    if not isinstance(data, expected):
        raise RecipeError(
            f"evaluate.data = {evaluate.data!r} returned {type(data).__name__}; kind "
            f"{evaluate.kind!r} expects {expected.__name__}"
        )
    missing = [
        each.name
        for each in recipe.contract.functions[evaluate.function].inputs
        if each.name not in data.inputs
    ]
    if missing:
        raise DataError(f"evaluate.data = {evaluate.data!r} lacks the input {missing[0]!r}; add it")
    return data


def build(
    recipe: str | Path | Recipe,
    *,
    out: Path | None = None,
    targets: Sequence[str] = (),
    progress: Progress | None = None,
    workers: Workers | None = None,
) -> BuildResult:
    """The bundle of a recipe, built, examined and published.

    A build whose gates fail goes to `<out>.failed`, with its evidence; a good bundle at `out` is
    never replaced by a bad one.

    Args:
        recipe: the path of a recipe.toml, or a recipe that was read (its paths are then relative
            to the working directory).
        out: the bundle's folder; by default `build/<name>`.
        targets: names of the recipe's targets; all of them by default.
        progress: called with what is being done, how many steps are done, and of how many.
        workers: where a search for a compression plan measures; in this process by default.

    Raises:
        BudgetMissed: no compression plan holds the recipe's budget; the nearest is in `<out>.search`.
        RecipeError: the recipe, or what it names, does not fit.
        ConversionError: a function cannot be captured or lowered.
    """
    from pocketrec.package.bundle import publish, seal, staging
    from pocketrec.package.publish import check_destination

    base = Path.cwd() if isinstance(recipe, Recipe) else Path(recipe).parent
    chosen = _choose(recipe if isinstance(recipe, Recipe) else load_recipe(recipe), targets)
    out = Path("build") / chosen.name if out is None else Path(out)
    report = progress or _silent
    report("load", 0, 1)
    prepared = prepare(chosen, base)
    failed = out.with_name(f"{out.name}.failed")
    check_destination(failed)
    with staging(out) as folder:
        original = reference = examine_module(prepared, report)
        compression = None
        front: tuple[PlanPoint, ...] = ()
        if chosen.compress.active:
            plan, front = _plan(prepared, original, out, workers, report)
            report("compress", 0, 1)
            compression = compress_module(plan, prepared.module, prepared.contract, prepared.data)
            prepared = replace(prepared, module=compression.module)
            reference = examine_module(prepared, report)
        captures = capture_functions(prepared, reference, report)
        artifacts = _lower(prepared, captures, compression, folder, report)
        evidence = _examine(prepared, reference, captures, artifacts, folder, report)
        if compression is not None:
            evidence = _with_compression(
                evidence, compression, original, reference, captures, chosen.compress
            )
            evidence = replace(evidence, front=front)
            chosen = _with_plan(chosen, plan)
        write_contents(folder, chosen, prepared.vocabularies, reference, evidence)
        paths = {
            target: {name: str(path.relative_to(folder)) for name, path in each.items()}
            for target, each in artifacts.items()
        }
        manifest = seal(folder, name=chosen.name, version=chosen.version, artifacts=paths)
        passed = evidence.passed
        place = publish(folder, out if passed else failed)
    return BuildResult(
        path=place,
        evidence=evidence,
        passed=passed,
        tree_sha256=manifest.tree_sha256,
        report=place / "evidence" / "report.html",
    )


def _silent(stage: str, done: int, total: int) -> None:
    pass


def _choose(recipe: Recipe, names: Sequence[str]) -> Recipe:
    unknown = [name for name in names if name not in recipe.targets]
    if unknown:
        raise RecipeError(f"target {unknown[0]!r} is not in the recipe; known: {', '.join(recipe.targets)}")
    if not names:
        return recipe
    return replace(recipe, targets={name: each for name, each in recipe.targets.items() if name in names})


def examine_module(prepared: Prepared, report: Progress = _silent) -> Reference:
    """The prepared module behind its contract, run on every probe and on all evaluation data."""
    from pocketrec.convert.contract_module import ContractModule
    from pocketrec.validate.evidence import examine_reference
    from pocketrec.validate.torch_runtime import TorchRuntime

    contract = prepared.contract
    runtimes = {
        name: TorchRuntime(
            ContractModule(prepared.module, contract, signature), signature, function=name, contract=contract
        )
        for name, signature in contract.functions.items()
    }
    return examine_reference(
        runtimes,
        contract,
        prepared.recipe.evaluate,
        prepared.data,
        seed=prepared.recipe.seed,
        progress=report,
    )


def _with_plan(recipe: Recipe, plan: Plan) -> Recipe:
    """The recipe with its plan spelled out, so that it is replayed without a search."""
    asked = recipe.compress
    stated = replace(asked, tensors=plan.to_table(), preset=None, max_size_mb=None, max_ratio=None)
    return replace(recipe, compress=stated)


def _plan(
    prepared: Prepared, original: Reference, out: Path, workers: Workers | None, report: Progress
) -> tuple[Plan, tuple[PlanPoint, ...]]:
    """The recipe's plan, stated or found, and a search's front; what it measured stays in `<out>.search`."""
    from pocketrec.plan_measure import make_evaluator
    from pocketrec.planning import Workers, search_plan

    compress = prepared.recipe.compress
    if compress.tensors:
        return explicit_plan(compress, prepared.module, ()), ()
    captures = capture_functions(prepared, original, report)
    read = {name: by for name, by in tensors_read(prepared.module, captures).items() if by}
    if not compress.searches:
        return explicit_plan(compress, prepared.module, read), ()
    evaluator = make_evaluator(prepared.module, prepared.contract, prepared.recipe.evaluate, prepared.data)
    return search_plan(
        compress,
        evaluator,
        prepared.recipe.targets,
        read,
        out.with_name(f"{out.name}.search"),
        workers=workers or Workers(),
        progress=report,
    )


def capture_functions(
    prepared: Prepared, reference: Reference, report: Progress = _silent
) -> dict[str, Capture]:
    """Every function of the contract, captured and proved on the reference's probes."""
    import torch

    from pocketrec.convert.capture import capture

    captures = {}
    for count, name in enumerate(prepared.contract.functions):
        report(f"capture {name}", count, len(prepared.contract.functions))
        tensors = [
            {key: torch.from_numpy(np.ascontiguousarray(array)) for key, array in each.inputs.items()}
            for each in reference.probes[name]
        ]
        captures[name] = capture(prepared.module, prepared.contract, name, tensors)
    return captures


def _lower(
    prepared: Prepared,
    captures: Mapping[str, Capture],
    compression: Compression | None,
    folder: Path,
    report: Progress,
) -> dict[str, dict[str, Path]]:
    """Target to function to the artifact's path in the staging folder."""
    targets = prepared.recipe.targets
    check_gathered_names(targets, compression.codes if compression is not None else ())
    artifacts: dict[str, dict[str, Path]] = {name: {} for name in targets}
    jobs = [(target, function) for target in targets for function in captures]
    for count, (target, function) in enumerate(jobs):
        report(f"convert {function} to {target}", count, len(jobs))
        form = targets[target].format
        assert form is not None
        path = folder / "artifacts" / target / f"{function}{_SUFFIX[form]}"
        path.parent.mkdir(parents=True, exist_ok=True)
        codes = compression.codes if compression is not None else {}
        artifacts[target][function] = _lower_one(captures[function], path, targets[target], codes)
    for name, each in targets.items():
        if each.multifunction:
            artifacts[name] = _in_one_package(artifacts[name], folder / "artifacts" / name)
    return artifacts


def _in_one_package(packages: Mapping[str, Path], folder: Path) -> dict[str, Path]:
    """Function to the one package in `folder` that holds all functions; theirs are gone."""
    from pocketrec.convert.multifunction import to_multifunction

    path = to_multifunction(packages, folder / "all-functions.mlpackage")  # no function can have this name
    for each in packages.values():
        rmtree(each)
    return dict.fromkeys(packages, path)


def _lower_one(captured: Capture, path: Path, target: Target, codes: Mapping[str, QuantizedTensor]) -> Path:
    if target.format == "onnx":
        from pocketrec.convert.onnx import to_onnx

        return to_onnx(
            captured,
            path,
            opset_version=target.opset_version,
            tensors=codes,
            contrib_ops=target.contrib_ops,
        )
    from pocketrec.convert.coreml import to_coreml

    return to_coreml(
        captured,
        path,
        precision=target.precision or "float16",
        minimum_deployment_target=target.minimum_deployment_target,
        flexible=target.flexible,
        tensors=codes,
        gathered=target.gather_codes,
    )


def _with_compression(
    evidence: Evidence,
    compression: Compression,
    original: Reference,
    reference: Reference,
    captures: Mapping[str, Capture],
    asked: Compress,
) -> Evidence:
    """The evidence with what compression did and cost; artifacts were compared with what it made."""
    from pocketrec.validate.ranking import compare_quality

    before = original.result()
    cost = compare_quality(original.quality, reference.quality)
    compressed = replace(before, target=COMPRESSED, ranking=cost)
    rows = audit(compression, captures)
    first, *rest = evidence.results
    return replace(
        evidence,
        results=(replace(before, latency=first.latency), compressed, *rest),
        gates=(*check_loss(asked, cost), *evidence.gates),
        compression=rows,
    )


def _examine(
    prepared: Prepared,
    reference: Reference,
    captures: Mapping[str, Capture],
    artifacts: Mapping[str, Mapping[str, Path]],
    folder: Path,
    report: Progress,
) -> Evidence:
    """Every target on every runtime that may run it, timed and gated."""
    from pocketrec.validate.evidence import examine_target
    from pocketrec.validate.gates import check_gates
    from pocketrec.validate.machine import this_machine, tool_versions
    from pocketrec.validate.timing import with_latency

    recipe = prepared.recipe
    expected = {name: RUNTIMES[target.format or name] for name, target in recipe.targets.items()}
    results = [reference.result()]
    for target, runtimes in expected.items():
        for runtime in runtimes:
            results.append(
                examine_target(
                    target,
                    runtime,
                    artifacts[target],
                    reference=reference,
                    gates=recipe.gates,
                    progress=report,
                )
            )
    timed = with_latency(results, reference, artifacts, recipe.latency, progress=report)
    return Evidence(
        recipe=recipe.name,
        recipe_sha256=recipe.sha256(),
        contract_sha256=prepared.contract.sha256(),
        machine=this_machine(),
        versions=tool_versions(),
        results=tuple(timed),
        sizes=_sizes(artifacts, folder),
        rewrites=_rewrites(captures),
        gates=check_gates(recipe.gates, timed, expected=expected),
    )


def _sizes(artifacts: Mapping[str, Mapping[str, Path]], folder: Path) -> tuple[ArtifactSize, ...]:
    from pocketrec.validate.sizes import artifact_bytes, tensor_sizes

    functions: dict[tuple[str, Path], list[str]] = {}
    for target, each in artifacts.items():
        for function, path in each.items():
            functions.setdefault((target, path), []).append(function)
    return tuple(
        ArtifactSize(
            target=target,
            function=", ".join(names),
            path=str(path.relative_to(folder)),
            size_bytes=artifact_bytes(path),
            tensors=tensor_sizes(path),
        )
        for (target, path), names in functions.items()
    )


def _rewrites(captures: Mapping[str, Capture]) -> tuple[RewriteResult, ...]:
    return tuple(
        RewriteResult(
            function=name,
            name=each.name,
            where=each.where,
            reason=each.reason,
            max_abs_error=each.max_abs_error,
            probes=each.probes,
        )
        for name, captured in captures.items()
        for each in captured.rewrites
    )
