"""rec-pangu: every ranking, multi-task and sequence model."""

from __future__ import annotations

import functools
import importlib
import pkgutil
import sys
from collections.abc import Iterator
from typing import Any
from unittest.mock import MagicMock

import torch
from torch import Generator, Tensor, nn

from coverage_models import Built, Model, histories, ids, reals, spread

SPARSE = {"user": 5000, "item": 3000, "city": 60}
DENSE = ("age", "price")
ITEMS, LENGTH = 800, 10


class Answer(nn.Module):
    """The model's predictions, without the loss that it computes while it is trained."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, features: dict[str, Tensor]) -> Any:
        return self.model(features, is_training=False)


def table_draw(generator: Generator, batch: int) -> tuple[dict[str, Tensor]]:
    values = {name: ids(generator, 0, size, batch) for name, size in SPARSE.items()}
    return ({**values, **{name: reals(generator, batch) for name in DENSE}},)


def history_draw(generator: Generator, batch: int) -> tuple[dict[str, Tensor]]:
    history, _ = histories(generator, batch, LENGTH, ITEMS)
    return ({"hist_item_list": history, "hist_mask_list": (history != 0).long()},)


def table_model(kind: type[nn.Module], more: dict[str, Any]) -> Built:
    columns: dict[str, dict[str, Any]] = {name: {"vocab_size": size} for name, size in SPARSE.items()}
    columns |= {name: {"min": 0.0, "max": 1.0} for name in DENSE}
    return Built(module=Answer(spread(kind(enc_dict=columns, **more))).eval(), draw=table_draw)


def sequence_model(kind: type[nn.Module]) -> Built:
    columns = {"item": {"vocab_size": ITEMS}}
    config = {
        "embedding_dim": 16,
        "max_length": LENGTH,
        "device": torch.device("cpu"),
        "item_col": "item",
        "cate_cols": [],
        "K": 4,
    }
    return Built(module=Answer(spread(kind(columns, config))).eval(), draw=history_draw)


def classes(folder: str) -> Iterator[tuple[str, type[nn.Module]]]:
    base = importlib.import_module("rec_pangu.models.base_model")
    package = importlib.import_module(f"rec_pangu.models.{folder}")
    wanted = (base.BaseModel, base.SequenceBaseModel)
    for info in pkgutil.iter_modules(package.__path__):
        module = importlib.import_module(f"{package.__name__}.{info.name}")
        for name, value in sorted(vars(module).items()):
            if isinstance(value, type) and value.__module__ == module.__name__ and issubclass(value, wanted):
                yield name, value


def models() -> list[Model]:
    # Graph models need a library that has no release for this PyTorch; the others only import it.
    for name in ("dgl", "dgl.function", "dgl.nn", "dgl.nn.pytorch"):
        sys.modules.setdefault(name, MagicMock())
    found = []
    for folder in ("ranking", "multi_task"):
        for name, kind in classes(folder):
            more = {"device": torch.device("cpu")} if "MMOE" in name or name in ("OMOE", "ESSM") else {}
            build = functools.partial(table_model, kind, {"embedding_dim": 8, **more})
            found.append(Model(name=name, build=build))
    for name, kind in classes("sequence"):
        found.append(Model(name=f"{name} sequence", build=functools.partial(sequence_model, kind)))
    return found
