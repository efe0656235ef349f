"""DLRM: the probability of a high rating from who, what and when (Naumov et al., 2019).

Each feature becomes a vector; the products of all pairs, beside the vectors themselves, go through
a small net; the products' sum and a bias per id go around it, as in DeepFM (Guo et al., 2017).
Ages and years are categories here, so there is no bottom net for dense features.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from sklearn.metrics import roc_auc_score
from torch import Tensor, nn

from pocketrec.evaluation import Arrays
from pocketrec.model_zoo.data import movielens
from pocketrec.model_zoo.training.loop import Floats, Schedule, fit, score_all, shuffled, to_tensors
from pocketrec.model_zoo.training.run import Run

SCHEDULE = Schedule(epochs=30, patience=4, learning_rate=2e-3, weight_decay=0.0)
BATCH_SIZE = 1024
DROPOUT = 0.3
TABLE_DECAY = 2e-4  # of the rows a batch reads; what keeps ids with few ratings near zero
COLUMNS = ("user", "item", "age", "gender", "occupation", "year", "hour", "weekday")


class DLRM(nn.Module):
    """The probability that a user rates an item 4 or 5.

    A feature's table has a row of `dim` for the products and a last column that adds to the logit
    by itself, so that a frequent id's bias needs no product to express it.
    """

    pairs: Tensor

    def __init__(self, *, sizes: dict[str, int], dim: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.dim = dim
        self.tables = nn.ModuleDict({name: nn.Embedding(sizes[name], dim + 1) for name in COLUMNS})
        self.genre_embedding = nn.EmbeddingBag(sizes["genre"], dim + 1, mode="mean", padding_idx=0)
        features = len(COLUMNS) + 1
        row, column = torch.tril_indices(features, features, offset=-1)
        self.register_buffer("pairs", row * features + column, persistent=False)
        self.top = nn.Sequential(
            nn.Linear(features * dim + len(row), hidden),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, hidden // 2),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(hidden // 2, 1),
        )
        self.dropout = nn.Dropout(dropout)
        for name, parameter in self.named_parameters():
            if not name.startswith("top."):
                nn.init.normal_(parameter, std=0.01)

    def forward(
        self,
        user: Tensor,
        item: Tensor,
        genres: Tensor,
        age: Tensor,
        gender: Tensor,
        occupation: Tensor,
        year: Tensor,
        hour: Tensor,
        weekday: Tensor,
    ) -> Tensor:
        """Probabilities `[B]` from ids `[B]` and right-padded genre ids `[B, G]`."""
        ids = (user, item, age, gender, occupation, year, hour, weekday)
        return torch.sigmoid(self.logits(self.embed(ids, genres)))

    def embed(self, ids: tuple[Tensor, ...], genres: Tensor) -> Tensor:
        """The rows of all features, `[B, features, dim + 1]`; `ids` in the order of COLUMNS."""
        rows = [self.tables[name](column) for name, column in zip(COLUMNS, ids, strict=True)]
        return torch.stack((*rows, self.genre_embedding(genres)), dim=1)

    def logits(self, embedded: Tensor) -> Tensor:
        """Logits `[B]` from the rows of all features."""
        vectors = self.dropout(embedded[..., : self.dim])
        products = (vectors @ vectors.transpose(1, 2)).flatten(1)[:, self.pairs]
        deep = self.top(torch.cat((vectors.flatten(1), products), dim=-1)).squeeze(-1)
        total: Tensor = deep + products.sum(dim=-1) + embedded[..., self.dim].sum(dim=-1)
        return total


def model(
    *,
    num_users: int,
    num_items: int,
    num_genres: int,
    num_years: int,
    num_ages: int,
    num_genders: int,
    num_occupations: int,
    num_hours: int = 24,
    num_weekdays: int = 7,
    dim: int = 16,
    hidden: int = 64,
    dropout: float = 0.0,
) -> DLRM:
    """A DLRM in eval mode with random weights; numbers count without the id 0."""
    numbers = {
        "user": num_users,
        "item": num_items,
        "genre": num_genres,
        "year": num_years,
        "age": num_ages,
        "gender": num_genders,
        "occupation": num_occupations,
        "hour": num_hours,
        "weekday": num_weekdays,
    }
    sizes = {name: number + 1 for name, number in numbers.items()}
    return DLRM(sizes=sizes, dim=dim, hidden=hidden, dropout=dropout).eval()


def train(run: Run) -> DLRM:
    """A DLRM trained on MovieLens-100K, in eval mode; the best epoch by AUC on validation."""
    names = (*COLUMNS, "genre")
    net = model(
        **{f"num_{name}s": len(movielens.VOCABULARIES[name]().tokens) - 1 for name in names}, dropout=DROPOUT
    )
    train, valid = movielens.rated_high(split="train"), movielens.rated_high(split="valid")
    inputs, labels = to_tensors(train.inputs), torch.from_numpy(train.labels)

    def losses() -> Iterator[Tensor]:
        for rows in shuffled(len(train), BATCH_SIZE, run.rng):
            yield _loss(net, {name: each[rows] for name, each in inputs.items()}, labels[rows])

    def measure() -> float:
        return float(roc_auc_score(valid.labels, probabilities(net, valid.inputs)))

    fit(net, losses=losses, measure=measure, schedule=SCHEDULE, run=run)
    return net


def probabilities(net: DLRM, inputs: Arrays) -> Floats:
    """The probability of a high rating for every row, float32 `[rows]`."""
    return score_all(lambda batch: net(**batch), inputs, size=4096)


def _loss(net: DLRM, batch: dict[str, Tensor], labels: Tensor) -> Tensor:
    embedded = net.embed(tuple(batch[name] for name in COLUMNS), batch["genres"])
    error = F.binary_cross_entropy_with_logits(net.logits(embedded), labels)
    return error + TABLE_DECAY * embedded.square().sum(dim=(1, 2)).mean()
