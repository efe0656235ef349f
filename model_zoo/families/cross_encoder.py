"""A cross-encoder: a query and a title are read together, and one number comes out (Nogueira and Cho, 2019).

    s_i = w . h_[CLS]([CLS] q [SEP] d_i [SEP])        L = - log softmax_i(s_i), of the right title of a page

is theirs, with BERT for h (their section 3; their loss is of each pair). Here h is small, and reads q once
for all titles of a page: a title's words see the query's and each other, the query's see themselves. Words of
a title that are asked for are marked (Boualili et al., 2020, MarkedBERT), and instead of [CLS] every word of
a title has its say, s_i = sum_t w . h_t / sqrt(T). Words begin as the first components of MiniLM's; the
weights are left on a grid that 8-bit codes hold.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pocketrec.contract import Vocabulary
from pocketrec.model_zoo.data import office
from pocketrec.model_zoo.data.known_items import OFFICE_WORDS
from pocketrec.model_zoo.data.texts import END, START, encoded
from pocketrec.model_zoo.families.minilm import pretrained
from pocketrec.model_zoo.families.parts.attention import MASKED, Block
from pocketrec.model_zoo.training.grid import to_grid
from pocketrec.model_zoo.training.loop import Schedule, fit, measured, shuffled, to_tensors
from pocketrec.model_zoo.training.pages import office_pages
from pocketrec.model_zoo.training.run import Run

SCHEDULE = Schedule(epochs=6, patience=3, learning_rate=1e-3, weight_decay=0.05)
BATCH_SIZE = 8
DROPOUT = 0.2
OTHERS = 8  # titles of a page that are learned from beside the right one, drawn anew each time
FORGOTTEN = 0.15  # of a query's words, each time
SCALE = 0.2  # of words and marks at the beginning
TITLES: Mapping[str, Callable[[], Vocabulary]] = {"amazon-office": office.item_titles}


class Layer(Block):
    """A block whose places see another sequence, too, in the same attention."""

    def forward(self, x: Tensor, allowed: Tensor, before: Tensor | None = None) -> Tensor:
        """The layer's output `[B, T, d]`: `x` sees itself and `before` `[B, S, d]` where `allowed`."""
        seen = self.attention_norm(x)
        memory = seen if before is None else torch.cat([self.attention_norm(before), seen], dim=1)
        x = x + self.dropout(self.attention(seen, allowed, memory))
        out: Tensor = x + self.dropout(self.feed_forward(self.feed_forward_norm(x)))
        return out


class CrossEncoder(nn.Module):
    """Scores of the places of a page, from what is asked and the titles of the page's items.

    Attributes:
        titles: word pieces of all titles, `[items + 1, title_words]`; they are data, no weights.
    """

    titles: Tensor

    def __init__(
        self,
        *,
        num_items: int,
        num_words: int,
        query_words: int,
        title_words: int,
        table: int,
        dim: int,
        heads: int,
        layers: int,
        dropout: float,
    ) -> None:
        super().__init__()
        self.word_embedding = nn.Embedding(num_words + 1, table, padding_idx=0)
        self.widen = nn.Linear(table, dim)
        self.query_place = nn.Parameter(0.02 * torch.randn(query_words, dim))
        self.title_place = nn.Parameter(0.02 * torch.randn(title_words, dim))
        self.mark = nn.Parameter(SCALE * torch.randn(dim))
        self.layers = nn.ModuleList(Layer(dim, heads, dropout) for _ in range(layers))
        self.norm = nn.LayerNorm(dim)
        self.score = nn.Linear(dim, 1)
        titles = torch.randint(1, num_words + 1, (num_items + 1, title_words), dtype=torch.int32)
        self.register_buffer("titles", titles, persistent=False)

    def forward(self, candidates: Tensor, text: Tensor) -> Tensor:
        """Scores `[B, page]` of right-padded `candidates` `[B, page]` for right-padded `text` `[B, Q]`."""
        titles, page = self.titles[candidates], candidates.shape[1]
        marked = (titles.unsqueeze(-1) == text[:, None, None, :]).any(dim=-1, keepdim=True)
        x = self.widen(self.word_embedding(text)) + self.query_place
        y = self.widen(self.word_embedding(titles)) + self.title_place
        y = (y + marked.to(y.dtype) * self.mark).flatten(0, 1)
        asked, real = text != 0, titles.flatten(0, 1) != 0
        both = torch.cat([repeated(asked, page), real], dim=1)
        for layer in self.layers:
            x = layer(x, asked[:, None, None, :])
            y = layer(y, both[:, None, None, :], repeated(x, page))
        said = self.score(self.norm(y)).squeeze(-1) * real.to(y.dtype)
        scores: Tensor = (said.sum(dim=-1) * said.shape[-1] ** -0.5).unflatten(0, (-1, page))
        return scores.masked_fill(candidates == 0, MASKED)

    def know(self, titles: Sequence[str]) -> None:
        """Fills `titles` with those of the items, in the order of their ids."""
        self.titles.copy_(torch.from_numpy(encoded(titles, self.titles.shape[1])))


