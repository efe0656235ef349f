"""The whole road as one function: recipe in, proven bundle out.

    source ─▶ capture, rewrite ─▶ lower per target ─▶ examine per runtime ─▶ gates ─▶ bundle

The only module, besides the command line, that knows all the stages.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pocketrec.contract import Contract, Vocabulary
from pocketrec.errors import DataError, RecipeError
from pocketrec.evaluation import ClassificationData, EvaluationData, RankingData
from pocketrec.factory import call_factory, load_vocabulary
from pocketrec.recipe import RUNTIMES, Recipe, Target, load_recipe, resolve_contract
from pocketrec.report import ArtifactSize, Evidence, RewriteResult, RuntimeResult

if TYPE_CHECKING:
    from torch import nn

    from pocketrec.convert.capture import Capture

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
class Prepared:
    """A recipe with everything that it names loaded."""

    recipe: Recipe
    contract: Contract
    vocabularies: Mapping[str, Vocabulary]
    module: nn.Module
    data: EvaluationData


def prepare(recipe: Recipe, base: Path) -> Prepared:
    """The recipe's vocabularies, contract, module and data; nothing is computed yet.

    Raises:
        RecipeError: a name leads nowhere, or what it leads to does not fit.
    """
    from pocketrec.convert.source import load_module

    vocabularies = {
        name: load_vocabulary(each.tokens, base=base, key=f"contract.vocabularies.{name}.tokens")
        for name, each in recipe.contract.vocabularies.items()
    }
    return Prepared(
        recipe=recipe,
        contract=resolve_contract(recipe.contract, vocabularies),
        vocabularies=vocabularies,
        module=load_module(recipe.model, base=base),
        data=_load_data(recipe, base),
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

    Raises:
        RecipeError: the recipe, or what it names, does not fit.
        ConversionError: a function cannot be captured or lowered.
    """
    from pocketrec.package.bundle import publish, seal, staging

    base = Path.cwd() if isinstance(recipe, Recipe) else Path(recipe).parent
    chosen = _choose(recipe if isinstance(recipe, Recipe) else load_recipe(recipe), targets)
    out = Path("build") / chosen.name if out is None else Path(out)
    report = progress or _silent
    report("load", 0, 1)
    prepared = prepare(chosen, base)
    with staging(out) as folder:
        probes = _probes(prepared)
        captures = _capture(prepared, probes, report)
        artifacts = _lower(prepared, captures, folder, report)
        examined = _examine(prepared, captures, artifacts, probes, report)
        _write_contents(prepared, examined, folder)
        paths = {
            target: {name: str(path.relative_to(folder)) for name, path in each.items()}
            for target, each in artifacts.items()
        }
        manifest = seal(folder, name=chosen.name, version=chosen.version, artifacts=paths)
        passed = examined.evidence.passed
        place = publish(folder, out if passed else out.with_name(f"{out.name}.failed"))
    return BuildResult(
        path=place,
        evidence=examined.evidence,
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


def _probes(prepared: Prepared) -> dict[str, tuple[Probe, ...]]:
    """Probes of every function."""
    from pocketrec.validate.probes import make_probes

    return {
        name: make_probes(prepared.contract, name, prepared.data, seed=prepared.recipe.seed)
        for name in prepared.contract.functions
    }


def _capture(
    prepared: Prepared, probes: Mapping[str, tuple[Probe, ...]], report: Progress
) -> dict[str, Capture]:
    import torch

    from pocketrec.convert.capture import capture

    captures = {}
    for count, name in enumerate(prepared.contract.functions):
        report(f"capture {name}", count, len(prepared.contract.functions))
        tensors = [
            {key: torch.from_numpy(np.ascontiguousarray(array)) for key, array in each.inputs.items()}
            for each in probes[name]
        ]
        captures[name] = capture(prepared.module, prepared.contract, name, tensors)
    return captures


def _lower(
    prepared: Prepared, captures: Mapping[str, Capture], folder: Path, report: Progress
) -> dict[str, dict[str, Path]]:
    """Target to function to the artifact's path in the staging folder."""
    targets = prepared.recipe.targets
    artifacts: dict[str, dict[str, Path]] = {name: {} for name in targets}
    jobs = [(target, function) for target in targets for function in captures]
    for count, (target, function) in enumerate(jobs):
        report(f"convert {function} to {target}", count, len(jobs))
        form = targets[target].format
        assert form is not None
        path = folder / "artifacts" / target / f"{function}{_SUFFIX[form]}"
        path.parent.mkdir(parents=True, exist_ok=True)
        artifacts[target][function] = _lower_one(captures[function], path, targets[target])
    return artifacts


def _lower_one(captured: Capture, path: Path, target: Target) -> Path:
    if target.format == "onnx":
        from pocketrec.convert.onnx import to_onnx

        return to_onnx(captured, path, opset_version=target.opset_version)
    from pocketrec.convert.coreml import to_coreml

    return to_coreml(
        captured,
        path,
        precision=target.precision or "float16",
        minimum_deployment_target=target.minimum_deployment_target,
        flexible=target.flexible,
    )


def _write_contents(prepared: Prepared, examined: Examined, folder: Path) -> None:
    """Everything of the bundle but artifacts and manifests."""
    from pocketrec.package.golden import write_golden
    from pocketrec.validate.render import to_html, to_markdown

    _write_json(folder / "recipe.json", prepared.recipe.to_dict())
    _write_json(folder / "contract.json", prepared.contract.to_dict())
    (folder / "vocabularies").mkdir()
    for name, vocabulary in prepared.vocabularies.items():
        (folder / "vocabularies" / f"{name}.txt").write_bytes(vocabulary.to_bytes())
    write_golden(folder, examined.golden, examined.tolerances)
    evidence = folder / "evidence"
    evidence.mkdir()
    (evidence / "evidence.json").write_text(examined.evidence.to_json(), encoding="utf-8")
    (evidence / "report.md").write_text(to_markdown(examined.evidence), encoding="utf-8")
    (evidence / "report.html").write_text(to_html(examined.evidence), encoding="utf-8")


def _write_json(path: Path, value: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(value, indent=1, sort_keys=True) + "\n", encoding="utf-8")
