"""`pocketrec report`: what a bundle's build found out, as a page, for a pull request, for a test runner."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pocketrec.cli.console import examples, print_json
from pocketrec.cli.paths import PATH
from pocketrec.cli.references import BUNDLE

if TYPE_CHECKING:
    from pocketrec.package.bundle import Bundle
    from pocketrec.report import Evidence


@click.command(
    epilog=examples(
        "pocketrec report build/sasrec --open",
        'pocketrec report build/sasrec >> "$GITHUB_STEP_SUMMARY"',
        "pocketrec report build/sasrec --html report.html --markdown report.md --junit gates.xml",
    )
)
@click.argument("bundle", type=BUNDLE)
@click.option("--html", type=PATH, default=None, metavar="FILE", help="Write the page.")
@click.option("--markdown", type=PATH, default=None, metavar="FILE", help="Write the short form.")
@click.option(
    "--junit", type=PATH, default=None, metavar="FILE", help="Write JUnit XML: a gate is a test case."
)
@click.option(
    "--open", "opens", is_flag=True, help="Show the page in a browser: that of --html, or the bundle's."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def report(
    bundle: Path, html: Path | None, markdown: Path | None, junit: Path | None, opens: bool, as_json: bool
) -> None:
    """Report what the build of BUNDLE found out, from its evidence alone.

    Prints the short form where no file is asked for. Runs nothing, and needs no PyTorch. A file that is no
    report is not replaced. Exits with 0 whether or not gates passed: build and verify judge.
    """
    from pocketrec.errors import UsageError
    from pocketrec.package.bundle import read_bundle
    from pocketrec.pipeline.reports import check_place, evidence_of_bundle, write_report

    read = read_bundle(bundle)
    evidence = evidence_of_bundle(read)
    forms = zip((html, markdown, junit), _forms(read), strict=True)
    asked = [(path, write) for path, write in forms if path is not None]
    for path, _ in asked:
        check_place(path, bundle)
    if len({path.resolve() for path, _ in asked}) < len(asked):
        raise UsageError("two reports have one name; give each a file of its own")
    for path, write in asked:
        write_report(path, write(evidence), bundle)
    if as_json:
        print_json(_to_json(evidence, read, [path for path, _ in asked]))
    elif not asked and not opens:
        click.echo(_forms(read)[1](evidence), nl=False)
    else:
        for path, _ in asked:
            click.echo(f"wrote   {path}")
    if opens:
        _open(html, read)


def _forms(bundle: Bundle) -> tuple[Callable[[Evidence], str], ...]:
    """What writes the page, the short form and JUnit XML."""
    from functools import partial

    from pocketrec.validate.report.html import to_html
    from pocketrec.validate.report.junit import to_junit
    from pocketrec.validate.report.short import to_markdown

    return (partial(to_html, version=bundle.manifest.version), to_markdown, to_junit)


def _open(html: Path | None, bundle: Bundle) -> None:
    import webbrowser

    from pocketrec.pipeline.reports import PAGE

    page = (bundle.checked(PAGE) if html is None else html).resolve()
    if not webbrowser.open(page.as_uri()):
        click.echo(f"no browser opened; open {page}", err=True)


def _to_json(evidence: Evidence, bundle: Bundle, written: list[Path]) -> Mapping[str, Any]:
    from pocketrec.validate.report.headline import failed_gates, headlines, not_run

    return {
        "schema": 1,
        "name": bundle.manifest.name,
        "version": bundle.manifest.version,
        "passed": evidence.passed,
        "headlines": [asdict(each) for each in headlines(evidence)],
        "failed": [asdict(each) for each in failed_gates(evidence)],
        "not_run": [
            {"target": each.target, "runtime": each.runtime, "reason": each.reason}
            for each in not_run(evidence)
        ],
        "written": [str(each) for each in written],
    }
