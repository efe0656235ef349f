"""`pocketrec verify`: is this bundle what was built, and does it still compute the same?"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from pocketrec.cli.console import examples, print_json, print_table, progress_on_stderr
from pocketrec.cli.paths import PATH
from pocketrec.cli.references import BUNDLE


@click.command(
    epilog=examples(
        "pocketrec verify build/sasrec",
        "pocketrec verify build/sasrec --json",
        "pocketrec verify build/sasrec --key release.pub.pem",
    )
)
@click.argument("bundle", type=BUNDLE)
@click.option(
    "--key", type=PATH, help="A public key in PEM; its owner must have signed BUNDLE (docs/trust.md)."
)
@click.option(
    "--require-signature", is_flag=True, help="Refuse a bundle whose signature no key was given for."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def verify(
    ctx: click.Context, bundle: Path, key: Path | None, require_signature: bool, as_json: bool
) -> None:
    """Check every digest of BUNDLE, then replay its golden and API vectors on the runtimes that are there.

    Works without PyTorch. Exits with 1 where a file is damaged, files contradict each other, a gate of the
    bundle's evidence failed, a vector differs, or nothing could be compared; a runtime that is not there
    is shown as not run.

    Digests find damage, not malice. With --key, nothing of BUNDLE runs unless the key's owner signed it; it
    exits with 10 where nobody signed, 11 where another key did, 12 where something was altered since, and
    13 where the signature expired.
    """
    from pocketrec.pipeline.verify import verify as run

    with progress_on_stderr() as progress:
        result = run(bundle, key=key, require_signature=require_signature, progress=progress)
    if as_json:
        print_json({"schema": 1, "passed": result.passed, **asdict(result), "path": str(result.path)})
    else:
        if result.replays:
            header = ("target", "function", "runtime", "vectors", "calls", "result")
            rows = [
                (
                    each.target,
                    each.function,
                    each.runtime,
                    str(each.vectors),
                    str(each.calls),
                    each.status.replace("_", " "),
                )
                for each in result.replays
            ]
            print_table("", header, rows)
        for each in result.replays:
            if each.message:
                status = each.status.replace("_", " ")
                click.echo(f"{status}: {each.target}/{each.function} on {each.runtime}: {each.message}")
        click.echo(f"signature  {result.signature.message}")
        click.echo(f"tree       {result.tree_sha256 or 'unknown'}")
        click.echo("passed" if result.passed else "failed")
    for problem in result.problems:
        click.echo(f"failed: {problem}", err=True)
    ctx.exit(result.exit_code)
