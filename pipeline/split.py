"""An experiment's file: a salt, and variants that each name the bundle that its units get.

    schema = 1
    salt = "sasrec-int4-1"
    [variants.control]
    weight = 9
    bundle = "build/sasrec"          # optional, relative to the file
    tree_sha256 = "7d6be9..."        # optional: what that bundle has to be
    [variants.int4]
    weight = 1
    bundle = "build/sasrec-int4"

Bundles stay of one model each, with their own evidence; the file says which of them meet, by digest.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pocketrec.errors import RecipeError
from pocketrec.outside import read_toml
from pocketrec.package.bundle import read_bundle
from pocketrec.schema import from_table
from pocketrec.validate.experiments.assign import Split


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One variant.

    Attributes:
        weight: as a share of the sum of all.
        bundle: the path of its bundle, relative to the experiment's file; empty where it is none of ours.
        tree_sha256: the tree digest that the bundle has to have; empty: whatever it has.
    """

    weight: float = 1.0
    bundle: str = ""
    tree_sha256: str = ""

    def __post_init__(self) -> None:
        if self.tree_sha256 and not self.bundle:
            raise RecipeError(
                "tree_sha256 without bundle; expected the path of the bundle that has this digest"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """What an experiment's file says.

    Attributes:
        schema: version of this layout.
        salt: a word of its own for every experiment.
        variants: by name.
    """

    schema: Literal[1]
    salt: str
    variants: Mapping[str, Variant]

    def split(self) -> Split:
        """How units are divided; UsageError where they are not."""
        return Split(salt=self.salt, variants={name: each.weight for name, each in self.variants.items()})


def read_experiment(path: Path) -> tuple[Split, dict[str, str]]:
    """How units are divided, and the tree digest of each variant that names a bundle.

    Raises:
        RecipeError: the file is none, or a bundle is not the one whose digest is stated; names file and key.
        ArtifactError: a bundle's manifest is damaged.
        UsageError: there is no such bundle, or the variants divide nothing.
    """
    table = read_toml(path, error=RecipeError, remedy="pass the path of an experiment's TOML file")
    experiment = from_table(Experiment, table, source=str(path))
    digests = {name: _digest(path, name, each) for name, each in experiment.variants.items() if each.bundle}
    return experiment.split(), digests


def _digest(path: Path, name: str, variant: Variant) -> str:
    found = read_bundle(path.parent / variant.bundle).manifest.tree_sha256
    if variant.tree_sha256 not in ("", found):
        raise RecipeError(
            f"{path}: variants.{name}.tree_sha256 is {variant.tree_sha256}, and {variant.bundle} has "
            f"{found}; state the new digest with a new salt, or bring the bundle back"
        )
    return found
