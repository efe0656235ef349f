"""A family's weights from nothing but its data and a seed; a training that was ended is gone on with."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable
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
_DECIDING = ("training", "data", "families")  # a family may be put together from another one's parts


def train(name: str, *, seed: int = 0, out: str | Path | None = None, progress: bool = True) -> Path:
    """The safetensors file with newly trained weights of the family `name`; see `train_module`.

    Args:
        name: a family of the zoo.
        seed: as there.
        out: the file to write; `<name>.safetensors` here if None, and where the family's recipe looks for it
            if its weights do not come with the project.
        progress: whether to draw a progress bar on stderr.

    Raises:
        UsageError: for an unknown name.
        MissingExtra: where PyTorch or scikit-learn is not installed.
        DataError: where the data cannot be had, or `out` cannot be written.
    """
    found = family(name)
    path = Path(out) if out is not None else _default(found)
    _check_writable(path)
    return train_module(_function(found), path, name=name, seed=seed, progress=progress)


def train_module(
    fit: Callable[[Run], nn.Module], path: Path, *, name: str, seed: int = 0, progress: bool = True
) -> Path:
    """The safetensors file `path` with the weights of the module that `fit` returns, in float16.

    What is done is kept beside the file until it is written, so a training that was killed goes on after its
    last whole epoch, to the same bytes as without a stop. The file is replaced whole or not at all.

    Args:
        fit: called with a Run, which its loops are handed.
        path: of the file.
        name: of the model, for the progress bar.
        seed: of initialisation, order and dropout; the same seed on the same machine and number of threads
            gives the same weights.
        progress: whether to draw a progress bar on stderr.

    Raises:
        DataError: the file cannot be written.
    """
    import torch

    from pocketrec.model_zoo.training.run import Run

    _check_writable(path)
    torch.manual_seed(seed)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[best]}"),
    )
    with Progress(*columns, console=Console(stderr=True), disable=not progress) as bar:
        task = bar.add_task(f"train {name}", total=None, best="")

        def advance(epoch: int, epochs: int, best: float) -> None:
            bar.update(task, completed=epoch, total=epochs, best=f"epoch {epoch}, best {best:.4f}")

        run = Run(
            rng=np.random.default_rng(seed),
            progress=advance,
            kept=path.parent / f".{path.name}.training",
            key=_key(fit.__module__, seed),
        )
        module = fit(run)
    _write(module, path)
    run.forget()
    return path


def _default(found: Family) -> Path:
    return Path(f"{found.name}.safetensors") if found.committed else found.weights


def _check_writable(path: Path) -> None:
    if not path.parent.is_dir() or not os.access(path.parent, os.W_OK):
        raise DataError(f"{path}: its folder is missing or not writable; create it or choose another path")


def _function(found: Family) -> Callable[[Run], nn.Module]:
    """The family's training, whose module needs PyTorch."""
    try:
        module, function = found.train.split(":")
        fit: Callable[[Run], nn.Module] = getattr(importlib.import_module(module), function)
    except ModuleNotFoundError as error:
        if error.name in _FROM_EXTRAS:
            raise MissingExtra(error.name, "build") from None
        raise
    return fit


def _key(module_name: str, seed: int) -> str:
    """Of everything that decides the weights but the data, whose digests are pinned in the source."""
    import torch

    shared = sorted(each for room in _DECIDING for each in (_ZOO / room).rglob("*.py"))
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
