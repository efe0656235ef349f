"""References as arguments, and what the commands that take them have in common."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from pocketrec.cli.paths import FilePath

PLAIN_HTTP = click.option(
    "--plain-http", is_flag=True, help="Ask the registry without TLS; one on this machine is asked so anyway."
)


class ReferenceType(click.ParamType[Any]):
    """A place outside, with a tag or a digest; what it refers to is read by the one module that does."""

    name = "reference"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The reference; a usage error where it is none."""
        from pocketrec.errors import UsageError
        from pocketrec.package.registry.references import Reference, parse_reference

        if isinstance(value, Reference):
            return value
        try:
            return parse_reference(str(value))
        except UsageError as error:
            self.fail(str(error), param, ctx)


class BundlePath(FilePath):
    """The path of a bundle; a reference is pulled into a folder that goes when the command ends."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The path; a usage error where it is empty or holds a NUL."""
        from pocketrec.package.registry.references import is_reference

        if ctx is None or isinstance(value, Path) or "\0" in str(value) or not is_reference(str(value)):
            return super().convert(value, param, ctx)
        from pocketrec.cli.console import progress_on_stderr
        from pocketrec.pipeline.registry import pulled

        with progress_on_stderr() as progress:
            return ctx.with_resource(pulled(str(value), progress))


REFERENCE, BUNDLE = ReferenceType(), BundlePath()
