"""`pocketrec init`: a project to start from."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from pocketrec.cli.console import examples, print_json
from pocketrec.cli.paths import PATH
from pocketrec.errors import UsageError


@click.command(
    epilog=examples(
        "pocketrec init my-recommender",
        "pocketrec init --from gru4rec my-recommender",
        "pocketrec init --from model.py:make --weights weights.pt --example inputs.npz my-recommender",
    )
)
@click.argument("folder", type=PATH, metavar="DIR")
@click.option(
    "--from",
    "origin",
    default="sasrec",
    show_default=True,
    metavar="NAME|FACTORY",
    help="A model of the zoo, or `file.py:function` of your own.",
)
@click.option("--example", type=PATH, help="Of your own module: an .npz file of its inputs.")
@click.option("--weights", type=PATH, help="Of your own module: its state dict.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def init(folder: Path, origin: str, example: Path | None, weights: Path | None, as_json: bool) -> None:
    """Start a project in DIR: a model, its data, a recipe with every key explained, a test, a workflow.

    From a model of the zoo it builds as it is. From your own module the recipe is drafted from an example;
    held-out rows are yours to write.
    """
    files = _own(folder, origin, example, weights) if example else _zoo(folder, origin, weights)
    steps = _steps(folder, drafted=example is not None)
    if as_json:
        print_json(
            {"schema": 1, "files": [each.relative_to(folder).as_posix() for each in files], "next": steps}
        )
        return
    for each in files:
        click.echo(str(each))
    click.echo("next: " + " && ".join(steps))


def _zoo(folder: Path, name: str, weights: Path | None) -> tuple[Path, ...]:
    from importlib.util import find_spec

    from pocketrec.model_zoo.registry import family
    from pocketrec.pipeline.start.project import Start, start_project

    if ":" in name or name.endswith((".py", ".pt", ".pt2")):
        raise UsageError(
            f"--from {name}: a module of your own is drafted from its inputs; add --example FILE.npz"
        )
    if weights is not None:
        raise UsageError(
            "--weights goes with a module of your own and --example; a model of the zoo has its own"
        )
    found = family(name)
    spec = find_spec(found.train.partition(":")[0])
    assert spec is not None
    assert spec.origin is not None
    return start_project(
        Start(
            family=found.name,
            summary=found.summary,
            paper=found.paper,
            recipe=found.recipe,
            module=Path(spec.origin),
            weights=found.weights,
            data=found.data,
        ),
        folder,
    )


def _own(folder: Path, factory: str, example: Path, weights: Path | None) -> tuple[Path, ...]:
    from pocketrec.pipeline.start.drafted import Own, start_draft

    return start_draft(Own(factory=factory, example=example, weights=weights), folder)


def _steps(folder: Path, *, drafted: bool) -> list[str]:
    """The commands that come next, as a shell takes them."""
    place = shlex.quote(str(folder))
    if drafted:
        return [f"cd {place}", "edit data.py and recipe.toml", "pocketrec build recipe.toml"]
    train = [] if (folder / "weights.safetensors").is_file() else ["python train.py"]
    return [f"cd {place}", *train, "pocketrec build recipe.toml"]
