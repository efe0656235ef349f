"""What a recipe names, as trials: by its contract, by a contract drafted from an example, or by both.

[contract]                ─▶ source.loaded             probes from contract and data
[model] example           ─▶ convert.example, drafted  the probes of a conversion
both                      ─▶ source.loaded             probes from all three
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pocketrec.contract import Contract, Signature
from pocketrec.convert.targets import check_flexible
from pocketrec.errors import InputError, RecipeError
from pocketrec.evaluation import Asked, sample_for
from pocketrec.recipe import Recipe
from pocketrec.source.arrays import read_arrays
from pocketrec.source.loaded import (
    Loaded,
    load_contract,
    load_core,
    load_data,
    load_model,
    prepare,
    with_data,
    with_fixed_batch,
)
from pocketrec.source.model import Model, Trial, Trials, table_spans

if TYPE_CHECKING:
    from pocketrec.convert.example.probes import Inputs
    from pocketrec.source.checkpoint import Span
    from pocketrec.source.streamed import Stubbed


def load_source(recipe: Recipe, base: Path, values: Path | None = None) -> Loaded:
    """The recipe's model as trials, and its data.

    Args:
        recipe: as it was read.
        base: the folder that relative paths start from.
        values: as for `source.loaded.prepare`, which raises the same.

    Raises:
        RecipeError: the example is no .npz of arrays that the module or the contract takes, or the module
            gives NaN for it.
    """
    if recipe.contract is None:
        trials = _drafted(recipe, base, values)
        first = next(iter(trials))
        _check_rows(recipe, first)
        check_flexible(recipe.targets, first.model.contract.dims)
        return with_data(recipe, base, first.model, trials)
    loaded = prepare(recipe, base, values)
    if recipe.model.example is None:
        return loaded
    examples = _bound(recipe, base, loaded.model.contract)
    make = partial(_with_examples, recipe, loaded.trials, examples)
    return replace(loaded, trials=replace(loaded.trials, make=make))


def load_source_model(recipe: Recipe, base: Path, values: Path | None = None) -> Model:
    """The model that `load_source` gives, without its data."""
    if recipe.contract is None:
        return next(iter(_drafted(recipe, base, values))).model
    return load_model(recipe, base, values)


def load_evaluation(recipe: Recipe, base: Path) -> tuple[Contract, tuple[Asked, ...]]:
    """The contract and evaluations that `load_source` gives; a model is loaded only to draft the contract."""
    if recipe.contract is None:
        loaded = load_source(recipe, base)
        return loaded.model.contract, loaded.asked
    contract, _ = load_contract(recipe, base)
    return contract, load_data(recipe, base, contract)[0]


def read_example(path: Path) -> Any:
    """The arrays of an .npz file as tensors: a tuple where numpy.savez numbered them, else a dict.

    Raises:
        InputError: it is no .npz of plain numbers; names the array.
    """
    arrays = {name: _tensor(path, name, array) for name, array in read_arrays(path).items()}
    if not arrays:
        raise InputError(f"{path}: there is no array in it; save the inputs with numpy.savez")
    if all(name.startswith("arr_") and name[4:].isdigit() for name in arrays):
        return tuple(arrays[name] for name in sorted(arrays, key=lambda name: int(name[4:])))
    return arrays


def _tensor(path: Path, name: str, array: Any) -> Any:
    import torch

    try:
        return torch.from_numpy(array)
    except (TypeError, ValueError):
        raise InputError(
            f"{path}: {name} is of dtype {array.dtype}; expected numbers or booleans in this machine's order"
        ) from None


def _drafted(recipe: Recipe, base: Path, values: Path | None) -> Trials:
    """The trials of a conversion from the example, and a note of where their contract comes from."""
    from pocketrec.convert.example.attempts import drafted_trials

    core = load_core(recipe, base)
    spans = table_spans(core, values)
    try:
        example = read_example(base / str(recipe.model.example))
        trials = drafted_trials(core, spans, example, in_float32=recipe.compress.active)
        next(iter(trials))
    except InputError as error:
        raise _wrong(recipe, error) from error
    return replace(trials, make=partial(_free_then_fixed, trials.make)).noting(
        (
            f"The contract was drafted from model.example = {recipe.model.example!r}: no person has stated "
            "names, kinds, vocabularies and padding; correct contract.json and state it in the recipe.",
        )
    )


def _free_then_fixed(
    make: Callable[[Stubbed, Mapping[str, Span]], Iterator[Trial]], core: Stubbed, spans: Mapping[str, Span]
) -> Iterator[Trial]:
    """The first trial, then the same captured for the smallest batch.

    A conversion would ship a contract of the example's own number of rows; evaluation data have any.
    """
    first = next(make(core, spans))
    yield first
    fixed = with_fixed_batch(first.captured)
    if fixed != first.captured:
        yield replace(first, captured=fixed, note="the batch is fixed")


def _check_rows(recipe: Recipe, trial: Trial) -> None:
    """Checks that the draft's batch is free; RecipeError with what the module does on other batches."""
    from pocketrec.convert.example.probes import batched_inputs

    if not batched_inputs(trial.model.contract.functions["main"].inputs)[0]:
        raise RecipeError(
            f"model.example = {recipe.model.example!r}: {trial.note or 'no input has rows'}, and evaluation "
            "data have any number of rows; state a [contract] whose batch is a dim of that size"
        )


