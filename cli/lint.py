"""`pocketrec lint`: the hazards of an artifact, or of every artifact in a bundle."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pocketrec.cli.console import count_text, examples, plain, print_json
from pocketrec.cli.paths import PATH

if TYPE_CHECKING:
    from pocketrec.validate.lint import Finding

_SEVERITIES = ("error", "warning", "note")


@click.command(
    epilog=examples(
        "pocketrec lint model.mlpackage",
        "pocketrec lint build/sasrec --json",
        "pocketrec lint model.onnx --for web",
        "pocketrec lint build/sasrec --sarif lint.sarif",
    )
)
@click.argument("path", type=PATH)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option(
    "--severity",
    type=click.Choice(_SEVERITIES),
    default="note",
    show_default=True,
    help="Show nothing milder than this.",
)
@click.option(
    "--for", "engine", type=click.Choice(["web"]), help="Name what onnxruntime-web does not run, too."
)
@click.option("--sarif", type=PATH, default=None, metavar="FILE", help="Write SARIF 2.1.0, too.")
@click.pass_context
def lint(
    ctx: click.Context, path: Path, as_json: bool, severity: str, engine: str | None, sarif: Path | None
) -> None:
    """Name the hazards of PATH: a bundle, a .mlpackage, a .mlmodel or a .onnx file.

    Each with its consequence and its remedy; the file may come from any converter. With --for web, of a
    bundle only its artifacts for the web. Exits with 1 where one is an error.
    """
    from pocketrec.pipeline.reports import check_place, write_report
    from pocketrec.validate.lint import lint_artifact
    from pocketrec.validate.report.sarif import to_sarif

    if sarif is not None:
        check_place(sarif, path)
    found = {str(each): lint_artifact(each, engine=engine) for each in _artifacts(path, engine)}
    counts: Counter[str] = Counter(each.severity for findings in found.values() for each in findings)
    shown = {
        name: tuple(each for each in findings if _worst(each.severity) <= _worst(severity))
        for name, findings in found.items()
    }
    if sarif is not None:
        write_report(sarif, to_sarif(shown), path)
    print_json(_to_json(shown, counts)) if as_json else _print(shown, counts)
    ctx.exit(1 if counts["error"] else 0)


def _artifacts(path: Path, engine: str | None) -> list[Path]:
    """The artifacts of a bundle, those for one engine where that is named; any other path is one itself."""
    from pocketrec.errors import UsageError
    from pocketrec.package.bundle import is_bundle, read_bundle
    from pocketrec.validate.open import FORMATS

    if path.suffix in FORMATS or not is_bundle(path):
        return [path]
    from pocketrec.pipeline.agreement import artifacts_of

    found = artifacts_of(read_bundle(path), engine)
    if not found:
        raise UsageError(f"{path}: no artifact for the {engine}; build it with [targets.{engine}]")
    return found


def _worst(severity: str) -> int:
    return _SEVERITIES.index(severity)


def _to_json(found: Mapping[str, tuple[Finding, ...]], counts: Counter[str]) -> dict[str, object]:
    return {
        "schema": 1,
        "artifacts": {name: [asdict(each) for each in findings] for name, findings in found.items()},
        "counts": {each: counts[each] for each in _SEVERITIES},
        "passed": not counts["error"],
    }


def _print(found: Mapping[str, tuple[Finding, ...]], counts: Counter[str]) -> None:
    for name, findings in found.items():
        click.echo(plain(f"{name}{'' if findings else ': nothing found'}"))
        for each in findings:
            click.echo(plain(f"  {each.severity:7}  {each.rule}  {each.place}"))
            click.echo(plain(f"           {each.message}"))
            click.echo(plain(f"           so: {each.consequence}"))
            click.echo(plain(f"           do: {each.remedy}"))
    click.echo(", ".join(count_text(counts[each], each) for each in _SEVERITIES))
