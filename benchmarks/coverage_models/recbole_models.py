"""RecBole: every general, sequential, context-aware and knowledge-aware model, on a part of MovieLens 100K.

`full_sort_predict`, the scores of the whole catalogue, where a model offers it; else `predict`.
The data set comes with the library; the models are not trained, but what they compute from the
data when they are built (adjacency, similarities) is computed.
"""

from __future__ import annotations

import atexit
import functools
import importlib
import pkgutil
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import recbole
import scipy.sparse
import torch
from torch import Generator, Tensor, nn

from coverage_models import Built, Model, histories, ids, reals, spread

USERS, ITEMS, LENGTH = 120, 500, 10
NAME = "part"
FAMILIES = ("general", "sequential", "context_aware", "knowledge_aware")

# Per model, what its default configuration lacks for this data.
SETTINGS: dict[str, dict[str, Any]] = {
    "FDSA": {"selected_features": ["class"]},
    "SASRecF": {"selected_features": ["class"]},
    "GRU4RecF": {"selected_features": ["class"]},
    "S3Rec": {"train_stage": "pretrain", "item_attribute": "class"},
    "DIN": {"eval_args": {"split": {"LS": "valid_and_test"}, "order": "TO", "mode": "labeled"}},
    "DIEN": {"eval_args": {"split": {"LS": "valid_and_test"}, "order": "TO", "mode": "labeled"}},
}


LEAVE_ONE_OUT = {"split": {"LS": "valid_and_test"}, "order": "TO", "group_by": "user", "mode": "full"}
VECTORS = {
    "additional_feat_suffix": ["ent", "rel"],
    "alias_of_entity_id": ["ent_id"],
    "alias_of_relation_id": ["rel_id"],
    "preload_weight": {"ent_id": "ent_vec", "rel_id": "rel_vec"},
}


class Fields(dict[str, Tensor]):
    """A batch as the models read it: by field name, and which names they read."""

    def __init__(self, values: dict[str, Tensor]) -> None:
        super().__init__(values)
        self.read: set[str] = set()

    def __getitem__(self, name: str) -> Tensor:
        self.read.add(name)
        return super().__getitem__(name)

    @property
    def interaction(self) -> Fields:
        return self

    @property
    def length(self) -> int:
        return len(next(iter(self.values())))


class Predict(nn.Module):
    """The model's answer to a batch of fields."""

    def __init__(self, model: nn.Module, method: str) -> None:
        super().__init__()
        self.model = model
        self.method = method

    def forward(self, fields: dict[str, Tensor]) -> Any:
        return getattr(self.model, self.method)(Fields(fields))


