"""The families of the model zoo, and how one is trained again from nothing but its seed."""

from __future__ import annotations

import importlib
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from pocketrec.errors import DataError, MissingExtra, UsageError

if TYPE_CHECKING:
    from torch import nn

_HERE = Path(__file__).parent
_FROM_EXTRAS = ("torch", "sklearn")


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """One architecture with a recipe, trained weights and the quality that they must hold.

    Attributes:
        name: what `pocketrec zoo` calls it.
        summary: one line for people.
        recipe: the recipe file.
        weights: the trained weights that the recipe names.
        train: `module:function`, called with a random generator and a progress callback; returns
            the trained nn.Module.
        floors: lowest metric on the test split that the committed weights may have.
    """

    name: str
    summary: str
    recipe: Path
    weights: Path
    train: str
    floors: Mapping[str, float] = field(default_factory=dict)


def _family(name: str, summary: str, **floors: float) -> Family:
    module = name.replace("-", "_")
    return Family(
        name=name,
        summary=summary,
        recipe=_HERE / "recipes" / f"{name}.toml",
        weights=_HERE / "weights" / f"{module}.safetensors",
        train=f"pocketrec.model_zoo.{module}:fit_movielens",
        floors=floors,
    )


FAMILIES: dict[str, Family] = {
    family.name: family
    for family in (
        _family(
            "sasrec", "next item from a causal transformer over the history", hr_at_10=0.18, ndcg_at_10=0.092
        ),
        _family("two-tower", "retrieval with a user tower and an item tower", ndcg_at_10=0.055),
        _family("dlrm", "probability of a high rating from ids and context", auc=0.78),
    )
}


def train(name: str, *, seed: int = 0, out: str | Path | None = None, progress: bool = True) -> Path:
    """The safetensors file with newly trained weights of the family `name`.

    Args:
        name: a key of FAMILIES.
        seed: of initialisation, order and dropout; the same seed on the same machine and number
            of threads gives the same weights.
        out: the file to write, replaced whole or not at all; `<name>.safetensors` here if None.
        progress: whether to draw a progress bar on stderr.

    Raises:
        UsageError: for an unknown name.
        MissingExtra: where PyTorch or scikit-learn is not installed.
        DataError: where MovieLens-100K cannot be had, or `out` cannot be written.
    """
    family = _known(name)
    path = Path(out) if out is not None else Path(f"{name}.safetensors")
    _check_writable(path)
    module = _fit(family, seed, progress)
    _write_atomically(module, path)
    return path


def _known(name: str) -> Family:
    if name not in FAMILIES:
        raise UsageError(f"zoo: no family {name!r}; expected one of {', '.join(FAMILIES)}")
    return FAMILIES[name]


def _check_writable(path: Path) -> None:
    if not path.parent.is_dir() or not os.access(path.parent, os.W_OK):
        raise DataError(f"{path}: its folder is missing or not writable; create it or choose another path")


def _fit(family: Family, seed: int, progress: bool) -> nn.Module:
    try:
        import torch

        module_name, function = family.train.split(":")
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
        task = bar.add_task(f"train {family.name}", total=None, best="")

        def advance(epoch: int, epochs: int, best: float) -> None:
            bar.update(task, completed=epoch, total=epochs, best=f"epoch {epoch}, best {best:.4f}")

        module: nn.Module = fit(np.random.default_rng(seed), advance)
        return module


def _write_atomically(module: nn.Module, path: Path) -> None:
    from safetensors.torch import save

    content = save({name: each.contiguous() for name, each in module.state_dict().items()})
    handle, beside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        Path(beside).chmod(0o644)
        Path(beside).replace(path)
    except BaseException:
        Path(beside).unlink(missing_ok=True)
        raise
