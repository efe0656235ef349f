"""MiniLM: BERT's own numbers, vectors that padding does not move, and titles that are found."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from pocketrec.model_zoo.data import known_items, movielens
from pocketrec.model_zoo.data.folders import cache_folder
from pocketrec.model_zoo.families import minilm
from pocketrec.model_zoo.registry import FAMILIES
from pocketrec.model_zoo.training.bm25 import reciprocal_rank
from pocketrec.model_zoo.training.loop import score_all
from pocketrec.model_zoo.training.run import Run

DIM, HEADS = 8, 2
TEXT = torch.tensor([[2, 7, 9, 3]], dtype=torch.int32)


def tiny(**more: int) -> minilm.MiniLM:
    torch.manual_seed(0)
    numbers = {"num_items": 6, "num_words": 11, "positions": 9, "dim": DIM, "heads": HEADS, "hidden": 16}
    return minilm.model(**{**numbers, "layers": 2, "kept": DIM, "top_k": 4, **more})


def bert() -> Iterator[tuple[str, Tensor]]:
    """Weights under BERT's names, of the size of `tiny`, with a pooler that nobody asks for."""
    torch.manual_seed(1)
    for name, rows in (("word", 12), ("position", 9), ("token_type", 2)):
        yield f"embeddings.{name}_embeddings.weight", torch.randn(rows, DIM)
    sizes = {
        **dict.fromkeys(("attention.self.query", "attention.self.key", "attention.self.value"), (DIM, DIM)),
        **{"attention.output.dense": (DIM, DIM), "attention.output.LayerNorm": (DIM,)},
        **{"intermediate.dense": (16, DIM), "output.dense": (DIM, 16), "output.LayerNorm": (DIM,)},
    }
    layers = {f"encoder.layer.{i}.{name}": size for i in range(2) for name, size in sizes.items()}
    for name, size in {"embeddings.LayerNorm": (DIM,), **layers, "pooler.dense": (DIM, DIM)}.items():
        yield f"{name}.weight", torch.randn(size)
        yield f"{name}.bias", torch.randn(size[0])


def test_a_text_has_the_vector_that_bert_and_the_mean_of_its_words_give() -> None:
    w = {name: each.numpy().astype(np.float64) for name, each in bert()}
    net = tiny()
    net.load_state_dict({"titles": net.titles, **dict(minilm.renamed(dict(bert())))})

    def dense(name: str, x: np.ndarray) -> np.ndarray:
        return x @ w[f"{name}.weight"].T + w[f"{name}.bias"]

    def norm(name: str, x: np.ndarray) -> np.ndarray:
        x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-12)
        return x * w[f"{name}.weight"] + w[f"{name}.bias"]

    def gelu(x: np.ndarray) -> np.ndarray:
        return np.asarray(x * torch.special.ndtr(torch.from_numpy(x)).numpy())

    ids = TEXT[0].numpy()
    types = w["embeddings.token_type_embeddings.weight"][0]
    places = w["embeddings.position_embeddings.weight"][: len(ids)]
    x = norm("embeddings.LayerNorm", w["embeddings.word_embeddings.weight"][ids] + places + types)
    for layer in ("encoder.layer.0", "encoder.layer.1"):
        heads = []
        for part in np.split(np.arange(DIM), HEADS):
            q, k, v = (dense(f"{layer}.attention.self.{n}", x)[:, part] for n in ("query", "key", "value"))
            scores = np.exp(q @ k.T / np.sqrt(len(part)))
            heads.append(scores / scores.sum(-1, keepdims=True) @ v)
        attended = dense(f"{layer}.attention.output.dense", np.concatenate(heads, -1))
        x = norm(f"{layer}.attention.output.LayerNorm", x + attended)
        grown = dense(f"{layer}.output.dense", gelu(dense(f"{layer}.intermediate.dense", x)))
        x = norm(f"{layer}.output.LayerNorm", x + grown)
    mean = x.mean(0)
    found = net.embed(TEXT)[0].detach().numpy()
    np.testing.assert_allclose(found, mean / np.linalg.norm(mean), atol=1e-6)


def test_padding_moves_nothing_and_a_text_of_padding_alone_is_a_number() -> None:
    net = tiny()
    padded = torch.nn.functional.pad(TEXT, (0, 3))
    torch.testing.assert_close(net.embed(padded), net.embed(TEXT), atol=1e-6, rtol=0)
    assert torch.isfinite(net.embed(torch.zeros(1, 4, dtype=torch.int32))).all()


def test_the_nearest_titles_are_listed_by_their_ids_from_one() -> None:
    net = tiny()
    net.titles.copy_(torch.nn.functional.normalize(torch.randn(6, DIM), dim=-1))
    scores, ids = net(TEXT)
    assert (ids.dtype, ids.shape, scores.shape) == (torch.int32, (1, 4), (1, 4))
    expected = (net.embed(TEXT) @ net.titles.T)[0]
    assert ids[0].tolist() == (expected.argsort(descending=True)[:4] + 1).tolist()
    torch.testing.assert_close(scores[0], expected.sort(descending=True).values[:4])


def test_a_cut_keeps_the_first_dimensions_at_length_one() -> None:
    whole, cut = tiny(), tiny(kept=3)
    first = whole.embed(TEXT)[:, :3]
    torch.testing.assert_close(cut.embed(TEXT), first / first.norm(dim=-1, keepdim=True))


@pytest.mark.long
@pytest.mark.parametrize("kept", [384, 8])
def test_films_are_found_by_mistyped_titles_and_by_eight_dimensions_are_not(kept: int) -> None:
    """The real weights; embedding the titles takes half a minute of a processor."""
    if not Path(cache_folder("all-minilm-l6-v2")).is_dir():
        pytest.skip("not run: `pocketrec zoo data all-minilm-l6-v2` fetches the weights")
    net = minilm.searching(movielens.item_titles().tokens[1:], Run(rng=np.random.default_rng(0)), kept)
    data = known_items.films()
    scores = score_all(lambda batch: net.scores(batch["text"]), data.inputs)
    floor = FAMILIES["minilm"].floor("mrr@10")
    assert (reciprocal_rank(scores, data.positives - 1) >= floor) == (kept == 384)
