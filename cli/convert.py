"""`pocketrec convert`: a module and an example in, proved artifacts out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pocketrec.cli.console import examples, print_json, print_table, progress_on_stderr
from pocketrec.cli.options import in_options
from pocketrec.cli.paths import PATH
from pocketrec.errors import ContractError, RecipeError, UsageError

if TYPE_CHECKING:
    from torch import nn

    from pocketrec.about import About
    from pocketrec.contract import Contract
    from pocketrec.pipeline.convert import Conversion
    from pocketrec.quantize import Plan

# What a recipe calls it: the option that says the same here.
_OPTIONS = {"model.weights": "--weights", "model.factory": "FACTORY", "model.arguments": "--argument"}
_WEIGHTS = (".safetensors", ".npz", ".npy", ".index.json", ".ckpt", ".bin")


@click.command(
    epilog=examples(
        "pocketrec convert model.py:make --weights weights.safetensors --example inputs.npz --out converted",
        "pocketrec convert package.models:make --argument items=1000 --example inputs.npz --target onnx",
        "pocketrec convert model.py:make --example inputs.npz --compress int8",
        "pocketrec convert scripted.pt --example inputs.npz --precision float16 --json",
    )
)
@click.argument("factory")
@click.option(
    "--example",
    required=True,
    type=PATH,
    help="An .npz file: arrays by the names of forward's arguments, or in their order.",
)
@click.option("--weights", type=PATH, help="A state dict for the factory's module.")
@click.option(
    "--argument", "arguments", multiple=True, metavar="KEY=JSON", help="For the factory; repeatable."
)
@click.option("--contract", type=PATH, help="A corrected contract.json.")
@click.option("--out", type=PATH, default=Path("converted"), show_default=True)
@click.option(
    "--target",
    "targets",
    multiple=True,
    type=click.Choice(["coreml", "onnx", "web"]),
    help="[default: coreml and onnx]",
)
@click.option("--precision", type=click.Choice(["float32", "float16"]), default="float32", show_default=True)
@click.option(
    "--minimum-deployment-target",
    type=click.Choice(["iOS15", "iOS16", "iOS17", "iOS18"]),
    help="Of the Core ML program.  [default: iOS17, or iOS18 for int4]",
)
@click.option(
    "--compress",
    metavar="int8|int4|PLAN.toml",
    help="Compress: a preset, or a file with a table [compress.tensors] as in a recipe.",
)
@click.option(
    "--about",
    multiple=True,
    metavar="KEY=TEXT",
    help="What Xcode shows of the model: description, author, license, version; repeatable.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def convert(
    factory: str,
    example: Path,
    weights: Path | None,
    arguments: tuple[str, ...],
    contract: Path | None,
    out: Path,
    targets: tuple[str, ...],
    precision: str,
    minimum_deployment_target: str | None,
    compress: str | None,
    about: tuple[str, ...],
    as_json: bool,
) -> None:
    """Convert the module that FACTORY makes, and prove every artifact on probes made from --example.

    FACTORY is `package.module:function`, `file.py:function`, a TorchScript file or a .pt2 file. The
    inferred contract is written beside the artifacts; correct it and pass it as --contract. Exits with
    3 where no target is left.
    """
    from pocketrec.pipeline.convert import convert_module
    from pocketrec.pipeline.sources import read_example

    with progress_on_stderr() as progress:
        progress("load", 0, 1)
        module, notes = _module(factory, weights, arguments)
        result = convert_module(
            module,
            read_example(example),
            out,
            targets or ("coreml", "onnx"),
            _contract(contract),
            precision=precision,
            minimum_deployment_target=minimum_deployment_target or _default_target(compress),
            compress=_compress(compress),
            about=_about(about),
            progress=progress,
        )
    result = replace(result, notes=(*notes, *result.notes))
    if as_json:
        print_json({"schema": 1, **_strict(result)})
    else:
        _print(result)


def _module(
    factory: str, weights: Path | None, arguments: tuple[str, ...]
) -> tuple[nn.Module, tuple[str, ...]]:
    """The module, and what to say of how it got its numbers."""
    from pocketrec.recipe import ModelSource
    from pocketrec.source.saved import SUFFIXES, load_saved
    from pocketrec.source.weights import load_trained, random_text

    if factory.endswith(SUFFIXES) or _is_archive(factory):
        if weights is not None or arguments:
            raise UsageError(f"{factory}: a saved module has its weights; drop --weights and --argument")
        return load_saved(Path(factory)), ()
    if factory.endswith(_WEIGHTS):
        raise UsageError(
            f"{factory}: weights without a module; pass the factory of their module, and them as --weights"
        )
    source = ModelSource(
        factory=factory,
        weights=None if weights is None else str(weights.resolve()),
        arguments=dict(map(_argument, arguments)),
    )
    try:
        loaded = load_trained(source, base=Path.cwd())
    except RecipeError as error:
        raise UsageError(in_options(str(error), _OPTIONS)) from error
    if not loaded.random:
        return loaded.module, tuple(in_options(each, _OPTIONS) for each in loaded.notes)
    drawn = f"there is no --weights, and FACTORY draws {random_text(loaded.random)} anew in every call"
    return loaded.module, (f"random numbers were converted: {drawn}",)


def _is_archive(path: str) -> bool:
    """True for a file of any name that PyTorch wrote: what is no archive may be a factory's file."""
    import zipfile

    from pocketrec.outside import exists, open_file

    if ":" in path or path.endswith(_WEIGHTS) or not exists(Path(path)):
        return False
    with open_file(Path(path), error=UsageError, remedy="pass a factory or a saved module") as file:
        return zipfile.is_zipfile(file)


