"""What a recipe names, loaded: its model as trials, and its data; nothing is computed yet."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from pocketrec.contract import Contract, Dim, VocabularyFiles
from pocketrec.errors import DataError, RecipeError, UsageError
from pocketrec.evaluation import Asked, ClassificationData, EvaluationData, RankingData
from pocketrec.recipe import Evaluate, ModelSource, Recipe, check_evaluate, of_evaluation
from pocketrec.recipe.contract import ContractSource, resolve_contract
from pocketrec.source.contradictions import check_data, conformed
from pocketrec.source.data import open_tables
from pocketrec.source.factory import call_factory, load_vocabulary
from pocketrec.source.model import Model, Trial, Trials, model_of, never_run, table_spans
from pocketrec.source.vocabularies import check_beside, check_tokens, check_widths

if TYPE_CHECKING:
    from torch import nn

    from pocketrec.source.checkpoint import Span
    from pocketrec.source.streamed import Stubbed


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """A recipe with everything that it names loaded.

    Attributes:
        recipe: as it was read.
        base: the folder that its relative paths start from.
        model: as it is tried first.
        asked: its evaluations with their data.
        trials: the ways to try the model.
    """

    recipe: Recipe
    base: Path
    model: Model
    asked: tuple[Asked, ...]
    trials: Trials


def prepare(recipe: Recipe, base: Path, values: Path | None = None) -> Loaded:
    """The recipe's vocabularies, contract, module and data.

    Args:
        recipe: as it was read.
        base: the folder that relative paths start from.
        values: a folder for tables whose checkpoint is not float32; without it they are held.

    Raises:
        RecipeError: a name leads nowhere, or what it leads to does not fit.
        TableError: a streamed table holds a number that is not finite.
    """
    model = load_model(recipe, base, values)
    make = partial(_trials, model.contract, model.vocabularies)
    return with_data(recipe, base, model, Trials(core=model.core, spans=model.spans, make=make))


def with_data(recipe: Recipe, base: Path, model: Model, trials: Trials) -> Loaded:
    """A model and its trials with the evaluation data that the recipe names; raises as `prepare` does."""
    asked, said = load_data(recipe, base, model.contract)
    trials = replace(
        trials.noting(said),
        asked=asked,
        seed=recipe.seed,
        about=recipe.about,
        stress=recipe.stress,
    )
    return Loaded(recipe=recipe, base=base, model=model, asked=asked, trials=trials)


def load_data(recipe: Recipe, base: Path, contract: Contract) -> tuple[tuple[Asked, ...], tuple[str, ...]]:
    """The recipe's evaluations with their data, and what was not checked of them; raises as `prepare`."""
    found: list[Asked] = []
    said: list[str] = []
    for each in recipe.evaluate:
        name = recipe.name_of(each)
        with of_evaluation(name):
            check_evaluate(each, contract.functions)
            data = _load_data(each, contract, base, "evaluate.data")
            said += check_data(data, contract, each)
        found.append(Asked(evaluate=each, data=data, name=name))
    return tuple(found), tuple(dict.fromkeys(said))


def _trials(
    contract: Contract, vocabularies: Mapping[str, VocabularyFiles], core: Stubbed, spans: Mapping[str, Span]
) -> Iterator[Trial]:
    """The model with the contract's own dims; then captured for the smallest batch."""
    model = model_of(core, contract, spans, vocabularies)
    trial = Trial(model=model, captured=contract, fresh=never_run(model))
    yield trial
    fixed = with_fixed_batch(contract)
    if fixed != contract:
        yield replace(trial, captured=fixed, note="the batch is fixed")


def with_fixed_batch(contract: Contract) -> Contract:
    """The contract with every dim that leads all inputs of a function at its smallest size."""
    leading = [
        {each.shape[0] if each.shape else None for each in f.inputs} for f in contract.functions.values()
    ]
    names = {next(iter(each)) for each in leading if len(each) == 1}
    dims = {
        name: Dim(min=dim.min, max=dim.min) if name in names else dim for name, dim in contract.dims.items()
    }
    return replace(contract, dims=dims)


def search_data(loaded: Loaded) -> tuple[Asked, ...]:
    """What a search for a plan measures on: the recipe's `compress.data`, else its evaluation data.

    Each of several evaluations gives its arguments, too; those of `compress` take the place of such.
    """
    named = loaded.recipe.compress.data
    if named is None:
        return loaded.asked
    stated, found = loaded.recipe.compress.arguments, []
    for each in loaded.asked:
        evaluate = replace(each.evaluate, data=named, arguments=stated, slices={})
        if each.name and not evaluate.in_files:
            evaluate = replace(evaluate, arguments={**each.evaluate.arguments, **stated})
        with of_evaluation(each.name):
            data = _load_data(evaluate, loaded.model.contract, loaded.base, "compress.data")
        found.append(replace(each, evaluate=evaluate, data=data))
    return tuple(found)


