"""What the zoo says of a family: what it is, where its recipe is, and what it was measured against."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

_HERE = Path(__file__).parent
Area = Literal[
    "retrieval",
    "sequence",
    "ranking",
    "multi-task",
    "page generation",
    "bandits",
    "probabilistic",
    "reinforcement learning",
    "search",
    "generative retrieval",
    "creatives",
    "embedding tricks",
]
Role = Literal["recommend", "rank", "search", "embed", "arrange", "decide", "predict", "generate"]

RECBOLE = "RecBole 1.2.1 on MovieLens-100K, leave one out, all items"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """A figure that somebody has published, under the protocol that the family is measured by.

    Attributes:
        metric: as the evidence names it, such as `ndcg@10`.
        value: the figure.
        source: who says so, and of what.
    """

    metric: str
    value: float
    source: str


DEEPFM = Reference(
    metric="auc", value=0.785, source="RecBole 1.2.1 on MovieLens-100K, DeepFM, ratings split at random 8:1:1"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """One architecture with a recipe, trained weights and the quality that they must hold.

    Attributes:
        name: what `pocketrec zoo` calls it.
        area: what part of a store it serves.
        roles: what an app can ask of it.
        summary: one line for people.
        paper: authors, year and title.
        data: the data set, as `pocketrec zoo data` calls it.
        train: `module:function`, called with a `training.run.Run`; returns the trained nn.Module.
        floors: the lowest value on the test split that the weights may have, by metric.
        beside: what needs no training reaches by the family's own protocol, named by `source`; empty where
            that is the protocol of the others on its data.
        references: published figures under the same protocol; empty where there are none.
        committed: whether the weights come with the project; others are made by `pocketrec zoo train`.
        measured_by: `module:function` that gives the trained weights' metrics on the test split, by name,
            where the recipe evaluates a step of what an app asks for; empty where it evaluates all of it.
    """

    name: str
    area: Area
    roles: tuple[Role, ...]
    summary: str
    paper: str
    train: str
    floors: tuple[tuple[str, float], ...]
    data: str = "ml-100k"
    beside: tuple[Reference, ...] = ()
    references: tuple[Reference, ...] = ()
    committed: bool = True
    measured_by: str = ""

    @property
    def recipe(self) -> Path:
        """The recipe's file."""
        return _HERE / "recipes" / f"{self.name}.toml"

    @property
    def weights(self) -> Path:
        """The file of the trained weights that the recipe names."""
        return weights_of(self.name)

    def floor(self, metric: str) -> float:
        """The lowest value of the metric that the weights may have."""
        return dict(self.floors)[metric]


def weights_of(name: str, module: str | None = None) -> Path:
    """The file of the trained weights of the family `name`.

    Args:
        name: of the family.
        module: the `__file__` of a family that asks for its own weights: in a project that was started from
            it they lie beside its module. Left out, they are those of the zoo, wherever the caller lies.
    """
    if module is not None and Path(module).resolve().parent != (_HERE / "families").resolve():
        return Path(module).with_name("weights.safetensors")
    return _HERE / "weights" / f"{name.replace('-', '_')}.safetensors"


def trained_by(module: str) -> str:
    """The training function of the family in that module."""
    return f"pocketrec.model_zoo.families.{module}:train"
