"""MiniLM: a text becomes a vector, and the items whose titles lie nearest are found (Wang et al., 2020).

BERT's encoder with six layers, distilled; a text's vector is the mean of its tokens' (Reimers and Gurevych,
2019), v = Σ_t h_t / T, made to have length 1. The weights are those of all-MiniLM-L6-v2; what is added is the
table of the titles' vectors. `kept` cuts vectors to their first dimensions (Kusupati et al., 2022).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import torch
import torch.nn.functional as F
from safetensors.torch import load
from torch import Tensor, nn

from pocketrec.errors import DataError
from pocketrec.model_zoo.data import movielens, office
from pocketrec.model_zoo.data.folders import folder
from pocketrec.model_zoo.data.texts import WORDS, encoded
from pocketrec.model_zoo.families.parts.attention import SelfAttention
from pocketrec.model_zoo.training.run import Run
from pocketrec.outside import read_file

TITLE_WORDS = 48  # word pieces of a title; two in a hundred of the shop's are longer
BATCH_SIZE = 64
_LARGEST = 1 << 27  # bytes; the weights are 9 · 10^7
_NAMES = {  # BERT's names of a layer's parts to ours
    "attention.self.query": "attention.query",
    "attention.self.key": "attention.key",
    "attention.self.value": "attention.value",
    "attention.output.dense": "attention.out",
    "attention.output.LayerNorm": "attention_norm",
    "intermediate.dense": "feed_forward.0",
    "output.dense": "feed_forward.2",
    "output.LayerNorm": "feed_forward_norm",
}


class Layer(nn.Module):
    """Attention and a feed-forward net, each added and then normalised."""

    def __init__(self, dim: int, heads: int, hidden: int, epsilon: float) -> None:
        super().__init__()
        self.attention = SelfAttention(dim, heads, dropout=0.0)
        self.attention_norm = nn.LayerNorm(dim, eps=epsilon)
        self.feed_forward = nn.Sequential(nn.Linear(dim, hidden), nn.GELU(), nn.Linear(hidden, dim))
        self.feed_forward_norm = nn.LayerNorm(dim, eps=epsilon)

    def forward(self, x: Tensor, allowed: Tensor) -> Tensor:
        """The layer's output `[B, T, d]`; `allowed` is bool `[B, 1, 1, T]`."""
        x = self.attention_norm(x + self.attention(x, allowed))
        out: Tensor = self.feed_forward_norm(x + self.feed_forward(x))
        return out


class MiniLM(nn.Module):
    """The encoder, and the vectors of the titles that are searched; row i is item id i + 1."""

    titles: Tensor

    def __init__(
        self,
        *,
        num_items: int,
        num_words: int,
        positions: int,
        dim: int,
        heads: int,
        hidden: int,
        layers: int,
        kept: int,
        top_k: int,
        epsilon: float,
    ) -> None:
        super().__init__()
        self.kept, self.top_k = kept, top_k
        self.word_embedding = nn.Embedding(num_words + 1, dim, padding_idx=0)
        self.position_embedding = nn.Embedding(positions, dim)
        self.norm = nn.LayerNorm(dim, eps=epsilon)
        self.layers = nn.ModuleList(Layer(dim, heads, hidden, epsilon) for _ in range(layers))
        self.register_buffer("titles", F.normalize(torch.randn(num_items, kept), dim=-1))

    def forward(self, text: Tensor) -> tuple[Tensor, Tensor]:
        """The best items' scores, float32 `[B, top_k]`, and ids, int32 `[B, top_k]`, best first."""
        top_k_scores, rows = torch.topk(self.scores(text), self.top_k, dim=-1)
        return top_k_scores, rows.to(torch.int32) + 1  # row 0 is item 1: padding is no item

    def scores(self, text: Tensor) -> Tensor:
        """Scores of all titles, `[B, items]`: cosines."""
        return self.embed(text) @ self.titles.T

    def embed(self, text: Tensor) -> Tensor:
        """Vectors of length 1, `[B, kept]`, of right-padded word pieces `[B, T]`."""
        real = text != 0
        # What is normalised begins with the words' and the places' vectors; those of padding count nowhere.
        x = self.norm(self.word_embedding(text) + self.position_embedding.weight[: text.shape[1]])
        for layer in self.layers:
            x = layer(x, real[:, None, None, :])
        counted = real.unsqueeze(-1).to(x.dtype)
        mean = (x * counted).sum(dim=1) / counted.sum(dim=1).clamp(min=1)
        return F.normalize(mean[:, : self.kept], dim=-1)

    @torch.no_grad()
    def freeze_titles(self, titles: Sequence[str], run: Run) -> None:
        """Fills `titles` with the vectors of the items' titles, from id 1 on."""
        starts = range(0, len(titles), BATCH_SIZE)
        parts = []
        for number, start in enumerate(starts, 1):
            pieces = encoded(titles[start : start + BATCH_SIZE], TITLE_WORDS)
            longest = max(int((pieces != 0).sum(axis=1).max()), 1)
            parts.append(self.embed(torch.from_numpy(pieces[:, :longest].copy())))
            run.progress(number, len(starts), 0.0)
        self.titles.copy_(torch.cat(parts))


