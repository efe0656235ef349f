"""A project around a module of the user's own: what an example shows of it, written down to be corrected."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, dataclass, fields
from os import path as os_path
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pocketrec.files import whole_folder
from pocketrec.package.apps.tree import render_template
from pocketrec.package.host.roles import SEQUENCES, rest_of
from pocketrec.pipeline.start.explained import as_toml, explained
from pocketrec.pipeline.start.project import check_free, project_name

if TYPE_CHECKING:
    from pocketrec.contract import Contract, Feature, Signature

_PACKAGE = "pocketrec.pipeline.start"
_ENDS = ("minimum", "maximum")
_OF_EXAMPLE = (
    "# The ends of the example's rows alone; within them artifacts are tried, and refused. State what\n"
    "#   callers may pass."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Own:
    """A module of the user's own.

    Attributes:
        factory: `package.module:function` or `file.py:function`.
        example: an .npz file of its inputs.
        weights: a state dict; None where the factory brings its weights.
    """

    factory: str
    example: Path
    weights: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What was written around a module.

    Attributes:
        files: all of the project's.
        tokens: those of them that hold tokens, which are made up.
        guessed: keys of the contract that the example does not decide, to the inputs and outputs that have
            them.
    """

    files: tuple[Path, ...]
    tokens: tuple[Path, ...]
    guessed: Mapping[str, tuple[str, ...]]


def start_draft(own: Own, folder: Path) -> Draft:
    """A project around the module in `folder`, which may be there if it is empty.

    Names, kinds, sizes and bounds are what the example shows; a person has to correct them. Held-out rows are
    for the user to write: until then a build ends with what is to be done.

    Raises:
        UsageError: there is something in the folder.
        InputError: the example does not fit the module.
    """
    check_free(folder)
    contract = _drafted(own)
    name = project_name(folder)
    with whole_folder(folder) as made:
        shutil.copyfile(own.example, made / "example.npz")
        for vocabulary, spec in contract.vocabularies.items():
            lines = "".join(f"{vocabulary}-{place}\n" for place in range(spec.size))
            (made / f"{vocabulary}.txt").write_text(lines, encoding="utf-8")
        (made / "data.py").write_text(_data(contract), encoding="utf-8")
        text = "\n".join(_recipe(own, contract, name, folder))
        (made / "recipe.toml").write_text(explained(text), encoding="utf-8")
    return Draft(
        files=tuple(sorted(each for each in folder.rglob("*") if each.is_file())),
        tokens=tuple(folder / f"{each}.txt" for each in contract.vocabularies),
        guessed=_guessed(contract),
    )


def _guessed(contract: Contract) -> dict[str, tuple[str, ...]]:
    """What of the contract the example does not decide: keys to the inputs and outputs that have them."""
    signature = next(iter(contract.functions.values()))
    inputs, sizes = signature.inputs, {each.size for each in contract.vocabularies.values()}
    found = {
        "vocabulary": [
            each.name
            for each in signature.outputs
            if each.vocabulary is None and (each.meaning == "top_k_ids" or sizes & {*each.shape[-1:]})
        ],
        "padding_side": [each.name for each in inputs if each.kind in SEQUENCES and not each.padding_side],
        "out_of_vocabulary": [each.name for each in inputs if each.is_id],
        "minimum and maximum": [each.name for each in inputs if {*_ENDS} & {*_stated(each)}],
    }
    return {key: tuple(names) for key, names in found.items() if names}


def _drafted(own: Own) -> Contract:
    from pocketrec.convert.example.attempts import example_trials
    from pocketrec.pipeline.sources import read_example
    from pocketrec.recipe import ModelSource
    from pocketrec.source.saved import SUFFIXES, load_saved
    from pocketrec.source.weights import load_trained

    if own.factory.endswith(SUFFIXES):
        module = load_saved(Path(own.factory))
    else:
        weights = None if own.weights is None else str(own.weights.resolve())
        module = load_trained(ModelSource(factory=own.factory, weights=weights), base=Path.cwd()).module
    trials = example_trials(module, read_example(own.example), None)
    return next(iter(trials)).model.contract


