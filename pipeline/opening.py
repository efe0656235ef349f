"""Artifacts opened by the table of targets: each suffix with the reader and engines that its row names."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from pocketrec.convert.targets import TARGETS
from pocketrec.validate.open import FORMATS, Format
from pocketrec.validate.open import open_artifact as _open_artifact
from pocketrec.validate.open import open_graph as _open_graph

P = TypeVar("P")

if TYPE_CHECKING:
    from pocketrec.recipe import Target
    from pocketrec.validate.artifact.graph import Graph
    from pocketrec.validate.evidence import Open
    from pocketrec.validate.profile.measure import Engine
    from pocketrec.validate.runtimes.runtime import Runtime


def formats() -> Mapping[str, Format]:
    """How artifacts are opened, by suffix: what `validate` knows, and every target's row."""
    rows = {
        row.suffix: Format(reader=row.graph, runtimes=row.runtimes)
        for row in TARGETS.values()
        if row.suffix not in FORMATS
    }
    return {**FORMATS, **rows}


def open_artifact(
    path: str | Path,
    runtime: str | None = None,
    *,
    compute_units: str,
    threads: int = 1,
    function: str | None = None,
    timeout: float | None = None,
) -> Runtime:
    """The artifact at `path`, loaded; see `validate.open.open_artifact`.

    `compute_units` is said by every caller: those of the recipe's target, where there is one.
    """
    return _open_artifact(
        path,
        runtime,
        threads=threads,
        function=function,
        compute_units=compute_units,
        timeout=timeout,
        formats=formats(),
    )


def opener(targets: Mapping[str, Target], artifacts: Mapping[str, Mapping[str, Path]]) -> Open:
    """Opens artifacts of several targets, each with the compute units that its target states.

    Args:
        targets: by name, as in the recipe.
        artifacts: target to function to path.
    """
    units = {
        path: targets[name].compute_units for name, paths in artifacts.items() for path in paths.values()
    }

    def open_with(
        path: Path, runtime: str | None = None, *, threads: int = 1, function: str | None = None
    ) -> Runtime:
        return open_artifact(path, runtime, compute_units=units[path], threads=threads, function=function)

    return open_with


def functions_in(artifacts: Mapping[str, Mapping[str, P]]) -> dict[tuple[str, P], list[str]]:
    """Target and artifact to the functions that are in it; `artifacts` are target to function to artifact."""
    found: dict[tuple[str, P], list[str]] = {}
    for target, functions in artifacts.items():
        for function, artifact in functions.items():
            found.setdefault((target, artifact), []).append(function)
    return found


def open_graph(path: Path) -> Graph:
    """The graph of the artifact at `path`; see `validate.open.open_graph`."""
    return _open_graph(path, formats=formats())


def engine_of(
    path: Path, runtime: str, whole: Graph, function: str, *, threads: int = 1, compute_units: str = ""
) -> Engine:
    """What loads one function of the artifact at `path` in another process; `whole` is its graph."""
    from pocketrec.validate.profile.measure import Engine

    return Engine(
        path=str(path),
        runtime=runtime,
        loader=formats()[path.suffix].runtimes[runtime],
        function=function if len(whole.functions) > 1 else "",
        threads=threads,
        compute_units=compute_units,
        files=tuple(map(str, whole.files)),
    )
