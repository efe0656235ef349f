"""`pocketrec run`: one artifact, one file of inputs, one file of outputs."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pocketrec.cli.console import examples
from pocketrec.errors import InputError, UsageError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


@click.command(
    epilog=examples(
        "pocketrec run main.onnx --inputs in.npz --out out.npz",
        "pocketrec run main.mlpackage --inputs in.npz --out out.npz --runtime coreml-interpreter",
    )
)
@click.argument("artifact", type=click.Path(path_type=Path))
@click.option("--inputs", "source", required=True, type=click.Path(path_type=Path), help="An .npz file.")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="The .npz file to write.")
@click.option("--runtime", default=None, help="The engine; by default the first that is there.")
def run(artifact: Path, source: Path, out: Path, runtime: str | None) -> None:
    """Run ARTIFACT (.onnx or .mlpackage) on the arrays in --inputs and write its outputs to --out."""
    from pocketrec import open as open_artifact

    arrays = _load(source)
    with open_artifact(artifact, runtime) as loaded:
        outputs = loaded.run(arrays)
        engine = loaded.describe()
    _save(out, outputs)
    click.echo(f"{engine.runtime} {engine.version} ({engine.precision}, {engine.compute_units})")
    for name, array in outputs.items():
        click.echo(f"{name}: {array.dtype} {list(array.shape)}")
    click.echo(str(out))


def _load(path: Path) -> dict[str, npt.NDArray[np.generic]]:
    import numpy as np

    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; save the inputs with numpy.savez") from None
    except Exception as error:
        raise InputError(f"{path}: not an .npz of plain arrays ({error}); use numpy.savez") from error


def _save(path: Path, arrays: Mapping[str, npt.NDArray[np.generic]]) -> None:
    """Nothing; the file appears whole or not at all."""
    import numpy as np

    try:
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    except OSError as error:
        raise UsageError(f"{path}: cannot be written ({error.strerror}); pass another --out") from None
    try:
        with os.fdopen(descriptor, "wb") as file:
            np.savez(file, allow_pickle=False, **arrays)
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
