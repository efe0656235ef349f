"""`pocketrec package`: what is generated from a bundle."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pocketrec.cli.console import examples, print_json, show_bytes
from pocketrec.cli.paths import PATH

if TYPE_CHECKING:
    from pocketrec.package.bundle import Bundle
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
        "pocketrec package swift build/sasrec --registry /srv/swift --id shop.session-recommender",
    )
)
@click.argument("bundle", type=PATH)
@click.option("--out", type=PATH, default=None, help="The folder to write; BUNDLE-swift by default.")
@click.option("--target", default=None, help="Whose artifacts run; `coreml`, else the only one of Core ML.")
@click.option("--with-vectors", is_flag=True, help="Take the API vectors along, for the package's tests.")
@click.option(
    "--registry", type=PATH, default=None, help="Add a release to this folder of a registry instead."
)
@click.option("--id", "identity", default=None, help="The package's id there: shop.session-recommender.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def swift(
    bundle: Path,
    out: Path | None,
    target: str | None,
    with_vectors: bool,
    registry: Path | None,
    identity: str | None,
    as_json: bool,
) -> None:
    """Write a Swift package that runs BUNDLE in an app.

    A typed class with an async method for each function of the contract, the model's files, tests,
    documentation and an example. The same bundle gives the same package; an earlier package in the folder is
    replaced.

    With --registry and --id it becomes a release of a Swift package registry: a folder of files, with the
    nginx.conf that serves them, from which apps take it by id and version. A release is never altered.
    """
    from pocketrec.package.bundle import read_bundle
    from pocketrec.package.swift.generate import write_swift_package

    read = read_bundle(bundle)
    if registry is not None or identity is not None:
        _release(read, _stated(registry, identity, out), target, vectors=with_vectors, as_json=as_json)
        return
    written = write_swift_package(read, out or _beside(bundle, "swift"), target=target, vectors=with_vectors)
    _tell(written, f"swift    {written.module} {written.version}", as_json=as_json)


def _stated(registry: Path | None, identity: str | None, out: Path | None) -> tuple[Path, str]:
    """The registry and the package's id in it; a usage error where one is missing or --out is there, too."""
    if registry is None or identity is None:
        raise click.UsageError("--registry and --id go together: a folder, and shop.session-recommender.")
    if out is not None:
        raise click.UsageError("--out and --registry are two places; pass one of them.")
    return registry, identity


def _release(
    bundle: Bundle, place: tuple[Path, str], target: str | None, *, vectors: bool, as_json: bool
) -> None:
    """Adds a release to a registry, and says how an app asks for it."""
    from pocketrec.package.swift.registry.release import add_release

    done = add_release(bundle, *place, target=target, vectors=vectors)
    if as_json:
        shown = {**asdict(done), "path": str(done.path), "configuration": str(done.configuration)}
        print_json({"schema": 1, **shown})
        return
    click.echo(f"release  {done.id} {done.version}  {'added' if done.added else 'was there already'}")
    click.echo(f"archive  {show_bytes(done.archive_bytes)}, sha256 {done.checksum}")
    click.echo(f"list     {', '.join(done.releases)}")
    click.echo(f"nginx    {done.configuration}")
    click.echo(f'app      .package(id: "{done.id}", from: "{done.version}")')
    click.echo(f'         .product(name: "{done.module}", package: "{done.id}")')


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
