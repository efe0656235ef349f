"""`pocketrec run`: one artifact, one file of inputs, one file of outputs."""

from __future__ import annotations

from pathlib import Path

import click

from pocketrec.cli.arrays import load_arrays, save_arrays
from pocketrec.cli.console import examples, plain
from pocketrec.cli.paths import PATH
from pocketrec.errors import UsageError


@click.command(
    epilog=examples(
        "pocketrec run main.onnx --inputs in.npz --out out.npz",
        "pocketrec run main.mlpackage --inputs in.npz --out out.npz --runtime coreml-interpreter",
    )
)
@click.argument("artifact", type=PATH)
@click.option("--inputs", "source", required=True, type=PATH, help="An .npz file.")
@click.option("--out", required=True, type=PATH, help="The .npz file to write.")
@click.option("--runtime", default=None, help="The engine; by default the first that is there.")
@click.option("--function", default=None, help="Of a package that holds several; by default the first.")
def run(artifact: Path, source: Path, out: Path, runtime: str | None, function: str | None) -> None:
    """Run ARTIFACT (.onnx or .mlpackage) on the arrays in --inputs and write its outputs to --out."""
    from pocketrec import open as open_artifact

    for given in (artifact, source):
        if given.exists() and out.resolve().is_relative_to(given.resolve()):
            raise UsageError(f"{out}: is {given} itself or lies in it, which is read; pass another --out")
    with open_artifact(artifact, runtime, function=function) as loaded:
        outputs = loaded.run(load_arrays(source, loaded.describe().inputs))
        engine = loaded.describe()
    save_arrays(out, outputs)
    click.echo(f"{engine.runtime} {engine.version} ({engine.precision}, {engine.compute_units})")
    for name, array in outputs.items():
        click.echo(plain(f"{name}: {array.dtype} {list(array.shape)}"))
    click.echo(str(out))
