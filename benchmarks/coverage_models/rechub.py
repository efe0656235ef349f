"""torch-rechub: every ranking, matching, multi-task and generative model."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import Generator, Tensor, nn
from torch_rechub.basic.features import DenseFeature, SequenceFeature, SparseFeature
from torch_rechub.models import generative, matching, multi_task, ranking
from torch_rechub.models.matching import dssm_senet

from coverage_models import Built, Model, histories, ids, reals, spread

DIM, LENGTH, ITEMS, SHOPS = 8, 10, 3000, 40
MLP = {"dims": [16, 8], "dropout": 0.1, "activation": "relu"}
TOWER = {"dims": [16, DIM], "dropout": 0.1, "activation": "relu"}

Columns = dict[str, tuple[str, int]]


def sparse(name: str, size: int = 50, **more: Any) -> SparseFeature:
    return SparseFeature(name, vocab_size=size, embed_dim=DIM, **more)


def sequence(name: str, size: int = ITEMS, pooling: str = "mean", **more: Any) -> SequenceFeature:
    return SequenceFeature(name, vocab_size=size, embed_dim=DIM, pooling=pooling, **more)


def fields() -> list[SparseFeature]:
    return [sparse("user", 5000), sparse("item", ITEMS), sparse("city"), sparse("device", 7)]


def dense() -> list[DenseFeature]:
    return [DenseFeature("age"), DenseFeature("price")]


def mixed() -> list[Any]:
    """Sparse, pooled sequences of both kinds, and dense."""
    pooled = [
        sequence("hist", shared_with="item", padding_idx=0),
        sequence("tags", 60, pooling="sum", padding_idx=0),
    ]
    return [*fields(), *pooled, *dense()]


class Inputs(nn.Module):
    """The model on one argument: a dict of its features."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, features: dict[str, Tensor]) -> Any:
        return self.model(features)


def draw_features(
    features: list[Any], generator: Generator, batch: int, *, full: bool = False
) -> tuple[dict[str, Tensor]]:
    values: dict[str, Tensor] = {}
    for each in features:
        if isinstance(each, DenseFeature):
            values[each.name] = reals(generator, batch)
        elif isinstance(each, SequenceFeature):
            values[each.name] = histories(generator, batch, LENGTH, each.vocab_size, full=full)[0]
        else:
            values[each.name] = ids(generator, 1, each.vocab_size, batch)
    return (values,)


def built(model: nn.Module, features: list[Any], mode: str | None = None) -> Built:
    if mode is not None:
        model.mode = mode  # type: ignore[assignment]
    return Built(module=spread(model), draw=functools.partial(draw_features, features))


def plain(make: Callable[[list[Any]], nn.Module], columns: Callable[[], list[Any]]) -> Callable[[], Built]:
    def build() -> Built:
        features = columns()
        return built(make(features), features)

    return build


def dcn_v2(features: list[Any], structure: str, mixture: bool) -> nn.Module:
    return ranking.DCNv2(features, 2, dict(MLP), model_structure=structure, use_low_rank_mixture=mixture)


def ffm_columns() -> list[SparseFeature]:
    """A row for every pair of an id and another field."""
    return [sparse(each.name, each.vocab_size * len(fields())) for each in fields()]


def with_history(
    make: Callable[..., nn.Module], negatives: bool = False, reals_too: bool = True
) -> Callable[[], Built]:
    def build() -> Built:
        context = [sparse("user", 5000), sparse("city"), *(dense() if reals_too else [])]
        target = [sparse("item", ITEMS, padding_idx=0), sparse("shop", SHOPS, padding_idx=0)]
        history, negative = (
            [
                sequence(f"{prefix}_item", pooling="concat", shared_with="item", padding_idx=0),
                sequence(f"{prefix}_shop", SHOPS, pooling="concat", shared_with="shop", padding_idx=0),
            ]
            for prefix in ("hist", "neg")
        )
        more = [negative] if negatives else []
        model = make(context, history, *more, target)
        return built(model, [*context, *history, *(negative if negatives else []), *target])

    return build


def din(context: list[Any], history: list[Any], target: list[Any], softmax: bool = False) -> nn.Module:
    attention = {"dims": [16], "activation": "dice", "use_softmax": softmax}
    return ranking.DIN(context, history, target, {"dims": [16]}, attention)


