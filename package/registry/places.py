"""The place that a reference names, opened: a registry, a folder, or a URL of fsspec's."""

from __future__ import annotations

from pathlib import Path

from pocketrec.errors import MissingExtra
from pocketrec.package.registry.bucket import Bucket
from pocketrec.package.registry.disk import Disk
from pocketrec.package.registry.layout import Layout
from pocketrec.package.registry.references import Reference
from pocketrec.package.registry.store import Store


def open_place(reference: Reference, *, docker: Path, plain_http: bool = False) -> Store:
    """The store at a reference's place; nothing is asked of it yet.

    Args:
        reference: of it; which release it names does not matter.
        docker: the folder of Docker's config, for registries.
        plain_http: whether a registry is asked without TLS.

    Raises:
        MissingExtra: what talks to such places is not installed.
    """
    if reference.kind == "folder":
        return Layout(Disk(Path(reference.place)))
    if reference.kind == "url":
        return Layout(Bucket(reference.place))
    try:
        from pocketrec.package.registry.remote import Remote
    except ModuleNotFoundError as error:
        if error.name not in ("oras", "requests"):
            raise
        raise MissingExtra("oras", "registry") from None
    return Remote(reference, docker=docker, plain_http=plain_http)
