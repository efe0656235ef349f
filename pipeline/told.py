"""What is known of an artifact's tensors and is not in it, from the bundle or the folder that holds it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from pocketrec.origin import ORIGINS as INSIDE
from pocketrec.origin import Carried, Told
from pocketrec.package.bundle import Bundle, is_bundle, read_bundle
from pocketrec.package.origins import NAME, ORIGINS, bundled_origins, read_origins
from pocketrec.pipeline.publish import CONVERSION
from pocketrec.validate.artifact.graph import Graph

_ABOVE = 4  # folders above an artifact that may be its bundle
OURS = "pocketrec.contract_sha256"  # a key of the metadata of every artifact of ours


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """The graph of one function with the origins that are known, and in words why there are none."""

    graph: Graph
    unknown: str = ""


def bundles_of(artifact: Path) -> Iterator[tuple[Bundle, str]]:
    """The bundles in whose folders a file lies, the innermost first, with its path there."""
    place = artifact.resolve()
    for folder in filter(is_bundle, place.parents[:_ABOVE]):
        yield read_bundle(folder), place.relative_to(folder).as_posix()


def with_origins(graph: Graph, artifact: Path, function: str) -> Known:
    """The graph of one function of the artifact, with what its bundle tells of where tensors came from.

    Raises:
        ArtifactError: the bundle's table is missing, altered or damaged.
    """
    if graph.origin_table:
        return Known(graph=graph)  # of an earlier release, which has it inside
    told = _told(artifact, function)
    if isinstance(told, Told):
        return Known(graph=replace(graph, known=told.origins))
    return Known(graph=graph, unknown=f"{artifact.name} carries no origins of its tensors: {told}")


def carried_in(graph: Graph, artifact: Path) -> tuple[Mapping[str, Carried], str]:
    """The module's tensors that the artifact stores compressed, as its bundle tells; why it tells nothing.

    Nothing is asked of others' artifacts, nor of those of earlier releases, which say it themselves.
    """
    found: dict[str, Carried] = {}
    if OURS not in graph.metadata or any(key.startswith(INSIDE) for key in graph.metadata):
        return found, ""
    own = graph.metadata.get("pocketrec.function")
    for function in graph.functions if own is None else (own,):
        told = _told(artifact, function)
        if not isinstance(told, Told):
            return {}, told
        found |= told.carried
    return found, ""


def _told(artifact: Path, function: str) -> Told | str:
    for bundle, name in bundles_of(artifact):
        if any(name in each.values() for each in bundle.manifest.artifacts.values()):
            return bundled_origins(bundle, name, function)
    place = artifact.resolve()
    for folder in place.parents[:2]:
        if (folder / CONVERSION).is_file() and (folder / NAME).is_file():
            return read_origins(folder / NAME, place.relative_to(folder).as_posix(), function)
    return f"it is in no bundle, whose {ORIGINS} would tell it"
