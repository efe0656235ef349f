"""Releases of one recommender to compare: int8, int4, and another training whose items moved to other ids.

python docs/examples/releases.py FOLDER

writes int8.toml, int4.toml and reordered.toml; `make releases` builds them and compares what it built.
"""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from safetensors.numpy import save_file

from pocketrec.contract import Vocabulary
from pocketrec.evaluation import RankingData
from pocketrec.model_zoo.data import movielens
from pocketrec.model_zoo.families import sasrec
from pocketrec.model_zoo.registry import FAMILIES
from pocketrec.model_zoo.training.run import Run

TABLE = "item_embedding.weight"
EPOCHS = 4
MOVED = (1, 1000)  # the first thousand items, as a catalogue that is sorted anew moves them


def order() -> npt.NDArray[np.int64]:
    """Place to the id that its item had before."""
    found = np.arange(len(movielens.item_vocabulary().tokens))
    found[slice(*MOVED)] = np.random.default_rng(1).permutation(found[slice(*MOVED)])
    return found


def item_vocabulary() -> Vocabulary:
    """The items in their new order."""
    return _reordered(movielens.item_vocabulary())


def item_titles() -> Vocabulary:
    """Their titles."""
    return _reordered(movielens.item_titles())


def _reordered(words: Vocabulary) -> Vocabulary:
    return Vocabulary(tokens=tuple(words.tokens[each] for each in order()))


def leave_one_out() -> RankingData:
    """The zoo's evaluation data in the new ids."""
    data, places = movielens.leave_one_out(), np.argsort(order())
    history = places[np.asarray(data.inputs["history"], np.int64)].astype(np.int32)
    return replace(
        data,
        inputs={"history": history},
        positives=places[data.positives],
        seen_ids=places[data.seen_ids],
    )


def retrain(path: Path) -> None:
    """Trains from another seed, for a few epochs, and puts each item's row where its new id is."""
    torch.manual_seed(1)
    schedule = replace(sasrec.SCHEDULE, epochs=EPOCHS)
    module = sasrec.train(Run(rng=np.random.default_rng(1)), schedule)
    weights = {name: each.numpy() for name, each in module.state_dict().items()}
    save_file({**weights, TABLE: np.ascontiguousarray(weights[TABLE][order()])}, path)


def write_recipes(folder: Path) -> None:
    """Writes the three recipes beside the weights that they name."""
    zoo = FAMILIES["sasrec"]
    text = zoo.recipe.read_text(encoding="utf-8")
    text = text[: text.index("[targets.coreml]")].replace(
        '"../weights/sasrec.safetensors"', f'"{os.path.relpath(zoo.weights, folder)}"'
    )
    for version, preset in (("1.0.0", "int8"), ("1.0.1", "int4")):
        made = text.replace('version = "1.0.0"', f'version = "{version}"')
        (folder / f"{preset}.toml").write_text(f'{made}[compress]\npreset = "{preset}"\n', encoding="utf-8")
    here = os.path.relpath(__file__, folder)
    made = text.replace(os.path.relpath(zoo.weights, folder), "reordered.safetensors")
    for name in ("item_vocabulary", "item_titles", "leave_one_out"):
        made = made.replace(f"pocketrec.model_zoo.data.movielens:{name}", f"{here}:{name}")
    made = made.replace('version = "1.0.0"', 'version = "1.1.0"')
    (folder / "reordered.toml").write_text(made, encoding="utf-8")


def main() -> None:
    """Trains where that was not done, and writes the recipes."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "reordered.safetensors").exists():
        retrain(folder / "reordered.safetensors")
    write_recipes(folder)


if __name__ == "__main__":
    main()
