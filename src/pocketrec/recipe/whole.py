"""The whole recipe, and its reader."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from pocketrec.about import About
from pocketrec.errors import RecipeError, UsageError
from pocketrec.outside import read_toml
from pocketrec.recipe.compress import Compress
from pocketrec.recipe.contract import ContractSource
from pocketrec.recipe.evaluate import Evaluate, check_evaluate, check_names, of_evaluation
from pocketrec.recipe.gates import Gates
from pocketrec.recipe.held import check_held, gates_by_name
from pocketrec.recipe.latency import Latency
from pocketrec.recipe.source import ModelSource
from pocketrec.recipe.stress import Stress
from pocketrec.recipe.target import Target
from pocketrec.schema import OneOrMore, from_table

_FLOAT_KINDS = ("dense", "state")
_LONGEST_TYPE = 80  # letters; a package's folders are named after it twice
_TYPE = re.compile(rf"[A-Z][A-Za-z0-9]{{0,{_LONGEST_TYPE - 1}}}")
_LONGEST_NAME = 200  # bytes; systems allow 255, of which endings take some


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """A whole recipe.

    Attributes:
        schema: the version of this format.
        name: of the model; folders and generated packages are named after it.
        version: of the release.
        model: where the module comes from.
        contract: what its inputs and outputs mean; where it is left out, it is drafted from `model.example`.
        evaluate: on what the ranking is compared; a list of such tables where a model has several heads.
        targets: the artifacts to build, by name.
        compress: how tensors are compressed; where it is left out, nothing is.
        gates: what a build must hold.
        latency: how latency is measured.
        stress: what is asked at the ends of the contract.
        seed: of what is drawn, probes and cases of `stress`; 0 to 2^63 - 1.
        description: what people read of the model in its artifacts.
        author: of the model, as artifacts say it.
        license: of the model, as artifacts say it.
        type_name: the class of generated packages; empty: it is called after `name`.
    """

    schema: Literal[1]
    name: str
    version: str
    model: ModelSource
    contract: ContractSource | None = None
    evaluate: OneOrMore[Evaluate]
    targets: Mapping[str, Target]
    compress: Compress = field(default_factory=Compress)
    gates: Gates = field(default_factory=Gates)
    latency: Latency = field(default_factory=Latency)
    stress: Stress = field(default_factory=Stress)
    seed: int = 0
    description: str = ""
    author: str = ""
    license: str = ""
    type_name: str = ""

    def __post_init__(self) -> None:
        _check_folder("name", self.name)
        _check_folder("version", self.version)
        if not 0 <= self.seed < 2**63:
            raise RecipeError(f"seed is {self.seed}; expected 0 to 2^63 - 1")
        _check_about(self)
        check_type(self.type_name)
        if self.gates.compression is not None and not self.compress.active:
            raise RecipeError("gates.compression: nothing is compressed; add compress, or leave it out")
        check_names(self.evaluate)
        check_held(self.gates, self.compress, self.evaluate)
        if not self.targets:
            raise RecipeError("targets is empty; add [targets.onnx], [targets.web] or [targets.coreml]")
        for name in self.targets:
            _check_folder("targets: a target's name", name)
        if self.contract is not None:
            for each in self.evaluate:
                with of_evaluation(self.name_of(each)):
                    check_evaluate(each, self.contract.functions)
        elif self.model.example is None:
            raise RecipeError(
                "contract is missing; add it, or model.example, an .npz file from which it is drafted"
            )

    @property
    def about(self) -> About:
        """What artifacts say of the model to people."""
        return About(
            version=self.version,
            description=self.description,
            author=self.author,
            license=self.license,
        )

    @property
    def held(self) -> Mapping[str, Gates]:
        """What each evaluation must hold, by the name that evidence has for it."""
        return gates_by_name(self.gates, self.evaluate)

    def name_of(self, evaluate: Evaluate) -> str:
        """The name that evidence has for an evaluation: empty where there is but one."""
        return evaluate.called if len(self.evaluate) > 1 else ""

    def to_dict(self) -> dict[str, Any]:
        """The resolved recipe, every default spelled out, as plain JSON values."""
        table: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        if len(self.evaluate) == 1:
            (table["evaluate"],) = table["evaluate"]
        return table

    def sha256(self) -> str:
        """Hex digest of the resolved recipe's canonical JSON."""
        text = json.dumps(self.to_dict(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()


def _check_about(recipe: Recipe) -> None:
    try:
        _ = recipe.about
    except UsageError as error:
        raise RecipeError(str(error)) from None


def check_type(value: object) -> None:
    """Checks that a class can be called so in Swift and TypeScript."""
    if value != "" and not (isinstance(value, str) and _TYPE.fullmatch(value)):
        raise RecipeError(
            f"type_name is {value!r}; expected a capital, then letters and digits, {_LONGEST_TYPE} at most"
        )


def _check_folder(key: str, value: str) -> None:
    """Checks that a folder can be named so, on every system, with an ending of its own."""
    if not value.strip(" .") or not value.isprintable() or set(value) & set("/\\"):
        raise RecipeError(f"{key} is {value!r}; expected letters that can name a folder")
    if len(value.encode()) > _LONGEST_NAME:
        raise RecipeError(
            f"{key} has {len(value.encode())} bytes; expected {_LONGEST_NAME} at most, as it names a folder"
        )


def parse_recipe(path: str | Path) -> Recipe:
    """The recipe in the TOML file at `path`, its targets as they are stated.

    Raises:
        RecipeError: naming file and key.
    """
    path = Path(path)
    table = read_toml(path, error=RecipeError, remedy="pass the path of a recipe.toml")
    recipe = from_table(Recipe, _with_dtypes(table), source=str(path))
    try:
        _check_limits(recipe)
    except RecipeError as error:
        raise RecipeError(f"{path}: {error}") from None
    return recipe


def _with_dtypes(table: Mapping[str, Any]) -> dict[str, Any]:
    """The recipe in which dense inputs and states that say no dtype are float32, as their numbers are."""
    found: dict[str, Any] = deepcopy(dict(table))
    contract = found.get("contract")
    functions = contract.get("functions") if isinstance(contract, dict) else None
    for each in functions.values() if isinstance(functions, dict) else ():
        inputs = each.get("inputs") if isinstance(each, dict) else None
        for feature in inputs if isinstance(inputs, list) else ():
            if isinstance(feature, dict) and feature.get("kind") in _FLOAT_KINDS:
                feature.setdefault("dtype", "float32")
    return found


def _check_limits(recipe: Recipe) -> None:
    """Checks that limits of size and time are those of targets that there are."""
    stated = {
        f"gates.{key}": getattr(recipe.gates, key) for key in ("max_size_mb", "max_p50_ms", "max_load_ms")
    }
    stated["compress.max_size_mb"] = recipe.compress.max_size_mb
    for key, value in stated.items():
        for name in value if isinstance(value, Mapping) else ():
            if name not in recipe.targets:
                known = ", ".join(recipe.targets)
                raise RecipeError(f"{key}.{name}: no such target; known: {known}")