def load_model(recipe: Recipe, base: Path, values: Path | None = None) -> Model:
    """The model of a recipe that states its contract, without its data; raises RecipeError."""
    contract, vocabularies = load_contract(recipe, base)
    core = _in_float32(load_core(recipe, base))
    return model_of(core, contract, table_spans(core, values), vocabularies)


def load_contract(recipe: Recipe, base: Path) -> tuple[Contract, dict[str, VocabularyFiles]]:
    """The contract that a recipe states, and the files of its vocabularies; raises RecipeError."""
    if recipe.contract is None:
        raise RecipeError("the recipe states no contract; add one")
    vocabularies = load_vocabularies(recipe.contract, base)
    contract = resolve_contract(recipe.contract, vocabularies)
    check_widths(contract)
    return contract, vocabularies


def load_vocabularies(source: ContractSource, base: Path) -> dict[str, VocabularyFiles]:
    """The files of every vocabulary by name, checked against each other."""
    found: dict[str, VocabularyFiles] = {
        name: {
            key: load_vocabulary(place, base=base, key=f"contract.vocabularies.{name}.{key}")
            for key, place in each.sources.items()
        }
        for name, each in source.vocabularies.items()
    }
    for name, each in source.vocabularies.items():
        check_tokens(name, found[name]["tokens"], each)
        check_beside(name, each, found)
    return found


def load_core(recipe: Recipe, base: Path) -> Stubbed:
    """The recipe's module as it was trained, with stubs for tables that are streamed; raises RecipeError."""
    from pocketrec.source.streamed import load_streamed, reaches

    return load_streamed(recipe.model, base=base) if reaches(recipe.model, base=base) else _held(recipe, base)


def _in_float32(core: Stubbed) -> Stubbed:
    """The module; where it is a factory's of 16 bits, the same in float32, and the notes say so."""
    from torch.fx import GraphModule
    from torch.jit import ScriptModule

    from pocketrec.source.weights import widened

    saved = isinstance(core.lowered, GraphModule | ScriptModule)  # whose graphs cast by themselves
    module = core.lowered if core.tables or saved else widened(core.lowered)
    if module is core.lowered:
        return core
    said = "the module's 16-bit weights are computed with in float32"
    return replace(core, lowered=module, notes=(*core.notes, said))


def _held(recipe: Recipe, base: Path) -> Stubbed:
    """The module in memory: what the factory makes, or a saved module."""
    from pocketrec.source.saved import SUFFIXES
    from pocketrec.source.streamed import Stubbed
    from pocketrec.source.weights import load_trained, random_text

    if recipe.model.factory.endswith(SUFFIXES):
        return Stubbed(lowered=_saved(recipe.model, base))
    loaded = load_trained(recipe.model, base=base)
    if loaded.random:
        raise RecipeError(
            f"model.weights is not set, and model.factory = {recipe.model.factory!r} gives other numbers "
            f"in every call ({random_text(loaded.random)}): name the trained weights, or load them there"
        )
    return Stubbed(lowered=loaded.module, notes=loaded.notes)


def _saved(source: ModelSource, base: Path) -> nn.Module:
    """The module in a TorchScript file or a .pt2 file, which brings its weights."""
    from pocketrec.source.saved import load_saved

    if source.weights is not None or source.arguments:
        raise RecipeError(
            f"model.factory = {source.factory!r} is a saved module, which has its weights; leave out "
            "model.weights and model.arguments"
        )
    try:
        return load_saved(base / source.factory)
    except UsageError as error:
        raise RecipeError(f"model.factory: {error}") from error


def _load_data(evaluate: Evaluate, contract: Contract, base: Path, key: str) -> EvaluationData:
    if evaluate.in_files:
        return open_tables(evaluate, contract, base)
    data = call_factory(evaluate.data, base=base, key=key, arguments=evaluate.arguments)
    expected = RankingData if evaluate.kind == "ranking" else ClassificationData
    if not isinstance(data, expected):
        raise RecipeError(
            f"{key} = {evaluate.data!r} returned {type(data).__name__}; kind "
            f"{evaluate.kind!r} expects {expected.__name__}"
        )
    inputs = contract.functions[evaluate.function].inputs
    missing = [each.name for each in inputs if each.name not in data.inputs]
    if missing:
        raise DataError(f"{key} = {evaluate.data!r} lacks the input {missing[0]!r}; add it")
    found: RankingData | ClassificationData = data
    return conformed(found, contract, evaluate)
