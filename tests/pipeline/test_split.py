"""An experiment's file names salt, weights and bundles, and a bundle that is another one is told."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pocketrec.errors import PocketrecError, RecipeError, UsageError
from pocketrec.package.bundle import read_bundle
from pocketrec.pipeline.split import read_experiment

FIRST = Path(__file__).parents[1] / "fixtures" / "first" / "mean"
TREE = read_bundle(FIRST).manifest.tree_sha256


def written(place: Path, text: str) -> Path:
    (place / "e.toml").write_text(text)
    return place / "e.toml"


def test_variants_have_weights_and_the_digests_of_their_bundles(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        f"""schema = 1
salt = "s"
[variants.control]
weight = 9
[variants.new]
bundle = "{FIRST}"
tree_sha256 = "{TREE}"
""",
    )
    split, digests = read_experiment(path)
    assert split.shares() == {"control": 0.9, "new": 0.1}
    assert (split.salt, digests) == ("s", {"new": TREE})


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        (
            f'[variants.a]\n[variants.b]\nbundle = "{FIRST}"\ntree_sha256 = "0123"\n',
            RecipeError,
            f"variants.b.tree_sha256 is 0123, and {FIRST} has {TREE}; state the new digest with a new salt",
        ),
        (
            "[variants.a]\n[variants.b]\nweigth = 2\n",
            RecipeError,
            "variants.b.weigth is not a known key; did you",
        ),
        (
            "[variants.a]\n[variants.b]\nweight = -1\n",
            UsageError,
            "variant 'b': the weight is -1.0; expected",
        ),
        ("[variants.a]\n", UsageError, "1 variants; expected two or more"),
        ('[variants.a]\ntree_sha256 = "0"\n', RecipeError, "tree_sha256 without bundle; expected the path"),
        ('[variants.a]\n[variants.b]\nbundle = "nowhere"\n', UsageError, "nowhere: no such folder"),
        ("no TOML", RecipeError, "not valid TOML"),
    ],
)
def test_a_file_that_divides_nothing_is_told(
    tmp_path: Path, text: str, error: type[PocketrecError], message: str
) -> None:
    with pytest.raises(error, match=re.escape(message)):
        read_experiment(written(tmp_path, f'schema = 1\nsalt = "s"\n{text}'))


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(
        RecipeError, match=r"e\.toml: no such file; pass the path of an experiment's TOML file"
    ):
        read_experiment(tmp_path / "e.toml")