def _argument(text: str) -> tuple[str, Any]:
    key, separator, value = text.partition("=")
    try:
        parsed = json.loads(value)
    except ValueError:
        parsed = None
    if not separator or not key or (parsed is None and value != "null"):
        raise UsageError(f"--argument {text!r}: expected KEY=JSON, such as items=1000 or name='\"a\"'")
    return key, parsed


def _about(given: tuple[str, ...]) -> About:
    from pocketrec.about import About

    stated = dict(each.split("=", 1) for each in given if "=" in each)
    known = [each.name for each in fields(About)]
    for each in given:
        if each.partition("=")[0] not in known or "=" not in each:
            raise UsageError(f"--about {each!r}: expected KEY=TEXT with one of {', '.join(known)}")
    return About(**stated)


def _compress(asked: str | None) -> str | Plan | None:
    """The preset's name, or the plan of a file."""
    from pocketrec.outside import read_toml
    from pocketrec.quantize import plan_from_table

    if asked is None or not asked.endswith(".toml"):
        return asked
    try:
        table = read_toml(Path(asked), error=UsageError)
    except UsageError as error:
        raise UsageError(f"--compress {asked}: no readable TOML file ({error})") from None
    compress = table.get("compress")
    tensors = compress.get("tensors") if isinstance(compress, dict) else None
    if not isinstance(tensors, dict) or not all(isinstance(each, dict) for each in tensors.values()):
        raise UsageError(f"--compress {asked}: expected a table [compress.tensors] of tensors to schemes")
    return plan_from_table(tensors, source=asked)


def _contract(path: Path | None) -> Contract | None:
    from pocketrec.contract import Contract
    from pocketrec.outside import read_json
    from pocketrec.schema import from_table

    if path is None:
        return None
    return from_table(Contract, read_json(path, error=ContractError), source=path.name)


def _default_target(compress: str | None) -> str:
    """The deployment target that the preset needs."""
    return "iOS18" if compress == "int4" else "iOS17"


def _strict(result: Conversion) -> dict[str, Any]:
    from pocketrec.report import plain

    table: dict[str, Any] = plain(result.to_dict())
    return table


def _print(result: Conversion) -> None:
    rows = [
        (target, each.output, str(each.probes), f"{each.max_abs_error:.2g}", str(result.artifacts[target]))
        for target, parities in result.parity.items()
        for each in parities
    ]
    print_table("", ("target", "output", "probes", "max |Δ|", "artifact"), rows)
    for target, far in result.far.items():
        kept = "; ".join(f"{name}: {reason}" for name, reason in far["left_out"].items())
        left_out = f", {len(far['left_out'])} left out ({kept})" if kept else ""
        click.echo(f"{target}: equal on {far['compared']} probes far from the example{left_out}")
    if result.compression:
        audited = [
            (each.name, each.done, f"{each.bytes_before:,}", f"{each.bytes_after:,}", f"{each.sqnr_db:.1f}")
            for each in result.compression
        ]
        print_table("", ("tensor", "stored as", "bytes before", "after", "SQNR dB"), audited)
        for loss in result.loss:
            click.echo(
                f"compression loss: {loss.output}: {loss.sqnr_db:.1f} dB, max |Δ| {loss.max_abs_error:.2g} "
                "against the module as it was, on probes"
            )
    for each in result.rewrites:
        where = f" at {each.where}" if each.where else ""
        click.echo(f"rewritten: {each.name}{where}: {each.reason} (off by {each.max_abs_error:.2g} at most)")
    for note in result.notes:
        click.echo(f"note: {note}")
    for target, reason in result.refused.items():
        click.echo(f"refused: {target}: {reason}", err=True)
    for step in _next_steps(result):
        click.echo(f"next: {step}")


def _next_steps(result: Conversion) -> Iterator[str]:
    """What to do with a draft: correct it, convert again, look at what was made, ship it by a recipe."""
    from pocketrec.convert.targets import TARGETS

    out = next(iter(result.artifacts.values())).parent
    yield f"correct {out / 'contract.json'} (names, vocabularies, padding, batch) and pass it as --contract"
    ranges = any(dim.min < dim.max for dim in result.contract.dims.values())
    if ranges and any(TARGETS[key.partition("/")[0]].wants_fixed_sizes for key in result.artifacts):
        yield "for the Neural Engine, fix the batch: a dim's min and max alike, or a recipe's target"
    yield f"pocketrec lint {next(iter(result.artifacts.values()))}"
    yield "write a recipe.toml, which adds evaluation, gates and a bundle: see README.md"
