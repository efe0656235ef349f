"""`pocketrec init`: a project to start from."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pocketrec.cli.console import examples, print_json
from pocketrec.cli.options import in_options
from pocketrec.cli.paths import PATH
from pocketrec.errors import RecipeError, UsageError

if TYPE_CHECKING:
    from pocketrec.pipeline.start.drafted import Draft

# What a recipe calls it: what says the same here.
_OPTIONS = {"model.weights": "--weights", "model.factory": "--from", "model.arguments": "its defaults"}


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

    From a model of the zoo it builds as it is. From your own module there are the recipe, drafted from an
    example, and a `data.py`, whose held-out rows are yours to write.
    """
    from pocketrec.model_zoo.registry import FAMILIES

    if example is not None and origin in FAMILIES:
        raise UsageError(f"--example goes with a module of your own; {origin} of the zoo has data of its own")
    draft = _own(folder, origin, example, weights) if example else None
    files = draft.files if draft else _zoo(folder, origin, weights)
    steps = _steps(folder, draft)
    if as_json:
        print_json(
            {"schema": 1, "files": [each.relative_to(folder).as_posix() for each in files], "next": steps}
        )
        return
    for each in files:
        click.echo(str(each))
    # What a person does stands before the commands, which can be pasted as they are.
    by_hand = f"{steps.pop(0)}, then " if draft else ""
    click.echo(f"next: {by_hand}{' && '.join(steps)}")


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
    module, _, function = found.train.partition(":")
    spec = find_spec(module)
    assert spec is not None
    assert spec.origin is not None
    return start_project(
        Start(
            family=found.name,
            summary=found.summary,
            paper=found.paper,
            recipe=found.recipe,
            module=Path(spec.origin),
            imported=module,
            train=function,
            weights=found.weights,
            data=found.data,
        ),
        folder,
    )


def _own(folder: Path, factory: str, example: Path, weights: Path | None) -> Draft:
    from pocketrec.pipeline.start.drafted import Own, start_draft

    try:
        return start_draft(Own(factory=factory, example=example, weights=weights), folder)
    except RecipeError as error:
        raise UsageError(in_options(str(error), _OPTIONS)) from error


def _steps(folder: Path, draft: Draft | None) -> list[str]:
    """What comes next: what a person does, then commands as a shell takes them."""
    edit = [_edited(folder, draft)] if draft else []
    trained = draft is not None or (folder / "weights.safetensors").is_file()
    train = [] if trained else ["python train.py"]
    return [*edit, f"cd {shlex.quote(str(folder))}", *train, "pocketrec build recipe.toml"]


def _edited(folder: Path, draft: Draft) -> str:
    """What of a draft a person has to correct."""
    files = ", ".join(map(str, (folder / "data.py", *draft.tokens)))
    guessed = "; ".join(f"{key} of {', '.join(names)}" for key, names in draft.guessed.items())
    told = f" (guessed there: {guessed})" if guessed else ""
    return f"edit {files} and {folder / 'recipe.toml'}{told}"
