"""`pocketrec inspect`: what is in a bundle or an artifact."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pocketrec.cli.console import examples, plain, plain_lines, print_json, print_table, show_bytes
from pocketrec.cli.references import BUNDLE

if TYPE_CHECKING:
    from pocketrec.package.bundle import Bundle
    from pocketrec.validate.artifact.sizes import ArtifactDescription
    from pocketrec.validate.runtimes.runtime import TensorSpec


@click.command(
    epilog=examples(
        "pocketrec inspect build/sasrec",
        "pocketrec inspect example.com/models/sasrec:1.4.0",
        "pocketrec inspect build/sasrec/artifacts/onnx/main.onnx --json",
    )
)
@click.argument("path", type=BUNDLE)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def inspect(path: Path, as_json: bool) -> None:
    """Show what PATH holds: a bundle, a .mlpackage or a .onnx file.

    For a bundle its artifacts; for an artifact its inputs, outputs, ops, and bytes per tensor.
    """
    from pocketrec.package.bundle import is_bundle, read_bundle
    from pocketrec.validate.open import FORMATS, no_artifact

    if path.suffix not in FORMATS and is_bundle(path):
        bundle = read_bundle(path)
        print_json(_bundle_json(bundle)) if as_json else _print_bundle(bundle)
        return
    if path.suffix not in FORMATS or not path.exists():
        raise no_artifact(path)
    from pocketrec.pipeline.told import carried_in
    from pocketrec.validate.artifact.sizes import describe_artifact

    described = describe_artifact(path, known=carried_in)
    print_json({"schema": 1, **asdict(described)}) if as_json else _print_artifact(described)


def _bundle_json(bundle: Bundle) -> dict[str, Any]:
    artifacts = [
        {"target": target, "function": function, "path": path, "size_bytes": size}
        for target, function, path, size in _artifacts(bundle)
    ]
    manifest = bundle.manifest
    return {
        "schema": 1,
        "name": manifest.name,
        "version": manifest.version,
        "pocketrec": manifest.pocketrec,
        "tree_sha256": manifest.tree_sha256,
        "artifacts": artifacts,
        "files": dict(bundle.listed),
        "left_out": sorted(bundle.left_out),
    }


def _artifacts(bundle: Bundle) -> list[tuple[str, str, str, int]]:
    """Target, function, path and bytes of every artifact."""
    return [
        (target, function, path, _size(bundle.path / path))
        for target, functions in sorted(bundle.manifest.artifacts.items())
        for function, path in sorted(functions.items())
    ]


def _size(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(each.stat().st_size for each in files if each.is_file())


def _print_bundle(bundle: Bundle) -> None:
    manifest = bundle.manifest
    click.echo(plain(f"{manifest.name} {manifest.version}, written by pocketrec {manifest.pocketrec}"))
    rows = [(t, f, show_bytes(size), path) for t, f, path, size in _artifacts(bundle)]
    print_table("", ("target", "function", "size", "artifact"), rows)
    click.echo(f"files   {len(manifest.files) + len(bundle.evidence.files) - len(bundle.left_out)}")
    if bundle.left_out:
        click.echo(
            f"part    of {', '.join(sorted(manifest.artifacts))}; {len(bundle.left_out)} files are left out"
        )
    click.echo(f"tree    {manifest.tree_sha256}")


def _print_artifact(described: ArtifactDescription) -> None:
    click.echo(plain(f"{described.format}, {described.version}"))
    for key, text in described.about.items():
        click.echo(plain(f"{key:<12}{' '.join(text.split())}"))
    rows = [(way, each.name, each.dtype, _shape(each)) for way, each in _tensors(described)]
    print_table("", ("way", "name", "dtype", "shape"), rows)
    for _, each in _tensors(described):
        if each.description:
            click.echo(plain_lines(f"{each.name}: {each.description}"))
    print_table("", ("op", "count"), [(op, str(count)) for op, count in described.op_counts.items()])
    stored = [(t.name, t.dtype, str(list(t.shape)), show_bytes(t.size_bytes)) for t in described.tensors]
    print_table("", ("tensor", "dtype", "shape", "size"), stored)
    if described.compressed:
        print_table(
            "Compressed", ("tensor", "method", "shape", "bits", "float32", "stored"), _compressed(described)
        )
    if described.unknown:
        click.echo(f"which tensors are compressed is not known: {described.unknown}")
    click.echo(f"size    {show_bytes(described.size_bytes)}")


def _compressed(described: ArtifactDescription) -> list[tuple[str, ...]]:
    return [
        (
            each.name,
            each.method,
            str(list(each.shape)),
            f"{each.bits:.2f}",
            show_bytes(each.bytes_before),
            show_bytes(each.bytes_after),
        )
        for each in described.compressed
    ]


def _tensors(described: ArtifactDescription) -> list[tuple[str, TensorSpec]]:
    return [("input", each) for each in described.inputs] + [("output", each) for each in described.outputs]


def _shape(tensor: TensorSpec) -> str:
    bounds: tuple[tuple[int | None, int | None], ...] = tensor.bounds or tuple(
        (size, size) for size in tensor.shape
    )
    return "[" + ", ".join(_range(low, high) for low, high in bounds) + "]"


def _range(low: int | None, high: int | None) -> str:
    if low == high:
        return "?" if low is None else str(low)
    return f"{low}.." if high is None else f"{low}..{high}"
