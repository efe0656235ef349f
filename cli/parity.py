"""`pocketrec parity`: what verify and profile found on one machine, for a pull request."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from pocketrec.cli.console import examples, print_json
from pocketrec.cli.paths import PATH


@click.command(
    epilog=examples(
        'pocketrec parity evidence >> "$GITHUB_STEP_SUMMARY"',
        "pocketrec parity evidence --passed",
        "pocketrec parity evidence --json",
    )
)
@click.argument("folder", type=PATH)
@click.option(
    "--name", default="parity", show_default=True, help="Of the job, which its comment is found by."
)
@click.option(
    "--passed", is_flag=True, help="Print target and function of what passed on Core ML, a line each."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def parity(folder: Path, name: str, passed: bool, as_json: bool) -> None:
    """Show as Markdown what verify, profile and doctor found on one machine.

    FOLDER holds what they print with --json: doctor.json, verify.json and a
    measured.TARGET.FUNCTION.UNITS.json for each setting of compute units; beside them, as .txt, what they
    said. Times are shown where Core ML on a Mac took them. Exits with 0 whether or not it passed: verify
    judges (docs/ci.md).
    """
    from pocketrec.pipeline.mac_run import read_mac_run
    from pocketrec.validate.report.mac_run import FRAMEWORK, mac_run_markdown

    run = read_mac_run(folder)
    if as_json:
        verdict = {"verdict": run.verdict, "rehearsed": run.rehearsed}
        timed = [{**asdict(each), "of_a_device": each.of_a_device} for each in run.timed]
        print_json({"schema": 1, **asdict(run), **verdict, "timed": timed})
    elif passed:
        for each in run.answered:
            if each.outcome == "passed" and each.runtime == FRAMEWORK:
                click.echo(f"{each.target} {each.function}")
    else:
        click.echo(mac_run_markdown(run, name), nl=False)
