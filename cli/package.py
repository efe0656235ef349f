"""`pocketrec package`: what is generated from a bundle."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pocketrec.cli.console import examples, print_json, show_bytes
from pocketrec.cli.paths import PATH

if TYPE_CHECKING:
    from pocketrec.package.swift.generate import SwiftPackage
    from pocketrec.package.web.generate import WebPackage


@click.group()
def package() -> None:
    """Generate packages that call a bundle in an app's words."""


@package.command(
    epilog=examples(
        "pocketrec package web build/sasrec",
        "pocketrec package web build/sasrec --out web/recommender --target web",
        "pocketrec package web build/sasrec --with-vectors --json",
    )
)
@click.argument("bundle", type=PATH)
@click.option("--out", type=PATH, default=None, help="The folder to write; BUNDLE-web by default.")
@click.option("--target", default=None, help="Whose artifacts run; `web`, else the only ONNX target.")
@click.option("--with-vectors", is_flag=True, help="Take the API vectors along, to replay them in a page.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def web(bundle: Path, out: Path | None, target: str | None, with_vectors: bool, as_json: bool) -> None:
    """Write an npm package that runs BUNDLE in a browser.

    A typed class with a method for each function of the contract, the model's files, a README and a page to
    try it on. The same bundle gives the same package; an earlier package in the folder is replaced.
    """
    from pocketrec.package.bundle import read_bundle
    from pocketrec.package.web.generate import write_web_package

    read = read_bundle(bundle)
    written = write_web_package(read, out or _beside(bundle, "web"), target=target, vectors=with_vectors)
    _tell(written, f"npm      {written.name} {written.version}", as_json=as_json)


@package.command(
    epilog=examples(
        "pocketrec package swift build/sasrec",
        "pocketrec package swift build/sasrec --out Packages/Recommender --target coreml_fp32",
        "pocketrec package swift build/sasrec --with-vectors --json",
    )
)
@click.argument("bundle", type=PATH)
@click.option("--out", type=PATH, default=None, help="The folder to write; BUNDLE-swift by default.")
@click.option("--target", default=None, help="Whose artifacts run; `coreml`, else the only one of Core ML.")
@click.option("--with-vectors", is_flag=True, help="Take the API vectors along, for the package's tests.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def swift(bundle: Path, out: Path | None, target: str | None, with_vectors: bool, as_json: bool) -> None:
    """Write a Swift package that runs BUNDLE in an app.

    A typed class with an async method for each function of the contract, the model's files, tests,
    documentation and an example. The same bundle gives the same package; an earlier package in the folder is
    replaced.
    """
    from pocketrec.package.bundle import read_bundle
    from pocketrec.package.swift.generate import write_swift_package

    read = read_bundle(bundle)
    written = write_swift_package(read, out or _beside(bundle, "swift"), target=target, vectors=with_vectors)
    _tell(written, f"swift    {written.module} {written.version}", as_json=as_json)


def _tell(written: WebPackage | SwiftPackage, named: str, *, as_json: bool) -> None:
    """Prints what was written; `named` is the line of its own name."""
    if as_json:
        print_json({"schema": 1, **asdict(written), "path": str(written.path)})
        return
    click.echo(f"package  {written.path}")
    click.echo(f"{named}, class {written.type_name}")
    click.echo(f"calls    {', '.join(written.methods)}")
    click.echo(f"model    {show_bytes(written.model_bytes)}, target {written.target}")


def _beside(bundle: Path, what: str) -> Path:
    """The folder of a package beside its bundle."""
    whole = bundle.resolve()
    named = whole if bundle.name in ("", "..") else bundle  # `.` has no name to stand beside
    return named.with_name(f"{whole.name}-{what}")