def model(
    *,
    num_items: int,
    num_words: int = 30521,
    positions: int = 512,
    dim: int = 384,
    heads: int = 12,
    hidden: int = 1536,
    layers: int = 6,
    kept: int = 384,
    top_k: int = 100,
    epsilon: float = 1e-12,
) -> MiniLM:
    """A MiniLM in eval mode with random weights, and titles at random."""
    net = MiniLM(
        num_items=num_items,
        num_words=num_words,
        positions=positions,
        dim=dim,
        heads=heads,
        hidden=hidden,
        layers=layers,
        kept=kept,
        top_k=top_k,
        epsilon=epsilon,
    )
    return net.eval()


def train(run: Run) -> MiniLM:
    """all-MiniLM-L6-v2 with the titles of MovieLens-100K, in eval mode; nothing is trained anew."""
    return searching(movielens.item_titles().tokens[1:], run)


def train_office(run: Run, kept: int = 128) -> MiniLM:
    """As `train`, with the titles of amazon-office; vectors keep `kept` of their 384 dimensions."""
    return searching(office.item_titles().tokens[1:], run, kept)


def searching(titles: Sequence[str], run: Run, kept: int = 384) -> MiniLM:
    """all-MiniLM-L6-v2 that searches these titles, in eval mode."""
    net = model(num_items=len(titles), kept=kept)
    fill(net, titles, run)
    return net


def fill(net: MiniLM, titles: Sequence[str], run: Run) -> None:
    """Puts the weights of all-MiniLM-L6-v2 into `net`, and the vectors of the titles."""
    found = net.load_state_dict(pretrained(), strict=False)
    tables = [name for name, _ in net.named_buffers()]
    assert (found.missing_keys, found.unexpected_keys) == (tables, [])
    net.freeze_titles(titles, run)


def pretrained() -> dict[str, Tensor]:
    """The weights of all-MiniLM-L6-v2 under this module's names."""
    place = folder(WORDS) / "model.safetensors"
    content = read_file(place, largest=_LARGEST, error=DataError, remedy="remove it, and fetch it again")
    return dict(renamed(load(content)))


def renamed(weights: Mapping[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    """BERT's weights under this module's names.

    Every text is of BERT's first type, whose vector is added to every place's. The pooler is not used.
    """
    yield "word_embedding.weight", weights["embeddings.word_embeddings.weight"]
    first_type = weights["embeddings.token_type_embeddings.weight"][0]
    yield "position_embedding.weight", weights["embeddings.position_embeddings.weight"] + first_type
    for key, each in weights.items():
        part, _, kind = key.rpartition(".")
        if part == "embeddings.LayerNorm":
            yield f"norm.{kind}", each
        elif part.startswith("encoder.layer."):
            number, _, name = part.removeprefix("encoder.layer.").partition(".")
            yield f"layers.{number}.{_NAMES[name]}.{kind}", each
