"""A family's weights from nothing but its data and a seed; a training that was ended is gone on with."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars

from pocketrec.errors import CheckFailed, MissingExtra, UsageError
from pocketrec.files import check_place, whole_file
from pocketrec.kept import key_of, path_sha256
from pocketrec.model_zoo.family import Family
from pocketrec.model_zoo.registry import family
from pocketrec.outside import exists
from pocketrec.progress import in_lines

if TYPE_CHECKING:
    from torch import Tensor, nn

    from pocketrec.model_zoo.training.run import Progress, Run

LARGEST_SEED = 2**63 - 1  # what both generators take
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
        progress: whether stderr shows how far it is: a bar on a terminal, else a line now and then.

    Raises:
        UsageError: for an unknown name, a seed that is none, or where `out` cannot be written.
        MissingExtra: where PyTorch or scikit-learn is not installed.
        DataError: where the data cannot be had.
        CheckFailed: the training diverged.
    """
    found = family(name)
    path = Path(out) if out is not None else _default(found)
    _check(path, seed)
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
        name: of the model, as it is shown.
        seed: of initialisation, order and dropout; the same seed on the same machine and number of threads
            gives the same weights.
        progress: whether stderr shows how far it is: a bar on a terminal, else a line now and then.

    Raises:
        UsageError: the seed is none, or the file cannot be written.
        DataError: what an unfinished training kept was cut or edited.
        CheckFailed: the training diverged, or float16 cannot hold its weights.
        StorageError: there is no room.
    """
    import torch

    from pocketrec.model_zoo.training.run import Run

    _check(path, seed)
    kept = _kept(path)
    torch.manual_seed(seed)
    with _drawn(f"train {name}", shows=progress) as advance:
        run = Run(
            rng=np.random.default_rng(seed),
            progress=advance,
            kept=kept,
            key=_key(fit.__module__, seed),
        )
        with _told(kept):
            module = fit(run)
    _write(module, path)
    run.forget()
    return path


@contextmanager
def _drawn(stage: str, *, shows: bool) -> Iterator[Progress]:
    """A function (epoch, epochs, best) that draws a bar on a terminal, else writes a line now and then."""
    if shows and not sys.stderr.isatty():
        with in_lines(partial(print, file=sys.stderr, flush=True)) as advance:
            advance(stage, 0, 0)
            yield lambda epoch, epochs, best: advance(stage, epoch, epochs, f", best {best:.4f}")
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[best]}"),
    )
    with Bars(*columns, console=Console(stderr=True), disable=not shows) as bar:
        task = bar.add_task(stage, total=None, best="")

        def draw(epoch: int, epochs: int, best: float) -> None:
            bar.update(task, completed=epoch, total=epochs, best=f"epoch {epoch}, best {best:.4f}")

        yield draw


def _default(found: Family) -> Path:
    return Path(f"{found.name}.safetensors") if found.committed else found.weights


def _check(path: Path, seed: int) -> None:
    """Checks, before anything is trained, that its weights can be written; raises UsageError."""
    if not 0 <= seed <= LARGEST_SEED:
        raise UsageError(f"seed is {seed}; expected 0 to {LARGEST_SEED}")
    check_place(path, "weights")
    kept = _kept(path)
    if exists(kept) and not kept.is_dir():
        raise UsageError(f"{kept}: is no folder, and an unfinished training is kept there; remove it")


def _kept(path: Path) -> Path:
    """The folder for what an unfinished training has done."""
    return path.with_name(f".{path.name}.training")


@contextmanager
def _told(kept: Path) -> Iterator[None]:
    """While it lasts, an interrupt says where the training so far is, and what goes on with it."""
    try:
        yield
    except KeyboardInterrupt as signal:
        if exists(kept):
            signal.add_note(f"the training so far is kept in {kept}; the same command goes on from there")
        raise


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
    for name, each in module.state_dict().items():
        _check_held(path, name, each, half[name])
    content = save(half)
    with whole_file(path.resolve()) as beside:
        beside.write_bytes(content)


def _check_held(path: Path, name: str, given: Tensor, half: Tensor) -> None:
    """Checks that float16 holds a tensor's numbers; one that is infinite may be a mask."""
    if not given.is_floating_point():
        return
    wrong = half.isnan() | (half.isinf() & given.isfinite())
    if wrong.any():
        raise CheckFailed(
            f"{path}: {name} holds {given[wrong][0].item():g}, which float16 does not hold, and is not "
            "written; the training diverged: lower the learning rate, or pass another seed"
        )
