"""DeepCTR-Torch: every model. All take one float32 matrix with ids, sequences and reals in its columns."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import deepctr_torch.models as ctr
import torch
from deepctr_torch.inputs import DenseFeat, SparseFeat, VarLenSparseFeat, build_input_features
from torch import Generator, Tensor, nn

from coverage_models import Built, Model, histories, ids, reals, spread

ITEMS, LENGTH = 5000, 6  # ids beyond 2,048, which float16 would round


def sparse() -> list[Any]:
    sizes = {"user": 20_000, "item": ITEMS, "city": 60, "device": 8}
    return [SparseFeat(name, size, embedding_dim=4) for name, size in sizes.items()]


def dense() -> list[Any]:
    return [DenseFeat("age", 1), DenseFeat("vector", 3)]


def pooled(combiner: str, shared: bool) -> list[Any]:
    """Two sequences, by mask and by length; `shared` with the item's table."""
    return [
        VarLenSparseFeat(
            SparseFeat("tags", 90, embedding_dim=4), maxlen=LENGTH, combiner=combiner, length_name=None
        ),
        VarLenSparseFeat(
            SparseFeat("seen", ITEMS, embedding_dim=4, embedding_name="item" if shared else "seen"),
            maxlen=LENGTH,
            combiner="mean",
            length_name="seen_length",
        ),
    ]


def draw(columns: list[Any], generator: Generator, batch: int) -> tuple[Tensor]:
    """The matrix, its columns in the order of the library's own feature index."""
    lengths: dict[str, Tensor] = {}
    values: dict[str, Tensor] = {}
    for each in columns:
        if isinstance(each, VarLenSparseFeat):
            values[each.name], found = histories(generator, batch, each.maxlen, each.vocabulary_size)
            if each.length_name is not None:
                length = lengths.setdefault(each.length_name, found)
                steps = torch.arange(each.maxlen).expand(batch, each.maxlen)
                filled = ids(generator, 1, each.vocabulary_size, batch, each.maxlen)
                values[each.name] = filled * (steps < length[:, None])
        elif isinstance(each, SparseFeat):
            values[each.name] = ids(generator, 1, each.vocabulary_size, batch)[:, None]
        else:
            values[each.name] = reals(generator, batch, each.dimension)
    values |= {name: found[:, None] for name, found in lengths.items()}
    order = build_input_features(columns)
    return (torch.cat([values[name].float() for name in order], dim=1),)


def built(model: nn.Module, columns: list[Any]) -> Built:
    return Built(module=spread(model), draw=functools.partial(draw, columns))


def plain(
    make: Callable[[list[Any]], nn.Module],
    *,
    combiner: str = "sum",
    sequences: bool = True,
    reals_too: bool = True,
    shared: bool = True,
) -> Callable[[], Built]:
    """Sparse, dense and pooled columns, as far as the model takes them."""

    def build() -> Built:
        columns = [
            *sparse(),
            *(dense() if reals_too else []),
            *(pooled(combiner, shared) if sequences else []),
        ]
        return built(make(columns), columns)

    return build


def history(
    make: Callable[[list[Any], list[str]], nn.Module], negatives: bool = False
) -> Callable[[], Built]:
    def build() -> Built:
        shop = SparseFeat("shop", 70, embedding_dim=4)
        columns = [*sparse(), shop, *dense()]
        for prefix in ("hist_", "neg_hist_") if negatives else ("hist_",):
            columns += [
                VarLenSparseFeat(
                    SparseFeat(prefix + name, size, embedding_dim=4, embedding_name=name),
                    maxlen=LENGTH,
                    length_name="seq_length",
                )
                for name, size in (("item", ITEMS), ("shop", 70))
            ]
        return built(make(columns, ["item", "shop"]), columns)

    return build


