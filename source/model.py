"""A recipe with everything that it names loaded; large tables stay where they are and are mapped."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from pocketrec.contract import Contract, Tokens
from pocketrec.errors import DataError, RecipeError
from pocketrec.evaluation import ClassificationData, EvaluationData, RankingData
from pocketrec.recipe import Evaluate, Recipe, resolve_contract
from pocketrec.source.contradictions import check_data, conformed
from pocketrec.source.data import open_tables
from pocketrec.source.factory import call_factory, load_vocabulary
from pocketrec.source.vocabularies import check_tokens, check_widths

if TYPE_CHECKING:
    from torch import nn

    from pocketrec.source.checkpoint import Span
    from pocketrec.source.streamed import StreamedModule


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """The module of a recipe, with its contract.

    Attributes:
        contract: with the vocabularies' sizes.
        vocabularies: by name.
        module: what is evaluated; large tables in it are mapped from `spans`.
        streamed: the module with stubs in place of its large tables, which is captured and lowered;
            None where there are none.
        spans: where the values of each stub lie, float32, by the table's name.
        notes: what a reader must know of how it was loaded, one sentence each.
    """

    contract: Contract
    vocabularies: Mapping[str, Tokens]
    module: nn.Module
    streamed: StreamedModule | None = None
    spans: Mapping[str, Span] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def lowered(self) -> nn.Module:
        """The module that is captured: the one with stubs where tables are streamed."""
        return self.module if self.streamed is None else self.streamed.module


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared(Model):
    """A recipe with everything that it names loaded."""

    recipe: Recipe
    data: EvaluationData


def prepare(recipe: Recipe, base: Path, values: Path | None = None) -> Prepared:
    """The recipe's vocabularies, contract, module and data; nothing is computed yet.

    Args:
        recipe: as it was read.
        base: the folder that relative paths start from.
        values: a folder for tables whose checkpoint is not float32; without it they are held.

    Raises:
        RecipeError: a name leads nowhere, or what it leads to does not fit.
        TableError: a streamed table holds a number that is not finite.
    """
    model = load_model(recipe, base, values)
    data = _load_data(recipe, recipe.evaluate, model.contract, base, "evaluate.data")
    return Prepared(
        recipe=recipe,
        contract=model.contract,
        vocabularies=model.vocabularies,
        module=model.module,
        streamed=model.streamed,
        spans=model.spans,
        notes=(*model.notes, *check_data(data, model.contract, recipe.evaluate)),
        data=data,
    )


def search_data(prepared: Prepared, base: Path) -> EvaluationData:
    """What a search for a plan measures on: the recipe's `compress.data`, else its evaluation data."""
    named = prepared.recipe.compress.data
    if named is None:
        return prepared.data
    evaluate = replace(prepared.recipe.evaluate, data=named, arguments=prepared.recipe.compress.arguments)
    return _load_data(prepared.recipe, evaluate, prepared.contract, base, "compress.data")


def load_model(recipe: Recipe, base: Path, values: Path | None = None) -> Model:
    """The recipe's vocabularies, contract and module, without its data; raises RecipeError."""
    from pocketrec.source.mapped import mapped_module, value_spans
    from pocketrec.source.streamed import load_streamed, reaches
    from pocketrec.source.weights import load_trained, random_text

    vocabularies = {
        name: load_vocabulary(each.tokens, base=base, key=f"contract.vocabularies.{name}.tokens")
        for name, each in recipe.contract.vocabularies.items()
    }
    for name, each in recipe.contract.vocabularies.items():
        check_tokens(name, vocabularies[name], each)
    contract = resolve_contract(recipe.contract, vocabularies)
    check_widths(contract)
    if not reaches(recipe.model, base=base):
        loaded = load_trained(recipe.model, base=base)
        if loaded.random:
            raise RecipeError(
                f"model.weights is not set, and model.factory = {recipe.model.factory!r} gives other numbers "
                f"in every call ({random_text(loaded.random)}): name the trained weights, or load them there"
            )
        return Model(contract=contract, vocabularies=vocabularies, module=loaded.module, notes=loaded.notes)
    streamed = load_streamed(recipe.model, base=base)
    spans = {name: each.span for name, each in value_spans(streamed.tables, values).items()}
    return Model(
        contract=contract,
        vocabularies=vocabularies,
        module=mapped_module(streamed.module, spans),
        streamed=streamed,
        spans=spans,
    )


def _load_data(
    recipe: Recipe, evaluate: Evaluate, contract: Contract, base: Path, key: str
) -> EvaluationData:
    if evaluate.in_files:
        return open_tables(evaluate, contract, base)
    data = call_factory(evaluate.data, base=base, key=key, arguments=evaluate.arguments)
    expected = RankingData if evaluate.kind == "ranking" else ClassificationData
    if not isinstance(data, expected):
        raise RecipeError(
            f"{key} = {evaluate.data!r} returned {type(data).__name__}; kind "
            f"{evaluate.kind!r} expects {expected.__name__}"
        )
    missing = [
        each.name
        for each in recipe.contract.functions[evaluate.function].inputs
        if each.name not in data.inputs
    ]
    if missing:
        raise DataError(f"{key} = {evaluate.data!r} lacks the input {missing[0]!r}; add it")
    found: RankingData | ClassificationData = data
    return conformed(found, contract, evaluate)