def bst(context: list[Any], history: list[Any], target: list[Any]) -> nn.Module:
    return ranking.BST(context, history, target, dict(MLP), nhead=2)


def dien(context: list[Any], history: list[Any], negative: list[Any], target: list[Any]) -> nn.Module:
    return ranking.DIEN(context, history, negative, target, {"dims": [16]})


def ranking_models() -> dict[str, Callable[[], Built]]:
    return {
        "WideDeep": plain(lambda f: ranking.WideDeep(f, f, dict(MLP)), mixed),
        "DeepFM": plain(lambda f: ranking.DeepFM(f, f[:4], dict(MLP)), mixed),
        "DCN": plain(lambda f: ranking.DCN(f, 2, dict(MLP)), mixed),
        "DCNv2": plain(lambda f: dcn_v2(f, "parallel", True), mixed),
        "DCNv2 stacked": plain(lambda f: dcn_v2(f, "stacked", False), mixed),
        "DCNv2 crossnet_only": plain(lambda f: dcn_v2(f, "crossnet_only", True), mixed),
        "EDCN": plain(lambda f: ranking.EDCN(f, 2, dict(MLP)), mixed),
        "EDCN attention_pooling": plain(
            lambda f: ranking.EDCN(f, 2, dict(MLP), bridge_type="attention_pooling"), mixed
        ),
        "EDCN concatenation": plain(
            lambda f: ranking.EDCN(f, 2, dict(MLP), bridge_type="concatenation"), mixed
        ),
        "AFM": plain(lambda f: ranking.AFM(f, DIM), fields),
        "FiBiNet": plain(lambda f: ranking.FiBiNet(f, dict(MLP)), fields),
        "FiBiNet field_each": plain(
            lambda f: ranking.FiBiNet(f, dict(MLP), bilinear_type="field_each"), fields
        ),
        "FiBiNet field_all": plain(
            lambda f: ranking.FiBiNet(f, dict(MLP), bilinear_type="field_all"), fields
        ),
        "DeepFFM": plain(lambda f: ranking.DeepFFM(f, ffm_columns(), DIM, dict(MLP)), fields),
        "FatDeepFFM": plain(lambda f: ranking.FatDeepFFM(f, ffm_columns(), DIM, 2, dict(MLP)), fields),
        "AutoInt": plain(
            lambda f: ranking.AutoInt(f[:4], f[4:], mlp_params=dict(MLP)), lambda: [*fields(), *dense()]
        ),
        "BST": with_history(bst),
        "DIN": with_history(din, reals_too=False),
        "DIN softmax": with_history(functools.partial(din, softmax=True), reals_too=False),
        "DIEN": with_history(dien, negatives=True),
    }


def tasks(make: Callable[[list[Any]], nn.Module]) -> Callable[[], Built]:
    return plain(make, mixed)


def multi_task_models() -> dict[str, Callable[[], Built]]:
    towers = [{"dims": [8]}, {"dims": [8]}]
    bottom = {"dims": [16, 8], "dropout": 0.1}
    kinds = ["classification", "regression"]

    def esmm() -> Built:
        users, items = [sparse("user", 5000), sparse("city")], [sparse("item", ITEMS), sparse("shop", SHOPS)]
        return built(multi_task.ESMM(users, items, dict(bottom), dict(bottom)), [*users, *items])

    return {
        "SharedBottom": tasks(lambda f: multi_task.SharedBottom(f, kinds, dict(bottom), towers)),
        "ESMM": esmm,
        "MMOE": tasks(lambda f: multi_task.MMOE(f, kinds, 3, dict(bottom), towers)),
        "PLE": tasks(lambda f: multi_task.PLE(f, kinds, 2, 2, 1, dict(bottom), towers)),
        "AITM": tasks(lambda f: multi_task.AITM(f, 2, dict(bottom), towers)),
    }


def user_columns() -> list[Any]:
    return [sparse("user", 5000), sparse("city")]


def item_columns() -> list[Any]:
    return [sparse("item", ITEMS), sparse("shop", SHOPS)]


def history_columns(pooling: str = "concat") -> list[Any]:
    return [sequence("hist", pooling=pooling, shared_with="item", padding_idx=0)]


def negative_columns() -> list[Any]:
    return [sequence("neg", pooling="concat", shared_with="item")]