def _wrong(recipe: Recipe, error: InputError) -> RecipeError:
    return RecipeError(f"model.example = {recipe.model.example!r}: {error}")


def _bound(recipe: Recipe, base: Path, contract: Contract) -> Mapping[str, Inputs]:
    """The example's arrays by function and input, as the contract has them."""
    from pocketrec.validate.runtimes.runtime import check_inputs, contract_spec

    path = base / str(recipe.model.example)
    names = {each.name for f in contract.functions.values() for each in f.inputs}

    def fits(headers: Mapping[str, Any]) -> None:
        surplus = sorted(headers.keys() - names)
        if surplus:
            known = ", ".join(sorted(names))
            raise InputError(f"{path.name}: {surplus[0]!r} is no input of the contract; expected {known}")

    try:
        arrays = read_arrays(path, fits)
        found = {
            name: _in_dtypes(arrays, signature)
            for name, signature in contract.functions.items()
            if all(each.name in arrays for each in signature.inputs)
        }
        if not found:
            first = next(iter(contract.functions.values()))
            lacking = next(each.name for each in first.inputs if each.name not in arrays)
            raise InputError(f"{path.name}: {lacking!r} is missing; give all inputs of a function")
        for name, inputs in found.items():
            specs = tuple(contract_spec(each, contract) for each in contract.functions[name].inputs)
            check_inputs(specs, inputs, where=path.name)
    except InputError as error:
        raise _wrong(recipe, error) from error
    return found


def _in_dtypes(arrays: Mapping[str, Any], signature: Signature) -> Inputs:
    """The inputs in the contract's dtypes; InputError names one whose values do not fit."""
    found = {}
    for each in signature.inputs:
        given = np.asarray(arrays[each.name])
        if given.dtype.kind not in "iufb":
            raise InputError(f"{each.name} is of dtype {given.dtype}; expected {each.dtype}")
        with np.errstate(over="ignore", invalid="ignore"):
            made = given.astype(each.dtype)
        if made.dtype.kind in "ib" and not np.array_equal(made, given):
            wrong = given[np.nonzero(made != given)].flat[0]
            raise InputError(f"{each.name} holds {wrong}, which {each.dtype} cannot hold")
        found[each.name] = made
    return found


def _with_examples(
    recipe: Recipe,
    trials: Trials,
    examples: Mapping[str, Inputs],
    core: Stubbed,
    spans: Mapping[str, Span],
) -> Iterator[Trial]:
    """The trials with the example's probes before those of contract and evaluation data."""
    from pocketrec.convert.example.stated import with_examples
    from pocketrec.validate.measure.probes import make_probes

    first, data = None, [each.data for each in trials.asked]
    for trial in trials.make(core, spans):
        if first is None:
            try:
                first = with_examples(trial, examples)
            except InputError as error:
                raise _wrong(recipe, error) from error
            contract = trial.model.contract
            probes = {
                name: (
                    *first.probes.get(name, ()),
                    *make_probes(contract, name, sample_for(each, data), seed=trials.seed),
                )
                for name, each in contract.functions.items()
            }
            first = replace(first, probes=probes, expected={})
        yield replace(trial, probes=first.probes, far=first.far)
