"""A family's weights from nothing but its data and a seed; a training that was ended is gone on with."""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from pocketrec.errors import DataError, MissingExtra
from pocketrec.files import whole_file
from pocketrec.kept import key_of, path_sha256
from pocketrec.model_zoo.family import Family
from pocketrec.model_zoo.registry import family

if TYPE_CHECKING:
    from torch import nn

    from pocketrec.model_zoo.training.run import Run

_FROM_EXTRAS = ("torch", "sklearn", "scipy")
_ZOO = Path(__file__).parents[1]


def train(name: str, *, seed: int = 0, out: str | Path | None = None, progress: bool = True) -> Path:
    """The safetensors file with newly trained weights of the family `name`, in float16.

    What is done is kept beside the file until it is written, so a training that was killed goes on after its
    last whole epoch, to the same bytes as without a stop.

    Args:
        name: a family of the zoo.
        seed: of initialisation, order and dropout; the same seed on the same machine and number
            of threads gives the same weights.
        out: the file to write, replaced whole or not at all; `<name>.safetensors` here if None, and where the
            family's recipe looks for it if its weights do not come with the project.
        progress: whether to draw a progress bar on stderr.

    Raises:
        UsageError: for an unknown name.
        MissingExtra: where PyTorch or scikit-learn is not installed.
        DataError: where the data cannot be had, or `out` cannot be written.
    """
    found = family(name)
    path = Path(out) if out is not None else _default(found)
    _check_writable(path)
    _write(_fit(found, seed, path, progress), path)
    return path


def _default(found: Family) -> Path:
    return Path(f"{found.name}.safetensors") if found.committed else found.weights


def _check_writable(path: Path) -> None:
    if not path.parent.is_dir() or not os.access(path.parent, os.W_OK):
        raise DataError(f"{path}: its folder is missing or not writable; create it or choose another path")


def _fit(found: Family, seed: int, path: Path, progress: bool) -> nn.Module:
    try:
        import torch

        from pocketrec.model_zoo.training.run import Run

        module_name, function = found.train.split(":")
        fit = getattr(importlib.import_module(module_name), function)
    except ModuleNotFoundError as error:
        if error.name in _FROM_EXTRAS:
            raise MissingExtra(error.name, "build") from None
        raise
    torch.manual_seed(seed)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[best]}"),
    )
    with Progress(*columns, console=Console(stderr=True), disable=not progress) as bar:
        task = bar.add_task(f"train {found.name}", total=None, best="")

        def advance(epoch: int, epochs: int, best: float) -> None:
            bar.update(task, completed=epoch, total=epochs, best=f"epoch {epoch}, best {best:.4f}")

        run = Run(
            rng=np.random.default_rng(seed),
            progress=advance,
            kept=path.parent / f".{path.name}.training",
            key=_key(module_name, seed),
        )
        return _finished(run, fit(run))


def _finished(run: Run, module: nn.Module) -> nn.Module:
    run.forget()
    return module


def _key(module_name: str, seed: int) -> str:
    """Of everything that decides the weights but the data, whose digests are pinned in the source."""
    import torch

    shared = sorted([*(_ZOO / "training").glob("*.py"), *(_ZOO / "data").glob("*.py")])
    own = getattr(sys.modules[module_name], "__file__", None)
    files = [*shared, *([Path(own)] if own else [])]
    return key_of(
        seed=seed,
        torch=torch.__version__,
        threads=torch.get_num_threads(),
        files=[path_sha256(each) for each in files],
    )


def _write(module: nn.Module, path: Path) -> None:
    import torch
    from safetensors.torch import save

    half = {
        name: (each.to(torch.float16) if each.is_floating_point() else each).contiguous()
        for name, each in module.state_dict().items()
    }
    content = save(half)
    with whole_file(path) as beside:
        beside.write_bytes(content)
