"""Trained PyTorch recommenders to Core ML and ONNX, with proof that they still rank as they did."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn
    from torch.export import ExportedProgram

    from pocketrec.about import About
    from pocketrec.contract import Contract
    from pocketrec.pipeline.app import Recommender
    from pocketrec.pipeline.build import BuildResult
    from pocketrec.pipeline.convert import Conversion
    from pocketrec.quantize import Plan
    from pocketrec.recipe import Compress, Recipe, Target
    from pocketrec.validate.runtimes.runtime import Runtime

__version__ = "0.1.0"
__all__ = ["__version__", "build", "convert_module", "load", "open"]


def build(
    recipe: str | Path | Recipe, *, out: str | Path | None = None, targets: Sequence[str] = ()
) -> BuildResult:
    """The bundle of a recipe, built and proved; its evidence is written when a gate fails too.

    Args:
        recipe: the path of a recipe.toml, or a recipe that was read.
        out: the bundle's folder; by default `build/<name>`.
        targets: names of the recipe's targets; all of them by default.
    """
    from pocketrec.pipeline.build import build as run

    return run(recipe, out=None if out is None else Path(out), targets=targets)


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
    stream_mb: float = 1000.0,
    about: About | None = None,
) -> Conversion:
    """The artifacts of any eval-mode module, each proved equal to it; Refused where there is none.

    Args:
        module: in eval mode; it is not changed. Also a TorchScript module or an exported program.
        example_inputs: a tensor, a tuple of arguments, or a dict of one or of keyword arguments; for a
            contract of several functions a dict of one for each.
        out: a folder for the artifacts and the inferred contract.
        targets: some of `coreml`, `onnx` and `web`, or `pocketrec.recipe.Target`s by name, with all
            options of a recipe's.
        contract: replaces the inferred one.
        precision: of the Core ML program where `targets` are names, `float32` or `float16`.
        minimum_deployment_target: likewise, `iOS15` to `iOS18`.
        compress: `int8`, `int4`, a `pocketrec.quantize.Plan`, or a `pocketrec.recipe.Compress`; the artifacts
            then equal the module with the compressed values, and `loss` says how far that is from the
            module itself.
        stream_mb: float32 tables of so many 10^6 bytes are not held twice; 0 keeps all.
        about: a `pocketrec.about.About`: description, author, license and version, which Xcode shows.
    """
    from pocketrec.pipeline.convert import convert_module as run

    return run(
        module,
        example_inputs,
        out,
        targets,
        contract,
        precision=precision,
        minimum_deployment_target=minimum_deployment_target,
        compress=compress,
        stream_mb=stream_mb,
        about=about,
    )


def load(path: str | Path, *, target: str | None = None, runtime: str | None = None) -> Recommender:
    """The bundle at `path`, called in an app's words: `load("bundle").recommend(history=[...], k=10)`.

    Args:
        path: a bundle.
        target: whose artifacts run; by default the first ONNX target, which runs everywhere, or the first
            that `runtime` loads.
        runtime: the engine's name; by default the first that can load them.
    """
    from pocketrec.pipeline.app import load as run

    return run(path, target=target, runtime=runtime)


def open(path: str | Path, runtime: str | None = None, *, function: str | None = None) -> Runtime:  # noqa: A001 - as `gzip.open`
    """The artifact at `path`, loaded; `.run({name: array})` gives `{name: array}`.

    Args:
        path: a .onnx file or a .mlpackage folder.
        runtime: the engine's name; by default the first that can load the artifact.
        function: of an artifact that holds several; by default the first.
    """
    from pocketrec.pipeline.opening import open_artifact

    return open_artifact(Path(path), runtime, compute_units="all", function=function)
