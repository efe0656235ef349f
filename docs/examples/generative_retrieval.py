"""Generative retrieval: encoder and decoder step in one Core ML package, beam search beside it.

python docs/examples/generative_retrieval.py FOLDER
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

import pocketrec
from pocketrec.contract import Contract, Dim, Feature, Output, Signature, VocabularySpec
from pocketrec.convert.capture.capture import Capture, capture
from pocketrec.convert.coreml.lower import to_coreml
from pocketrec.convert.coreml.multifunction import to_multifunction
from pocketrec.package.host.beam import PrefixTrie, beam_search
from pocketrec.validate.runtimes.generation import decoder_step

LEVELS, CODES, WIDTH, SOURCE = 3, 6, 16, 6
TOKENS = 1 + LEVELS * CODES  # 0 pads, and starts every prefix


class Attention(nn.Module):
    """Two heads without bias, a learned bias per distance as in T5, and a float mask."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.query, self.key, self.value, self.out = (nn.Linear(WIDTH, WIDTH, bias=False) for _ in range(4))
        self.distance = nn.Parameter(torch.randn(2, size, size) / 2)

    def forward(self, x: Tensor, memory: Tensor, mask: Tensor) -> Tensor:
        def heads(values: Tensor) -> Tensor:
            return values.unflatten(-1, (2, WIDTH // 2)).transpose(1, 2)

        q, k, v = heads(self.query(x)), heads(self.key(memory)), heads(self.value(memory))
        scores = q @ k.transpose(2, 3) + self.distance[:, : x.shape[1], : memory.shape[1]]
        weights = (scores + (1 - mask) * -1e4).softmax(-1)
        mixed: Tensor = self.out((weights @ v).transpose(1, 2).flatten(2))
        return mixed


class GenerativeRecommender(nn.Module):
    """An encoder over the tokens of a history, and a decoder that spells the next item."""

    def __init__(self) -> None:
        super().__init__()
        self.token = nn.Embedding(TOKENS, WIDTH)
        self.norms = nn.ModuleList(nn.RMSNorm(WIDTH) for _ in range(5))
        self.encoder, self.decoder, self.cross = Attention(SOURCE), Attention(SOURCE), Attention(SOURCE)
        self.feed = nn.Sequential(nn.Linear(WIDTH, 2 * WIDTH), nn.ReLU(), nn.Linear(2 * WIDTH, WIDTH))

    def encode(self, history: Tensor) -> Tensor:
        """One vector per token of the history."""
        x = self.token(history)
        y = self.norms[0](x)
        x = x + self.encoder(y, y, (history != 0).float()[:, None, None])
        encoded: Tensor = self.norms[1](x + self.feed(x))
        return encoded

    def decode(self, history: Tensor, memory: Tensor, prefix: Tensor) -> Tensor:
        """Logits of the token after each place of the prefix."""
        x = self.token(prefix)
        length = prefix.shape[1]
        y = self.norms[2](x)
        x = x + self.decoder(y, y, torch.ones(length, length).tril()[None, None])
        x = x + self.cross(self.norms[3](x), memory, (history != 0).float()[:, None, None])
        logits: Tensor = self.norms[4](x + self.feed(x)) @ self.token.weight.T
        return logits

    @torch.no_grad()
    def generate(self, history: Tensor, items: Tensor, beam_width: int) -> tuple[Tensor, Tensor]:
        """Places in `items` and their log-probabilities, of one history; the model's own search."""
        memory, beams, scores = self.encode(history), torch.zeros(1, 1, dtype=torch.long), torch.zeros(1)
        for depth in range(LEVELS):
            rows = (each.expand(len(beams), *each.shape[1:]) for each in (history, memory))
            logs = self.decode(*rows, beams)[:, -1].log_softmax(-1)
            begins = (items[None, :, :depth] == beams[:, None, 1:]).all(-1)
            follows = nn.functional.one_hot(items[:, depth], TOKENS)
            logs = logs.masked_fill((begins.long() @ follows) == 0, -torch.inf)
            flat = (scores[:, None] + logs).flatten()
            scores, best = flat.topk(min(beam_width, int(flat.isfinite().sum())))
            beams = torch.cat([beams[best // TOKENS], best[:, None] % TOKENS], 1)
        return (beams[:, None, 1:] == items[None]).all(-1).int().argmax(1), scores


def contract() -> Contract:
    """Two functions: `encode` once for each user, `decode` once for each token of the answer."""

    def ids(name: str, length: int) -> Feature:
        return Feature(
            name=name, kind="id_sequence", shape=("batch", length), vocabulary="token", padding_side="right"
        )

    memory = Output(name="memory", meaning="embedding", shape=("batch", SOURCE, WIDTH))
    given = Feature(
        name="memory",
        kind="dense",
        dtype="float32",
        shape=("batch", SOURCE, WIDTH),
        minimum=-2,
        maximum=2,
    )
    logits = Output(name="logits", meaning="logit", shape=("batch", LEVELS, TOKENS), vocabulary="token")
    decoded = (ids("history", SOURCE), given, ids("prefix", LEVELS))
    return Contract(
        functions={
            "encode": Signature(method="encode", inputs=(ids("history", SOURCE),), outputs=(memory,)),
            "decode": Signature(method="decode", inputs=decoded, outputs=(logits,)),
        },
        dims={"batch": Dim(max=8)},
        vocabularies={"token": VocabularySpec(size=TOKENS, padding_id=0)},
    )


def catalogue(count: int = 40) -> list[tuple[int, ...]]:
    """The semantic ids of `count` items: a token of each level, no two items alike."""
    rng = np.random.default_rng(0)
    drawn = rng.permutation(CODES**LEVELS)[:count]
    codes = np.stack(np.unravel_index(drawn, (CODES,) * LEVELS), 1)
    return [tuple(int(code) + 1 + CODES * level for level, code in enumerate(row)) for row in codes]


def captures(model: nn.Module) -> dict[str, Capture]:
    """Both functions, captured on random inputs."""
    generator = torch.Generator().manual_seed(0)

    def probe(batch: int) -> dict[str, Tensor]:
        history = torch.randint(1, TOKENS, (batch, SOURCE), generator=generator, dtype=torch.int32)
        prefix = torch.randint(0, TOKENS, (batch, LEVELS), generator=generator, dtype=torch.int32)
        memory = torch.randn(batch, SOURCE, WIDTH, generator=generator)
        return {"history": history, "memory": memory, "prefix": prefix}

    probes = [probe(3), probe(1)]
    return {name: capture(model, contract(), name, probes) for name in contract().functions}


def to_one_package(captured: dict[str, Capture], folder: Path) -> Path:
    """The package with both functions; their weights are stored once."""
    apart = {
        name: to_coreml(
            each, folder / f"{name}.mlpackage", precision="float32", minimum_deployment_target="iOS18"
        )
        for name, each in captured.items()
    }
    return to_multifunction(apart, folder / "generative.mlpackage")


def main(folder: Path) -> None:
    """Convert the model, then search with the package as an application would."""
    torch.manual_seed(0)
    package = to_one_package(captures(GenerativeRecommender().eval()), folder)
    trie = PrefixTrie(catalogue())
    history = np.array([[1, 8, 14, 3, 9, 0]], np.int32)
    with (
        pocketrec.open(package, "coreml-interpreter", function="encode") as encoder,
        pocketrec.open(package, "coreml-interpreter", function="decode") as decoder,
    ):
        memory = encoder.run({"history": history})["memory"]
        given = {"history": history, "memory": memory}
        step = decoder_step(decoder, contract(), "decode", given, tokens="prefix", output="logits")
        found = beam_search(step, trie, beam_width=5)
    for item, score in zip(found.items, found.scores, strict=True):
        print(f"item {item}: log-probability {score:.3f}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
