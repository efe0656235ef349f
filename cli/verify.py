"""`pocketrec verify`: is this bundle what was built, and does it still compute the same?"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import click

from pocketrec.cli.console import examples, plain, print_json, print_table, progress_on_stderr
from pocketrec.cli.paths import PATH
from pocketrec.cli.references import BUNDLE
from pocketrec.recipe.target import ComputeUnits

if TYPE_CHECKING:
    from pocketrec.pipeline.verify import VerifyResult

_HEADER = ("target", "function", "runtime", "units", "vectors", "calls", "result")


@click.command(
    epilog=examples(
        "pocketrec verify build/sasrec",
        "pocketrec verify build/sasrec --json",
        "pocketrec verify build/sasrec --key release.pub.pem",
        "pocketrec verify build/sasrec --runtime coreml --compute-units cpu_only --require coreml-framework",
    )
)
@click.argument("bundle", type=BUNDLE)
@click.option(
    "--key", type=PATH, help="A public key in PEM; its owner must have signed BUNDLE (docs/trust.md)."
)
@click.option(
    "--require-signature", is_flag=True, help="Refuse a bundle whose signature no key was given for."
)
@click.option(
    "--runtime",
    "runtimes",
    multiple=True,
    metavar="NAME",
    help="Only this engine, or all of a format, such as coreml; may be repeated.",
)
@click.option(
    "--require",
    "required",
    multiple=True,
    metavar="NAME",
    help="Fail where this engine did not run every artifact that is for it; may be repeated.",
)
@click.option(
    "--compute-units",
    type=click.Choice(get_args(ComputeUnits)),
    help="That Core ML's framework may use.  [default: the recipe's]",
)
@click.option(
    "--timeout",
    type=float,
    metavar="SECONDS",
    help="For each artifact on Core ML's framework, which runs in a process of its own.  [default: 600]",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def verify(
    ctx: click.Context,
    bundle: Path,
    key: Path | None,
    require_signature: bool,
    runtimes: tuple[str, ...],
    required: tuple[str, ...],
    compute_units: str | None,
    timeout: float | None,
    as_json: bool,
) -> None:
    """Check every digest of BUNDLE, then replay its golden and API vectors on the runtimes that are there.

    Works without PyTorch. Numbers and order have to be as close as the build's gates ask. Exits with 1 where
    a file is damaged, files contradict each other, a gate of the bundle's evidence failed, a vector differs,
    or nothing could be compared; a runtime that is not there is shown as not run. It exits with 14 where
    nothing is wrong but that a framework hung or crashed, or that a required engine did not run: another
    machine, other compute units or more time may answer (docs/verify.md).

    Digests find damage, not malice. With --key, nothing of BUNDLE runs unless the key's owner signed it; it
    exits with 10 where nobody signed, 11 where another key did, 12 where something was altered since, and
    13 where the signature expired.
    """
    from pocketrec.pipeline.verify import verify as run
    from pocketrec.pipeline.verify_outcomes import Asked

    limit = {} if timeout is None else {"timeout": timeout}
    asked = Asked(runtimes=runtimes, required=required, compute_units=compute_units, **limit)
    with progress_on_stderr() as progress:
        result = run(bundle, key=key, require_signature=require_signature, asked=asked, progress=progress)
    if as_json:
        print_json(_as_json(result))
    else:
        _show(result)
    for problem in (*result.problems, *result.unmet):
        click.echo(plain(f"failed: {problem}"), err=True)
    ctx.exit(result.exit_code)


def _as_json(result: VerifyResult) -> dict[str, object]:
    said = {"schema": 1, "passed": result.passed, "exit_code": result.exit_code, **asdict(result)}
    problems = [*result.problems, *result.unmet]
    return {**said, "problems": problems, "rehearsal": result.rehearsal, "path": str(result.path)}


def _show(result: VerifyResult) -> None:
    if result.replays:
        rows = [
            (
                each.target,
                each.function,
                each.runtime,
                each.compute_units.removeprefix("allowed: "),
                str(each.vectors),
                str(each.calls),
                each.words,
            )
            for each in result.replays
        ]
        print_table("", _HEADER, rows)
    for each in result.replays:
        where = f"{each.target}/{each.function} on {each.runtime}"
        if each.message:
            click.echo(plain(f"{each.words}: {where}: {each.message}"))
        if each.printed:
            click.echo(f"printed: {where}: {each.printed.splitlines()[-1]}")
    if result.left_out:
        click.echo(f"part       {len(result.left_out)} files of the whole are left out, and were not checked")
    click.echo(f"signature  {result.signature.message}")
    click.echo(f"tree       {result.tree_sha256 or 'unknown'}")
    rehearsed = " (rehearsal: something stood in for Core ML, and no device ran)" if result.rehearsal else ""
    click.echo(("passed" if result.passed else "failed") + rehearsed)
