"""torchfm: every model. All take an integer matrix `[batch, fields]`."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from torch import Generator, Tensor, nn, stack
from torchfm.model import afi, afm, afn, dcn, dfm, ffm, fm, fnfm, fnn, lr, ncf, nfm, pnn, wd, xdfm

from coverage_models import Built, Model, ids, spread

FIELDS = [3000, 500, 40, 7, 2]
DIM, MLP = 8, (16, 8)


def draw(generator: Generator, batch: int) -> tuple[Tensor]:
    return (stack([ids(generator, 0, size, batch) for size in FIELDS], dim=1),)


def build(make: Callable[[], nn.Module]) -> Built:
    return Built(module=spread(make()), draw=draw)


def models() -> list[Model]:
    sizes = np.array(FIELDS)
    found: dict[str, Callable[[], Any]] = {
        "LR": lambda: lr.LogisticRegressionModel(sizes),
        "FM": lambda: fm.FactorizationMachineModel(sizes, DIM),
        "FFM": lambda: ffm.FieldAwareFactorizationMachineModel(sizes, DIM),
        "FNN": lambda: fnn.FactorizationSupportedNeuralNetworkModel(sizes, DIM, MLP, 0.1),
        "WideDeep": lambda: wd.WideAndDeepModel(sizes, DIM, MLP, 0.1),
        "IPNN": lambda: pnn.ProductNeuralNetworkModel(sizes, DIM, MLP, 0.1, method="inner"),
        "OPNN": lambda: pnn.ProductNeuralNetworkModel(sizes, DIM, MLP, 0.1, method="outer"),
        "DCN": lambda: dcn.DeepCrossNetworkModel(sizes, DIM, 2, MLP, 0.1),
        "NFM": lambda: nfm.NeuralFactorizationMachineModel(sizes, DIM, MLP, (0.1, 0.1)),
        "NCF": lambda: ncf.NeuralCollaborativeFiltering(sizes, np.array([0]), np.array([1]), DIM, MLP, 0.1),
        "FNFM": lambda: fnfm.FieldAwareNeuralFactorizationMachineModel(sizes, DIM, MLP, (0.1, 0.1)),
        "DeepFM": lambda: dfm.DeepFactorizationMachineModel(sizes, DIM, MLP, 0.1),
        "xDeepFM": lambda: xdfm.ExtremeDeepFactorizationMachineModel(sizes, DIM, MLP, 0.1, (8, 8)),
        "AFM": lambda: afm.AttentionalFactorizationMachineModel(sizes, DIM, 8, (0.1, 0.1)),
        "AutoInt": lambda: afi.AutomaticFeatureInteractionModel(sizes, DIM, 8, 2, 2, MLP, (0.1, 0.1, 0.1)),
        "AFN": lambda: afn.AdaptiveFactorizationNetwork(sizes, DIM, 16, MLP, (0.1, 0.1, 0.1)),
    }
    return [Model(name=name, build=functools.partial(build, make)) for name, make in found.items()]