def repeated(x: Tensor, page: int) -> Tensor:
    """Each row of `x` `[B, ...]` once for every place of its page, `[B * page, ...]`."""
    return x.unsqueeze(1).expand(-1, page, *x.shape[1:]).flatten(0, 1)


def model(
    *,
    num_items: int,
    titles: str = "",
    num_words: int = 30521,
    query_words: int = OFFICE_WORDS,
    title_words: int = 32,
    table: int = 64,
    dim: int = 64,
    heads: int = 4,
    layers: int = 1,
    dropout: float = 0.0,
) -> CrossEncoder:
    """A CrossEncoder in eval mode with random weights, and the titles of a data set, or at random."""
    net = CrossEncoder(
        num_items=num_items,
        num_words=num_words,
        query_words=query_words,
        title_words=title_words,
        table=table,
        dim=dim,
        heads=heads,
        layers=layers,
        dropout=dropout,
    )
    if titles:
        net.know(TITLES[titles]().tokens)
    return net.eval()


def train(run: Run, schedule: Schedule = SCHEDULE) -> CrossEncoder:
    """A CrossEncoder trained on pages of amazon-office, in eval mode; the best epoch by NDCG@10 of others."""
    net = model(num_items=len(office.item_vocabulary().tokens) - 1, titles="amazon-office", dropout=DROPOUT)
    begin(net.word_embedding)
    pages, valid = office_pages(split="train"), office_pages(split="valid")
    inputs, places = to_tensors(pages.inputs), torch.from_numpy(pages.positives)

    def losses() -> Iterator[Tensor]:
        for rows in shuffled(len(places), BATCH_SIZE, run.rng):
            few = drawn(inputs["candidates"][rows], places[rows])
            yield F.cross_entropy(net(few, forgetful(inputs["text"][rows])), torch.zeros_like(places[rows]))

    def measure() -> float:
        return measured(lambda batch: net(**batch), valid, size=32)[1]

    fit(net, losses=losses, measure=measure, schedule=schedule, run=run)
    to_grid(net)
    return net


@torch.no_grad()
def begin(words: nn.Embedding) -> None:
    """Fills a table of words with the first principal components of MiniLM's, at the scale SCALE."""
    given = pretrained()["word_embedding.weight"].float()
    given = given - given.mean(dim=0)
    _, components = torch.linalg.eigh(given.T @ given)  # the largest last
    found = given @ components.flip(-1)[:, : words.embedding_dim]
    words.weight.copy_(SCALE * found / found.square().mean().sqrt())
    words.weight[0] = 0


def drawn(candidates: Tensor, places: Tensor) -> Tensor:
    """The right item of every page first, and OTHERS of the page after it, `[B, 1 + OTHERS]`."""
    order = torch.rand(candidates.shape).scatter(1, places[:, None], -1.0).argsort(dim=1)
    return candidates.gather(1, order[:, : 1 + OTHERS])


def forgetful(text: Tensor) -> Tensor:
    """The queries with some words left out, more of one than of another."""
    share = 2 * FORGOTTEN * torch.rand(len(text), 1)
    left_out = (torch.rand(text.shape) < share) & (text != START) & (text != END)
    return text.masked_fill(left_out, 0)
