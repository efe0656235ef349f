"""FuxiCTR: the models of the zoo that its package ships, over a user, an item and a long history."""

from __future__ import annotations

import functools
import importlib
import sys
import tempfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import fuxictr
from fuxictr.features import FeatureMap
from torch import Generator, Tensor, nn

from coverage_models import Built, Model, histories, ids, reals, spread

ITEMS, CATEGORIES, LENGTH, DIM = 3000, 40, 12, 8

SETTINGS: dict[str, tuple[str, dict[str, Any]]] = {
    "DCNv2 parallel": ("DCNv2", {"parallel_dnn_hidden_units": [16, 8]}),
    "DCNv2 mixture": (
        "DCNv2",
        {"model_structure": "stacked", "stacked_dnn_hidden_units": [16], "use_low_rank_mixture": True},
    ),
    "DIN": ("DIN", {"dnn_hidden_units": [16, 8], "attention_hidden_units": [8]}),
    "DIN softmax": (
        "DIN",
        {"dnn_hidden_units": [16], "attention_hidden_units": [8], "din_use_softmax": True},
    ),
    "DIEN AUGRU": ("DIEN", {"dnn_hidden_units": [16], "item_info_fields": 2}),
    "DIEN AGRU": ("DIEN", {"dnn_hidden_units": [16], "item_info_fields": 2, "gru_type": "AGRU"}),
    "DIEN GRU": ("DIEN", {"dnn_hidden_units": [16], "item_info_fields": 2, "gru_type": "GRU"}),
    "ETA": ("ETA", {"dnn_hidden_units": [16], "attention_dim": 8, "short_seq_len": 5, "topk": 4}),
    "FinalMLP": ("FinalMLP", {"mlp1_hidden_units": [16], "mlp2_hidden_units": [16], "fs_hidden_units": [8]}),
    "MIRRN": (
        "MIRRN",
        {"dnn_hidden_units": [16], "attention_dim": 8, "short_seq_len": 5, "topk": 4, "max_len": LENGTH},
    ),
    "SDIM": ("SDIM", {"dnn_hidden_units": [16], "attention_dim": 8, "short_seq_len": 5}),
    "SIM soft": ("SIM", {"dnn_hidden_units": [16], "attention_dim": 8, "short_seq_len": 5, "topk": 4}),
    "TransAct": ("TransAct", {"dcn_hidden_units": [16], "embedding_dim": DIM, "dim_feedforward": 16}),
    "TWIN": ("TWIN", {"dnn_hidden_units": [16], "attention_dim": 8, "short_seq_len": 5, "topk": 4}),
}


class Batch(nn.Module):
    """The model on features of the user, of the history with the target last, and the history's mask."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, user: dict[str, Tensor], items: dict[str, Tensor], mask: Tensor) -> Any:
        flat = {name: value.reshape(-1) for name, value in items.items()}
        return self.model((dict(user), flat, mask))["y_pred"]


def categorical(size: int, source: str) -> dict[str, Any]:
    return {"type": "categorical", "source": source, "vocab_size": size, "padding_idx": 0}


def features() -> FeatureMap:
    found = FeatureMap("part", tempfile.gettempdir())
    found.labels = ["label"]
    found.default_emb_dim = DIM
    found.features = OrderedDict(
        user_id=categorical(5000, "user"),
        city=categorical(60, "user"),
        age={"type": "numeric", "source": "user"},
        item_id=categorical(ITEMS, "item"),
        category=categorical(CATEGORIES, "item"),
    )
    found.num_fields = found.get_num_fields()
    found.set_column_index()
    return found


def draw(generator: Generator, batch: int) -> tuple[dict[str, Tensor], dict[str, Tensor], Tensor]:
    history, _ = histories(generator, batch, LENGTH + 1, ITEMS, pad="left")
    category = ids(generator, 1, CATEGORIES, batch, LENGTH + 1) * (history != 0)
    user = {
        "user_id": ids(generator, 1, 5000, batch),
        "city": ids(generator, 1, 60, batch),
        "age": reals(generator, batch),
    }
    return user, {"item_id": history, "category": category}, (history[:, :-1] > 0).float()


def build(kind: str, settings: dict[str, Any]) -> Built:
    sys.path.insert(0, str(Path(str(fuxictr.__file__)).parent.parent))
    module = importlib.import_module(f"model_zoo.LongCTR.{kind}.{kind}")
    common = {
        "optimizer": "adam",
        "loss": "binary_crossentropy",
        "verbose": 0,
        "model_root": tempfile.gettempdir(),
        "metrics": ["AUC"],
        "embedding_dim": DIM,
    }
    model = getattr(module, kind)(features(), **{**common, **settings})
    return Built(module=Batch(spread(model)).eval(), draw=draw)


def models() -> list[Model]:
    return [
        Model(name=name, build=functools.partial(build, kind, settings))
        for name, (kind, settings) in SETTINGS.items()
    ]