@functools.cache
def data_path() -> Path:
    """A folder with the first users and items of the data set that the library ships."""
    source = Path(str(recbole.__file__)).parent / "dataset_example" / "ml-100k"
    folder = Path(tempfile.mkdtemp(prefix="coverage-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    (folder / NAME).mkdir()
    keep = {
        "inter": lambda row: int(row[0]) <= USERS and int(row[1]) <= ITEMS,
        "user": lambda row: int(row[0]) <= USERS,
        "item": lambda row: int(row[0]) <= ITEMS,
        "link": lambda row: int(row[0]) <= ITEMS,
        "kg": lambda row: True,
    }
    for suffix, wanted in keep.items():
        head, *lines = (source / f"ml-100k.{suffix}").read_text(encoding="utf-8").splitlines()
        kept = [line for line in lines if wanted(line.split("\t"))]
        (folder / NAME / f"{NAME}.{suffix}").write_text("\n".join([head, *kept]) + "\n", encoding="utf-8")
    write_vectors(folder / NAME, source)
    return folder


def write_vectors(folder: Path, source: Path) -> None:
    """Random vectors of the entities and relations, which two models want as trained elsewhere."""
    rows = [line.split("\t") for line in (source / "ml-100k.kg").read_text(encoding="utf-8").splitlines()[1:]]
    random = np.random.default_rng(0)
    entities = sorted({row[0] for row in rows} | {row[2] for row in rows})
    for suffix, names_ in (("ent", entities), ("rel", sorted({row[1] for row in rows}))):
        lines = [f"{suffix}_id:token\t{suffix}_vec:float_seq"]
        lines += [name + "\t" + " ".join(f"{x:.3f}" for x in random.normal(0, 0.3, 64)) for name in names_]
        (folder / f"{NAME}.{suffix}").write_text("\n".join(lines) + "\n", encoding="utf-8")


def configuration(name: str, family: str) -> dict[str, Any]:
    columns: dict[str, Any] = {"inter": ["user_id", "item_id", "rating", "timestamp"]}
    if family in ("context_aware", "sequential"):
        columns["user"] = ["user_id", "age", "gender", "occupation"]
        columns["item"] = ["item_id", "release_year", "class"]
    if family == "knowledge_aware" or name in ("KSR", "GRU4RecKG"):
        columns |= {"kg": ["head_id", "relation_id", "tail_id"], "link": ["item_id", "entity_id"]}
    if name in ("KSR", "GRU4RecKG"):
        columns |= {"ent": ["ent_id", "ent_vec"], "rel": ["rel_id", "rel_vec"]}
    more: dict[str, Any] = {"threshold": {"rating": 3}} if family == "context_aware" else {}
    return {
        "data_path": str(data_path()),
        "use_gpu": False,
        "state": "ERROR",
        "show_progress": False,
        "load_col": columns,
        "MAX_ITEM_LIST_LENGTH": LENGTH,
        "train_neg_sample_args": None if family in ("sequential", "context_aware") else "keep",
        **({"eval_args": LEAVE_ONE_OUT} if family == "sequential" else {}),
        **more,
        **(VECTORS if name in ("KSR", "GRU4RecKG") else {}),
        **SETTINGS.get(name, {}),
    }


def model_class(name: str) -> type[nn.Module]:
    from recbole.utils import get_model

    found: type[nn.Module] = get_model(name)
    return found


def make(name: str, family: str) -> tuple[nn.Module, Any]:
    """The model on its data set; the library's own steps, as in its quick start."""
    from recbole.config import Config
    from recbole.data import create_dataset, data_preparation

    sys.argv = sys.argv[:1]  # the library reads the command line too
    settings = {key: value for key, value in configuration(name, family).items() if value != "keep"}
    config = Config(model=name, dataset=NAME, config_dict=settings)
    dataset = create_dataset(config)
    loader = data_preparation(config, dataset)[0]
    training = getattr(loader, "general_dataloader", loader).dataset
    model = model_class(name)(config, training)
    if name == "Pop":  # it learns by counting
        model.calculate_loss(training.inter_feat)
    for key, value in list(vars(model).items()):
        if isinstance(value, Tensor) and value.dtype == torch.float64:
            setattr(model, key, value.float())
    return model.float(), training


def draw_fields(
    dataset: Any, sequential: bool, wanted: set[str] | None, generator: Generator, batch: int
) -> dict[str, Tensor]:
    """Every field that the data set has, or the wanted ones, within its vocabulary."""
    found: dict[str, Tensor] = {}
    _, lengths = histories(generator, batch, LENGTH, 2)
    for name in sorted(dataset.field2type):
        kind = str(dataset.field2type[name].value)
        if name.endswith("_length"):
            found[name] = lengths
            continue
        vocabulary = name.removesuffix("_list").removeprefix("neg_")
        count = dataset.num(vocabulary) if kind.startswith("token") else 0
        if kind == "token":
            found[name] = ids(generator, 1, count, batch)
        elif kind == "float":
            found[name] = reals(generator, batch)
        else:
            width = dataset.field2seqlen[name]
            values = ids(generator, 1, max(count, 2), batch, width)
            steps = torch.arange(width).expand(batch, width)
            limit = lengths[:, None] if name.endswith("_list") else lengths[:, None].clamp(max=width)
            values = values * (steps < limit)
            found[name] = values if kind.startswith("token") else values.float() / 10
    if sequential:
        found["item_length"] = lengths
        found["neg_item_id_list"] = ids(generator, 1, dataset.item_num, batch, LENGTH)
    return found if wanted is None else {name: found[name] for name in sorted(wanted)}


def build(name: str, family: str) -> Built:
    model, dataset = make(name, family)
    draw = functools.partial(draw_fields, dataset, family == "sequential")
    model = spread(model)
    example = draw(None, Generator().manual_seed(0), 4)
    method, wanted = entry(model, example)
    return Built(
        module=Predict(model, method).eval(),
        draw=lambda generator, batch: (draw(wanted, generator, batch),),
    )


def entry(model: nn.Module, example: dict[str, Tensor]) -> tuple[str, set[str]]:
    """The method to convert and the fields that it reads."""
    failures = []
    for method in ("full_sort_predict", "predict"):
        fields = Fields({name: value.clone() for name, value in example.items()})
        try:
            with torch.no_grad():
                getattr(model, method)(fields)
        except (NotImplementedError, AttributeError) as error:
            failures.append(error)
            continue
        if fields.read:
            return method, fields.read & set(example)
    raise failures[-1] if failures else ValueError("no field is read")


def names() -> Iterator[tuple[str, str]]:
    """(class name, family) of every model that the library lists."""
    for family in FAMILIES:
        package = importlib.import_module(f"recbole.model.{family}_recommender")
        for info in pkgutil.iter_modules(package.__path__):
            module = importlib.import_module(f"{package.__name__}.{info.name}")
            for name, value in vars(module).items():
                if (
                    isinstance(value, type)
                    and issubclass(value, nn.Module)
                    and value.__module__ == module.__name__
                    and name.lower().replace("_", "") == info.name.replace("_", "")
                ):
                    yield name, family


def models() -> list[Model]:
    data_path()
    return [Model(name=name, build=functools.partial(build, name, family)) for name, family in names()]


def concatenated(self: pd.Series, how: Any = None, *rest: Any, **more: Any) -> Any:
    """`Series.agg`, which newer releases apply to each element where the library means the whole."""
    if how is np.concatenate:
        return np.concatenate(self.to_list())
    return _agg(self, how, *rest, **more)


_agg = pd.Series.agg
pd.Series.agg = concatenated
# Names that newer releases dropped and the library still uses.
if not hasattr(scipy.sparse.dok_matrix, "_update"):
    scipy.sparse.dok_matrix._update = lambda self, data: self._dict.update(data)
for old, new in {"float_": np.float64, "complex_": np.complex128, "unicode_": np.str_}.items():
    if old not in vars(np):
        setattr(np, old, new)
