"""`pocketrec serve-pipe`: an artifact that another process asks over stdin and stdout."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

import click

from pocketrec.cli.console import examples
from pocketrec.cli.paths import PATH


@click.command(
    epilog=examples(
        "pocketrec serve-pipe main.mlpackage < requests > replies",
        "pocketrec serve-pipe encoders.mlpackage --function user_tower < requests > replies",
    )
)
@click.argument("package", type=PATH)
@click.option("--function", default=None, help="Of a package that holds several; by default the first.")
def serve_pipe(package: Path, function: str | None) -> None:
    """Answer predictions of PACKAGE (.mlpackage or .onnx) over stdin and stdout.

    Both carry frames: a length, a JSON header, raw tensors (docs/coreml-linux.md). The first reply describes
    the function; then each request has one reply, its outputs or an error. It ends with 0 where stdin ends
    between two frames, with 2 after a frame that cannot be read, and as every command does where PACKAGE
    cannot be opened; an error frame came before.
    """
    from pocketrec.pipeline.serve import serve

    # What nobody reads any more is written once again as the file closes.
    with _kept_for_frames() as (reader, writer):
        serve(package, function, reader, writer)


@contextmanager
def _kept_for_frames() -> Iterator[tuple[BinaryIO, BinaryIO]]:
    """Stdin and stdout for frames alone: what else prints goes to stderr, what else reads is at its end."""
    with os.fdopen(os.dup(0), "rb") as reader, os.fdopen(os.dup(1), "wb") as writer:
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.close(nothing)
        os.dup2(2, 1)
        try:
            yield reader, writer
        finally:
            os.dup2(reader.fileno(), 0)
            os.dup2(writer.fileno(), 1)
            with suppress(BrokenPipeError):  # what nobody read is still to be written; an error stays one
                writer.close()