def _recipe(own: Own, contract: Contract, name: str, folder: Path) -> Iterator[str]:
    yield from ("schema = 1", f"name = {as_toml(name)}", 'version = "0.1.0"', "", "[model]")
    yield f"factory = {as_toml(_from(folder, own.factory))}"
    if own.weights is not None:
        yield f"weights = {as_toml(_from(folder, str(own.weights)))}"
    yield from ('example = "example.npz"', "", "[contract.dims]")
    for each, dim in contract.dims.items():
        yield f"{each} = {as_toml(_stated(dim))}"
    for each, spec in contract.vocabularies.items():
        stated = {"tokens": f"{each}.txt", "padding_id": spec.padding_id, "unknown_id": spec.unknown_id}
        yield from ("", f"[contract.vocabularies.{each}]", *_lines(stated))
    for function, signature in contract.functions.items():
        place = f"contract.functions.{function}"
        if signature.method != "forward":
            yield from ("", f"[{place}]", f"method = {as_toml(signature.method)}")
        for kind in ("inputs", "outputs"):
            for one in getattr(signature, kind):
                yield from ("", f"[[{place}.{kind}]]", *_remarked(_stated(one)))
    kind, output = _judged(contract)
    yield from (
        "",
        "[evaluate]",
        'data = "data.py:evaluation"',
        f'kind = "{kind}"',
        f"output = {as_toml(output)}",
    )
    yield from ("", "[targets.onnx]", "", "[targets.coreml]", "")


def _from(folder: Path, named: str) -> str:
    """A file as it is named from the folder; a module's name as it is."""
    path, colon, function = named.partition(":")
    if not path.endswith(".py") and colon:
        return named
    return Path(os_path.relpath(Path(path).resolve(), folder.resolve())).as_posix() + colon + function


def _stated(one: Any) -> dict[str, Any]:
    """What of a dataclass is not its default, by key."""
    found = {}
    for each in fields(one):
        value = getattr(one, each.name)
        default = each.default_factory() if each.default_factory is not MISSING else each.default
        if value is not None and value != default:
            found[each.name] = value
    return found


def _lines(stated: Mapping[str, Any]) -> list[str]:
    return [f"{key} = {as_toml(value)}" for key, value in stated.items() if value is not None]


def _remarked(stated: Mapping[str, Any]) -> list[str]:
    """The lines of an input or an output; above the ends of a number, what they are worth."""
    lines = _lines(stated)
    first = next((place for place, each in enumerate(lines) if each.startswith(_ENDS)), None)
    return lines if first is None else [*lines[:first], _OF_EXAMPLE, *lines[first:]]


def _judged(contract: Contract) -> tuple[str, str]:
    """How the first output can be judged: probabilities by labels, all else by ranks."""
    outputs = next(iter(contract.functions.values())).outputs
    output = next((each for each in outputs if each.meaning in ("probability", "score")), outputs[0])
    return "classification" if output.meaning == "probability" else "ranking", output.name


def _data(contract: Contract) -> str:
    kind, _ = _judged(contract)
    signature = next(iter(contract.functions.values()))
    inputs = {each.name: _entry(signature, each) for each in signature.inputs}
    rows = ", ".join(f'"{each}": […]' for each in inputs)
    ranking = kind == "ranking"
    call = (
        f"RankingData.from_lists(inputs={{{rows}}}, positives=[…], seen=[[…], …])"
        if ranking
        else f"ClassificationData(inputs={{{rows}}}, labels=[…])"
    )
    context = {
        "kind": "RankingData" if ranking else "ClassificationData",
        "inputs": inputs,
        "call": call,
    }
    return render_template(_PACKAGE, "draft_data.py", context, filters={})


def _entry(signature: Signature, feature: Feature) -> str:
    """What an input has for each row, in words."""
    rest = rest_of(signature, feature)
    if feature.kind in SEQUENCES:
        return f"a list of ids, which are places in {feature.vocabulary}.txt"
    if feature.is_id:
        return f"an id, which is a place in {feature.vocabulary}.txt"
    return f"{' x '.join(map(str, rest))} numbers" if rest else "a number"