def two_tower(kind: Callable[..., nn.Module], mode: str | None) -> Callable[[], Built]:
    def build() -> Built:
        users, items = [*user_columns(), *history_columns("mean")], item_columns()
        model = kind(users, items, user_params=dict(TOWER), item_params=dict(TOWER))
        wanted = {None: [*users, *items], "user": users, "item": items}[mode]
        return built(model, wanted, mode)

    return build


def facebook(mode: str | None) -> Callable[[], Built]:
    def build() -> Built:
        users, items = [*user_columns(), *history_columns("mean")], item_columns()
        negatives = [
            sparse("neg_item", ITEMS, shared_with="item"),
            sparse("neg_shop", SHOPS, shared_with="shop"),
        ]
        model = matching.FaceBookDSSM(users, items, negatives, dict(TOWER), dict(TOWER))
        wanted = {None: [*users, *items, *negatives], "user": users, "item": [*items, *negatives]}[mode]
        return built(model, wanted, mode)

    return build


def sbc(mode: str | None) -> Callable[[], Built]:
    def build() -> Built:
        users, items = [*user_columns(), *history_columns("mean")], item_columns()
        weight = [DenseFeature("weight")]
        model = matching.YoutubeSBC(users, items, weight, dict(TOWER), dict(TOWER), batch_size=4)
        wanted = {None: [*users, *items, *weight], "user": users, "item": items}[mode]
        return built(model, wanted, mode)

    return build


def listwise(make: Callable[..., nn.Module], mode: str | None, split: bool = True) -> Callable[[], Built]:
    """Models over a history, one item and negatives; `split` where the history is an argument of its own."""

    def build() -> Built:
        users, items = user_columns(), [sparse("item", ITEMS)]
        history, negatives = history_columns("concat" if split else "mean"), negative_columns()
        model = (
            make(users, history, items, negatives) if split else make([*users, *history], items, negatives)
        )
        wanted = {None: [*users, *history, *items, *negatives], "user": [*users, *history], "item": items}[
            mode
        ]
        return built(model, wanted, mode)

    return build


def sine(mode: str | None) -> Callable[[], Built]:
    def build() -> Built:
        model = matching.SINE(
            ["hist"], ["item"], ["neg"], ITEMS, DIM, DIM, num_concept=10, num_intention=3, seq_max_len=LENGTH
        )
        features = [*history_columns(), sparse("item", ITEMS), *negative_columns()]
        wanted = {None: features, "user": features[:1], "item": features[1:2]}[mode]
        return built(model, wanted, mode)

    return build


def session(make: Callable[..., nn.Module], mode: str | None) -> Callable[[], Built]:
    def build() -> Built:
        history = SequenceFeature("hist", vocab_size=ITEMS, embed_dim=DIM, pooling="concat")
        found = built(make(history), [history], mode)
        return dataclasses.replace(found, draw=functools.partial(draw_features, [history], full=True))

    return build


def sasrec(mode: str | None) -> Callable[[], Built]:
    def build() -> Built:
        features = [
            sequence("seq", pooling="concat"),
            sequence("pos", pooling="concat", shared_with="seq"),
            sequence("neg", pooling="concat", shared_with="seq"),
        ]
        model = matching.SASRec(features, max_len=LENGTH, num_heads=2)
        return built(model, features if mode is None else features[:1], mode)

    return build


