"""torchrec: its models on keyed jagged tensors, given as they are and made inside from padded ids."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Generator, Tensor, nn
from torchrec import EmbeddingBagCollection, EmbeddingCollection, KeyedJaggedTensor
from torchrec.models.deepfm import SimpleDeepFMNN
from torchrec.models.dlrm import DLRM, DLRM_DCN, DLRM_Projection
from torchrec.modules.embedding_configs import EmbeddingBagConfig, EmbeddingConfig, PoolingType

from coverage_models import Built, Model, ids, reals, spread

KEYS = ("user", "item", "tags")
SIZES = {"user": 5000, "item": 3000, "tags": 60}
DIM, DENSE, LENGTH = 8, 5, 4


def bags(pooling: PoolingType = PoolingType.SUM) -> EmbeddingBagCollection:
    return EmbeddingBagCollection(
        tables=[
            EmbeddingBagConfig(
                name=f"table_{key}",
                embedding_dim=DIM,
                num_embeddings=SIZES[key],
                feature_names=[key],
                pooling=pooling,
            )
            for key in KEYS
        ]
    )


def rows() -> EmbeddingCollection:
    return EmbeddingCollection(
        tables=[
            EmbeddingConfig(
                name=f"table_{key}", embedding_dim=DIM, num_embeddings=SIZES[key], feature_names=[key]
            )
            for key in KEYS
        ]
    )


class Padded(nn.Module):
    """The model on `[batch, keys]`: one id a key, as in click logs; the jagged tensor is made inside."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, dense: Tensor, values: Tensor) -> Any:
        lengths = torch.ones(values.numel(), dtype=torch.int64)
        return self.model(dense, KeyedJaggedTensor(list(KEYS), values.t().reshape(-1), lengths=lengths))


class Pooled(nn.Module):
    """The pooled embeddings of each key."""

    def __init__(self, collection: nn.Module) -> None:
        super().__init__()
        self.collection = collection

    def forward(self, sparse: KeyedJaggedTensor) -> Any:
        return self.collection(sparse).values()


class Rows(nn.Module):
    """The embeddings of each id of each key, one after the other."""

    def __init__(self, collection: nn.Module) -> None:
        super().__init__()
        self.collection = collection

    def forward(self, sparse: KeyedJaggedTensor) -> Any:
        found = self.collection(sparse)
        return tuple(found[key].values() for key in KEYS)


def jagged(generator: Generator, batch: int) -> KeyedJaggedTensor:
    """As many ids in all for every draw, spread over the bags by chance: an artifact has room for so many."""
    bags = ids(generator, 0, len(KEYS) * batch, len(KEYS) * batch * LENGTH // 2)
    lengths = torch.bincount(bags, minlength=len(KEYS) * batch).reshape(len(KEYS), batch)
    counts = lengths.sum(dim=1).tolist()
    values = [ids(generator, 0, SIZES[key], count) for key, count in zip(KEYS, counts, strict=True)]
    return KeyedJaggedTensor(list(KEYS), torch.cat(values), lengths=lengths.reshape(-1))


def with_dense(generator: Generator, batch: int) -> tuple[Tensor, KeyedJaggedTensor]:
    return reals(generator, batch, DENSE), jagged(generator, batch)


def padded(generator: Generator, batch: int) -> tuple[Tensor, Tensor]:
    columns = [ids(generator, 0, SIZES[key], batch) for key in KEYS]
    return reals(generator, batch, DENSE), torch.stack(columns, dim=1)


def built(make: Callable[[], nn.Module], draw: Any, batched: bool = True) -> Callable[[], Built]:
    return lambda: Built(module=spread(make()), draw=draw, batched=batched)


def dlrm(kind: type[DLRM] = DLRM, pooling: PoolingType = PoolingType.SUM, **more: Any) -> nn.Module:
    return kind(
        embedding_bag_collection=bags(pooling),
        dense_in_features=DENSE,
        dense_arch_layer_sizes=[16, DIM],
        over_arch_layer_sizes=[16, 1],
        **more,
    )


def models() -> list[Model]:
    projection = {
        "interaction_branch1_layer_sizes": [4 * DIM],
        "interaction_branch2_layer_sizes": [4 * DIM],
    }
    crossing = {"dcn_num_layers": 2, "dcn_low_rank_dim": 4}
    made: dict[str, Callable[[], nn.Module]] = {
        "DLRM": dlrm,
        "DLRM mean": lambda: dlrm(pooling=PoolingType.MEAN),
        "DLRM_DCN": lambda: dlrm(DLRM_DCN, **crossing),
        "DLRM_Projection": lambda: dlrm(DLRM_Projection, **projection),
        "DeepFM": lambda: SimpleDeepFMNN(
            num_dense_features=DENSE,
            embedding_bag_collection=bags(),
            hidden_layer_size=16,
            deep_fm_dimension=6,
        ),
    }
    found = []
    for name, make in made.items():
        found.append(Model(name=f"{name}, one id a key", build=built(lambda m=make: Padded(m()), padded)))
        found.append(Model(name=f"{name}, jagged", build=built(make, with_dense, batched=False)))
    only = lambda generator, batch: (jagged(generator, batch),)  # noqa: E731
    found.append(Model(name="EmbeddingBagCollection", build=built(lambda: Pooled(bags()), only, False)))
    found.append(Model(name="EmbeddingCollection", build=built(lambda: Rows(rows()), only, False)))
    return found