def models() -> list[Model]:
    small: dict[str, Any] = {"dnn_hidden_units": (16, 8)}
    found = {
        "WDL": plain(lambda c: ctr.WDL(c, c, **small)),
        "WDL max pooling": plain(lambda c: ctr.WDL(c, c, **small), combiner="max"),
        "WDL regression": plain(lambda c: ctr.WDL(c, c, task="regression", dnn_use_bn=True, **small)),
        "DeepFM": plain(lambda c: ctr.DeepFM(c, c, **small)),
        "DeepFM mean, prelu": plain(
            lambda c: ctr.DeepFM(c, c, dnn_activation="prelu", **small), combiner="mean"
        ),
        "xDeepFM": plain(lambda c: ctr.xDeepFM(c, c, cin_layer_size=(8, 6), **small), shared=False),
        "AFM": plain(lambda c: ctr.AFM(c, c), reals_too=False),
        "AFM without attention": plain(lambda c: ctr.AFM(c, c, use_attention=False), reals_too=False),
        "DIFM": plain(lambda c: ctr.DIFM(c, c, **small)),
        "IFM": plain(lambda c: ctr.IFM(c, c, **small)),
        "AutoInt": plain(lambda c: ctr.AutoInt(c, c, **small), shared=False),
        "DCN": plain(lambda c: ctr.DCN(c, c, **small)),
        "DCN matrix": plain(lambda c: ctr.DCN(c, c, cross_parameterization="matrix", **small)),
        "DCNMix": plain(lambda c: ctr.DCNMix(c, c, low_rank=4, **small)),
        "FiBiNET": plain(lambda c: ctr.FiBiNET(c, c, **small), shared=False),
        "FiBiNET each": plain(lambda c: ctr.FiBiNET(c, c, bilinear_type="each", **small), shared=False),
        "FiBiNET all": plain(lambda c: ctr.FiBiNET(c, c, bilinear_type="all", **small), shared=False),
        "NFM": plain(lambda c: ctr.NFM(c, c, **small)),
        "MLR": plain(lambda c: ctr.MLR(c)),
        "ONN": plain(lambda c: ctr.ONN(c, c, **small), sequences=False),
        "PNN inner": plain(lambda c: ctr.PNN(c, **small)),
        "PNN outer mat": plain(lambda c: ctr.PNN(c, use_inner=False, use_outter=True, **small)),
        "PNN outer vec": plain(lambda c: ctr.PNN(c, use_outter=True, kernel_type="vec", **small)),
        "PNN outer num": plain(lambda c: ctr.PNN(c, use_outter=True, kernel_type="num", **small)),
        "CCPM": plain(lambda c: ctr.CCPM(c, c, dnn_hidden_units=(16,)), reals_too=False),
        "AFN": plain(lambda c: ctr.AFN(c, c, ltl_hidden_size=8, afn_dnn_hidden_units=(16, 8)), shared=False),
        "DIN": history(lambda c, h: ctr.DIN(c, h, **small)),
        "DIN softmax": history(lambda c, h: ctr.DIN(c, h, att_weight_normalization=True, **small)),
        "SharedBottom": plain(
            lambda c: ctr.SharedBottom(c, bottom_dnn_hidden_units=(16, 8), tower_dnn_hidden_units=(8,))
        ),
        "ESMM": plain(lambda c: ctr.ESMM(c, tower_dnn_hidden_units=(16, 8))),
        "MMOE": plain(lambda c: ctr.MMOE(c, expert_dnn_hidden_units=(16, 8), gate_dnn_hidden_units=(8,))),
        "PLE": plain(lambda c: ctr.PLE(c, expert_dnn_hidden_units=(16, 8), gate_dnn_hidden_units=(8,))),
    }
    for gru in ("GRU", "AIGRU", "AGRU", "AUGRU"):
        found[f"DIEN {gru}"] = history(
            functools.partial(lambda c, h, kind: ctr.DIEN(c, h, gru_type=kind, **small), kind=gru)
        )
    found["DIEN negatives"] = history(
        lambda c, h: ctr.DIEN(c, h, gru_type="AUGRU", use_negsampling=True, **small), negatives=True
    )
    return [Model(name=name, build=build) for name, build in found.items()]
