"""`pocketrec diverge`: the first op of an artifact that computes something else."""

from __future__ import annotations

import math
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pocketrec.cli.arrays import load_arrays
from pocketrec.cli.console import examples, print_json, print_table, progress_on_stderr
from pocketrec.cli.numbers import FiniteRange
from pocketrec.cli.paths import PATH
from pocketrec.cli.recipes import find_recipe
from pocketrec.errors import UsageError

if TYPE_CHECKING:
    from pocketrec.pipeline.diverge import Examined
    from pocketrec.validate.artifact.divergence import Comparison, Divergence


@click.command(
    epilog=examples(
        "pocketrec diverge build/sasrec",
        "pocketrec diverge build/mine --recipe recipe.toml --target coreml",
        "pocketrec diverge good.onnx bad.mlpackage --inputs in.npz",
    )
)
@click.argument("path", type=PATH, metavar="BUNDLE|REFERENCE")
@click.argument("artifact", required=False, type=PATH)
@click.option(
    "--recipe",
    type=PATH,
    help="The recipe that built BUNDLE.  [default: the one here, beside or above BUNDLE, or in the zoo]",
)
@click.option("--target", metavar="NAME", help="One target of BUNDLE.  [default: all]")
@click.option("--function", metavar="NAME", help="One function.  [default: all of BUNDLE, main of ARTIFACT]")
@click.option(
    "--inputs",
    "source",
    type=PATH,
    help="An .npz file.  [default: BUNDLE's golden vectors]",
)
@click.option("--tolerance", type=FiniteRange(min=0), help="Bound on the relative error.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def diverge(
    ctx: click.Context,
    path: Path,
    artifact: Path | None,
    recipe: Path | None,
    target: str | None,
    function: str | None,
    source: Path | None,
    tolerance: float | None,
    as_json: bool,
) -> None:
    """Show the first op of BUNDLE's artifacts, or of ARTIFACT, whose output leaves the bound.

    A bundle is compared with PyTorch, ARTIFACT with REFERENCE. Exits with 1 where an output has left
    the bound: relative 1e-4, or 0.03125 where the artifact computes in float16.
    """
    from pocketrec.pipeline.diverge import diverge_artifacts, diverge_bundle

    inputs = None if source is None else load_arrays(source)
    if artifact is None:
        with progress_on_stderr() as progress:
            examined = diverge_bundle(
                path,
                recipe or find_recipe(path),
                target=target,
                function=function,
                inputs=inputs,
                tolerance=tolerance,
                progress=progress,
            )
    else:
        if recipe is not None or target is not None:
            raise UsageError("--recipe and --target belong to a bundle; leave them out for two artifacts")
        if inputs is None:
            raise UsageError("two artifacts need --inputs; save an .npz with the arrays that both take")
        examined = (diverge_artifacts(path, artifact, inputs=inputs, function=function, tolerance=tolerance),)
    if as_json:
        print_json(
            {"schema": 1, "diverged": _diverged(examined), "artifacts": [_to_json(each) for each in examined]}
        )
    else:
        for each in examined:
            _print(each)
        click.echo("diverged" if _diverged(examined) else "no divergence")
    ctx.exit(1 if _diverged(examined) else 0)


def _diverged(examined: tuple[Examined, ...]) -> bool:
    return any(each.comparison.divergence is not None for each in examined)


def _to_json(examined: Examined) -> dict[str, Any]:
    return {**_plain(asdict(examined)), "artifact": str(examined.artifact)}


def _plain(value: Any) -> Any:
    """The value with infinite numbers as words, which JSON lacks."""
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _print(examined: Examined) -> None:
    found = examined.comparison
    place = f"{examined.target}/{examined.function}: " if examined.target else ""
    click.echo(f"{place}{examined.artifact.name} against {examined.reference}, inputs {examined.inputs!r}")
    if examined.unknown:
        click.echo(examined.unknown)
    if found.divergence is None:
        worst = max((each.relative_error or 0.0 for each in found.outputs), default=0.0)
        click.echo(f"every output is within {found.tolerance:g}; the largest relative error is {worst:.2g}")
    else:
        _print_divergence(found.divergence, found, examined.source_text)
    click.echo()


def _print_divergence(divergence: Divergence, found: Comparison, text: str) -> None:
    op, origin = divergence.op, divergence.origin
    click.echo(f"first divergence: op {op.type} ({op.name}), of {found.partners} tensors that were compared")
    if origin is None:
        click.echo("PyTorch: nothing says where this op came from")
    else:
        click.echo(f"PyTorch: {origin.op} in {origin.place}")
        if text:
            click.echo(f"    {text}")
    rows = [
        (
            way,
            each.name,
            each.dtype,
            str(list(each.shape)),
            _number(each.max_abs_error),
            _number(each.relative_error),
        )
        for way, tensors in (("input", divergence.inputs), ("output", divergence.outputs))
        for each in tensors
    ]
    print_table("", ("way", "name", "dtype", "shape", "max error", "relative"), rows)
    wrong = divergence.own_error > found.tolerance
    click.echo(
        f"given the reference's inputs its relative error is {divergence.own_error:.2g}, the bound "
        f"{found.tolerance:g}: "
        + ("the op itself computes something else" if wrong else "it amplifies what came in")
    )
    if divergence.others:
        names = ", ".join(f"{each.type} ({each.name})" for each in divergence.others)
        click.echo(f"between the compared tensors and this op, and not compared: {names}")


def _number(value: float | None) -> str:
    return "not compared" if value is None else f"{value:.2g}"
