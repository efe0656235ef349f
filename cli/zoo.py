"""`pocketrec zoo`: the recommenders that come with pocketrec, and the data they were trained on."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from pocketrec.cli.console import examples, print_json, print_table
from pocketrec.cli.paths import PATH
from pocketrec.errors import UsageError


@click.group()
def zoo() -> None:
    """List the models that come with pocketrec, train them again, or find their recipes."""


@zoo.command("list", epilog=examples("pocketrec zoo list"))
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_models(as_json: bool) -> None:
    """List the models with what they are."""
    from pocketrec.model_zoo.registry import FAMILIES

    if as_json:
        print_json(
            {name: {"summary": each.summary, "recipe": str(each.recipe)} for name, each in FAMILIES.items()}
        )
        return
    print_table("", ["name", "model"], [[name, each.summary] for name, each in FAMILIES.items()])


@zoo.command(epilog=examples('pocketrec build "$(pocketrec zoo path sasrec)"'))
@click.argument("name")
def path(name: str) -> None:
    """Print the path of the recipe of model NAME."""
    from pocketrec.model_zoo.registry import FAMILIES

    if name not in FAMILIES:
        raise UsageError(f"zoo: no family {name!r}; expected one of {', '.join(FAMILIES)}")
    click.echo(str(FAMILIES[name].recipe))


@zoo.command(epilog=examples("pocketrec zoo data"))
def data() -> None:
    """Fetch MovieLens-100K into the cache, check it, and print its folder."""
    from pocketrec.model_zoo.movielens_files import folder

    click.echo(str(folder()))


@zoo.command(epilog=examples("pocketrec zoo train sasrec --out sasrec.safetensors"))
@click.argument("name")
@click.option("--seed", default=0, show_default=True, help="Seed of weights, batches and dropout.")
@click.option(
    "--out",
    type=PATH,
    help="The .safetensors file to write.  [default: NAME.safetensors]",
)
def train(name: str, seed: int, out: Path | None) -> None:
    """Train model NAME on MovieLens-100K and print where its weights are."""
    from pocketrec.model_zoo.registry import train as run

    click.echo(str(run(name, seed=seed, out=out, progress=sys.stderr.isatty())))