def matching_models() -> dict[str, Callable[[], Built]]:
    params = dict(TOWER)

    def gru(users: list[Any], history: list[Any], items: list[Any], negatives: list[Any]) -> nn.Module:
        return matching.GRU4Rec(users, history, items, negatives, {"dims": [16, DIM], "activation": "relu"})

    def youtube(users: list[Any], items: list[Any], negatives: list[Any]) -> nn.Module:
        return matching.YoutubeDNN(users, items, negatives, params, temperature=0.5)

    families: dict[str, Callable[[str | None], Callable[[], Built]]] = {
        "DSSM": lambda mode: two_tower(matching.DSSM, mode),
        "DSSM senet": lambda mode: two_tower(dssm_senet.DSSM, mode),
        "FaceBookDSSM": facebook,
        "YoutubeDNN": lambda mode: listwise(youtube, mode, split=False),
        "YoutubeSBC": sbc,
        "MIND": lambda mode: listwise(functools.partial(matching.MIND, max_length=LENGTH), mode),
        "MIND dynamic": lambda mode: listwise(
            functools.partial(matching.MIND, max_length=LENGTH, dynamic_interest=True), mode
        ),
        "ComirecDR": lambda mode: listwise(functools.partial(matching.ComirecDR, max_length=LENGTH), mode),
        "ComirecSA": lambda mode: listwise(matching.ComirecSA, mode),
        "GRU4Rec": lambda mode: listwise(gru, mode),
        "SINE": sine,
        "NARM": lambda mode: session(
            lambda each: matching.NARM(each, hidden_dim=12, emb_dropout_p=0.1, session_rep_dropout_p=0.1),
            mode,
        ),
        "STAMP": lambda mode: session(lambda each: matching.STAMP(each, weight_std=0.2, emb_std=0.2), mode),
        "SASRec": sasrec,
    }
    found: dict[str, Callable[[], Built]] = {}
    for name, family in families.items():
        found[name] = family(None)
        found[f"{name} user"] = family("user")
        if name not in ("NARM", "STAMP", "SASRec"):
            found[f"{name} item"] = family("item")
    return found


def hstu(**more: Any) -> Callable[[], Built]:
    def build() -> Built:
        model = generative.HSTUModel(
            ITEMS, d_model=16, n_heads=2, n_layers=2, dqk=8, dv=8, max_seq_len=20, **more
        )

        def draw(generator: Generator, batch: int) -> tuple[Tensor, Tensor]:
            tokens, _ = histories(generator, batch, LENGTH, ITEMS)
            return tokens, ids(generator, 0, 200_000, batch, LENGTH)

        return Built(module=spread(model), draw=draw)

    return build


def hllm() -> Built:
    table = torch.randn(500, 16, generator=Generator().manual_seed(1))
    model = generative.HLLMModel(table, 500, d_model=16, n_heads=2, n_layers=2, max_seq_len=20)

    def draw(generator: Generator, batch: int) -> tuple[Tensor, Tensor]:
        return ids(generator, 1, 500, batch, LENGTH), ids(generator, 0, 200_000, batch, LENGTH)

    return Built(module=spread(model), draw=draw)


class Scores(nn.Module):
    """A sequence-to-sequence model's logits for one decoder input."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, tokens: Tensor, mask: Tensor, prefix: Tensor) -> Tensor:
        answer = self.model(
            input_ids=tokens,
            attention_mask=mask,
            decoder_input_ids=prefix,
            use_cache=False,
            return_dict=False,
        )
        logits: Tensor = answer[0]
        return logits


def tiger() -> Built:
    from transformers import T5Config

    config = T5Config(
        vocab_size=300, d_model=32, d_kv=8, d_ff=64, num_layers=2, num_heads=4, decoder_start_token_id=0
    )
    model = generative.TIGERModel(config)

    def draw(generator: Generator, batch: int) -> tuple[Tensor, Tensor, Tensor]:
        tokens, _ = histories(generator, batch, LENGTH, 300)
        return tokens, (tokens != 0).long(), ids(generator, 1, 300, batch, 3)

    return Built(module=spread(Scores(model)), draw=draw)


class SemanticIds(nn.Module):
    """The codes of an item's embedding."""

    def __init__(self, model: nn.Module, sinkhorn: bool) -> None:
        super().__init__()
        self.model = model
        self.sinkhorn = sinkhorn

    def forward(self, embedding: Tensor) -> Any:
        return self.model(embedding, use_sk=self.sinkhorn)


def rqvae() -> Built:
    model = generative.RQVAEModel(
        in_dim=24, num_emb_list=[16, 16, 16], e_dim=8, layers=[32, 16], sk_epsilons=[0.0, 0.0, 0.0]
    )
    return Built(
        module=SemanticIds(spread(model), False).eval(), draw=lambda g, n: (torch.randn(n, 24, generator=g),)
    )


def models() -> list[Model]:
    generative_models: dict[str, Callable[[], Built]] = {
        "HSTU": hstu(),
        "HSTU untied, l2": hstu(tie_embeddings=False, score_norm="l2", time_bucket_fn="log"),
        "HLLM": hllm,
        "TIGER": tiger,
        "RQVAE": rqvae,
    }
    groups = (ranking_models(), matching_models(), multi_task_models(), generative_models)
    return [Model(name=name, build=build) for group in groups for name, build in group.items()]
